//! Public random numbers that are the same on every machine: ChaCha20, keyed by the seed and by
//! what they are for.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// What numbers are for: the same seed gives other numbers for another purpose. This is for initial
/// weights, with one stream per layer.
pub(super) const WEIGHTS: &str = "weights";
/// For the order of rows, with one stream per epoch.
pub(super) const ORDER: &str = "order";
/// For rows that are held out, in one stream.
pub(super) const HELD_OUT: &str = "held-out";

/// A stream of numbers: `ChaCha20(key = SHA-256("sharelet train " || purpose || seed as 8 bytes,
/// little-endian), stream)`.
pub(super) struct Draw(ChaCha20Rng);

impl Draw {
    pub(super) fn new(purpose: &str, seed: u64, stream: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"sharelet train ");
        hash.update(purpose);
        hash.update(seed.to_le_bytes());
        let mut rng = ChaCha20Rng::from_seed(hash.finalize().into());
        rng.set_stream(stream);
        Self(rng)
    }

    /// Uniform in `0..limit`, and 0 if the limit is 0: the upper half of a word times the limit
    /// (Lemire, arXiv 1805.10941). Words that would favour some numbers are drawn again. The same
    /// word gives the same part of any limit, up to rounding.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let Some(favoured) = limit.wrapping_neg().checked_rem(limit) else { return 0 };
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(limit);
            // The lower and the upper half.
            #[allow(clippy::cast_possible_truncation)]
            let (low, high) = (product as u64, (product >> 64) as u64);
            if low >= favoured {
                return high;
            }
        }
    }

    /// The numbers `0..count` in a random order (Fisher and Yates, from the last place down).
    pub(super) fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for place in (1..order.len()).rev() {
            let other = self.below(place as u64 + 1);
            // At most `place`, which is an index.
            #[allow(clippy::cast_possible_truncation)]
            order.swap(place, other as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_a_limit_comes_about_as_often() {
        let mut draw = Draw::new(ORDER, 42, 0);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[usize::try_from(draw.below(7)).unwrap()] += 1;
        }
        // Within five standard deviations of 10,000.
        assert!(seen.iter().all(|&count| count.abs_diff(10_000) < 463), "{seen:?}");
        assert_eq!((draw.below(1), draw.below(0)), (0, 0));
    }

    #[test]
    fn purposes_seeds_and_streams_are_apart() {
        let first = |purpose, seed, stream| Draw::new(purpose, seed, stream).below(u64::MAX);
        let all = [
            first(ORDER, 1, 0),
            first(ORDER, 1, 1),
            first(ORDER, 2, 0),
            first(WEIGHTS, 1, 0),
            first(HELD_OUT, 1, 0),
        ];
        let distinct: std::collections::HashSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
