//! 128 columns of bits, a block to 128 OTs, in chunks: so that what is worked on stays in the
//! cache. They become rows in place.

use zeroize::Zeroizing;

use super::shape::blocks;
use crate::base::COUNT;
use crate::block::{Block, Bytes};
use crate::transpose::{SIDE, transpose};
use crate::universal::Sum;

/// Blocks of a column in one chunk, at most.
pub const CHUNK: usize = 16;

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
        let mut sums = vec![Hidden::new(key); COUNT];
        let mut left = blocks(count);
        let mut rows = Zeroizing::new([[0; SIDE]; CHUNK]);
        for chunk in words.chunks_mut(COUNT * CHUNK) {
            let len = chunk.len() / COUNT;
            left -= len;
            for (sum, column) in sums.iter_mut().zip(chunk.chunks_exact(len)) {
                sum.add(column, left == 0);
            }
            for (place, rows) in rows[..len].iter_mut().enumerate() {
                for (to, column) in rows.iter_mut().zip(chunk.chunks_exact(len)) {
                    *to = column.get(place).copied().unwrap_or_default();
                }
                transpose(rows);
            }
            chunk.copy_from_slice(rows[..len].as_flattened());
        }
        (sums.into_iter().map(Hidden::finish).collect(), Rows { words, count })
    }
}

/// Correlated rows, one to an OT, and some that nobody asked for.
pub struct Rows {
    words: Zeroizing<Vec<Block>>,
    count: usize,
}

impl Rows {
    /// OTs.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The rows.
    pub fn all(&self) -> &[Block] {
        &self.words
    }
}

/// A sum that the last of its blocks hides.
#[derive(Clone)]
struct Hidden {
    sum: Sum,
    last: Block,
}

impl Hidden {
    /// Of nothing.
    fn new(key: Block) -> Self {
        Self { sum: Sum::new(key), last: 0 }
    }

    /// Goes on with at most [`CHUNK`] blocks; `last` says that these are the last ones.
    fn add(&mut self, blocks: &[Block], last: bool) {
        let (summed, hides) = blocks.split_at(blocks.len() - usize::from(last));
        let mut bytes = [Bytes::default(); CHUNK];
        for (to, from) in bytes.iter_mut().zip(summed) {
            *to = from.to_le_bytes().into();
        }
        self.sum.add(&bytes[..summed.len()]);
        hides.iter().for_each(|block| self.last = *block);
    }

    /// The sum.
    fn finish(self) -> Block {
        self.sum.finish() ^ self.last
    }
}

/// The sum of one column alone, hidden by its last block.
pub fn sum_of(key: Block, column: &[Block]) -> Block {
    let mut sum = Hidden::new(key);
    let mut parts = column.chunks(CHUNK).peekable();
    while let Some(part) = parts.next() {
        sum.add(part, parts.peek().is_none());
    }
    sum.finish()
}
