//! Random OTs a second, and bytes for each: both parties alone in a thread of their own, over
//! buffers in memory. Silent OTs in one thread: as many as the slower party makes in a second.
//!
//! ```console
//! $ cargo run --release -p sharelet-ot --example transfers
//! ```

use core::error::Error;
use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sharelet_ot::base::{self, Chosen, Pairs};
use sharelet_ot::{Block, OtError, extension, silent};

/// OTs of a call.
const COUNT: usize = 1 << 20;

/// Calls.
const CALLS: u32 = 16;

/// OTs that are read at once.
const READ: usize = 1024;

/// A clock that stands while others have the core, where the system has one (Linux).
struct Work(Duration, Instant);

impl Work {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
        Self(Duration::from_nanos(nanoseconds.unwrap_or_default()), Instant::now())
    }

    fn elapsed(&self) -> Duration {
        let now = Self::now();
        if now.0.is_zero() { self.1.elapsed() } else { now.0.saturating_sub(self.0) }
    }
}

type Bytes = Vec<u8>;

/// What a party's thread gives: its time at work, the bytes it sent, and a word of its blocks, so
/// that none are left out.
type Figures = Result<(Duration, usize, Block), OtError>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha20Rng::from_seed(getrandom_seed()?);
    let begin = Instant::now();
    let (sender, from_sender) = base::Sender::new(&mut rng);
    let (receiver, from_receiver) = base::Receiver::new(&mut rng);
    let (pairs, chosen) = (sender.finish(&from_receiver)?, receiver.finish(&from_sender)?);
    println!("base OTs, both parties: {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    println!("| k | million OTs/s | bytes/OT | sender, ns/OT | receiver, ns/OT |");
    println!("|---|---|---|---|---|");
    for field in [extension::FieldBits::One, extension::FieldBits::Two, extension::FieldBits::Four]
    {
        let (to_sender, from_receiver) = channel();
        let (to_receiver, from_sender) = channel();
        let (chosen, begin) = (&chosen, Instant::now());
        let (sent, received) = thread::scope(|scope| {
            let sent = scope.spawn(move || send(chosen, field, &to_receiver, &from_receiver));
            let received = receive(&pairs, field, &to_sender, &from_sender);
            drop(to_sender);
            (sent.join(), received)
        });
        let elapsed = begin.elapsed().as_secs_f64();
        let sent = sent.map_err(|_| "the sender's thread ended")??;
        let received = received?;
        let ots = f64::from(CALLS) * COUNT as f64;
        println!(
            "| {} | {:.1} | {:.2} | {:.1} | {:.1} |",
            field.bits(),
            ots / elapsed / 1e6,
            (sent.1 + received.1) as f64 / ots,
            sent.0.as_secs_f64() * 1e9 / ots,
            received.0.as_secs_f64() * 1e9 / ots,
        );
        core::hint::black_box((sent.2, received.2));
    }
    silent(&pairs, &chosen)?;
    Ok(())
}

