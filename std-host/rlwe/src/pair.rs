//! Ciphertexts, and sums of their products with plain polynomials.

use super::modulus::{Modulus, wide};
use super::poly::Poly;
use super::ring::Ring;

/// Words of a polynomial that are multiplied at once: a line of a cache.
const RUN: usize = 8;
/// Products of words below `2^62` that fit in 128 bits, beside a word.
const UNREDUCED: usize = 15;

/// A ciphertext: `b + a s` is `(q / t) words + noise`.
pub struct Pair {
    /// `b`.
    pub b: Poly,
    /// `a`.
    pub a: Poly,
}

/// Values of `b`, of `a`, and of a factor.
type Term<'a> = [&'a [[u64; RUN]]; 3];

impl Pair {
    /// The sum of products of ciphertexts and factors, all values.
    pub fn sum<'a>(ring: &Ring, terms: &[(&'a Self, &'a Poly)]) -> Self {
        let mut sum = Self { b: Poly::zero(ring), a: Poly::zero(ring) };
        let parts = sum.b.parts_mut(ring).zip(sum.a.parts_mut(ring));
        for (number, ((prime, b), (_, a))) in parts.enumerate() {
            let term = |(pair, factor): &(&'a Self, &'a Poly)| {
                [&pair.b, &pair.a, factor].map(|poly| poly.part(ring, number).as_chunks().0)
            };
            let terms: Vec<Term<'_>> = terms.iter().map(term).collect();
            add_up(prime.modulus(), &terms, b, a);
        }
        sum
    }
}

/// Sums of products modulo one prime.
fn add_up(modulus: &Modulus, terms: &[Term<'_>], b: &mut [u64], a: &mut [u64]) {
    let runs = b.as_chunks_mut::<RUN>().0.iter_mut().zip(a.as_chunks_mut::<RUN>().0);
    for (place, (to_b, to_a)) in runs.enumerate() {
        for terms in terms.chunks(UNREDUCED) {
            let [mut sums_b, mut sums_a] = [&*to_b, &*to_a].map(|to| to.map(u128::from));
            for [b, a, factor] in terms {
                let (Some(b), Some(a), Some(factor)) =
                    (b.get(place), a.get(place), factor.get(place))
                else {
                    break;
                };
                for (((sum_b, sum_a), (&b, &a)), &factor) in
                    sums_b.iter_mut().zip(&mut sums_a).zip(b.iter().zip(a)).zip(factor)
                {
                    *sum_b += wide(b, factor);
                    *sum_a += wide(a, factor);
                }
            }
            *to_b = sums_b.map(|sum| modulus.reduce(sum));
            *to_a = sums_a.map(|sum| modulus.reduce(sum));
        }
    }
}
