//! `cargo xtask test`: every check there is, one line each; those of the boards run beside those of
//! this PC.

mod constant_time;
mod course;
mod dependencies;
mod emulated;
mod firmware;
mod host;
mod learn;
mod panics;
mod programs;
mod refusals;
mod results;
mod sources;
mod targets;

use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::setup::Setup;
use crate::steps::Steps;
use crate::workspace::Workspace;
use results::Checks;

/// Which checks to run.
#[derive(Args, Clone, Copy, Debug)]
pub struct TestArgs {
    /// A part of them.
    #[arg(value_enum, default_value_t)]
    part: Part,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Format, lints and documentation.
    Sources,
    /// Tests on this PC, and the demo with a process as the device.
    Host,
    /// The exercises alone, each fails, and its solution passes; and the pages of the book.
    Course,
    /// Branches and addresses that depend on a secret, by valgrind.
    Secrets,
    /// Builds for the emulated boards, and runs on them.
    Boards,
    /// The same, and builds and lints for every other board: a quarter of an hour the first time.
    EveryBoard,
    /// Everything, but for the boards that take a quarter of an hour.
    #[default]
    All,
}

/// Runs the checks; an error if one fails.
///
/// # Errors
///
/// If a check fails, or the program is ended.
pub fn run(args: TestArgs) -> Result<()> {
    let workspace = Workspace::here();
    let steps = Steps::new();
    let logs = workspace.target().join("check");
    let checks = &Checks::new(Setup { workspace: &workspace, steps: &steps, logs });
    let wanted = |part: Part| args.part == Part::All || args.part == part;

    thread::scope(|scope| {
        let (built, program) = mpsc::channel();
        if wanted(Part::Sources) {
            sources::format(checks);
        }
        let every = args.part == Part::EveryBoard;
        let has_boards = wanted(Part::Boards) || every;
        // Valgrind takes one core, when the boards are done: the tests of this PC the other.
        let has_secrets = wanted(Part::Secrets);
        scope.spawn(move || {
            if has_boards {
                boards(checks, &program, every);
            }
            if has_secrets {
                constant_time::run(checks);
            }
        });
        if wanted(Part::Host) {
            // Nobody listens if the boards are not wanted.
            let _ = built.send(host::build(checks));
            host::tests(checks);
            learn::run(checks);
        }
        if wanted(Part::Host) || args.part == Part::Course {
            course::run(checks);
        }
        // The boards' side builds the program if nobody else has.
        drop(built);
        if wanted(Part::Sources) {
            sources::lints(checks);
            dependencies::run(checks);
        }
    });
    checks.finish()
}

/// Everything for and on boards, or on those alone that others are like; `program` says whether
/// `sharelet` has been built.
fn boards(checks: &Checks<'_>, program: &Receiver<bool>, every: bool) {
    // The emulator comes while the compiler works.
    thread::scope(|scope| {
        let emulator = scope.spawn(|| checks.record("emulator", checks.setup.emulator()));
        let toolchain = targets::compiler(checks);
        let images = toolchain.map(|toolchain| firmware::build(checks, toolchain, every));
        let emulator = emulator.join().ok().flatten();
        let built = program.recv().unwrap_or(false)
            || checks.record("sharelet", checks.setup.sharelet(true)).is_some();
        match images {
            Some(images) if built && emulator.is_some() => emulated::run(checks, &images),
            _ => checks.skip(
                "runs on emulated boards",
                "the emulator, the firmware or sharelet is missing",
            ),
        }
        // Linting the firmware needs the compilers for the boards: it belongs to them.
        if let Some(toolchain) = toolchain {
            firmware::lints(checks, toolchain, every);
            panics::run(checks, toolchain);
        }
    });
}
