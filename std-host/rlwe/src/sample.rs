//! Randomness: what is public and expanded from a seed, and what is secret.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::modulus::high;
use super::poly::Poly;
use super::ring::Ring;

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;
/// Coins on each side of a centred binomial number.
const COINS: u32 = 21;
/// The variance of an error, which is also its sub-Gaussian parameter: it is a sum of 42
/// independent numbers in `-1/2..1/2`.
pub const ERROR_VARIANCE: f64 = COINS as f64 / 2.0;

/// A seed of ChaCha20, and its streams.
pub struct Seed(Zeroizing<[u8; SEED_BYTES]>);

impl Seed {
    /// A fresh one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        rng.fill_bytes(&mut *seed);
        Self(seed)
    }

    /// One that a message holds.
    pub fn from_bytes(bytes: [u8; SEED_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for a message.
    pub fn bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    /// A stream of its own for each number.
    pub fn stream(&self, number: usize) -> Stream {
        let mut rng = ChaCha20Rng::from_seed(*self.0);
        rng.set_stream(number as u64);
        Stream(rng)
    }
}

/// Random numbers.
pub struct Stream(ChaCha20Rng);

impl Stream {
    /// A uniform polynomial, as values: words not below the prime are drawn again. It is public.
    pub fn uniform(&mut self, ring: &Ring) -> Poly {
        let mut poly = Poly::zero(ring);
        let bits = ring.residue_bits();
        for (prime, words) in poly.parts_mut(ring) {
            for word in words {
                *word = loop {
                    let drawn = if bits <= u32::BITS {
                        u64::from(self.0.next_u32() >> (u32::BITS - bits))
                    } else {
                        self.0.next_u64() >> (u64::BITS - bits)
                    };
                    if drawn < prime.modulus().prime() {
                        break drawn;
                    }
                };
            }
        }
        poly
    }

    /// Coefficients that are -1, 0 or 1, each with a probability within `2^-64` of a third.
    pub fn ternary(&mut self, ring: &Ring) -> Zeroizing<Vec<i64>> {
        let draw = |word| high(u128::from(word) * 3).cast_signed() - 1;
        Zeroizing::new((0..ring.size()).map(|_| draw(self.0.next_u64())).collect())
    }

    /// Errors: the difference of two times 21 coins (centred binomial, as in NewHope, eprint
    /// 2015/1092, section 4).
    pub fn errors(&mut self, ring: &Ring) -> Zeroizing<Vec<i64>> {
        let draw = |word: u64| {
            let ones = |coins: u64| i64::from((coins & ((1 << COINS) - 1)).count_ones());
            ones(word) - ones(word >> 32)
        };
        Zeroizing::new((0..ring.size()).map(|_| draw(self.0.next_u64())).collect())
    }

    /// A uniform word.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::printed_seed;

    use super::*;
    use crate::ring::{Parameters as _, Words32};

    fn stream() -> Stream {
        Seed::new(&mut sharelet_testkit::rng(printed_seed())).stream(3)
    }

    /// Mean and variance of many numbers; the sixfold deviation of each is allowed.
    fn looks_like(numbers: &[i64], variance: f64, fourth: f64) {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<i64>() as f64 / count;
        let found = numbers.iter().map(|x| (x * x) as f64).sum::<f64>() / count;
        assert!(mean.abs() < 6.0 * (variance / count).sqrt(), "{mean}");
        let deviation = ((fourth - variance * variance) / count).sqrt();
        assert!((found - variance).abs() < 6.0 * deviation, "{found}");
    }

    #[test]
    fn secrets_and_errors_have_their_variances() {
        let (mut stream, ring) = (stream(), Words32::ring());
        let many = |draw: &mut dyn FnMut() -> Zeroizing<Vec<i64>>| -> Vec<i64> {
            (0..25).flat_map(|_| draw().to_vec()).collect()
        };
        let ternary = many(&mut || stream.ternary(ring));
        assert!(ternary.iter().all(|x| x.abs() <= 1));
        looks_like(&ternary, 2.0 / 3.0, 2.0 / 3.0);
        let errors = many(&mut || stream.errors(ring));
        assert!(errors.iter().all(|x| x.abs() <= 21));
        // Sums of 42 numbers of +-1/2: the fourth moment is 3 v^2 - 2 * 42 / 16.
        looks_like(&errors, ERROR_VARIANCE, 3.0 * ERROR_VARIANCE.powi(2) - 5.25);
    }

    #[test]
    fn public_words_are_below_their_primes_and_the_same_again() {
        let (ring, seed) = (Words32::ring(), Seed::from_bytes([7; 32]));
        let poly = seed.stream(1).uniform(ring);
        for (prime, words) in poly.parts(ring) {
            assert!(words.iter().all(|&word| word < prime.modulus().prime()));
        }
        assert_eq!(poly.residues(), seed.stream(1).uniform(ring).residues());
        assert_ne!(poly.residues(), seed.stream(2).uniform(ring).residues());
    }
}
