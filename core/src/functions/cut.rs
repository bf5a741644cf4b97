//! Comparing a public word with a secret mask, digit by digit: the heart of every gate.
//!
//! Both words are [`Cut`] into digits. Of every digit `j` the dealer shares a table
//! `v -> (l, e) = ([v < r_j], [v = r_j])` ([`Leaves`]); the public digit selects an entry, without
//! a message. The bits that were read are opened under dealt masks, and what they fold to,
//! `[u < r]`, is looked up in further tables ([`Fold`]): at once, or by way of one more message in
//! which the digits above and below the split are folded first.
//!
//! Leaves may be read at several public words: entries are shares, and nothing is opened but under
//! a fresh mask.

use core::ops::Range;

use rand_core::CryptoRng;

use super::record::{Half, Layout, Truth, low_bits, word_bytes};
use crate::ring::Ring;

/// The most digits of a cut.
pub const MAX_DIGITS: usize = 12;
/// The widest digit.
const MAX_DIGIT_BITS: u32 = 12;
/// The most bits that one table is indexed with.
const MAX_INDEX_BITS: u32 = 12;
/// What reading one digit costs a party, in bytes of correlation: a touch of memory, or a block of
/// keystream.
const DIGIT_WEIGHT_BYTES: u32 = 16;
/// Tables of digits that take no more on average share their lines of memory.
const DENSE_BYTES: usize = 32;
/// Of a larger table than this, most lines are not read.
const FEW_LINES_BYTES: u32 = 128;

/// In how many messages the opened bits are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Folding {
    /// One: the words of the result are looked up at once. Larger tables.
    Direct,
    /// Two: bits first, words then. Smaller tables.
    Staged,
}

impl Folding {
    /// What suits a ring: up to 32 bits are folded at once.
    #[must_use]
    pub const fn of<R: Ring>() -> Self {
        if R::BITS <= 32 { Self::Direct } else { Self::Staged }
    }
}

/// A cut of the compared bits into digits, lowest first, `low` of them below the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    widths: [u8; MAX_DIGITS],
    count: u8,
    low: u8,
    folding: Folding,
}

impl Cut {
    /// The lightest cut of `bits` bits, one of the cuts falling on bit `split` if there is one
    /// (`0 < split < bits`).
    ///
    /// `entry_bytes` is the size of an entry of the last table, `folds` the number of public words
    /// that are compared.
    #[must_use]
    pub fn plan(
        bits: u32,
        split: Option<u32>,
        folding: Folding,
        entry_bytes: u32,
        folds: u32,
    ) -> Self {
        let splits = split.map_or(0..bits, |split| split..split + 1);
        let mut best: Option<(u32, Self)> = None;
        for split in splits {
            let lows =
                if split == 0 { 0..1 } else { split.div_ceil(MAX_DIGIT_BITS)..7.min(split) + 1 };
            for low in lows {
                for high in (bits - split).div_ceil(MAX_DIGIT_BITS)..9.min(bits - split + 1) {
                    let Some(cut) = Self::even(split, low, bits - split, high, folding) else {
                        continue;
                    };
                    let weight = cut.weight(entry_bytes, folds);
                    if best.as_ref().is_none_or(|(lightest, _)| weight < *lightest) {
                        best = Some((weight, cut));
                    }
                }
            }
        }
        best.map_or(Self { widths: [1; MAX_DIGITS], count: 1, low: 0, folding }, |(_, cut)| cut)
    }

