//! A batch of [`SLOTS`] sessions for a store, part by part: between two parts the connection is
//! free for an inference.
//!
//! The first parts are the products, a request and a reply each. The others are the transfers of
//! some sessions, with what `P0` says ahead.

use core::marker::PhantomData;

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

/// A side of a batch: that of [`P0`] or [`P1`].
#[derive(Debug)]
pub struct Filling<P> {
    is_begun: bool,
    /// `P0`'s, of the sessions that have no half yet.
    masks: Vec<Shares>,
    /// Of the same sessions.
    shares: Vec<Shares>,
    multiplied: usize,
    halves: Vec<Half>,
    party: PhantomData<P>,
}

/// `P0`'s side.
pub type FillingP0 = Filling<P0>;
/// `P1`'s side.
pub type FillingP1 = Filling<P1>;

impl<P> Default for Filling<P> {
    fn default() -> Self {
        let (masks, shares, halves) = (Vec::new(), Vec::new(), Vec::new());
        Self { is_begun: false, masks, shares, multiplied: 0, halves, party: PhantomData }
    }
}

impl<P> Filling<P> {
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

    /// What was made.
    #[must_use]
    pub fn into_halves(self) -> Vec<Half> {
        self.halves
    }
}

impl Filling<P0> {
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
        if !self.is_begun {
            self.is_begun = true;
            self.masks = (0..SLOTS).map(|_| draw(task, rng)).collect();
            let public = |masks: &Shares| {
                let mut shares = task.products.zeros();
                add_public(&task.network, masks, &mut shares);
                shares
            };
            self.shares = self.masks.iter().map(public).collect();
        }
        if self.multiplied < batches.count() {
            let [_, reply_bytes] = batches.bytes(self.multiplied)?;
            let request = batches.request(self.multiplied, &p0.secrets, &self.masks, rng)?;
            exchange(link, [&request, &[]], [0, 0]).await?;
            let [reply, _] = exchange(link, [&[], &[]], [reply_bytes, 0]).await?;
            batches.finish(self.multiplied, &p0.secrets, &reply, &mut self.shares)?;
            self.multiplied += 1;
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
}

impl Filling<P1> {
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
        if !self.is_begun {
            self.is_begun = true;
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
}
