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
        let row = move |row| {
            (0..columns).map(move |column| (row * columns + column) * inner + inner - 1)
        };
        (0..rows).flat_map(row)
    }

    /// Coefficients of the left matrix's block in block row `row` and place `place` along the inner
    /// dimension, with each word as `word` has it.
    pub fn left<T: Copy, C: Copy + Default>(
        &self,
        matrix: &[T],
        [row, place]: [usize; 2],
        word: impl Fn(T) -> C,
    ) -> Vec<C> {
        let [block_rows, block_inner, block_columns] = self.block;
        let [_, inner, _] = self.sizes;
        let mut out = vec![C::default(); block_rows * block_inner * block_columns];
        let rows = matrix.chunks_exact(inner).skip(row * block_rows).take(block_rows);
        for (to, row) in out.chunks_exact_mut(block_inner * block_columns).zip(rows) {
            let words = row.iter().skip(place * block_inner).take(block_inner);
            let to = to.iter_mut().take(block_inner).rev();
            to.zip(words).for_each(|(to, &from)| *to = word(from));
        }
        out
    }

    /// The same of the right matrix's block at place `place` along the inner dimension, in block
    /// column `column`.
    pub fn right<T: Copy, C: Copy + Default>(
        &self,
        matrix: &[T],
        [place, column]: [usize; 2],
        word: impl Fn(T) -> C,
    ) -> Vec<C> {
        let [_, block_inner, block_columns] = self.block;
        let [_, _, columns] = self.sizes;
        let mut out = vec![C::default(); block_inner * block_columns];
        let rows = matrix.chunks_exact(columns).skip(place * block_inner).take(block_inner);
        for (j, row) in rows.enumerate() {
            let to = out.iter_mut().skip(j).step_by(block_inner);
            let words = row.iter().skip(column * block_columns).take(block_columns);
            to.zip(words).for_each(|(to, &from)| *to = word(from));
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
