//! `cargo xtask bench load`, `fleet`, `kills`, `claims` and `shared`: the programs themselves, with
//! many devices, and killed. All are in `target/bench/trust.json`.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::page;
use super::trust;
use crate::files;
use crate::process;
use crate::setup::{NATS_SERVER, Setup};
use crate::workspace::SHARELET_PACKAGE;

const BUILD_LIMIT: Duration = Duration::from_secs(3600);
/// Keys are made and programs are started beside what is measured.
const BESIDE: Duration = Duration::from_secs(1800);
/// One kill, with everything that goes on after it.
const KILL_LIMIT: Duration = Duration::from_secs(60);

/// How much load there is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub devices: u64,
    pub inferences: u64,
    pub minutes: u64,
}

/// Many devices at hosts and a dealer, hostile ones among them.
pub fn load(setup: &Setup<'_>, folder: &Path, load: Load) -> Result<()> {
    let Load { devices, inferences, minutes } = load;
    let [sharelet, program] = build(setup)?;
    let mut command = Command::new(program);
    let output = folder.join("load.json");
    command.arg("--sharelet").arg(&sharelet).arg("--figures").arg(&output).arg("load");
    for (name, count) in
        [("--devices", devices), ("--inferences", inferences), ("--minutes", minutes)]
    {
        command.args([name, &count.to_string()]);
    }
    let workspace = setup.workspace;
    let mut models = vec![[workspace.built_in_model(), workspace.built_in_inputs()]];
    match workspace.data() {
        Some(data) => models.push(ad01(setup, folder, &sharelet, &data)?),
        None => setup.steps.note("ad01 is not here (SHARELET_DATA): two models instead of three"),
    }
    for pair in &models {
        command.arg("--model").args(pair);
    }
    let limit = BESIDE + Duration::from_secs(60 * minutes);
    let what = format!("{devices} devices, {inferences} inferences or {minutes} minutes");
    measure(setup, folder, ("load/", &what), (&mut command, limit), &output)
}

/// Many devices at one host, whose models are swapped under them.
pub fn fleet(setup: &Setup<'_>, folder: &Path, load: Load) -> Result<()> {
    let Load { devices, minutes, .. } = load;
    let [sharelet, program] = build(setup)?;
    let mut command = Command::new(program);
    let output = folder.join("fleet.json");
    command.arg("--sharelet").arg(&sharelet).arg("--figures").arg(&output).arg("fleet");
    for (name, count) in [("--devices", devices), ("--minutes", minutes)] {
        command.args([name, &count.to_string()]);
    }
    let limit = BESIDE + Duration::from_secs(60 * minutes);
    let what = format!("{devices} devices and 5 models that are swapped, {minutes} minutes");
    measure(setup, folder, ("fleet/", &what), (&mut command, limit), &output)
}

/// Programs that are killed at moments that a seed draws.
pub fn kills(setup: &Setup<'_>, folder: &Path, points: u64) -> Result<()> {
    let [sharelet, program] = build(setup)?;
    let mut command = Command::new(program);
    let output = folder.join("kills.json");
    command.arg("--sharelet").arg(&sharelet).arg("--figures").arg(&output);
    command.args(["kills", "--points", &points.to_string()]);
    let limit = BESIDE + KILL_LIMIT * u32::try_from(points).unwrap_or(u32::MAX);
    let what = format!("killing programs at {points} moments");
    measure(setup, folder, ("kills/", &what), (&mut command, limit), &output)
}

/// Hosts that claim numbers of one store, killed with it.
pub fn claims(setup: &Setup<'_>, folder: &Path, numbers: u64, kills: u64) -> Result<()> {
    let (mut command, output) = over_nats(setup, folder, "claims")?;
    command.args(["--numbers", &numbers.to_string(), "--kills", &kills.to_string()]);
    let what = format!("8 hosts claim {numbers} numbers, {kills} kills");
    measure(setup, folder, ("claims/", &what), (&mut command, BESIDE), &output)
}

