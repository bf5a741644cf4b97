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

#[cfg(test)]
mod tests {
    use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
    use sharelet_testkit::{printed_seed, rng};

    use super::*;
    use crate::keys::Secret;
    use crate::ring::{Parameters, Words32, Words64};
    use crate::sample::Seed;

    /// Two bytes of the coefficients that `P1` computes of fresh ciphertexts of one word, with
    /// `a s` over them or without. It has `a`; that it cannot take `a s` off is RLWE, where no
    /// statistic reaches.
    fn seen<P: Parameters>(word: u64, masked: bool, seed: u64) -> [f64; 2] {
        let (ring, mut rng) = (P::ring(), rng(seed));
        let secret = Secret::<P>::new(&mut rng);
        let zero = Poly::zero(ring);
        let secret = if masked { secret.values() } else { &zero };
        let mut histograms = [Histogram::default(), Histogram::default()];
        for number in 0..2 {
            let (public, private) = (Seed::new(&mut rng), Seed::new(&mut rng));
            let words = core::iter::repeat_n(ring.word(word), ring.size());
            let mut streams = [public.stream(number), private.stream(number)];
            let [a, e] = &mut streams;
            let mut message = vec![0; ring.fresh_bytes()];
            write(ring, &encrypt(ring, secret, a, e, words), &mut message);
            let mut b = read(ring, &mut public.stream(number), &message).unwrap().b;
            b.backward(ring);
            for residue in b.residues() {
                let [low, next, ..] = residue.to_le_bytes();
                histograms[0].add(low);
                histograms[1].add(next);
            }
        }
        histograms.map(|histogram| histogram.against_uniform())
    }

    fn is_uniform<P: Parameters>() {
        let seed = printed_seed();
        for word in [0, 1, u64::MAX] {
            let masked = seen::<P>(word, true, seed);
            assert!(masked.iter().all(|&found| found < BYTES_BOUND), "{masked:?}");
            let bare = seen::<P>(word, false, seed);
            assert!(bare.iter().all(|&found| found > 10.0 * BYTES_BOUND), "{bare:?}");
        }
    }

    #[test]
    fn fresh_ciphertexts_do_not_show_their_words() {
        is_uniform::<Words32>();
        is_uniform::<Words64>();
    }
}
