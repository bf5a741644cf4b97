//! What each party reads of its half of a gate's correlation, laid open: for teaching and for
//! traces, with the feature `inside`. No party of a session calls it.
//!
//! What is read here is what [`super::finish_p0`], [`super::open_p1`] and [`super::finish_p1`]
//! read, by the same functions.

use super::TablePiece;
use super::correlation::{Half, Received, record};
use super::digits::Digits;
use crate::keystream::Rounds;
use crate::ring::Ring;

/// What a party reads of one gate, given the public `z` and `delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside<R> {
    /// The share of the leaf bits that `z` selects, by exclusive or; places as
    /// [`Digits::opened_position`] says.
    pub leaves: u32,
    /// The share of the bits that mask them, by exclusive or.
    pub rho: u32,
    /// The share of the table's entry that `delta` selects: `(h, h q, h m, q)` for the ReLU,
    /// `(h, q)` and zeros for the truncation.
    pub entry: [R; 4],
    /// The share of the mask's topmost bit; 0 for the truncation.
    pub sign: R,
}

impl<R: Ring> Inside<R> {
    fn read(half: &impl Half<R>, digits: &Digits, rho: u32, z: R, delta: u32) -> Self {
        Self {
            leaves: half.masked_leaves(z) ^ rho,
            rho,
            entry: half.entry(delta & (digits.table_entries() - 1)),
            sign: half.sign(),
        }
    }
}

/// `P0`'s reading of the first gate of a piece.
#[must_use]
pub fn p0<R: Ring, C: Rounds>(piece: TablePiece<'_, C>, z: R, delta: u32) -> Option<Inside<R>> {
    let digits = *piece.digits();
    let mut inside = None;
    piece.spend(|index, half| {
        if index == 0 {
            inside = Some(Inside::read(&half, &digits, half.opening, z, delta));
        }
    });
    inside
}

/// `P1`'s reading of the first gate of a layer, and its share of the mask.
#[must_use]
pub fn p1<R: Ring>(received: &Received<'_>, z: R, delta: u32) -> Option<(R, Inside<R>)> {
    let half = received.gates::<R>().next()?;
    let rho =
        half.from(record::<R>(received.digits()).opening).first().copied().map_or(0, u32::from);
    let inside = Inside::read(&half, received.digits(), rho, z, delta);
    Some((half.mask(), inside))
}
