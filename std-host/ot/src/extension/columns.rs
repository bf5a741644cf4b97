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
