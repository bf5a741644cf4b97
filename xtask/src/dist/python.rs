//! The wheel for Python, tested as somebody gets it: installed where nothing else is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::{BUILD_LIMIT, INSTALL_LIMIT, Setup};
use crate::{files, process};

/// What builds the wheel.
const MATURIN: &str = "maturin>=1.9.4,<2";
/// The extra of the wheel that names what its tests need; `python/pyproject.toml` has the list.
const TESTS: &str = "test";
/// Exits well where environments can be made for a version that the wheel is for.
const SUITABLE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// Builds and tests the wheel; where it is.
///
/// # Errors
///
/// If there is no Python, something cannot be installed or built, or a test fails.
pub(super) fn wheel(setup: &Setup<'_>, folder: &Path) -> Result<PathBuf> {
    let Setup { workspace, steps, .. } = setup;
    ensure!(
        process::succeeds(Command::new("python3").args(["-c", SUITABLE])),
        "there is no `python3` of version 3.10 or later that can make environments; on Debian \
         and Ubuntu, install python3-venv"
    );
    let work = workspace.target().join("python");
    let (tools, fresh) = (work.join("tools"), work.join("fresh"));
    environment(setup, &tools, "environment for tools")?;
    install(setup, &tools, MATURIN, "maturin.log")?;
    for old in wheels(folder)? {
        fs::remove_file(&old).with_context(|| old.display().to_string())?;
    }
    steps.step("building the wheel", || {
        let mut maturin = Command::new(program(&tools, "maturin"));
        maturin.args(["build", "--release", "--locked", "--out"]).arg(folder);
        maturin.arg("--manifest-path").arg(workspace.root().join("python/Cargo.toml"));
        maturin.env("CARGO_TARGET_DIR", &work).current_dir(workspace.root());
        setup.run("maturin", &mut maturin, "wheel.log", BUILD_LIMIT)
    })?;
    let wheel = match <[PathBuf; 1]>::try_from(wheels(folder)?) {
        Ok([wheel]) => wheel,
        Err(found) => bail!("maturin made {} wheels, see wheel.log", found.len()),
    };
    environment(setup, &fresh, "fresh environment")?;
    let tested = format!("{}[{TESTS}]", wheel.display());
    install(setup, &fresh, &tested, "install-wheel.log")?;
    let log = setup.logs.join("pytest.log");
    let said = steps.step("tests of the wheel", || {
        let mut pytest = Command::new(program(&fresh, "python"));
        // Not from the folder whose sources would hide the wheel.
        pytest.current_dir(workspace.root()).env("PYTHONDONTWRITEBYTECODE", "1");
        pytest.args(["-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider"]);
        pytest.args(["-c", "python/pyproject.toml", "python/tests"]);
        process::run("pytest", &mut pytest, &log, INSTALL_LIMIT)
    })?;
    for line in said.lines().filter(|line| line.starts_with("SKIPPED") || is_summary(line)) {
        steps.note(line);
    }
    Ok(wheel)
}

/// The line of pytest that counts.
fn is_summary(line: &str) -> bool {
    line.contains(" passed")
}

/// Wheels of this project in a folder, which need not be there.
fn wheels(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        let name = files::name(path);
        name.starts_with("sharelet-") && name.ends_with(".whl")
    };
    Ok(paths.filter(is_one).collect())
}

/// An environment in which nothing is installed.
fn environment(setup: &Setup<'_>, folder: &Path, what: &str) -> Result<()> {
    setup.steps.step(what, || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder);
        setup.run("python3 -m venv", &mut venv, "venv.log", INSTALL_LIMIT)
    })
}

/// Installs a package into an environment, and says so.
fn install(setup: &Setup<'_>, environment: &Path, package: &str, log: &str) -> Result<()> {
    let name = files::name(Path::new(package));
    setup.steps.step(&format!("installing with pip into {}: {name}", environment.display()), || {
        let mut pip = Command::new(program(environment, "python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", package]);
        let done = setup.run("pip", &mut pip, log, INSTALL_LIMIT);
        done.with_context(|| {
            format!("{name} cannot be installed: pip needs the network, or PIP_FIND_LINKS")
        })
    })
}

/// A program of an environment.
fn program(environment: &Path, name: &str) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
}
