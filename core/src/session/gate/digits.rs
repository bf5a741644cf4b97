//! The cut of a gate's width into digits, on which a comparison gate's correlation is built.
//!
//! The gate compares the public `z` with the secret mask `r` digit by digit (see [`super`]).
//! Where the cuts are decides everything it costs: the bits of the leaf tables the dealer sends,
//! the entries of the arithmetic table, and how many keystream blocks `P0` computes for one
//! element. One cut falls on the shift, so that the comparison of the low parts is one of the
//! intermediate results and the truncation is exact.

use super::plans;
use crate::gate::{GateBits, GateKind};
use crate::keystream::BLOCK_BITS;

pub use super::plans::MAX_DIGITS;

/// A digit is at most this wide: its leaf table has `2^bits` entries.
pub const MAX_DIGIT_BITS: u8 = 12;
/// The widest gate of two messages.
pub const MAX_WIDTH_BITS: u32 = 32;
/// What a keystream block at the device counts for in the choice of a plan, in bytes sent by the
/// dealer.
///
/// A ChaCha12 block takes a Cortex-M4 about 600 instructions, some 4 microseconds; the dealer's
/// link to the host sends a few hundred bytes in that time.
const BLOCK_WEIGHT_BYTES: u32 = 256;

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// The gate is narrower than 2 bits or wider than [`MAX_WIDTH_BITS`]; wider ones need one more
    /// message.
    WidthOutOfRange,
    /// The shift is not below the gate's width less one.
    ShiftOutOfRange,
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::WidthOutOfRange => {
                write!(f, "the two-message gate is for words of 2 to {MAX_WIDTH_BITS} bits")
            }
            Self::ShiftOutOfRange => write!(f, "the shift must be below the gate's width less one"),
        }
    }
}

impl core::error::Error for PlanError {}

/// A cut of the compared bits into digits, lowest first, and the place of every digit's leaf table.
///
/// The leaf table of digit `j` holds for every value `v` of the digit the bits `l_j = [v < r_j]`
/// and `e_j = [v = r_j]`; of the lowest digit only `l_0` is needed, of the topmost the pair is
/// `(e, t)`. The tables of one element lie one after the other in whole keystream blocks, largest
/// first, so that none straddles a block that it could share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    kind: GateKind,
    width_bits: u8,
    shift: u8,
    count: u8,
    low: u8,
    bits: [u8; MAX_DIGITS],
    offset: [u8; MAX_DIGITS],
    start: [u16; MAX_DIGITS],
    order: [u8; MAX_DIGITS],
    leaf_bits: u16,
    device_leaf_blocks: u8,
}

impl Digits {
    /// The cheapest cut for a gate of `width_bits`, a shift and a kind of gate, where dealer bytes
    /// and device blocks are weighed against each other.
    ///
    /// # Errors
    /// [`PlanError`] if the width or the shift is out of range.
    ///
    /// ```
    /// use sharelet_core::gate::GateKind;
    /// use sharelet_core::session::gate::digits::Digits;
    ///
    /// let digits = Digits::plan(32, 16, GateKind::Relu)?;
    /// assert_eq!(digits.opened_bits(), 7);
    /// assert_eq!(digits.device_blocks(), 4);
    /// let narrow = Digits::plan(20, 8, GateKind::Relu)?;
    /// assert_eq!(narrow.device_blocks(), 2);
    /// # Ok::<(), sharelet_core::session::gate::digits::PlanError>(())
    /// ```
    pub fn plan(width_bits: u32, shift: u32, kind: GateKind) -> Result<Self, PlanError> {
        if !(2..=MAX_WIDTH_BITS).contains(&width_bits) {
            return Err(PlanError::WidthOutOfRange);
        }
        if shift >= width_bits - 1 {
            return Err(PlanError::ShiftOutOfRange);
        }
        let widths = plans::widths(width_bits, shift, kind);
        Ok(Self::with_widths(kind, width_bits, shift, widths))
    }

    /// The plan for given digit widths, lowest first; a width of 0 is no digit, and none lies
    /// behind it.
    #[allow(clippy::cast_possible_truncation)]
    fn with_widths(kind: GateKind, width_bits: u32, shift: u32, bits: [u8; MAX_DIGITS]) -> Self {
        let mut digits = Self {
            kind,
            width_bits: width_bits as u8,
            shift: shift as u8,
            count: 0,
            low: 0,
            bits,
            offset: [0; MAX_DIGITS],
            start: [0; MAX_DIGITS],
            order: [0; MAX_DIGITS],
            leaf_bits: 0,
            device_leaf_blocks: 0,
        };
        let mut sum = 0;
        for (offset, &bits) in
            digits.offset.iter_mut().zip(&bits).take_while(|(_, bits)| **bits > 0)
        {
            *offset = sum;
            digits.low += u8::from(u32::from(sum) < shift);
            digits.count += 1;
            sum += bits;
        }
        // Sizes are powers of two, so placing them in descending order wastes nothing and straddles
        // nothing.
        let (mut placed, mut packed_bits) = (0_u8, 0);
        for position in 0..digits.count() {
            let left = (0..digits.count()).filter(|j| placed >> j & 1 == 0);
            let Some(largest) = left.rev().max_by_key(|&j| digits.table_bits(j)) else { break };
            let size = digits.table_bits(largest);
            placed |= 1 << largest;
            if let Some(order) = digits.order.get_mut(position) {
                *order = largest as u8;
            }
            if let Some(start) = digits.start.get_mut(largest) {
                *start = digits.leaf_bits;
            }
            digits.leaf_bits += size as u16;
            if size >= BLOCK_BITS {
                digits.device_leaf_blocks += 1;
            } else {
                packed_bits += size;
            }
        }
        digits.device_leaf_blocks += packed_bits.div_ceil(BLOCK_BITS) as u8;
        digits
    }

