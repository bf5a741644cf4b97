//! Correlated randomness: where it lies, the right to spend it, and how it prints.
//!
//! Each kind has its shape and three views:
//!
//! * **deal**: the dealer makes both halves and writes `P1`'s;
//! * **derive**: `P0` takes its half from the keystream, which is all it ever stores;
//! * **read**: `P1` takes its half from the bytes that the dealer wrote.
//!
//! A correlation is addressed by session, layer, kind and element, is for words of one ring, and is
//! spent once. Nothing here is `Clone`.

use core::fmt;

/// `Debug` that shows a type's name and nothing of its contents.
macro_rules! redacted {
    ($($name:ident<'_, C>),*) => {
        $crate::correlation::redacted!($([C: $crate::keystream::Rounds] $name<'_, C>),*);
    };
    ($($name:ident<'_>),*) => { $crate::correlation::redacted!($([] $name<'_>),*); };
    // In brackets, what the type is generic over.
    ($([$($generic:tt)*] $name:ident<$($of:tt),+>),*) => {$(
        impl<$($generic)*> core::fmt::Debug for $name<$($of),+> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
pub(crate) use redacted;

use crate::keystream::{Domain, Kind};

/// Where a layer's correlations lie in the keystream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The session.
    pub session: u64,
    /// The layer, counted from 0.
    pub layer: u16,
}

impl Position {
    pub(crate) const fn domain(self, kind: Kind) -> Domain {
        Domain { session: self.session, layer: self.layer, kind }
    }
}

/// The right to spend one session's correlations, once.
///
/// Made only after the number was durably recorded as used: see [`crate::session::SessionCounter`].
#[derive(Debug)]
pub struct SessionToken(u64);

impl SessionToken {
    /// States that `number` has been recorded as used, durably, and was not used before.
    #[must_use]
    pub fn consumed(number: u64) -> Self {
        Self(number)
    }

    /// The session's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0
    }
}

/// `P1`'s correction has not the length that its shape asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LengthError {
    /// Bytes that the shape asks for.
    pub expected_bytes: usize,
    /// Bytes that were there.
    pub found_bytes: usize,
}

impl fmt::Display for LengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes where {} are needed", self.found_bytes, self.expected_bytes)
    }
}

impl core::error::Error for LengthError {}
