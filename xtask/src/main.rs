//! The project's own commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`,
//! `cargo xtask fit`.

mod bench;
mod board_runs;
mod boards;
mod case;
mod check;
mod demo;
mod fit;
mod inference;
mod process;
mod report;
mod services;
mod setup;
mod steps;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                                      the built-in model on an emulated \
                        microcontroller
  cargo xtask demo --native                             the same, the device being a process on \
                        this PC
  cargo xtask demo --model my.onnx --inputs my.npy      an own model and own readings
  cargo xtask test                                      every check there is
  cargo xtask test boards                               those of the firmware and the emulated \
                        boards
  cargo xtask bench device                              instructions, traffic and memory on the \
                        emulated boards
  cargo xtask bench functions                           errors, messages, bytes and speed of every \
                        function
  cargo xtask fit                                       the tables of the core's functions, made \
                        and proven anew

What is missing on the machine is installed, and named before it is. Variables:
  SHARELET_TOOLCHAIN=rustup|debian    where the compiler for the boards comes from; found out if \
                        not set
  SHARELET_DATA=FOLDER                the reference networks and inputs; ../shared/data if not set";

/// Runs, checks and measures sharelet.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Private inference end to end, every answer compared with the plaintext one.
    Demo(demo::DemoArgs),
    /// Formats, lints, documentation, tests, builds for every target, and runs on the emulated
    /// boards.
    Test(check::TestArgs),
    /// Measures, prints tables, and writes docs/benchmarks.md, docs/functions.md and
    /// target/bench/GROUP.json.
    Bench(bench::BenchArgs),
    /// Fits the tables of core/src/function/tables again, and proves their bounds; `test` holds the
    /// files against it.
    Fit(fit::FitArgs),
}

fn main() -> ExitCode {
    let result = process::watch_signals().and_then(|()| match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => check::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::Fit(args) => fit::run(args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if process::check_interrupted().is_err() => {
            eprintln!("stopped; nothing is left running");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
