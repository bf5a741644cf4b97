//! A batch of [`SLOTS`] sessions for a store, part by part: between two parts the connection is
//! free for an inference.
//!
//! The first parts are the products, a request and a reply each. The others are the transfers of
//! some sessions, with what `P0` says ahead.

use rand_core::CryptoRng;
use sharelet_core::functions::engine::Link;
use sharelet_model::Model;
use sharelet_prepare::link::prepare;
use sharelet_rlwe::batch::SLOTS;

use crate::error::AloneError;
use crate::half::Half;
use crate::layers::{Shares, add_public};
use crate::session::{P0, P1, draw, exchange, half_of_p0, listen, split, tell};
use crate::task::Task;

/// `P0`'s side of a batch.
#[derive(Debug, Default)]
pub struct FillingP0 {
    /// Of the sessions that have no half yet, as `shares`.
    masks: Vec<Shares>,
    shares: Vec<Shares>,
    multiplied: usize,
    halves: Vec<Half>,
}

/// `P1`'s side of a batch.
#[derive(Debug, Default)]
pub struct FillingP1 {
    /// Of the sessions that have no half yet.
    shares: Vec<Shares>,
    multiplied: usize,
    halves: Vec<Half>,
}

impl FillingP0 {
    /// A batch of which nothing is made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sessions whose halves are made; all of them are [`SLOTS`].
    #[must_use]
    pub const fn made(&self) -> usize {
        self.halves.len()
    }

    /// Whether nothing is left to make.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.made() >= SLOTS
    }

    /// Makes the next part. The peer does the same.
    ///
    /// # Errors
    /// As [`P0::prepare`], and the batch is lost; [`AloneError::NoBatches`].
    pub async fn step<L: Link>(
        &mut self,
        p0: &mut P0,
        task: &Task,
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<(), AloneError<L::Error>> {
        let batches = task.batches.as_ref().ok_or(AloneError::NoBatches)?;
        if self.multiplied == 0 && self.masks.is_empty() {
            self.masks = (0..SLOTS).map(|_| draw(task, rng)).collect();
            self.shares = vec![task.products.zeros(); SLOTS];
        }
        if self.multiplied < batches.count() {
            let [_, reply_bytes] = batches.bytes(self.multiplied)?;
            let request = batches.request(self.multiplied, &p0.secrets, &self.masks, rng)?;
            exchange(link, [&request, &[]], [0, 0]).await?;
            let [reply, _] = exchange(link, [&[], &[]], [reply_bytes, 0]).await?;
            batches.finish(self.multiplied, &p0.secrets, &reply, &mut self.shares)?;
            self.multiplied += 1;
            if self.multiplied == batches.count() {
                for (masks, shares) in self.masks.iter().zip(&mut self.shares) {
                    add_public(&task.network, masks, shares);
                }
            }
            return Ok(());
        }
        let sessions = task.sessions_at_once().min(self.masks.len());
        let made = prepare(&mut p0.pair, &task.gates.plan(sessions), rng, link).await?;
        let vectors = self.masks.drain(..sessions).zip(self.shares.drain(..sessions));
        let new: Vec<Half> = split(made, &task.gates)
            .zip(vectors)
            .map(|(correlations, (masks, shares))| half_of_p0(task, masks, shares, correlations))
            .collect();
        tell(&new, task, link).await?;
        self.halves.extend(new);
        if self.is_complete() {
            p0.pair.rest();
        }
        Ok(())
    }

    /// What was made.
    #[must_use]
    pub fn into_halves(self) -> Vec<Half> {
        self.halves
    }
}

impl FillingP1 {
    /// A batch of which nothing is made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sessions whose halves are made; all of them are [`SLOTS`].
    #[must_use]
    pub const fn made(&self) -> usize {
        self.halves.len()
    }

    /// Whether nothing is left to make.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.made() >= SLOTS
    }

    /// Makes the next part. The peer does the same.
    ///
    /// # Errors
    /// As [`P1::prepare`], and the batch is lost; [`AloneError::NoBatches`].
    pub async fn step<L: Link>(
        &mut self,
        p1: &mut P1,
        (task, model): (&Task, &Model),
        rng: &mut impl CryptoRng,
        link: &mut L,
    ) -> Result<(), AloneError<L::Error>> {
        let batches = task.batches.as_ref().ok_or(AloneError::NoBatches)?;
        if self.multiplied == 0 && self.shares.is_empty() {
            self.shares = vec![task.products.zeros(); SLOTS];
        }
        if self.multiplied < batches.count() {
            let [request_bytes, _] = batches.bytes(self.multiplied)?;
            let [request, _] = exchange(link, [&[], &[]], [request_bytes, 0]).await?;
            let shares = &mut self.shares;
            let reply =
                batches.respond(self.multiplied, &p1.publics, model, &request, shares, rng)?;
            exchange(link, [&reply, &[]], [0, 0]).await?;
            self.multiplied += 1;
            return Ok(());
        }
        let sessions = task.sessions_at_once().min(self.shares.len());
        let made = prepare(&mut p1.pair, &task.gates.plan(sessions), rng, link).await?;
        let new = listen(self.shares.drain(..sessions), made, task, link).await?;
        self.halves.extend(new);
        if self.is_complete() {
            p1.pair.rest();
        }
        Ok(())
    }

    /// What was made.
    #[must_use]
    pub fn into_halves(self) -> Vec<Half> {
        self.halves
    }
}
