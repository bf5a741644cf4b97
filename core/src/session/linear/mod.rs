//! A linear layer with private weights: one message, no reply.
//!
//! * Computes: shares of `W h` for shared `h`; `P1` owns `W`, a matrix or a convolution. Or of a
//!   sum of such products, of several vectors, some with public weights (a residual connection, a
//!   mean).
//! * Model: semi-honest parties and dealer; the message is one-time padded whatever `P1` does.
//! * Reference: derandomised matrix triples (Beaver, CRYPTO '91) with the fixed operand masked
//!   once.
//! * Consumes: one correlation of the same map.
//! * Costs: `inputs` ring elements from `P0` to `P1`; `outputs` elements from the dealer to `P1`.
//!   See [`cost`].
//! * Error bound: exact.
//!
//! ```text
//! P0 -> P1:  d   = h_0 - r                      once per vector h, whoever takes it
//! P0:        u_0 = E r + a_0                    before the input is known
//! P1:        u_1 = W (d + h_1) + a_1
//! u_0 + u_1  = E r + A r + W (h_0 - r + h_1) = W h
//!
//! with a public P in place of W, nothing is dealt:  u_0 = P r,  u_1 = P (d + h_1)
//! ```

mod correlation;
mod kept;

use core::iter::once;
use core::ops::Range;

use crate::cost::{Cost, Traffic};
use crate::keystream::{Rounds, words_per_block};
use crate::ring::Ring;
use crate::session::piece::PIECE_ELEMS;
use crate::shape::{Part, Shape, Strip, TILE_ELEMS, Window};
use crate::step::{StepError, expect_len};
pub(crate) use correlation::WeightMasks;
use correlation::blocks_of;
pub use correlation::{
    InputMaskPiece, InputMasks, Received, RowPiece, Rows, correction_bytes, deal,
    deal_scratch_elems, mask_weights, weight_elems, with_weights,
};
pub use kept::DIGEST_WORDS;
pub(crate) use kept::{Digest, DigestKey};

/// `P0`, before the input is known: `u_0 = E r + a_0` for the rows of the piece.
///
/// A row of `E` is a run of keystream that is multiplied as it is made; the model is stored
/// nowhere. `r` is made [`TILE_ELEMS`] words at a time in `tile`, so the memory does not grow with
/// the layer.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `u_0` is not as long as the piece.
pub fn prepare<R: Ring, C: Rounds>(
    piece: RowPiece<'_, C>,
    tile: &mut [R; TILE_ELEMS],
    u_0: &mut [R],
) -> Result<(), StepError> {
    expect_len(u_0.len(), piece.len())?;
    piece.shares(u_0);
    add_parts(&piece, tile, u_0);
    Ok(())
}

/// `P0`, when a gate's results are there: adds its share of a public map of a vector that was
/// opened before, in the piece.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `h_0` is not as long as the piece.
pub fn carry<R: Ring, C: Rounds>(
    piece: RowPiece<'_, C>,
    tile: &mut [R; TILE_ELEMS],
    h_0: &mut [R],
) -> Result<(), StepError> {
    expect_len(h_0.len(), piece.len())?;
    add_parts(&piece, tile, h_0);
    Ok(())
}

fn add_parts<R: Ring, C: Rounds>(
    piece: &RowPiece<'_, C>,
    tile: &mut [R; TILE_ELEMS],
    u_0: &mut [R],
) {
    for (number, part, kept) in piece.parts() {
        match part.shape {
            Shape::Dense { inputs, .. } => {
                let rows = piece.weight_masks(number, &part, kept);
                let masks = piece.masks(&part);
                for columns in tiles(inputs) {
                    let Some(r) = tile.get_mut(..columns.len()) else { continue };
                    masks.read(columns.clone(), r);
                    rows.add_products(piece.range(), columns.start, r, u_0);
                }
            }
            Shape::Convolution(window) => {
                let rows = piece.weight_masks(number, &part, kept);
                slide(piece, &part, &window, tile, u_0, |filter| {
                    let mut row = rows.row::<R>(filter);
                    move |kernel: &mut [R]| row.read(kernel)
                });
            }
            Shape::Mean(window) | Shape::Pairs(window) | Shape::Last(window) => {
                let public = R::from_u64(part.public);
                slide(piece, &part, &window, tile, u_0, |_| {
                    |kernel: &mut [R]| part.shape.public_kernel(public, kernel)
                });
            }
            Shape::Identity { .. } => {
                let Some(r) = tile.get_mut(..piece.len()) else { continue };
                piece.masks(&part).read(piece.range(), r);
                let public = R::from_u64(part.public);
                u_0.iter_mut().zip(r).for_each(|(u, r)| *u = u.add(public.mul(*r)));
            }
        }
    }
}

/// The columns of a matrix, a tile at a time.
fn tiles(inputs: u16) -> impl Iterator<Item = Range<usize>> {
    let inputs = usize::from(inputs);
    (0..inputs).step_by(TILE_ELEMS).map(move |first| first..inputs.min(first + TILE_ELEMS))
}

