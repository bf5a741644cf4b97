//! `sharelet`: the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Secure two-party inference for microcontrollers.
#[derive(Parser, Debug)]
#[command(name = "sharelet", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[cfg(feature = "import")]
    Import(sharelet_host::cli::import::ImportArgs),
    Twin(sharelet_host::cli::twin::TwinArgs),
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn core::error::Error>> = match Cli::parse().command {
        #[cfg(feature = "import")]
        Command::Import(args) => sharelet_host::cli::import::run(args).map_err(Into::into),
        Command::Twin(args) => sharelet_host::cli::twin::run(&args).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
