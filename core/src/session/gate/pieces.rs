//! `P0`'s half of the gates of a layer, as it is handed out: masks before the input is known,
//! tables when `z` is, in pieces of 64 elements, front to back, each piece once.
//!
//! All of it is keystream. Masks and signs are a word per element, opening bits a byte, which their
//! neighbours' lie beside; what an element has for itself is [`super::correlation`]'s.

use core::marker::PhantomData;

use super::correlation::{P0Gate, P0Tables};
use super::digits::Digits;
use crate::correlation::{Position, redacted};
use crate::gate::GateKind;
use crate::keystream::{BLOCK_BYTES, Block, Keystream, Kind, Rounds, words_per_block};
use crate::ring::Ring;
use crate::session::piece::{PIECE_STEP, piece_len};

/// Block and position within it of the bits that mask an element's leaf bits: one byte each, a
/// block for a piece.
const fn opening_place(element: u32) -> (u32, u32) {
    (element / PIECE_STEP, element % PIECE_STEP * 8)
}

// A piece's opening masks, one byte each, are one block.
const _: () = assert!(PIECE_STEP as usize == BLOCK_BYTES);

/// `P0`'s half, element by element. The views below decide which part is handed out when.
pub(super) struct Derive<'k, C: Rounds> {
    pub(super) keystream: &'k Keystream<C>,
    pub(super) position: Position,
}

impl<C: Rounds> Derive<'_, C> {
    /// `rho_0` of the elements whose bytes lie in `block`.
    fn opening_block(&self, block: u32) -> Block {
        self.keystream.block(self.position.domain(Kind::GateOpening), block)
    }
}

/// **Derive**, before the input is known: `P0`'s shares of the masks `r`, in pieces.
pub struct Masks<'k, C: Rounds> {
    derive: Derive<'k, C>,
    elements: u16,
    next: u32,
}

impl<'k, C: Rounds> Masks<'k, C> {
    pub(crate) fn new(keystream: &'k Keystream<C>, position: Position, elements: u16) -> Self {
        Self { derive: Derive { keystream, position }, elements, next: 0 }
    }
}

impl<'k, C: Rounds> Iterator for Masks<'k, C> {
    type Item = MaskPiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = piece_len(self.next, self.elements)?;
        let derive = Derive { keystream: self.derive.keystream, position: self.derive.position };
        let piece = MaskPiece { derive, first: self.next, len };
        self.next += PIECE_STEP;
        Some(piece)
    }
}

/// A piece of mask shares.
pub struct MaskPiece<'k, C: Rounds> {
    derive: Derive<'k, C>,
    first: u32,
    len: usize,
}

impl<C: Rounds> MaskPiece<'_, C> {
    /// Masks in the piece, at most [`crate::session::piece::PIECE_ELEMS`].
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds the piece's mask shares to `words`.
    pub(crate) fn add_to<R: Ring>(&self, words: &mut [R]) {
        let domain = self.derive.position.domain(Kind::GateMask);
        let per_block = words_per_block::<R>();
        #[allow(clippy::cast_possible_truncation)]
        let first = self.first / per_block as u32;
        for (index, words) in (first..).zip(words.chunks_mut(per_block)) {
            let block = self.derive.keystream.block(domain, index);
            for (i, word) in words.iter_mut().enumerate() {
                *word = word.add(block.ring(i));
            }
        }
    }
}

/// **Derive**, when `z` is known: `P0`'s shares of the leaf and arithmetic tables, in pieces.
pub struct Tables<'k, C: Rounds> {
    derive: Derive<'k, C>,
    digits: Digits,
    elements: u16,
    next: u32,
}

impl<'k, C: Rounds> Tables<'k, C> {
    pub(crate) fn new(
        keystream: &'k Keystream<C>,
        position: Position,
        digits: Digits,
        elements: u16,
    ) -> Self {
        Self { derive: Derive { keystream, position }, digits, elements, next: 0 }
    }

    /// The cut of the gate.
    #[must_use]
    pub fn digits(&self) -> &Digits {
        &self.digits
    }
}

impl<'k, C: Rounds> Iterator for Tables<'k, C> {
    type Item = TablePiece<'k, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = piece_len(self.next, self.elements)?;
        let derive = Derive { keystream: self.derive.keystream, position: self.derive.position };
        let piece = TablePiece { derive, digits: self.digits, first: self.next, len };
        self.next += PIECE_STEP;
        Some(piece)
    }
}

/// A piece of tables.
pub struct TablePiece<'k, C: Rounds> {
    derive: Derive<'k, C>,
    digits: Digits,
    first: u32,
    len: usize,
}

impl<C: Rounds> TablePiece<'_, C> {
    /// Gates in the piece, at most [`crate::session::piece::PIECE_ELEMS`].
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The cut of the gates.
    #[must_use]
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// Hands the piece's gates to `spend` one by one, each with its index in the piece.
    #[inline]
    pub(crate) fn spend<R: Ring>(self, mut spend: impl FnMut(usize, P0Gate<'_, R, C>)) {
        let Self { derive, digits, first, len } = self;
        // A piece is as long as a block: one block masks the leaf bits of all its elements.
        let opening = derive.opening_block(opening_place(first).0);
        let tables = P0Tables {
            leaves: derive.keystream.run(derive.position.domain(Kind::GateLeaves)),
            table: derive.keystream.run(derive.position.domain(Kind::GateTable)),
            digits,
        };
        let per_block = words_per_block::<R>();
        let mut signs: Option<Block> = None;
        for (index, element) in (0..len).zip(first..) {
            #[allow(clippy::cast_possible_truncation)]
            if digits.kind() == GateKind::Relu && index % per_block == 0 {
                signs = Some(
                    derive
                        .keystream
                        .block(derive.position.domain(Kind::GateSign), element / per_block as u32),
                );
            }
            let sign = signs.as_ref().map_or(R::ZERO, |block| block.ring(index % per_block));
            let opening =
                opening.bits(opening_place(element).1, 8) & ((1 << digits.opened_bits()) - 1);
            spend(index, P0Gate { tables: &tables, element, opening, sign });
        }
    }
}

/// `P0`'s shares of one word or one byte per element, for the elements whose words share a block.
pub(super) struct WordShares<R> {
    first: u32,
    mask: Block,
    sign: Block,
    opening: Block,
    ring: PhantomData<R>,
}

impl<R: Ring> WordShares<R> {
    /// The shares of `element` and its neighbours.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn derive<C: Rounds>(derive: &Derive<'_, C>, element: u32) -> Self {
        let per_block = words_per_block::<R>() as u32;
        let block =
            |kind| derive.keystream.block(derive.position.domain(kind), element / per_block);
        Self {
            first: element / per_block * per_block,
            mask: block(Kind::GateMask),
            sign: block(Kind::GateSign),
            opening: derive.opening_block(opening_place(element).0),
            ring: PhantomData,
        }
    }

    pub(super) fn covers(&self, element: u32) -> bool {
        (self.first as usize..self.first as usize + words_per_block::<R>())
            .contains(&(element as usize))
    }

    fn index(&self, element: u32) -> usize {
        element.wrapping_sub(self.first) as usize
    }

    pub(super) fn mask(&self, element: u32) -> R {
        self.mask.ring(self.index(element))
    }

    pub(super) fn sign(&self, element: u32) -> R {
        self.sign.ring(self.index(element))
    }

    pub(super) fn opening(&self, element: u32) -> u32 {
        self.opening.bits(opening_place(element).1, 8)
    }
}

redacted!(Masks<'_, C>, MaskPiece<'_, C>, Tables<'_, C>, TablePiece<'_, C>);
