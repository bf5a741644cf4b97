//! Two parties in one process, a thread each, on correlations that were dealt before: how fast they
//! are, and what they get.

use core::time::Duration;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, RecvError, SendError, Sender, channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::offline::{Deal, Expand, Offline, Task, Usage};
use sharelet_core::functions::engine::party::{Expanded, Party, Received, Source};
use sharelet_core::functions::engine::{Comparison, Link};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;

use crate::run::{Job, Room, apply, usage};

/// Bytes of correlations of all batches of both parties together, about.
const CORRELATION_BYTES: u64 = 192 << 20;
/// Elements of a batch, at most: shares and messages stay in a cache.
const MAX_BATCH: u64 = 8192;
const MIN_BATCH: u64 = 32;
const MAX_BATCHES: u64 = 16;
/// Rounds of a measurement; the best counts, as other programs run on the machine.
pub const ROUNDS: usize = 5;

/// How fast.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Elements that both parties together do in a second.
    pub elements_per_second: f64,
    /// Elements that the slower party does in a second of its processor's time, where the system
    /// tells it: without what other programs on the machine take.
    pub elements_per_processor_second: Option<f64>,
    /// Elements of a batch.
    pub batch: usize,
}

/// A party's end of a link through memory.
struct Channel {
    to_peer: Sender<Vec<u8>>,
    from_peer: Receiver<Vec<u8>>,
    spare: Vec<u8>,
}

/// The peer has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl From<RecvError> for Gone {
    fn from(_: RecvError) -> Self {
        Self
    }
}

impl From<SendError<Vec<u8>>> for Gone {
    fn from(_: SendError<Vec<u8>>) -> Self {
        Self
    }
}

impl core::fmt::Display for Gone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the peer has stopped")
    }
}

fn link() -> (Channel, Channel) {
    let ((to_1, from_0), (to_0, from_1)) = (channel(), channel());
    let end = |to_peer, from_peer| Channel { to_peer, from_peer, spare: Vec::new() };
    (end(to_1, from_1), end(to_0, from_0))
}

impl Link for &mut Channel {
    type Error = Gone;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Gone> {
        // The buffer that came last goes back with the next message.
        let mut message = core::mem::take(&mut self.spare);
        message.clear();
        own.iter().for_each(|own| message.extend_from_slice(own));
        self.to_peer.send(message)?;
        let message = self.from_peer.recv()?;
        let mut rest = &message[..];
        for peer in peer {
            let (head, tail) = rest.split_at_checked(peer.len()).ok_or(Gone)?;
            peer.copy_from_slice(head);
            rest = tail;
        }
        self.spare = message;
        Ok(())
    }
}

/// Both parties' correlations of a batch.
struct Dealt {
    expanded: Vec<u8>,
    received: Vec<u8>,
}

/// Runs a job without data.
fn offline<R: Ring>(job: Job, elements: usize, task: impl Task) -> Result<()> {
    let mut engine = Offline::new(task, Comparison::Tables);
    Ok(embassy_futures::block_on(apply(&mut engine, job, &mut Room::<R>::new(job, elements)))?)
}

fn deal<R: Ring>(job: Job, elements: usize, usage: &Usage, session: u64) -> Result<Dealt> {
    let keystream = Keystream::<ChaCha12>::new(&Key::from_bytes([7; 32]));
    let mut dealt = Dealt {
        expanded: vec![0; usize::try_from(usage.expanded_bytes)?],
        received: vec![0; usize::try_from(usage.dealt_bytes)?],
    };
    let rng = ChaCha20Rng::seed_from_u64(session);
    offline::<R>(job, elements, Deal::new(&keystream, session, rng, &mut dealt.received))?;
    offline::<R>(
        job,
        elements,
        Expand::new(&keystream, SessionToken::consumed(session), &mut dealt.expanded),
    )?;
    Ok(dealt)
}

/// One party: its share of the operands, and room for messages.
struct Side<R> {
    room: Room<R>,
    work: Vec<u8>,
    channel: Channel,
}

impl<R: Ring> Side<R> {
    fn run(&mut self, job: Job, source: impl Source) -> Result<()> {
        let mut engine = Party::new(source, &mut self.channel, &mut self.work, Comparison::Tables);
        embassy_futures::block_on(apply(&mut engine, job, &mut self.room))
            .map_err(|error| anyhow::anyhow!("{error}"))
    }
}

