//! Ciphertexts that `P1` gives back: re-randomised, masked, flooded and cut.
//!
//! `P0` knows the secret, so it sees the noise of what it decrypts, and its own ciphertexts. From
//! both it could read `P1`'s factors. So `P1`, as in the proof of circuit privacy by drowning
//! (Gentry, *A fully homomorphic encryption scheme*, 2009, section 21.1):
//!
//! 1. adds an encryption of zero under the public key `(p_b, p_a)`: `(p_b u + e_0, p_a u + e_1)`,
//!    with a fresh ternary `u` and errors. `p_a` is uniform, so `p_a u + e_1` is one RLWE sample
//!    under `u`: it hides what `a` was before, from `P0` too.
//! 2. adds to every coefficient of `b` that is sent a number that is uniform in
//!    `-q / 8t .. q / 8t`. It hides all noise, that of step 1 included, up to
//!    [`SECURITY_BITS`](super::noise::SECURITY_BITS).
//! 3. adds uniform words `r`: then the words themselves say nothing. `-r` is `P1`'s share.
//! 4. sends the upper bits alone, and no coefficients of `b` but those of use.
//!
//! So `P0` sees `a`, which is as good as uniform; and `b`, which follows from `a`, the secret, its
//! share and the flooding. This holds if `P0` follows the protocol: one that sends ciphertexts with
//! more noise than they should have reads `P1`'s factors.
//!
//! Fractions of `q` are words of 128 bits here: they wrap as numbers modulo `q` do, and are cut
//! without knowing `q`. Flooding is uniform on that grid, on which it has `2^62` places or more;
//! being put on the grid moves noise by a few of them.

use zeroize::Zeroizing;

use super::bits::{pack, unpack};
use super::error::Error;
use super::modulus::Modulus;
use super::pair::Pair;
use super::poly::Poly;
use super::ring::Ring;
use super::sample::Stream;

/// Adds an encryption of zero to values; then both polynomials are coefficients.
pub fn rerandomise(ring: &Ring, zero: &Pair, private: &mut Stream, pair: &mut Pair) {
    let factor = Poly::values_of_small(ring, &private.ternary(ring));
    for (to, zero) in [(&mut pair.b, &zero.b), (&mut pair.a, &zero.a)] {
        to.add_product(ring, &factor, zero);
        to.backward(ring);
        to.add_small(ring, &private.errors(ring));
    }
}

/// A fraction of flooding: uniform in `-q / 8t .. q / 8t`.
pub fn flood(ring: &Ring, private: &mut Stream) -> u128 {
    let drawn = (u128::from(private.word()) << 64) | u128::from(private.word());
    (drawn >> (ring.flood_bits() - 1)).wrapping_sub(1 << (u128::BITS - ring.flood_bits()))
}

/// The upper `bits` of a fraction, rounded.
fn cut(fraction: u128, bits: u32) -> u128 {
    let below = u128::BITS - bits;
    fraction.wrapping_add(1 << (below - 1)) >> below
}

/// Writes a reply into [`Ring::reply_bytes`] bytes. `pair` holds values, of which the coefficients
/// at `places` are of use; `P1`'s share of them.
pub fn seal(
    ring: &Ring,
    zero: &Pair,
    private: &mut Stream,
    mut pair: Pair,
    places: impl Iterator<Item = usize> + Clone,
    to: &mut [u8],
) -> Zeroizing<Vec<u64>> {
    rerandomise(ring, zero, private, &mut pair);
    let mut values = pair.b.fractions(ring, places);
    let shares = values.iter_mut().map(|value| {
        let mask = ring.word(private.word());
        let mask_fraction = u128::from(mask) << (u128::BITS - ring.word_bits());
        *value = value.wrapping_add(flood(ring, private)).wrapping_add(mask_fraction);
        ring.word(mask.wrapping_neg())
    });
    let shares = Zeroizing::new(shares.collect());
    let masks = pair.a.fractions(ring, 0..ring.size());
    let (of_masks, of_values) = to.split_at_mut(ring.reply_mask_bytes().min(to.len()));
    for (fractions, bits, to) in
        [(&masks, ring.mask_bits(), of_masks), (&values, ring.value_bits(), of_values)]
    {
        pack(fractions.iter().map(|&fraction| cut(fraction, bits)), bits, to);
    }
    shares
}

