//! Comparison on the parties' own shares, by oblivious transfer: what two parties do who prepare
//! alone.
//!
//! No mask is opened. `x = x_0 + x_1` is compared by the carries of that very sum, and the parties
//! know a summand each: the millionaires' problem (Yao, FOCS '82), digit by digit.
//!
//! * Computes: what [`super::compare`], [`super::segments::Equal`], [`super::choose`],
//!   [`super::shift`], [`super::activate`] and [`super::rescale`] compute.
//! * Model: semi-honest parties; every message is one-time padded by a transfer's string or bit.
//! * Reference: Rathee et al., "`CrypTFlow2`", CCS '20, sections 3.1 and 4: 1-of-16 transfers of
//!   digits and a tree of ANDs; Huang, Lu, Hong, Ding, "Cheetah", USENIX Security '22, appendix.
//!   The digits take turns in who sends, so that both messages are of about one length.
//! * Consumes: one record per element, of entries that [`crate::functions::transfer`] describes.
//! * Costs: at `k = 32` 6 messages, at `k = 64` 7. 24 bytes per element and party for a ReLU with
//!   truncation at `k = 32`, 48 at `k = 64`.
//! * Error bound: exact, for every `x`.
//!
//! ```text
//! X = x + 2^(k-1) = X_0 + X_1 - 2^k w               signed order is unsigned order
//! [x >= 0] = msb X_0 xor msb X_1 xor c,             c: the carry into bit k-1
//! [x >= c] = 1 - w + w' - [X_1 < c'],               w': the carry of X_0 + (X_1 - c' mod 2^k)
//! y >> s   = (X_0 >> s) + (X_1 >> s) + c_s - 2^(k-s) w - 2^(k-1-s)
//!            c_s: the carry into bit s; where x >= 0, w = msb X_0 msb X_1
//! ```

pub mod activation;
pub mod equality;
pub mod floor;
pub mod positive;
pub mod rescaling;
pub mod selection;
pub mod threshold;

use rand_core::CryptoRng;

use super::{BitReader, BitWriter, Messages, Protocol, read, write};
use crate::functions::carries::{Carries, NODES_BYTES, Nodes};
use crate::functions::record::{Half, Layout, Truth};
use crate::functions::transfer::{Dual, Transfer, deal};
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// Where opened bits of dual bits are kept among an element's nodes.
const EARLY_BIT: u32 = 56;

/// A question about the carries of shares. [`Millionaire`] makes a protocol of it.
pub trait OnShares: Sync {
    /// The ring of what is compared.
    type Ring: Ring;
    /// The ring of dual bits.
    type Value: Ring;
    /// The slices it works on.
    type Data<'d>;

    /// Elements, after a check of all lengths.
    ///
    /// # Errors
    /// [`StepError::LengthMismatch`] if the slices do not belong together.
    fn elements(&self, data: &Self::Data<'_>) -> Result<usize, StepError>;
    /// What is compared: shares, until the protocol has finished.
    fn compared<'s>(&self, data: &'s Self::Data<'_>) -> &'s [Self::Ring];
    /// The record.
    fn layout(&self) -> Layout;
    /// Pairs of words per element; without any, no message is sent.
    fn pairs(&self) -> u32 {
        1
    }
    /// The carries of pair `index`.
    fn carries(&self, index: u32) -> Carries;
    /// A party's word of pair `index`, from its share of `x`.
    fn word(&self, party: Party, index: u32, x: Self::Ring) -> u64;

    /// Dual bits that are opened before the last message, as soon as the carry of the split is
    /// there.
    fn early(&self) -> u32 {
        0
    }
    /// Shares of what is opened then.
    fn early_bits<H: Half>(&self, _half: &mut H, _element: usize, _nodes: Nodes) -> u32 {
        0
    }

    /// Dual bit `index` of all, in order; `None` behind the last.
    fn dual(&self, index: u32) -> Option<Dual>;
    /// Bits per element that the last message opens.
    fn last_bits(&self) -> u32;
    /// Bytes of words per element that it opens.
    fn last_bytes(&self) -> usize {
        0
    }
    /// Writes them: what pair `index` came to is `nodes(index)`.
    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Self::Data<'_>,
        nodes: impl Fn(u32) -> Nodes,
        bit: impl FnMut(u32),
        words: &mut [u8],
    );
    /// Leaves a party's share of the result in `data`. `bit` gives the opened bits, one after the
    /// other, and `words` what was opened beside them.
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Self::Data<'_>,
        nodes: Nodes,
        bit: impl FnMut() -> u32,
        words: [&[u8]; 2],
    );
    /// The plaintext twin with roundings decided by `up`: see [`Protocol::twin_rounded`].
    fn plain(&self, data: &mut Self::Data<'_>, up: &mut impl FnMut() -> bool);
}

