//! `cargo xtask bench functions`: errors, messages, bytes and speed of the core's functions, by a
//! program of its own.

use core::time::Duration;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use super::page;
use crate::files::create_folder;
use crate::process::Running;
use crate::setup::Setup;

const LIMIT: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(200);

/// Measures for a quarter of an hour or so, showing each row as it comes; writes `functions.json`
/// and `docs/functions.md`.
pub fn run(setup: &Setup<'_>, folder: &Path) -> Result<()> {
    create_folder(folder)?;
    let (json, docs) =
        (folder.join("functions.json"), setup.workspace.root().join("docs/functions.md"));
    let mut cargo = setup.workspace.cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "sharelet-measure", "--"]);
    cargo
        .args(["--conditions", &page::conditions("functions")])
        .arg("--json")
        .arg(&json)
        .arg("--page")
        .arg(&docs);
    setup.steps.note("measuring the functions: every row as it comes");
    let mut program = Running::start(
        "the measuring of functions",
        &mut cargo,
        &setup.logs.join("functions.log"),
    )?;
    let (begin, mut shown) = (Instant::now(), 0);
    loop {
        let ended = program.poll()?;
        let output = program.output();
        // Whole lines only, but for the end.
        let end = if ended.is_some() {
            output.len()
        } else {
            output.rfind('\n').map_or(0, |end| end + 1)
        };
        print!("{}", output.get(shown..end).unwrap_or(""));
        shown = shown.max(end);
        match ended {
            Some(status) if status.success() => break,
            Some(status) => bail!("measuring the functions failed ({status}){}", program.quote()),
            None if begin.elapsed() > LIMIT => {
                bail!("the measuring of functions took too long{}", program.quote())
            }
            None => thread::sleep(POLL),
        }
    }
    println!("written: {} and {}", json.display(), docs.display());
    Ok(())
}
