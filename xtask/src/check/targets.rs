//! The core on processors without an operating system.

use super::results::Checks;
use crate::setup::Toolchain;

/// Where the core must build: with and without a 32-bit multiplier's long form.
const CORE_TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// Compiles the core for each, as far as errors show; gives the compiler that can. Machine code is
/// made for the boards that have a program.
pub fn build(checks: &Checks<'_>) -> Option<Toolchain> {
    let toolchain = checks.setup.toolchain(&CORE_TARGETS);
    let toolchain = checks.record("compiler for the boards", toolchain)?;
    let mut cargo = checks.setup.target_cargo(toolchain, checks.setup.workspace.root(), "check");
    cargo.args(["--release", "--package", "sharelet-core"]);
    for target in CORE_TARGETS {
        cargo.args(["--target", target]);
    }
    checks.command(&format!("core for {}", CORE_TARGETS.join(", ")), &mut cargo);
    Some(toolchain)
}
