//! `cargo xtask fit`: the tables of the core's functions.

use core::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(600);

/// What to do with the tables.
#[derive(Args, Clone, Copy, Debug)]
pub struct FitArgs {
    /// Writes nothing, and lists rows and bounds for pieces of twice the width, of the width that
    /// is used, and of half of it.
    #[arg(long)]
    widths: bool,
}

/// Runs the program that fits: apart from this one, so that a table that does not compile can be
/// looked into.
pub fn run(args: FitArgs) -> Result<()> {
    let workspace = Workspace::here();
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "sharelet-fit"]);
    if args.widths {
        cargo.args(["--", "--widths"]);
    }
    let output = process::run("fit", &mut cargo, &workspace.target().join("fit/fit.log"), LIMIT)?;
    print!("{output}");
    Ok(())
}
