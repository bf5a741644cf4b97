//! Follows a device while it infers, and holds every answer against the plaintext one.

use core::time::Duration;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::Running;
use crate::report::{Follower, Line};

const POLL: Duration = Duration::from_millis(20);
/// How long the host may take to print an answer.
const HOST_LIMIT: Duration = Duration::from_secs(10);
/// The longest time between two lines of a report.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// An answer of a device, beside the plaintext one.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the device reported about the preparation.
    pub session: Line,
    /// What it reported about the online phase.
    pub private: Line,
    /// The private answer's integers.
    pub values: Vec<i64>,
    /// What `sharelet twin` says about the same reading.
    pub plain: Line,
    /// Whether both are the same integers.
    pub agrees: bool,
}

impl Answer {
    /// Bytes that the device sent, from the request of a session to the answer.
    pub fn bytes_up(&self) -> Result<u64> {
        Ok(self.session.number("bytes_up")? + self.private.number("bytes_up")?)
    }

    /// Bytes that the device received.
    pub fn bytes_down(&self) -> Result<u64> {
        Ok(self.session.number("bytes_down")? + self.private.number("bytes_down")?)
    }
}

/// All that a device reported.
#[derive(Debug)]
pub struct Run {
    /// Every line.
    pub lines: Vec<Line>,
    /// How the device ended.
    pub status: ExitStatus,
}

impl Run {
    /// The first line with this tag.
    pub fn line(&self, tag: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.tag == tag)
    }

    /// The names of the errors in the report.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(Line::error)
    }

    /// The session numbers that were used.
    pub fn sessions(&self) -> Result<Vec<u64>> {
        self.lines
            .iter()
            .filter(|line| line.tag == "session")
            .map(|line| line.number("number"))
            .collect()
    }
}

/// The answer of session `number`, which the host prints when it has it: perhaps after the device
/// has reported.
fn told_by_host(host: &Running, number: u64) -> Result<Vec<i64>> {
    let begin = Instant::now();
    while begin.elapsed() < HOST_LIMIT {
        let output = host.output();
        let complete = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let mut lines =
            complete.lines().filter(|line| line.starts_with("device=")).map(Line::parse);
        if let Some(line) =
            lines.find(|line| line.number("session").is_ok_and(|session| session == number))
        {
            return line.values();
        }
        thread::sleep(POLL);
    }
    bail!("neither the device nor the host has the answer of session {number}{}", host.quote())
}

/// Waits for the device to end; `on_line` gets every line as it comes.
pub fn follow(
    device: &mut Running,
    report: &Path,
    mut on_line: impl FnMut(&Line) -> Result<()>,
) -> Result<Run> {
    let mut follower = Follower::new(report);
    let mut lines = Vec::new();
    let mut heard = Instant::now();
    loop {
        // Asked before reading, so that the last lines are not missed.
        let ended = device.poll()?;
        for line in follower.new_lines() {
            on_line(&line)?;
            lines.push(line);
            heard = Instant::now();
        }
        if let Some(status) = ended {
            return Ok(Run { lines, status });
        }
        if heard.elapsed() > SILENCE_LIMIT {
            bail!(
                "the device reported nothing for {} s{}",
                SILENCE_LIMIT.as_secs(),
                device.quote()
            );
        }
        thread::sleep(POLL);
    }
}

/// Follows a device through all of `expected`; `on_answer` gets every answer as it comes.
///
/// An answer that only the host learns is taken from what `host` prints.
///
/// An error if the device fails. Disagreement is not an error here: it is in the answers.
pub fn infer(
    device: &mut Running,
    report: &Path,
    expected: &[Line],
    host: &Running,
    mut on_answer: impl FnMut(&Answer) -> Result<()>,
) -> Result<(Vec<Answer>, Run)> {
    let mut session = Line::parse("session");
    let mut answers = Vec::new();
    let run = follow(device, report, |line| {
        if line.tag == "session" {
            session = line.clone();
        } else if line.tag == "answer" {
            let Some(plain) = expected.get(answers.len()) else {
                bail!("the device gave more answers than it was asked for")
            };
            let values = match line.values()? {
                values if values.is_empty() => told_by_host(host, session.number("number")?)?,
                values => values,
            };
            let agrees = values == plain.values()?;
            let answer = Answer {
                session: session.clone(),
                private: line.clone(),
                values,
                plain: plain.clone(),
                agrees,
            };
            on_answer(&answer)?;
            answers.push(answer);
        }
        Ok(())
    })?;
    if !run.status.success() || answers.len() < expected.len() || run.line("done").is_none() {
        let last = run.lines.last().map_or_else(|| "nothing".to_owned(), Line::short);
        let (got, of) = (answers.len(), expected.len());
        bail!(
            "the device ended ({}) after {got} of {of} answers; it reported last: {last}{}",
            run.status,
            device.quote()
        );
    }
    Ok((answers, run))
}
