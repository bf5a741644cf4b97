//! Fresh ciphertexts, made with the secret: `a` is uniform, out of a seed that both know, and
//!
//! ```text
//! b = -a s + e + round(q m / t)        modulo q
//! ```
//!
//! Rounding is to one of the neighbours at random, so that its error has the mean 0 whatever the
//! words `m` are, and is independent from coefficient to coefficient. `q m` is exact, so words that
//! wrap modulo `t` cost no noise. What travels is `b`, as values modulo each prime.

use zeroize::Zeroizing;

use super::bits::{pack, unpack_words};
use super::error::Error;
use super::pair::Pair;
use super::poly::Poly;
use super::ring::Ring;
use super::sample::Stream;

/// `b` of words modulo `t`, the lowest coefficient first; missing ones are 0.
pub fn encrypt(
    ring: &Ring,
    secret: &Poly,
    public: &mut Stream,
    private: &mut Stream,
    words: impl Iterator<Item = u64>,
) -> Poly {
    let errors = private.errors(ring);
    // A number `x` of `0..t`, and `q m + x` modulo `t`: then `floor((q m + x) / t)` is
    // `(x - rest) / t` modulo each prime, for `q` is 0 there.
    let parts = words.map(|word| {
        let x = ring.word(private.word());
        (x, ring.word(ring.low_q().wrapping_mul(word).wrapping_add(x)))
    });
    let parts: Zeroizing<Vec<(u64, u64)>> = Zeroizing::new(parts.collect());
    let a = public.uniform(ring);
    let mut b = Poly::zero(ring);
    b.add_small(ring, &errors);
    for (prime, to) in b.parts_mut(ring) {
        let modulus = prime.modulus();
        for (to, &(x, rest)) in to.iter_mut().zip(parts.iter()) {
            let [x, rest] = [x, rest].map(|word| modulus.times(prime.by_words(), word));
            *to = modulus.plus(*to, modulus.minus(x, rest));
        }
        prime.ntt().forward(to);
    }
    b.subtract_product(ring, &a, secret);
    b
}

/// Writes `b`, into [`Ring::fresh_bytes`] bytes.
pub fn write(ring: &Ring, b: &Poly, to: &mut [u8]) {
    pack(b.residues().iter().map(|&word| u128::from(word)), ring.residue_bits(), to);
}

/// Reads a ciphertext of a peer.
///
/// # Errors
/// [`Error::Residue`] if one is not below its prime, [`Error::Length`] if bytes are missing.
pub fn read(ring: &Ring, public: &mut Stream, bytes: &[u8]) -> Result<Pair, Error> {
    let expected = ring.fresh_bytes();
    if bytes.len() != expected {
        return Err(Error::Length { expected, found: bytes.len() });
    }
    let mut words = unpack_words(bytes, ring.residue_bits());
    let mut b = Poly::zero(ring);
    for (prime, to) in b.parts_mut(ring) {
        let prime = prime.modulus().prime();
        for (to, residue) in to.iter_mut().zip(&mut words) {
            if residue >= prime {
                return Err(Error::Residue { residue, prime });
            }
            *to = residue;
        }
    }
    Ok(Pair { b, a: public.uniform(ring) })
}