    /// What the gate computes.
    #[must_use]
    pub const fn kind(&self) -> GateKind {
        self.kind
    }

    /// Bits dropped by the gate.
    #[must_use]
    pub const fn shift(&self) -> u32 {
        self.shift as u32
    }

    /// Bits that `z` and a mask have.
    #[must_use]
    pub const fn width_bits(&self) -> u32 {
        self.width_bits as u32
    }

    /// The bits that the gate works on.
    #[must_use]
    pub const fn bits(&self) -> GateBits {
        GateBits { width_bits: self.width_bits(), shift: self.shift() }
    }

    /// Number of digits.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Number of digits below the cut at the shift; 0 if the shift is 0.
    #[must_use]
    pub const fn low(&self) -> usize {
        self.low as usize
    }

    /// Widths of the digits in bits, lowest first.
    #[must_use]
    pub fn widths(&self) -> &[u8] {
        self.bits.get(..self.count()).unwrap_or(&[])
    }

    /// Bits that either party opens per element in message 2: two per digit, one for the lowest.
    #[must_use]
    pub const fn opened_bits(&self) -> u32 {
        2 * self.count as u32 - 1
    }

    /// Entries of the arithmetic table.
    #[must_use]
    pub const fn table_entries(&self) -> u32 {
        1 << (self.opened_bits() - 1)
    }

    /// Keystream blocks of one element's leaf tables.
    #[must_use]
    pub const fn leaf_blocks(&self) -> u32 {
        (self.leaf_bits as u32).div_ceil(BLOCK_BITS)
    }

    /// Keystream blocks of one element's arithmetic table, for words that take `block_words` 32-bit
    /// words each.
    #[must_use]
    pub const fn table_blocks(&self, block_words: u32) -> u32 {
        (self.table_entries() * self.kind.entry_words_u32() * block_words).div_ceil(BLOCK_BITS / 32)
    }

    /// Keystream blocks that `P0` computes for one element when `z` is known: the blocks its leaves
    /// lie in, and one for the entry of the table.
    #[must_use]
    pub const fn device_blocks(&self) -> u32 {
        self.device_leaf_blocks as u32 + 1
    }

    /// What plans are compared by: bytes that the dealer sends for an element, and the device's
    /// blocks as if they were bytes.
    #[must_use]
    pub const fn weight_bytes(&self) -> u32 {
        let table_bytes = self.table_entries() * self.kind.entry_words_u32() * 4;
        let dealer_bytes = self.leaf_blocks() * BLOCK_BITS / 8 + table_bytes;
        dealer_bytes + self.device_blocks() * BLOCK_WEIGHT_BYTES
    }

