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

/// The programs: package, and benchmark.
const PROGRAMS: [(&str, &str); 2] = [("sharelet-host", "prepare"), ("sharelet-alone", "private")];

/// Measures.
pub fn run(setup: &Setup<'_>, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (package, bench) in PROGRAMS {
        let output = folder.join(format!("prepare-{bench}.json"));
        let mut cargo = setup.workspace.cargo();
        cargo.args(["bench", "--package", package, "--bench", bench, "--", "--json"]).arg(&output);
        let log = setup.logs.join(format!("{bench}.log"));
        let what = "measuring two parties that prepare alone";
        setup.steps.step(what, || process::run("cargo bench", &mut cargo, &log, LIMIT))?;
        let text = fs::read_to_string(&output)
            .with_context(|| format!("{} was not written", output.display()))?;
        let found = page::parse(&text);
        let wrong = || format!("{} is not a list of figures", output.display());
        figures.extend(found.with_context(wrong)?);
    }
    Ok(figures)
}
