//! A linear layer with a private matrix: one message, no reply.
//!
//! * Computes: shares of `W h` for shared `h`; `P1` owns `W`.
//! * Model: semi-honest parties and dealer; the message is one-time padded whatever `P1` does.
//! * Reference: derandomised matrix triples (Beaver, CRYPTO '91) with the fixed operand masked once.
//! * Consumes: one [`crate::correlation::linear`] correlation.
//! * Costs: `inputs` ring elements from `P0` to `P1`; `outputs` elements from the dealer to `P1`. See [`cost`].
//! * Error bound: exact.
//!
//! ```text
//! P0 -> P1:  d   = h_0 - r
//! P0:        u_0 = E r + a_0                    before the input is known
//! P1:        u_1 = W (d + h_1) + a_1
//! u_0 + u_1  = E r + A r + W (h_0 - r + h_1) = W h
//! ```

use super::{StepError, expect_len};
use crate::correlation::linear::{InputMaskPiece, Received, RowPiece, Shape, correction_bytes};
use crate::cost::{Cost, Traffic};
use crate::keystream::{Rounds, words_per_block};
use crate::ring::{self, Ring};

/// Columns of `E` that [`prepare`] handles at a time: its scratch space, in elements.
pub const TILE_ELEMS: usize = 256;

/// `P0`, before the input is known: `u_0 = E r + a_0` for the rows of the piece.
///
/// A row of `E` is a run of keystream that is multiplied as it is made; the model is stored nowhere. `r` is made
/// [`TILE_ELEMS`] words at a time in `tile`, so the memory does not grow with the layer.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `u_0` is not as long as the piece.
pub fn prepare<R: Ring, C: Rounds>(piece: RowPiece<'_, C>, tile: &mut [R; TILE_ELEMS], u_0: &mut [R]) -> Result<(), StepError> {
    expect_len(u_0.len(), piece.len())?;
    piece.shares(u_0);
    let inputs = piece.inputs();
    let rows = piece.weight_masks();
    for first in (0..inputs).step_by(TILE_ELEMS) {
        let columns = first..inputs.min(first + TILE_ELEMS);
        let Some(r) = tile.get_mut(..columns.len()) else { continue };
        piece.masks(columns, r);
        for (row, u) in (0..).zip(u_0.iter_mut()) {
            *u = rows.add_row_product(row, first, r, *u);
        }
    }
    Ok(())
}

/// `P0`'s message: `d = h_0 - r` for a piece of the input, in place.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `h_0` is not as long as the piece.
pub fn mask<R: Ring, C: Rounds>(piece: InputMaskPiece<'_, C>, h_0: &mut [R]) -> Result<(), StepError> {
    expect_len(h_0.len(), piece.len())?;
    let mut masks = [R::ZERO; crate::correlation::PIECE_ELEMS];
    let masks = masks.get_mut(..piece.len()).unwrap_or(&mut []);
    piece.masks(masks);
    for (h, r) in h_0.iter_mut().zip(masks) {
        *h = h.sub(*r);
    }
    Ok(())
}

/// `P1`'s share, given the product that it alone can compute: `u_1 = W (d + h_1) + a_1`, in place of `product`.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `product` is not as long as the layer has outputs.
pub fn correct<R: Ring>(received: Received<'_>, product: &mut [R]) -> Result<(), StepError> {
    expect_len(product.len() * R::BYTES, received.len_bytes())?;
    received.add_to(product);
    Ok(())
}

/// The plaintext twin: `W h + b`. `weights` is row-major with `h.len()` columns; slices of other lengths are cut.
pub fn twin<R: Ring>(weights: &[R], bias: &[R], h: &[R], out: &mut [R]) {
    for (out, &bias) in out.iter_mut().zip(bias) {
        *out = bias;
    }
    ring::add_matrix_vector(weights, h, out);
}

/// What one use costs.
#[must_use]
pub fn cost<R: Ring>(shape: Shape) -> Cost {
    let (inputs, outputs) = (u64::from(shape.inputs), u64::from(shape.outputs));
    let per_block = words_per_block::<R>() as u64;
    let pieces = outputs.div_ceil(crate::correlation::PIECE_ELEMS as u64);
    let input_blocks = inputs.div_ceil(per_block);
    Cost {
        up: Traffic { messages: 1, bytes: inputs * R::BYTES as u64 },
        dealer_bytes: correction_bytes::<R>(shape) as u64,
        prepare_blocks: outputs * input_blocks + pieces * input_blocks + outputs.div_ceil(per_block),
        online_blocks: input_blocks,
        ..Cost::default()
    }
}
