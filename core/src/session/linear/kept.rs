//! `E` as words that a board keeps: products with it are multiply-accumulates, and a digest says
//! whether it is still what it was.
//!
//! The digest is a universal hash under keystream of the model's seed. Words of another model, or
//! words of which bits have turned, have the same one with probability of about `2^-27` at most.
//!
//! Reference: NH of UMAC (J. Black, S. Halevi, H. Krawczyk, T. Krovetz, P. Rogaway, CRYPTO '99) of
//! every block, and a polynomial modulo `2^61 - 1` over the blocks.

use crate::keystream::{BLOCK_WORDS, Domain, Keystream, Kind, Rounds};
use crate::ring;

/// Words of a digest.
pub const DIGEST_WORDS: usize = 2;

/// The polynomial's modulus.
const PRIME: u64 = (1 << 61) - 1;

/// The key of the digest of a layer's `E`.
pub(crate) struct DigestKey {
    pairs: [u32; BLOCK_WORDS],
    point: u64,
}

impl DigestKey {
    /// That of layer `layer`; `model` is the keystream of the model's seed.
    pub(crate) fn new<C: Rounds>(model: &Keystream<C>, layer: u16) -> Self {
        let domain = Domain { session: 0, layer, kind: Kind::KeptDigest };
        let point = model.block(domain, 1).ring::<u64>(0) & PRIME;
        Self { pairs: *model.block(domain, 0).words(), point }
    }
}

/// The digest of the words up to somewhere: at first of none.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    /// Of no words.
    pub(crate) const EMPTY: Self = Self(0);

    /// Takes the words that follow: whole blocks, or with the last words what there is of one.
    pub(crate) fn add(&mut self, key: &DigestKey, words: &[u32]) {
        let (blocks, rest) = words.as_chunks();
        blocks.iter().for_each(|block| self.fold(key, block));
        if !rest.is_empty() {
            let mut block = [0; BLOCK_WORDS];
            block.iter_mut().zip(rest).for_each(|(block, word)| *block = *word);
            self.fold(key, &block);
        }
    }

    fn fold(&mut self, key: &DigestKey, block: &[u32; BLOCK_WORDS]) {
        self.0 = reduced(times(self.0, key.point) + reduced(nh(&key.pairs, block)));
    }

    /// The digest.
    pub(crate) fn finish(self) -> [u32; DIGEST_WORDS] {
        // Of the two representatives the smaller, without a branch.
        let less = self.0.wrapping_sub(PRIME);
        let sum = less.wrapping_add(PRIME & (less >> 63).wrapping_neg());
        #[allow(clippy::cast_possible_truncation)]
        [sum as u32, (sum >> 32) as u32]
    }
}

/// The products of a block's keyed words, pair by pair, added up.
fn nh(key: &[u32; BLOCK_WORDS], block: &[u32; BLOCK_WORDS]) -> u64 {
    let (keys, pairs) = (key.as_chunks::<2>().0, block.as_chunks::<2>().0);
    keys.iter().zip(pairs).fold(0, |sum: u64, ([a, b], [x, y])| {
        sum.wrapping_add(u64::from(x.wrapping_add(*a)) * u64::from(y.wrapping_add(*b)))
    })
}

/// A number below `2^61 + 8` that is the same modulo the prime.
const fn reduced(number: u64) -> u64 {
    (number & PRIME) + (number >> 61)
}

/// A product modulo the prime, below `2^63`, of two numbers below `2^61 + 8`.
const fn times(a: u64, b: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let (a1, a0, b1, b0) = (a >> 32, a & LOW, b >> 32, b & LOW);
    // 2^64 is 8 modulo the prime; the middle's bits from 29 on reach 2^61.
    let middle = a1 * b0 + a0 * b1;
    let high = (a1 * b1) << 3;
    reduced(high) + (middle >> 29) + ((middle & ((1 << 29) - 1)) << 32) + reduced(a0 * b0)
}

