//! `cargo xtask bench fuzz`: every target of `tests/fuzz` under libFuzzer, with coverage.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::figure::Figure;
use super::trust;
use crate::files;
use crate::process;
use crate::setup::Setup;

/// An input that takes longer hangs, one that takes more memory wastes it.
const LIMITS: [&str; 3] = ["-timeout=20", "-rss_limit_mb=3000", "-print_final_stats=1"];
/// Bytes of an input; of targets whose messages are long.
const MOST: usize = 8192;
const LONG: (&[&str], usize) = (&["encrypted", "transfers"], 65_536);
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// What the compiler is told so that libFuzzer sees what runs: on a stable one, too.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Builds the fuzzer, runs every target for so many seconds, and writes the figures.
pub fn run(setup: &Setup<'_>, folder: &Path, seconds: u64) -> Result<()> {
    files::create_folder(folder)?;
    let program =
        setup.steps.step("building the fuzzer, with everything instrumented", || build(setup))?;
    let names = targets(&program)?;
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for name in &names {
        let what = format!("fuzzing {name} for {seconds} s");
        match setup.steps.step(&what, || target(setup, &program, name, seconds)) {
            Ok(found) => figures.extend(found),
            Err(error) => {
                setup.steps.note(&format!("{name}: {error:#}"));
                failed.push(name.as_str());
            }
        }
    }
    trust::keep(folder, "fuzz/", &figures)?;
    ensure!(failed.is_empty(), "{} went wrong; what did it is named above", failed.join(", "));
    Ok(())
}

fn build(setup: &Setup<'_>) -> Result<PathBuf> {
    let rustc = process::answer(Command::new("rustc").arg("-vV")).context("there is no rustc")?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it compiles for")?;
    let target = setup.workspace.target().join("fuzz");
    let mut cargo = setup.workspace.cargo();
    cargo.current_dir(setup.workspace.root().join("fuzz"));
    // With a target, what runs while compiling is not instrumented.
    cargo.args(["build", "--release", "--target", host, "--target-dir"]).arg(&target);
    cargo.env("RUSTFLAGS", FLAGS.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    setup.run("cargo build of the fuzzer", &mut cargo, "fuzz-build.log", LIMIT)?;
    Ok(target.join(host).join("release").join("fuzz"))
}

/// The names of the targets, as the fuzzer's program has them.
fn targets(program: &Path) -> Result<Vec<String>> {
    let names = process::answer(Command::new(program).env("FUZZ_NAMES", "1"));
    let names = names.context("the fuzzer does not name its targets")?;
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    ensure!(!names.is_empty(), "the fuzzer has no targets");
    names.sort();
    Ok(names)
}

/// One target: how often it ran, and how much of the code that can be reached it has reached.
fn target(setup: &Setup<'_>, program: &Path, name: &str, seconds: u64) -> Result<Vec<Figure>> {
    let work = setup.workspace.target().join("fuzz");
    let [found, seeds] = ["found", "seeds"].map(|folder| work.join(folder).join(name));
    files::create_folder(&found)?;
    files::create_folder(&seeds)?;
    let mut fuzzer = Command::new(program);
    fuzzer.env("FUZZ_TARGET", name).env("FUZZ_SEEDS", &seeds).args(LIMITS);
    fuzzer.arg(format!("-max_total_time={seconds}"));
    let most = if LONG.0.contains(&name) { LONG.1 } else { MOST };
    fuzzer.arg(format!("-max_len={most}"));
    fuzzer.arg(format!("-artifact_prefix={}/{name}-", work.display()));
    fuzzer.arg(&found).arg(&seeds).arg(setup.workspace.root().join("fuzz/corpus").join(name));
    let log = setup.logs.join(format!("fuzz-{name}.log"));
    process::run("the fuzzer", &mut fuzzer, &log, LIMIT)?;
    let text = String::from_utf8_lossy(&files::read(&log)?).into_owned();
    let last = |mark: &str| {
        let rest = text.rsplit_once(mark)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let Some((runs, edges)) = last("number_of_executed_units:").zip(last(" cov: ")) else {
        bail!("the fuzzer did not say how often it ran: {}", log.display());
    };
    setup.steps.note(&format!("{name}: {runs} executions, {edges} edges covered"));
    Ok(vec![
        Figure::count(format!("fuzz/{name}/executions"), runs, "executions"),
        Figure::count(format!("fuzz/{name}/edges"), edges, "edges"),
    ])
}
