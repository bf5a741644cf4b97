//! The exercises: the test of each fails as long as the task is open, and passes on its solution.
//! And the book: its code, links and figures have tests among all others; here it is built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::results::{Checks, LIMIT};
use crate::book;
use crate::process::{self, Running};

/// Either crate has a test program of this name.
const PROGRAM: &str = "tasks";
const EXERCISES: &str = "learn/exercises";
const SOLUTIONS: &str = "learn/solutions";
/// There are as many tasks.
const TASKS: usize = 12;

/// Runs every task's test on the exercise and on its solution, and builds the book.
pub fn run(checks: &Checks<'_>) {
    exercises(checks);
    let (name, workspace) = ("pages of the book", checks.setup.workspace);
    match book::installed(workspace) {
        Some(mdbook) => {
            checks.check(name, || book::build(workspace, &mdbook, false));
        }
        None => checks.skip(name, "there is no mdbook: cargo xtask book installs it"),
    }
}

fn exercises(checks: &Checks<'_>) {
    checks.check("exercises fail, and their solutions pass", || {
        let programs = build(checks)?;
        let results = |folder: &str| {
            let program = programs.get(folder).with_context(|| format!("{folder} has no tests"))?;
            results(checks, folder, program)
        };
        let (open, solved) = (results(EXERCISES)?, results(SOLUTIONS)?);
        ensure!(open.len() == TASKS, "{} exercises have a test, of {TASKS}", open.len());
        ensure!(open.keys().eq(solved.keys()), "exercises and solutions have other tests");
        let wrong: Vec<String> = open
            .iter()
            .filter(|(_, passed)| **passed)
            .map(|(name, _)| format!("{name} passes before it is solved"))
            .chain(
                solved
                    .iter()
                    .filter(|(_, passed)| !**passed)
                    .map(|(name, _)| format!("the solution of {name} does not pass its test")),
            )
            .collect();
        match wrong.as_slice() {
            [] => Ok(()),
            wrong => bail!("{}", wrong.join("; ")),
        }
    });
}

/// Builds both programs; gives each by its package's folder.
fn build(checks: &Checks<'_>) -> Result<BTreeMap<String, PathBuf>> {
    let workspace = checks.setup.workspace;
    let mut cargo = workspace.cargo();
    // With the features of all other tests: the core is compiled already.
    cargo.args(["test", "--workspace", "--all-features", "--no-run", "--test", PROGRAM]);
    cargo.args(["--message-format", "json"]);
    let log = checks.setup.logs.join("exercises.log");
    let messages = process::run("cargo test of the exercises", &mut cargo, &log, LIMIT)?;
    let mut programs = BTreeMap::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line)?;
        let place = (message["executable"].as_str(), message["manifest_path"].as_str());
        let (Some(program), Some(manifest)) = place else { continue };
        let folder = Path::new(manifest).parent().context("a manifest lies in a folder")?;
        let folder = folder.strip_prefix(workspace.root()).unwrap_or(folder);
        programs.insert(folder.display().to_string().replace('\\', "/"), program.into());
    }
    Ok(programs)
}

/// Runs a test program to its end, whether it succeeds or not; gives each test's result.
fn results(checks: &Checks<'_>, folder: &str, program: &Path) -> Result<BTreeMap<String, bool>> {
    let log = checks.setup.logs.join(format!("tests/{}.log", folder.replace('/', "-")));
    let mut command = Command::new(program);
    // One by one: lines of results are not torn.
    command.arg("--test-threads=1").env("RUST_BACKTRACE", "0");
    command.current_dir(checks.setup.workspace.root().join(folder));
    let mut running = Running::start(folder, &mut command, &log)?;
    running.wait(LIMIT)?;
    let output = running.output();
    let of_line = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        match result.trim() {
            "ok" => Some((name.to_owned(), true)),
            "FAILED" => Some((name.to_owned(), false)),
            _ => None,
        }
    };
    let results: BTreeMap<String, bool> = output.lines().filter_map(of_line).collect();
    ensure!(!results.is_empty(), "{folder}: no test was run{}", running.quote());
    Ok(results)
}
