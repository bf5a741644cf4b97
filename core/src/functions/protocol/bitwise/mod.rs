//! Comparison without tables: what two parties can do who prepare alone.
//!
//! * Computes: what [`super::compare`], [`super::segments::Equal`], [`super::choose`] and
//!   [`super::shift`] (truncation) compute.
//! * Model: semi-honest parties and dealer; every message is one-time padded. What is dealt, two
//!   parties can also make by oblivious transfer.
//! * Reference: the mask generation of Ge, Zhou, Guo, Li (arXiv 2104.04709): a mask with its bits,
//!   opened once, and a tree over the bits; multi-fan-in ANDs as in ABY2.0 (Patra, Schneider,
//!   Suresh, Yalame, USENIX Security 2021).
//! * Consumes: one record per element: a mask with its bits, per comparison a tree and a bit shared
//!   both ways.
//! * Costs: 5 messages at `k = 32` and at `k = 64`: the opening, three levels, the root. A ring
//!   element, then 71 bits (145 at `k = 64`) per comparison, per element and party.
//! * Error bound: exact, for every `x`.
//!
//! ```text
//! z = x + 2^(k-1) + r                                public afterwards; the bits of r are shared
//! [u < r] for public u: a tree over the bits         see `correlation::tree`
//! [x < c] = [u < r] + [z < c'] - [z < r],  u = z - c'                          as in `compare`
//! [x = c] = [u = r],  u = x + r - c
//! [x >= 0] = 1 xor msb(z) xor msb(r) xor [z mod 2^(k-1) < r mod 2^(k-1)]
//!                                                    for choosing, without the offset
//! y >> s  = (z >> s) - (r >> s) - [z mod 2^s < r mod 2^s] + 2^(k-s) [z < r] - 2^(k-1-s)
//! ```

pub mod equality;
pub mod floor;
pub mod positive;
pub mod selection;
pub mod threshold;

use rand_core::CryptoRng;

use super::compare::MAX_CONSTANTS;
use super::comparing::{Slices, first_bytes, mask, unmask};
use super::{BitWriter, Messages, Protocol, get_bits};
use crate::functions::record::{Half, Layout, Truth};
use crate::functions::tree::{Digits, Tree};
use crate::ring::Ring;
use crate::step::StepError;

/// A question about compared words. [`Bitwise`] makes a protocol of it.
pub trait ByBits: Sync {
    /// The ring in which `z` is opened.
    type Ring: Ring;
    /// The slices it works on.
    type Data<'d>: Slices<Ring = Self::Ring>;

    /// The record.
    fn frame(&self) -> &BitFrame;
    /// Words beside each compared one: see [`Slices::count`].
    fn beside(&self) -> usize {
        1
    }
    /// Place of the mask of an element's value `index`: see [`Slices::values`].
    fn value_mask(&self, _index: usize) -> u32 {
        0
    }
    /// Trees per element.
    fn trees(&self) -> u32 {
        1
    }
    /// Tree `index`.
    fn tree(&self, index: u32) -> Tree;
    /// The public word of tree `index`.
    fn public(&self, _index: u32, z: Self::Ring) -> Self::Ring {
        z
    }

    /// Leaves a party's share of the result in `data`; `root` gives a tree's opened root.
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Self::Data<'_>,
        root: impl Fn(u32) -> u32,
    );
    /// The dealer: words that depend on the mask, and on the bit `rho` of each tree.
    fn deal_rest<G: CryptoRng>(
        &self,
        mask: Self::Ring,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        rng: &mut G,
    );
    /// The plaintext twin.
    fn plain(&self, data: &mut Self::Data<'_>);
}

/// What every record begins with.
#[derive(Clone, Copy, Debug)]
pub struct BitFrame {
    /// The record.
    layout: Layout,
    /// Place of the mask's bits.
    bits: u32,
    /// Place of the mask.
    mask: u32,
    /// Whether `2^(k-1)` is added before `x` is opened, so that signed order becomes unsigned
    /// order.
    offset: bool,
}

impl BitFrame {
    /// A party's shares of the mask's bits.
    pub fn mask_bits<R: Ring>(&self, half: &mut impl Half, element: usize) -> u64 {
        let low = u64::from(half.bits(element, self.bits, R::BITS.min(32)));
        if R::BITS > 32 {
            low | u64::from(half.bits(element, self.bits + 32, R::BITS - 32)) << 32
        } else {
            low
        }
    }
}

/// A question about compared words as a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Bitwise<T>(T);

