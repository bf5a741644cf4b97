//! Protocol steps: what a party sends, and what it does with what it gets. Pure functions on the caller's slices, with
//! the plaintext twin and the cost of each protocol beside them. No step does IO.

#[cfg(test)]
pub(crate) mod check;
pub mod gate;
pub mod linear;
pub mod product;
pub mod stepwise;

use core::fmt;

/// A caller's mistake; nothing was computed, but the correlation that was passed is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StepError {
    /// A slice has not the length of the correlation that is spent on it.
    LengthMismatch {
        /// Elements that are needed.
        expected_elems: usize,
        /// Elements that were passed.
        found_elems: usize,
    },
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthMismatch { expected_elems, found_elems } => {
                write!(f, "a slice of {found_elems} elements where the correlation is for {expected_elems}")
            }
        }
    }
}

impl core::error::Error for StepError {}

/// Checks a slice's length against the correlation's.
fn expect_len(found_elems: usize, expected_elems: usize) -> Result<(), StepError> {
    if found_elems == expected_elems { Ok(()) } else { Err(StepError::LengthMismatch { expected_elems, found_elems }) }
}
