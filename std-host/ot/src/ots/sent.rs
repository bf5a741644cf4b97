//! The sender's side.

use zeroize::Zeroizing;

use super::range::range;
use crate::block::Block;
use crate::error::OtError;
use crate::hash::{BATCH, Hash};

/// Random OTs, of each both blocks. 16 bytes for each.
pub struct Sent {
    key: Block,
    hash: Hash,
    rows: Zeroizing<Vec<Block>>,
    delta: Zeroizing<Block>,
}

redacted!(Sent);

impl Sent {
    /// Of rows and the secret of all, under the key of a public hash that no other rows have.
    pub(crate) fn new(key: Block, rows: Zeroizing<Vec<Block>>, delta: Zeroizing<Block>) -> Self {
        Self { key, hash: Hash::new(key), rows, delta }
    }

    /// The hash's key, the rows, and the secret of all.
    pub(crate) fn parts(&self) -> (Block, &[Block], &Zeroizing<Block>) {
        (self.key, &self.rows, &self.delta)
    }

    /// OTs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Rows `first..` as they are, as many as there is room for: the first blocks of *correlated*
    /// OTs, whose other block is [`Sent::delta`] away. What is read so must not be read as pairs.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn rows(&self, first: usize, rows: &mut [Block]) -> Result<(), OtError> {
        let range = range(first, rows.len(), self.count())?;
        rows.copy_from_slice(self.rows.get(range).unwrap_or_default());
        Ok(())
    }

    /// What the two blocks of a correlated OT differ by: a secret of the session.
    #[must_use]
    pub fn delta(&self) -> Block {
        *self.delta
    }

    /// A public name of these OTs, which no others of the pair have.
    #[must_use]
    pub const fn name(&self) -> Block {
        self.key
    }

    /// Both blocks of OTs `first..`, of as many as there is room for.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn pairs(&self, first: usize, pairs: &mut [[Block; 2]]) -> Result<(), OtError> {
        let range = range(first, pairs.len(), self.count())?;
        let rows = self.rows.get(range).unwrap_or_default();
        let delta = *self.delta;
        let each = pairs.chunks_mut(BATCH / 2).zip(rows.chunks(BATCH / 2));
        for (part, (to, rows)) in each.enumerate() {
            let place = first + part * (BATCH / 2);
            let to = to.as_flattened_mut();
            self.hash.apply(
                to.len(),
                |lane| rows[lane / 2] ^ if lane % 2 == 1 { delta } else { 0 },
                |lane| (place + lane / 2) as Block,
                |lane, hash| to[lane] = hash,
            );
        }
        Ok(())
    }
}