/// A question about shares as a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Millionaire<T>(pub(super) T);

impl<T: OnShares> Millionaire<T> {
    /// The round, counted from that of the first merges, in which dual bits are opened early.
    fn early_round(&self) -> Option<u32> {
        let [split, _] = self.0.carries(0).levels();
        (self.0.early() > 0).then_some(split + 1)
    }

    /// Rounds of merges.
    fn levels(&self) -> u32 {
        let whole = |index| {
            let [_, whole] = self.0.carries(index).levels();
            whole
        };
        let deepest = (0..self.0.pairs()).map(whole).max();
        deepest.unwrap_or(0).max(self.early_round().unwrap_or(0))
    }

    /// Bits of an element's messages of choices, pairs, and merges.
    fn bits(&self, round: usize) -> u32 {
        let each = |of: &dyn Fn(Carries) -> u32| -> u32 {
            (0..self.0.pairs()).map(|index| of(self.0.carries(index))).sum()
        };
        match u32::try_from(round).unwrap_or(u32::MAX) {
            0 => each(&|carries| {
                let [choices, _] = carries.leaf_bits();
                choices
            }),
            1 => each(&|carries| {
                let [_, pairs] = carries.leaf_bits();
                pairs
            }),
            round => {
                let level = round - 1;
                let early = if self.early_round() == Some(level) { self.0.early() } else { 0 };
                early + each(&|carries| carries.opened_bits(level))
            }
        }
    }

    fn nodes(&self, kept: &[u8], element: usize, index: u32) -> Nodes {
        let at = NODES_BYTES * (element * self.0.pairs() as usize + index as usize);
        Nodes { carry: read(kept, at), handed: read(kept, at + 8) }
    }

    fn keep(&self, kept: &mut [u8], element: usize, index: u32, nodes: Nodes) {
        let at = NODES_BYTES * (element * self.0.pairs() as usize + index as usize);
        write(kept, at, nodes.carry);
        write(kept, at + 8, nodes.handed);
    }

    /// What the message before brought: shares of digits, or merges.
    fn receive<H: Half>(&self, round: usize, half: &mut H, count: usize, messages: Messages<'_>) {
        let Messages { own, peer, opened } = messages;
        let (mut own, mut peer) = (BitReader::new(own), BitReader::new(peer));
        let level = u32::try_from(round).unwrap_or(u32::MAX).saturating_sub(2);
        for element in 0..count {
            for index in 0..self.0.pairs() {
                let (carries, mut nodes) =
                    (self.0.carries(index), self.nodes(opened, element, index));
                if round == 2 {
                    carries.take(half, element, &mut nodes, |count| peer.pop(count));
                } else {
                    let read = |count| own.pop(count) ^ peer.pop(count);
                    carries.merge(level, half, element, &mut nodes, read);
                }
                self.keep(opened, element, index, nodes);
            }
            if round > 2 && self.early_round() == Some(level) {
                let bits = own.pop(self.0.early()) ^ peer.pop(self.0.early());
                let mut nodes = self.nodes(opened, element, 0);
                nodes.carry |= u64::from(bits) << EARLY_BIT;
                self.keep(opened, element, 0, nodes);
            }
        }
    }

    /// The message of a round before the last.
    fn send<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &T::Data<'_>,
        messages: Messages<'_>,
    ) {
        let Messages { own, peer, opened } = messages;
        let (mut writer, mut peer) = (BitWriter::new(own), BitReader::new(peer));
        let level = u32::try_from(round).unwrap_or(u32::MAX).saturating_sub(1);
        let party = half.party();
        for (element, &x) in self.0.compared(data).iter().enumerate() {
            for index in 0..self.0.pairs() {
                let carries = self.0.carries(index);
                let write = |count, bits| writer.push(count, bits);
                match round {
                    0 => carries.choose(half, element, self.0.word(party, index, x), write),
                    1 => {
                        let (word, mut nodes) = (self.0.word(party, index, x), Nodes::default());
                        let read = |count| peer.pop(count);
                        carries.offer(half, element, word, &mut nodes, read, write);
                        self.keep(opened, element, index, nodes);
                    }
                    _ => {
                        let nodes = self.nodes(opened, element, index);
                        carries.open(level, half, element, nodes, write);
                    }
                }
            }
            if round > 1 && self.early_round() == Some(level) {
                let nodes = self.nodes(opened, element, 0);
                writer.push(self.0.early(), self.0.early_bits(half, element, nodes));
            }
        }
        writer.finish();
    }

    /// The last message: words, then bits.
    fn send_last<H: Half>(
        &self,
        half: &mut H,
        data: &mut T::Data<'_>,
        (own, kept): (&mut [u8], &[u8]),
    ) {
        let (count, bytes) = (self.0.compared(data).len(), self.0.last_bytes());
        let (words, bits) = own.split_at_mut_checked(count * bytes).unwrap_or_default();
        let mut writer = BitWriter::new(bits);
        for element in 0..count {
            let words = words.get_mut(element * bytes..(element + 1) * bytes);
            let nodes = |index| self.nodes(kept, element, index);
            let bit = |bit| writer.push(1, bit);
            self.0.last(half, element, data, nodes, bit, words.unwrap_or_default());
        }
        writer.finish();
    }
}

