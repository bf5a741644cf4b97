//! The correlation of a linear layer with a private matrix `W`, `outputs x inputs`.
//!
//! Once per model, `W = A + E`: `E` is the keystream of a seed that `P1` shares with `P0`, the dealer gets `A`.
//! Once per use, the dealer and `P0` know an input mask `r` and a share `a_0` from `P0`'s keystream, and the dealer
//! sends `P1` the correction `a_1 = A r - a_0`.

use core::ops::Range;

use super::{LengthError, PIECE_STEP, Position, piece_len, redacted};
use crate::keystream::{Domain, Keystream, Kind, Rounds, Run, words_per_block};
use crate::ring::{Ring, dot};

/// Shape of a linear layer's matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Columns of `W`.
    pub inputs: u16,
    /// Rows of `W`.
    pub outputs: u16,
}

/// Keystream blocks of a row of `E`; every row starts a block.
fn row_blocks<R: Ring>(inputs: u16) -> u32 {
    let blocks = usize::from(inputs).div_ceil(words_per_block::<R>());
    u32::try_from(blocks).unwrap_or(u32::MAX)
}

/// The domain of `E`: it belongs to the model, not to a session.
const fn weight_mask_domain(layer: u16) -> Domain {
    Domain { session: 0, layer, kind: Kind::WeightMask }
}

/// Masks the weights of layer `layer` in place, `A = W - E`: what the dealer is given.
///
/// `weights` is row-major with `inputs` columns; `model` is the keystream of the model's seed. A seed masks one model
/// only: under the same `E`, the difference of two models would show.
pub fn mask_weights<R: Ring, C: Rounds>(model: &Keystream<C>, layer: u16, inputs: u16, weights: &mut [R]) {
    let mut first = 0_u32;
    for row in weights.chunks_mut(usize::from(inputs.max(1))) {
        for (index, chunk) in (first..).zip(row.chunks_mut(words_per_block::<R>())) {
            let block = model.block(weight_mask_domain(layer), index);
            for (position, weight) in chunk.iter_mut().enumerate() {
                *weight = weight.sub(block.ring(position));
            }
        }
        first += row_blocks::<R>(inputs);
    }
}

/// Bytes of the dealer's correction.
#[must_use]
pub fn correction_bytes<R: Ring>(shape: Shape) -> usize {
    usize::from(shape.outputs) * R::BYTES
}

/// **Deal**: writes `a_1 = A r - a_0` to `out`; `masked_weights` is `A`, row-major.
///
/// `scratch` takes `r`, at least `inputs` words.
///
/// # Errors
/// [`LengthError`] if `out`, `masked_weights` or `scratch` has not the length that `shape` asks for.
pub fn deal<R: Ring, C: Rounds>(
    keystream: &Keystream<C>,
    position: Position,
    shape: Shape,
    masked_weights: &[R],
    scratch: &mut [R],
    out: &mut [u8],
) -> Result<(), LengthError> {
    let (inputs, outputs) = (usize::from(shape.inputs), usize::from(shape.outputs));
    expect_len(masked_weights.len().saturating_mul(R::BYTES), inputs.saturating_mul(outputs).saturating_mul(R::BYTES))?;
    expect_len(out.len(), correction_bytes::<R>(shape))?;
    let found_bytes = scratch.len() * R::BYTES;
    let r = scratch.get_mut(..inputs).ok_or(LengthError { expected_bytes: inputs * R::BYTES, found_bytes })?;
    keystream.fill(position.domain(Kind::InputMask), 0, r);
    let mut rows = masked_weights.chunks_exact(inputs.max(1));
    let per_block = words_per_block::<R>();
    for (index, out) in (0..).zip(out.chunks_mut(per_block * R::BYTES)) {
        let share = keystream.block(position.domain(Kind::LinearShare), index);
        for (i, out) in out.chunks_exact_mut(R::BYTES).enumerate() {
            let row = rows.next().unwrap_or(&[]);
            dot(share.ring::<R>(i).neg(), row, r).write_le(out);
        }
    }
    Ok(())
}

fn expect_len(found_bytes: usize, expected_bytes: usize) -> Result<(), LengthError> {
    if found_bytes == expected_bytes { Ok(()) } else { Err(LengthError { expected_bytes, found_bytes }) }
}

/// **Derive**, before the input is known: `P0`'s `E`, `r` and `a_0`, in pieces of rows.
pub struct Rows<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    model: &'k Keystream<C>,
    position: Position,
    shape: Shape,
    next: u32,
}

impl<'k, C: Rounds> Rows<'k, C> {
    pub(super) fn new(keystream: &'k Keystream<C>, model: &'k Keystream<C>, position: Position, shape: Shape) -> Self {
        Self { keystream, model, position, shape, next: 0 }
    }
}