    /// `low` digits of together `low_bits`, then `high` digits of together `high_bits`, as even as
    /// possible.
    #[allow(clippy::cast_possible_truncation)]
    fn even(low_bits: u32, low: u32, high_bits: u32, high: u32, folding: Folding) -> Option<Self> {
        let mut widths = [0; MAX_DIGITS];
        let parts =
            (0..low).map(|i| (low_bits + i) / low).chain((0..high).map(|i| (high_bits + i) / high));
        for (index, width) in parts.enumerate() {
            *widths.get_mut(index)? = width as u8;
        }
        let cut = Self { widths, count: (low + high) as u8, low: low as u8, folding };
        let widest = widths.iter().max().copied().unwrap_or(0);
        let fits = u32::from(widest) <= MAX_DIGIT_BITS
            && match folding {
                Folding::Direct => cut.leaf_bits() <= MAX_INDEX_BITS + 1,
                Folding::Staged => {
                    cut.high_index_bits() <= MAX_INDEX_BITS
                        && cut.low_index_bits() <= MAX_INDEX_BITS
                }
            };
        fits.then_some(cut)
    }

    /// Dealt bytes, and what reading costs.
    fn weight(&self, entry_bytes: u32, folds: u32) -> u32 {
        let leaves: u32 = self.widths().map(|(j, width)| entry_bits(j) << width).sum();
        let stage = match self.folding {
            Folding::Direct => 0,
            Folding::Staged if self.low == 0 => 1 << self.high_index_bits(),
            Folding::Staged => (2 << self.high_index_bits()) + (1 << self.low_index_bits()),
        };
        let table = entry_bytes << (self.final_bits() - 1);
        leaves / 8 + folds * (stage / 8 + table) + self.count() * DIGIT_WEIGHT_BYTES
    }

    /// The digits' widths in bits, lowest first.
    fn widths(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.widths.iter().copied().enumerate().take(usize::from(self.count))
    }

    const fn count(&self) -> u32 {
        self.count as u32
    }

    /// Bits that are read from the leaves of one public word: two per digit, one of the lowest.
    pub(crate) const fn leaf_bits(&self) -> u32 {
        2 * self.count() - 1
    }

    /// Bits by which the digits above the split are looked up when folding is staged.
    const fn high_index_bits(&self) -> u32 {
        if self.low == 0 { self.leaf_bits() } else { 2 * (self.count() - self.low as u32) }
    }

    /// Bits by which the digits below the split are looked up when folding is staged.
    const fn low_index_bits(&self) -> u32 {
        if self.low == 0 { 0 } else { 2 * self.low as u32 - 1 }
    }

    /// Bits that are opened last.
    pub(crate) const fn final_bits(&self) -> u32 {
        match self.folding {
            Folding::Direct => self.leaf_bits(),
            Folding::Staged if self.low == 0 => 1,
            Folding::Staged => 3,
        }
    }

    /// Whether folding takes an extra message.
    pub(crate) const fn is_staged(&self) -> bool {
        matches!(self.folding, Folding::Staged)
    }

    /// Folds the digits `from..to` of leaf bits, given as one word per bit with one comparison per
    /// lane: `(e, l)` with `l = [below]` and `e = [equal]`; `e` means nothing if digit 0 is among
    /// them.
    fn fold(lane: &impl Fn(u32) -> u32, from: u32, to: u32) -> (u32, u32) {
        let (mut e, mut l) = (u32::MAX, 0);
        for j in from..to {
            if j == 0 {
                l = lane(0);
                continue;
            }
            let (e_j, l_j) = (lane(2 * j - 1), lane(2 * j));
            l = l_j ^ (e_j & l);
            e &= e_j;
        }
        (e, l)
    }

    /// What the bits that are opened last, without the topmost, say: `h`, to which the topmost bit
    /// is still to be added (by exclusive or), and `c = [low digits below]`. One entry per lane.
    fn last(&self, lane: &impl Fn(u32) -> u32) -> (u32, u32) {
        match self.folding {
            Folding::Direct => {
                let c = Self::fold(lane, 0, u32::from(self.low)).1;
                let top = self.count() - 1;
                let below = Self::fold(lane, 0, top).1;
                (if top == 0 { 0 } else { lane(2 * top - 1) & below }, c)
            }
            Folding::Staged if self.low == 0 => (0, 0),
            Folding::Staged => (lane(0) & lane(1), lane(0)),
        }
    }
}

/// Bits of an entry of a digit's table: of the lowest digit only `l` is needed.
const fn entry_bits(digit: usize) -> u32 {
    if digit == 0 { 1 } else { 2 }
}

