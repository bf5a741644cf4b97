//! Writes a synthetic table for logistic regression, a linear SVM, or linear regression.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sharelet_demo_model::tabular::{Request, Target, table};

const EXAMPLES: &str = include_str!("tabular.txt");

/// Write a synthetic table as CSV
#[derive(Parser, Debug)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Rows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
    /// Columns of features.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    columns: u16,
    /// Everything follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A number to predict (column `value`) in place of a class 0 or 1 (column `label`).
    #[arg(long)]
    regression: bool,
    /// The file.
    #[arg(short, long, value_name = "FILE.csv")]
    output: PathBuf,
}

fn main() -> ExitCode {
    let Arguments { rows, columns, seed, regression, output } = Arguments::parse();
    let target = if regression { Target::Number } else { Target::Class };
    let request = Request { rows: rows as usize, columns: usize::from(columns), seed, target };
    match std::fs::write(&output, table(&request).to_csv()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}; check the folder and its permissions", output.display());
            ExitCode::FAILURE
        }
    }
}
