//! Power cuts of an emulated device between a real host and a real dealer: again and again on the
//! same flash, at instructions of every phase and within writes, by a seed.

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::boards::{Arguments, Board};
use crate::case::Case;
use crate::files::{read, write};
use crate::report::Line;
use crate::services::{ChannelKeys, Room, SECTOR_BYTES, Services};
use crate::workspace::Workspace;

/// The emulator's exit status after a cut.
const CUT_STATUS: i32 = 9;
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// Readings of a boot.
const READINGS: usize = 3;
/// So many boots on, the power stays: all readings must get their answers.
const WHOLE_EVERY: u64 = 8;
/// Of so many cuts one is within a write to flash.
const TORN_EVERY: u64 = 4;
/// The question for a number that is not answered, so that the device connects again with what its
/// first connection left.
const DROPPED: u64 = 1;
/// Bytes that are written for a session and for a connection.
const COUNTER_BYTES: u64 = 32;
const RATCHET_BYTES: usize = 224;

/// What a device was doing when its power failed.
pub const PHASES: [(&str, &str); 6] = [
    ("boot", "boot_and_handshake"),
    ("ask", "counter"),
    ("next", "order"),
    ("used", "preparation"),
    ("prepared", "online"),
    ("answered", "between"),
];

/// What came of the cuts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cuts.
    pub points: u64,
    /// Those within a write to flash.
    pub torn: u64,
    /// Cuts in each of [`PHASES`].
    pub phases: [u64; PHASES.len()],
    /// Numbers that were used or asked for a second time, or after a larger one.
    pub reused: u64,
    /// Boots that did not come to work again: an error, or fewer answers than readings.
    pub lost: u64,
    /// Answers that differ from the plaintext ones.
    pub wrong: u64,
    /// Answers that were right.
    pub right: u64,
    /// Session numbers that were used.
    pub used: u64,
    /// Boots on which the power stayed.
    pub whole: u64,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.torn += other.torn;
        self.phases.iter_mut().zip(other.phases).for_each(|(to, from)| *to += from);
        self.reused += other.reused;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.right += other.right;
        self.used += other.used;
        self.whole += other.whole;
    }

    /// An error unless nothing was reused, lost or wrong.
    pub fn expect_none(&self) -> Result<()> {
        let Self { points, reused, lost, wrong, .. } = self;
        ensure!(
            (*reused, *lost, *wrong) == (0, 0, 0),
            "of {points} cuts: {reused} numbers reused, {lost} boots lost, {wrong} answers wrong"
        );
        Ok(())
    }
}

/// What is cut.
#[derive(Clone, Copy, Debug)]
pub struct Campaign<'a> {
    /// Folders.
    pub workspace: &'a Workspace,
    /// The board.
    pub board: &'a Board,
    /// Its firmware, with the feature `cuts`.
    pub image: &'a Path,
    /// A model and readings.
    pub case: &'a Case,
    /// Where the room is made.
    pub folder: &'a Path,
    /// How its channels are made.
    pub channel: ChannelKeys,
    /// How many cuts there are.
    pub points: u64,
    /// Of all that is drawn.
    pub seed: u64,
}

/// Random numbers for drawing moments: `SplitMix64`.
struct Draw(u64);

impl Draw {
    /// Below `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % limit
    }
}

/// One boot: its events, its report, and how it ended.
struct Boot {
    events: Vec<Line>,
    lines: Vec<Line>,
    status: Option<i32>,
}

struct Run<'a> {
    campaign: &'a Campaign<'a>,
    room: Room,
    services: Services,
    expected: Vec<Line>,
    tally: Tally,
    /// The numbers that the device used, in order.
    used: BTreeSet<u64>,
    /// The ratchets' step.
    step: u64,
}

