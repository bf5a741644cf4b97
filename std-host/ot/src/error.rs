//! What can go wrong, and what to do about it.

/// Why a step failed. No error depends on a secret but [`OtError::Check`], which ends the use of
/// the base OTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtError {
    /// Bytes of a wrong length.
    #[error(
        "{what}: {found} bytes instead of {expected}. Both parties need the same version, \
         field and count; if they have it, the bytes were cut on their way: begin a new session"
    )]
    Length {
        /// Which bytes.
        what: &'static str,
        /// Bytes that belong there.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A point of a base OT is none, or the identity.
    #[error(
        "base OT {index}: the peer's bytes are no point of the group, or the identity. Nothing \
         can be kept: begin the base OTs anew, with a peer that runs the same version"
    )]
    Point {
        /// Which of the 128 base OTs.
        index: usize,
    },
    /// More OTs than one call makes.
    #[error("{asked} OTs in one call, at most {most}: ask several times")]
    Count {
        /// OTs asked for.
        asked: usize,
        /// OTs that one call makes at most.
        most: usize,
    },
    /// A part of the results that does not exist.
    #[error("OTs from {first} on, {len} of them: there are {count}")]
    Range {
        /// First OT asked for.
        first: usize,
        /// OTs asked for.
        len: usize,
        /// OTs there are.
        count: usize,
    },
    /// A message was damaged on its way, or belongs to another session or call.
    #[error(
        "the sum of the message is wrong: it was damaged, or is of another session or call. \
         Begin a new session"
    )]
    Sum,
    /// What the peer sent is inconsistent, now or in an earlier call: in an extension the receiver,
    /// in silent OTs the sender.
    #[error(
        "the peer failed the consistency check: it cheated, or the two parties' base OTs are not \
         of one run. Delete the kept base OTs, since who cheats may have learnt something of \
         them, and ask whether this peer is still trusted"
    )]
    Check,
}

/// Whether bytes have their length.
pub(crate) const fn length(
    what: &'static str,
    bytes: &[u8],
    expected: usize,
) -> Result<(), OtError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(OtError::Length { what, expected, found: bytes.len() })
    }
}