    /// Digit `j` of a word.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn digit(&self, j: usize, word: u64) -> u32 {
        let (offset, bits) =
            (self.offset.get(j).copied().unwrap_or(0), self.bits.get(j).copied().unwrap_or(0));
        (word >> offset) as u32 & ((1 << bits) - 1)
    }

    /// Bits of an entry of digit `j`'s leaf table: the lowest digit stores one, the others two.
    #[must_use]
    pub const fn entry_bits(&self, j: usize) -> u32 {
        if j == 0 { 1 } else { 2 }
    }

    /// Size of digit `j`'s leaf table in bits.
    fn table_bits(&self, j: usize) -> u32 {
        self.entry_bits(j) << self.bits.get(j).copied().unwrap_or(0).min(MAX_DIGIT_BITS)
    }

    /// First bit of digit `j`'s leaf table.
    #[must_use]
    pub(crate) fn table_start(&self, j: usize) -> u32 {
        u32::from(self.start.get(j).copied().unwrap_or(0))
    }

    /// The digits in the order of their tables, so that one block after the other is visited.
    pub(crate) fn in_table_order(&self) -> impl Iterator<Item = usize> + '_ {
        self.order.iter().take(self.count()).map(|&j| usize::from(j))
    }

    /// Position of digit `j`'s bits among the opened bits.
    #[must_use]
    pub const fn opened_position(j: usize) -> usize {
        if j == 0 { 0 } else { 2 * j - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::format;
    use std::vec::Vec;

    fn all() -> Vec<Digits> {
        let mut all = Vec::new();
        for kind in [GateKind::Relu, GateKind::Truncate] {
            for width_bits in 2..=MAX_WIDTH_BITS {
                for shift in 0..width_bits - 1 {
                    all.push(Digits::plan(width_bits, shift, kind).expect("in range"));
                }
            }
        }
        all
    }

    #[test]
    fn digits_cover_the_compared_bits_and_cut_at_the_shift() {
        for digits in all() {
            let sum: u32 = digits.widths().iter().map(|&bits| u32::from(bits)).sum();
            let low: u32 =
                digits.widths().iter().take(digits.low()).map(|&bits| u32::from(bits)).sum();
            assert_eq!(sum, digits.kind().compared_bits(digits.width_bits()), "{digits:?}");
            assert_eq!(low, digits.shift(), "{digits:?}");
            assert!(digits.low() < digits.count());
            assert!(digits.widths().iter().all(|&bits| (1..=MAX_DIGIT_BITS).contains(&bits)));
        }
    }

    #[test]
    fn leaf_tables_neither_overlap_nor_straddle_a_block() {
        for digits in all() {
            let mut used = std::vec![false; digits.leaf_bits as usize];
            for j in 0..digits.count() {
                let (start, size) = (digits.table_start(j), digits.table_bits(j));
                if size < BLOCK_BITS {
                    assert_eq!(start / BLOCK_BITS, (start + size - 1) / BLOCK_BITS);
                } else {
                    assert_eq!(start % BLOCK_BITS, 0);
                }
                assert_eq!(start % size.min(32), 0, "an entry must not straddle a word");
                for bit in start..start + size {
                    assert!(!core::mem::replace(&mut used[bit as usize], true));
                }
            }
            assert!(used.iter().all(|&used| used));
        }
    }

    #[test]
    fn digits_reassemble_to_the_word() {
        for digits in all() {
            let word = 0x9e37_79b9_u64
                & ((1 << digits.widths().iter().map(|&b| u32::from(b)).sum::<u32>()) - 1);
            let sum: u64 = (0..digits.count())
                .map(|j| u64::from(digits.digit(j, word)) << digits.offset[j])
                .sum();
            assert_eq!(sum, word);
        }
    }

    /// All cuts of `left` bits into at most `digits`, one of them at `shift`.
    fn cuts(left: u8, digits: usize, shift: u32, prefix: &mut Vec<u8>, found: &mut Vec<[u8; 4]>) {
        let sums = prefix.iter().scan(0, |sum, &bits| {
            *sum += u32::from(bits);
            Some(*sum)
        });
        if left == 0 && (shift == 0 || sums.clone().any(|sum| sum == shift)) {
            let mut bits = [0; 4];
            bits[..prefix.len()].copy_from_slice(prefix);
            found.push(bits);
        } else if digits > 0 {
            for bits in 1..=left.min(MAX_DIGIT_BITS) {
                prefix.push(bits);
                cuts(left - bits, digits - 1, shift, prefix, found);
                prefix.pop();
            }
        }
    }

    /// The lightest of all plans; what is printed if one is not, is the table as it should be.
    #[test]
    fn no_cut_is_lighter() {
        for kind in [GateKind::Relu, GateKind::Truncate] {
            let (mut wrong, mut right) = (0, Vec::new());
            for width_bits in 2..=MAX_WIDTH_BITS {
                for shift in 0..width_bits - 1 {
                    let total = u8::try_from(kind.compared_bits(width_bits)).expect("small");
                    let mut found = Vec::new();
                    cuts(total, MAX_DIGITS, shift, &mut Vec::new(), &mut found);
                    let plan = |bits| Digits::with_widths(kind, width_bits, shift, bits);
                    let best = found.into_iter().min_by_key(|&bits| plan(bits).weight_bytes());
                    let best = best.expect("four digits of 12 bits cut 48 bits anywhere");
                    let own = plans::widths(width_bits, shift, kind);
                    wrong += u32::from(plan(own).weight_bytes() > plan(best).weight_bytes());
                    right.push(format!(
                        "{:#06x},",
                        best.iter().rev().fold(0_u16, |all, &bits| { all << 4 | u16::from(bits) })
                    ));
                }
            }
            assert_eq!(right.len(), plans::ENTRIES);
            assert_eq!(wrong, 0, "{kind:?}: {}", right.join(" "));
        }
    }

    #[test]
    fn out_of_range_is_refused() {
        assert_eq!(Digits::plan(64, 16, GateKind::Relu), Err(PlanError::WidthOutOfRange));
        assert_eq!(Digits::plan(1, 0, GateKind::Relu), Err(PlanError::WidthOutOfRange));
        assert_eq!(Digits::plan(32, 31, GateKind::Relu), Err(PlanError::ShiftOutOfRange));
        assert_eq!(Digits::plan(8, 7, GateKind::Truncate), Err(PlanError::ShiftOutOfRange));
    }
}
