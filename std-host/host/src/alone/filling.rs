//! A batch for both stores, part by part: between two parts the connection is free for an
//! inference, so that a store is filled while it is spent.

use rand_core::CryptoRng;
use sharelet_alone::{FillingP0, FillingP1, Half, P0, P1, SLOTS, Task};
use sharelet_core::share::Party;
use sharelet_link::frame;
use sharelet_link::{Reader, Writer};
use sharelet_model::Model;
use zeroize::Zeroizing;

use super::AloneError;
use super::link::{COMPUTING, Tallied};
use super::wire::{Message, Refusal, WireError};
use crate::store::halves::{Batch, Halves};

/// From so many inferences on a batch of [`SLOTS`] takes fewer bytes than single ones.
const MANY: u64 = 512;

/// Sessions of a batch, where `wanted` are: [`SLOTS`] if their number and the network allow it, and
/// otherwise no more than are wanted.
pub(super) fn sessions_of(task: &Task, wanted: u64) -> usize {
    if task.has_batches() && wanted >= MANY {
        return SLOTS;
    }
    usize::try_from(wanted).unwrap_or(usize::MAX).min(most(task))
}

/// Most sessions of a batch that is not of [`SLOTS`].
pub(super) fn most(task: &Task) -> usize {
    const BYTES: usize = 64 << 20;
    let of_bytes = BYTES / Half::bytes(Party::P0, task).max(1);
    of_bytes.clamp(task.sessions_at_once(), SLOTS)
}

/// Whether the products of a batch are made at once.
pub(super) fn is_whole(task: &Task, batch: &Batch) -> bool {
    usize::try_from(batch.count) == Ok(SLOTS) && task.has_batches()
}

/// A side of a batch: `W` makes one of [`SLOTS`].
pub(super) struct Filling<W> {
    batch: Batch,
    /// None if the sessions are prepared as single ones are.
    whole: Option<W>,
    halves: Vec<Half>,
}

/// The device's side.
pub(super) type FillingDevice = Filling<FillingP0>;
/// The host's side.
pub(super) type FillingHost = Filling<FillingP1>;

impl<W: Default> Filling<W> {
    /// Nothing of it is made.
    pub(super) fn new(task: &Task, batch: Batch) -> Self {
        let whole = is_whole(task, &batch).then(W::default);
        Self { batch, whole, halves: Vec::new() }
    }

    /// Sessions of the next part, if they are prepared as single ones are.
    fn next(&self, task: &Task) -> usize {
        let sessions = usize::try_from(self.batch.count).unwrap_or(usize::MAX);
        task.sessions_at_once().min(sessions.saturating_sub(self.halves.len()))
    }

    /// Whether nothing is left to make.
    pub(super) fn is_complete(&self) -> bool {
        self.whole.is_none() && self.halves.len() as u64 >= self.batch.count.into()
    }

    /// Keeps it on both sides, or on neither; how many sessions it has.
    pub(super) async fn keep(
        self,
        store: &mut Halves,
        (reader, writer): (&mut Reader, &mut Writer),
    ) -> Result<u32, AloneError> {
        let Self { batch, halves, .. } = self;
        // One by one: they are dropped as they go.
        let halves: Vec<Zeroizing<Vec<u8>>> =
            halves.into_iter().map(|half| half.to_bytes()).collect();
        let kept = store.put(batch, &halves);
        frame::send_bytes(writer, Message::Stored, &[u8::from(kept.is_ok())]).await?;
        reader.await_message(COMPUTING);
        let peers = frame::receive_bytes(reader, Message::Stored, 1).await?;
        kept?;
        if peers != [1] {
            store.take_back(&batch)?;
            return Err(WireError::Refused(Refusal::Disk).into());
        }
        Ok(batch.count)
    }
}

impl FillingDevice {
    /// The next part; how many sessions are made.
    pub(super) async fn step(
        &mut self,
        p0: &mut P0,
        task: &Task,
        rng: &mut impl CryptoRng,
        link: &mut Tallied<'_>,
    ) -> Result<usize, AloneError> {
        if let Some(whole) = &mut self.whole {
            whole.step(p0, task, rng, link).await?;
            let made = whole.made();
            if let Some(whole) = self.whole.take_if(|whole| whole.is_complete()) {
                self.halves = whole.into_halves();
            }
            return Ok(made);
        }
        self.halves.extend(p0.prepare(task, self.next(task), rng, link).await?);
        Ok(self.halves.len())
    }
}

impl FillingHost {
    /// The next part.
    pub(super) async fn step(
        &mut self,
        p1: &mut P1,
        (task, model): (&Task, &Model),
        rng: &mut impl CryptoRng,
        link: &mut Tallied<'_>,
    ) -> Result<(), AloneError> {
        if let Some(whole) = &mut self.whole {
            whole.step(p1, (task, model), rng, link).await?;
            if let Some(whole) = self.whole.take_if(|whole| whole.is_complete()) {
                self.halves = whole.into_halves();
            }
            return Ok(());
        }
        self.halves.extend(p1.prepare(task, model, self.next(task), rng, link).await?);
        Ok(())
    }
}
