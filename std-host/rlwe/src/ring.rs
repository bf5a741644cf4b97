//! The two rings that ciphertexts live in: sizes, primes, and what follows from them.
//!
//! A ciphertext `(b, a)` of polynomials modulo `X^N + 1` and `q = p_1 p_2 ..` hides words modulo
//! `t = 2^32` or `2^64`: `b + a s = (q / t) words + noise`. Both polynomials are kept as residues
//! modulo each prime.
//!
//! | set | `N` | primes | `log2 q` | `t` | replies: bits of a word of `a`, of `b` |
//! |---|---:|---|---:|---|---|
//! | [`Words32`] | 4096 | 4 of 27 bits | 108 | `2^32` | 42, 36 |
//! | [`Words64`] | 8192 | 3 of 62 bits | 186 | `2^64` | 75, 67 |
//!
//! Security: the secret is ternary, the error is centred binomial with variance 10.5 (standard
//! deviation 3.24). For ternary secrets and a deviation of 3.19 the *Homomorphic Encryption
//! Security Standard* (Albrecht et al., eprint 2019/939, table 1) allows `log2 q` of at most 109 at
//! `N = 4096` and 218 at `N = 8192` for 128 bits.

use std::sync::LazyLock;

use super::modulus::{Factor, Modulus, low};
use super::ntt::Ntt;

/// One of the primes, with its tables.
#[derive(Debug)]
pub struct Prime {
    modulus: Modulus,
    ntt: Ntt,
    /// `(product of the others)^-1`: residues to the numerators of fractions of `q`.
    numerator: Factor,
    /// `1 / t`.
    by_words: Factor,
}

impl Prime {
    /// Its arithmetic.
    pub fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Its transform.
    pub fn ntt(&self) -> &Ntt {
        &self.ntt
    }

    /// `1 / t` modulo the prime.
    pub fn by_words(&self) -> Factor {
        self.by_words
    }

    /// The part of a number's fraction of `q` that its residue `x` is, modulo 1, as 128 bits.
    #[inline(always)]
    pub fn part(&self, x: u64) -> u128 {
        self.modulus.fraction(self.modulus.times(self.numerator, x))
    }
}

/// A prime of those whose product, `M`, holds a sum of a decryption as an integer.
#[derive(Debug)]
pub struct ExactPrime {
    /// `(M / prime)^-1` modulo the prime.
    pub numerator: Factor,
    /// `M / prime`.
    pub others: u128,
}

/// What of the primes a decryption takes.
#[derive(Debug)]
pub struct Exact {
    /// The first primes of the ring.
    pub primes: Vec<ExactPrime>,
    /// Their product.
    pub product: u128,
}

/// Sizes and tables.
pub struct Ring {
    size: usize,
    word_bits: u32,
    residue_bits: u32,
    mask_bits: u32,
    value_bits: u32,
    primes: Vec<Prime>,
    exact: Exact,
    /// `q` modulo `2^64`.
    low_q: u64,
    /// Bits of `q`, as a real number.
    log_q: f64,
}

/// What a ring is made from.
struct Choice<'a> {
    size: usize,
    word_bits: u32,
    residue_bits: u32,
    mask_bits: u32,
    value_bits: u32,
    primes: &'a [u64],
    exact: usize,
}

impl Ring {
    fn new(choice: &Choice<'_>) -> Self {
        let numerator = |modulus: &Modulus, primes: &[u64]| {
            let others = primes.iter().filter(|&&other| other != modulus.prime());
            let product = others.fold(1, |product, &other| modulus.product(product, other));
            modulus.factor(modulus.inverse(product))
        };
        let prime = |&prime: &u64| {
            let modulus = Modulus::new(prime);
            let words = modulus.power(2, u64::from(choice.word_bits));
            Prime {
                numerator: numerator(&modulus, choice.primes),
                by_words: modulus.factor(modulus.inverse(words)),
                ntt: Ntt::new(modulus, choice.size),
                modulus,
            }
        };
        let used = choice.primes.get(..choice.exact).unwrap_or_default();
        let product = used.iter().map(|&prime| u128::from(prime)).product();
        let exact = |&prime: &u64| ExactPrime {
            numerator: numerator(&Modulus::new(prime), used),
            others: product / u128::from(prime),
        };
        // Primes are far from where a float's 53 bits would matter.
        #[allow(clippy::cast_precision_loss)]
        let log_q = choice.primes.iter().map(|&prime| (prime as f64).log2()).sum();
        Self {
            size: choice.size,
            word_bits: choice.word_bits,
            residue_bits: choice.residue_bits,
            mask_bits: choice.mask_bits,
            value_bits: choice.value_bits,
            exact: Exact { primes: used.iter().map(exact).collect(), product },
            low_q: choice.primes.iter().fold(1, |q, &prime| q.wrapping_mul(prime)),
            log_q,
            primes: choice.primes.iter().map(prime).collect(),
        }
    }

    /// `N`: coefficients of a polynomial.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bits of a word that is hidden: `log2 t`.
    pub fn word_bits(&self) -> u32 {
        self.word_bits
    }

    /// Bits of a residue in a message.
    pub fn residue_bits(&self) -> u32 {
        self.residue_bits
    }

    /// Bits of a coefficient of a reply's `a`.
    pub fn mask_bits(&self) -> u32 {
        self.mask_bits
    }

    /// Bits of a coefficient of a reply's `b`.
    pub fn value_bits(&self) -> u32 {
        self.value_bits
    }

