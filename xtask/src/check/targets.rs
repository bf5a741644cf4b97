//! Compilers for processors without an operating system.

use super::results::Checks;
use crate::setup::Toolchain;

/// What boards' programs are built for: with and without a 32-bit multiplier's long form.
const TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// The compiler for all of them, installed if it is missing.
pub fn compiler(checks: &Checks<'_>) -> Option<Toolchain> {
    checks.record("compiler for the boards", checks.setup.toolchain(&TARGETS))
}
