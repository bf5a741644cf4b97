//! Words modulo a prime below `2^62`, in constant time: no division, no branch on a value.
//!
//! Products with a known factor are Shoup's (as in Harvey, arXiv 1205.2926, section 2), others are
//! reduced with a reciprocal (Barrett, CRYPTO 1986).

/// The lower word.
#[allow(clippy::cast_possible_truncation)]
pub const fn low(x: u128) -> u64 {
    x as u64
}

/// The lower half of a word.
#[allow(clippy::cast_possible_truncation)]
pub const fn lower_half(x: u64) -> u32 {
    x as u32
}

/// The upper word.
pub const fn high(x: u128) -> u64 {
    low(x >> 64)
}

/// The product of two words.
pub const fn wide(x: u64, y: u64) -> u128 {
    x as u128 * y as u128
}

/// A factor that many words are multiplied by, with `floor(value 2^64 / prime)`.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    value: u64,
    quotient: u64,
}

/// A prime, and what it takes to reduce by it.
#[derive(Clone, Copy, Debug)]
pub struct Modulus {
    prime: u64,
    /// `floor(2^192 / prime)`, the lowest word first.
    reciprocal: [u64; 3],
}

impl Modulus {
    /// For a public odd prime in `2^26..2^62`; that it is one, the caller knows.
    pub fn new(prime: u64) -> Self {
        let upper = u128::MAX / u128::from(prime);
        let rest = u128::MAX - upper * u128::from(prime) + 1;
        let lowest = (rest << 64) / u128::from(prime);
        Self { prime, reciprocal: [low(lowest), low(upper), high(upper)] }
    }

    /// The prime.
    pub const fn prime(&self) -> u64 {
        self.prime
    }

    /// Of a public `value` below the prime.
    pub fn factor(&self, value: u64) -> Factor {
        Factor { value, quotient: low((u128::from(value) << 64) / u128::from(self.prime)) }
    }

    /// `x` of `0..2 limit` to `0..limit`, where `limit` is at most `2^63`.
    #[inline(always)]
    pub fn once(x: u64, limit: u64) -> u64 {
        x.min(x.wrapping_sub(limit))
    }

    /// `factor x`, in `0..2 prime`, of any word `x`.
    #[inline(always)]
    pub fn times_lazy(&self, factor: Factor, x: u64) -> u64 {
        let quotient = high(wide(factor.quotient, x));
        factor.value.wrapping_mul(x).wrapping_sub(quotient.wrapping_mul(self.prime))
    }

    /// `factor x` of any word `x`.
    #[inline(always)]
    pub fn times(&self, factor: Factor, x: u64) -> u64 {
        Self::once(self.times_lazy(factor, x), self.prime)
    }

    /// `x + y`.
    #[inline(always)]
    pub fn plus(&self, x: u64, y: u64) -> u64 {
        Self::once(x + y, self.prime)
    }

    /// `x - y`.
    #[inline(always)]
    pub fn minus(&self, x: u64, y: u64) -> u64 {
        Self::once(x + self.prime - y, self.prime)
    }

    /// `x` of any 128 bits.
    #[inline(always)]
    pub fn reduce(&self, x: u128) -> u64 {
        let [_, below, above] = self.reciprocal;
        // The quotient, or one less: words 2 and 3 of `x floor(2^128 / prime)`.
        let first = wide(high(x), below) + u128::from(high(wide(low(x), below)));
        let second = wide(low(x), above);
        let carry = high(u128::from(low(first)) + u128::from(low(second)));
        let quotient = high(x)
            .wrapping_mul(above)
            .wrapping_add(high(first))
            .wrapping_add(high(second))
            .wrapping_add(carry);
        Self::once(low(x).wrapping_sub(quotient.wrapping_mul(self.prime)), self.prime)
    }

    /// `x y`.
    #[inline(always)]
    pub fn product(&self, x: u64, y: u64) -> u64 {
        self.reduce(wide(x, y))
    }

    /// A signed word.
    #[inline(always)]
    pub fn signed(&self, x: i64) -> u64 {
        let magnitude = self.reduce(u128::from(x.unsigned_abs()));
        // All ones for a negative one.
        let negative = (x >> 63).cast_unsigned();
        let negated = Self::once(self.prime - magnitude, self.prime);
        magnitude ^ ((magnitude ^ negated) & negative)
    }

