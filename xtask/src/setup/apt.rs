//! Debian's packages, where there is apt-get and the right to use it.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use super::work::{INSTALL_LIMIT, Setup};
use crate::process::{answer, succeeds};

/// Packages are installed by one thread at a time: the system has one lock for them.
static ONE: Mutex<()> = Mutex::new(());

/// Packages that are missing, and can be installed.
#[derive(Debug)]
pub struct Packages {
    names: &'static [&'static str],
    root: bool,
}

impl Packages {
    /// Finds out whether `names` can be installed.
    ///
    /// # Errors
    ///
    /// If they cannot; it says what to do, also where there is no apt-get (`elsewhere`).
    pub fn new(names: &'static [&'static str], elsewhere: &str) -> Result<Self> {
        let list = names.join(" ");
        if !succeeds(Command::new("apt-get").arg("--version")) {
            bail!("{list} cannot be installed here without apt-get; install by hand ({elsewhere})");
        }
        let root = answer(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
        if !root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
            bail!(
                "{list} must be installed, and sudo asks for a password here; run: sudo apt-get \
                 install {list}"
            );
        }
        Ok(Self { names, root })
    }

    /// Installs them.
    ///
    /// # Errors
    ///
    /// If apt-get does not find or get them.
    pub fn install(&self, setup: &Setup<'_>) -> Result<()> {
        let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Lists that cannot be refreshed may still do: what counts is whether the packages come.
        let refresh = setup.steps.step("refreshing the package lists (apt-get update)", || {
            setup.run("apt-get update", &mut self.apt(&["update"]), "apt-update.log", INSTALL_LIMIT)
        });
        let mut install = self.apt(&["install", "--yes", "--no-install-recommends"]);
        install.args(self.names);
        let what = format!("installing with apt-get: {}", self.names.join(" "));
        let installed = setup.steps.step(&what, || {
            setup.run("apt-get install", &mut install, "apt-install.log", INSTALL_LIMIT)
        });
        match (installed, refresh) {
            (Err(error), Err(cause)) => {
                Err(error.context(format!("apt-get update had failed: {cause:#}")))
            }
            (result, _) => result,
        }
    }

    fn apt(&self, arguments: &[&str]) -> Command {
        let mut apt = Command::new(if self.root { "apt-get" } else { "sudo" });
        if !self.root {
            apt.args(["-n", "apt-get"]);
        }
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    }
}
