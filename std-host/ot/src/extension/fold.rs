//! A tree's streams, summed to columns.

use super::columns::CHUNK;
use crate::block::{Block, Bytes};
use crate::stream::{Stream, add, counters};

/// Where the streams are read, and room for that.
pub struct Fold {
    counters: [Bytes; CHUNK],
    blocks: [Bytes; CHUNK],
}

impl Fold {
    /// At the beginning.
    pub fn new() -> Self {
        Self { counters: [Bytes::default(); CHUNK], blocks: [Bytes::default(); CHUNK] }
    }

    /// Reads blocks from `first` on.
    pub fn at(&mut self, first: u64) {
        counters(first, &mut self.counters);
    }

    /// Adds the streams of leaves to the columns, a column for each bit of a leaf's number and
    /// `len` blocks of each; and all of them to `sum`, if one is asked for.
    pub fn add<'a>(
        &mut self,
        leaves: impl Iterator<Item = (usize, &'a Stream)>,
        columns: &mut [Block],
        len: usize,
        mut sum: Option<&mut [Block]>,
    ) {
        let (counters, blocks) = (&self.counters[..len], &mut self.blocks[..len]);
        for (leaf, stream) in leaves {
            stream.read(counters, blocks);
            if let Some(sum) = &mut sum {
                add(sum, blocks);
            }
            for (bit, column) in columns.chunks_exact_mut(len).enumerate() {
                if (leaf >> bit) & 1 == 1 {
                    add(column, blocks);
                }
            }
        }
    }
}
