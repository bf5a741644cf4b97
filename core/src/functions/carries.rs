//! Carries of a sum of two private words, one of each party: what a comparison on shares asks for.
//!
//! Both words are cut into digits of at most four bits. Of a digit the parties get shares of
//! `g = [a + b >= 2^w]`, it carries by itself, and `e = [a + b = 2^w - 1]`, it hands a carry on.
//! Neighbours merge, two by two:
//!
//! ```text
//! g = g_hi xor e_hi g_lo,    e = e_hi e_lo
//! ```
//!
//! A carry into bit `n` is the `g` of all digits below. Where two are asked for, of a part of the
//! bits and of all, they share what they can, and neither is deeper than it would be alone: the
//! prefix network of Sklansky (IRE Trans. EC-9, 1960).

use super::record::{Half, Layout};
use super::transfer::{And, Leaf, MAX_LEAF_BITS, Transfer};
use crate::share::Party;

/// The most digits: of 64 bits with a split, and the topmost bit.
const MAX_DIGITS: usize = 20;
/// The most merges: one less than digits, and those that a split adds.
const MAX_MERGES: usize = 28;
/// Bytes of what is kept of an element between rounds: see [`Nodes`].
pub(crate) const NODES_BYTES: usize = 16;

/// What is wanted of all digits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whether they carry.
    Carry,
    /// Whether all hand a carry on: whether the words are each other's complement.
    Handed,
}

/// One of the two carries that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// Into bit `split`.
    Split,
    /// Out of all bits.
    All,
}

/// Neighbours that become one.
#[derive(Clone, Copy, Debug, Default)]
struct Merge {
    high: u8,
    low: u8,
    level: u8,
    from: u8,
    to: u8,
    /// Whether `g`, and `e`, are wanted.
    carry: bool,
    handed: bool,
}

impl Merge {
    /// Bits that it opens.
    const fn opened_bits(self) -> u32 {
        1 + self.carry as u32 + self.handed as u32
    }
}

/// Digits and merges of a pair of words, and where in a record lies what they spend.
#[derive(Clone, Copy, Debug)]
pub struct Carries {
    widths: [u8; MAX_DIGITS],
    /// Digits, bit by bit, that `P1` sends.
    senders: u32,
    digits: u8,
    merges: [Merge; MAX_MERGES],
    merge_count: u8,
    /// Nodes of the carry out of the split, and out of all.
    roots: (u8, u8),
    place: u32,
}

/// Shares of `g` and `e` of all digits and merges of a pair of words, a bit each.
#[derive(Clone, Copy, Default)]
pub struct Nodes {
    pub(crate) carry: u64,
    pub(crate) handed: u64,
}

impl zeroize::DefaultIsZeroes for Nodes {}

impl core::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Nodes(<redacted>)")
    }
}

impl Nodes {
    fn set(&mut self, node: u32, carry: u32, handed: u32) {
        let at = |bit: u32| u64::from(bit & 1) << node;
        self.carry = self.carry & !(1 << node) | at(carry);
        self.handed = self.handed & !(1 << node) | at(handed);
    }

    #[allow(clippy::cast_possible_truncation)]
    const fn get(self, node: u8) -> (u32, u32) {
        ((self.carry >> node) as u32 & 1, (self.handed >> node) as u32 & 1)
    }
}

impl Carries {
    /// The carries into bit `split`, if there is one, and into bit `bits`, `0 < split < bits`. With
    /// `top`, bit `bits` is a digit by itself, of which no carry is asked.
    #[must_use]
    pub fn new(bits: u32, split: Option<u32>, top: bool, wanted: Wanted) -> Self {
        let mut carries = Self {
            widths: [0; MAX_DIGITS],
            senders: 0,
            digits: 0,
            merges: [Merge::default(); MAX_MERGES],
            merge_count: 0,
            roots: (0, 0),
            place: 0,
        };
        carries.cut(split.unwrap_or(0));
        let low = carries.digits;
        carries.cut(bits - split.unwrap_or(0));
        let all = carries.digits;
        if top {
            carries.cut(1);
        }
        carries.take_turns();
        let split = if low > 0 { carries.node(0, low, Wanted::Carry) } else { 0 };
        carries.roots = (split, carries.node(0, all, wanted));
        carries
    }

