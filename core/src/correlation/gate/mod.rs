//! The correlation of the exact gate: `max(y, 0) >> s` or `y >> s` of a shared `y`, in two
//! messages.
//!
//! For every element the dealer draws a uniform mask `r`, and cuts it into digits (see
//! [`super::digits`]). It shares
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
//! The three views are a file each: [`mod@deal`], [`mod@derive`], [`mod@read`].

pub mod deal;
pub mod derive;
pub mod read;

use super::digits::{Digits, GateKind};
use super::{PIECE_STEP, Position};
use crate::keystream::{BLOCK_BYTES, Block, Keystream, Kind, Rounds};
use crate::ring::Ring;

pub use deal::deal;
pub use derive::{MaskPiece, Masks, TablePiece, Tables};
pub use read::Received;

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

/// The mask `r_1` comes first, then `m_1` (ReLU only), one byte of `rho_1`, the leaf tables, the
/// arithmetic table.
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

/// `lower xor`-nested comparison of the opened leaf bits `u`: the result of the digits below
/// `count`.
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

/// Block and position within it of the bits that mask an element's leaf bits: one byte each, a
/// block for a piece.
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

/// What a party reads of its half of one gate. `z` and the index of the entry are public.
pub(crate) trait Half<R: Ring> {
    /// The leaf bits that `z` selects, under this party's share of `rho`.
    fn masked_leaves(&self, z: R) -> u32;
    /// Entry `index` of the arithmetic table.
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS];
    /// The share of `m`, 0 where the kind of gate has none.
    fn sign(&self) -> R;
}
