//! Polynomials as residues modulo each prime of a ring, wiped when they end.

use zeroize::Zeroizing;

use super::modulus::{Modulus, wide};
use super::ring::{Prime, Ring};

/// The residues of the first prime, then those of the second, and so on: coefficients or values.
pub struct Poly(Zeroizing<Vec<u64>>);

impl Poly {
    /// All zero.
    pub fn zero(ring: &Ring) -> Self {
        Self(Zeroizing::new(vec![0; ring.residues()]))
    }

    /// Each prime with its residues.
    pub fn parts<'a>(&'a self, ring: &'a Ring) -> impl Iterator<Item = (&'a Prime, &'a [u64])> {
        ring.primes().iter().zip(self.0.chunks_exact(ring.size()))
    }

    /// The same, to change.
    pub fn parts_mut<'a>(
        &'a mut self,
        ring: &'a Ring,
    ) -> impl Iterator<Item = (&'a Prime, &'a mut [u64])> {
        ring.primes().iter().zip(self.0.chunks_exact_mut(ring.size()))
    }

    /// All residues.
    pub fn residues(&self) -> &[u64] {
        &self.0
    }

    /// Values that are signed words.
    pub fn reduced(ring: &Ring, values: &[i64]) -> Self {
        let mut poly = Self::zero(ring);
        let of_primes = poly.parts_mut(ring).zip(values.chunks_exact(ring.size()));
        for ((prime, to), values) in of_primes {
            for (to, &value) in to.iter_mut().zip(values) {
                *to = prime.modulus().signed(value);
            }
        }
        poly
    }

    /// Signed coefficients, each of any size, as values.
    pub fn values_of(ring: &Ring, coefficients: &[i64]) -> Self {
        Self::made(ring, coefficients, Modulus::signed)
    }

    /// Signed coefficients of a few bits, as values.
    pub fn values_of_small(ring: &Ring, coefficients: &[i64]) -> Self {
        Self::made(ring, coefficients, Modulus::small)
    }

    fn made(ring: &Ring, coefficients: &[i64], residue: impl Fn(&Modulus, i64) -> u64) -> Self {
        let mut poly = Self::zero(ring);
        for (prime, words) in poly.parts_mut(ring) {
            for (word, &coefficient) in words.iter_mut().zip(coefficients) {
                *word = residue(prime.modulus(), coefficient);
            }
            prime.ntt().forward(words);
        }
        poly
    }

    /// Values to coefficients, in place.
    pub fn backward(&mut self, ring: &Ring) {
        for (prime, words) in self.parts_mut(ring) {
            prime.ntt().backward(words);
        }
    }

    /// `self += x y`, all values.
    pub fn add_product(&mut self, ring: &Ring, x: &Self, y: &Self) {
        self.join(ring, x, y, |modulus, to, x, y| modulus.reduce(u128::from(to) + wide(x, y)));
    }

    /// `self -= x y`, all values.
    pub fn subtract_product(&mut self, ring: &Ring, x: &Self, y: &Self) {
        self.join(ring, x, y, |modulus, to, x, y| modulus.minus(to, modulus.product(x, y)));
    }

    fn join(
        &mut self,
        ring: &Ring,
        x: &Self,
        y: &Self,
        word: impl Fn(&Modulus, u64, u64, u64) -> u64,
    ) {
        let factors = x.parts(ring).zip(y.parts(ring));
        for ((prime, to), ((_, x), (_, y))) in self.parts_mut(ring).zip(factors) {
            for ((to, &x), &y) in to.iter_mut().zip(x).zip(y) {
                *to = word(prime.modulus(), *to, x, y);
            }
        }
    }

    /// `self += coefficients` of a few bits.
    pub fn add_small(&mut self, ring: &Ring, coefficients: &[i64]) {
        for (prime, words) in self.parts_mut(ring) {
            let modulus = prime.modulus();
            for (word, &coefficient) in words.iter_mut().zip(coefficients) {
                *word = modulus.plus(*word, modulus.small(coefficient));
            }
        }
    }

    /// Coefficients at some places as fractions of `q` modulo 1, each less than `2^-125` below.
    pub fn fractions(
        &self,
        ring: &Ring,
        places: impl Iterator<Item = usize> + Clone,
    ) -> Zeroizing<Vec<u128>> {
        let mut sums = Zeroizing::new(vec![0_u128; places.clone().count()]);
        for (prime, words) in self.parts(ring) {
            for (sum, place) in sums.iter_mut().zip(places.clone()) {
                let word = words.get(place).copied().unwrap_or_default();
                *sum = sum.wrapping_add(prime.part(word));
            }
        }
        sums
    }

    /// The residues of one prime.
    pub fn part(&self, ring: &Ring, number: usize) -> &[u64] {
        self.0.chunks_exact(ring.size()).nth(number).unwrap_or_default()
    }
}
