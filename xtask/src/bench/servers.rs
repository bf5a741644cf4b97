//! The benchmark of two servers, a program of `std-host/host`.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::figure::Figure;
use super::page;
use crate::process;
use crate::setup::Setup;

/// Whole runs of network B take their time.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Measures, or takes what was measured.
pub fn run(setup: &Setup<'_>, folder: &Path, reuse: bool) -> Result<Vec<Figure>> {
    let mut figures = part(setup, (folder, reuse), "measuring two servers", "servers-steps", None)?;
    match setup.workspace.data() {
        Some(data) => {
            let what = "training networks A, B and AlexNet between two servers";
            figures.extend(part(
                setup,
                (folder, reuse),
                what,
                "servers-runs",
                Some(&data.join("mnist")),
            )?);
        }
        None => setup.steps.note("the images are not here (SHARELET_DATA): no whole training runs"),
    }
    Ok(figures)
}

/// One run of the benchmark, of steps or of whole runs.
fn part(
    setup: &Setup<'_>,
    (folder, reuse): (&Path, bool),
    what: &str,
    name: &str,
    images: Option<&Path>,
) -> Result<Vec<Figure>> {
    let output = folder.join(format!("{name}.json"));
    let mut cargo = setup.workspace.cargo();
    cargo
        .args(["bench", "--package", "sharelet-host", "--bench", "servers", "--", "--json"])
        .arg(&output);
    if let Some(images) = images {
        cargo.arg("--train").arg(images);
    }
    if !(reuse && output.is_file()) {
        let log = setup.logs.join(format!("{name}.log"));
        setup.steps.step(what, || process::run("cargo bench", &mut cargo, &log, LIMIT))?;
    }
    let text = fs::read_to_string(&output)
        .with_context(|| format!("{} was not written", output.display()))?;
    page::parse(&text).with_context(|| format!("{} is not a list of figures", output.display()))
}
