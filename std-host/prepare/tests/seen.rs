//! What either party sees of the other, while they prepare and afterwards, is uniform; and a mask
//! that is left out shows.
//!
//! | message | what hides it | tested |
//! |---|---|---|
//! | `meet`: the base sender's points | nothing: public keys, each fresh | - |
//! | `meet`: the base receiver's points | a random multiple | `ot`, `base/receiver.rs` |
//! | `begin`: 32 bytes | nothing: public randomness | - |
//! | `ask`: the plan's digest, the message's sum | nothing: of what both have | - |
//! | `ask`: sums of trees | base seeds | here; `ot`, `tree.rs` |
//! | `ask`: corrections of choices | streams of the leaves | here |
//! | `accept`: challenges | nothing: hashes, public randomness | - |
//! | `answer`: sums of choices and columns | the block that hides sums | `ot`, `columns.rs` |
//! | `verify`: corrections of products, squares, duals | the other string | here |
//! | online | records | here, and `tests/all/privacy` with a dealer's |
//! | ciphertexts | see there | `rlwe`, `fresh.rs`, `reply.rs`, `tests/all/seen.rs` |
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;

use rand_core::Rng;
use sha2::{Digest as _, Sha256};
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::offline::Usage;
use sharelet_core::functions::engine::party::Received;
use sharelet_core::share::Party;
use sharelet_ot::base::{Chosen, Pairs};
use sharelet_ot::extension::message_bytes;
use sharelet_prepare::{FieldBits, Kept, Made, Pair, Plan};
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram, bytes_bound};
use sharelet_testkit::programs::any::Origin;
use sharelet_testkit::programs::data::{Data, word};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::{printed_seed, rng, seed};

/// Bytes of a plan's digest, at the beginning of `ask`.
const DIGEST: usize = 32;
/// Bytes of the sum of a part of `ask`, at its end.
const SUM: usize = 16;
/// Bytes before base transfers that are kept, and of the sum behind them.
const HEAD: usize = 5;
const SEED: usize = 32;
const FIELDS: [FieldBits; 3] = [FieldBits::One, FieldBits::Two, FieldBits::Four];

fn meet(seed: u64) -> [Kept; 2] {
    let (message_0, beginning_0) = Kept::begin(&mut rng(seed));
    let (message_1, beginning_1) = Kept::begin(&mut rng(!seed));
    [beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap()]
}

/// What is left out of base transfers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Without {
    Nothing,
    /// All seeds are one: every tree has the same streams.
    Seeds,
    /// All choices are ones, and so the secret that tells a transfer's strings apart is zero.
    Secret,
}

/// Kept transfers, of which something is left out, in both directions.
fn kept(without: Without, seed: u64) -> [Kept; 2] {
    let honest = meet(seed);
    if without == Without::Nothing {
        return honest;
    }
    let mut bytes = honest.map(|kept| kept.to_bytes().unwrap().to_vec());
    let chosen = HEAD + Pairs::BYTES;
    for side in 0..2 {
        if without == Without::Seeds {
            bytes[side][HEAD..chosen].fill(7);
        }
        let pairs = bytes[side][HEAD..chosen].to_vec();
        let to = &mut bytes[1 - side][chosen..chosen + Chosen::BYTES];
        let (choices, seeds) = to.split_at_mut(16);
        choices.fill(0xff);
        for (to, pair) in seeds.chunks_mut(SEED).zip(pairs.chunks(2 * SEED)) {
            to.copy_from_slice(&pair[SEED..]);
        }
    }
    bytes.map(|mut bytes| {
        let content = bytes.len() - SEED;
        let sum = Sha256::digest(&bytes[..content]);
        bytes[content..].copy_from_slice(&sum);
        Kept::from_bytes(&bytes).unwrap()
    })
}

/// Both halves, and the messages of either party: `ask`, `accept`, `answer`, `verify`.
fn prepare(
    kept: &[Kept; 2],
    field: FieldBits,
    plan: &Plan,
    seed: u64,
) -> ([Made; 2], [[Vec<u8>; 4]; 2]) {
    let mut name = [0; 32];
    rng(seed).fill_bytes(&mut name);
    let [mut pair_0, mut pair_1] = [(Party::P0, &kept[0]), (Party::P1, &kept[1])]
        .map(|(party, kept)| Pair::new(party, kept, name, field));
    let ((ask_0, asked_0), (ask_1, asked_1)) =
        (pair_0.ask(plan).unwrap(), pair_1.ask(plan).unwrap());
    let ((accept_0, accepted_0), (accept_1, accepted_1)) =
        (asked_0.accept(&ask_1).unwrap(), asked_1.accept(&ask_0).unwrap());
    let ((answer_0, answered_0), (answer_1, answered_1)) =
        (accepted_0.answer(&accept_1).unwrap(), accepted_1.answer(&accept_0).unwrap());
    let (verify_0, verified_0) = answered_0.verify(&answer_1, &mut rng(seed ^ 2)).unwrap();
    let (verify_1, verified_1) = answered_1.verify(&answer_0, &mut rng(seed ^ 3)).unwrap();
    let made = [verified_0.finish(&verify_1).unwrap(), verified_1.finish(&verify_0).unwrap()];
    (made, [[ask_0, accept_0, answer_0, verify_0], [ask_1, accept_1, answer_1, verify_1]])
}