impl<T: ByBits> Bitwise<T> {
    /// What is asked: its trees, and where its record has the mask.
    #[must_use]
    pub fn question(&self) -> &T {
        &self.0
    }

    fn levels(&self) -> u32 {
        (0..self.0.trees()).map(|index| self.0.tree(index).levels()).max().unwrap_or(0)
    }

    /// Bits that an element opens in a level; of a tree that has fewer levels none.
    fn opened_bits(&self, level: u32) -> u32 {
        let of = |index| {
            let tree = self.0.tree(index);
            if level < tree.levels() { tree.opened_bits(level) } else { 0 }
        };
        (0..self.0.trees()).map(of).sum()
    }

    /// Bits that are kept of a tree between rounds: the digits that the first level gives.
    fn kept_bits(&self, index: u32) -> u32 {
        2 * self.0.tree(index).digits(1)
    }

    fn message_bits(&self, round: usize) -> u32 {
        let level = u32::try_from(round).unwrap_or(u32::MAX).saturating_sub(1);
        if level < self.levels() { self.opened_bits(level) } else { self.0.trees() }
    }
}

impl<T: ByBits> Protocol for Bitwise<T> {
    type Data<'d> = T::Data<'d>;

    fn elements(&self, data: &T::Data<'_>) -> Result<usize, StepError> {
        data.count(self.0.beside())
    }

    fn layout(&self) -> Layout {
        self.0.frame().layout
    }

    fn rounds(&self) -> usize {
        self.levels() as usize + 2
    }

    fn message_bytes(&self, round: usize, elements: usize) -> usize {
        match round {
            0 => elements * first_bytes::<T::Data<'_>>(self.0.beside()),
            _ => (elements * self.message_bits(round) as usize).div_ceil(8),
        }
    }

    /// Also what is kept between rounds.
    fn max_message_bytes(&self, elements: usize) -> usize {
        let kept: u32 = (0..self.0.trees()).map(|index| self.kept_bits(index)).sum();
        let longest =
            (0..self.rounds()).map(|round| self.message_bytes(round, elements)).max().unwrap_or(0);
        longest.max((elements * kept as usize).div_ceil(8))
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        let (gate, frame) = (&self.0, self.0.frame());
        let mask = T::Ring::from_u64(rng.next_u64());
        truth.set_word(frame.mask, mask);
        for half in 0..T::Ring::BITS.div_ceil(32) {
            #[allow(clippy::cast_possible_truncation)]
            let bits = (mask.to_u64() >> (32 * half)) as u32;
            truth.xor_bits(frame.bits + 32 * half, bits);
        }
        // As many as there are constants, and one.
        let mut rho = [0; MAX_CONSTANTS + 1];
        for (index, rho) in (0..gate.trees()).zip(&mut rho) {
            *rho = gate.tree(index).deal(truth, rng);
        }
        gate.deal_rest(mask, |index| rho.get(index as usize).copied().unwrap_or(0), truth, rng);
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut T::Data<'_>,
        messages: &mut Messages<'_>,
    ) {
        let elements = data.compared().len();
        if round == 0 {
            let (gate, frame) = (&self.0, self.0.frame());
            let values = (gate.beside(), |index| gate.value_mask(index));
            return mask(half, data, messages.own, (frame.mask, frame.offset), values);
        }
        if round == 1 {
            unmask(data, messages);
        }
        if round == self.rounds() {
            let trees = self.0.trees() as usize;
            for element in 0..elements {
                let root = |index: u32| {
                    let place = element * trees + index as usize;
                    get_bits(messages.own, place, 1) ^ get_bits(messages.peer, place, 1)
                };
                self.0.finish(half, element, data, root);
            }
            return;
        }
        self.level(round, half, data, messages);
    }

    fn twin_rounded(&self, data: &mut T::Data<'_>, _up: &mut impl FnMut() -> bool) {
        self.0.plain(data);
    }
}

