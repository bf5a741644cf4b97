//! The correlation of the exact gate: `max(y, 0) >> s` or `y >> s` of a shared `y`, in two
//! messages.
//!
//! For every element the dealer draws a uniform mask `r` of the gate's width, and cuts it into
//! digits (see [`super::digits`]). It shares
//!
//! * `r` itself, and its topmost bit `m`;
//! * of every digit a *leaf table*: for each value `v` of the digit the bits `l = [v < r_j]` and
//!   `e = [v = r_j]`, as xor shares. Of the topmost digit `l` is replaced by `t`: `1 xor m xor l`
//!   for the ReLU, `l` for the truncation. The public `z = y + r` selects one entry per digit, so
//!   reading costs no message;
//! * the bits `rho` that mask the selected leaf bits when they are opened;
//! * an *arithmetic table*: for each value of the masked lower leaf bits, with `t`'s mask folded
//!   in, additive shares of `(h, h q, h m, q)` for the ReLU and `(h, q)` for the truncation, where
//!   `h = e_top (l xor e (... l_0)) xor rho_t` and `q = (r >> s) + c`, with `c = [lo(z) < lo(r)]`.
//!
//! `P0`'s half of all of it is keystream. `P1`'s half of one element is [`correction_bytes`] long.
//!
//! `P0`'s view (*derive*) and `P1`'s (*read*) are here, side by side; the dealer's is
//! [`super::deal`].

use super::digits::Digits;
use crate::correlation::{LengthError, Position, redacted};
use crate::gate::GateKind;
use crate::keystream::{
    BLOCK_BITS, BLOCK_BYTES, Block, Keystream, Kind, Rounds, Run, join, words_per_block,
};
use crate::ring::Ring;
use crate::session::piece::{PIECE_STEP, piece_len};

/// Words of the widest entry of an arithmetic table.
const MAX_ENTRY_WORDS: usize = 4;

/// Parts of `P1`'s record of one element, in the order in which they lie.
pub(super) struct Record {
    pub(super) sign: usize,
    pub(super) opening: usize,
    pub(super) leaves: usize,
    pub(super) table: usize,
    pub(super) end: usize,
}

/// The mask `r_1` comes first, then `m_1` (ReLU only), one byte of `rho_1`, the leaf tables, the
/// arithmetic table.
pub(super) const fn record<R: Ring>(digits: &Digits) -> Record {
    let sign = R::BYTES;
    let opening = match digits.kind() {
        GateKind::Relu => sign + R::BYTES,
        GateKind::Truncate => sign,
    };
    let leaves = opening + 1;
    let table = leaves + digits.leaf_blocks() as usize * BLOCK_BYTES;
    let end = table + digits.table_entries() as usize * digits.kind().entry_words() * R::BYTES;
    Record { sign, opening, leaves, table, end }
}

/// Bytes that the dealer sends `P1` for one element.
#[must_use]
pub const fn correction_bytes<R: Ring>(digits: &Digits) -> usize {
    record::<R>(digits).end
}

/// `lower xor`-nested comparison of the opened leaf bits `u`: the result of the digits below
/// `count`.
///
/// `l_j xor e_j (l_{j-1} xor e_{j-1} (... l_0))` for `j = count - 1`; 0 for no digit at all.
pub(super) const fn nested(u: u32, count: usize) -> u32 {
    if count == 0 {
        return 0;
    }
    let mut result = u & 1;
    let mut j = 1;
    while j < count {
        let position = Digits::opened_position(j);
        result = (u >> position) & 1 ^ ((u >> (position + 1)) & result);
        j += 1;
    }
    result
}

/// `e_top` and the nested result of the digits below it: what `t` is xored with.
pub(super) const fn below_top(u: u32, count: usize) -> u32 {
    if count < 2 {
        return 0;
    }
    (u >> Digits::opened_position(count - 1)) & nested(u, count - 1)
}

/// Block and position within it of the bits that mask an element's leaf bits: one byte each, a
/// block for a piece.
pub(super) const fn opening_place(element: u32) -> (u32, u32) {
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
    pub(super) fn opening_block(&self, block: u32) -> Block {
        self.keystream.block(self.position.domain(Kind::GateOpening), block)
    }
}

/// What a party reads of its half of one gate. `z` and the index of the entry are public.
pub(crate) trait Half<R: Ring> {
    /// The leaf bits that `z` selects, under this party's share of `rho`.
    fn masked_leaves(&self, z: R) -> u32;
    /// Entry `index` of the arithmetic table.
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS];
    /// The share of `m`, 0 where the kind of gate has none.
    fn sign(&self) -> R;
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

#[cfg(feature = "inside")]
impl<R: Ring, C: Rounds> P0Gate<'_, R, C> {
    /// `rho_0`.
    pub(super) fn opening(&self) -> u32 {
        self.opening
    }
}

