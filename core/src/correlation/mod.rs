//! Correlated randomness, one file per kind; each file holds the kind's shape and, side by side,
//! its three views:
//!
//! * **deal**: the dealer makes both halves and writes `P1`'s;
//! * **derive**: `P0` takes its half from the keystream, which is all it ever stores;
//! * **read**: `P1` takes its half from the bytes that the dealer wrote.
//!
//! A correlation is addressed by session, layer, kind and element, is for words of one ring, and is
//! spent once: the views hand it out in pieces of [`PIECE_ELEMS`] elements, front to back, and a
//! protocol step takes its piece by value. Nothing here is `Clone`.

pub mod cut;
pub mod digits;
pub mod gate;
pub mod linear;
pub mod record;
pub mod tree;

use core::fmt;

/// `Debug` that shows a type's name and nothing of its contents.
macro_rules! redacted {
    ($($name:ident<'_, C>),*) => {$(
        impl<C: $crate::keystream::Rounds> core::fmt::Debug for $name<'_, C> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
    ($($name:ident<'_>),*) => {$(
        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
    // Views of a protocol's data, of any element types.
    ($($name:ident<'_, $($elem:ident),+>: data),*) => {$(
        impl<$($elem),+> core::fmt::Debug for $name<'_, $($elem),+> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
pub(crate) use redacted;

use crate::keystream::{Domain, Keystream, Kind, Rounds};
use crate::shape::{Part, Parts};
use digits::Digits;

/// Elements per piece; the last piece of a layer may be shorter. Also the unit in which ring
/// elements travel.
pub const PIECE_ELEMS: usize = 64;
/// The same, to count elements with.
#[allow(clippy::cast_possible_truncation)]
const PIECE_STEP: u32 = PIECE_ELEMS as u32;

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

/// `P0`'s correlations that do not depend on the input, layer by layer.
pub struct Offline<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
}

impl<'k, C: Rounds> Offline<'k, C> {
    /// The correlations of a session, under the key that `P0` shares with the dealer.
    #[must_use]
    pub fn new(keystream: &'k Keystream<C>, token: SessionToken) -> Self {
        Self { keystream, position: Position { session: token.0, layer: 0 } }
    }

    /// What the next layer spends before the input is known: the rows of `E r + a_0`, where `model`
    /// is the keystream of `E`, and the masks of the gate that follows, if one does.
    pub fn layer<'m>(
        &mut self,
        model: &'m Keystream<C>,
        parts: Parts,
        gated: bool,
    ) -> (linear::Rows<'m, C>, Option<gate::Masks<'m, C>>)
    where
        'k: 'm,
    {
        let position = self.position;
        self.position.layer = position.layer.wrapping_add(1);
        let outputs = parts.first().map_or(0, |part| part.shape.outputs());
        let masks = gated.then(|| gate::Masks::new(self.keystream, position, outputs));
        (linear::Rows::new(self.keystream, model, position, parts), masks)
    }

    /// Ends the preparation; what is left is spent online.
    #[must_use]
    pub fn finish(self) -> Online<'k, C> {
        Online { keystream: self.keystream, position: Position { layer: 0, ..self.position } }
    }
}

/// `P0`'s correlations that are spent when the input is there, layer by layer.
pub struct Online<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
}

impl<'k, C: Rounds> Online<'k, C> {
    /// `P0`'s shares of a public map of a vector that was opened before; `part` names the layer
    /// that took it. There are no rows if its weights are private: their shares are spent while
    /// preparing.
    pub fn carried<'m>(&self, model: &'m Keystream<C>, part: Part) -> linear::Rows<'m, C>
    where
        'k: 'm,
    {
        let parts = Some(part).filter(|part| !part.shape.is_private()).into_iter().collect();
        linear::Rows::new(self.keystream, model, self.position, parts)
    }

    /// What the next layer spends: the input masks `r`, and the tables of the gate that follows, if
    /// one does.
    pub fn layer(
        &mut self,
        (inputs, outputs): (u16, u16),
        gate: Option<Digits>,
    ) -> (linear::InputMasks<'k, C>, Option<gate::Tables<'k, C>>) {
        let position = self.position;
        self.position.layer = position.layer.wrapping_add(1);
        let tables =
            gate.map(|digits| gate::Tables::new(self.keystream, position, digits, outputs));
        (linear::InputMasks::new(self.keystream, position, inputs), tables)
    }
}

redacted!(Offline<'_, C>, Online<'_, C>);

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

/// The number of elements of the piece that starts at `next`, of `total` in all.
pub(crate) fn piece_len(next: u32, total: u16) -> Option<usize> {
    let left = u32::from(total).checked_sub(next).filter(|&left| left > 0)?;
    Some((left as usize).min(PIECE_ELEMS))
}
