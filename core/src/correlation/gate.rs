//! The correlation of the exact gate: `max(y, 0) >> s` or `y >> s` of a shared `y`, in two messages.
//!
//! For every element the dealer draws a uniform mask `r`, and cuts it into digits (see [`super::digits`]). It shares
//!
//! * `r` itself, and its topmost bit `m`;
//! * of every digit a *leaf table*: for each value `v` of the digit the bits `l = [v < r_j]` and `e = [v = r_j]`, as
//!   xor shares. Of the topmost digit `l` is replaced by `t`: `1 xor m xor l` for the ReLU, `l` for the truncation.
//!   The public `z = y + r` selects one entry per digit, so reading costs no message;
//! * the bits `rho` that mask the selected leaf bits when they are opened;
//! * an *arithmetic table*: for each value of the masked lower leaf bits, with `t`'s mask folded in, additive shares of
//!   `(h, h q, h m, q)` for the ReLU and `(h, q)` for the truncation, where `h = e_top (l xor e (... l_0)) xor rho_t`
//!   and `q = (r >> s) + c`, with `c = [lo(z) < lo(r)]`.
//!
//! `P0`'s half of all of it is keystream. `P1`'s half of one element is [`correction_bytes`] long.

use core::ops::Range;

use rand_core::CryptoRng;

use super::digits::{Digits, GateKind};
use super::{LengthError, PIECE_STEP, Position, piece_len, redacted};
use crate::keystream::{BLOCK_BITS, BLOCK_BYTES, Block, Keystream, Kind, Rounds, Run, words_per_block};
use crate::ring::Ring;

/// Words of the widest entry of an arithmetic table.
const MAX_ENTRY_WORDS: usize = 4;

/// Parts of `P1`'s record of one element, in the order in which they lie.
struct Record {
    sign: usize,
    opening: usize,
    leaves: usize,
    table: usize,
    end: usize,
}

/// The mask `r_1` comes first, then `m_1` (ReLU only), one byte of `rho_1`, the leaf tables, the arithmetic table.
const fn record<R: Ring>(digits: &Digits) -> Record {
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

/// `lower xor`-nested comparison of the opened leaf bits `u`: the result of the digits below `count`.
///
/// `l_j xor e_j (l_{j-1} xor e_{j-1} (... l_0))` for `j = count - 1`; 0 for no digit at all.
const fn nested(u: u32, count: usize) -> u32 {
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
const fn below_top(u: u32, count: usize) -> u32 {
    if count < 2 {
        return 0;
    }
    (u >> Digits::opened_position(count - 1)) & nested(u, count - 1)
}

/// Block and position within it of the bits that mask an element's leaf bits: one byte each, a block for a piece.
const fn opening_place(element: u32) -> (u32, u32) {
    (element / PIECE_STEP, element % PIECE_STEP * 8)
}

// A piece's opening masks, one byte each, are one block.
const _: () = assert!(PIECE_STEP as usize == BLOCK_BYTES);

/// `P0`'s half, element by element. The views below decide which part is handed out when.
struct Derive<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
}

impl<C: Rounds> Derive<'_, C> {
    /// `rho_0` of the elements whose bytes lie in `block`.
    fn opening_block(&self, block: u32) -> Block {
        self.keystream.block(self.position.domain(Kind::GateOpening), block)
    }
}

