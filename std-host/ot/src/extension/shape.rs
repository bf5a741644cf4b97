//! Counts and bytes of a call.

use crate::base::COUNT;
use crate::block::BYTES;
use crate::error::OtError;
use crate::transpose::SIDE;
use crate::tree;

/// OTs of one call at most. It bounds memory and the chance of the check (`crate::universal`).
pub const MOST_OTS: usize = 1 << 24;

/// Bytes of a challenge.
pub const CHALLENGE_BYTES: usize = 32;

/// Bytes of a proof: the sum of the choices, and of each column.
pub const PROOF_BYTES: usize = (1 + COUNT) * BYTES;

/// Bytes of the sum at the end of a message.
pub(super) const SUM_BYTES: usize = BYTES;

/// Bits of the small field, `k`: trees have `2^k` leaves. More bits make messages smaller, `16 / k`
/// bytes for an OT, and streams more: `2^k / k` are read for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldBits {
    /// 16 bytes, two streams.
    One,
    /// 8 bytes, two streams: never worse than [`FieldBits::One`].
    Two,
    /// 4 bytes, four streams: for slow links.
    Four,
}

impl FieldBits {
    /// `k`.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Trees, each of `k` base OTs.
    pub(super) const fn trees(self) -> usize {
        COUNT / self.bits()
    }

    /// Bytes of the trees' messages, which the first message of a session begins with.
    pub(super) const fn trees_bytes(self) -> usize {
        self.trees() * tree::message_bytes(self.bits())
    }

    /// Bytes of the corrections of one block of 128 OTs.
    pub(super) const fn correction_bytes(self) -> usize {
        (self.trees() - 1) * BYTES
    }
}

/// Blocks of 128 OTs that hold `count`, and the one that hides the sums.
pub(super) const fn blocks(count: usize) -> usize {
    count.div_ceil(SIDE) + 1
}

/// Bytes of the receiver's message for `count` OTs; the first of a session has the trees, too.
#[must_use]
pub const fn message_bytes(field: FieldBits, count: usize, first: bool) -> usize {
    let trees = if first { field.trees_bytes() } else { 0 };
    trees + blocks(count) * field.correction_bytes() + SUM_BYTES
}

/// An error for a count that no call makes.
pub(super) const fn count_fits(count: usize) -> Result<(), OtError> {
    if count > MOST_OTS { Err(OtError::Count { asked: count, most: MOST_OTS }) } else { Ok(()) }
}