/// Cuts the power of a device as often as asked.
///
/// # Errors
///
/// If something cannot be run. What the cuts did is in the tally.
pub fn run(campaign: &Campaign<'_>) -> Result<Tally> {
    let Campaign { workspace, case, folder, channel, seed, .. } = *campaign;
    let room = Room::new(workspace, folder)?;
    let expected = room.twin(&case.model, &case.inputs, Some(READINGS))?;
    room.provision_flash(channel)?;
    let services = room.services(&case.model, "device")?;
    let (used, tally) = (BTreeSet::new(), Tally::default());
    let mut run = Run { campaign, room, services, expected, tally, used, step: 0 };
    let mut draw = Draw(seed);
    // The times of events, for boots that connect once and twice.
    let mut times = [run.whole(false)?, run.whole(true)?];
    let mut boots = 0_u64;
    while run.tally.points < campaign.points {
        boots += 1;
        ensure!(boots < 8 * campaign.points + 100, "the power hardly ever fails");
        let twice = draw.below(4) == 0;
        let Some(times) = times.get_mut(usize::from(twice)) else { continue };
        if boots.is_multiple_of(WHOLE_EVERY) {
            *times = run.whole(twice)?;
            continue;
        }
        let plan = if draw.below(TORN_EVERY) == 0 {
            // Among the bytes of a boot; where one begins with an erasure, that is cut.
            let ratchets = if channel == ChannelKeys::Psk { RATCHET_BYTES as u64 } else { 0 };
            let erasure = if draw.below(4) == 0 { SECTOR_BYTES as u64 } else { 0 };
            let bytes = draw.below((READINGS as u64) * COUNTER_BYTES + ratchets + erasure);
            ("tear", format!("{bytes}:{}", draw.below(256)))
        } else {
            let event = draw.below(times.len() as u64 - 1);
            let pairs = times.iter().zip(times.iter().skip(1)).zip(0_u64..);
            let length = pairs
                .filter(|(_, number)| *number == event)
                .map(|((begin, end), _)| end.saturating_sub(*begin))
                .sum::<u64>();
            // What waits for the network takes more or less time.
            let length = length * 9 / 8 + 1;
            ("cut", format!("{event}:{}", draw.below(length)))
        };
        run.cut(plan.0, &plan.1, twice)?;
    }
    run.whole(false)?;
    run.finish()
}