/// Bit `bit` of the 32 indices from `first` on, exclusive or `mask`: one lane each.
const fn lanes(first: u32, bit: u32, mask: u32) -> u32 {
    const PATTERNS: [u32; 5] = [0xaaaa_aaaa, 0xcccc_cccc, 0xf0f0_f0f0, 0xff00_ff00, 0xffff_0000];
    #[allow(clippy::indexing_slicing)]
    let index = if bit < 5 { PATTERNS[bit as usize] } else { (first >> bit & 1).wrapping_neg() };
    index ^ (mask >> bit & 1).wrapping_neg()
}

/// The leaf tables of one mask.
#[derive(Clone, Copy, Debug)]
pub struct Leaves {
    digits: [Digit; MAX_DIGITS],
    count: usize,
}

/// A digit of the compared words, and where its table lies.
#[derive(Clone, Copy, Debug, Default)]
struct Digit {
    place: u32,
    first: u32,
    width: u32,
    entry_bits: u32,
}

impl Digit {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    const fn of(&self, word: u64) -> u32 {
        (word >> self.first) as u32 & ((1 << self.width) - 1)
    }
}

impl Leaves {
    /// Adds the tables to a record.
    pub fn new(cut: Cut, layout: &mut Layout) -> Self {
        let mut digits = [Digit::default(); MAX_DIGITS];
        let mut first = 0;
        for ((j, width), digit) in cut.widths().zip(&mut digits) {
            let (width, entry_bits) = (u32::from(width), entry_bits(j));
            *digit = Digit { place: layout.bits(entry_bits << width), first, width, entry_bits };
            first += width;
        }
        Self { digits, count: usize::from(cut.count) }
    }

    #[inline(always)]
    fn digits(&self) -> &[Digit] {
        self.digits.get(..self.count).unwrap_or(&[])
    }

    /// Where the tables lie, in bytes, if they are so small that reading a word touches about all
    /// their lines.
    #[inline(always)]
    fn dense_bytes(&self) -> Option<Range<u32>> {
        let (first, last) = (self.digits().first()?, self.digits().last()?);
        let bytes = first.place / 8..(last.place + (last.entry_bits << last.width)).div_ceil(8);
        (bytes.len() <= DENSE_BYTES * self.count).then_some(bytes)
    }

    /// A party's shares of the leaf bits at public words, each with its element: `l` of the lowest
    /// digit, then `(e, l)` of each. Digit by digit, so that reads do not wait for each other.
    #[inline]
    pub(crate) fn read(&self, half: &mut impl Half, words: &[(usize, u64)], out: &mut [u32]) {
        out.fill(0);
        if let ([(first, _), ..], [.., (last, _)], Some(bytes)) = (words, words, self.dense_bytes())
        {
            half.bring(*first..last + 1, bytes);
        }
        let mut at = 0;
        for digit in self.digits() {
            for (out, &(element, word)) in out.iter_mut().zip(words) {
                let place = digit.place + digit.entry_bits * digit.of(word);
                *out |= half.bits(element, place, digit.entry_bits) << at;
            }
            at += digit.entry_bits;
        }
    }

    /// The dealer's truth. Computed on whole words, without a branch or an address that depends on
    /// the mask.
    pub(crate) fn deal<R: Ring>(&self, truth: &mut Truth<'_>, mask: R) {
        let mask = mask.to_u64();
        for digit @ &Digit { place, width, entry_bits, .. } in self.digits() {
            digit_table(
                digit.of(mask),
                entry_bits,
                truth.words_of_bits(place, entry_bits << width),
            );
        }
    }
}

