//! What a board does when something is wrong: a named error and an exit status, or another attempt
//! that works.

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::boards::{Arguments, Board};
use crate::case::Case;
use crate::files::{read, write};
use crate::inference::{self, Run};
use crate::report::Line;
use crate::services::{Room, Services};
use crate::workspace::Workspace;

/// What the checks run on.
#[derive(Debug)]
pub struct Context<'a> {
    /// Folders.
    pub workspace: &'a Workspace,
    /// The board.
    pub board: &'a Board,
    /// Its firmware.
    pub image: &'a Path,
    /// A model and readings.
    pub case: &'a Case,
    /// Where the rooms are made.
    pub folder: &'a Path,
}

type Check = fn(&Context<'_>) -> Result<()>;

/// Every check, with what it shows.
pub const ALL: [(&str, Check); 7] = [
    ("a device that the host is not paired with is refused", unpaired_device),
    ("a device that the dealer does not know is refused", unknown_device),
    ("a device without a key says so", missing_key),
    ("a session counter that goes back uses no number twice", counter_goes_back),
    ("a session counter that is lost is not made anew", counter_lost),
    ("a host that is killed is reconnected to", host_killed),
    ("readings of another width are refused", wrong_width),
];

impl Context<'_> {
    /// A room with readings, and a device that is provisioned; and the plaintext answers.
    fn room(&self, name: &str) -> Result<(Room, Vec<Line>)> {
        let room = Room::new(self.workspace, &self.folder.join(name))?;
        let twin = room.twin(&self.case.model, &self.case.inputs, None)?;
        room.provision(true)?;
        Ok((room, twin))
    }

    fn services(&self, room: &Room) -> Result<Services> {
        room.services(&self.case.model, "device")
    }

    fn boot(
        &self,
        room: &Room,
        arguments: &Arguments,
        on_line: impl FnMut(&Line) -> Result<()>,
    ) -> Result<Run> {
        let mut device = self.board.boot(self.image, room.folder(), arguments)?;
        inference::follow(&mut device, &room.path("report"), on_line)
    }

    /// Boots and expects the run to fail with one of the errors `names`.
    fn expect_error(&self, room: &Room, arguments: &Arguments, names: &[&str]) -> Result<()> {
        let run = self.boot(room, arguments, |_| Ok(()))?;
        let last = run.lines.last().map_or_else(|| "nothing".to_owned(), Line::short);
        ensure!(!run.status.success(), "the device ended successfully; it reported last: {last}");
        ensure!(
            run.errors().any(|error| names.contains(&error)),
            "no error is called {}; last: {last}",
            names.join(" or ")
        );
        ensure!(run.line("answer").is_none(), "the device gave an answer");
        Ok(())
    }
}

fn unpaired_device(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("paired")?;
    let (elsewhere, _) = context.room("stranger")?;
    copy(&elsewhere.path("device.page"), &room.path("device.page"))?;
    let services = context.services(&room)?;
    context.expect_error(&room, &Arguments::session(services.host.port, 1), &["Channel"])
}

fn unknown_device(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("known")?;
    room.provision_elsewhere()?;
    let services = context.services(&room)?;
    context.expect_error(&room, &Arguments::session(services.host.port, 1), &["Refused"])
}

fn missing_key(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("missing-key")?;
    write(&room.path("device.page"), [0xFF; 416])?;
    let services = context.services(&room)?;
    context.expect_error(&room, &Arguments::session(services.host.port, 1), &["Key"])
}

/// The device forgets its last sessions. The host, which remembers them, refuses or goes on behind
/// them.
fn counter_goes_back(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("forgetful")?;
    let services = context.services(&room)?;
    let arguments = Arguments::session(services.host.port, 3);
    let first = context.boot(&room, &arguments, |_| Ok(()))?;
    ensure!(first.status.success(), "the first run failed{}", services.host.process.quote());
    let used = first.sessions()?;
    ensure!(used.len() >= 3, "{} sessions were reported where there were 3", used.len());

    let counter = room.path("device.counter");
    let mut bytes = read(&counter)?;
    bytes.get_mut(..8).context("a counter has 16 bytes")?.copy_from_slice(&1_u64.to_le_bytes());
    write(&counter, bytes)?;
    let second = context.boot(&room, &arguments, |_| Ok(()))?;
    let repeated = second.sessions()?.into_iter().find(|session| used.contains(session));
    ensure!(repeated.is_none(), "session {} was used twice", repeated.unwrap_or_default());
    let refused = second.errors().any(|error| error == "Refused" || error == "SessionNumber");
    ensure!(second.status.success() || refused, "the second run neither worked nor was refused");
    Ok(())
}

/// The counter's file is gone, or another key's.
fn counter_lost(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("lost")?;
    let services = context.services(&room)?;
    let arguments = Arguments::session(services.host.port, 1);
    let counter = room.path("device.counter");
    let mut bytes = read(&counter)?;
    fs::remove_file(&counter).context("the counter cannot be removed")?;
    context.expect_error(&room, &arguments, &["Arguments"])?;
    ensure!(!counter.exists(), "a counter was made anew");
    bytes.last_mut().context("a counter has 16 bytes").map(|byte| *byte ^= 1)?;
    write(&counter, bytes)?;
    context.expect_error(&room, &arguments, &["Counter"])
}

/// The host is killed between two readings or within one, and started again at the same port.
fn host_killed(context: &Context<'_>) -> Result<()> {
    const REPEATS: usize = 15;
    let (room, twin) = context.room("patient")?;
    let rows = read(&room.path("inputs.f32"))?;
    // A reading that is lost with its session is not repeated, so there are more than are asked
    // for.
    write(&room.path("inputs.f32"), rows.repeat(REPEATS + 1))?;
    let count = twin.len() * REPEATS;

    let dealer = room.dealer()?;
    let mut host = room.host(&context.case.model, dealer.port, 0, "device")?;
    let port = host.port;
    let mut answers: Vec<Vec<i64>> = Vec::new();
    let arguments = Arguments::session(port, count).with("retries", "20");
    let run = context.boot(&room, &arguments, |line| {
        if line.tag == "answer" {
            answers.push(line.values()?);
            if answers.len() == twin.len() {
                host.process.kill();
                thread::sleep(Duration::from_millis(300));
                host = room.host(&context.case.model, dealer.port, port, "device")?;
            }
        }
        Ok(())
    })?;
    ensure!(run.status.success(), "the device gave up{}", host.process.quote());
    ensure!(answers.len() == count, "{} answers where {count} were asked for", answers.len());
    ensure!(run.errors().next().is_some(), "the host was killed too late to be noticed");
    let mut expected = twin.iter().cycle().take(twin.len() * (REPEATS + 1)).map(Line::values);
    for (index, answer) in answers.iter().enumerate() {
        let in_order = expected.any(|plain| plain.is_ok_and(|plain| &plain == answer));
        ensure!(in_order, "answer {index} is not that of any later reading");
    }
    let sessions = run.sessions()?;
    ensure!(sessions.is_sorted_by(|before, after| before < after), "session numbers do not grow");
    Ok(())
}

fn wrong_width(context: &Context<'_>) -> Result<()> {
    let (room, _) = context.room("misfit")?;
    let rows = read(&room.path("inputs.f32"))?;
    let Some(cut) = rows.get(..rows.len() - 4) else { bail!("inputs.f32 is empty") };
    write(&room.path("inputs.f32"), cut)?;
    let services = context.services(&room)?;
    let arguments = Arguments::session(services.host.port, 1);
    context.expect_error(&room, &arguments, &["Sensor", "InputWidth"])
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).with_context(|| format!("{} cannot be copied", from.display()))
}
