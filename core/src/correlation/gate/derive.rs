//! `P0`'s view of the gate's correlation: a run of keystream, computed where it is read.

use super::{Derive, Half, MAX_ENTRY_WORDS, opening_place};
use crate::correlation::digits::{Digits, GateKind};
use crate::correlation::{PIECE_STEP, Position, piece_len, redacted};
use crate::keystream::{BLOCK_BITS, Block, Keystream, Kind, Rounds, Run, words_per_block};
use crate::ring::Ring;

/// **Derive**, before the input is known: `P0`'s shares of the masks `r`, in pieces.
pub struct Masks<'k, C: Rounds> {
    derive: Derive<'k, C>,
    elements: u16,
    next: u32,
}

impl<'k, C: Rounds> Masks<'k, C> {
    pub(in crate::correlation) fn new(
        keystream: &'k Keystream<C>,
        position: Position,
        elements: u16,
    ) -> Self {
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
    /// Masks in the piece, at most [`crate::correlation::PIECE_ELEMS`].
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
    pub(in crate::correlation) fn new(
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
    /// Gates in the piece, at most [`crate::correlation::PIECE_ELEMS`].
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

/// `P0`'s tables of a piece.
struct P0Tables<C: Rounds> {
    leaves: Run<C>,
    table: Run<C>,
    digits: Digits,
}

/// `P0`'s half of one gate.
pub(crate) struct P0Gate<'p, R: Ring, C: Rounds> {
    tables: &'p P0Tables<C>,
    element: u32,
    opening: u32,
    sign: R,
}

impl<R: Ring, C: Rounds> Half<R> for P0Gate<'_, R, C> {
    #[inline]
    fn masked_leaves(&self, z: R) -> u32 {
        let digits = &self.tables.digits;
        let first = self.element * digits.leaf_blocks();
        let mut bits = self.opening;
        let mut last: Option<(u32, Block)> = None;
        for j in digits.in_table_order() {
            let place = digits.table_start(j) + digits.digit(j, z.to_u64()) * digits.entry_bits(j);
            let (index, bit) = (first + place / BLOCK_BITS, place % BLOCK_BITS);
            let block = match last.take() {
                Some((same, block)) if same == index => block,
                _ => self.tables.leaves.block(index),
            };
            bits ^= block.bits(bit, digits.entry_bits(j)) << Digits::opened_position(j);
            last = Some((index, block));
        }
        bits
    }

    #[inline]
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS] {
        let digits = &self.tables.digits;
        let words = digits.kind().entry_words();
        let place = index as usize * words;
        let first = self.element * digits.table_blocks(R::BITS.div_ceil(32));
        #[allow(clippy::cast_possible_truncation)]
        let offset = (place / words_per_block::<R>()) as u32;
        let block = self.tables.table.block(first + offset);
        let mut entry = [R::ZERO; MAX_ENTRY_WORDS];
        for (i, word) in entry.iter_mut().take(words).enumerate() {
            *word = block.ring(place % words_per_block::<R>() + i);
        }
        entry
    }

    #[inline]
    fn sign(&self) -> R {
        self.sign
    }
}

redacted!(Masks<'_, C>, MaskPiece<'_, C>, Tables<'_, C>, TablePiece<'_, C>);