/// The table `v -> (e, l)` of a digit of the mask, or `v -> l` where entries have one bit, to words
/// that are zero so far.
///
/// All entries of a word lie below the digit, or none but those of one word, which the digit's
/// lower part decides.
fn digit_table(digit: u32, entry_bits: u32, out: &mut [[u8; 4]]) {
    let (all, entries_log) = if entry_bits == 1 { (u32::MAX, 5) } else { (0xaaaa_aaaa, 4) };
    let (word, entry) = (digit >> entries_log, digit & ((1 << entries_log) - 1));
    let below = ((1_u32 << (entry * entry_bits)) - 1) & all;
    let here = below | (entry_bits >> 1) << ((2 * entry) & 31);
    for (index, out) in (0_u32..).zip(out) {
        // All ones where the index is smaller, or the same: both are far below 2^31.
        let smaller = (index.wrapping_sub(word) >> 31).wrapping_neg();
        let same = ((index ^ word).wrapping_sub(1) >> 31).wrapping_neg();
        *out = (all & smaller | here & same).to_le_bytes();
    }
}

/// One comparison `[u < r]` of a public word with the mask: the tables that its leaf bits are
/// folded with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fold {
    stage: Option<Stage>,
    mask: u32,
    table: u32,
    entry_words: u32,
}

/// Several comparisons with one mask, alike in their tables.
#[derive(Clone, Copy, Debug)]
pub struct Folds {
    first: Fold,
    count: u32,
    bits: u32,
    table_bytes: u32,
}

impl Folds {
    /// Adds the masks and bit tables of `count` comparisons to a record.
    pub fn new(cut: &Cut, count: u32, layout: &mut Layout) -> Self {
        let first = Fold::new(cut, layout);
        // Places of bits are whole 32-bit words, so equal parts have equal sizes.
        let bits = layout.bits(0) - first.stage.as_ref().map_or(first.mask, |stage| stage.mask);
        layout.bits(bits * count.saturating_sub(1));
        Self { first, count, bits, table_bytes: 0 }
    }

    /// Adds the tables of words, `entry_words` per entry.
    #[must_use]
    pub fn with_tables<W: Ring>(self, cut: &Cut, entry_words: u32, layout: &mut Layout) -> Self {
        let first = self.first.with_table::<W>(cut, entry_words, layout);
        let words = entry_words << (cut.final_bits() - 1);
        layout.words::<W>(words * self.count.saturating_sub(1));
        Self { first, table_bytes: words * word_bytes::<W>(), ..self }
    }

    /// Comparison `index`.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Fold {
        self.first.nth(index, self.bits, self.table_bytes)
    }

    /// Number of comparisons.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }
}

/// The tables of the extra message.
#[derive(Clone, Copy, Debug)]
struct Stage {
    mask: u32,
    high: u32,
    low: u32,
}

impl Fold {
    /// Adds the masks and the bit tables to a record; [`Fold::with_table`] adds the rest, after all
    /// bits.
    pub fn new(cut: &Cut, layout: &mut Layout) -> Self {
        let stage = cut.is_staged().then(|| Stage {
            mask: layout.bits(cut.leaf_bits()),
            high: layout.bits(if cut.low == 0 { 1 } else { 2 } << cut.high_index_bits()),
            low: layout.bits(if cut.low == 0 { 0 } else { 1 << cut.low_index_bits() }),
        });
        Self { stage, mask: layout.bits(cut.final_bits()), table: 0, entry_words: 0 }
    }

    /// Adds the table of words, `entry_words` per entry.
    #[must_use]
    pub fn with_table<W: Ring>(self, cut: &Cut, entry_words: u32, layout: &mut Layout) -> Self {
        let table = layout.words::<W>(entry_words << (cut.final_bits() - 1));
        Self { table, entry_words, ..self }
    }

    /// The same comparison with its tables `index` places further, each place as large as this
    /// one's.
    #[must_use]
    pub(crate) fn nth(&self, index: u32, bits: u32, words_bytes: u32) -> Self {
        let stage = self.stage.map(|stage| Stage {
            mask: stage.mask + index * bits,
            high: stage.high + index * bits,
            low: stage.low + index * bits,
        });
        Self {
            stage,
            mask: self.mask + index * bits,
            table: self.table + index * words_bytes,
            entry_words: self.entry_words,
        }
    }