    /// The same with all pairs sent by one party, for parties who take turns.
    #[must_use]
    pub const fn sent_by(self, party: Party) -> Self {
        let senders = match party {
            Party::P0 => 0,
            Party::P1 => u32::MAX,
        };
        Self { senders, ..self }
    }

    /// As few digits as will do, as even as possible.
    fn cut(&mut self, bits: u32) {
        let count = bits.div_ceil(MAX_LEAF_BITS);
        for index in 0..count {
            if let Some(width) = self.widths.get_mut(usize::from(self.digits)) {
                #[allow(clippy::cast_possible_truncation)]
                let even = ((bits + index) / count) as u8;
                *width = even;
                self.digits += 1;
            }
        }
    }

    /// Either party sends about half, so that both messages are of one length.
    fn take_turns(&mut self) {
        let mut ahead = 0_i32;
        for (digit, width) in self.widths.iter().enumerate().take(usize::from(self.digits)) {
            let bits = (2 << width) - 2;
            if ahead > 0 {
                self.senders |= 1 << digit;
                ahead -= bits;
            } else {
                ahead += bits;
            }
        }
    }

    /// The node of the digits `from..to`, which is made where there is none.
    fn node(&mut self, from: u8, to: u8, wanted: Wanted) -> u8 {
        if to - from == 1 {
            return from;
        }
        let made = self.merges.iter().take(usize::from(self.merge_count));
        if let Some(index) = (0..).zip(made).find(|(_, m)| (m.from, m.to) == (from, to)) {
            return self.digits + index.0;
        }
        let mut half = 1;
        while 2 * half < to - from {
            half *= 2;
        }
        let high = self.node(from + half, to, wanted);
        let low = self.node(from, from + half, wanted);
        let level = 1 + self.level_of(high).max(self.level_of(low));
        let handed = from > 0 || wanted == Wanted::Handed;
        let carry = wanted == Wanted::Carry;
        let merge = Merge { high, low, level, from, to, carry, handed };
        let node = self.digits + self.merge_count;
        if let Some(place) = self.merges.get_mut(usize::from(self.merge_count)) {
            *place = merge;
            self.merge_count += 1;
        }
        node
    }

    fn level_of(&self, node: u8) -> u8 {
        let merge = usize::from(node).checked_sub(usize::from(self.digits));
        merge.and_then(|merge| self.merges.get(merge)).map_or(0, |merge| merge.level)
    }

    /// The same with its part of a record, which is added to `layout`.
    #[must_use]
    pub fn placed(self, layout: &mut Layout) -> Self {
        let ands = And::bits(u32::from(self.merge_count));
        Self { place: layout.bits(u32::from(self.digits) * 32 + ands), ..self }
    }

    /// Those of pair `index` of several whose parts of a record follow each other.
    #[must_use]
    pub(crate) const fn nth(self, index: u32) -> Self {
        let ands = And::bits(self.merge_count as u32);
        Self { place: self.place + index * (self.digits as u32 * 32 + ands), ..self }
    }

    /// As deep as the carry of the split, and of all bits.
    pub(crate) fn levels(&self) -> [u32; 2] {
        [Carry::Split, Carry::All].map(|of| self.level(of))
    }

    /// Bits that are opened in a level.
    pub fn opened_bits(&self, level: u32) -> u32 {
        self.merges_of(level).map(|(_, merge)| merge.opened_bits()).sum()
    }

