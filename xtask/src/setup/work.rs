//! What a preparation needs itself.

use core::time::Duration;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// For an installation.
pub const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// For a build.
pub const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Prepares and builds, with a line for each step.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Folders.
    pub workspace: &'a Workspace,
    /// Progress.
    pub steps: &'a Steps,
    /// Where logs go.
    pub logs: PathBuf,
}

impl Setup<'_> {
    /// Runs a program to its end, with a log.
    pub fn run(&self, name: &str, command: &mut Command, log: &str, limit: Duration) -> Result<()> {
        process::run(name, command, &self.logs.join(log), limit).map(|_| ())
    }
}
