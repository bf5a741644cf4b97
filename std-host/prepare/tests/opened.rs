//! A million entries of every kind that two parties make alone, opened: each is what it must be.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

use core::convert::Infallible;
use std::collections::BTreeSet;

use rand_core::{CryptoRng, Rng as _};
use sharelet_core::functions::engine::EngineError;
use sharelet_core::functions::engine::offline::{Offline, Task};
use sharelet_core::functions::protocol::{Messages, Protocol};
use sharelet_core::functions::record::{Half, Layout, Truth};
use sharelet_core::functions::transfer::{TERMS, Transfer};
use sharelet_core::share::Party;
use sharelet_core::step::StepError;
use sharelet_prepare::{FieldBits, Kept, Made, Pair, Plan};
use sharelet_testkit::chi_square::{BIT_BOUND, BYTES_BOUND, BitCount, Histogram};
use sharelet_testkit::pipe::run;
use sharelet_testkit::programs::Program;
use sharelet_testkit::programs::data::{Word, all_words};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::{printed_seed, rng};

const MANY: u64 = 1_000_000;
const PARTIES: [Party; 2] = [Party::P0, Party::P1];

/// Records of these entries, and no protocol that spends them.
struct Entries {
    layout: Layout,
    transfers: Vec<Transfer>,
}

impl Protocol for Entries {
    type Data<'d> = ();