/// Two hosts and two dealers that share a store, against one of each.
pub fn shared(setup: &Setup<'_>, folder: &Path, seconds: u64) -> Result<()> {
    let (mut command, output) = over_nats(setup, folder, "shared")?;
    command.args(["--seconds", &seconds.to_string()]);
    let limit = BESIDE + Duration::from_secs(2 * seconds);
    let what = "two hosts and two dealers over NATS, and one of each with the state of a machine";
    measure(setup, folder, ("shared/", what), (&mut command, limit), &output)
}

/// What measures with a server of NATS, and where its figures go.
fn over_nats(setup: &Setup<'_>, folder: &Path, what: &str) -> Result<(Command, PathBuf)> {
    let [sharelet, program] = build(setup)?;
    let server = setup.nats_server()?;
    let server = server.context("there is no nats-server, and no pip to install it")?;
    let output = folder.join(format!("{what}.json"));
    let mut command = Command::new(program);
    command.env(NATS_SERVER, server);
    command.arg("--sharelet").arg(&sharelet).arg("--figures").arg(&output).arg(what);
    Ok((command, output))
}

/// `sharelet` and the program that loads and kills it, as they are released.
fn build(setup: &Setup<'_>) -> Result<[PathBuf; 2]> {
    setup.steps.step("building sharelet, and what loads and kills it", || {
        for (package, log) in
            [(SHARELET_PACKAGE, "build-released.log"), ("sharelet-load", "build-load.log")]
        {
            let mut cargo = setup.workspace.cargo();
            cargo.args(["build", "--release", "--package", package, "--target-dir"]);
            cargo.arg(setup.workspace.target());
            setup.run("cargo build", &mut cargo, log, BUILD_LIMIT)?;
        }
        Ok(())
    })?;
    let program = |name: &str| {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        setup.workspace.target().join("release").join(name)
    };
    Ok(["sharelet", "load"].map(program))
}

/// The reference network for machine sounds, and its readings.
fn ad01(setup: &Setup<'_>, folder: &Path, sharelet: &Path, data: &Path) -> Result<[PathBuf; 2]> {
    files::create_folder(folder)?;
    let data = data.canonicalize();
    let data = data.context("the reference networks cannot be opened")?.join("mlperf-tiny");
    let (readings, model) = (data.join("ad01_windows.npy"), folder.join("load-ad01.slt"));
    let mut import = Command::new(sharelet);
    import.arg("import").arg(data.join("ad01.onnx")).arg("--calibrate").arg(&readings);
    import.arg("--force").arg("-o").arg(&model);
    setup.steps.step("importing ad01", || {
        setup.run("sharelet import", &mut import, "load-import.log", BUILD_LIMIT)
    })?;
    Ok([model, readings])
}

/// Runs what measures, and keeps its figures, also those of a run that went wrong.
fn measure(
    setup: &Setup<'_>,
    folder: &Path,
    (prefix, what): (&str, &str),
    (command, limit): (&mut Command, Duration),
    output: &Path,
) -> Result<()> {
    files::create_folder(folder)?;
    if output.exists() {
        fs::remove_file(output).with_context(|| format!("{} stays", output.display()))?;
    }
    let log = setup.logs.join(format!("{}log", prefix.replace('/', ".")));
    let ran = setup.steps.step(what, || process::run("load", command, &log, limit));
    let text = match (fs::read_to_string(output), ran) {
        (Ok(text), _) => text,
        (Err(_), Err(error)) => return Err(error),
        (Err(error), Ok(_)) => return Err(error).context("no figures were written"),
    };
    let figures = page::parse(&text)?;
    trust::keep(folder, prefix, &figures)?;
    let bad = ["errors", "wrong", "reused", "lost"].map(|bad| format!("{prefix}{bad}"));
    let wrong = figures.iter().find(|figure| figure.value != 0.0 && bad.contains(&figure.name));
    if let Some(figure) = wrong {
        anyhow::bail!("{} is {}; see {}", figure.name, figure.value, log.display());
    }
    ensure!(!figures.is_empty(), "no figures were written");
    Ok(())
}