    /// What is opened first: the leaf bits, masked.
    #[inline]
    pub(crate) fn masked(
        &self,
        cut: &Cut,
        half: &mut impl Half,
        element: usize,
        leaf_bits: u32,
    ) -> u32 {
        let place = self.stage.as_ref().map_or(self.mask, |stage| stage.mask);
        leaf_bits ^ half.bits(element, place, cut.leaf_bits())
    }

    /// What is opened last when folding is staged, from the opened leaf bits: `(c, e, l)`, or only
    /// `l`, masked.
    #[inline]
    pub(crate) fn staged(
        &self,
        cut: &Cut,
        half: &mut impl Half,
        element: usize,
        opened: u32,
    ) -> u32 {
        let Some(stage) = &self.stage else { return opened };
        let bits = if cut.low == 0 {
            half.bits(element, stage.high + opened, 1)
        } else {
            let low = low_bits(opened, cut.low_index_bits());
            half.bits(element, stage.low + low, 1)
                | half.bits(element, stage.high + 2 * (opened >> cut.low_index_bits()), 2) << 1
        };
        bits ^ half.bits(element, self.mask, cut.final_bits())
    }

    /// Has memory bring what [`Fold::staged`] reads of some elements, if the tables are small.
    #[inline]
    pub(crate) fn bring_stage(&self, half: &mut impl Half, elements: Range<usize>) {
        let Some(stage) = &self.stage else { return };
        let bytes = stage.high / 8..self.mask / 8 + 4;
        if bytes.end - bytes.start <= FEW_LINES_BYTES {
            half.bring(elements, bytes);
        }
    }

    /// A party's share of word `word` of the entry that the opened bits select; their topmost bit
    /// selects nothing.
    #[inline]
    pub(crate) fn word<W: Ring>(
        &self,
        cut: &Cut,
        half: &mut impl Half,
        element: usize,
        opened: u32,
        word: u32,
    ) -> W {
        let entry = low_bits(opened, cut.final_bits() - 1);
        half.word(element, self.table + (entry * self.entry_words + word) * word_bytes::<W>())
    }

    /// The public topmost bit: `[u < r]` is it, exclusive or the `h` of the table.
    #[inline]
    pub(crate) fn flip(cut: &Cut, opened: u32) -> bool {
        opened >> (cut.final_bits() - 1) & 1 == 1
    }

    /// The dealer: draws the masks, and writes the bit tables and the words that `entry` makes of
    /// `(h, c)`, each 0 or 1.
    ///
    /// `turn` (0 or 1) is added to every `h`.
    pub(crate) fn deal<W: Ring, G: CryptoRng, const N: usize>(
        &self,
        cut: &Cut,
        truth: &mut Truth<'_>,
        rng: &mut G,
        turn: u32,
        entry: impl Fn(W, W) -> [W; N],
    ) {
        if let Some(stage) = &self.stage {
            let mask = low_bits(rng.next_u32(), cut.leaf_bits());
            truth.xor_bits(stage.mask, mask);
            self.deal_stage(cut, stage, mask, truth);
        }
        let mask = low_bits(rng.next_u32(), cut.final_bits());
        truth.xor_bits(self.mask, mask);
        let top = cut.final_bits() - 1;
        let turn = ((mask >> top) ^ turn).wrapping_neg();
        let entries = 1_u32 << top;
        for first in (0..entries).step_by(32) {
            let (h, c) = cut.last(&|bit| lanes(first, bit, mask));
            let h = h ^ turn;
            for lane in 0..entries.min(32) {
                let bit =
                    |word: u32| core::hint::black_box(W::from_u64(u64::from(word >> lane & 1)));
                let place = self.table + (first + lane) * self.entry_words * word_bytes::<W>();
                for (index, word) in (0..self.entry_words).zip(entry(bit(h), bit(c))) {
                    truth.set_word(place + index * word_bytes::<W>(), word);
                }
            }
        }
    }

