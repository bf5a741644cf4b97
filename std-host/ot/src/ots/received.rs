//! The receiver's side.

use zeroize::Zeroizing;

use super::range::range;
use crate::block::Block;
use crate::error::OtError;
use crate::hash::{BATCH, Hash};

/// Random OTs, of each the block that was chosen. 16 bytes and a bit for each.
pub struct Received {
    key: Block,
    hash: Hash,
    rows: Zeroizing<Vec<Block>>,
    choices: Zeroizing<Vec<u64>>,
}

redacted!(Received);

impl Received {
    /// Of rows and choices, under the key of a public hash that no other rows have.
    pub(crate) fn new(
        key: Block,
        rows: Zeroizing<Vec<Block>>,
        choices: Zeroizing<Vec<u64>>,
    ) -> Self {
        Self { key, hash: Hash::new(key), rows, choices }
    }

    /// The hash's key and the rows.
    pub(crate) fn parts(&self) -> (Block, &[Block]) {
        (self.key, &self.rows)
    }

    /// OTs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Choices, a bit for each OT from the lowest on; the bits after the last OT are zeros.
    #[must_use]
    pub fn choices(&self) -> &[u64] {
        &self.choices
    }

    /// Rows `first..` as they are, as many as there is room for: of each *correlated* OT the block
    /// that the choice names. What is read so must not be read as blocks, too.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn rows(&self, first: usize, rows: &mut [Block]) -> Result<(), OtError> {
        let range = range(first, rows.len(), self.count())?;
        rows.copy_from_slice(self.rows.get(range).unwrap_or_default());
        Ok(())
    }

    /// A public name of these OTs, which no others of the pair have.
    #[must_use]
    pub const fn name(&self) -> Block {
        self.key
    }

    /// The blocks of OTs `first..`, as many as there is room for: of each pair that which the
    /// choice names.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn blocks(&self, first: usize, blocks: &mut [Block]) -> Result<(), OtError> {
        let range = range(first, blocks.len(), self.count())?;
        let rows = self.rows.get(range).unwrap_or_default();
        for (part, (to, rows)) in blocks.chunks_mut(BATCH).zip(rows.chunks(BATCH)).enumerate() {
            let place = first + part * BATCH;
            self.hash.apply(
                to.len(),
                |lane| rows[lane],
                |lane| (place + lane) as Block,
                |lane, hash| to[lane] = hash,
            );
        }
        Ok(())
    }
}