/// Silent OTs: one call after the other, both parties in this thread.
fn silent(pairs: &Pairs, chosen: &Chosen) -> Result<(), OtError> {
    let field = extension::FieldBits::Four;
    let (message, received) =
        extension::Receiver::new(pairs, [2; 32], field).extend(silent::SEED_OTS)?;
    let mut sender = extension::Sender::new(chosen, [2; 32], field);
    let (challenge, sent) = sender.accept(silent::SEED_OTS, &message)?;
    let (proof, received) = received.answer(&challenge)?;
    let mut sender = silent::Sender::new(sent.verify(&proof)?)?;
    let mut receiver = silent::Receiver::new(received)?;
    let (mut of_sender, mut of_receiver, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut pairs, mut blocks) = ([[0; 2]; READ], [0; READ]);
    for _ in 0..CALLS {
        let begin = Work::now();
        let (message, pending_sent) = sender.extend();
        of_sender += begin.elapsed();
        let begin = Work::now();
        let (challenge, pending_received) = receiver.accept(&message)?;
        of_receiver += begin.elapsed();
        let begin = Work::now();
        let (proof, next_sender, sent) = pending_sent.answer(&challenge)?;
        for first in (0..silent::OTS - READ).step_by(READ) {
            sent.pairs(first, &mut pairs)?;
            core::hint::black_box(&pairs);
        }
        of_sender += begin.elapsed();
        let begin = Work::now();
        let (next_receiver, received) = pending_received.verify(&proof)?;
        for first in (0..silent::OTS - READ).step_by(READ) {
            received.blocks(first, &mut blocks)?;
            core::hint::black_box(&blocks);
        }
        of_receiver += begin.elapsed();
        bytes += message.len() + challenge.len() + proof.len();
        (sender, receiver) = (next_sender, next_receiver);
    }
    let ots = f64::from(CALLS) * silent::OTS as f64;
    let [of_sender, of_receiver] = [of_sender, of_receiver].map(|time| time.as_secs_f64());
    println!(
        "| silent | {:.1} | {:.2} | {:.1} | {:.1} |",
        ots / of_sender.max(of_receiver) / 1e6,
        bytes as f64 / ots,
        of_sender * 1e9 / ots,
        of_receiver * 1e9 / ots,
    );
    Ok(())
}

/// A seed of the system.
fn getrandom_seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// The peer's next message, and none if its thread has ended.
fn next(from: &Receiver<Bytes>) -> Bytes {
    from.recv().unwrap_or_default()
}

fn send(
    chosen: &Chosen,
    field: extension::FieldBits,
    to: &Sender<Bytes>,
    from: &Receiver<Bytes>,
) -> Figures {
    let mut sender = extension::Sender::new(chosen, [1; 32], field);
    let (mut at_work, mut bytes, mut word) = (Duration::ZERO, 0, 0);
    let mut pairs = [[0; 2]; READ];
    let mut waiting: Option<extension::PendingSent> = None;
    for call in 0..=CALLS {
        let mut accepted = None;
        if call < CALLS {
            let message = next(from);
            let begin = Work::now();
            let (challenge, pending) = sender.accept(COUNT, &message)?;
            drop(message);
            at_work += begin.elapsed();
            bytes += challenge.len();
            let _ = to.send(challenge.to_vec());
            accepted = Some(pending);
        }
        if let Some(pending) = core::mem::replace(&mut waiting, accepted) {
            let proof = next(from);
            let begin = Work::now();
            let sent = pending.verify(&proof)?;
            for first in (0..COUNT).step_by(READ) {
                sent.pairs(first, &mut pairs)?;
                word ^= pairs[0][0] ^ pairs[READ - 1][1];
            }
            drop(sent);
            at_work += begin.elapsed();
        }
    }
    Ok((at_work, bytes, word))
}

fn receive(
    pairs: &Pairs,
    field: extension::FieldBits,
    to: &Sender<Bytes>,
    from: &Receiver<Bytes>,
) -> Figures {
    let mut receiver = extension::Receiver::new(pairs, [1; 32], field);
    let (mut at_work, mut bytes, mut word) = (Duration::ZERO, 0, 0);
    let mut blocks = [0; READ];
    // One call ahead: so neither party waits for the other.
    let mut waiting: Option<extension::PendingReceived> = None;
    for call in 0..=CALLS {
        let mut begun = None;
        if call < CALLS {
            let begin = Work::now();
            let (message, pending) = receiver.extend(COUNT)?;
            at_work += begin.elapsed();
            bytes += message.len();
            let _ = to.send(message);
            begun = Some(pending);
        }
        if let Some(pending) = core::mem::replace(&mut waiting, begun) {
            let challenge = next(from);
            let begin = Work::now();
            let (proof, received) = pending.answer(&challenge)?;
            bytes += proof.len();
            let _ = to.send(proof);
            for first in (0..COUNT).step_by(READ) {
                received.blocks(first, &mut blocks)?;
                word ^= blocks[0] ^ blocks[READ - 1];
            }
            drop(received);
            at_work += begin.elapsed();
        }
    }
    Ok((at_work, bytes, word))
}
