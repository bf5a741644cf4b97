//! `sharelet`: the command line.

use std::io::Write as _;
use std::process::ExitCode;

use sharelet_cli::Cli;
use sharelet_cli::common::{exit_code, is_unread};
use sharelet_cli::settings;
use sharelet_cli::terminal::{is_json, prefix};
use sharelet_link::system::no_core_dumps;

/// Training makes and drops large vectors in every step: this one keeps their pages.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    no_core_dumps();
    let cli: Cli = settings::parse(std::env::args_os(), std::env::vars_os())
        .unwrap_or_else(|error| error.exit());
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !is_unread(&error) {
                if is_json() {
                    tracing::error!("{error}");
                } else {
                    // A terminal that is gone is no reason to panic.
                    let _ = writeln!(std::io::stderr(), "{}error: {error}", prefix());
                }
            }
            exit_code(&error)
        }
    }
}