fn statistic(bytes: &[u8]) -> f64 {
    assert!(bytes.len() > 1500, "{} bytes", bytes.len());
    let mut histogram = Histogram::default();
    histogram.extend(bytes);
    histogram.against_uniform()
}

/// A plan of one function of so many equal words.
fn plan(function: &Function, elements: usize) -> Plan {
    let data = function.data(&vec![5_u32; elements], &vec![9; width(function) * elements]);
    u32::plan(&[(function, &data)]).unwrap()
}

/// Statistics of the sums of trees, and of the corrections, that either party sends.
fn asked(without: Without, field: FieldBits, seed: u64) -> Vec<[f64; 2]> {
    let kept = kept(without, seed);
    let plan = plan(&Function::Multiply(0).by_ot(), 100);
    let (_, sent) = prepare(&kept, field, &plan, seed);
    let trees_bytes = message_bytes(field, 1, true) - message_bytes(field, 1, false);
    let each = sent.iter().map(|[ask, ..]| {
        let (trees, corrections) = ask[DIGEST..ask.len() - SUM].split_at(trees_bytes);
        // Without a level below the first there are no sums.
        [if trees.is_empty() { f64::NAN } else { statistic(trees) }, statistic(corrections)]
    });
    each.collect()
}

#[test]
fn what_asks_for_transfers_is_uniform() {
    let seed = printed_seed();
    for field in FIELDS {
        for [trees, corrections] in asked(Without::Nothing, field, seed) {
            assert_eq!(trees.is_nan(), field == FieldBits::One);
            assert!(trees.is_nan() || trees < BYTES_BOUND, "{field:?}: {trees}");
            assert!(corrections < BYTES_BOUND, "{field:?}: {corrections}");
        }
        // Of streams that are the same in all trees nothing is left, and trees say the same.
        for [trees, corrections] in asked(Without::Seeds, field, seed) {
            assert!(trees.is_nan() || trees > 10.0 * BYTES_BOUND, "{field:?}: {trees}");
            assert!(corrections > 1000.0 * BYTES_BOUND, "{field:?}: {corrections}");
        }
    }
}

#[test]
fn proofs_are_uniform() {
    let seed = printed_seed();
    let kept = meet(seed);
    for field in FIELDS {
        let plan = plan(&Function::Relu.by_ot(), 100);
        for [_, _, answer, _] in prepare(&kept, field, &plan, seed).1 {
            let found = statistic(&answer);
            assert!(found < BYTES_BOUND, "{field:?}: {found}");
        }
    }
}

/// Corrections of everything that has some; without the secret they are the factors.
#[test]
fn corrections_of_words_are_uniform_and_show_factors_without_a_mask() {
    let seed = printed_seed();
    let functions = [
        Function::Choose { width: 2, other: true },
        Function::Relu,
        Function::Multiply(0),
        Function::Square,
    ];
    for function in functions.map(Function::by_ot) {
        let plan = plan(&function, 4000);
        let [masked, bare] = [Without::Nothing, Without::Secret]
            .map(|without| prepare(&kept(without, seed), FieldBits::Two, &plan, seed).1);
        let mut seen = 0;
        for ([_, _, _, masked], [_, _, _, bare]) in masked.iter().zip(&bare) {
            // A party that sends no such word.
            if masked.is_empty() {
                continue;
            }
            let [masked, bare] = [masked, bare].map(|message| statistic(message));
            assert!(masked < BYTES_BOUND, "{function:?}: {masked}");
            assert!(bare > 10.0 * BYTES_BOUND, "{function:?}: {bare}");
            seen += 1;
        }
        assert!(seen > 0, "{function:?}");
    }
}

const RUNS: usize = 1400;
/// Messages of bits are whole bytes.
const ELEMENTS: usize = 8;

/// Party, message, byte.
type Classes = BTreeMap<(usize, usize, usize), Histogram>;

/// Values beside each word.
fn width(function: &Function) -> usize {
    match function {
        Function::ByOt(function) => width(function),
        Function::Choose { width, .. } => *width,
        _ => 1,
    }
}