impl<'k, C: Rounds> Iterator for Rows<'k, C> {
    type Item = RowPiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = piece_len(self.next, self.shape.outputs)?;
        let piece = RowPiece {
            keystream: self.keystream,
            model: self.model,
            position: self.position,
            inputs: self.shape.inputs,
            first: self.next,
            len,
        };
        self.next += PIECE_STEP;
        Some(piece)
    }
}

/// A piece of rows of `P0`'s offline half.
pub struct RowPiece<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    model: &'k Keystream<C>,
    position: Position,
    inputs: u16,
    first: u32,
    len: usize,
}

impl<C: Rounds> RowPiece<'_, C> {
    /// Rows in the piece, at most [`super::PIECE_ELEMS`].
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Columns of the matrix.
    pub(crate) fn inputs(&self) -> usize {
        usize::from(self.inputs)
    }

    /// `a_0` of the piece's rows.
    pub(crate) fn shares<R: Ring>(&self, out: &mut [R]) {
        self.keystream.fill(self.position.domain(Kind::LinearShare), first_block::<R>(self.first), out);
    }

    /// The run `columns` of `r`; it starts at a block.
    pub(crate) fn masks<R: Ring>(&self, columns: Range<usize>, out: &mut [R]) {
        #[allow(clippy::cast_possible_truncation)]
        let first = (columns.start / words_per_block::<R>()) as u32;
        self.keystream.fill(self.position.domain(Kind::InputMask), first, out);
    }

    /// The piece's rows of `E`.
    pub(crate) fn weight_masks(&self) -> WeightMasks<C> {
        WeightMasks { run: self.model.run(weight_mask_domain(self.position.layer)), first: self.first, inputs: self.inputs }
    }
}

/// The rows of `E` in a piece; they are made as they are multiplied.
pub(crate) struct WeightMasks<C: Rounds> {
    run: Run<C>,
    first: u32,
    inputs: u16,
}

impl<C: Rounds> WeightMasks<C> {
    /// `acc` plus the inner product of row `row` of the piece, from column `first_column` on, with `r`.
    #[inline]
    pub(crate) fn add_row_product<R: Ring>(&self, row: u32, first_column: usize, r: &[R], acc: R) -> R {
        #[allow(clippy::cast_possible_truncation)]
        let in_row = (first_column / words_per_block::<R>()) as u32;
        let first = (self.first + row) * row_blocks::<R>(self.inputs) + in_row;
        (first..).zip(r.chunks(words_per_block::<R>())).fold(acc, |acc, (index, r)| self.run.block(index).dot(acc, r))
    }
}

/// **Derive**, when the input is there: `P0`'s input masks `r`, in pieces.
pub struct InputMasks<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
    inputs: u16,
    next: u32,
}

impl<'k, C: Rounds> InputMasks<'k, C> {
    pub(super) fn new(keystream: &'k Keystream<C>, position: Position, inputs: u16) -> Self {
        Self { keystream, position, inputs, next: 0 }
    }
}

impl<'k, C: Rounds> Iterator for InputMasks<'k, C> {
    type Item = InputMaskPiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = piece_len(self.next, self.inputs)?;
        let piece = InputMaskPiece { keystream: self.keystream, position: self.position, first: self.next, len };
        self.next += PIECE_STEP;
        Some(piece)
    }
}

/// A piece of input masks.
pub struct InputMaskPiece<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
    first: u32,
    len: usize,
}

impl<C: Rounds> InputMaskPiece<'_, C> {
    /// Masks in the piece, at most [`super::PIECE_ELEMS`].
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// `r` of the piece.
    pub(crate) fn masks<R: Ring>(&self, out: &mut [R]) {
        self.keystream.fill(self.position.domain(Kind::InputMask), first_block::<R>(self.first), out);
    }
}

/// The block in which element `first` lies; pieces start at blocks.
fn first_block<R: Ring>(first: u32) -> u32 {
    #[allow(clippy::cast_possible_truncation)]
    let per_block = words_per_block::<R>() as u32;
    first / per_block
}

/// **Read**: `P1`'s correction `a_1`, as the dealer wrote it.
pub struct Received<'a> {
    bytes: &'a [u8],
}

impl<'a> Received<'a> {
    /// The correction of a layer.
    ///
    /// # Errors
    /// [`LengthError`] if the length is not that of the shape.
    pub fn new<R: Ring>(shape: Shape, bytes: &'a [u8]) -> Result<Self, LengthError> {
        expect_len(bytes.len(), correction_bytes::<R>(shape))?;
        Ok(Self { bytes })
    }

    /// Bytes of the correction.
    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds `a_1` to `out`.
    pub(crate) fn add_to<R: Ring>(&self, out: &mut [R]) {
        for (out, bytes) in out.iter_mut().zip(self.bytes.chunks_exact(R::BYTES)) {
            *out = out.add(R::read_le(bytes));
        }
    }
}

redacted!(Rows<'_, C>, RowPiece<'_, C>, InputMasks<'_, C>, InputMaskPiece<'_, C>);
redacted!(Received<'_>);
