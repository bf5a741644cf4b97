//! Runs of the program that counts instructions on secrets: whether they depend on one.

use core::time::Duration;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::boards::{Arguments, Board};
use crate::files::create_folder;
use crate::inference;
use crate::report::Line;

/// The part that branches on a secret, to show that this is seen.
const LEAK: &str = "leak";
/// Parts of which a run counts every one.
const PARTS: [&str; 8] =
    ["encode", "ratchet", "handshake", "connect", "prepare", "infer", "seal", "open"];
/// Patterns of handshakes.
const PATTERNS: [&str; 3] = ["KKpsk0", "NNpsk0", "psk"];
const LIMIT: Duration = Duration::from_secs(1200);

/// Least and most instructions of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// What was counted.
    pub name: String,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// What a board counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Parts of sessions, the leak apart.
    pub parts: Vec<Range>,
    /// What the leak shows.
    pub leak: Range,
    /// A line for each pattern of handshakes.
    pub handshakes: Vec<Line>,
    /// The line about records.
    pub record: Line,
    /// A line for each keystream.
    pub keystreams: Vec<Line>,
}

/// Counts on `board`, with so many secrets, and so many handshakes of each pattern.
///
/// # Errors
///
/// If the board does not run, a session fails, or a line is missing.
pub fn run(
    board: &Board,
    image: &Path,
    folder: &Path,
    (secrets, handshakes): (u32, u32),
) -> Result<Counted> {
    create_folder(folder)?;
    let mut device = board.boot_alone(image, folder, &Arguments::counts(secrets, handshakes))?;
    let status = device.wait(LIMIT)?;
    let run = inference::follow(&mut device, &folder.join("report"), |_| Ok(()))?;
    let last = run.lines.last().map_or_else(|| "nothing".to_owned(), Line::short);
    ensure!(
        status.success() && run.line("done").is_some(),
        "the board ended with {status}; it reported last: {last}{}",
        device.quote()
    );
    let tagged = |tag: &'static str| run.lines.iter().filter(move |line| line.tag == tag);
    let part = |name: &str| {
        let found = tagged("part").find(|line| line.text("name") == Some(name));
        range(name, found.with_context(|| format!("{name} was not counted"))?)
    };
    let pattern = |name: &&str| {
        let found = tagged("handshake").find(|line| line.text("pattern") == Some(name));
        found.cloned().with_context(|| format!("{name} was not counted"))
    };
    Ok(Counted {
        parts: PARTS.into_iter().map(part).collect::<Result<_>>()?,
        leak: part(LEAK)?,
        handshakes: PATTERNS.iter().map(pattern).collect::<Result<_>>()?,
        record: run.line("record").context("no record was counted")?.clone(),
        keystreams: tagged("keystream").cloned().collect(),
    })
}

fn range(name: &str, line: &Line) -> Result<Range> {
    let (least, most) = (line.number("least")?, line.number("most")?);
    ensure!(least > 0 && least <= most, "{name} was never counted");
    Ok(Range { name: name.to_owned(), least, most })
}

impl Counted {
    /// The handshakes, as ranges.
    ///
    /// # Errors
    ///
    /// If a number is missing.
    pub fn handshake_ranges(&self) -> Result<Vec<Range>> {
        let named = |line: &Line| range(line.text("pattern").unwrap_or("no pattern"), line);
        self.handshakes.iter().map(named).collect()
    }

    /// An error if a count depends on a secret, or if the leak was not seen.
    ///
    /// # Errors
    ///
    /// Both.
    pub fn expect_equal(&self) -> Result<()> {
        ensure!(self.leak.least < self.leak.most, "a branch on a secret is not seen");
        for Range { name, least, most } in self.parts.iter().chain(&self.handshake_ranges()?) {
            ensure!(
                least == most,
                "{name} takes {least} to {most} instructions, depending on a secret"
            );
        }
        Ok(())
    }
}
