//! `sharelet`: the command line.

use std::process::ExitCode;

/// Training makes and drops large vectors in every step: this one keeps their pages.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(sharelet_cli::program(std::env::args_os(), std::env::vars_os()))
}
