//! Products of polynomials modulo `X^N + 1`: the number-theoretic transform.
//!
//! Of a polynomial the values at the odd powers of a root of order `2 N`, in bit-reversed order
//! (Longa and Naehrig, eprint 2016/504, algorithms 1 and 2); a product is one of values. The root
//! is `x^((prime - 1) / 2N)` for the least `x` of 2, 3, ... that gives one: both parties have the
//! same values. Butterflies leave words below `4 prime` unreduced (Harvey, arXiv 1205.2926).

use super::modulus::{Factor, Modulus};

/// The transform of `N` words modulo one prime that is 1 modulo `2 N`.
#[derive(Debug)]
pub struct Ntt {
    modulus: Modulus,
    /// Powers of the root, bit-reversed: stage by stage from place 1.
    roots: Vec<Factor>,
    /// Of its inverse.
    inverse_roots: Vec<Factor>,
    /// `1 / N`.
    shrink: Factor,
}

/// Words `x`, `y` to `x + root y` and `x - root y`: from `0..4 prime` to `0..4 prime`.
#[inline(always)]
fn forth(modulus: &Modulus, root: Factor, x: &mut u64, y: &mut u64) {
    let double = 2 * modulus.prime();
    let left = Modulus::once(*x, double);
    let right = modulus.times_lazy(root, *y);
    *x = left + right;
    *y = left + double - right;
}

/// Words `x`, `y` to `x + y` and `root (x - y)`: from `0..2 prime` to `0..2 prime`.
#[inline(always)]
fn back(modulus: &Modulus, root: Factor, x: &mut u64, y: &mut u64) {
    let double = 2 * modulus.prime();
    let difference = *x + double - *y;
    *x = Modulus::once(*x + *y, double);
    *y = modulus.times_lazy(root, difference);
}

/// One stage, whose butterflies join words `gap` apart.
#[inline(always)]
fn stage(
    modulus: &Modulus,
    roots: &[Factor],
    gap: usize,
    words: &mut [u64],
    butterfly: impl Fn(&Modulus, Factor, &mut u64, &mut u64),
) {
    for (words, &root) in words.chunks_exact_mut(2 * gap).zip(roots) {
        let (left, right) = words.split_at_mut(gap);
        for (x, y) in left.iter_mut().zip(right) {
            butterfly(modulus, root, x, y);
        }
    }
}

/// The same for a small gap, half of `PAIR`, which the compiler unrolls.
#[inline(always)]
fn narrow_stage<const PAIR: usize>(
    modulus: &Modulus,
    roots: &[Factor],
    words: &mut [u64],
    butterfly: impl Fn(&Modulus, Factor, &mut u64, &mut u64),
) {
    for (words, &root) in words.as_chunks_mut::<PAIR>().0.iter_mut().zip(roots) {
        let (left, right) = words.split_at_mut(PAIR / 2);
        for (x, y) in left.iter_mut().zip(right) {
            butterfly(modulus, root, x, y);
        }
    }
}

/// A stage of any gap.
#[inline(always)]
fn any_stage(
    modulus: &Modulus,
    roots: &[Factor],
    gap: usize,
    words: &mut [u64],
    butterfly: impl Fn(&Modulus, Factor, &mut u64, &mut u64),
) {
    // The stage with gap `g` has `N / 2g` roots, from that place on.
    let count = words.len() / (2 * gap);
    let roots = roots.get(count..2 * count).unwrap_or_default();
    match gap {
        1 => narrow_stage::<2>(modulus, roots, words, butterfly),
        2 => narrow_stage::<4>(modulus, roots, words, butterfly),
        4 => narrow_stage::<8>(modulus, roots, words, butterfly),
        _ => stage(modulus, roots, gap, words, butterfly),
    }
}