    fn deal_stage(&self, cut: &Cut, stage: &Stage, mask: u32, truth: &mut Truth<'_>) {
        if cut.low == 0 {
            return below_table(
                cut.count(),
                mask,
                truth.words_of_bits(stage.high, 1 << cut.leaf_bits()),
            );
        }
        let low_index_bits = cut.low_index_bits();
        let entries = 1_u32 << cut.high_index_bits();
        for first in (0..entries).step_by(32) {
            let all = low_bits(u32::MAX, entries);
            let lane = |bit: u32| lanes(first, bit - low_index_bits, mask >> low_index_bits);
            let (e, l) = Cut::fold(&lane, u32::from(cut.low), cut.count());
            let [even, odd] = interleave(e & all, l & all);
            truth.xor_bits(stage.high + 2 * first, even);
            if entries >= 32 {
                truth.xor_bits(stage.high + 2 * first + 32, odd);
            }
        }
        below_table(u32::from(cut.low), mask, truth.words_of_bits(stage.low, 1 << low_index_bits));
    }
}

/// The table of `[below]` of the digits `0..digits`, indexed by their leaf bits exclusive or
/// `mask`, to words that are zero so far.
///
/// Three digits have the 32 entries of a word. One digit more has four times the entries: `l`
/// exclusive or `e` times what there was.
fn below_table(digits: u32, mask: u32, out: &mut [[u8; 4]]) {
    let (_, l) = Cut::fold(&|bit| lanes(0, bit, mask), 0, digits.min(3));
    let Some(first) = out.first_mut() else { return };
    *first = (l & low_bits(u32::MAX, 1 << (2 * digits - 1).min(5))).to_le_bytes();
    for digit in 3..digits {
        let held = 1_usize << (2 * digit - 6);
        let Some((held, further)) =
            out.get_mut(..4 * held).and_then(|out| out.split_at_mut_checked(held))
        else {
            return;
        };
        // Opaque to the compiler, which else makes a branch of it in front of the loop.
        let lane = |index: u32, bit: u32| {
            core::hint::black_box(
                ((index >> bit ^ mask >> (2 * digit - 1 + bit)) & 1).wrapping_neg(),
            )
        };
        let next =
            |[e, l]: [u32; 2], word: [u8; 4]| (l ^ e & u32::from_le_bytes(word)).to_le_bytes();
        for (index, part) in (1..).zip(further.chunks_exact_mut(held.len())) {
            let lanes = [lane(index, 0), lane(index, 1)];
            for (to, from) in part.iter_mut().zip(&*held) {
                *to = next(lanes, *from);
            }
        }
        let lanes = [lane(0, 0), lane(0, 1)];
        for word in held {
            *word = next(lanes, *word);
        }
    }
}