impl<T: ByBits> Bitwise<T> {
    /// The messages of bits: of level `round - 1`, or of the roots. What the level before opened is
    /// merged first.
    fn level<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut T::Data<'_>,
        messages: &mut Messages<'_>,
    ) {
        let (gate, frame) = (&self.0, self.0.frame());
        let level = u32::try_from(round).unwrap_or(u32::MAX).saturating_sub(1);
        let kept_bits: u32 = (0..gate.trees()).map(|index| self.kept_bits(index)).sum();
        // What is kept of each tree, from what the last level opened.
        let mut read_at = 0;
        for (element, &mut z) in data.compared().iter_mut().enumerate() {
            let (mask_bits, party) = (frame.mask_bits::<T::Ring>(half, element), half.party());
            let mut kept_at = element * kept_bits as usize;
            for index in 0..gate.trees() {
                let tree = gate.tree(index);
                let before = level.checked_sub(1).filter(|&before| before < tree.levels());
                if let Some(before) = before {
                    let digits = match before {
                        0 => tree.leaves(party, gate.public(index, z).to_u64(), mask_bits),
                        _ => kept(messages.opened, kept_at, tree.digits(1)),
                    };
                    let merged = tree.merge(before, half, element, digits, |count| {
                        let bits = get_bits(messages.own, read_at, count)
                            ^ get_bits(messages.peer, read_at, count);
                        read_at += count as usize;
                        bits
                    });
                    keep(messages.opened, kept_at, tree.digits(1), merged);
                } else if level == 0 && tree.levels() == 0 {
                    // A single bit is its own root.
                    let digits = tree.leaves(party, gate.public(index, z).to_u64(), mask_bits);
                    keep(messages.opened, kept_at, tree.digits(1), digits);
                }
                kept_at += self.kept_bits(index) as usize;
            }
        }
        let mut writer = BitWriter::new(messages.own);
        for (element, &mut z) in data.compared().iter_mut().enumerate() {
            let (mask_bits, party) = (frame.mask_bits::<T::Ring>(half, element), half.party());
            let mut kept_at = element * kept_bits as usize;
            for index in 0..gate.trees() {
                let tree = gate.tree(index);
                let digits = match level {
                    0 if tree.levels() > 0 => {
                        tree.leaves(party, gate.public(index, z).to_u64(), mask_bits)
                    }
                    _ => kept(messages.opened, kept_at, tree.digits(1)),
                };
                if level >= self.levels() {
                    writer.push(1, tree.masked_root(half, element, digits));
                } else if level < tree.levels() {
                    tree.open(level, half, element, digits, |bits, count| writer.push(count, bits));
                }
                kept_at += self.kept_bits(index) as usize;
            }
        }
        writer.finish();
    }
}

/// Reads the digits that were kept of a tree: `count` bits each, at most 16.
pub fn kept(bytes: &[u8], at: usize, count: u32) -> Digits {
    Digits {
        less: u64::from(get_bits(bytes, at, count)),
        equal: u64::from(get_bits(bytes, at + count as usize, count)),
    }
}

/// Keeps the digits of a tree, in place of what was kept before.
fn keep(bytes: &mut [u8], at: usize, count: u32, digits: Digits) {
    for (at, bits) in [(at, digits.less), (at + count as usize, digits.equal)] {
        for (place, bit) in (at..).zip(0..count) {
            if let Some(byte) = bytes.get_mut(place / 8) {
                #[allow(clippy::cast_possible_truncation)]
                let bit = (bits >> bit) as u8 & 1;
                *byte = *byte & !(1 << (place % 8)) | bit << (place % 8);
            }
        }
    }
}

/// The beginning of a record of these trees: bits first, words afterwards.
fn frame<R: Ring>(layout: &mut Layout, offset: bool) -> BitFrame {
    BitFrame { layout: *layout, bits: layout.bits(R::BITS), mask: 0, offset }
}

#[cfg(test)]
mod tests {
    use super::equality::Equality;
    use super::floor::Floor;
    use super::positive::Positive;
    use super::selection::Selection;
    use super::threshold::Thresholds;
    use super::*;
    use crate::functions::protocol::check::{self, all, compared, in_place};
    use crate::functions::protocol::choose::MAX_WIDTH;
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn thresholds<R: Ring, W: Ring>(constants: &[R], x: &[R], seed: u8) {
        compared::<R, W, _>(
            &Bitwise::compare(constants).expect("in range"),
            constants.len(),
            x,
            seed,
        );
    }

    #[test]
    fn every_value_against_every_constant() {
        for seed in 0..4 {
            thresholds::<_, u32>(&all::<6>(), &all::<6>(), seed);
            thresholds::<_, Small<3>>(&all::<5>()[3..20], &all::<5>(), seed);
            thresholds::<_, u64>(&all::<2>(), &all::<2>(), seed);
            for constant in all::<6>() {
                compared::<_, u32, _>(
                    &Bitwise::<Equality<_, _>>::equal(constant),
                    1,
                    &all::<6>(),
                    seed,
                );
            }
        }
    }