/// Two parties with shares of `operands`.
fn sides<R: Ring>(
    job: Job,
    operands: &Room<R>,
    elements: usize,
    work_bytes: usize,
) -> (Side<R>, Side<R>) {
    let (channel_0, channel_1) = link();
    let side =
        |channel| Side { room: Room::<R>::new(job, elements), work: vec![0; work_bytes], channel };
    let (mut side_0, mut side_1) = (side(channel_0), side(channel_1));
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let shares = side_0.room.operands.iter_mut().zip(&mut side_1.room.operands);
    for ((words_0, words_1), words) in shares.zip(&operands.operands) {
        for ((word_0, word_1), &word) in words_0.iter_mut().zip(words_1).zip(words) {
            *word_0 = R::from_u64(rng.next_u64());
            *word_1 = word.sub(*word_0);
        }
    }
    (side_0, side_1)
}

/// What two parties get: the results in `room`, whose operands they share.
///
/// # Errors
/// If the function does not exist for these fraction bits.
pub fn reveal<R: Ring>(job: Job, room: &mut Room<R>, elements: usize) -> Result<()> {
    let usage = usage::<R>(job, elements)?;
    let dealt = deal::<R>(job, elements, &usage, 1)?;
    let (mut side_0, mut side_1) = sides(job, room, elements, usage.work_bytes);
    thread::scope(|scope| {
        let other = scope.spawn(|| side_1.run(job, Received::new(&dealt.received)));
        side_0.run(job, Expanded::new(&dealt.expanded))?;
        other.join().unwrap_or_else(|_| bail!("a party stopped"))
    })?;
    let shares = side_0.room.out.iter().zip(&side_1.room.out);
    for (out, (&share_0, &share_1)) in room.out.iter_mut().zip(shares) {
        *out = share_0.add(share_1);
    }
    Ok(())
}

/// The time that a processor has spent on this thread.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Runs `work`; the processor's time that it took.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<Option<Duration>> {
    let begin = processor_time();
    work()?;
    Ok(processor_time().zip(begin).map(|(end, begin)| end.saturating_sub(begin)))
}

/// Elements of a batch, and batches, for correlations of about the right size.
fn sizes<R: Ring>(job: Job) -> Result<(u64, u64)> {
    let one = usage::<R>(job, 64)?;
    let element_bytes = (one.dealt_bytes + one.expanded_bytes).div_ceil(64).max(1);
    let batch = (CORRELATION_BYTES / 8 / element_bytes).clamp(MIN_BATCH, MAX_BATCH);
    let batch = 1 << batch.ilog2();
    Ok((batch, (CORRELATION_BYTES / (batch * element_bytes)).clamp(1, MAX_BATCHES)))
}

/// How many elements both parties do in a second, each on a core of its own, for at least `time`
/// per round.
///
/// # Errors
/// If the function does not exist for these fraction bits.
pub fn speed<R: Ring>(
    job: Job,
    fill: impl Fn(&mut Room<R>, usize),
    time: Duration,
) -> Result<Speed> {
    let (batch, batches) = sizes::<R>(job)?;
    let elements = usize::try_from(batch)?;
    let usage = usage::<R>(job, elements)?;
    let dealt = (0..batches)
        .map(|session| deal::<R>(job, elements, &usage, session))
        .collect::<Result<Vec<_>>>()?;
    let mut operands = Room::new(job, elements);
    fill(&mut operands, elements);
    let (mut side_0, mut side_1) = sides(job, &operands, elements, usage.work_bytes);
    let mut round = |passes: usize| -> Result<(Duration, Option<Duration>)> {
        let barrier = Barrier::new(2);
        let (side_0, side_1, dealt, barrier) = (&mut side_0, &mut side_1, &dealt, &barrier);
        let all = move || (0..passes).flat_map(move |_| dealt);
        thread::scope(|scope| {
            let other = scope.spawn(move || {
                barrier.wait();
                timed(|| {
                    all().try_for_each(|dealt| side_1.run(job, Received::new(&dealt.received)))
                })
            });
            barrier.wait();
            let begin = Instant::now();
            let own = timed(|| {
                all().try_for_each(|dealt| side_0.run(job, Expanded::new(&dealt.expanded)))
            })?;
            let peer = other.join().unwrap_or_else(|_| bail!("a party stopped"))?;
            Ok((begin.elapsed(), own.max(peer)))
        })
    };
    round(1)?;
    let once = round(1)?.0.max(Duration::from_micros(1));
    let passes = usize::try_from(time.as_nanos().div_ceil(once.as_nanos()))?.max(1);
    let rounds = (0..ROUNDS).map(|_| round(passes)).collect::<Result<Vec<_>>>()?;
    #[allow(clippy::cast_precision_loss)]
    let done = (passes * elements * dealt.len()) as f64;
    let best = |times: &mut dyn Iterator<Item = Duration>| {
        times.min().map(|time| done / time.as_secs_f64())
    };
    Ok(Speed {
        elements_per_second: best(&mut rounds.iter().map(|round| round.0)).context("no round")?,
        elements_per_processor_second: best(
            &mut rounds.iter().filter_map(|round| round.1).filter(|time| !time.is_zero()),
        ),
        batch: elements,
    })
}
