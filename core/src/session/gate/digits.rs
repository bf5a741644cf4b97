//! The cut of a ring into digits, on which a comparison gate's correlation is built.
//!
//! The gate compares the public `z` with the secret mask `r` digit by digit (see [`super`]).
//! Where the cuts are decides everything it costs: the bits of the leaf tables the dealer sends,
//! the entries of the arithmetic table, and how many keystream blocks `P0` computes for one
//! element. One cut falls on the shift, so that the comparison of the low parts is one of the
//! intermediate results and the truncation is exact.

use crate::gate::GateKind;
use crate::keystream::BLOCK_BITS;

/// At most this many digits: the arithmetic table has `4^(digits - 1)` entries.
pub const MAX_DIGITS: usize = 4;
/// A digit is at most this wide: its leaf table has `2^bits` entries.
pub const MAX_DIGIT_BITS: u8 = 12;
/// The widest ring for which the two-message gate is planned.
pub const MAX_RING_BITS: u32 = 32;
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
    /// The ring is narrower than 2 bits or wider than [`MAX_RING_BITS`]; wider rings need a gate
    /// with one more message.
    RingOutOfRange,
    /// The shift is not below the ring's width less one.
    ShiftOutOfRange,
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::RingOutOfRange => {
                write!(f, "the two-message gate is for rings of 2 to {MAX_RING_BITS} bits")
            }
            Self::ShiftOutOfRange => write!(f, "the shift must be below the ring's width less one"),
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
    ring_bits: u8,
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
    /// The cheapest cut for a ring of `ring_bits`, a shift and a kind of gate, where dealer bytes
    /// and device blocks are weighed against each other.
    ///
    /// # Errors
    /// [`PlanError`] if the ring or the shift is out of range.
    ///
    /// ```
    /// use sharelet_core::gate::GateKind;
    /// use sharelet_core::session::gate::digits::Digits;
    ///
    /// let digits = Digits::plan(32, 16, GateKind::Relu)?;
    /// assert_eq!(digits.opened_bits(), 7);
    /// assert_eq!(digits.device_blocks(), 4);
    /// # Ok::<(), sharelet_core::session::gate::digits::PlanError>(())
    /// ```
    #[inline(always)]
    pub fn plan(ring_bits: u32, shift: u32, kind: GateKind) -> Result<Self, PlanError> {
        if !(2..=MAX_RING_BITS).contains(&ring_bits) {
            return Err(PlanError::RingOutOfRange);
        }
        if shift >= ring_bits - 1 {
            return Err(PlanError::ShiftOutOfRange);
        }
        // The device's ring is planned at compile time: the search is not repeated where
        // instructions count.
        if ring_bits == 32 {
            let plans = match kind {
                GateKind::Relu => &RELU_32,
                GateKind::Truncate => &TRUNCATE_32,
            };
            return plans.get(shift as usize).copied().ok_or(PlanError::ShiftOutOfRange);
        }
        Ok(search(ring_bits, shift, kind))
    }

    /// The plan for given digit widths, lowest first, `low` of them below the cut.
    #[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)]
    const fn with_widths(
        kind: GateKind,
        ring_bits: u32,
        shift: u32,
        bits: [u8; MAX_DIGITS],
        count: usize,
        low: usize,
    ) -> Self {
        let mut digits = Self {
            kind,
            ring_bits: ring_bits as u8,
            shift: shift as u8,
            count: count as u8,
            low: low as u8,
            bits,
            offset: [0; MAX_DIGITS],
            start: [0; MAX_DIGITS],
            order: [0; MAX_DIGITS],
            leaf_bits: 0,
            device_leaf_blocks: 0,
        };
        let mut j = 1;
        while j < count {
            digits.offset[j] = digits.offset[j - 1] + bits[j - 1];
            j += 1;
        }
        // Sizes are powers of two, so placing them in descending order wastes nothing and straddles
        // nothing.
        let mut placed = [false; MAX_DIGITS];
        let mut position = 0;
        let mut packed_bits = 0;
        while position < count {
            let mut largest = MAX_DIGITS;
            let mut j = 0;
            while j < count {
                if !placed[j]
                    && (largest == MAX_DIGITS || digits.table_bits(j) > digits.table_bits(largest))
                {
                    largest = j;
                }
                j += 1;
            }
            placed[largest] = true;
            digits.order[position] = largest as u8;
            digits.start[largest] = digits.leaf_bits;
            let size = digits.table_bits(largest);
            digits.leaf_bits += size as u16;
            if size >= BLOCK_BITS {
                digits.device_leaf_blocks += 1;
            } else {
                packed_bits += size;
            }
            position += 1;
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

    /// Digit `j` of a word.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn digit(&self, j: usize, word: u64) -> u32 {
        let (offset, bits) =
            (self.offset.get(j).copied().unwrap_or(0), self.bits.get(j).copied().unwrap_or(0));
        (word >> offset) as u32 & ((1 << bits) - 1)
    }

    /// Bits of an entry of digit `j`'s leaf table: the lowest digit stores one, the others two.
    #[must_use]
    pub(crate) const fn entry_bits(&self, j: usize) -> u32 {
        if j == 0 { 1 } else { 2 }
    }

    /// Size of digit `j`'s leaf table in bits.
    #[allow(clippy::indexing_slicing)]
    const fn table_bits(&self, j: usize) -> u32 {
        self.entry_bits(j) << self.bits[j]
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
    pub(crate) const fn opened_position(j: usize) -> usize {
        if j == 0 { 0 } else { 2 * j - 1 }
    }

    const fn weight(&self) -> u32 {
        let dealer_bytes = self.leaf_blocks() * (BLOCK_BITS / 8)
            + self.table_entries() * self.kind.entry_words_u32() * 4;
        dealer_bytes + self.device_blocks() * BLOCK_WEIGHT_BYTES
    }
}

/// All cuts with at most [`MAX_DIGITS`] digits, of which the lightest wins; the first among equals.
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
const fn search(ring_bits: u32, shift: u32, kind: GateKind) -> Digits {
    let total = kind.compared_bits(ring_bits) as u8;
    let cut = shift as u8;
    let max = MAX_DIGIT_BITS;
    let mut best: Option<Digits> = None;
    // An odometer over the widths of the three upper digits; the lowest takes the rest. 0 means "no
    // such digit".
    let mut b1 = 0;
    while b1 <= max {
        let mut b2 = 0;
        while b2 <= if b1 == 0 { 0 } else { max } {
            let mut b3 = 0;
            while b3 <= if b2 == 0 { 0 } else { max } {
                let upper = b1 + b2 + b3;
                if upper < total && total - upper <= max {
                    let bits = [total - upper, b1, b2, b3];
                    let count = 1 + (b1 > 0) as usize + (b2 > 0) as usize + (b3 > 0) as usize;
                    // How many digits lie below the cut, if the cut is between digits at all.
                    let mut low = 0;
                    let mut sum = 0;
                    while low < count && sum < cut {
                        sum += bits[low];
                        low += 1;
                    }
                    if sum == cut {
                        let digits = Digits::with_widths(kind, ring_bits, shift, bits, count, low);
                        best = match best {
                            Some(old) if old.weight() <= digits.weight() => Some(old),
                            _ => Some(digits),
                        };
                    }
                }
                b3 += 1;
            }
            b2 += 1;
        }
        b1 += 1;
    }
    match best {
        Some(digits) => digits,
        // Four digits of 12 bits cut 48 bits anywhere, so a plan exists for every admissible ring
        // and shift.
        None => Digits::with_widths(kind, ring_bits, shift, [total, 0, 0, 0], 1, 0),
    }
}

const fn plans_32(kind: GateKind) -> [Digits; 31] {
    let mut plans = [Digits::with_widths(kind, 32, 0, [1, 0, 0, 0], 1, 0); 31];
    let mut shift = 0;
    while shift < 31 {
        #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
        {
            plans[shift] = search(32, shift as u32, kind);
        }
        shift += 1;
    }
    plans
}

static RELU_32: [Digits; 31] = plans_32(GateKind::Relu);
static TRUNCATE_32: [Digits; 31] = plans_32(GateKind::Truncate);

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn all() -> Vec<(u32, u32, GateKind, Digits)> {
        let mut all = Vec::new();
        for kind in [GateKind::Relu, GateKind::Truncate] {
            for ring_bits in [2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32] {
                for shift in 0..ring_bits - 1 {
                    all.push((
                        ring_bits,
                        shift,
                        kind,
                        Digits::plan(ring_bits, shift, kind).expect("in range"),
                    ));
                }
            }
        }
        all
    }

    #[test]
    fn digits_cover_the_compared_bits_and_cut_at_the_shift() {
        for (ring_bits, shift, kind, digits) in all() {
            let sum: u32 = digits.widths().iter().map(|&bits| u32::from(bits)).sum();
            let low: u32 =
                digits.widths().iter().take(digits.low()).map(|&bits| u32::from(bits)).sum();
            assert_eq!(sum, kind.compared_bits(ring_bits), "{digits:?}");
            assert_eq!(low, shift, "{digits:?}");
            assert!(digits.low() < digits.count());
            assert!(digits.widths().iter().all(|&bits| (1..=MAX_DIGIT_BITS).contains(&bits)));
        }
    }

    #[test]
    fn leaf_tables_neither_overlap_nor_straddle_a_block() {
        for (.., digits) in all() {
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
        for (.., digits) in all() {
            let word = 0x9e37_79b9_u64
                & ((1 << digits.widths().iter().map(|&b| u32::from(b)).sum::<u32>()) - 1);
            let sum: u64 = (0..digits.count())
                .map(|j| u64::from(digits.digit(j, word)) << digits.offset[j])
                .sum();
            assert_eq!(sum, word);
        }
    }

    /// No plan of at most four digits is lighter, by a search written differently.
    #[test]
    fn no_cut_is_lighter() {
        fn cuts(left: u8, digits: usize, prefix: &mut Vec<u8>, found: &mut Vec<Vec<u8>>) {
            if left == 0 {
                found.push(prefix.clone());
            } else if digits > 0 {
                for bits in 1..=left.min(MAX_DIGIT_BITS) {
                    prefix.push(bits);
                    cuts(left - bits, digits - 1, prefix, found);
                    prefix.pop();
                }
            }
        }
        for (ring_bits, shift, kind, best) in all() {
            let mut found = Vec::new();
            cuts(
                u8::try_from(kind.compared_bits(ring_bits)).expect("small"),
                MAX_DIGITS,
                &mut Vec::new(),
                &mut found,
            );
            for widths in found {
                let mut sum = 0;
                let low = widths.iter().take_while(|&&bits| {
                    sum += u32::from(bits);
                    sum <= shift
                });
                let low = low.count();
                if widths.iter().take(low).map(|&bits| u32::from(bits)).sum::<u32>() != shift {
                    continue;
                }
                let mut bits = [0; MAX_DIGITS];
                bits[..widths.len()].copy_from_slice(&widths);
                let other = Digits::with_widths(kind, ring_bits, shift, bits, widths.len(), low);
                assert!(best.weight() <= other.weight(), "{best:?} is heavier than {other:?}");
            }
        }
    }

    #[test]
    fn out_of_range_is_refused() {
        assert_eq!(Digits::plan(64, 16, GateKind::Relu), Err(PlanError::RingOutOfRange));
        assert_eq!(Digits::plan(1, 0, GateKind::Relu), Err(PlanError::RingOutOfRange));
        assert_eq!(Digits::plan(32, 31, GateKind::Relu), Err(PlanError::ShiftOutOfRange));
        assert_eq!(Digits::plan(8, 7, GateKind::Truncate), Err(PlanError::ShiftOutOfRange));
    }
}
