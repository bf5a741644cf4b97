//! What a protocol step refuses, whoever runs it.

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
    /// Nothing, or more than the protocol takes.
    SizeOutOfRange {
        /// Elements that were passed.
        found_elems: usize,
        /// The most that the protocol takes.
        limit_elems: usize,
    },
    /// The domain of a function does not lie in the ring, or its results do not.
    DomainOutOfRange {
        /// Width of the ring in bits.
        ring_bits: u32,
    },
    /// There is no fitted table for this number of fraction bits.
    NoTable {
        /// Fraction bits that were asked for.
        frac_bits: u32,
    },
    /// The program needs tables, and the engine compares without.
    NeedsTables,
    /// The protocol spends what only a dealer can make, and the parties prepare alone.
    NeedsDealer,
    /// Too little room for temporary values.
    ScratchTooSmall {
        /// Words that are needed, of all rings together.
        needed_elems: usize,
        /// Words that are there.
        found_elems: usize,
    },
    /// A shift that the ring does not allow.
    ShiftOutOfRange {
        /// Bits to be dropped.
        shift_bits: u32,
        /// Width of the ring in bits.
        ring_bits: u32,
    },
}

impl StepError {
    #[cfg(feature = "functions")]
    pub(crate) const fn shift_out_of_range<R: crate::ring::Ring>(shift_bits: u32) -> Self {
        Self::ShiftOutOfRange { shift_bits, ring_bits: R::BITS }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthMismatch { expected_elems, found_elems } => {
                write!(
                    f,
                    "a slice of {found_elems} elements where the correlation is for \
                     {expected_elems}"
                )
            }
            Self::SizeOutOfRange { found_elems: 0, .. } => write!(f, "nothing to compute with"),
            Self::SizeOutOfRange { found_elems, limit_elems } => {
                write!(f, "{found_elems} elements where at most {limit_elems} are possible")
            }
            Self::DomainOutOfRange { ring_bits } => {
                write!(
                    f,
                    "a function whose domain or results do not fit a ring of {ring_bits} bits; \
                     use fewer fraction bits"
                )
            }
            Self::NoTable { frac_bits } => {
                write!(
                    f,
                    "there is no table for {frac_bits} fraction bits; use 8, 12, 16 or 20, and \
                     rescale before and after"
                )
            }
            Self::NeedsTables => {
                write!(f, "this function needs a dealer's tables; use `Comparison::Tables`")
            }
            Self::NeedsDealer => {
                write!(f, "this function needs a dealer: two parties alone cannot prepare it")
            }
            Self::ScratchTooSmall { needed_elems, found_elems } => {
                write!(
                    f,
                    "scratch of {found_elems} words where {needed_elems} are needed, in the right \
                     rings; see the function's `need`"
                )
            }
            Self::ShiftOutOfRange { shift_bits, ring_bits } => {
                write!(
                    f,
                    "a shift by {shift_bits} bits, which this protocol does not do in a ring of \
                     {ring_bits} bits"
                )
            }
        }
    }
}

impl core::error::Error for StepError {}

/// Checks a slice's length against the correlation's.
pub(crate) fn expect_len(found_elems: usize, expected_elems: usize) -> Result<(), StepError> {
    if found_elems == expected_elems {
        Ok(())
    } else {
        Err(StepError::LengthMismatch { expected_elems, found_elems })
    }
}