impl<T: OnShares> Protocol for Millionaire<T> {
    type Data<'d> = T::Data<'d>;

    fn elements(&self, data: &T::Data<'_>) -> Result<usize, StepError> {
        self.0.elements(data)
    }

    fn layout(&self) -> Layout {
        self.0.layout()
    }

    fn rounds(&self) -> usize {
        if self.0.pairs() == 0 { 0 } else { self.levels() as usize + 3 }
    }

    fn message_bytes(&self, round: usize, elements: usize) -> usize {
        if round + 1 == self.rounds() {
            let bits = (elements * self.0.last_bits() as usize).div_ceil(8);
            elements * self.0.last_bytes() + bits
        } else {
            (elements * self.bits(round) as usize).div_ceil(8)
        }
    }

    /// Also what is kept between rounds.
    fn max_message_bytes(&self, elements: usize) -> usize {
        let longest =
            (0..self.rounds()).map(|round| self.message_bytes(round, elements)).max().unwrap_or(0);
        longest.max(elements * self.0.pairs() as usize * NODES_BYTES)
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        self.each_transfer(&mut |transfer| deal::<T::Value, _>(transfer, truth, rng));
    }

    fn transfers(&self, each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        self.each_transfer(each);
        Ok(())
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut T::Data<'_>,
        messages: &mut Messages<'_>,
    ) {
        let elements = self.0.compared(data).len();
        if (2..self.rounds()).contains(&round) {
            self.receive(round, half, elements, messages.again());
        }
        if round + 1 < self.rounds() {
            self.send(round, half, data, messages.again());
        } else if round < self.rounds() {
            self.send_last(half, data, (messages.own, messages.opened));
        } else {
            let bytes = self.0.last_bytes();
            let [own, peer] = [&*messages.own, &*messages.peer]
                .map(|message| message.split_at_checked(elements * bytes).unwrap_or_default());
            let (mut own_bits, mut peer_bits) = (BitReader::new(own.1), BitReader::new(peer.1));
            for element in 0..elements {
                let place = element * bytes..(element + 1) * bytes;
                let words = [own.0, peer.0].map(|words| words.get(place.clone()));
                let nodes = self.nodes(messages.opened, element, 0);
                let bit = || own_bits.pop(1) ^ peer_bits.pop(1);
                self.0.finish(
                    half,
                    element,
                    data,
                    nodes,
                    bit,
                    words.map(Option::unwrap_or_default),
                );
            }
        }
    }

    fn twin_rounded(&self, data: &mut T::Data<'_>, up: &mut impl FnMut() -> bool) {
        self.0.plain(data, up);
    }
}

impl<T: OnShares> Millionaire<T> {
    fn each_transfer(&self, each: &mut impl FnMut(Transfer)) {
        for index in 0..self.0.pairs() {
            self.0.carries(index).transfers(each);
        }
        (0..).map_while(|index| self.0.dual(index)).for_each(|dual| {
            each(dual.transfer::<T::Value>());
        });
    }
}

/// The bit that was opened early, number `index`.
#[allow(clippy::cast_possible_truncation)]
const fn early(nodes: Nodes, index: u32) -> u32 {
    (nodes.carry >> (EARLY_BIT + index)) as u32 & 1
}

