//! What is kept of base OTs.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{OtError, length};

/// Base OTs: the security of the extension in bits.
pub const COUNT: usize = 128;

/// Bytes of a seed.
pub(super) const SEED_BYTES: usize = 32;

/// A seed.
pub type Seed = [u8; SEED_BYTES];

/// The sender's side: both seeds of each base OT. Kept, it serves any number of sessions.
#[derive(Clone)]
pub struct Pairs(pub(super) Zeroizing<[[Seed; 2]; COUNT]>);

/// The receiver's side: of each base OT the choice and the seed that it chose, and a key for
/// challenges. Kept, it serves any number of sessions, until one ends with [`OtError::Check`].
#[derive(Clone)]
pub struct Chosen {
    pub(super) choices: Zeroizing<[u8; COUNT]>,
    pub(super) seeds: Zeroizing<[Seed; COUNT]>,
    pub(super) challenges: Zeroizing<Seed>,
    /// Whether the peer has cheated, in any session: with every try it learns bits of the choices.
    pub(super) spoilt: Arc<AtomicBool>,
}

redacted!(Pairs, Chosen);

impl Pairs {
    /// Bytes of [`Pairs::to_bytes`].
    pub const BYTES: usize = COUNT * 2 * SEED_BYTES;

    /// What to keep, secret: the pairs one after another.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.as_flattened().as_flattened().to_vec())
    }

    /// What was kept.
    ///
    /// # Errors
    /// [`OtError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OtError> {
        length("kept base OTs of a sender", bytes, Self::BYTES)?;
        let mut pairs = Self::empty();
        pairs.0.as_flattened_mut().as_flattened_mut().copy_from_slice(bytes);
        Ok(pairs)
    }

    /// Nothing yet.
    pub(super) fn empty() -> Self {
        Self(Zeroizing::new([[[0; SEED_BYTES]; 2]; COUNT]))
    }

    /// Both seeds of each.
    pub(crate) fn seeds(&self) -> &[[Seed; 2]; COUNT] {
        &self.0
    }
}

impl Chosen {
    /// Bytes of [`Chosen::to_bytes`].
    pub const BYTES: usize = COUNT / 8 + COUNT * SEED_BYTES + SEED_BYTES;

    /// What to keep, secret: choices, eight to a byte from the lowest bit on, seeds, the key of
    /// challenges.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::BYTES));
        for eight in self.choices.chunks(8) {
            bytes.push((0..).zip(eight).fold(0, |byte, (place, bit)| byte | (bit << place)));
        }
        bytes.extend(self.seeds.as_flattened());
        bytes.extend(self.challenges.as_slice());
        bytes
    }

    /// What was kept.
    ///
    /// # Errors
    /// [`OtError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OtError> {
        length("kept base OTs of a receiver", bytes, Self::BYTES)?;
        let mut chosen = Self::empty();
        let (choices, rest) = bytes.split_at(COUNT / 8);
        let (seeds, challenges) = rest.split_at(COUNT * SEED_BYTES);
        for (eight, byte) in chosen.choices.chunks_mut(8).zip(choices) {
            (0..).zip(eight).for_each(|(place, bit)| *bit = (byte >> place) & 1);
        }
        chosen.seeds.as_flattened_mut().copy_from_slice(seeds);
        chosen.challenges.copy_from_slice(challenges);
        Ok(chosen)
    }

    /// Nothing yet.
    pub(super) fn empty() -> Self {
        Self {
            choices: Zeroizing::new([0; COUNT]),
            seeds: Zeroizing::new([[0; SEED_BYTES]; COUNT]),
            challenges: Zeroizing::new([0; SEED_BYTES]),
            spoilt: Arc::default(),
        }
    }

    /// Whether a session of these, or of a copy, has ended with [`OtError::Check`]: none begins any
    /// more, and what is kept of them must be deleted.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.spoilt.load(Ordering::Relaxed)
    }

    /// What sessions spoil.
    pub(crate) fn spoilt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.spoilt)
    }

    /// Choices, a bit each.
    pub(crate) fn choices(&self) -> &[u8; COUNT] {
        &self.choices
    }

    /// The seeds that were chosen.
    pub(crate) fn seeds(&self) -> &[Seed; COUNT] {
        &self.seeds
    }

    /// The key of challenges: what the peer does not know.
    pub(crate) fn challenges(&self) -> &Seed {
        &self.challenges
    }
}
