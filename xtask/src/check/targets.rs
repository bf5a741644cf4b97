//! The core on processors without an operating system.

use super::results::Checks;
use crate::boards;
use crate::setup::Toolchain;

/// Where the core must build: with and without a 32-bit multiplier's long form.
const CORE_TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// Builds the core for those that no board's program is built for; gives the compiler that can.
pub fn build(checks: &Checks<'_>) -> Option<Toolchain> {
    let toolchain = checks.setup.toolchain(&CORE_TARGETS);
    let toolchain = checks.record("compiler for the boards", toolchain)?;
    let mut cargo = checks.setup.target_cargo(toolchain, checks.setup.workspace.root(), "build");
    cargo.args(["--release", "--package", "sharelet-core"]);
    let boards = boards::BOARDS.map(|board| board.target);
    let targets: Vec<_> =
        CORE_TARGETS.into_iter().filter(|target| !boards.contains(target)).collect();
    for target in &targets {
        cargo.args(["--target", target]);
    }
    checks.command(&format!("core for {}", targets.join(", ")), &mut cargo);
    Some(toolchain)
}
