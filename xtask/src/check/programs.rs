//! Runs the test programs, two side by side: where the last test of one is long, no core waits.

use core::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::results::{Checks, LIMIT};
use crate::setup::NATS_SERVER;
use crate::{files, process};

/// How many run at a time. Each has its part of the cores.
const SIDE_BY_SIDE: usize = 2;
/// Folders of the packages whose tests take longest. They begin first: what ends last is short.
const LONG: [&str; 4] = ["std-host/host", "tests", "std-host/import", "core"];

/// Of these the tests wait for each other's programs and connections, and leave a third of two
/// cores idle: they have as many threads as there are cores.
const WAITING: [&str; 2] = ["std-host/host", "std-host/cli"];

struct Program {
    /// Its package and target.
    name: String,
    command: Command,
}

struct Ended {
    name: String,
    seconds: f64,
    result: Result<()>,
}

/// Every test program of the workspace, and the examples in the documentation: what `cargo test`
/// runs.
///
/// The output of each lies in the folder `tests` of the logs; `tests.log` says how long each took.
pub fn run(checks: &Checks<'_>) {
    let nats = checks.record("a server of NATS", checks.setup.nats_server()).flatten();
    if nats.is_none() {
        let how = "there is no nats-server, and no pip to install it";
        checks.skip("stores beyond one machine", how);
    }
    checks.check("tests", || {
        let mut programs = list(checks)?;
        if let Some(nats) = &nats {
            programs.iter_mut().for_each(|program| {
                program.command.env(NATS_SERVER, nats);
            });
        }
        let count = programs.len();
        let queue = Mutex::new(programs.into_iter());
        let work = || -> Vec<Ended> {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            core::iter::from_fn(next).map(|program| run_one(checks, program)).collect()
        };
        let ended: Vec<Ended> = thread::scope(|scope| {
            let workers = [(); SIDE_BY_SIDE].map(|()| scope.spawn(work));
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        ensure!(ended.len() == count, "{} of {count} test programs were run", ended.len());
        let (mut times, mut failed) = (String::new(), Vec::new());
        for Ended { name, seconds, result } in ended {
            writeln!(times, "{seconds:7.1} s  {name}")?;
            failed.extend(result.err().map(|error| format!("{error:#}")));
        }
        files::write(&checks.setup.logs.join("tests.log"), times)?;
        match failed.len() {
            0 => Ok(()),
            some => bail!("{some} of {count} programs\n{}", failed.join("\n")),
        }
    });
}

fn run_one(checks: &Checks<'_>, mut program: Program) -> Ended {
    let log = program.name.replace([' ', '/', ':'], "-");
    let log = checks.setup.logs.join("tests").join(format!("{log}.log"));
    let begin = Instant::now();
    let result = process::run(&program.name, &mut program.command, &log, LIMIT);
    let seconds = begin.elapsed().as_secs_f64();
    Ended { name: program.name, seconds, result: result.map(drop) }
}

/// The programs, those first whose tests take longest. All have been compiled before.
fn list(checks: &Checks<'_>) -> Result<Vec<Program>> {
    let workspace = checks.setup.workspace;
    let cargo = |arguments: &str| {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--workspace", "--all-features"]).args(arguments.split(' '));
        cargo
    };
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = (cores / SIDE_BY_SIDE).max(1);

    let log = checks.setup.logs.join("test-programs.log");
    let mut listed = cargo("--no-run --message-format json");
    let messages = process::run("cargo test --no-run", &mut listed, &log, LIMIT)?;
    let mut programs = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line)?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        let (true, Some(program)) = (is_test, message["executable"].as_str()) else { continue };
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        let (manifest, target) = (text(&message["manifest_path"])?, &message["target"]);
        let folder = Path::new(&manifest).parent().context("a manifest lies in a folder")?;
        let place = folder.strip_prefix(workspace.root()).unwrap_or(folder).display().to_string();
        let name = format!("{place} {} {}", text(&target["kind"][0])?, text(&target["name"])?);
        let threads = if WAITING.contains(&place.as_str()) { cores } else { threads };
        let mut command = Command::new(program);
        command.current_dir(folder).arg(format!("--test-threads={threads}"));
        let rank = LONG.iter().position(|&long| long == place).unwrap_or(LONG.len());
        programs.push((rank, Program { name, command }));
    }
    ensure!(!programs.is_empty(), "cargo lists no test programs");
    let command = cargo(&format!("--doc --no-fail-fast -- --test-threads={threads}"));
    programs.push((LONG.len() - 1, Program { name: "examples of the docs".into(), command }));
    programs.sort_by_key(|(rank, _)| *rank);
    Ok(programs.into_iter().map(|(_, program)| program).collect())
}
