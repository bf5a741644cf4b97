//! Whether a branch or an address depends on a secret, as valgrind sees it.
//!
//! The program is `tests/constant_time`. It is optimised, as what is used is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::results::{Checks, LIMIT};
use crate::process;

const PACKAGE: &str = "sharelet-constant-time";
/// Tells the program and the core that valgrind watches.
const FLAGS: &str = "--cfg watch_secrets";
/// Where in the code a report comes from.
const LINES: &str = "profile.release.debug=\"line-tables-only\"";

/// Watches a program that leaks, which must be seen, and then all that handles secrets.
pub fn run(checks: &Checks<'_>) {
    let name = "no branch and no address depends on a secret";
    if let Err(error) = checks.setup.valgrind() {
        return checks.skip(name, &format!("there is no valgrind: {error:#}"));
    }
    let Some(program) = checks.check("what handles secrets, compiled", || build(checks)) else {
        return;
    };
    checks.check("a branch and an address that depend on a secret would be seen", || {
        let output = watch(checks, &program, &["leaks"], "0")?;
        let seen = reports(&output).filter(|&reports| reports > 0).count();
        ensure!(seen == 2, "{seen} of two leaks were reported");
        Ok(())
    });
    checks.check(name, || {
        let output = watch(checks, &program, &[], "1")?;
        let seen: usize = reports(&output).sum();
        if seen > 0 || reports(&output).count() == 0 {
            bail!("there are {seen} reports:\n{output}");
        }
        Ok(())
    });
}

/// Builds the program, apart from everything else: other flags are another build.
fn build(checks: &Checks<'_>) -> Result<PathBuf> {
    let setup = &checks.setup;
    let target = setup.workspace.target().join("constant-time");
    let mut cargo = setup.workspace.cargo();
    cargo.args(["build", "--release", "--package", PACKAGE, "--config", LINES, "--target-dir"]);
    cargo.arg(&target).env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run("cargo build", &mut cargo, &setup.logs.join("constant-time.log"), LIMIT)?;
    Ok(target.join("release").join("constant-time"))
}

/// Runs it; ends with the status `found` if anything was reported.
fn watch(checks: &Checks<'_>, program: &PathBuf, args: &[&str], found: &str) -> Result<String> {
    let setup = &checks.setup;
    let known = setup.workspace.root().join("tests/constant_time/tags.supp");
    let mut valgrind = Command::new("valgrind");
    // Functions as they are linked: what a suppression names does not depend on what was inlined.
    valgrind.args(["--quiet", "--read-inline-info=no", &format!("--error-exitcode={found}")]);
    valgrind.arg(format!("--suppressions={}", known.display())).arg(program).args(args);
    process::run("valgrind", &mut valgrind, &setup.logs.join("valgrind.log"), LIMIT)
}

/// How many reports the cases have.
fn reports(output: &str) -> impl Iterator<Item = usize> {
    let case = |line: &str| line.strip_suffix(" reports")?.rsplit(' ').next()?.parse().ok();
    output.lines().filter_map(case)
}
