//! Pearson's chi-square statistic on bytes and bits.
//!
//! The bounds are quantiles: a uniform source exceeds one with probability `1e-9`. The tests look
//! at well under 10,000 statistics, so that even a fresh seed would raise fewer than one false
//! alarm in 100,000 runs; with the fixed seeds that the tests use there is none at all. A source
//! that is off uniform by a few percent in one value exceeds them.

/// Exceeded with probability `1e-9` at 255 degrees of freedom (Wilson and Hilferty:
/// `df (1 - 2/(9 df) + z sqrt(2/(9 df)))^3`, `z = 6.0`).
pub const BYTES_BOUND: f64 = 411.0;
/// The same for bytes of which only some bits are ever set.
#[must_use]
pub fn bytes_bound(moving: u8) -> f64 {
    let freedom = f64::from((1_u32 << moving.count_ones()) - 1).max(1.0);
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 6.0 * spread.sqrt()).powi(3)
}

/// Exceeded with probability `1e-9` at one degree of freedom: the square of 6.11 standard
/// deviations.
pub const BIT_BOUND: f64 = 37.4;

/// How often each byte was seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u64; 256],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; 256], total: 0 }
    }
}

#[allow(clippy::cast_precision_loss)]
impl Histogram {
    /// Counts a byte.
    pub fn add(&mut self, byte: u8) {
        self.counts[usize::from(byte)] += 1;
        self.total += 1;
    }

    /// Counts bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.add(byte));
    }

    /// Bytes that were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The statistic against the uniform distribution, 255 degrees of freedom.
    pub fn against_uniform(&self) -> f64 {
        let expected = self.total as f64 / 256.0;
        self.counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum()
    }

    /// Bits that were ever set.
    pub fn moving_bits(&self) -> u8 {
        let seen = (0..=u8::MAX).zip(&self.counts).filter(|&(_, &count)| count > 0);
        seen.fold(0, |bits, (byte, _)| bits | byte)
    }

    /// The statistic against the uniform distribution of these bits, all others being zero:
    /// `2^n - 1` degrees of freedom for `n` bits.
    pub fn against_uniform_on(&self, moving: u8) -> f64 {
        let expected = self.total as f64 / f64::from(1_u32 << moving.count_ones());
        let possible = (0..=u8::MAX).zip(&self.counts).filter(|(byte, _)| byte & !moving == 0);
        possible.map(|(_, &count)| (count as f64 - expected).powi(2) / expected).sum()
    }

    /// The statistic against another sample, 255 degrees of freedom: are both from one
    /// distribution?
    pub fn against(&self, other: &Self) -> f64 {
        let (n, m) = (self.total as f64, other.total as f64);
        let term = |(&a, &b): (&u64, &u64)| {
            let (a, b) = (a as f64, b as f64);
            if a + b == 0.0 {
                0.0
            } else {
                ((m / n).sqrt() * a - (n / m).sqrt() * b).powi(2) / (a + b)
            }
        };
        self.counts.iter().zip(&other.counts).map(term).sum()
    }
}

/// How often a bit was set.
#[derive(Clone, Copy, Debug, Default)]
pub struct BitCount {
    ones: u64,
    total: u64,
}

#[allow(clippy::cast_precision_loss)]
impl BitCount {
    /// Counts a bit.
    pub fn add(&mut self, bit: bool) {
        self.ones += u64::from(bit);
        self.total += 1;
    }

    /// The statistic against a fair coin, one degree of freedom.
    pub fn against_fair(&self) -> f64 {
        let (ones, total) = (self.ones as f64, self.total as f64);
        (2.0 * ones - total).powi(2) / total
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    #[test]
    fn a_uniform_source_stays_below_the_bounds_and_a_slightly_biased_one_does_not() {
        let mut rng = crate::rng(1);
        let (mut fair, mut other, mut biased, mut coin) =
            (Histogram::default(), Histogram::default(), Histogram::default(), BitCount::default());
        for _ in 0..100_000 {
            fair.add(rng.next_u32().to_le_bytes()[0]);
            other.add(rng.next_u32().to_le_bytes()[0]);
            // One byte in a hundred is forced to zero.
            let byte = rng.next_u32().to_le_bytes()[0];
            biased.add(if rng.next_u32().is_multiple_of(100) { 0 } else { byte });
            coin.add(rng.next_u32() % 100 < 48);
        }
        assert!(fair.against_uniform() < BYTES_BOUND && fair.against(&other) < BYTES_BOUND);
        assert!(biased.against_uniform() > BYTES_BOUND && biased.against(&fair) > BYTES_BOUND);
        assert!(coin.against_fair() > BIT_BOUND);
    }
}