/// Two words as 64 pairs of bits, `e` below `l`.
#[allow(clippy::cast_possible_truncation)]
fn interleave(e: u32, l: u32) -> [u32; 2] {
    let spread = |word: u32| {
        let mut wide = u64::from(word);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            wide = (wide | wide << shift) & mask;
        }
        wide
    };
    let pairs = spread(e) | spread(l) << 1;
    [pairs as u32, (pairs >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlation::Position;
    use crate::functions::record::{Derived, Stored, deal};
    use crate::keystream::{ChaCha8, Key, Keystream};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    extern crate std;
    use std::vec;

    fn opened(
        cut: &Cut,
        leaves: &Leaves,
        fold: &Fold,
        halves: (&mut impl Half, &mut impl Half),
        word: u64,
    ) -> u32 {
        let (a, b) = halves;
        let (mut bits_a, mut bits_b) = ([0], [0]);
        leaves.read(a, &[(0, word)], &mut bits_a);
        leaves.read(b, &[(0, word)], &mut bits_b);
        let ([bits_a], [bits_b]) = (bits_a, bits_b);
        let first = fold.masked(cut, a, 0, bits_a) ^ fold.masked(cut, b, 0, bits_b);
        if cut.is_staged() {
            fold.staged(cut, a, 0, first) ^ fold.staged(cut, b, 0, first)
        } else {
            first
        }
    }

    /// `[u < r]` and `[u mod 2^split < r mod 2^split]`, for every plan.
    #[test]
    fn folds_compare() {
        let mut rng = ChaCha20Rng::from_seed([8; 32]);
        let mut plans = vec![];
        for folding in [Folding::Direct, Folding::Staged] {
            for bits in [1, 2, 3, 5, 8, 16, 31, 32] {
                plans
                    .extend((0..bits).map(|split| {
                        Cut::plan(bits, (split > 0).then_some(split), folding, 32, 1)
                    }));
            }
        }
        plans.extend((1..64).map(|split| Cut::plan(64, Some(split), Folding::Staged, 32, 2)));
        plans.push(Cut::plan(64, None, Folding::Staged, 8, 60));
        plans.push(Cut::plan(63, None, Folding::Staged, 16, 1));
        for cut in plans {
            let bits: u32 = cut.widths().map(|(_, width)| u32::from(width)).sum();
            let split: u32 =
                cut.widths().take(usize::from(cut.low)).map(|(_, width)| u32::from(width)).sum();
            let mut layout = Layout::default();
            let leaves = Leaves::new(cut, &mut layout);
            let fold = Fold::new(&cut, &mut layout);
            let fold = fold.with_table::<u32>(&cut, 2, &mut layout);
            let keystream = Keystream::<ChaCha8>::new(&Key::from_bytes([1; 32]));
            let position = Position { session: 0, layer: 0 };
            for round in 0..40 {
                let cap = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                let mask = rng.next_u64() & cap;
                let mut corrections = vec![0; layout.bytes()];
                deal(&keystream, position, layout, 1, &mut rng, &mut corrections, |truth, rng| {
                    leaves.deal(truth, mask);
                    fold.deal::<u32, _, 2>(&cut, truth, rng, 0, |h, c| [h, c]);
                })
                .expect("sized");
                let mut a = Derived::new(&keystream, position, layout);
                let mut b = Stored::received(layout, 1, &corrections).expect("sized");
                let near = mask.wrapping_add(u64::from(rng.next_u32() % 5)).wrapping_sub(2) & cap;
                for u in [
                    rng.next_u64() & cap,
                    near,
                    mask,
                    (mask & !0xff) | (near & 0xff),
                    (near ^ (1 << split)) & cap,
                    0,
                    cap,
                ] {
                    let delta = opened(&cut, &leaves, &fold, (&mut a, &mut b), u);
                    let mut word = |i| -> u32 {
                        fold.word::<u32>(&cut, &mut a, 0, delta, i)
                            .wrapping_add(fold.word(&cut, &mut b, 0, delta, i))
                    };
                    let below = word(0) ^ u32::from(Fold::flip(&cut, delta));
                    assert_eq!(
                        below,
                        u32::from(u < mask),
                        "{cut:?} {u:#x} {mask:#x}, round {round}"
                    );
                    if split > 0 && cut.final_bits() > 1 {
                        let low = (1_u64 << split) - 1;
                        assert_eq!(
                            word(1),
                            u32::from(u & low < mask & low),
                            "{cut:?} {u:#x} {mask:#x}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn cuts_are_light() {
        let relu_64 = Cut::plan(63, Some(20), Folding::Staged, 32, 1);
        assert!(relu_64.weight(32, 1) < 1200, "{relu_64:?} {}", relu_64.weight(32, 1));
        let sign_64 = Cut::plan(63, None, Folding::Staged, 16, 1);
        assert!(sign_64.weight(16, 1) < 900, "{sign_64:?} {}", sign_64.weight(16, 1));
        // 8 bytes of z, the leaf bits and the last bits: at most 12 bytes per element and party.
        assert!(
            relu_64.leaf_bits() + relu_64.final_bits() <= 32
                && sign_64.leaf_bits() + sign_64.final_bits() <= 32
        );
        assert_eq!(Cut::plan(31, None, Folding::Direct, 8, 1).leaf_bits(), 7);
    }
}