/// **Deal**: writes `P1`'s half of the gates `elements` of a layer to `out`.
///
/// `P0`'s half lies under `keystream` at `position`; what neither half determines is drawn from `rng`.
///
/// # Errors
/// [`LengthError`] if `out` is not [`correction_bytes`] per element long.
pub fn deal<R: Ring, C: Rounds>(
    keystream: &Keystream<C>,
    position: Position,
    digits: &Digits,
    elements: Range<u16>,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<(), LengthError> {
    let each = correction_bytes::<R>(digits);
    let expected_bytes = elements.len() * each;
    if out.len() != expected_bytes {
        return Err(LengthError { expected_bytes, found_bytes: out.len() });
    }
    let derive = Derive { keystream, position };
    let truths = TableTruths::new(digits);
    let mut shares: Option<WordShares<R>> = None;
    for (element, out) in elements.map(u32::from).zip(out.chunks_exact_mut(each)) {
        let of = shares.take().filter(|shares| shares.covers(element)).unwrap_or_else(|| WordShares::derive(&derive, element));
        deal_element::<R, C>(&derive, digits, &truths, &of, element, rng, out);
        shares = Some(of);
    }
    Ok(())
}

/// `P0`'s shares of one word or one byte per element, for the elements whose words share a block.
struct WordShares<R> {
    first: u32,
    mask: Block,
    sign: Block,
    opening: Block,
    ring: core::marker::PhantomData<R>,
}

impl<R: Ring> WordShares<R> {
    /// The shares of `element` and its neighbours.
    #[allow(clippy::cast_possible_truncation)]
    fn derive<C: Rounds>(derive: &Derive<'_, C>, element: u32) -> Self {
        let per_block = words_per_block::<R>() as u32;
        let block = |kind| derive.keystream.block(derive.position.domain(kind), element / per_block);
        Self {
            first: element / per_block * per_block,
            mask: block(Kind::GateMask),
            sign: block(Kind::GateSign),
            opening: derive.opening_block(opening_place(element).0),
            ring: core::marker::PhantomData,
        }
    }

    fn covers(&self, element: u32) -> bool {
        (self.first as usize..self.first as usize + words_per_block::<R>()).contains(&(element as usize))
    }

    fn index(&self, element: u32) -> usize {
        element.wrapping_sub(self.first) as usize
    }

    fn mask(&self, element: u32) -> R {
        self.mask.ring(self.index(element))
    }

    fn sign(&self, element: u32) -> R {
        self.sign.ring(self.index(element))
    }

    fn opening(&self, element: u32) -> u32 {
        self.opening.bits(opening_place(element).1, 8)
    }
}

/// What an arithmetic table holds for all values `u` of the lower leaf bits: one bit each, a public function of the cut.
struct TableTruths {
    below_top: u64,
    low: u64,
}

impl TableTruths {
    fn new(digits: &Digits) -> Self {
        let collect = |bit: &dyn Fn(u32) -> u32| (0..digits.table_entries()).fold(0, |bits, u| bits | u64::from(bit(u) & 1) << u);
        Self { below_top: collect(&|u| below_top(u, digits.count())), low: collect(&|u| nested(u, digits.low())) }
    }
}

fn deal_element<R: Ring, C: Rounds>(
    derive: &Derive<'_, C>,
    digits: &Digits,
    truths: &TableTruths,
    shares: &WordShares<R>,
    element: u32,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) {
    let record = record::<R>(digits);
    let mask_1 = R::from_u64(rng.next_u64());
    let mask = shares.mask(element).add(mask_1);
    let opened_mask = (1 << digits.opened_bits()) - 1;
    let rho_1 = rng.next_u32() & opened_mask;
    let rho = (shares.opening(element) & opened_mask) ^ rho_1;

    let Some((head, rest)) = out.split_at_mut_checked(record.leaves) else { return };
    let Some((leaves, table)) = rest.split_at_mut_checked(record.table - record.leaves) else { return };
    mask_1.write_le(head);
    if let Some(opening) = head.get_mut(record.opening) {
        *opening = rho_1.to_le_bytes()[0];
    }
    let flip = match digits.kind() {
        GateKind::Relu => {
            let sign_1 = R::from_u64(u64::from(mask.msb())).sub(shares.sign(element));
            sign_1.write_le(head.get_mut(record.sign..record.opening).unwrap_or_default());
            1 ^ mask.msb()
        }
        GateKind::Truncate => 0,
    };
    deal_leaves(derive, digits, element, mask.to_u64(), flip, leaves);
    deal_table::<R, C>(derive, digits, truths, element, mask, rho, table);
}

/// The leaf tables of one element, in whole keystream blocks. `flip` is xored to every `t`.
fn deal_leaves<C: Rounds>(derive: &Derive<'_, C>, digits: &Digits, element: u32, mask: u64, flip: u32, out: &mut [u8]) {
    out.fill(0);
    for j in 0..digits.count() {
        let digit = digits.digit(j, mask);
        let top = j + 1 == digits.count();
        let entry_bits = digits.entry_bits(j);
        let entries = 1_u32 << digits.widths().get(j).copied().unwrap_or(0);
        let per_word = (32 / entry_bits).min(entries);
        let place = digits.table_start(j);
        for word in 0..entries / per_word {
            let truth = leaf_word(digit, word * per_word, per_word, entry_bits, top, flip);
            let bit = place + word * 32;
            let at = (bit / 32 * 4) as usize;
            if let Some(bytes) = out.get_mut(at..at + 4) {
                let old = <u32 as Ring>::read_le(bytes);
                (old | truth << (bit % 32)).write_le(bytes);
            }
        }
    }
    let domain = derive.position.domain(Kind::GateLeaves);
    let first = element * digits.leaf_blocks();
    let mut blocks = out.chunks_exact_mut(BLOCK_BYTES);
    derive.keystream.for_each_block(domain, first, digits.leaf_blocks(), |block| {
        for (bytes, &share) in blocks.next().unwrap_or_default().chunks_exact_mut(4).zip(block.words()) {
            let truth = <u32 as Ring>::read_le(bytes);
            (truth ^ share).write_le(bytes);
        }
    });
}

/// The entries `first..first + count` of the leaf table of a digit of the mask, packed lowest first.
///
/// Entries below `digit` have `l`, the entry at `digit` has `e`. Computed on whole words, without a branch on `digit`.
fn leaf_word(digit: u32, first: u32, count: u32, entry_bits: u32, top: bool, flip: u32) -> u32 {
    let distance = i64::from(digit) - i64::from(first);
    let below = distance.clamp(0, i64::from(count)).cast_unsigned();
    let all = low_bits(u64::from(count * entry_bits));
    let less = low_bits(below * u64::from(entry_bits));
    if entry_bits == 1 {
        // The lowest digit; if it is the only one, its `l` is `t`.
        return if top { (less ^ flip.wrapping_neg()) & all } else { less };
    }
    let here = u32::from((0..i64::from(count)).contains(&distance));
    let equal = here << ((distance & 15) * 2);
    let (less_bits, equal_shift) = if top { (0xaaaa_aaaa, 0) } else { (0x5555_5555, 1) };
    let flipped = if top { 0xaaaa_aaaa & flip.wrapping_neg() } else { 0 };
    ((less & less_bits ^ flipped) & all) | equal << equal_shift
}

/// A word whose lowest `count <= 32` bits are set.
#[allow(clippy::cast_possible_truncation)]
const fn low_bits(count: u64) -> u32 {
    ((1_u64 << count) - 1) as u32
}

/// The arithmetic table of one element.
fn deal_table<R: Ring, C: Rounds>(
    derive: &Derive<'_, C>,
    digits: &Digits,
    truths: &TableTruths,
    element: u32,
    mask: R,
    rho: u32,
    out: &mut [u8],
) {
    let top_mask = rho >> (digits.opened_bits() - 1);
    let rho = rho & (digits.table_entries() - 1);
    let sign = R::from_u64(u64::from(mask.msb()));
    let high = mask.shr(digits.shift());
    let entry_bytes = digits.kind().entry_words() * R::BYTES;
    let blocks = digits.table_blocks(R::BITS.div_ceil(32));
    let domain = derive.position.domain(Kind::GateTable);
    let mut delta = 0_u32;
    let mut pieces = out.chunks_mut(words_per_block::<R>() * R::BYTES);
    derive.keystream.for_each_block(domain, element * blocks, blocks, |share| {
        let mut shares = share.ring_words::<R>();
        for out in pieces.next().unwrap_or_default().chunks_exact_mut(entry_bytes) {
            // Shifts by a secret amount take a constant time; an index would not.
            let u = delta ^ rho;
            let h = R::from_u64((truths.below_top >> u & 1) ^ u64::from(top_mask));
            let q = high.add(R::from_u64(truths.low >> u & 1));
            let truth = match digits.kind() {
                GateKind::Relu => [h, h.mul(q), h.mul(sign), q],
                GateKind::Truncate => [h, q, R::ZERO, R::ZERO],
            };
            for ((out, truth), share) in out.chunks_exact_mut(R::BYTES).zip(truth).zip(&mut shares) {
                truth.sub(share).write_le(out);
            }
            delta += 1;
        }
    });
}

/// **Derive**, before the input is known: `P0`'s shares of the masks `r`, in pieces.
pub struct Masks<'k, C: Rounds> {
    derive: Derive<'k, C>,
    elements: u16,
    next: u32,
}