    fn merges_of(&self, level: u32) -> impl Iterator<Item = (u32, Merge)> + '_ {
        let made = self.merges.iter().copied().take(usize::from(self.merge_count));
        (0..).zip(made).filter(move |(_, merge)| u32::from(merge.level) == level)
    }

    /// A node's merge, with its number; a digit has none.
    fn merge_of(&self, node: u8) -> (u32, Merge) {
        let index = node.checked_sub(self.digits);
        let merge = index.and_then(|index| self.merges.get(usize::from(index))).copied();
        (u32::from(index.unwrap_or(0)), merge.unwrap_or_default())
    }

    const fn and(&self, index: u32) -> And {
        And::nth(self.place + self.digits as u32 * 32, index)
    }

    /// The digits: node, its lowest bit, and its leaf.
    fn leaves(&self) -> impl Iterator<Item = (u32, u32, Leaf)> + '_ {
        let widths = self.widths.iter().take(usize::from(self.digits));
        (0..).zip(widths).scan(0, |bit, (digit, &width)| {
            let (first, width_bits) = (*bit, u32::from(width));
            *bit += width_bits;
            let sender = if self.senders >> digit & 1 == 1 { Party::P1 } else { Party::P0 };
            Some((digit, first, Leaf { sender, width_bits, place: self.place + digit * 32 }))
        })
    }

    /// What it spends.
    pub fn transfers(&self, each: &mut impl FnMut(Transfer)) {
        self.leaves().for_each(|(_, _, leaf)| each(leaf.transfer()));
        (0..u32::from(self.merge_count)).for_each(|index| each(self.and(index).transfer()));
    }

    /// Bits of a party's corrections of its choices, and of its pairs.
    fn bits_by(&self, party: Party) -> [u32; 2] {
        self.leaves().fold([0, 0], |[choices, pairs], (_, _, leaf)| {
            if leaf.sender == party {
                [choices, pairs + leaf.pairs_bits() - 2]
            } else {
                [choices + leaf.width_bits, pairs]
            }
        })
    }

    /// Bits of the messages of choices and of pairs, the longer of the parties'.
    pub fn leaf_bits(&self) -> [u32; 2] {
        let [[choices_0, pairs_0], [choices_1, pairs_1]] =
            [Party::P0, Party::P1].map(|party| self.bits_by(party));
        [choices_0.max(choices_1), pairs_0.max(pairs_1)]
    }

    /// Writes the corrections of one's choices: `c xor v` for the digits `v` of one's `word`.
    pub fn choose(
        &self,
        half: &mut impl Half,
        element: usize,
        word: u64,
        mut write: impl FnMut(u32, u32),
    ) {
        let party = half.party();
        let [mut left, _] = self.leaf_bits();
        for (_, bit, leaf) in self.leaves().filter(|(_, _, leaf)| leaf.sender != party) {
            let (choice, _) = leaf.chosen(half, element);
            write(leaf.width_bits, choice ^ digit(word, bit, leaf.width_bits));
            left -= leaf.width_bits;
        }
        fill(left, write);
    }

    /// Writes the pairs of `(g, e)` for every digit that the peer may have, under one's own: from
    /// the corrections of its choices. One's shares are left in `nodes`.
    ///
    /// The first pair is chosen to be zero, and not sent.
    pub fn offer(
        &self,
        half: &mut impl Half,
        element: usize,
        word: u64,
        nodes: &mut Nodes,
        mut read: impl FnMut(u32) -> u32,
        mut write: impl FnMut(u32, u32),
    ) {
        let party = half.party();
        let [mut unread, mut left] = self.leaf_bits();
        for (node, bit, leaf) in self.leaves().filter(|(_, _, leaf)| leaf.sender == party) {
            let correction = read(leaf.width_bits);
            let digit = digit(word, bit, leaf.width_bits);
            let pairs =
                leaf.pairs(half, element) ^ permuted(outcomes(digit, leaf.width_bits), correction);
            let share = pairs & 3;
            // Of a narrow leaf what lies above its pairs is not written.
            write(leaf.pairs_bits() - 2, (pairs ^ share.wrapping_mul(0x5555_5555)) >> 2);
            nodes.set(node, share, share >> 1);
            unread -= leaf.width_bits;
            left -= leaf.pairs_bits() - 2;
        }
        skip(unread, read);
        fill(left, write);
    }

    /// One's shares of the digits where the peer sent pairs.
    pub fn take(
        &self,
        half: &mut impl Half,
        element: usize,
        nodes: &mut Nodes,
        mut read: impl FnMut(u32) -> u32,
    ) {
        let party = half.party();
        let [_, mut unread] = self.leaf_bits();
        for (node, _, leaf) in self.leaves().filter(|(_, _, leaf)| leaf.sender != party) {
            let (choice, chosen) = leaf.chosen(half, element);
            let bits = leaf.pairs_bits() - 2;
            let pairs = u64::from(read(bits)) << 2;
            #[allow(clippy::cast_possible_truncation)]
            let share = (pairs >> (2 * choice)) as u32 ^ chosen;
            nodes.set(node, share, share >> 1);
            unread -= bits;
        }
        skip(unread, read);
    }

    /// Writes what the merges of a level open.
    pub fn open(
        &self,
        level: u32,
        half: &mut impl Half,
        element: usize,
        nodes: Nodes,
        mut write: impl FnMut(u32, u32),
    ) {
        for (index, merge) in self.merges_of(level) {
            let masks = self.and(index).read(half, element);
            let ((_, handed), low) = (nodes.get(merge.high), nodes.get(merge.low));
            write(1, handed ^ masks);
            if merge.carry {
                write(1, low.0 ^ masks >> 1);
            }
            if merge.handed {
                write(1, low.1 ^ masks >> 2);
            }
        }
    }

    /// Merges what was opened in a level: `read` gives opened bits.
    pub fn merge(
        &self,
        level: u32,
        half: &mut impl Half,
        element: usize,
        nodes: &mut Nodes,
        mut read: impl FnMut(u32) -> u32,
    ) {
        let one = half.party().constant(1_u32);
        for (index, merge) in self.merges_of(level) {
            let masks = self.and(index).read(half, element);
            let opened = read(1);
            // (x' xor a) (y' xor b) of the opened x' and y'.
            let mut product = |wanted: bool, factor: u32| {
                if !wanted {
                    return 0;
                }
                let other = read(1);
                opened & other & one
                    ^ opened & (masks >> factor)
                    ^ other & masks
                    ^ masks >> (factor + 2)
            };
            let [carried, handed] = [product(merge.carry, 1), product(merge.handed, 2)];
            let (high, _) = nodes.get(merge.high);
            nodes.set(u32::from(self.digits) + index, high ^ carried, handed);
        }
    }

    /// What a party's share of a carry is made of once so many levels are merged: `t`, and where
    /// the carry's own merge comes after them also `u` and `v`. Its share is then `t xor x u xor
    /// y v` of the bits `x` and `y` that this merge opens; for `P1` also `xor x y`.
    #[must_use]
    pub fn terms(
        &self,
        (of, merged): (Carry, u32),
        half: &mut impl Half,
        element: usize,
        nodes: Nodes,
    ) -> [u32; 3] {
        let node = self.root_of(of);
        let (index, merge) = self.merge_of(node);
        if u32::from(merge.level) <= merged {
            return [nodes.get(node).0, 0, 0];
        }
        let masks = self.and(index).read(half, element);
        let (high, _) = nodes.get(merge.high);
        [high ^ masks >> 3, masks >> 1, masks].map(|term| term & 1)
    }

    /// Where `x` and `y` of a carry's merge lie among the bits that its level opens.
    #[must_use]
    pub fn opened_at(&self, of: Carry) -> u32 {
        let (index, merge) = self.merge_of(self.root_of(of));
        let before = self.merges_of(merge.level.into()).take_while(|&(other, _)| other < index);
        before.map(|(_, merge)| merge.opened_bits()).sum()
    }

    /// Levels of merges below a carry.
    #[must_use]
    pub fn level(&self, of: Carry) -> u32 {
        self.level_of(self.root_of(of)).into()
    }

    const fn root_of(&self, of: Carry) -> u8 {
        match of {
            Carry::Split => self.roots.0,
            Carry::All => self.roots.1,
        }
    }

    /// The share of the carry into bit `split`.
    pub(crate) const fn split(&self, nodes: Nodes) -> u32 {
        nodes.get(self.roots.0).0
    }

    /// The shares of the carry out of all bits, and of whether all hand one on.
    pub(crate) const fn root(&self, nodes: Nodes) -> (u32, u32) {
        nodes.get(self.roots.1)
    }

    /// The shares of the carry of the topmost digit by itself, and of whether it hands one on.
    pub(crate) const fn top(&self, nodes: Nodes) -> (u32, u32) {
        nodes.get(self.digits - 1)
    }
}