    /// A signed number of a magnitude below the prime.
    #[inline(always)]
    pub fn small(&self, x: i64) -> u64 {
        x.cast_unsigned().wrapping_add(self.prime & (x >> 63).cast_unsigned())
    }

    /// `x / prime` as a fraction of 128 bits, less than `2^-127` below it; of `x` below the prime.
    #[inline(always)]
    pub fn fraction(&self, x: u64) -> u128 {
        let [lowest, middle, highest] = self.reciprocal;
        (u128::from(x.wrapping_mul(highest)) << 64)
            .wrapping_add(wide(x, middle))
            .wrapping_add(u128::from(high(wide(x, lowest))))
    }

    /// `base^exponent`, both public.
    pub fn power(&self, mut base: u64, mut exponent: u64) -> u64 {
        let mut power = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = self.product(power, base);
            }
            base = self.product(base, base);
            exponent >>= 1;
        }
        power
    }

    /// `1 / x` of a public `x` that is not 0.
    pub fn inverse(&self, x: u64) -> u64 {
        self.power(x, self.prime - 2)
    }
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::{Rng, printed_seed};

    use super::*;
    use crate::ring::{Parameters as _, Words32, Words64};

    /// All primes in use, with words at their edges and random ones.
    fn each(mut check: impl FnMut(Modulus, u64, u64)) {
        let mut rng = Rng(printed_seed());
        for ring in [Words32::ring(), Words64::ring()] {
            for prime in ring.primes() {
                let modulus = *prime.modulus();
                let p = modulus.prime();
                let edges = [0, 1, 2, p / 2, p / 2 + 1, p - 2, p - 1];
                for x in edges {
                    edges.iter().for_each(|&y| check(modulus, x, y));
                }
                (0..1000).for_each(|_| check(modulus, rng.next() % p, rng.next() % p));
            }
        }
    }

    #[test]
    fn words_are_reduced_as_by_division() {
        each(|modulus, x, y| {
            let p = u128::from(modulus.prime());
            let (a, b) = (u128::from(x), u128::from(y));
            assert_eq!(u128::from(modulus.plus(x, y)), (a + b) % p);
            assert_eq!(u128::from(modulus.minus(x, y)), (a + p - b) % p);
            assert_eq!(u128::from(modulus.product(x, y)), a * b % p);
            assert_eq!(u128::from(modulus.times(modulus.factor(x), y)), a * b % p);
            let any = (a << 96) ^ (b << 64) ^ a ^ (b << 1);
            for any in [any, !any, u128::MAX - a, p * p * 15 + a, u128::from(u64::MAX) + b] {
                assert_eq!(u128::from(modulus.reduce(any)), any % p);
                let word = low(any);
                let shoup = modulus.times(modulus.factor(x), word);
                assert_eq!(u128::from(shoup), a * u128::from(word) % p);
                let signed = word.cast_signed();
                let expected = i128::from(signed).rem_euclid(p.cast_signed());
                assert_eq!(i128::from(modulus.signed(signed)), expected);
            }
            for small in [-3, -1, 0, 1, 3] {
                assert_eq!(modulus.small(small), modulus.signed(small));
            }
            if x > 0 {
                assert_eq!(modulus.product(modulus.inverse(x), x), 1);
            }
        });
    }

    #[test]
    fn signed_edges_are_reduced() {
        each(|modulus, _, _| {
            for word in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
                let expected = i128::from(word).rem_euclid(i128::from(modulus.prime()));
                assert_eq!(i128::from(modulus.signed(word)), expected);
            }
        });
    }

    #[test]
    fn a_fraction_is_the_quotient_to_127_bits() {
        each(|modulus, x, _| {
            // x 2^128 - fraction p, which is not negative, modulo 2^128.
            let rest =
                0_u128.wrapping_sub(modulus.fraction(x).wrapping_mul(u128::from(modulus.prime())));
            assert!(rest < 2 * u128::from(modulus.prime()), "{x}");
        });
    }
}
