//! Words that somebody chooses, in place of random ones, so that nothing is left to chance: a
//! protocol is run under every mask there is.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// A source that gives what its function says. Not random: for tests, on toy rings.
pub struct Draws<F>(
    /// The next word.
    pub F,
);

impl<F> core::fmt::Debug for Draws<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Draws(..)")
    }
}

/// Always the same word.
#[must_use]
pub fn always(word: u64) -> Draws<impl FnMut() -> u64> {
    Draws(move || word)
}

/// These words, one after the other, and then zeros.
#[must_use]
pub fn these(words: &[u64]) -> Draws<impl FnMut() -> u64> {
    let mut words = words.iter();
    Draws(move || words.next().copied().unwrap_or(0))
}

impl<F: FnMut() -> u64> TryRng for Draws<F> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        #[allow(clippy::cast_possible_truncation)]
        let word = (self.0)() as u32;
        Ok(word)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok((self.0)())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for bytes in bytes.chunks_mut(8) {
            let word = (self.0)().to_le_bytes();
            bytes.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl<F: FnMut() -> u64> TryCryptoRng for Draws<F> {}