/// Adds the products of row `first_row` and those that follow, from column `first_column` on, with
/// `r`, to `out`. Two rows at once, so that a word of `r` serves twice.
pub(crate) fn add_products<C: Rounds>(
    words: &[u32],
    row_elems: usize,
    (first_row, first_column): (usize, usize),
    r: &[u32],
    out: &mut [u32],
) {
    let columns = first_column..first_column + r.len();
    let rows = words.get(first_row * row_elems..).unwrap_or(&[]);
    let (pairs, last) = out.as_chunks_mut::<2>();
    let mut rest = rows;
    for [x, y] in pairs {
        let (a, behind) = rest.split_at_checked(row_elems).unwrap_or((rest, &[]));
        let (b, behind) = behind.split_at_checked(row_elems).unwrap_or((behind, &[]));
        rest = behind;
        let (a, b) = (a.get(columns.clone()), b.get(columns.clone()));
        [*x, *y] = C::dot_two([*x, *y], [a.unwrap_or(&[]), b.unwrap_or(&[])], r);
    }
    if let [x] = last {
        *x = ring::dot(*x, rest.get(columns).unwrap_or(&[]), r);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::keystream::{ChaCha12, Key};

    fn words(count: u32) -> Vec<u32> {
        (0..count).map(|at| at.wrapping_mul(0x9e37_79b9) ^ at << 7).collect()
    }

    #[test]
    fn products_modulo_the_prime_are_those_of_wide_integers() {
        let ends = [0, 1, 7, u64::from(u32::MAX), 1 << 60, PRIME - 1, PRIME, PRIME + 7];
        for (a, b) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
            let wide = u128::from(a) * u128::from(b) % u128::from(PRIME);
            assert!(times(a, b) < 1 << 63);
            assert_eq!(u128::from(times(a, b) % PRIME), wide, "{a} {b}");
        }
    }

    #[test]
    fn a_digest_sees_every_bit_every_layer_and_every_seed_and_no_cut() {
        let [own, other] =
            [1, 2].map(|key| Keystream::<ChaCha12>::new(&Key::from_bytes([key; 32])));
        let digest = |model, layer, words: &[u32]| {
            let mut digest = Digest::EMPTY;
            digest.add(&DigestKey::new(model, layer), words);
            digest.finish()
        };
        let mut words = words(77);
        let right = digest(&own, 3, &words);
        assert_ne!(right, digest(&own, 4, &words));
        assert_ne!(right, digest(&other, 3, &words));
        for bit in 0..77 * 32 {
            words[bit / 32] ^= 1 << (bit % 32);
            assert_ne!(right, digest(&own, 3, &words), "bit {bit}");
            words[bit / 32] ^= 1 << (bit % 32);
        }
        for blocks in 1..6 {
            let (mut cut, key) = (Digest::EMPTY, DigestKey::new(&own, 3));
            words.chunks(blocks * BLOCK_WORDS).for_each(|piece| cut.add(&key, piece));
            assert_eq!(right, cut.finish(), "{blocks}");
        }
    }

    #[test]
    fn rows_in_pairs_give_what_rows_give() {
        for (row_elems, columns) in [(1, 0..1), (7, 2..7), (16, 0..16), (40, 16..39)] {
            let (matrix, r) = (words(9 * 40), words(40));
            let r = &r[columns.clone()];
            for (first, count) in [(0, 1), (0, 8), (2, 7), (8, 1)] {
                let mut out = words(count);
                let expected: Vec<u32> = (first..)
                    .zip(&out)
                    .map(|(row, acc)| {
                        let row = &matrix[row * row_elems..][columns.clone()];
                        ring::dot(*acc, row, r)
                    })
                    .collect();
                add_products::<ChaCha12>(&matrix, row_elems, (first, columns.start), r, &mut out);
                assert_eq!(out, expected);
            }
        }
    }
}