/// What a reply holds at `places`, as fractions: words and noise.
///
/// # Errors
/// [`Error::Length`] if bytes are missing or left, [`Error::Filling`] if the last bits are not 0.
pub fn fractions(
    ring: &Ring,
    secret: &Poly,
    places: impl Iterator<Item = usize> + Clone,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u128>>, Error> {
    let count = places.clone().count();
    let expected = ring.reply_bytes(count);
    let (of_masks, of_values) = bytes
        .split_at_checked(ring.reply_mask_bytes())
        .filter(|_| bytes.len() == expected)
        .ok_or(Error::Length { expected, found: bytes.len() })?;
    let mut values = unpack(of_values, ring.value_bits());
    let upper = ring.mask_bits() - ring.value_bits();
    let sums = values.by_ref().take(count).map(|value| value << upper);
    let mut sums = Zeroizing::new(sums.collect::<Vec<u128>>());
    if !values.is_at_end() {
        return Err(Error::Filling);
    }
    let masks: Vec<u128> = unpack(of_masks, ring.mask_bits()).collect();
    add_products(ring, secret, &masks, places, &mut sums);
    for sum in sums.iter_mut() {
        *sum <<= u128::BITS - ring.mask_bits();
    }
    Ok(sums)
}

/// `sums += a s` at `places`, as integers modulo `2^128`: exact, modulo a few primes whose product
/// no sum reaches.
fn add_products(
    ring: &Ring,
    secret: &Poly,
    masks: &[u128],
    places: impl Iterator<Item = usize> + Clone,
    sums: &mut [u128],
) {
    /// Bits of a fraction that are left out, so that some of them can be added.
    const SPARE: u32 = 4;
    let exact = ring.exact();
    let mut wraps = Zeroizing::new(vec![1_u128 << (u128::BITS - SPARE - 1); sums.len()]);
    for (prime, (tables, secret)) in exact.primes.iter().zip(secret.parts(ring)) {
        let modulus = tables.modulus();
        let reduced = masks.iter().map(|&mask| modulus.reduce(mask));
        let mut words = Zeroizing::new(reduced.collect::<Vec<u64>>());
        tables.ntt().forward(&mut words);
        for (word, &secret) in words.iter_mut().zip(secret) {
            *word = modulus.product(*word, secret);
        }
        tables.ntt().backward(&mut words);
        for ((sum, wrap), place) in sums.iter_mut().zip(wraps.iter_mut()).zip(places.clone()) {
            let word = words.get(place).copied().unwrap_or_default();
            let numerator = Modulus::times(modulus, prime.numerator, word);
            *sum = sum.wrapping_add(prime.others.wrapping_mul(u128::from(numerator)));
            *wrap = wrap.wrapping_add(modulus.fraction(numerator) >> SPARE);
        }
    }
    for (sum, wrap) in sums.iter_mut().zip(wraps.iter()) {
        let wraps = wrap >> (u128::BITS - SPARE);
        *sum = sum.wrapping_sub(exact.product.wrapping_mul(wraps));
    }
}

/// Reads a reply: the words at `places`.
///
/// # Errors
/// As [`fractions`].
pub fn open(
    ring: &Ring,
    secret: &Poly,
    places: impl Iterator<Item = usize> + Clone,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u64>>, Error> {
    let fractions = fractions(ring, secret, places, bytes)?;
    let words = fractions.iter().map(|&fraction| ring.nearest(fraction));
    Ok(Zeroizing::new(words.collect()))
}

#[cfg(test)]
mod tests {
    use rand_core::CryptoRng;
    use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
    use sharelet_testkit::{Rng, printed_seed, rng};

    use super::*;
    use crate::fresh::{encrypt, read, write};
    use crate::keys::{Public, Secret};
    use crate::noise::noise_bits;
    use crate::ring::{Parameters, Words32, Words64};
    use crate::sample::Seed;

    struct Parties<P> {
        ring: &'static Ring,
        secret: Secret<P>,
        public: Public<P>,
        private: Stream,
    }

    impl<P: Parameters> Parties<P> {
        fn new(rng: &mut impl CryptoRng) -> Self {
            let secret = Secret::new(rng);
            let public = Public::read(&secret.public(rng)).unwrap();
            Self { ring: P::ring(), secret, public, private: Seed::new(rng).stream(0) }
        }

        /// A fresh ciphertext as `P1` reads it.
        fn fresh(&self, words: &[u64], rng: &mut impl CryptoRng) -> Pair {
            let (public, private) = (Seed::new(rng), Seed::new(rng));
            let mut message = vec![0; self.ring.fresh_bytes()];
            let words = words.iter().copied();
            let [mut a, mut e] = [public.stream(0), private.stream(0)];
            write(self.ring, &encrypt(self.ring, self.secret.values(), &mut a, &mut e, words), {
                &mut message
            });
            read(self.ring, &mut public.stream(0), &message).unwrap()
        }

        /// A sum of products with factors, as values.
        fn sum(&self, pairs: &[Pair], factors: &[Poly]) -> Pair {
            Pair::sum(self.ring, &pairs.iter().zip(factors).collect::<Vec<_>>())
        }

        /// `b + a s` of values: the noise of words that are zero, signed, in units of `q 2^-128`.
        fn noise(&self, pair: &Pair) -> Vec<i128> {
            let mut sum = Poly::zero(self.ring);
            for ((_, to), (_, from)) in sum.parts_mut(self.ring).zip(pair.b.parts(self.ring)) {
                to.copy_from_slice(from);
            }
            sum.add_product(self.ring, &pair.a, self.secret.values());
            sum.backward(self.ring);
            let fractions = sum.fractions(self.ring, 0..self.ring.size());
            fractions.iter().map(|fraction| fraction.cast_signed()).collect()
        }

        /// The same after `P1` has re-randomised, and flooded if so it should.
        fn seen(&mut self, mut pair: Pair, flooded: bool) -> Vec<i128> {
            rerandomise(self.ring, self.public.zero(), &mut self.private, &mut pair);
            for poly in [&mut pair.b, &mut pair.a] {
                for (prime, words) in poly.parts_mut(self.ring) {
                    prime.ntt().forward(words);
                }
            }
            let mut noise = self.noise(&pair);
            if flooded {
                for noise in &mut noise {
                    *noise += flood(self.ring, &mut self.private).cast_signed();
                }
            }
            noise
        }

        /// A polynomial whose coefficients are `word` and `-word`, modulo `2^64`.
        fn of_both_signs(&self, word: i64, rng: &mut impl CryptoRng) -> Poly {
            let mut sign = || if rng.next_u32() & 1 == 0 { word } else { word.wrapping_neg() };
            let words: Vec<i64> = (0..self.ring.size()).map(|_| sign()).collect();
            Poly::values_of(self.ring, &words)
        }
    }

    /// `log2` of the largest noise, in units of 1.
    fn largest_bits(ring: &Ring, noise: &[i128]) -> f64 {
        let largest = noise.iter().map(|noise| noise.unsigned_abs()).max().unwrap();
        (largest as f64).log2() + ring.log_q() - 128.0
    }

    fn noise_is_below_the_bound<P: Parameters>(factors: &[i64]) {
        let mut rng = rng(printed_seed());
        let mut parties = Parties::<P>::new(&mut rng);
        for &factor in factors {
            let fresh = [0; 4].map(|_| parties.fresh(&[], &mut rng));
            let factors = [0; 4].map(|_| parties.of_both_signs(factor, &mut rng));
            let squares = 4.0 * parties.ring.size() as f64 * (factor as f64).powi(2);
            let bound = noise_bits(parties.ring, squares);
            let sum = parties.sum(&fresh, &factors);
            let noise = parties.seen(sum, false);
            let found = largest_bits(parties.ring, &noise);
            // It is not far below: the largest of thousands is some four of ten deviations.
            assert!((bound - 2.0..bound).contains(&found), "{found} {bound}");
        }
    }

    #[test]
    fn noise_stays_below_its_bound() {
        noise_is_below_the_bound::<Words32>(&[0, 1, -32_768]);
        // Smaller noise than with these is below the grid of fractions.
        noise_is_below_the_bound::<Words64>(&[1 << 54, 1 << 62, i64::MAX]);
    }

    fn words_come_back<P: Parameters>() {
        let seed = printed_seed();
        let (mut rng, mut random) = (rng(seed), Rng(seed));
        let mut parties = Parties::<P>::new(&mut rng);
        let ring = parties.ring;
        let half = 1 << (ring.word_bits() - 1);
        let edges = [0, 1, 2, half - 1, half, half + 1, u64::MAX - 1, u64::MAX];
        let mut words: Vec<u64> = (0..ring.size()).map(|_| random.next()).collect();
        words[..8].copy_from_slice(&edges);
        words[100..200].fill(u64::MAX);
        words[200..300].fill(half);
        words.iter_mut().for_each(|word| *word = ring.word(*word));
        for _ in 0..4 {
            let fresh = parties.fresh(&words, &mut rng);
            let mut reply = vec![0; ring.reply_bytes(ring.size())];
            let places = 0..ring.size();
            let zero = parties.public.zero();
            let shares = seal(ring, zero, &mut parties.private, fresh, places.clone(), &mut reply);
            let secret = parties.secret.values();
            let found = fractions(ring, secret, places.clone(), &reply).unwrap();
            let opened = open(ring, secret, places, &reply).unwrap();
            let mut largest = 0;
            for (((&word, &share), &other), &fraction) in
                words.iter().zip(shares.iter()).zip(opened.iter()).zip(found.iter())
            {
                assert_eq!(ring.word(share.wrapping_add(other)), word);
                let exact = u128::from(other) << (128 - ring.word_bits());
                let off = fraction.wrapping_sub(exact).cast_signed().unsigned_abs();
                largest = largest.max(off);
            }
            // In units of q / 2t: flooding, half a unit of b, and four of ten deviations of a's.
            let largest = largest as f64 * 2_f64.powi(ring.word_bits().cast_signed() - 127);
            assert!((0.25..0.25 + 0.125 + 0.625 / 2.0).contains(&largest), "{largest}");
        }
    }

    #[test]
    fn words_come_back_and_errors_are_as_derived() {
        words_come_back::<Words32>();
        words_come_back::<Words64>();
    }

    /// Two bytes of `a` in a reply, of factors that are all zero, re-randomised or not.
    fn masks<P: Parameters>(randomised: bool, seed: u64) -> [f64; 2] {
        let mut rng = rng(seed);
        let mut parties = Parties::<P>::new(&mut rng);
        let ring = parties.ring;
        let fresh = [parties.fresh(&[1; 9], &mut rng)];
        let mut histograms = [Histogram::default(), Histogram::default()];
        for _ in 0..2 {
            let mut pair = parties.sum(&fresh, &[Poly::zero(ring)]);
            if randomised {
                rerandomise(ring, parties.public.zero(), &mut parties.private, &mut pair);
            }
            for fraction in pair.a.fractions(ring, 0..ring.size()).iter() {
                let [low, next, ..] = (cut(*fraction, ring.mask_bits()) >> 3).to_le_bytes();
                histograms[0].add(low);
                histograms[1].add(next);
            }
        }
        histograms.map(|histogram| histogram.against_uniform())
    }

    #[test]
    fn masks_do_not_show_the_factors() {
        let seed = printed_seed();
        for masks in [masks::<Words32>, masks::<Words64>] {
            let [hidden, bare] = [true, false].map(|randomised| masks(randomised, seed));
            assert!(hidden.iter().all(|&found| found < BYTES_BOUND), "{hidden:?}");
            assert!(bare.iter().all(|&found| found > 100.0 * BYTES_BOUND), "{bare:?}");
        }
    }

    /// Histograms of two bytes of the noise, the upper one of the flooding's range and one of the
    /// size of the factors' noise: of factors that are zero, and of large ones.
    fn histograms(flooded: bool, seed: u64) -> [[Histogram; 2]; 2] {
        let mut rng = rng(seed);
        let mut parties = Parties::<Words32>::new(&mut rng);
        let fresh = [0; 8].map(|_| parties.fresh(&[], &mut rng));
        let ring = parties.ring;
        [0, -32_768].map(|factor| {
            let factors = [0; 8].map(|_| parties.of_both_signs(factor, &mut rng));
            let mut of_bytes = [Histogram::default(), Histogram::default()];
            for _ in 0..16 {
                let sum = parties.sum(&fresh, &factors);
                for noise in parties.seen(sum, flooded) {
                    let below = 128 - ring.flood_bits() - 7;
                    let places = noise.wrapping_add(1 << (below + 7)) >> below;
                    of_bytes[0].add(places.to_le_bytes()[0]);
                    // The largest noise of the factors has some 47 bits in these units.
                    of_bytes[1].add((noise >> 40).to_le_bytes()[0]);
                }
            }
            of_bytes
        })
    }

    #[test]
    fn noise_that_is_seen_does_not_depend_on_the_factors() {
        let seed = printed_seed();
        let [none, largest] = histograms(true, seed);
        for (none, largest) in none.iter().zip(&largest) {
            let statistics = [none.against(largest), largest.against_uniform()];
            assert!(statistics.iter().all(|&found| found < BYTES_BOUND), "{statistics:?}");
        }
        // The same test sees what is not flooded.
        let [none, largest] = histograms(false, seed);
        assert!(none[1].against(&largest[1]) > 100.0 * BYTES_BOUND);
    }

    /// What `P0` would do: it knows its ciphertexts' noise `e`, and looks for the weight `w` that
    /// explains the noise `w e + ..` best.
    #[test]
    fn a_weight_is_read_off_the_noise_unless_it_is_flooded() {
        let mut rng = rng(printed_seed());
        let mut parties = Parties::<Words32>::new(&mut rng);
        let ring = parties.ring;
        for (weight, flooded) in [(12_345, false), (12_345, true)] {
            let fresh = parties.fresh(&[], &mut rng);
            let own = parties.noise(&fresh);
            let mut factor = vec![0; ring.size()];
            factor[0] = weight;
            let sum = parties.sum(&[fresh], &[Poly::values_of(ring, &factor)]);
            let seen = parties.seen(sum, flooded);
            let terms = seen.iter().zip(&own).map(|(&seen, &own)| seen as f64 * own as f64);
            let squares = own.iter().map(|&own| (own as f64).powi(2));
            let estimate = terms.sum::<f64>() / squares.sum::<f64>();
            let error = (estimate - weight as f64).abs();
            assert_eq!(error < 30.0, !flooded, "{estimate}");
            assert!(!flooded || error > 1e12, "{estimate}");
        }
    }
}
