//! Matrices in coefficients, so that products of polynomials hold inner products (Cheetah, eprint
//! 2022/207, section 4; for two matrices: Iron, NeurIPS 2022, section 4.1).
//!
//! Of blocks of `u x v` and `v x w` words, with `u v w <= N`:
//!
//! ```text
//! left    X[i][j]  at coefficient  i v w + v - 1 - j
//! right   Y[j][k]  at coefficient  k v + j
//! product sum_j X[i][j] Y[j][k]  at coefficient  i v w + k v + v - 1
//! ```
//!
//! A term `X[i][j] Y[j'][k]` with `j != j'` is off such a place by less than `v`, so it is at none;
//! what wraps modulo `X^N + 1` comes to lie below `v - 1`, where there is none either.

use zeroize::{Zeroize, Zeroizing};

use super::error::Error;
use super::ring::Ring;
use super::sample::SEED_BYTES;

/// How two matrices are cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Rows, inner dimension, columns.
    sizes: [usize; 3],
    /// The same of a block.
    block: [usize; 3],
    /// Whether the left matrix is encrypted, too; the right one is.
    both: bool,
    request_bytes: usize,
    reply_bytes: usize,
}

/// Sizes of even blocks of at most `limit` words of `size`: all that make fewer blocks than the one
/// before.
fn block_sizes(size: usize, limit: usize) -> impl Iterator<Item = usize> {
    (1..=size.min(limit)).filter(move |&block| size.div_ceil(size.div_ceil(block)) == block)
}

impl Layout {
    /// The layout of the fewest bytes.
    pub fn new(ring: &Ring, sizes: [usize; 3], both: bool) -> Result<Self, Error> {
        let mut best: Option<Self> = None;
        if sizes.contains(&0) {
            return Err(Error::Sizes);
        }
        let [rows, inner, columns] = sizes;
        for block_rows in block_sizes(rows, ring.size()) {
            for block_columns in block_sizes(columns, ring.size() / block_rows) {
                let most = (ring.size() / block_rows / block_columns).min(inner);
                let block_inner = inner.div_ceil(inner.div_ceil(most));
                let block = [block_rows, block_inner, block_columns];
                let layout = Self::sized(ring, sizes, block, both);
                let bytes = |layout: &Self| layout.request_bytes + layout.reply_bytes;
                best = match (best, layout) {
                    (Some(best), Some(other)) if bytes(&other) < bytes(&best) => Some(other),
                    (None, other) => other,
                    (best, _) => best,
                };
            }
        }
        best.ok_or(Error::Sizes)
    }

    /// The layout with such blocks, unless sizes overflow.
    fn sized(ring: &Ring, sizes: [usize; 3], block: [usize; 3], both: bool) -> Option<Self> {
        let [rows, inner, columns] = sizes;
        // What callers hold.
        for matrix in [(rows, inner), (inner, columns), (rows, columns)] {
            matrix.0.checked_mul(matrix.1)?;
        }
        let mut layout = Self { sizes, block, both, request_bytes: 0, reply_bytes: 0 };
        let [rows, inner, columns] = layout.blocks();
        let left = if both { rows.checked_mul(inner)? } else { 0 };
        let fresh = inner.checked_mul(columns)?.checked_add(left)?;
        let request = fresh.checked_mul(ring.fresh_bytes())?.checked_add(SEED_BYTES)?;
        let reply = ring.reply_bytes(layout.places().count());
        let reply = rows.checked_mul(columns)?.checked_mul(reply)?;
        // Both together are a size, too.
        request.checked_add(reply)?;
        (layout.request_bytes, layout.reply_bytes) = (request, reply);
        Some(layout)
    }

    /// Rows, inner dimension, columns.
    pub fn sizes(&self) -> [usize; 3] {
        self.sizes
    }

    /// The same of a block.
    pub fn block(&self) -> [usize; 3] {
        self.block
    }

    /// Blocks down the rows, along the inner dimension, along the columns.
    pub fn blocks(&self) -> [usize; 3] {
        let [rows, inner, columns] = self.sizes;
        let [block_rows, block_inner, block_columns] = self.block;
        [rows.div_ceil(block_rows), inner.div_ceil(block_inner), columns.div_ceil(block_columns)]
    }

    /// Whether both matrices are encrypted.
    pub fn both(&self) -> bool {
        self.both
    }

    /// Bytes of a request.
    pub fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Bytes of a reply.
    pub fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// Where a block's results are, row by row.
    pub fn places(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let [rows, inner, columns] = self.block;
        let row =
            move |row| (0..columns).map(move |column| (row * columns + column) * inner + inner - 1);
        (0..rows).flat_map(row)
    }

