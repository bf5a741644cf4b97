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
//! What either party reads of it (`P0` *derives*, `P1` *reads*) is here, side by side; the dealer's
//! view is [`super::deal`]. When `P0`'s half is handed out is [`super::pieces`]'s.

use super::digits::Digits;
use crate::correlation::{LengthError, redacted};
use crate::gate::GateKind;
use crate::keystream::{BLOCK_BITS, BLOCK_BYTES, Rounds, Run, join, words_per_block};
use crate::ring::Ring;

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

/// What a party reads of its half of one gate. `z` and the index of the entry are public.
pub(crate) trait Half<R: Ring> {
    /// The leaf bits that `z` selects, under this party's share of `rho`.
    fn masked_leaves(&self, z: R) -> u32;
    /// Entry `index` of the arithmetic table.
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS];
    /// The share of `m`, 0 where the kind of gate has none.
    fn sign(&self) -> R;
}

/// `P0`'s tables of a piece: a run of keystream per kind.
pub(super) struct P0Tables<C: Rounds> {
    pub(super) leaves: Run<C>,
    pub(super) table: Run<C>,
    pub(super) digits: Digits,
}

/// `P0`'s half of one gate.
pub(crate) struct P0Gate<'p, R: Ring, C: Rounds> {
    pub(super) tables: &'p P0Tables<C>,
    pub(super) element: u32,
    pub(super) opening: u32,
    pub(super) sign: R,
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

    pub(super) fn from(&self, at: usize) -> &[u8] {
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

redacted!(Received<'_>);
