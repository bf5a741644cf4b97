//! 128 columns of bits, a block to 128 OTs, in chunks: so that what is worked on stays in the
//! cache. They become rows in place.

use zeroize::Zeroizing;

use super::shape::blocks;
use crate::base::COUNT;
use crate::block::{Block, Bytes};
use crate::transpose::{SIDE, Square, halves, transpose, whole};
use crate::universal::Sums;

/// Correlated rows, one to an OT; wiped.
pub type Rows = Zeroizing<Vec<Block>>;

/// Blocks of a column in one chunk, at most: as many as the widest vectors of the cipher take.
pub const CHUNK: usize = 64;

/// Columns: a chunk is column after column, all of the chunk's length. The last block of a column
/// is that which hides sums.
pub struct Columns {
    words: Zeroizing<Vec<Block>>,
    count: usize,
}

impl Columns {
    /// Zeros for `count` OTs.
    pub fn new(count: usize) -> Self {
        Self { words: Zeroizing::new(vec![0; COUNT * blocks(count)]), count }
    }

    /// The chunks: each of [`COUNT`] columns of one length.
    pub fn chunks_mut(&mut self) -> impl Iterator<Item = &mut [Block]> {
        self.words.chunks_mut(COUNT * CHUNK)
    }

    /// Sums of all columns under a key, and the rows.
    pub fn close(self, key: Block) -> (Vec<Block>, Rows) {
        let Self { mut words, count } = self;
        let sums = Sums::new(key);
        let mut hidden = vec![0; COUNT];
        let mut left = blocks(count);
        let mut rows: Zeroizing<Vec<Square>> = Zeroizing::new(vec![[[0; 2]; SIDE]; CHUNK]);
        for chunk in words.chunks_mut(COUNT * CHUNK) {
            let len = chunk.len() / COUNT;
            left -= len;
            for (sum, column) in hidden.iter_mut().zip(chunk.chunks_exact(len)) {
                add(&sums, sum, column, left == 0);
            }
            for (place, rows) in rows.iter_mut().take(len).enumerate() {
                for (to, column) in rows.iter_mut().zip(chunk.iter().skip(place).step_by(len)) {
                    *to = halves(*column);
                }
                transpose(rows);
            }
            for (to, row) in chunk.iter_mut().zip(rows.as_flattened()) {
                *to = whole(*row);
            }
        }
        words.truncate(count);
        (hidden, words)
    }
}

/// Adds at most [`CHUNK`] blocks of a column to its sum; the very last block hides it, and is added
/// as it is.
fn add(sums: &Sums, sum: &mut Block, blocks: &[Block], last: bool) {
    let (summed, hides) = blocks.split_at(blocks.len() - usize::from(last));
    let mut bytes = [Bytes::default(); CHUNK];
    for (to, from) in bytes.iter_mut().zip(summed) {
        *to = from.to_le_bytes().into();
    }
    sums.add(sum, &mut bytes[..summed.len()]);
    hides.iter().for_each(|block| *sum ^= block);
}

/// The sum of one column alone, hidden by its last block.
pub fn sum_of(key: Block, column: &[Block]) -> Block {
    let (sums, mut sum) = (Sums::new(key), 0);
    let mut parts = column.chunks(CHUNK).peekable();
    while let Some(part) = parts.next() {
        add(&sums, &mut sum, part, parts.peek().is_none());
    }
    sum
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::chi_square::{BOUND, of};

    /// Sums of proofs, of columns that are all alike, and of choices: with or without the block
    /// that hides them.
    fn sums(hidden: bool) -> [f64; 2] {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let mut block = || Block::from(rng.next_u64()) << 64 | Block::from(rng.next_u64());
        let (mut of_columns, mut of_choices) = (Vec::new(), Vec::new());
        // More than a chunk, and a part of one.
        for count in [9000, 100] {
            let mut columns = Columns::new(count);
            let mut left = blocks(count);
            for chunk in columns.chunks_mut() {
                let len = chunk.len() / COUNT;
                left -= len;
                for column in chunk.chunks_exact_mut(len) {
                    column.fill(3 << 70);
                    if let (Some(last), 0) = (column.last_mut(), left) {
                        *last = if hidden { block() } else { 0 };
                    }
                }
            }
            let (found, _) = columns.close(5);
            of_columns.extend(found.iter().flat_map(|sum| sum.to_le_bytes()));
            for _ in 0..COUNT {
                let mut choices = vec![3 << 70; blocks(count)];
                if let Some(last) = choices.last_mut() {
                    *last = if hidden { block() } else { 0 };
                }
                of_choices.extend(sum_of(5, &choices).to_le_bytes());
            }
        }
        [of(of_columns), of(of_choices)]
    }

    #[test]
    fn sums_are_hidden() {
        let [masked, bare] = [true, false].map(sums);
        assert!(masked.iter().all(|&found| found < BOUND), "{masked:?}");
        assert!(bare.iter().all(|&found| found > 10.0 * BOUND), "{bare:?}");
    }
}