/// Slides kernels over the image of masks: of a strip of outputs channel by channel, of a channel
/// row by row. `kernels_of` gives a filter's kernels, one after the other.
fn slide<R: Ring, C: Rounds, K: FnMut(&mut [R])>(
    piece: &RowPiece<'_, C>,
    part: &Part,
    window: &Window,
    tile: &mut [R; TILE_ELEMS],
    u_0: &mut [R],
    kernels_of: impl Fn(usize) -> K,
) {
    let mut kernel = [R::ZERO; TILE_ELEMS];
    let Some(kernel) = kernel.get_mut(..window.kernel_elems()) else { return };
    let window = window.flat();
    let masks = piece.masks(part);
    let mut rest = u_0;
    for strip in window.strips(piece.range()) {
        let (out, left) =
            core::mem::take(&mut rest).split_at_mut_checked(strip.len).unwrap_or_default();
        rest = left;
        let mut next_kernel = kernels_of(strip.filter);
        for channel in 0..window.depth() {
            next_kernel(kernel);
            for load in window.loads(&strip, channel) {
                let Some(r) = tile.get_mut(..load.words.len()) else { continue };
                masks.read(load.words.clone(), r);
                window.add_load(&strip, &load, r, kernel, out);
            }
        }
    }
}

/// `P0`'s message: `d = h_0 - r` for a piece of the input, in place.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `h_0` is not as long as the piece.
pub fn mask<R: Ring, C: Rounds>(
    piece: InputMaskPiece<'_, C>,
    h_0: &mut [R],
) -> Result<(), StepError> {
    expect_len(h_0.len(), piece.len())?;
    let mut masks = [R::ZERO; PIECE_ELEMS];
    let masks = masks.get_mut(..piece.len()).unwrap_or(&mut []);
    piece.masks(masks);
    for (h, r) in h_0.iter_mut().zip(masks) {
        *h = h.sub(*r);
    }
    Ok(())
}

/// `P1`'s share, given the product that it alone can compute: `u_1 = W (d + h_1) + a_1`, in place
/// of `product`.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `product` is not as long as the layer has outputs.
pub fn correct<R: Ring>(received: Received<'_>, product: &mut [R]) -> Result<(), StepError> {
    expect_len(product.len() * R::BYTES, received.len_bytes())?;
    received.add_to(product);
    Ok(())
}

/// The plaintext twin, which is also the product that `P1` computes: `W h + b`, the parts' products
/// added up. `input` gives the vector that a layer takes; `weights` are those of all parts, one
/// after the other. Slices of other lengths are cut.
pub fn twin<'v, R: Ring>(
    parts: &[Part],
    weights: &[R],
    bias: &[R],
    input: impl Fn(u16) -> &'v [R],
    out: &mut [R],
) {
    for (out, &bias) in out.iter_mut().zip(bias) {
        *out = bias;
    }
    for (part, weights) in with_weights(parts, weights) {
        part.shape.add_product(weights, R::from_u64(part.public), input(part.source), out);
    }
}

/// What one use costs: the message of the layer's own input, and the shares of its outputs.
///
/// Parts that take the inputs of other layers cost no message.
#[must_use]
pub fn cost<R: Ring>(inputs: u16, parts: &[Part]) -> Cost {
    Cost {
        up: Traffic { messages: 1, bytes: u64::from(inputs) * R::BYTES as u64 },
        dealer_bytes: correction_bytes::<R>(parts) as u64,
        prepare_blocks: prepare_blocks::<R>(parts, u64::MAX),
        online_blocks: online_blocks::<R>(inputs),
        ..Cost::default()
    }
}

/// Keystream blocks of the masks of a layer's inputs.
#[must_use]
pub fn online_blocks<R: Ring>(inputs: u16) -> u64 {
    u64::from(inputs).div_ceil(words_per_block::<R>() as u64)
}

/// Keystream blocks that [`prepare`] computes for all outputs. Stops counting, with a number beyond
/// `limit`, when that is passed: counting takes a time that grows with the number, and a peer
/// decides the shapes.
#[must_use]
pub fn prepare_blocks<R: Ring>(parts: &[Part], limit: u64) -> u64 {
    let outputs = usize::from(parts.first().map_or(0, |part| part.shape.outputs()));
    let per_block = words_per_block::<R>();
    let shares =
        if correction_bytes::<R>(parts) > 0 { outputs.div_ceil(per_block) as u64 } else { 0 };
    let pieces =
        (0..outputs).step_by(PIECE_ELEMS).map(|first| first..outputs.min(first + PIECE_ELEMS));
    let counts = pieces
        .flat_map(|piece| parts.iter().flat_map(move |part| part_blocks::<R>(part, piece.clone())));
    let mut blocks = shares;
    for count in counts {
        blocks += count;
        if blocks > limit {
            break;
        }
    }
    blocks
}

/// Keystream blocks that [`prepare`] computes of a part for a piece of outputs, run by run.
fn part_blocks<R: Ring>(part: &Part, piece: Range<usize>) -> impl Iterator<Item = u64> {
    let window = part.shape.window().map(Window::flat);
    let whole = match part.shape {
        Shape::Dense { inputs, .. } => {
            (piece.len() as u64 + 1) * blocks_of::<R>(&(0..usize::from(inputs)))
        }
        Shape::Identity { .. } => blocks_of::<R>(&piece),
        _ => 0,
    };
    let row_blocks = blocks_of::<R>(&(0..part.shape.weights().1));
    let of_strip = move |(window, strip): (Window, Strip)| {
        let loads = (0..window.depth()).flat_map(move |channel| window.loads(&strip, channel));
        once(row_blocks).chain(loads.map(|load| blocks_of::<R>(&load.words)))
    };
    let strips = window
        .into_iter()
        .flat_map(move |window| window.strips(piece.clone()).map(move |strip| (window, strip)));
    once(whole).chain(strips.flat_map(of_strip))
}
