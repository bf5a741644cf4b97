//! What the tasks stand on. Nothing here is to be changed.

use sharelet_book::pair::Program;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::Engine;
use sharelet_core::functions::protocol::shift::Shift;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::linear;
use sharelet_core::session::phases::Offline;
use sharelet_core::share::split;
use sharelet_core::step::StepError;

/// A party's share of a random product: `a`, `b`, and `c`; all shares together are `c = a b`.
#[derive(Clone, Copy, Debug)]
pub struct Triple<R> {
    /// What masks the first factor.
    pub a: R,
    /// What masks the second factor.
    pub b: R,
    /// Their product.
    pub c: R,
}

/// A secret of a toy ring: 16 values.
pub type Toy = Small<4>;

/// Somebody opens something of a secret `x`, under randomness that goes through all words of 8
/// bits: the lowest four are `r`, the others `r'`. What is opened is all that others see.
pub type View = fn(Toy, u8) -> (u64, u64);

const fn low(random: u8) -> u64 {
    random as u64 & 15
}

const fn high(random: u8) -> u64 {
    random as u64 >> 4
}

/// `x + r`.
#[must_use]
pub fn masked(x: Toy, random: u8) -> (u64, u64) {
    (x.add(Toy::from_u64(low(random))).to_u64(), 0)
}

/// `x + 2 r`: somebody wanted masks to be even.
#[must_use]
pub fn masked_evenly(x: Toy, random: u8) -> (u64, u64) {
    (x.add(Toy::from_u64(2 * low(random))).to_u64(), 0)
}

/// `x + r`, and whether the sum has wrapped: somebody wanted to spare a comparison.
#[must_use]
pub fn masked_with_carry(x: Toy, random: u8) -> (u64, u64) {
    let z = masked(x, random).0;
    (z, u64::from(z < low(random)))
}

/// `x + r`, and whether the sum has wrapped, under a bit of `r'`.
#[must_use]
pub fn masked_with_masked_carry(x: Toy, random: u8) -> (u64, u64) {
    let (z, carry) = masked_with_carry(x, random);
    (z, carry ^ (high(random) & 1))
}

/// `x + r` and `3 x + r`: somebody wanted to spare a mask.
#[must_use]
pub fn masked_twice(x: Toy, random: u8) -> (u64, u64) {
    (masked(x, random).0, masked(x.add(x).add(x), random).0)
}

/// `x + r` and `3 x + r'`.
#[must_use]
pub fn masked_twice_afresh(x: Toy, random: u8) -> (u64, u64) {
    (masked(x, random).0, masked(x.add(x).add(x), random >> 4).0)
}

/// What a device whose counter has forgotten sends: its reading, less a keystream that the
/// session's number selects.
#[must_use]
pub fn sent_in_session(key: &Key, session: u64, reading: &[u32]) -> Vec<u32> {
    let mut sent = reading.to_vec();
    split(&Keystream::<ChaCha12>::new(key), session, &mut sent);
    sent
}

/// What a device sends of its input in a session, `d = h - r`, under the key that it shares with
/// the dealer. It is made by the core's own step, [`linear::mask`].
///
/// # Errors
/// [`StepError`] if the input is longer than a layer may be.
pub fn device_sends(key: &Key, session: u64, input: &[u32]) -> Result<Vec<u32>, StepError> {
    let too_long =
        StepError::SizeOutOfRange { found_elems: input.len(), limit_elems: usize::from(u16::MAX) };
    let inputs = u16::try_from(input.len()).map_err(|_| too_long)?;
    let keystream = Keystream::<ChaCha12>::new(key);
    let token = SessionToken::consumed(session);
    let (masks, _) = Offline::new(&keystream, token).finish().layer((Some(inputs), 0), None);
    let mut sent = input.to_vec();
    for (masks, words) in masks.into_iter().flatten().zip(sent.chunks_mut(PIECE_ELEMS)) {
        linear::mask(masks, words)?;
    }
    Ok(sent)
}

/// Words of a piece: masks are handed out so many at a time.
const PIECE_ELEMS: usize = sharelet_core::session::piece::PIECE_ELEMS;

/// A layer kind: `max(x, 0) >> shift`, of any width.
#[derive(Clone, Copy, Debug)]
pub struct Relu {
    /// Bits that are dropped.
    pub shift: u32,
}

impl Program for Relu {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        engine.run(&Shift::relu(self.shift)?, words.as_mut_slice()).await
    }
}

/// A layer kind: a matrix of public weights, one row for each output. Everybody multiplies by them
/// alone.
#[derive(Clone, Debug)]
pub struct Dense {
    /// Rows, each as long as the input.
    pub rows: Vec<Vec<u32>>,
}

impl Program for Dense {
    type Ring = u32;

    async fn run<E: Engine>(&self, _engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        let inputs = words.len();
        if let Some(row) = self.rows.iter().find(|row| row.len() != inputs) {
            let wrong =
                StepError::LengthMismatch { expected_elems: row.len(), found_elems: inputs };
            return Err(wrong.into());
        }
        *words = self.rows.iter().map(|row| sharelet_core::ring::dot(0, row, words)).collect();
        Ok(())
    }
}

/// Two layers, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Then<A, B>(
    /// The first.
    pub A,
    /// The second.
    pub B,
);

impl<A, B> Program for Then<A, B>
where
    A: Program<Ring = u32>,
    B: Program<Ring = u32>,
{
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        self.0.run(engine, words).await?;
        self.1.run(engine, words).await
    }
}
