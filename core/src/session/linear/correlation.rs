//! The correlation of a linear layer with private weights `W`: a matrix, or kernels that slide over
//! an image.
//!
//! Once per model, `W = A + E`: `E` is the keystream of a seed that `P1` shares with `P0`, the
//! dealer gets `A`. Once per use, the dealer and `P0` know an input mask `r` and a share `a_0` from
//! `P0`'s keystream, and the dealer sends `P1` the correction `a_1 = A r - a_0`.
//!
//! A layer's map may have parts, each of another vector: `a_1` is that of their sum. The mask `r`
//! belongs to the vector and not to who uses it: a vector is opened to `P1` once, as `d = h_0 - r`,
//! and `(r, d + h_1)` are shares of it that serve any layer. Of a part with public weights both
//! parties compute their share alone; the dealer has no part in it.

use core::ops::Range;

use crate::correlation::{LengthError, Position, redacted};
use crate::keystream::{Block, Domain, Keystream, Kind, Rounds, Run, words_per_block};
use crate::ring::{Ring, write_le_slice};
use crate::session::linear::kept;
use crate::session::piece::{PIECE_STEP, piece_len};
use crate::shape::{Part, Parts};

/// Keystream blocks of a row of `E`; every row starts a block.
fn row_blocks<R: Ring>(row_elems: usize) -> u32 {
    u32::try_from(row_elems.div_ceil(words_per_block::<R>())).unwrap_or(u32::MAX)
}

/// The domain of `E`: it belongs to the model, not to a session. Layers have less than 15 bits, the
/// part has the topmost.
fn weight_mask_domain(layer: u16, part: usize) -> Domain {
    Domain {
        session: 0,
        layer: if part == 0 { layer } else { layer | 1 << 15 },
        kind: Kind::WeightMask,
    }
}

/// Words of private weights of all parts.
#[must_use]
pub fn weight_elems(parts: &[Part]) -> usize {
    let of = |part: &Part| {
        let (rows, row) = part.shape.weights();
        rows * row
    };
    parts.iter().map(of).sum()
}

/// The parts with their weights, which lie one after the other.
pub fn with_weights<'p, 'w, R>(
    parts: &'p [Part],
    weights: &'w [R],
) -> impl Iterator<Item = (&'p Part, &'w [R])> {
    let mut rest = weights;
    parts.iter().map(move |part| {
        let (rows, row) = part.shape.weights();
        let (own, left) = rest.split_at_checked(rows * row).unwrap_or((rest, &[]));
        rest = left;
        (part, own)
    })
}

/// Masks the weights of layer `layer` in place, `A = W - E`: what the dealer is given.
///
/// `weights` are those of all parts, row-major; `model` is the keystream of the model's seed. A
/// seed masks one model only: under the same `E`, the difference of two models would show.
pub fn mask_weights<R: Ring, C: Rounds>(
    model: &Keystream<C>,
    layer: u16,
    parts: &[Part],
    weights: &mut [R],
) {
    let mut rest = weights;
    for (number, part) in parts.iter().enumerate() {
        let (rows, row_elems) = part.shape.weights();
        let (own, left) =
            core::mem::take(&mut rest).split_at_mut_checked(rows * row_elems).unwrap_or_default();
        rest = left;
        let mut first = 0_u32;
        for row in own.chunks_mut(row_elems.max(1)) {
            for (index, chunk) in (first..).zip(row.chunks_mut(words_per_block::<R>())) {
                let block = model.block(weight_mask_domain(layer, number), index);
                for (position, weight) in chunk.iter_mut().enumerate() {
                    *weight = weight.sub(block.ring(position));
                }
            }
            first += row_blocks::<R>(row_elems);
        }
    }
}

/// Outputs of a layer, and whether any of its parts has private weights.
fn outputs(parts: &[Part]) -> (u16, bool) {
    (
        parts.first().map_or(0, |part| part.shape.outputs()),
        parts.iter().any(|part| part.shape.is_private()),
    )
}

/// Bytes of the dealer's correction: none if all weights are public.
#[must_use]
pub fn correction_bytes<R: Ring>(parts: &[Part]) -> usize {
    let (outputs, private) = outputs(parts);
    if private { usize::from(outputs) * R::BYTES } else { 0 }
}

/// Words of scratch that [`deal`] needs.
#[must_use]
pub fn deal_scratch_elems(parts: &[Part]) -> usize {
    let widest = parts.iter().map(|part| part.shape.inputs()).max().unwrap_or(0);
    usize::from(widest) + usize::from(outputs(parts).0)
}