/// `width` bits of a word from bit `first` on.
#[allow(clippy::cast_possible_truncation)]
const fn digit(word: u64, first: u32, width: u32) -> u32 {
    (word >> first) as u32 & ((1 << width) - 1)
}

/// `(g, e)` of `digit + v` for every `v` of so many bits, two bits each.
#[allow(clippy::cast_possible_truncation)]
const fn outcomes(digit: u32, width: u32) -> u32 {
    let count = 1 << width;
    let carries = 0x5555_5555 & (!0_u64 << (2 * (count - digit))) as u32;
    carries | 2 << (2 * (count - 1 - digit))
}

/// Pair `u` becomes pair `u xor by`, of sixteen pairs.
fn permuted(pairs: u32, by: u32) -> u32 {
    let halves = [0x3333_3333, 0x0f0f_0f0f, 0x00ff_00ff, 0x0000_ffff_u32];
    (0..).zip(halves).fold(pairs, |pairs, (bit, low)| {
        let distance = 2 << bit;
        let swapped = (pairs & low) << distance | pairs >> distance & low;
        let mask = 0_u32.wrapping_sub(by >> bit & 1);
        pairs & !mask | swapped & mask
    })
}

/// Writes so many zeros.
fn fill(bits: u32, mut write: impl FnMut(u32, u32)) {
    (0..bits.div_ceil(16)).for_each(|piece| write((bits - 16 * piece).min(16), 0));
}

