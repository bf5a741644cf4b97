//! Functions of several protocols, written once for all engines: see [`crate::functions::engine`].
//!
//! A program works on the caller's slices: shares for a party, plaintext for the twin, anything for
//! a dealer. Temporary values live in a [`Scratch`] that the caller lends; how much a program needs
//! is told by a function beside it. Programs say their domain, and what they give outside it.
//!
//! How they round is the engine's [`Truncation`](super::engine::Truncation). By default a
//! truncation, also one inside of a table, is rounded down or one unit higher, and so errors and
//! messages are stated; where *exactly* a number of messages is added, that is the one with exact
//! truncations. The results are then the twin's, which rounds down everywhere: see [`truncation`].

#[cfg(test)]
mod check;
pub mod choice;
pub mod extreme;
mod lookup;
pub mod pool;
pub mod scaling;
pub mod softmax;
pub mod statistics;
pub mod truncation;
pub mod unary;

use crate::ring::Ring;
use crate::step::{StepError, expect_len as expect};

/// Room for temporary values, in three rings.
pub struct Scratch<'s, R> {
    /// Words of the program's ring.
    pub own: &'s mut [R],
    /// Words of 32 bits.
    pub narrow: &'s mut [u32],
    /// Words of 64 bits.
    pub wide: &'s mut [u64],
}

crate::correlation::redacted!([R] Scratch<'_, R>);

/// Elements of a [`Scratch`]. Sizes beyond any memory come out as `usize::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Words of the program's ring.
    pub own_elems: usize,
    /// Words of 32 bits.
    pub narrow_elems: usize,
    /// Words of 64 bits.
    pub wide_elems: usize,
}

impl Need {
    /// What serves either of two programs that run after each other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            own_elems: self.own_elems.max(other.own_elems),
            narrow_elems: self.narrow_elems.max(other.narrow_elems),
            wide_elems: self.wide_elems.max(other.wide_elems),
        }
    }

    /// What serves two programs of which one runs inside the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            own_elems: self.own_elems.saturating_add(other.own_elems),
            narrow_elems: self.narrow_elems.saturating_add(other.narrow_elems),
            wide_elems: self.wide_elems.saturating_add(other.wide_elems),
        }
    }
}

impl<R: Ring> Scratch<'_, R> {
    fn len(&self) -> Need {
        Need {
            own_elems: self.own.len(),
            narrow_elems: self.narrow.len(),
            wide_elems: self.wide.len(),
        }
    }

    /// Checks that there is room for `need`: what programs do before they send anything.
    ///
    /// # Errors
    /// [`StepError::ScratchTooSmall`] if there is not so much.
    fn check(&self, need: Need) -> Result<(), StepError> {
        let found = self.len();
        if found.or(need) == found { Ok(()) } else { Err(too_small(need, found)) }
    }

    /// Takes `need` off; the rest serves what is called from here.
    ///
    /// # Errors
    /// [`StepError::ScratchTooSmall`] if there is not so much.
    fn take(&mut self, need: Need) -> Result<(Scratch<'_, R>, Scratch<'_, R>), StepError> {
        let too_small = too_small(need, self.len());
        let (own, own_rest) = self.own.split_at_mut_checked(need.own_elems).ok_or(too_small)?;
        let (narrow, narrow_rest) =
            self.narrow.split_at_mut_checked(need.narrow_elems).ok_or(too_small)?;
        let (wide, wide_rest) = self.wide.split_at_mut_checked(need.wide_elems).ok_or(too_small)?;
        Ok((
            Scratch { own, narrow, wide },
            Scratch { own: own_rest, narrow: narrow_rest, wide: wide_rest },
        ))
    }
}

fn too_small(need: Need, found: Need) -> StepError {
    let words = |need: Need| {
        need.own_elems.saturating_add(need.narrow_elems).saturating_add(need.wide_elems)
    };
    StepError::ScratchTooSmall { needed_elems: words(need), found_elems: words(found) }
}

/// Words of one ring as words of another: their lowest bits. For shares and plaintext alike, this
/// is reduction where `W` is narrower; where it is wider it is not an embedding (see
/// [`crate::functions::protocol::rescale`]).
fn reduce<R: Ring, W: Ring>(words: &[R], out: &mut [W]) {
    for (out, word) in out.iter_mut().zip(words) {
        *out = W::from_u64(word.to_u64());
    }
}

/// `x` becomes what `f` makes of it and `y`, word by word.
fn combine<R: Ring>(x: &mut [R], y: &[R], f: impl Fn(R, R) -> R) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x = f(*x, y);
    }
}

/// A signed public constant.
fn word<R: Ring>(value: i64) -> R {
    R::from_u64(value.cast_unsigned())
}