impl Ntt {
    /// For `size` words, a power of two of at least 2.
    pub fn new(modulus: Modulus, size: usize) -> Self {
        let order = 2 * size as u64;
        let prime = modulus.prime();
        // A root of order 2 N has the N-th power -1.
        let root = (2..prime)
            .map(|x| modulus.power(x, (prime - 1) / order))
            .find(|&root| modulus.power(root, size as u64) == prime - 1)
            .unwrap_or(1);
        let powers = |root: u64| {
            let mut powers = vec![modulus.factor(1); size];
            let mut power = 1;
            for place in 0..size {
                let reversed = place.reverse_bits() >> (usize::BITS - size.trailing_zeros());
                if let Some(to) = powers.get_mut(reversed) {
                    *to = modulus.factor(power);
                }
                power = modulus.product(power, root);
            }
            powers
        };
        Self {
            roots: powers(root),
            inverse_roots: powers(modulus.inverse(root)),
            shrink: modulus.factor(modulus.inverse(size as u64)),
            modulus,
        }
    }

    /// Coefficients to values, both below the prime.
    pub fn forward(&self, words: &mut [u64]) {
        let mut gap = words.len() / 2;
        while gap > 0 {
            any_stage(&self.modulus, &self.roots, gap, words, forth);
            gap /= 2;
        }
        let prime = self.modulus.prime();
        for word in words {
            *word = Modulus::once(Modulus::once(*word, 2 * prime), prime);
        }
    }

    /// Values to coefficients, both below the prime.
    pub fn backward(&self, words: &mut [u64]) {
        let mut gap = 1;
        while gap < words.len() {
            any_stage(&self.modulus, &self.inverse_roots, gap, words, back);
            gap *= 2;
        }
        for word in words {
            *word = self.modulus.times(self.shrink, *word);
        }
    }
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::{Rng, printed_seed};

    use super::*;
    use crate::ring::{Parameters as _, Words32, Words64};

    /// `x y` modulo `X^N + 1`, term by term.
    fn by_terms(modulus: &Modulus, x: &[u64], y: &[u64]) -> Vec<u64> {
        let mut out = vec![0; x.len()];
        for (i, &x) in x.iter().enumerate() {
            for (j, &y) in y.iter().enumerate() {
                let term = modulus.product(x, y);
                let place = (i + j) % out.len();
                out[place] = if i + j < out.len() {
                    modulus.plus(out[place], term)
                } else {
                    modulus.minus(out[place], term)
                };
            }
        }
        out
    }

    #[test]
    fn products_of_values_are_products_of_polynomials() {
        let mut rng = Rng(printed_seed());
        for prime in Words32::ring().primes().iter().chain(Words64::ring().primes()) {
            let modulus = prime.modulus();
            for size in [2, 4, 8, 16, 64, 512] {
                let ntt = Ntt::new(*modulus, size);
                let largest = vec![modulus.prime() - 1; size];
                let mut random =
                    || -> Vec<u64> { (0..size).map(|_| rng.next() % modulus.prime()).collect() };
                let (a, b) = (random(), random());
                for (x, y) in [(&a, &b), (&largest, &largest), (&a, &largest)] {
                    let (mut values, mut others) = (x.clone(), y.clone());
                    ntt.forward(&mut values);
                    ntt.forward(&mut others);
                    for (x, y) in values.iter_mut().zip(&others) {
                        *x = modulus.product(*x, *y);
                    }
                    ntt.backward(&mut values);
                    assert_eq!(values, by_terms(modulus, x, y), "{size}");
                }
            }
        }
    }

    #[test]
    fn there_and_back_is_nothing_in_full_size() {
        let mut rng = Rng(printed_seed());
        for ring in [Words32::ring(), Words64::ring()] {
            for prime in ring.primes() {
                let words = (0..ring.size()).map(|_| rng.next() % prime.modulus().prime());
                let words: Vec<u64> = words.collect();
                let mut values = words.clone();
                prime.ntt().forward(&mut values);
                assert_ne!(values, words);

                prime.ntt().backward(&mut values);
                assert_eq!(values, words);
                let mut half = vec![0; ring.size()];
                half[ring.size() / 2] = 1;
                prime.ntt().forward(&mut half);
                let minus = prime.modulus().prime() - 1;
                assert!(half.iter().all(|&x| prime.modulus().product(x, x) == minus));
            }
        }
    }
}