#[cfg(test)]
mod tests {
    use super::equality::Equality;
    use super::floor::Floor;
    use super::positive::Positive;
    use super::selection::Selection;
    use super::*;
    use crate::functions::protocol::check::{self, all, compared, in_place};
    use crate::functions::protocol::choose::MAX_WIDTH;
    use crate::gate::GateBits;
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn thresholds<R: Ring, W: Ring>(constants: &[R], x: &[R], seed: u8) {
        compared::<R, W, _>(
            &Millionaire::compare(constants).expect("in range"),
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
                let gate = Millionaire::<Equality<_, u32>>::equal(constant);
                compared::<_, u32, _>(&gate, 1, &all::<6>(), seed);
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
            let gate = Millionaire::<Equality<_, u64>>::equal(constant);
            compared::<_, u64, _>(&gate, 1, &narrow, seed);
        }
        for (seed, &constant) in (0..40).zip(wide.iter().step_by(11)) {
            let gate = Millionaire::<Equality<_, u32>>::equal(constant);
            compared::<_, u32, _>(&gate, 1, &wide, seed);
        }
    }

    fn chosen<R: Ring, W: Ring>(width: usize, x: &[R], seed: u8) {
        let gate = Millionaire::<Selection<R, W>>::choose(width).expect("in range");
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
        assert!(Millionaire::<Selection<u32, u32>>::choose(0).is_err());
    }

    fn gates<R: Ring>(bits: GateBits, y: &[R], seed: u8) {
        in_place(&Millionaire::<Positive<R>>::relu(bits).expect("in range"), y, seed);
        if bits.shift > 0 {
            in_place(&Millionaire::<Floor<R>>::truncate(bits).expect("in range"), y, seed);
        }
    }

    /// Every value, shift and width of small rings, each under many shares.
    #[test]
    fn gates_of_every_width_are_exact() {
        for width_bits in 2..=8 {
            for shift in 0..width_bits - 1 {
                for seed in 0..12 {
                    gates(GateBits { width_bits, shift }, &all::<8>(), seed);
                }
            }
        }
        for seed in 0..6 {
            gates(GateBits { width_bits: 2, shift: 0 }, &all::<2>(), seed);
        }
    }

    #[test]
    fn gates_of_wide_rings_are_exact() {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        for shift in [0, 1, 4, 5, 12, 16, 17, 30] {
            gates::<u32>(GateBits::whole::<u32>(shift), &check::words(200, &mut rng), 1);
        }
        for shift in [0, 1, 12, 20, 32, 33, 48, 62] {
            gates::<u64>(GateBits::whole::<u64>(shift), &check::words(200, &mut rng), 2);
        }
        for width_bits in [9, 17, 24, 31] {
            gates::<u32>(GateBits { width_bits, shift: 7 }, &check::words(200, &mut rng), 3);
        }
    }

    #[test]
    fn gates_that_a_ring_has_not_are_refused() {
        let whole = GateBits::whole::<u32>;
        assert!(Millionaire::<Positive<u32>>::relu(whole(31)).is_err());
        assert!(Millionaire::<Floor<u32>>::truncate(whole(0)).is_err());
        assert!(Millionaire::<Floor<u32>>::truncate(whole(u32::MAX)).is_err());
        let wide = GateBits { width_bits: 33, shift: 1 };
        assert!(Millionaire::<Positive<u32>>::relu(wide).is_err());
    }

    /// Transfers, messages, and bytes of all messages of a party for 8 elements.
    fn costs(protocol: &impl Protocol) -> (u32, usize, usize) {
        let bytes = (0..protocol.rounds()).map(|round| protocol.message_bytes(round, 8)).sum();
        let mut transfers = 0;
        let each = &mut |transfer| {
            transfers += match transfer {
                Transfer::Leaf { width_bits, .. } => width_bits,
                Transfer::And { .. } | Transfer::Dual { values: 1.., .. } => 2,
                Transfer::Dual { .. } => 1,
                Transfer::Product { ring_bits, .. } => 2 * ring_bits,
                Transfer::Table { index_bits, .. } => index_bits,
            }
        };
        protocol.transfers(each).expect("by transfers");
        (transfers, protocol.rounds(), bytes)
    }

    #[test]
    fn few_transfers_and_messages() {
        let relu = Millionaire::<Positive<u32>>::relu(GateBits::whole::<u32>(12));
        assert_eq!(costs(&relu.expect("in range")), (52, 6, 191));
        let relu = Millionaire::<Positive<u64>>::relu(GateBits::whole::<u64>(20));
        assert_eq!(costs(&relu.expect("in range")), (100, 7, 382));
        let floor = Millionaire::<Floor<u32>>::truncate(GateBits::whole::<u32>(12));
        assert_eq!(costs(&floor.expect("in range")), (50, 6, 158));
        let choose = Millionaire::<Selection<u32, u32>>::choose(1);
        assert_eq!(costs(&choose.expect("in range")), (47, 6, 187));
    }
}
