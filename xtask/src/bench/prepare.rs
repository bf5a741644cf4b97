//! The benchmark of two parties that prepare alone, a program of `std-host/host`.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::figure::Figure;
use super::page;
use crate::process;
use crate::setup::Setup;

const LIMIT: Duration = Duration::from_secs(1800);

/// Measures.
pub fn run(setup: &Setup<'_>, folder: &Path) -> Result<Vec<Figure>> {
    let output = folder.join("prepare-alone.json");
    let mut cargo = setup.workspace.cargo();
    cargo
        .args(["bench", "--package", "sharelet-host", "--bench", "prepare", "--", "--json"])
        .arg(&output);
    let log = setup.logs.join("prepare.log");
    let what = "measuring two parties that prepare alone";
    setup.steps.step(what, || process::run("cargo bench", &mut cargo, &log, LIMIT))?;
    let text = fs::read_to_string(&output)
        .with_context(|| format!("{} was not written", output.display()))?;
    page::parse(&text).with_context(|| format!("{} is not a list of figures", output.display()))
}
