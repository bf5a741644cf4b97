//! `sharelet`: the command line.

use std::process::ExitCode;

use clap::Parser as _;
use sharelet_host::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}
