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
//! without knowing `q`. Step 2's grid is that of `2^-128`: finer than the flooding by 61 bits.

use zeroize::Zeroizing;

use super::bits::{pack, unpack};
use super::error::Error;
use super::fresh::Pair;
use super::modulus::Modulus;
use super::poly::Poly;
use super::ring::Ring;
use super::sample::Stream;

/// Adds an encryption of zero to values; then both polynomials are coefficients.
pub fn rerandomise(ring: &Ring, zero: &Pair, private: &mut Stream, pair: &mut Pair) {
    let factor = Poly::values_of_small(ring, &private.ternary(ring));
    for (to, zero) in [(&mut pair.b, &zero.b), (&mut pair.a, &zero.a)] {
        to.add_product(ring, &factor, zero);
        to.to_coefficients(ring);
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
