//! `sharelet man`: manual pages, one for each command.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};

const EXAMPLES: &str = include_str!("examples/man.txt");

/// Arguments of `sharelet man`.
#[derive(Args, Debug, Clone)]
#[command(about = "Write manual pages", after_help = EXAMPLES)]
pub struct ManArgs {
    /// Where the pages are written; it is made if it is not there.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes the pages; `program` is the whole command line.
///
/// # Errors
/// The folder cannot be made, or a page not be written.
pub fn run(args: &ManArgs, program: Command) -> Result<()> {
    let folder = &args.folder;
    let wrong = || format!("{}: the pages cannot be written; check the path", folder.display());
    std::fs::create_dir_all(folder).with_context(wrong)?;
    clap_mangen::generate_to(program, folder).with_context(wrong)?;
    tracing::info!("wrote the pages to {}; read one by `man -l`", folder.display());
    Ok(())
}
