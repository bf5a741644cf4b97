//! Words by the channel that they belong to: what batch normalisation multiplies.

use super::sizes::{SizeError, elems};
use super::word::Word;

/// Words `batch x channels x places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Samples.
    pub batch: usize,
    /// Channels of a sample.
    pub channels: usize,
    /// Words of a channel: rows times columns.
    pub places: usize,
}

impl Channels {
    /// Words, and channels.
    pub(super) fn sizes(&self) -> Result<[usize; 2], SizeError> {
        let words = elems(&[self.batch, self.channels, self.places]).ok_or(SizeError::Sizes)?;
        Ok([words, self.channels])
    }

    /// Words that belong to a channel, in all samples.
    #[must_use]
    pub const fn of_each(&self) -> usize {
        self.batch.saturating_mul(self.places)
    }

    /// Adds to all words that of their channel.
    pub fn shift(&self, words: &mut [u64], of_channels: &[u64]) {
        let channels = words.chunks_exact_mut(self.places.max(1)).zip(of_channels.iter().cycle());
        for (words, of) in channels {
            words.iter_mut().for_each(|word| *word = word.wrapping_add(*of));
        }
    }

    /// `out += x`, each word times that of its channel.
    pub(super) fn add_scaled<R: Word>(&self, x: &[R], factors: &[R], out: &mut [R]) {
        let factors = factors.iter().cycle();
        let places = self.places.max(1);
        for ((out, x), factor) in
            out.chunks_exact_mut(places).zip(x.chunks_exact(places)).zip(factors)
        {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = out.add(x.mul(*factor)));
        }
    }

    /// `out +=` the sums of `x y` over the words of each channel.
    pub(super) fn add_dots<R: Word>(&self, x: &[R], y: &[R], out: &mut [R]) {
        let places = self.places.max(1);
        let sample = self.channels.saturating_mul(places).max(1);
        for (x, y) in x.chunks_exact(sample).zip(y.chunks_exact(sample)) {
            let channels = x.chunks_exact(places).zip(y.chunks_exact(places));
            for ((x, y), out) in channels.zip(&mut *out) {
                *out = x.iter().zip(y).fold(*out, |sum, (x, y)| sum.add(x.mul(*y)));
            }
        }
    }
}