    #[test]
    fn wide_rings_against_the_ends_and_the_middle() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let (narrow, wide) =
            (check::words::<u32>(100, &mut rng), check::words::<u64>(100, &mut rng));
        thresholds::<u32, u32>(&narrow[..100], &narrow, 5);
        thresholds::<u32, u64>(&narrow[100..130], &narrow, 6);
        thresholds::<u64, u64>(&wide[..100], &wide, 7);
        thresholds::<u64, u32>(&wide[300..330], &wide, 8);
        for (seed, &constant) in (0..40).zip(narrow.iter().step_by(7)) {
            compared::<_, u64, _>(&Bitwise::<Equality<_, _>>::equal(constant), 1, &narrow, seed);
        }
        for (seed, &constant) in (0..40).zip(wide.iter().step_by(11)) {
            compared::<_, u32, _>(&Bitwise::<Equality<_, _>>::equal(constant), 1, &wide, seed);
        }
    }

    fn chosen<R: Ring, W: Ring>(width: usize, x: &[R], seed: u8) {
        let gate = Bitwise::<Selection<R, W>>::choose(width).expect("in range");
        check::chosen(&gate, width, x, seed);
    }

    #[test]
    fn values_are_chosen_by_the_sign() {
        for seed in 0..6 {
            chosen::<_, u32>(1, &all::<7>(), seed);
            chosen::<_, Small<5>>(3, &all::<5>(), seed);
            chosen::<_, u64>(2, &all::<2>(), seed);
        }
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        chosen::<u32, u64>(2, &check::words(300, &mut rng), 1);
        chosen::<u64, u64>(1, &check::words(300, &mut rng), 2);
        chosen::<u64, u32>(MAX_WIDTH, &check::words(300, &mut rng), 3);
        assert!(Bitwise::<Selection<u32, u32>>::choose(0).is_err());
    }

    #[test]
    fn the_positive_part_is_exact() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        for seed in 0..6 {
            in_place(&Bitwise::<Positive<_>>::relu(), &all::<7>(), seed);
            in_place(&Bitwise::<Positive<_>>::relu(), &all::<2>(), seed);
        }
        in_place(&Bitwise::<Positive<u32>>::relu(), &check::words(300, &mut rng), 1);
        in_place(&Bitwise::<Positive<u64>>::relu(), &check::words(300, &mut rng), 2);
    }

    fn floors<R: Ring>(shift: u32, y: &[R], seed: u8) {
        in_place(&Bitwise::<Floor<R>>::truncate(shift).expect("in range"), y, seed);
    }

    #[test]
    fn truncation_is_exact() {
        for seed in 0..6 {
            (1..5).for_each(|shift| floors(shift, &all::<6>(), seed));
            (1..7).for_each(|shift| floors(shift, &all::<8>(), seed));
        }
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        for shift in [1, 4, 5, 12, 16, 17, 30] {
            floors::<u32>(shift, &check::words(200, &mut rng), 1);
        }
        for shift in [1, 12, 20, 32, 33, 62] {
            floors::<u64>(shift, &check::words(200, &mut rng), 2);
        }
        assert!(
            Bitwise::<Floor<u32>>::truncate(0).is_err()
                && Bitwise::<Floor<u32>>::truncate(31).is_err()
        );
        assert!(Bitwise::<Floor<u64>>::truncate(u32::MAX).is_err());
    }

    /// Dealt bytes, messages, and bytes of all messages for 8 elements.
    fn costs(protocol: &impl Protocol) -> (usize, usize, usize) {
        let bytes = (0..protocol.rounds()).map(|round| protocol.message_bytes(round, 8)).sum();
        (protocol.layout().bytes(), protocol.rounds(), bytes)
    }

    /// A table alone would take more.
    #[test]
    fn records_are_small() {
        assert_eq!(
            costs(&Bitwise::<Selection<u32, u32>>::choose(1).expect("in range")),
            (68, 5, 8 * 8 + 53 + 13 + 2 + 1)
        );
        assert_eq!(
            costs(&Bitwise::<Selection<u64, u64>>::choose(1).expect("in range")),
            (128, 5, 8 * 16 + 109 + 27 + 6 + 1)
        );
        let (narrow, wide) = (
            Bitwise::<Thresholds<u32, u32>>::compare(&[7]),
            Bitwise::<Thresholds<u64, u64>>::compare(&[7]),
        );
        assert_eq!(costs(&narrow.expect("one")), (112, 5, 8 * 4 + 2 * (55 + 13 + 2 + 1)));
        assert_eq!(costs(&wide.expect("one")), (208, 5, 8 * 8 + 2 * (111 + 27 + 6 + 1)));
    }
}