/// **Deal**: writes `a_1 = A r - a_0` to `out`; `masked_weights` is `A`, the parts one after the
/// other.
///
/// `scratch` takes `r` and the sums, at least [`deal_scratch_elems`].
///
/// # Errors
/// [`LengthError`] if `out`, `masked_weights` or `scratch` has not the length that the parts ask
/// for.
pub fn deal<R: Ring, C: Rounds>(
    keystream: &Keystream<C>,
    position: Position,
    parts: &[Part],
    masked_weights: &[R],
    scratch: &mut [R],
    out: &mut [u8],
) -> Result<(), LengthError> {
    expect_len(
        masked_weights.len().saturating_mul(R::BYTES),
        weight_elems(parts).saturating_mul(R::BYTES),
    )?;
    expect_len(out.len(), correction_bytes::<R>(parts))?;
    let wrong = LengthError {
        expected_bytes: deal_scratch_elems(parts) * R::BYTES,
        found_bytes: scratch.len() * R::BYTES,
    };
    let (sums, masks) = scratch.split_at_mut_checked(usize::from(outputs(parts).0)).ok_or(wrong)?;
    keystream.fill(position.domain(Kind::LinearShare), 0, sums);
    sums.iter_mut().for_each(|sum| *sum = sum.neg());
    for (part, weights) in
        with_weights(parts, masked_weights).filter(|(part, _)| part.shape.is_private())
    {
        let r = masks.get_mut(..usize::from(part.shape.inputs())).ok_or(wrong)?;
        keystream.fill(Position { layer: part.source, ..position }.domain(Kind::InputMask), 0, r);
        part.shape.add_product(weights, R::ZERO, r, sums);
    }
    write_le_slice(sums, out);
    Ok(())
}

fn expect_len(found_bytes: usize, expected_bytes: usize) -> Result<(), LengthError> {
    if found_bytes == expected_bytes {
        Ok(())
    } else {
        Err(LengthError { expected_bytes, found_bytes })
    }
}

/// **Derive**, before the input is known: `P0`'s `E`, `r` and `a_0`, in pieces of rows.
pub struct Rows<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    model: &'k Keystream<C>,
    position: Position,
    parts: Parts,
    kept: &'k [u32],
    next: u32,
}

impl<'k, C: Rounds> Rows<'k, C> {
    pub(crate) fn new(
        keystream: &'k Keystream<C>,
        model: &'k Keystream<C>,
        position: Position,
        parts: Parts,
    ) -> Self {
        Self { keystream, model, position, parts, kept: &[], next: 0 }
    }

    /// The same with `E` from `words`, where it was kept: [`weight_elems`] of them, row-major, the
    /// parts one after the other. It is made from the keystream if they are none.
    pub(crate) fn with_kept(self, words: &'k [u32]) -> Self {
        Self { kept: words, ..self }
    }
}

impl<'k, C: Rounds> Iterator for Rows<'k, C> {
    type Item = RowPiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let (outputs, private) = outputs(&self.parts);
        let len = piece_len(self.next, outputs)?;
        let piece = RowPiece {
            keystream: self.keystream,
            model: self.model,
            position: self.position,
            parts: self.parts.clone(),
            private,
            kept: self.kept,
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
    parts: Parts,
    private: bool,
    kept: &'k [u32],
    first: u32,
    len: usize,
}

impl<'k, C: Rounds> RowPiece<'k, C> {
    /// Rows in the piece, at most [`super::PIECE_ELEMS`].
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The layer's outputs that the piece's rows give.
    pub(crate) fn range(&self) -> Range<usize> {
        self.first as usize..self.first as usize + self.len
    }

    /// The parts of the layer's map, with their numbers and their kept `E`.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, Part, &'k [u32])> {
        let kept = with_weights(&self.parts, self.kept);
        kept.enumerate().map(|(number, (part, kept))| (number, *part, kept))
    }

    /// `a_0` of the piece's rows; zero if no weight is private.
    pub(crate) fn shares<R: Ring>(&self, out: &mut [R]) {
        if self.private {
            self.keystream.fill(
                self.position.domain(Kind::LinearShare),
                first_block::<R>(self.first),
                out,
            );
        } else {
            out.fill(R::ZERO);
        }
    }

    /// The mask `r` of a part's vector.
    pub(crate) fn masks(&self, part: &Part) -> VectorMasks<C> {
        let domain = Position { layer: part.source, ..self.position }.domain(Kind::InputMask);
        VectorMasks(self.keystream.run(domain))
    }

    /// The rows of `E` of a part.
    pub(crate) fn weight_masks(
        &self,
        number: usize,
        part: &Part,
        kept: &'k [u32],
    ) -> WeightMasks<'k, C> {
        WeightMasks { kept, ..WeightMasks::new(self.model, self.position.layer, number, part) }
    }
}

/// The mask `r` of a vector, made anew wherever it is read.
pub(crate) struct VectorMasks<C: Rounds>(Run<C>);

impl<C: Rounds> VectorMasks<C> {
    /// Words `range` of it.
    pub(crate) fn read<R: Ring>(&self, range: Range<usize>, out: &mut [R]) {
        fill_from(&self.0, range, out);
    }
}