    fn elements(&self, (): &()) -> Result<usize, StepError> {
        Ok(0)
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn message_bytes(&self, _round: usize, _elements: usize) -> usize {
        0
    }

    fn deal<G: CryptoRng>(&self, _truth: &mut Truth<'_>, _rng: &mut G) {}

    fn transfers(&self, each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        self.transfers.iter().for_each(|&transfer| each(transfer));
        Ok(())
    }

    fn step<H: Half>(&self, _: usize, _: &mut H, (): &mut (), _: &mut Messages<'_>) {}

    fn twin_rounded(&self, (): &mut (), _up: &mut impl FnMut() -> bool) {}
}

/// A kind of entry, without its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Whether `P1` sends, bits.
    Leaf(bool, u32),
    And,
    /// Whether `P1` sends, bits.
    Table(bool, u32),
    /// Whether `P1` sends, values, ring.
    Dual(bool, u32, u32),
    /// Ring.
    Product(u32),
    Square(u32),
}

impl Kind {
    fn of(transfer: Transfer) -> Self {
        let by_p1 = |sender| sender == Party::P1;
        match transfer {
            Transfer::Leaf { sender, width_bits, .. } => Self::Leaf(by_p1(sender), width_bits),
            Transfer::And { .. } => Self::And,
            Transfer::Table { sender, index_bits, .. } => Self::Table(by_p1(sender), index_bits),
            Transfer::Dual { sender, values, ring_bits, .. } => {
                Self::Dual(by_p1(sender), values, ring_bits)
            }
            Transfer::Product { square: false, ring_bits, .. } => Self::Product(ring_bits),
            Transfer::Product { square: true, ring_bits, .. } => Self::Square(ring_bits),
        }
    }

    /// A record of one such entry, behind a bit that is in its way.
    fn alone(self) -> Entries {
        let mut layout = Layout::default();
        let sender = |by_p1: bool| PARTIES[usize::from(by_p1)];
        let words = |layout: &mut Layout, ring_bits: u32, count: u32| match ring_bits {
            ..=32 => layout.words::<u32>(count),
            _ => layout.words::<u64>(count),
        };
        let transfer = match self {
            Self::Leaf(by_p1, width_bits) => {
                let place = layout.bits(32);
                Transfer::Leaf { sender: sender(by_p1), width_bits, place }
            }
            Self::And => Transfer::And { place: layout.bits(32) },
            Self::Table(by_p1, index_bits) => {
                let place = layout.bits(32);
                let words = layout.words::<u64>(TERMS << index_bits);
                Transfer::Table { sender: sender(by_p1), index_bits, place, words }
            }
            Self::Dual(by_p1, values, ring_bits) => {
                let place = layout.bits(32);
                let words = words(&mut layout, ring_bits, 1 + 2 * values);
                Transfer::Dual { sender: sender(by_p1), place, words, values, ring_bits }
            }
            Self::Product(ring_bits) => {
                let place = words(&mut layout, ring_bits, 3);
                Transfer::Product { square: false, place, ring_bits }
            }
            Self::Square(ring_bits) => {
                let place = words(&mut layout, ring_bits, 2);
                Transfer::Product { square: true, place, ring_bits }
            }
        };
        Entries { layout, transfers: vec![transfer] }
    }
}

/// Six ANDs that lie in one word, as programs have them.
fn six_ands() -> Entries {
    let mut layout = Layout::default();
    let place = layout.bits(32);
    let transfers = (0..6).map(|index| Transfer::And { place: place + 5 * index }).collect();
    Entries { layout, transfers }
}

/// What programs spend, and more: leaves of all widths, duals of more values.
fn kinds() -> BTreeSet<Kind> {
    let sides = [false, true];
    let mut kinds = BTreeSet::from([Kind::And]);
    for by_p1 in sides {
        kinds.extend((1..=4).map(|bits| Kind::Leaf(by_p1, bits)));
        kinds.extend((1..=8).map(|bits| Kind::Table(by_p1, bits)));
        for ring_bits in [32, 64] {
            let values = [0, 1, 2, 3, 4, 16];
            kinds.extend(values.map(|values| Kind::Dual(by_p1, values, ring_bits)));
        }
    }
    kinds.extend([32, 64].map(Kind::Product));
    kinds.extend([32, 64].map(Kind::Square));
    kinds
}

/// The share of the word at `place`.
fn word(half: &[u8], place: usize, ring_bits: u32) -> u64 {
    if ring_bits > 32 {
        u64::from_le_bytes(*half[place..].first_chunk().unwrap())
    } else {
        u32::from_le_bytes(*half[place..].first_chunk().unwrap()).into()
    }
}

/// Bits from `place` on, as far as their word goes.
fn bits(half: &[u8], place: u32) -> u32 {
    let at = place as usize / 32 * 4;
    u32::from_le_bytes(*half[at..].first_chunk().unwrap()) >> (place % 32)
}

/// What was opened of one kind.
#[derive(Default)]
struct Opened {
    entries: u64,
    /// Bits that were opened: random ones, so that zeros everywhere do not pass.
    bits: [BitCount; 3],
    words: Histogram,
}

impl Opened {
    fn bit(&mut self, number: usize, bit: u32) {
        self.bits[number].add(bit & 1 == 1);
    }

    fn word(&mut self, word: u64, ring_bits: u32) {
        self.words.extend(&word.to_le_bytes()[..ring_bits as usize / 8]);
    }

    /// Opens an entry of both halves of a record; whether it is what it must be.
    fn open(&mut self, transfer: Transfer, halves: [&[u8]; 2]) -> bool {
        self.entries += 1;
        let of = |party: Party| halves[usize::from(party == Party::P1)];
        let other = |party: Party| halves[usize::from(party == Party::P0)];
        let sum = |place: u32, index: u32, ring_bits: u32| {
            let place = (place + index * ring_bits.div_ceil(32) * 4) as usize;
            let [a, b] = halves.map(|half| word(half, place, ring_bits));
            a.wrapping_add(b) & (u64::MAX >> (64 - ring_bits))
        };
        let product =
            |a: u64, b: u64, ring_bits: u32| a.wrapping_mul(b) & (u64::MAX >> (64 - ring_bits));
        match transfer {
            Transfer::Leaf { sender, width_bits, place } => {
                let (pairs, chosen) = (bits(of(sender), place), bits(other(sender), place));
                let choice = chosen & ((1 << width_bits) - 1);
                let pair = pairs >> (2 * choice) & 3;
                self.bit(0, choice.count_ones());
                self.bit(1, pair);
                self.bit(2, pair >> 1);
                chosen >> width_bits & 3 == pair
            }
            Transfer::And { place } => {
                let opened = bits(halves[0], place) ^ bits(halves[1], place);
                let [a, b, c, ab, ac] = [0, 1, 2, 3, 4].map(|bit| opened >> bit & 1);
                [a, b, c].into_iter().enumerate().for_each(|(number, bit)| self.bit(number, bit));
                (ab, ac) == (a & b, a & c)
            }
            Transfer::Table { sender, index_bits, place, words } => {
                let choice = bits(other(sender), place) & ((1 << index_bits) - 1);
                self.bit(0, choice);
                self.bit(1, choice >> (index_bits - 1));
                let row = words as usize + 8 * (TERMS * choice) as usize;
                (0..TERMS as usize).all(|term| {
                    let chosen = word(other(sender), words as usize + 8 * term, 64);
                    self.word(chosen, 64);
                    chosen == word(of(sender), row + 8 * term, 64)
                })
            }
            Transfer::Dual { place, words, values, ring_bits, .. } => {
                let bit = (bits(halves[0], place) ^ bits(halves[1], place)) & 1;
                self.bit(0, bit);
                sum(words, 0, ring_bits) == u64::from(bit)
                    && (0..values).all(|value| {
                        let random = sum(words, 1 + 2 * value, ring_bits);
                        self.word(random, ring_bits);
                        sum(words, 2 + 2 * value, ring_bits)
                            == product(random, u64::from(bit), ring_bits)
                    })
            }
            Transfer::Product { square, place, ring_bits } => {
                let factors = if square { 1 } else { 2 };
                let [a, b] = [0, factors - 1].map(|index| sum(place, index, ring_bits));
                self.word(a, ring_bits);
                if !square {
                    self.word(b, ring_bits);
                }
                sum(place, factors, ring_bits) == product(a, b, ring_bits)
            }
        }
    }

    /// What was opened is as random as it should be.
    fn is_random(&self, what: &str) {
        for (number, found) in self.bits.iter().map(BitCount::against_fair).enumerate() {
            // Of bits that this kind does not have there are none.
            assert!(found.is_nan() || found < BIT_BOUND, "{what}, bit {number}: {found}");
        }
        let found = self.words.against_uniform();
        assert!(found.is_nan() || found < BYTES_BOUND, "{what}: {found}");
    }
}

/// Two parties in one session.
struct Parties {
    pairs: [Pair; 2],
    seed: u64,
}

impl Parties {
    fn new(seed: u64) -> Self {
        let (message_0, beginning_0) = Kept::begin(&mut rng(seed));
        let (message_1, beginning_1) = Kept::begin(&mut rng(!seed));
        let (kept_0, kept_1) =
            (beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap());
        let mut name = [0; 32];
        rng(seed).fill_bytes(&mut name);
        let pairs = [(Party::P0, &kept_0), (Party::P1, &kept_1)]
            .map(|(party, kept)| Pair::new(party, kept, name, FieldBits::Two));
        Self { pairs, seed }
    }

    fn make(&mut self, plan: &Plan) -> [Vec<u8>; 2] {
        self.seed = self.seed.wrapping_add(1);
        let [pair_0, pair_1] = &mut self.pairs;
        let ((ask_0, asked_0), (ask_1, asked_1)) =
            (pair_0.ask(plan).unwrap(), pair_1.ask(plan).unwrap());
        let ((accept_0, accepted_0), (accept_1, accepted_1)) =
            (asked_0.accept(&ask_1).unwrap(), asked_1.accept(&ask_0).unwrap());
        let ((answer_0, answered_0), (answer_1, answered_1)) =
            (accepted_0.answer(&accept_1).unwrap(), accepted_1.answer(&accept_0).unwrap());
        let (verify_0, verified_0) = answered_0.verify(&answer_1, &mut rng(self.seed)).unwrap();
        let (verify_1, verified_1) = answered_1.verify(&answer_0, &mut rng(!self.seed)).unwrap();
        let made = [verified_0.finish(&verify_1).unwrap(), verified_1.finish(&verify_0).unwrap()];
        made.map(Made::into_records).map(|(_, records)| records)
    }

    /// Makes so many records, some at a time, and opens all of their entries.
    fn open(&mut self, entries: &Entries, records: usize, opened: &mut Opened) {
        /// Bytes of a half that is held, and transfers, about.
        const BYTES: usize = 32 << 20;
        const TRANSFERS: usize = 1 << 20;
        let mut one = Plan::default();
        one.operation(entries, 1).unwrap();
        let transfers = one.transfers(Party::P0).max(one.transfers(Party::P1)).max(1);
        let transfers = usize::try_from(transfers).unwrap();
        let at_once = (BYTES / entries.layout.bytes()).min(TRANSFERS / transfers);
        let mut left = records;
        while left > 0 {
            let count = left.min(at_once);
            left -= count;
            let mut plan = Plan::default();
            plan.operation(entries, count).unwrap();
            let halves = self.make(&plan);
            let [half_0, half_1] = halves.each_ref().map(|half| half.chunks(half.len() / count));
            for halves in half_0.zip(half_1).map(|(half_0, half_1)| [half_0, half_1]) {
                for &transfer in &entries.transfers {
                    assert!(opened.open(transfer, halves), "{transfer:?}");
                }
            }
        }
    }
}

/// Opens so many entries, those of a kind that `each` gives.
fn open_many(what: &str, least: u64, each: impl Fn(Kind) -> Option<usize>) {
    let mut parties = Parties::new(printed_seed());
    let mut entries = 0;
    for kind in kinds() {
        if let Some(count) = each(kind) {
            let mut opened = Opened::default();
            let record = if kind == Kind::And { six_ands() } else { kind.alone() };
            parties.open(&record, count.div_ceil(record.transfers.len()), &mut opened);
            opened.is_random(&format!("{kind:?}"));
            entries += opened.entries;
        }
    }
    assert!(entries >= least, "{entries} of {what}");
}

#[test]
fn leaves() {
    open_many("leaves", MANY, |kind| matches!(kind, Kind::Leaf(..)).then_some(125_000));
}

#[test]
fn ands() {
    open_many("ANDs", MANY, |kind| (kind == Kind::And).then_some(1_000_000));
}

/// Small tables for the most part.
#[test]
fn tables() {
    open_many("tables", MANY, |kind| match kind {
        Kind::Table(_, bits @ 1..=4) => Some(220_000 >> bits.abs_diff(3)),
        Kind::Table(_, bits) => Some(64_000 >> (2 * (bits - 4))),
        _ => None,
    });
}

#[test]
fn duals() {
    open_many("dual bits", MANY, |kind| match kind {
        Kind::Dual(_, 16, _) => Some(4000),
        Kind::Dual(..) => Some(50_000),
        _ => None,
    });
}

/// Squares among them: a word's bits are as many transfers, so that this takes longest.
#[test]
fn products() {
    open_many("products", MANY, |kind| match kind {
        Kind::Product(32) => Some(640_000),
        Kind::Square(32) => Some(320_000),
        Kind::Product(_) | Kind::Square(_) => Some(20_000),
        _ => None,
    });
}

/// The kinds that programs spend.
#[derive(Default)]
struct Spent(BTreeSet<Kind>);

impl Task for Spent {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        _elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        if protocol.layout().bytes() > 0 {
            protocol.transfers(&mut |transfer| {
                self.0.insert(Kind::of(transfer));
            })?;
        }
        Ok(())
    }
}

/// What the programs of a ring spend; some of them need a dealer.
fn spent<R: Word>(spent: &mut Spent) {
    let x = &all_words::<R>(60, &mut rng(1))[..60];
    for f in [8, 12] {
        for function in Function::every(x.len(), f) {
            let function = function.by_ot().exactly();
            let data = function.data(x, x);
            let settings = <Function as Program<R>>::settings(&function);
            let mut engine = Offline::new(core::mem::take(spent), settings);
            let mut dealer = <Function as Program<R>>::dealer(&function, &data);
            let _ = run(function.run(&mut engine, &mut dealer));
            *spent = engine.into_task();
        }
    }
}

#[test]
fn programs_spend_no_other_kinds() {
    let mut all = Spent::default();
    spent::<u32>(&mut all);
    spent::<u64>(&mut all);
    assert!(all.0.len() > 25, "{} kinds are spent", all.0.len());
    let unknown: Vec<_> = all.0.difference(&kinds()).copied().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Any bit of either half that is off is seen where the entry depends on it.
#[test]
fn an_entry_that_is_wrong_is_seen() {
    let seed = printed_seed();
    let mut parties = Parties::new(seed);
    for kind in kinds() {
        let entries = kind.alone();
        let mut plan = Plan::default();
        plan.operation(&entries, 1).unwrap();
        let halves = parties.make(&plan);
        let (transfer, mut seen) = (entries.transfers[0], 0);
        for (party, bit) in
            (0..2).flat_map(|party| (0..8 * halves[0].len()).map(move |b| (party, b)))
        {
            let mut turned = halves.clone();
            turned[party][bit / 8] ^= 1 << (bit % 8);
            let [half_0, half_1] = &turned;
            seen += u32::from(!Opened::default().open(transfer, [half_0, half_1]));
        }
        assert!(seen >= 4, "{kind:?}: {seen}");
    }
}
