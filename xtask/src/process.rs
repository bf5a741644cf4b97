//! Child processes: a time-out for each, its output in a log, and none left behind.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::files::create_folder;

const POLL: Duration = Duration::from_millis(10);
/// How long a child has between being asked and being made to end.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of a log that are quoted when its program fails.
const QUOTED_LINES: usize = 40;

#[cfg(unix)]
const ENDING: [i32; 3] =
    [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const ENDING: [i32; 2] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Makes a signal end whatever is waited for, so that children are stopped on the way out.
///
/// More signals change nothing: a shell's `timeout` sends two at once, and the second must not end
/// this program before its children. They have [`GRACE`] to end.
pub fn watch_signals() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in ENDING {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .context("signals cannot be watched")?;
    }
    Ok(())
}

/// Fails after Ctrl-C or another signal to end.
pub fn check_interrupted() -> Result<()> {
    match INTERRUPTED.get() {
        Some(flag) if flag.load(Ordering::Relaxed) => bail!("interrupted"),
        _ => Ok(()),
    }
}

/// A program that runs beside this one. Dropping it ends it, with everything it started.
#[derive(Debug)]
pub struct Running {
    child: std::process::Child,
    name: String,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` without input; what it prints goes to `log`. Nothing starts any more once
    /// this program is being ended.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        check_interrupted()?;
        log.parent().map_or(Ok(()), create_folder)?;
        let file =
            File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let copy =
            file.try_clone().with_context(|| format!("{} cannot be written", log.display()))?;
        own_group(command).stdin(Stdio::null()).stdout(file).stderr(copy);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("`{program}` cannot be started"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned(), ended: None })
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of what it printed, for error messages.
    pub fn quote(&self) -> String {
        quote(&self.log)
    }

    /// Whether it has ended by itself.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        check_interrupted()?;
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .with_context(|| format!("{} cannot be waited for", self.name))?;
        }
        Ok(self.ended)
    }

    /// Waits for the end; an error if it takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.poll()? {
                return Ok(status);
            }
            if begin.elapsed() > limit {
                self.stop();
                bail!(
                    "{} did not end within {} s and was stopped{}",
                    self.name,
                    limit.as_secs(),
                    self.quote()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for a line that begins with `prefix`; gives its rest.
    pub fn wait_for_line(&mut self, prefix: &str, limit: Duration) -> Result<String> {
        let begin = Instant::now();
        loop {
            let ended = self.poll()?;
            let output = self.output();
            let complete = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if let Some(rest) = complete.lines().find_map(|line| line.strip_prefix(prefix)) {
                return Ok(rest.trim().to_owned());
            }
            if let Some(status) = ended {
                bail!("{} ended early ({status}){}", self.name, self.quote());
            }
            if begin.elapsed() > limit {
                bail!(
                    "{} did not print `{prefix}...` within {} s{}",
                    self.name,
                    limit.as_secs(),
                    self.quote()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Asks it to end, then makes it, with everything that it started and that outlives it. Gives
    /// its exit status.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            signal_group(&mut self.child, Signal::End);
            let begin = Instant::now();
            while self.ended.is_none() && begin.elapsed() < GRACE {
                self.ended = self.child.try_wait().unwrap_or(None);
                thread::sleep(POLL);
            }
            signal_group(&mut self.child, Signal::Kill);
        }
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
        self.ended
    }

    /// Ends it without asking.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            signal_group(&mut self.child, Signal::Kill);
            self.ended = self.child.wait().ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `command` to its end; an error that quotes its output if it fails or takes longer than
/// `limit`.
pub fn run(name: &str, command: &mut Command, log: &Path, limit: Duration) -> Result<String> {
    let mut running = Running::start(name, command, log)?;
    let status = running.wait(limit)?;
    if !status.success() {
        bail!("{name} failed ({status}){}", running.quote());
    }
    Ok(running.output())
}

/// Whether `command` can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs what ends soon; what it prints.
///
/// # Errors
///
/// If it cannot be started, or does not end well.
pub fn output(command: &mut Command) -> Result<String> {
    check_interrupted()?;
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What `command` prints, if it succeeds.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn quote(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(QUOTED_LINES)..).unwrap_or(&[]);
    if last.is_empty() {
        return format!("; it printed nothing ({})", log.display());
    }
    // Of many test programs, the one that failed may be far from the end.
    let earlier = lines.get(..lines.len() - last.len()).unwrap_or(&[]).iter();
    let before = [""].iter().chain(earlier.clone());
    let failed = earlier.zip(before).filter(|(line, before)| {
        // A panic's message is on the line behind its place.
        tells_of_failure(line) || before.contains("panicked at")
    });
    let failed: Vec<&str> = failed.map(|(line, _)| *line).take(QUOTED_LINES).collect();
    let before = match failed.len() {
        0 => String::new(),
        _ => format!("; of what failed:\n    {}", failed.join("\n    ")),
    };
    format!("{before}; the end of {}:\n    {}", log.display(), last.join("\n    "))
}

/// Whether a line of a test program's output names a test that failed, its reason or its seed.
fn tells_of_failure(line: &str) -> bool {
    line.ends_with("... FAILED")
        || line.starts_with("---- ")
        || line.starts_with("SHARELET_SEED=")
        || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_quoted_from_anywhere() {
        let log = std::env::temp_dir().join(format!("sharelet-quote-{}", std::process::id()));
        let ends = "test other::passes ... ok\n".repeat(2 * QUOTED_LINES);
        fs::write(&log, format!("test one::fails ... FAILED\n{ends}error: 1 target\n")).unwrap();
        let quoted = quote(&log);
        fs::remove_file(&log).unwrap();
        assert!(quoted.contains("test one::fails ... FAILED"), "{quoted}");
        assert!(quoted.ends_with("error: 1 target"), "{quoted}");
    }
}

#[derive(Clone, Copy)]
enum Signal {
    End,
    Kill,
}

/// A group of its own, so that Ctrl-C reaches this program alone, which then ends its children in
/// order.
#[cfg(unix)]
fn own_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(unix)]
fn signal_group(child: &mut std::process::Child, signal: Signal) {
    let signal = match signal {
        Signal::End => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    // A group that is gone needs no signal.
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), signal);
}

#[cfg(not(unix))]
fn own_group(command: &mut Command) -> &mut Command {
    command
}

#[cfg(not(unix))]
fn signal_group(child: &mut std::process::Child, _: Signal) {
    // A child that is gone needs no signal.
    let _ = child.kill();
}