/// Words `range` of a run.
fn fill_from<R: Ring, C: Rounds>(run: &Run<C>, range: Range<usize>, out: &mut [R]) {
    let per_block = words_per_block::<R>();
    let (mut at, mut rest) = (range.start, out);
    while !rest.is_empty() {
        #[allow(clippy::cast_possible_truncation)]
        let block = run.block((at / per_block) as u32);
        let count = rest.len().min(per_block - at % per_block);
        let (own, left) =
            core::mem::take(&mut rest).split_at_mut_checked(count).unwrap_or_default();
        block.copy_to(at % per_block, own);
        (at, rest) = (at + count, left);
    }
}

/// Keystream blocks in which the words of a range lie.
pub(crate) fn blocks_of<R: Ring>(range: &Range<usize>) -> u64 {
    let per_block = words_per_block::<R>();
    (range.end.div_ceil(per_block) - range.start / per_block) as u64
}

/// The rows of `E` of a part; they are made as they are multiplied, if they are not kept.
pub(crate) struct WeightMasks<'k, C: Rounds> {
    run: Run<C>,
    row_elems: usize,
    kept: &'k [u32],
}

impl<C: Rounds> WeightMasks<'_, C> {
    /// Those of part `number` of a layer, from the keystream of the model's seed.
    pub(crate) fn new(model: &Keystream<C>, layer: u16, number: usize, part: &Part) -> Self {
        let run = model.run(weight_mask_domain(layer, number));
        Self { run, row_elems: part.shape.weights().1, kept: &[] }
    }

    /// The row's words that are kept.
    fn kept_row(&self, row: usize) -> &[u32] {
        self.kept.get(row * self.row_elems..).unwrap_or(&[])
    }

    /// Adds the inner products of `rows`, from column `first_column` on, with `r`, to `out`.
    #[inline]
    pub(crate) fn add_products<R: Ring>(
        &self,
        rows: Range<usize>,
        first_column: usize,
        r: &[R],
        out: &mut [R],
    ) {
        if let (Some(r), Some(out), false) = (R::words(r), R::words_mut(out), self.kept.is_empty())
        {
            kept::add_products::<C>(self.kept, self.row_elems, (rows.start, first_column), r, out);
        } else {
            for (row, out) in rows.zip(out) {
                *out = self.add_row_product(row, first_column, r, *out);
            }
        }
    }

    /// `acc` plus the inner product of row `row`, from column `first_column` on, with `r`.
    #[inline]
    fn add_row_product<R: Ring>(&self, row: usize, first_column: usize, r: &[R], acc: R) -> R {
        #[allow(clippy::cast_possible_truncation)]
        let (row, in_row) = (row as u32, (first_column / words_per_block::<R>()) as u32);
        let first = row * row_blocks::<R>(self.row_elems) + in_row;
        (first..)
            .zip(r.chunks(words_per_block::<R>()))
            .fold(acc, |acc, (index, r)| self.run.dot(index, acc, r))
    }

    /// The words of row `row`, front to back.
    pub(crate) fn row<R: Ring>(&self, row: usize) -> RowWords<'_, C> {
        #[allow(clippy::cast_possible_truncation)]
        let first = row as u32 * row_blocks::<R>(self.row_elems);
        RowWords { run: &self.run, kept: self.kept_row(row), block: None, next: first, read: 0 }
    }
}

/// The words of a row of `E`, read in pieces that need not be blocks.
pub(crate) struct RowWords<'r, C: Rounds> {
    run: &'r Run<C>,
    /// If it is kept; what is beyond the row is not read.
    kept: &'r [u32],
    block: Option<Block>,
    next: u32,
    read: usize,
}

impl<C: Rounds> RowWords<'_, C> {
    /// The next `out.len()` words.
    pub(crate) fn read<R: Ring>(&mut self, out: &mut [R]) {
        let kept = self.kept.split_at_checked(out.len());
        if let (Some((words, rest)), Some(out)) = (kept, R::words_mut(out)) {
            out.iter_mut().zip(words).for_each(|(out, word)| *out = *word);
            self.kept = rest;
            return;
        }
        for out in out {
            if self.read.is_multiple_of(words_per_block::<R>()) {
                self.block = Some(self.run.block(self.next));
                self.next += 1;
            }
            *out = self
                .block
                .as_ref()
                .map_or(R::ZERO, |block| block.ring(self.read % words_per_block::<R>()));
            self.read += 1;
        }
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
    pub(crate) fn new(keystream: &'k Keystream<C>, position: Position, inputs: u16) -> Self {
        Self { keystream, position, inputs, next: 0 }
    }
}

impl<'k, C: Rounds> Iterator for InputMasks<'k, C> {
    type Item = InputMaskPiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = piece_len(self.next, self.inputs)?;
        let piece = InputMaskPiece {
            keystream: self.keystream,
            position: self.position,
            first: self.next,
            len,
        };
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
        self.keystream.fill(
            self.position.domain(Kind::InputMask),
            first_block::<R>(self.first),
            out,
        );
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
    /// [`LengthError`] if the length is not that of the layer's parts.
    pub fn new<R: Ring>(parts: &[Part], bytes: &'a [u8]) -> Result<Self, LengthError> {
        expect_len(bytes.len(), correction_bytes::<R>(parts))?;
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
