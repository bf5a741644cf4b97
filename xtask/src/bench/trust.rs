//! `cargo xtask bench trust` and `fuzz`: how often a session went wrong, of how many; and how much
//! was fuzzed. Both are in `target/bench/trust.json`.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::figure::Figure;
use super::page;
use crate::files;
use crate::process;
use crate::setup::Setup;

/// Sessions over lines with faults.
const RUNS: &str = "100000";
const LIMIT: Duration = Duration::from_secs(1800);

/// Runs sessions over lines with faults, and shows what became of them.
pub fn faults(setup: &Setup<'_>, folder: &Path) -> Result<()> {
    files::create_folder(folder)?;
    let output = folder.join("faults.json");
    let mut cargo = setup.workspace.cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "sharelet-faults", "--", RUNS]);
    cargo.arg(&output);
    let log = setup.logs.join("faults.log");
    let what = format!("running {RUNS} sessions over lines with faults");
    let shown = setup.steps.step(&what, || process::run("cargo run", &mut cargo, &log, LIMIT))?;
    println!("{}", shown.trim());
    let text = fs::read_to_string(&output);
    let text = text.with_context(|| format!("{} was not written", output.display()))?;
    keep(folder, "faults/", &page::parse(&text)?)
}

/// Puts figures into the file in place of those that begin alike.
pub fn keep(folder: &Path, prefix: &str, figures: &[Figure]) -> Result<()> {
    let path = folder.join("trust.json");
    let kept = fs::read_to_string(&path).ok().map_or(Ok(Vec::new()), |text| page::parse(&text));
    let mut all = kept.with_context(|| format!("{} is not a list of figures", path.display()))?;
    all.retain(|figure| !figure.name.starts_with(prefix));
    all.extend_from_slice(figures);
    files::write(&path, page::json(&all))?;
    println!("\n{}\nwritten: {}", page::table(figures), path.display());
    Ok(())
}
