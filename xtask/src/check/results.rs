//! What has passed, failed and been skipped; shared by checks that run side by side.

use core::time::Duration;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::process;
use crate::setup::Setup;

/// The longest that a check may take.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// Runs checks and keeps their results.
#[derive(Debug)]
pub struct Checks<'a> {
    /// Folders, progress, and programs.
    pub setup: Setup<'a>,
    results: Mutex<Results>,
}

#[derive(Debug, Default)]
struct Results {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl<'a> Checks<'a> {
    /// Nothing has been checked yet.
    pub fn new(setup: Setup<'a>) -> Self {
        Self { setup, results: Mutex::default() }
    }

    /// Takes the result of a check; an error is printed, and counts.
    pub fn record<T>(&self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.change(|results| results.passed += 1);
                Some(value)
            }
            // Whatever runs when the program is ended fails: that says nothing.
            Err(_) if process::check_interrupted().is_err() => None,
            Err(error) => {
                self.setup.steps.note(&format!("{name}: {error:#}"));
                self.change(|results| results.failed.push(name.to_owned()));
                None
            }
        }
    }

    /// Runs a check as a step.
    pub fn check<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        process::check_interrupted().ok()?;
        let result = self.setup.steps.step(name, work);
        self.record(name, result)
    }

    /// Says that a check is left out, and why.
    pub fn skip(&self, name: &str, reason: &str) {
        self.setup.steps.note(&format!("{name}: skipped, {reason}"));
        self.change(|results| results.skipped.push(format!("{name} ({reason})")));
    }

    /// Runs a program as a check; whether it succeeded.
    pub fn command(&self, name: &str, command: &mut Command) -> bool {
        let log: String = name
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let log = self.setup.logs.join(format!("{log}.log"));
        self.check(name, || process::run(name, command, &log, LIMIT)).is_some()
    }

    /// Runs cargo in the checkout as a check, with arguments between single blanks.
    pub fn cargo(&self, name: &str, arguments: &str) -> bool {
        let mut cargo = self.setup.workspace.cargo();
        cargo.args(arguments.split(' ')).env("RUSTDOCFLAGS", "-D warnings");
        self.command(name, &mut cargo)
    }

    /// The same in the firmware's workspace.
    pub fn cargo_of_firmware(&self, name: &str, arguments: &str) -> bool {
        let mut cargo = self.setup.workspace.cargo();
        cargo.current_dir(self.setup.workspace.firmware()).args(arguments.split(' '));
        self.command(name, &mut cargo)
    }

    /// Prints the results.
    ///
    /// # Errors
    ///
    /// If a check failed, or the program is being ended.
    pub fn finish(&self) -> Result<()> {
        process::check_interrupted()?;
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let Results { passed, failed, skipped } = &*results;
        for name in skipped {
            println!("skipped: {name}");
        }
        for name in failed {
            println!("failed: {name}");
        }
        println!("total time {:.0} s", self.setup.steps.seconds());
        println!("{passed} passed, {} failed, {} skipped", failed.len(), skipped.len());
        match failed.len() {
            0 => Ok(()),
            failed => bail!("{failed} checks failed"),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Results)) {
        change(&mut self.results.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