    /// Bits of the flooding: it is uniform in `-q 2^-bits .. q 2^-bits`.
    pub fn flood_bits(&self) -> u32 {
        self.word_bits + 3
    }

    /// The primes.
    pub fn primes(&self) -> &[Prime] {
        &self.primes
    }

    /// What a decryption takes.
    pub fn exact(&self) -> &Exact {
        &self.exact
    }

    /// `q` modulo `2^64`.
    pub fn low_q(&self) -> u64 {
        self.low_q
    }

    /// `log2 q`.
    pub fn log_q(&self) -> f64 {
        self.log_q
    }

    /// Residues of a polynomial.
    pub fn residues(&self) -> usize {
        self.size * self.primes.len()
    }

    /// Bytes of a fresh ciphertext in a message, without the seed of its `a`.
    pub fn fresh_bytes(&self) -> usize {
        self.residues() * self.residue_bits as usize / 8
    }

    /// Bytes of a ciphertext in a reply, of which `values` coefficients are of use.
    pub fn reply_bytes(&self, values: usize) -> usize {
        self.reply_mask_bytes() + (values * self.value_bits as usize).div_ceil(8)
    }

    /// Bytes of a reply's `a`.
    pub fn reply_mask_bytes(&self) -> usize {
        self.size * self.mask_bits as usize / 8
    }

    /// The lower bits of `word` that count.
    #[inline(always)]
    pub fn word(&self, word: u64) -> u64 {
        word & (u64::MAX >> (u64::BITS - self.word_bits))
    }

    /// A fraction of 128 bits to the nearest word: `t fraction`, rounded.
    #[inline(always)]
    pub fn nearest(&self, fraction: u128) -> u64 {
        let half = 1 << (u128::BITS - self.word_bits - 1);
        low(fraction.wrapping_add(half) >> (u128::BITS - self.word_bits))
    }
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Ring(N = {}, log2 q = {}, log2 t = ", self.size, self.log_q.ceil())?;
        write!(f, "{})", self.word_bits)
    }
}

mod sealed {
    /// There are no other sets than those here.
    pub trait Sealed {}
}

/// A set of parameters: [`Words32`] or [`Words64`].
pub trait Parameters: sealed::Sealed + Send + Sync + 'static {
    /// Its ring.
    #[doc(hidden)]
    fn ring() -> &'static Ring;
}

/// Shares modulo `2^32`.
#[derive(Clone, Copy, Debug)]
pub struct Words32;

/// Shares modulo `2^64`.
#[derive(Clone, Copy, Debug)]
pub struct Words64;

impl sealed::Sealed for Words32 {}
impl sealed::Sealed for Words64 {}

impl Parameters for Words32 {
    fn ring() -> &'static Ring {
        static RING: LazyLock<Ring> = LazyLock::new(|| {
            Ring::new(&Choice {
                size: 4096,
                word_bits: 32,
                residue_bits: 27,
                mask_bits: 42,
                value_bits: 36,
                // The largest below 2^27 that are 1 modulo 8192.
                primes: &[0x7ff_6001, 0x7fe_6001, 0x7fc_e001, 0x7fc_2001],
                exact: 3,
            })
        });
        &RING
    }
}

impl Parameters for Words64 {
    fn ring() -> &'static Ring {
        static RING: LazyLock<Ring> = LazyLock::new(|| {
            Ring::new(&Choice {
                size: 8192,
                word_bits: 64,
                residue_bits: 62,
                mask_bits: 75,
                value_bits: 67,
                // The largest below 2^62 that are 1 modulo 16384.
                primes: &[0x3fff_ffff_ffff_0001, 0x3fff_ffff_fffe_8001, 0x3fff_ffff_fff1_c001],
                exact: 2,
            })
        });
        &RING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Miller and Rabin with bases that decide for all words below 2^64.
    fn is_prime(modulus: &Modulus) -> bool {
        let last = modulus.prime() - 1;
        let twos = last.trailing_zeros();
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].iter().all(|&base| {
            let mut power = modulus.power(base, last >> twos);
            power == 1
                || (0..twos).any(|_| {
                    let found = power == last;
                    power = modulus.product(power, power);
                    found
                })
        })
    }

    #[test]
    fn parameters_are_those_of_the_standard() {
        for (ring, most) in [(Words32::ring(), 109.0), (Words64::ring(), 218.0)] {
            assert!(ring.log_q() <= most, "{}", ring.log_q());
            // What sums of products and butterflies hold.
            assert!(ring.residue_bits() <= 62);
            for (place, prime) in ring.primes().iter().enumerate() {
                let p = prime.modulus().prime();
                assert!(is_prime(prime.modulus()), "{p}");
                assert_eq!(p % (2 * ring.size() as u64), 1);
                assert_eq!(p.ilog2() + 1, ring.residue_bits());
                assert!(ring.primes()[..place].iter().all(|other| other.modulus().prime() != p));
            }
            // Messages are whole bytes.
            assert_eq!(ring.residues() * ring.residue_bits() as usize % 8, 0);
            assert_eq!(ring.size() * ring.mask_bits() as usize % 8, 0);
        }
    }

    /// A sum of a decryption, `a s`, stays below half of the primes' product by far.
    #[test]
    fn a_decryption_is_exact() {
        for ring in [Words32::ring(), Words64::ring()] {
            let sum = ring.mask_bits() + ring.size().ilog2() + 1;
            assert!(ring.exact().product.ilog2() > sum + 2);
        }
    }
}