impl<R: Ring, C: Rounds> Half<R> for P0Gate<'_, R, C> {
    #[inline]
    fn masked_leaves(&self, z: R) -> u32 {
        let digits = &self.tables.digits;
        let first = self.element * digits.leaf_blocks();
        let mut bits = self.opening;
        let run = &self.tables.leaves;
        let place = |j| {
            let place = digits.table_start(j) + digits.digit(j, z.to_u64()) * digits.entry_bits(j);
            (first + place / BLOCK_BITS, place % BLOCK_BITS)
        };
        let mut order = digits.in_table_order().map(|j| (j, place(j))).peekable();
        let Some(&(_, (mut index, _))) = order.peek() else { return bits };
        let mut mixed = run.mix(index);
        for (j, (next, bit)) in order {
            if next != index {
                (index, mixed) = (next, run.mix(next));
            }
            // An entry lies within one word.
            let word = run.word(&mixed, (bit / 32) as usize) >> (bit % 32);
            let entry = word & ((1 << digits.entry_bits(j)) - 1);
            bits ^= entry << Digits::opened_position(j);
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
        let run = &self.tables.table;
        let mixed = run.mix(first + offset);
        let words_each = R::BITS.div_ceil(32) as usize;
        let mut entry = [R::ZERO; MAX_ENTRY_WORDS];
        for (i, word) in entry.iter_mut().take(words).enumerate() {
            let first = (place % words_per_block::<R>() + i) * words_each;
            *word = join((first..first + words_each).map(|place| run.word(&mixed, place)));
        }
        entry
    }

    #[inline]
    fn sign(&self) -> R {
        self.sign
    }
}

/// **Read**: `P1`'s half of the gates of a layer, as the dealer wrote it.
pub struct Received<'a> {
    bytes: &'a [u8],
    digits: Digits,
}

impl<'a> Received<'a> {
    /// The half of `elements` gates.
    ///
    /// # Errors
    /// [`LengthError`] if the length is not [`correction_bytes`] per element.
    pub fn new<R: Ring>(
        digits: Digits,
        elements: u16,
        bytes: &'a [u8],
    ) -> Result<Self, LengthError> {
        let expected_bytes = usize::from(elements) * correction_bytes::<R>(&digits);
        if bytes.len() != expected_bytes {
            return Err(LengthError { expected_bytes, found_bytes: bytes.len() });
        }
        Ok(Self { bytes, digits })
    }

    /// The cut of the gates.
    #[must_use]
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// The gates one by one.
    pub(crate) fn gates<R: Ring>(&self) -> impl Iterator<Item = P1Gate<'a>> {
        let digits = self.digits;
        self.bytes
            .chunks_exact(correction_bytes::<R>(&digits))
            .map(move |bytes| P1Gate { bytes, digits })
    }
}

/// `P1`'s half of one gate.
pub(crate) struct P1Gate<'a> {
    bytes: &'a [u8],
    digits: Digits,
}

impl P1Gate<'_> {
    /// The share of the mask `r`, modulo the gate's width.
    pub(crate) fn mask<R: Ring>(&self) -> R {
        R::read_le(self.bytes)
    }

    /// `rho_1`.
    pub(super) fn opening<R: Ring>(&self) -> u32 {
        self.from(record::<R>(&self.digits).opening).first().copied().map_or(0, u32::from)
    }

    fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or(&[])
    }
}

impl<R: Ring> Half<R> for P1Gate<'_> {
    #[inline]
    fn masked_leaves(&self, z: R) -> u32 {
        let record = record::<R>(&self.digits);
        let leaves = self.from(record.leaves);
        let mut bits = self.opening::<R>();
        for j in 0..self.digits.count() {
            let place = self.digits.table_start(j)
                + self.digits.digit(j, z.to_u64()) * self.digits.entry_bits(j);
            let byte = leaves.get((place / 8) as usize).copied().map_or(0, u32::from);
            bits ^= (byte >> (place % 8) & ((1 << self.digits.entry_bits(j)) - 1))
                << Digits::opened_position(j);
        }
        bits
    }

    #[inline]
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS] {
        let words = self.digits.kind().entry_words();
        let at = record::<R>(&self.digits).table + index as usize * words * R::BYTES;
        let mut entry = [R::ZERO; MAX_ENTRY_WORDS];
        for (word, bytes) in entry.iter_mut().take(words).zip(self.from(at).chunks_exact(R::BYTES))
        {
            *word = R::read_le(bytes);
        }
        entry
    }

    #[inline]
    fn sign(&self) -> R {
        match self.digits.kind() {
            GateKind::Relu => R::read_le(self.from(record::<R>(&self.digits).sign)),
            GateKind::Truncate => R::ZERO,
        }
    }
}

redacted!(Masks<'_, C>, MaskPiece<'_, C>, Tables<'_, C>, TablePiece<'_, C>);
redacted!(Received<'_>);
