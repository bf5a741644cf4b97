//! Why nothing was read from the sectors, or kept in them.

use core::fmt;

/// Why a counter gives no number, or a ratchet no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError {
    /// The sectors hold no record: they were erased, or never begun.
    Missing,
    /// The sectors hold records of another key.
    OtherKey,
    /// The sectors hold records of this key already.
    Begun,
    /// The key was used elsewhere before.
    KeyUsed,
    /// The flash driver reports an error.
    Flash,
    /// What was written reads back differently.
    NotWritten,
    /// The number was used before.
    AlreadyUsed,
    /// The last number was used.
    Exhausted,
    /// The sectors are fewer than two, not aligned or beyond the flash, or a record is not made of
    /// the flash's words.
    Layout,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the sectors hold no record of this key; if they were erased after it was used, \
                 provision a new key"
            }
            Self::OtherKey => {
                "the sectors hold records of another key; provision a new key, and begin the \
                 sectors with it"
            }
            Self::Begun => "the sectors count for this key already; leave them as they are",
            Self::KeyUsed => "the key was used by a program on a PC; provision a new key",
            Self::Flash => "the flash reports an error; check that nothing else writes there",
            Self::NotWritten => {
                "a record reads back differently; the flash is worn out, use other sectors with a \
                 new key"
            }
            Self::AlreadyUsed => {
                "the host granted a session number that was used before; restore the host's newest \
                 state"
            }
            Self::Exhausted => "the last number was used; provision a new key",
            Self::Layout => {
                "the sectors are fewer than two, not aligned or beyond the flash, or its words do \
                 not make a record; correct the board"
            }
        })
    }
}

impl core::error::Error for StoreError {}