impl<'k, C: Rounds> Masks<'k, C> {
    pub(super) fn new(keystream: &'k Keystream<C>, position: Position, elements: u16) -> Self {
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
    /// Masks in the piece, at most [`super::PIECE_ELEMS`].
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
    pub(super) fn new(keystream: &'k Keystream<C>, position: Position, digits: Digits, elements: u16) -> Self {
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
    /// Gates in the piece, at most [`super::PIECE_ELEMS`].
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
                signs = Some(derive.keystream.block(derive.position.domain(Kind::GateSign), element / per_block as u32));
            }
            let sign = signs.as_ref().map_or(R::ZERO, |block| block.ring(index % per_block));
            let opening = opening.bits(opening_place(element).1, 8) & ((1 << digits.opened_bits()) - 1);
            spend(index, P0Gate { tables: &tables, element, opening, sign });
        }
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
    pub fn new<R: Ring>(digits: Digits, elements: u16, bytes: &'a [u8]) -> Result<Self, LengthError> {
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
        self.bytes.chunks_exact(correction_bytes::<R>(&digits)).map(move |bytes| P1Gate { bytes, digits })
    }
}

/// `P1`'s half of one gate.
pub(crate) struct P1Gate<'a> {
    bytes: &'a [u8],
    digits: Digits,
}

impl P1Gate<'_> {
    /// The share of the mask `r`.
    pub(crate) fn mask<R: Ring>(&self) -> R {
        R::read_le(self.bytes)
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
        let mut bits = self.from(record.opening).first().copied().map_or(0, u32::from);
        for j in 0..self.digits.count() {
            let place = self.digits.table_start(j) + self.digits.digit(j, z.to_u64()) * self.digits.entry_bits(j);
            let byte = leaves.get((place / 8) as usize).copied().map_or(0, u32::from);
            bits ^= (byte >> (place % 8) & ((1 << self.digits.entry_bits(j)) - 1)) << Digits::opened_position(j);
        }
        bits
    }

    #[inline]
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS] {
        let words = self.digits.kind().entry_words();
        let at = record::<R>(&self.digits).table + index as usize * words * R::BYTES;
        let mut entry = [R::ZERO; MAX_ENTRY_WORDS];
        for (word, bytes) in entry.iter_mut().take(words).zip(self.from(at).chunks_exact(R::BYTES)) {
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
