//! Parameters, and bytes of a call.

use core::ops::Range;

use crate::block::{BYTES, Block};
use crate::digest::block;

/// Rows of a call.
pub const ROWS: usize = TREES * LEAVES;

/// Rows that the code takes, `k`.
pub const CODE_ROWS: usize = 589_760;

/// Entries in a row of the code.
pub const ENTRIES: usize = 10;

/// Trees, each with one place of noise: the first ones of the paper's 1319.
pub const TREES: usize = 256;

/// Levels of a tree.
pub const LEVELS: usize = 13;

/// Leaves of a tree.
pub const LEAVES: usize = 1 << LEVELS;

/// Rows that a call takes: for the code, for the trees, to hide a sum, and for a key of the
/// receiver.
pub const SEED_OTS: usize = KEY.end;

/// Rows for the trees, [`LEVELS`] each.
pub const OF_TREES: Range<usize> = CODE_ROWS..CODE_ROWS + TREES * LEVELS;

/// Rows that hide a sum.
pub const HIDE: Range<usize> = OF_TREES.end..OF_TREES.end + 128;

/// Rows whose choices are a key of the receiver.
pub const KEY: Range<usize> = HIDE.end..HIDE.end + 128;

/// OTs that a call gives.
pub const OTS: usize = ROWS - SEED_OTS;

/// Bytes of a tree's message.
pub const TREE_BYTES: usize = (LEVELS - 1) * 2 * BYTES + BYTES;

/// Bytes of the sender's message.
pub const MESSAGE_BYTES: usize = TREES * TREE_BYTES;

/// Bytes of the challenge: what the key is made of, and a hidden sum.
pub const CHALLENGE_BYTES: usize = SALT_BYTES + BYTES;

/// Bytes that the key is made of.
pub const SALT_BYTES: usize = 32;

/// Bytes of the proof.
pub const PROOF_BYTES: usize = 32;

/// Public keys of one call, and the name of the next: all from the name of the call.
#[derive(Clone, Copy)]
pub struct Keys(Block);

impl Keys {
    /// Of the call that a name stands for.
    pub const fn new(name: Block) -> Self {
        Self(name)
    }

    /// The key for a use.
    pub fn of(self, usage: &str) -> Block {
        self.with(usage, &[])
    }

    /// The key for a use and some bytes.
    pub fn with(self, usage: &str, bytes: &[u8]) -> Block {
        block(usage, &[&self.0.to_le_bytes(), bytes])
    }

    /// Those of the next call.
    pub fn next(self) -> Self {
        Self(self.of("sharelet-ot silent next"))
    }
}