/// Reads so many bits, and forgets them.
fn skip(bits: u32, mut read: impl FnMut(u32) -> u32) {
    (0..bits.div_ceil(16)).for_each(|piece| {
        read((bits - 16 * piece).min(16));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_those_of_the_sum() {
        for width in 1..=4 {
            for digit in 0..1 << width {
                for v in 0..1 << width {
                    for by in 0..1 << width {
                        let pairs = permuted(outcomes(digit, width), by);
                        let found = pairs >> (2 * (v ^ by)) & 3;
                        let (sum, count) = (digit + v, 1 << width);
                        let expected = u32::from(sum >= count) | u32::from(sum == count - 1) << 1;
                        assert_eq!(found, expected, "{digit} + {v} of {width} bits, {by}");
                    }
                }
            }
        }
    }

    #[test]
    fn trees_are_flat_and_turns_even() {
        for bits in 1_u32..=64 {
            for split in 0..bits {
                let split = (split > 0).then_some(split);
                for top in [false, true] {
                    let carries = Carries::new(bits, split, top, Wanted::Carry);
                    let digits =
                        split.unwrap_or(0).div_ceil(4) + (bits - split.unwrap_or(0)).div_ceil(4);
                    let [low, all] = carries.levels();
                    assert_eq!(all, digits.next_power_of_two().ilog2(), "{bits} {split:?}");
                    assert_eq!(
                        low,
                        split.map_or(0, |split| { split.div_ceil(4).next_power_of_two().ilog2() })
                    );
                    let widths: u32 = carries.widths.iter().map(|&width| u32::from(width)).sum();
                    assert_eq!(widths, bits + u32::from(top));
                    assert!(usize::from(carries.merge_count) < MAX_MERGES);
                    let [[_, p0], [_, p1]] = [Party::P0, Party::P1].map(|p| carries.bits_by(p));
                    assert!(p0.abs_diff(p1) <= 30, "{p0} and {p1}");
                }
            }
        }
    }
}