impl Run<'_> {
    fn boot(&mut self, twice: bool, plan: Option<(&str, &str)>) -> Result<Boot> {
        let mut arguments = Arguments::session(self.services.host.port, READINGS)
            .with("counter", "device.born")
            .with("events", "events");
        if self.campaign.channel == ChannelKeys::Psk {
            arguments = arguments.with("ratchets", "device.ratchets");
        }
        if twice {
            arguments = arguments.with("drop", &DROPPED.to_string()).with("retries", "1");
        }
        if let Some((key, value)) = plan {
            arguments = arguments.with(key, value);
        }
        let Campaign { board, image, .. } = self.campaign;
        write(&self.room.path("events"), "")?;
        let mut device = board.boot(image, self.room.folder(), &arguments)?;
        let status = device.wait(BOOT_LIMIT)?.code();
        let [events, lines] = ["events", "report"].map(|name| lines(&self.room.path(name)));
        let boot = Boot { events: events?, lines: lines?, status };
        self.judge(&boot, twice)?;
        Ok(boot)
    }

    /// What holds of every boot, cut or not.
    fn judge(&mut self, boot: &Boot, twice: bool) -> Result<()> {
        // What the device's flash says is next, and what was used then: the host would not grant a
        // number again, whatever the device asks for.
        for event in &boot.events {
            let [next, used] = ["next", "used"].map(|tag| event.tag == tag);
            if !next && !used {
                continue;
            }
            let number = event.number("number")?;
            let largest = self.used.last().copied();
            if largest.is_some_and(|largest| number <= largest) {
                eprintln!("{} {number}, after {}", event.tag, largest.unwrap_or_default());
                self.tally.reused += 1;
            }
            if used {
                self.used.insert(number);
            }
        }
        let answers = boot.lines.iter().filter(|line| line.tag == "answer");
        for (answer, plain) in answers.zip(&self.expected) {
            // The last line may be cut; a whole one ends with the fraction bits.
            if answer.text("frac_bits").is_none() {
                continue;
            }
            let agrees = answer.values()? == plain.values()?;
            let count = if agrees { &mut self.tally.right } else { &mut self.tally.wrong };
            *count += 1;
        }
        let asked = boot.events.iter().filter(|event| event.tag == "ask").count() as u64;
        let mut forgiven = u32::from(twice && asked > DROPPED);
        for error in boot.lines.iter().filter_map(Line::error) {
            if error == "Counter" && forgiven > 0 {
                forgiven -= 1;
                continue;
            }
            eprintln!("a boot failed: {error}; it is number {}", self.tally.points);
            self.tally.lost += 1;
        }
        if self.campaign.channel == ChannelKeys::Psk {
            let step = newest_step(&self.room.path("device.ratchets"))?;
            // A device that asked for a number had a channel, and for each a step of its own.
            let least = self.step + u64::from(asked > 0);
            if step < least {
                eprintln!("the ratchet is at step {step}, where {least} was to be expected");
                self.tally.lost += 1;
            }
            self.step = step;
        }
        Ok(())
    }

    /// A boot on which the power stays: everything must go well. Gives the times of its events.
    fn whole(&mut self, twice: bool) -> Result<Vec<u64>> {
        let boot = self.boot(twice, None)?;
        self.tally.whole += 1;
        let answers = boot.lines.iter().filter(|line| line.tag == "answer").count();
        let done = boot.lines.iter().any(|line| line.tag == "done");
        if boot.status != Some(0) || answers != READINGS || !done {
            eprintln!("a boot without a cut gave {answers} answers and {:?}", boot.status);
            self.tally.lost += 1;
        }
        ensure!(boot.events.len() > 1, "the device reports no events");
        boot.events.iter().map(|event| event.number("at")).collect()
    }

    fn cut(&mut self, key: &str, value: &str, twice: bool) -> Result<()> {
        let boot = self.boot(twice, Some((key, value)))?;
        match boot.status {
            Some(CUT_STATUS) => {
                self.tally.points += 1;
                self.tally.torn += u64::from(key == "tear");
                let last = boot.events.last().map_or("boot", |event| event.tag.as_str());
                for ((tag, _), count) in PHASES.iter().zip(&mut self.tally.phases) {
                    *count += u64::from(last == *tag);
                }
            }
            // The moment was after the end.
            Some(0) => {}
            // An error, which was counted with its line.
            Some(_) if boot.lines.iter().any(|line| line.error().is_some()) => {}
            status => {
                eprintln!("a boot ended with {status:?}, and without saying why");
                self.tally.lost += 1;
            }
        }
        Ok(())
    }

    /// What the host saw, and how the servers end.
    fn finish(mut self) -> Result<Tally> {
        let log = self.services.host.process.output();
        let mut seen = BTreeSet::new();
        for line in log.lines().filter(|line| line.contains(" prepared ")) {
            let session = line.split("session=").nth(1).and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
            });
            let session = session.with_context(|| format!("no session in `{line}`"))?;
            if !seen.insert(session) {
                eprintln!("the host was sent session {session} twice");
                self.tally.reused += 1;
            }
            ensure!(self.used.contains(&session), "the device did not say that it used {session}");
        }
        ensure!(seen.len() as u64 >= self.tally.right / 2, "the host says too little");
        self.tally.used = self.used.len() as u64;
        for (name, server) in
            [("host", &mut self.services.host), ("dealer", &mut self.services.dealer)]
        {
            match server.process.stop() {
                Some(status) if status.success() => {}
                _ => bail!("the {name} did not end as asked{}", server.process.quote()),
            }
        }
        Ok(self.tally)
    }
}

/// The lines of a file that need not be there; the last one may be cut.
fn lines(path: &Path) -> Result<Vec<Line>> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            Ok(whole.lines().map(Line::parse).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// The step of the newest whole record: number first, the complement of the first half behind it.
fn newest_step(path: &Path) -> Result<u64> {
    let bytes = read(path)?;
    let sectors = bytes.chunks(SECTOR_BYTES);
    let records = sectors.flat_map(|sector| sector.chunks_exact(RATCHET_BYTES));
    let whole = records.filter(|record| {
        let (first, second) = record.split_at(RATCHET_BYTES / 2);
        first.iter().zip(second).all(|(first, second)| *first == !*second)
    });
    let steps = whole.filter_map(|record| record.first_chunk()).copied().map(u64::from_le_bytes);
    steps.max().context("no record of the ratchets is left")
}