/// What passes online in a run with these halves of records.
fn add_run<R: Runs>(
    function: &Function,
    shares: &[Data<R>; 2],
    [half_0, half_1]: [&[u8]; 2],
    usage: &Usage,
    classes: &mut Classes,
) {
    let source_0 = Origin::Received(Received::made(Party::P0, half_0));
    let sources = (source_0, Received::made(Party::P1, half_1));
    let (_, sent) = R::between(function, sources, shares.clone(), usage);
    for (party, sent) in sent.iter().enumerate() {
        for (message, bytes) in sent.iter().enumerate() {
            for (at, &byte) in bytes.iter().enumerate() {
                classes.entry((party, message, at)).or_default().add(byte);
            }
        }
    }
}

/// What passes online, run after run on the same shares, on records that two parties have made.
fn online<R: Runs>(
    function: &Function,
    shares: &[Data<R>; 2],
    kept: &[Kept; 2],
    seed: u64,
) -> Classes {
    let data = &shares[0];
    let plan = R::plan(&vec![(function, data); RUNS]).unwrap();
    let (made, _) = prepare(kept, FieldBits::Two, &plan, seed);
    let halves = made.map(|made| made.into_records().1);
    let [halves_0, halves_1] = halves.each_ref().map(|half| half.chunks_exact(half.len() / RUNS));
    let usage = R::count(function, data).unwrap();
    let mut classes = Classes::default();
    for (half_0, half_1) in halves_0.zip(halves_1) {
        add_run(function, shares, [half_0, half_1], &usage, &mut classes);
    }
    classes
}

/// Shares of two inputs as different as can be; each party's are, too.
fn inputs<R: Runs>(function: &Function) -> [[Data<R>; 2]; 2] {
    let pattern = 0x5a5a_5a5a_5a5a_5a5a;
    [(0, pattern), (-(1 << 29), !pattern)].map(|(x, pattern)| {
        let [x, pattern] = [word::<R>(x), word::<R>(pattern)];
        let data = function.data(&[x; ELEMENTS], &vec![x; width(function) * ELEMENTS]);
        let mut shares = [data.clone(), data.blank()];
        let [of_0, of_1] = &mut shares;
        for (words_0, words_1) in [(&mut of_0.x, &mut of_1.x), (&mut of_0.y, &mut of_1.y)] {
            words_0.iter_mut().for_each(|word| *word = word.sub(pattern));
            words_1.iter_mut().for_each(|word| *word = pattern);
        }
        shares
    })
}

fn functions() -> Vec<Function> {
    let compare =
        Function::Compare { constants: vec![-3, 1000], folding: Folding::Direct, other: true };
    let functions = [
        Function::Relu,
        Function::ReluShift(12),
        Function::Truncate(12),
        Function::Choose { width: 2, other: true },
        compare,
        Function::Equal { constant: 0, other: false },
        Function::Multiply(0),
        Function::Square,
    ];
    functions.map(Function::by_ot).to_vec()
}

/// So many statistics that the seed is the same every day.
fn online_is_uniform<R: Runs>() {
    let seed = seed();
    let kept = meet(seed);
    for (number, function) in (0..).zip(functions()) {
        let [first, second] =
            inputs::<R>(&function).map(|shares| online(&function, &shares, &kept, seed ^ number));
        assert!(first.len() == second.len() && first.len() >= 2 * ELEMENTS);
        for ((class, a), b) in first.iter().zip(second.values()) {
            // Where one party has less to say than the other, its message is filled with zeros.
            let moving = a.moving_bits() | b.moving_bits();
            if moving == 0 {
                continue;
            }
            let of_each = [a, b].map(|found| found.against_uniform_on(moving));
            assert!(
                of_each.iter().all(|&found| found < bytes_bound(moving))
                    && a.against(b) < BYTES_BOUND,
                "{function:?}, k = {}: {class:?}: {of_each:?} {}",
                R::BITS,
                a.against(b)
            );
        }
    }
}

#[test]
fn what_is_seen_online_is_uniform_at_32_bits() {
    online_is_uniform::<u32>();
}

#[test]
fn what_is_seen_online_is_uniform_at_64_bits() {
    online_is_uniform::<u64>();
}

/// Without records the first message is what a party has, and later ones what follows from it.
#[test]
fn what_is_seen_online_without_records_is_not_uniform() {
    for function in functions() {
        for shares in inputs::<u32>(&function) {
            let usage = u32::count(&function, &shares[0]).unwrap();
            let none = vec![0; usize::try_from(usage.dealt_bytes).unwrap()];
            let mut classes = Classes::default();
            for _ in 0..300 {
                add_run(&function, &shares, [&none, &none], &usage, &mut classes);
            }
            for (class, histogram) in classes.iter().filter(|((_, message, _), _)| *message == 0) {
                let found = histogram.against_uniform();
                assert!(found > 100.0 * BYTES_BOUND, "{function:?}: {class:?}: {found}");
            }
        }
    }
}
