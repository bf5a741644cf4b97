//! The project's own commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`,
//! `cargo xtask dist`, `cargo xtask fit`, `cargo xtask book`, `cargo xtask learn`.

mod bench;
mod board_runs;
mod boards;
mod book;
mod case;
mod check;
mod counted;
mod cuts;
mod demo;
mod dist;
mod files;
mod fit;
mod inference;
mod learn;
mod process;
mod report;
mod services;
mod setup;
mod steps;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = include_str!("examples.txt");

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
    /// Packs a static program with its manual, completions and licences, into target/dist; or a
    /// wheel for Python.
    Dist(dist::DistArgs),
    /// Fits the tables of core/src/functions/tables again, and proves their bounds; `test` holds
    /// the files against it.
    Fit(fit::FitArgs),
    /// Makes the page "one gate, two views", target/learn/one-gate.html, and opens it.
    Learn(learn::LearnArgs),
    /// Builds the book: chapters whose code runs, and the documentation as its reference.
    Book(book::BookArgs),
}

fn main() -> ExitCode {
    let result = process::watch_signals().and_then(|()| match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => check::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Fit(args) => fit::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Book(args) => book::run(args),
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
