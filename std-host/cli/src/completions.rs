//! `sharelet completions`: what a shell needs to complete command lines.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

use super::common::output;

const EXAMPLES: &str = include_str!("examples/completions.txt");

/// Arguments of `sharelet completions`.
#[derive(Args, Debug, Clone)]
#[command(about = "Print what a shell needs to complete command lines", after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script; `program` is the whole command line.
///
/// # Errors
/// Standard output is gone.
pub fn run(args: &CompletionsArgs, mut program: Command) -> Result<()> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    output(&String::from_utf8_lossy(&script))
}