    /// Coefficients of the left matrix's block in block row `row` and place `place` along the inner
    /// dimension.
    pub fn left<T: Copy + Default + Zeroize>(
        &self,
        matrix: &[T],
        [row, place]: [usize; 2],
    ) -> Zeroizing<Vec<T>> {
        let [block_rows, block_inner, block_columns] = self.block;
        let [_, inner, _] = self.sizes;
        let mut out = Zeroizing::new(vec![T::default(); block_rows * block_inner * block_columns]);
        let rows = matrix.chunks_exact(inner).skip(row * block_rows).take(block_rows);
        for (to, row) in out.chunks_exact_mut(block_inner * block_columns).zip(rows) {
            let words = row.iter().skip(place * block_inner).take(block_inner);
            let to = to.iter_mut().take(block_inner).rev();
            to.zip(words).for_each(|(to, &from)| *to = from);
        }
        out
    }

    /// The same of the right matrix's block at place `place` along the inner dimension, in block
    /// column `column`.
    pub fn right<T: Copy + Default + Zeroize>(
        &self,
        matrix: &[T],
        [place, column]: [usize; 2],
    ) -> Zeroizing<Vec<T>> {
        let [_, block_inner, block_columns] = self.block;
        let [_, _, columns] = self.sizes;
        let mut out = Zeroizing::new(vec![T::default(); block_inner * block_columns]);
        let rows = matrix.chunks_exact(columns).skip(place * block_inner).take(block_inner);
        for (j, row) in rows.enumerate() {
            let to = out.iter_mut().skip(j).step_by(block_inner);
            let words = row.iter().skip(column * block_columns).take(block_columns);
            to.zip(words).for_each(|(to, &from)| *to = from);
        }
        out
    }

    /// Puts a block's words where they belong in the product, `row` and `column` counted in blocks.
    pub fn put(&self, words: &[u64], [row, column]: [usize; 2], product: &mut [u64]) {
        let [block_rows, _, block_columns] = self.block;
        let [_, _, columns] = self.sizes;
        let rows = product.chunks_exact_mut(columns).skip(row * block_rows).take(block_rows);
        for (to, words) in rows.zip(words.chunks_exact(block_columns)) {
            let to = to.iter_mut().skip(column * block_columns);
            to.zip(words).for_each(|(to, &word)| *to = word);
        }
    }
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::{Rng, printed_seed};

    use super::*;
    use crate::ring::{Parameters as _, Words32, Words64};

    /// The product of two blocks modulo `X^N + 1` and `2^64`.
    fn product(size: usize, x: &[u64], y: &[u64]) -> Vec<u64> {
        let mut out = vec![0_u64; size];
        for (i, &x) in x.iter().enumerate() {
            for (j, &y) in y.iter().enumerate() {
                let to = &mut out[(i + j) % size];
                let term = x.wrapping_mul(y);
                *to = if i + j < size { to.wrapping_add(term) } else { to.wrapping_sub(term) };
            }
        }
        out
    }

    #[test]
    fn products_of_blocks_hold_inner_products() {
        let mut random = Rng(printed_seed());
        let ring = Words32::ring();
        for sizes in [[1, 1, 1], [3, 5, 7], [64, 64, 1], [33, 70, 20], [1, 5000, 2], [90, 3, 80]] {
            let layout = Layout::new(ring, sizes, true).unwrap();
            let [rows, inner, columns] = sizes;
            let x: Vec<u64> = (0..rows * inner).map(|_| random.next()).collect();
            let y: Vec<u64> = (0..inner * columns).map(|_| random.next()).collect();
            let mut found = vec![0; rows * columns];
            let [block_rows, block_inner, block_columns] = layout.blocks();
            for row in 0..block_rows {
                for column in 0..block_columns {
                    let mut words = vec![0_u64; layout.places().count()];
                    for place in 0..block_inner {
                        let left = layout.left(&x, [row, place]);
                        let right = layout.right(&y, [place, column]);
                        let product = product(ring.size(), &left, &right);
                        for (word, place) in words.iter_mut().zip(layout.places()) {
                            *word = word.wrapping_add(product[place]);
                        }
                    }
                    layout.put(&words, [row, column], &mut found);
                }
            }
            for (place, found) in found.iter().enumerate() {
                let (row, column) = (place / columns, place % columns);
                let term = |j: usize| x[row * inner + j].wrapping_mul(y[j * columns + column]);
                let expected = (0..inner).map(term).fold(0, u64::wrapping_add);
                assert_eq!(*found, expected, "{sizes:?} {row} {column}");
            }
        }
    }

    #[test]
    fn blocks_cover_their_matrices_and_fit() {
        let mut random = Rng(printed_seed());
        for ring in [Words32::ring(), Words64::ring()] {
            for _ in 0..50 {
                let bits = random.below(12);
                let sizes = [0; 3].map(|_| 1 + random.below(1 << bits));
                let layout = Layout::new(ring, sizes, random.below(2) == 0).unwrap();
                assert!(layout.block().iter().product::<usize>() <= ring.size());
                assert!(layout.places().all(|place| place < ring.size()));
                for ((size, block), blocks) in sizes.iter().zip(layout.block()).zip(layout.blocks())
                {
                    assert!((blocks - 1) * block < *size && *size <= blocks * block);
                }
            }
        }
    }
}
