//! Programs on correlations that two parties have made alone: the results are those of plaintext.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

use core::cell::RefCell;
use std::rc::Rc;

use embassy_futures::join::join;
use rand_core::Rng;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::party::Received;
use sharelet_core::functions::engine::{EngineError, Link};
use sharelet_core::functions::program::unary::Smooth;
use sharelet_core::share::Party;
use sharelet_core::step::StepError;
use sharelet_ot::OtError;
use sharelet_prepare::{Failed, FieldBits, Kept, Made, Pair, Plan, PrepareError, link};
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
use sharelet_testkit::programs::any::Origin;
use sharelet_testkit::programs::data::{Data, all_words};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::link::{End, Stopped, Wire};
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::{pipe, printed_seed, rng};

/// What both parties keep of each other.
fn meet(seed: u64) -> [Kept; 2] {
    let (message_0, beginning_0) = Kept::begin(&mut rng(seed));
    let (message_1, beginning_1) = Kept::begin(&mut rng(!seed));
    [beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap()]
}

/// Both parties' halves, and bytes that either sent.
fn prepare(pairs: &mut [Pair; 2], plan: &Plan, seed: u64) -> ([Made; 2], [usize; 2]) {
    let [pair_0, pair_1] = pairs;
    let ((ask_0, asked_0), (ask_1, asked_1)) =
        (pair_0.ask(plan).unwrap(), pair_1.ask(plan).unwrap());
    assert_eq!(asked_0.expected_bytes().unwrap(), ask_1.len());
    let ((accept_0, accepted_0), (accept_1, accepted_1)) =
        (asked_0.accept(&ask_1).unwrap(), asked_1.accept(&ask_0).unwrap());
    let ((answer_0, answered_0), (answer_1, answered_1)) =
        (accepted_0.answer(&accept_1).unwrap(), accepted_1.answer(&accept_0).unwrap());
    let (verify_0, verified_0) = answered_0.verify(&answer_1, &mut rng(seed)).unwrap();
    let (verify_1, verified_1) = answered_1.verify(&answer_0, &mut rng(seed ^ 1)).unwrap();
    let made = [verified_0.finish(&verify_1).unwrap(), verified_1.finish(&verify_0).unwrap()];
    let sent = [
        ask_0.len() + accept_0.len() + answer_0.len() + verify_0.len(),
        ask_1.len() + accept_1.len() + answer_1.len() + verify_1.len(),
    ];
    (made, sent)
}

fn exact<R: Runs>(pairs: &mut [Pair; 2], function: &Function, data: &Data<R>, seed: u64) {
    let plan = R::plan(&[(function, data)]).unwrap();
    let (made, _) = prepare(pairs, &plan, seed);
    runs(made, function, data, seed);
}

/// Runs a function on what was made for it.
fn runs<R: Runs>([made_0, made_1]: [Made; 2], function: &Function, data: &Data<R>, seed: u64) {
    let usage = R::count(function, data).unwrap();
    let [(party_0, records_0), (party_1, records_1)] = [made_0, made_1].map(Made::into_records);
    let halves = (Received::made(party_0, &records_0), Received::made(party_1, &records_1));
    let sources = (Origin::Received(halves.0), halves.1);
    let shares = data.share(&mut rng(seed ^ 0x5eed));
    let (outputs, _) = R::between(function, sources, shares, &usage);
    let expected = R::twin(function, data.clone()).unwrap();
    let open = |a: &[R], b: &[R]| -> Vec<R> { a.iter().zip(b).map(|(a, b)| a.add(*b)).collect() };
    let [a, b] = &outputs;
    assert!(open(&a.out, &b.out) == expected.out, "{function:?}, k = {}", R::BITS);
}

fn functions() -> Vec<Function> {
    vec![
        Function::Relu,
        Function::ReluShift(12),
        Function::ReluShift(20),
        Function::Truncate(12),
        Function::Choose { width: 3, other: false },
        Function::Choose { width: 1, other: true },
        Function::Compare { constants: vec![0, 5, -70], folding: Folding::Direct, other: false },
        Function::Equal { constant: 5, other: true },
        Function::AtLeast,
        Function::Maximum,
        Function::Max(6),
        Function::OneHot(6),
        Function::Multiply(12),
        Function::Multiply(0),
        Function::Square,
        Function::LeakyRelu(41, 12),
        Function::Clamp(-1000, 2000),
        Function::Abs,
        Function::Smooth { function: Smooth::Sigmoid, f: 12, other: false },
        Function::Smooth { function: Smooth::Gelu, f: 8, other: false },
        Function::Softmax(6, 12),
        Function::Reciprocal(12),
    ]
}

fn all<R: Runs>() {
    let seed = printed_seed();
    let [kept_0, kept_1] = meet(seed);
    let mut name = [0; 32];
    rng(seed).fill_bytes(&mut name);
    for field in [FieldBits::One, FieldBits::Two, FieldBits::Four] {
        let mut pairs = [
            Pair::new(Party::P0, &kept_0, name, field),
            Pair::new(Party::P1, &kept_1, name, field),
        ];
        name[0] ^= 1;
        for (number, function) in (0..).zip(functions()) {
            let mut x = all_words::<R>(60, &mut rng(seed ^ number));
            x.truncate(x.len() / 12 * 12);
            let each = if matches!(function, Function::Choose { width: 3, .. }) { 3 } else { 1 };
            let y: Vec<R> = (0..each).flat_map(|_| x.iter().rev().copied()).collect();
            let function = function.by_ot().exactly();
            exact(&mut pairs, &function, &function.data(&x, &y), seed ^ number);
        }
    }
}

#[test]
fn functions_of_32_bits() {
    all::<u32>();
}

#[test]
fn functions_of_64_bits() {
    all::<u64>();
}

/// Every function there is runs on transfers, bit for bit its twin, or says that it needs a dealer.
fn every<R: Runs>() {
    let seed = printed_seed();
    let [kept_0, kept_1] = meet(seed);
    let pair = |party, kept| Pair::new(party, kept, [3; 32], FieldBits::Two);
    let mut pairs = [pair(Party::P0, &kept_0), pair(Party::P1, &kept_1)];
    let x = &all_words::<R>(60, &mut rng(seed))[..60];
    let mut refused = Vec::new();
    for function in Function::every(x.len(), 12) {
        let function = function.by_ot().exactly();
        let is_fixed = format!("{function:?}").contains("FixedMatrix");
        let data = function.data(x, if is_fixed { &x[..9] } else { x });
        match R::plan(&[(&function, &data)]) {
            Err(EngineError::Step(StepError::NeedsDealer | StepError::NeedsTables)) => {
                refused.push(format!("{function:?}"));
            }
            Err(error) => panic!("{function:?}: {error:?}"),
            Ok(_) => exact(&mut pairs, &function, &data, seed),
        }
    }
    // Matrices are multiplied under encryption: see `sharelet_train::tensor::alone`.
    let known = ["MatrixMultiply", "FixedMatrix", "Divide", "Exp", "Within"];
    let unknown: Vec<_> =
        refused.iter().filter(|name| !known.iter().any(|known| name.contains(known))).collect();
    assert!(unknown.is_empty(), "{unknown:?} need a dealer");
}

#[test]
fn every_function_of_32_bits() {
    every::<u32>();
}

#[test]
fn every_function_of_64_bits() {
    every::<u64>();
}

/// A link on which bits of one message are changed.
struct Changing {
    end: End,
    /// Messages before that one.
    before: Option<usize>,
}

impl Link for Changing {
    type Error = Stopped;

    async fn exchange(
        &mut self,
        [first, second]: [&[u8]; 2],
        peer: [&mut [u8]; 2],
    ) -> Result<(), Stopped> {
        let mut first = first.to_vec();
        if self.before == Some(0) {
            // Of sums of a tree the peer reads every other one.
            first.iter_mut().step_by(16).for_each(|byte| *byte ^= 1);
        }
        self.before = self.before.and_then(|before| before.checked_sub(1));
        self.end.exchange([&first, second], peer).await
    }
}

/// Both parties prepare over a wire; `P0` changes bits of the message with this number.
fn prepare_linked(
    pairs: &mut [Pair; 2],
    plan: &Plan,
    seed: u64,
    changed: Option<usize>,
) -> [Result<Made, Failed<Stopped>>; 2] {
    let wire = Rc::new(RefCell::new(Wire::default()));
    let [end_0, mut end_1] = [0, 1].map(|side| End::Party(side, wire.clone()));
    let mut end_0 = Changing { end: end_0, before: changed };
    let [pair_0, pair_1] = pairs;
    let [mut rng_0, mut rng_1] = [seed, !seed].map(rng);
    let (made_0, made_1) = pipe::run(join(
        async {
            let made = link::prepare(pair_0, plan, &mut rng_0, &mut end_0).await;
            wire.borrow_mut().stop(0);
            made
        },
        async {
            let made = link::prepare(pair_1, plan, &mut rng_1, &mut end_1).await;
            wire.borrow_mut().stop(1);
            made
        },
    ));
    [made_0, made_1]
}

fn silent_pairs(kept: &[Kept; 2], name: u8) -> [Pair; 2] {
    let [kept_0, kept_1] = kept;
    let pair = |party, kept| Pair::new(party, kept, [name; 32], FieldBits::Four).silently();
    [pair(Party::P0, kept_0), pair(Party::P1, kept_1)]
}

/// Programs of all kinds, one after the other, of a pool of transfers in either direction: products
/// of so many that each crosses from one call to the next.
#[test]
fn silent_transfers_serve_many_programs() {
    let seed = printed_seed();
    let mut pairs = silent_pairs(&meet(seed), 1);
    for (number, size) in (0..).zip([10_000_usize, 60, 12_000, 60, 9_000]) {
        let words = all_words::<u64>(size, &mut rng(seed ^ number));
        let x = &words[..size];
        let functions = [
            Function::Multiply(12),
            Function::Relu,
            Function::Choose { width: 1, other: false },
            Function::Smooth { function: Smooth::Sigmoid, f: 12, other: false },
        ];
        // Products take 64 transfers for an element: the others are few.
        let functions = functions.into_iter().take(if size > 100 { 1 } else { 4 });
        for function in functions.map(|function| function.by_ot().exactly()) {
            let data = function.data(x, x);
            let plan = u64::plan(&[(&function, &data)]).unwrap();
            let made = prepare_linked(&mut pairs, &plan, seed ^ number, None);
            runs(made.map(Result::unwrap), &function, &data, seed ^ number);
        }
    }
}

/// A party that changes what it says is caught, or nobody has anything; and what is left is not
/// used again.
#[test]
fn who_cheats_in_silent_transfers_is_caught() {
    let (seed, function) = (printed_seed(), Function::Relu.by_ot());
    let data = function.data(&all_words::<u32>(60, &mut rng(1))[..60], &[]);
    let plan = u32::plan(&[(&function, &data)]).unwrap();
    // After the digest and the three messages of the extension: trees, challenge, proof.
    for (changed, party) in [(4, 1), (5, 0), (6, 1)] {
        let mut pairs = silent_pairs(&meet(seed), 2);
        let mut made = prepare_linked(&mut pairs, &plan, seed, Some(changed));
        let caught = made[party].as_ref().map(drop);
        let check = PrepareError::Transfer(OtError::Check);
        assert!(
            matches!(caught, Err(Failed::Prepare(error)) if *error == check),
            "{changed}: {caught:?}"
        );
        made = prepare_linked(&mut pairs, &plan, seed, None);
        let refused = made[party].as_ref().map(drop);
        assert!(matches!(refused, Err(Failed::Prepare(PrepareError::Lost))), "{refused:?}");
    }
    // Pools that are apart are refused by name.
    let mut pairs = silent_pairs(&meet(seed), 3);
    let _ = prepare_linked(&mut pairs, &plan, seed, None).map(Result::unwrap);
    pairs[1].rest();
    for refused in prepare_linked(&mut pairs, &plan, seed, None) {
        let refused = refused.map(drop);
        assert!(matches!(refused, Err(Failed::Prepare(PrepareError::OtherProgram))));
    }
}

/// What is kept serves after a while on a disk.
#[test]
fn kept_transfers_are_written_and_read() {
    let seed = printed_seed();
    let kept = meet(seed).map(|kept| Kept::from_bytes(&kept.to_bytes().unwrap()).unwrap());
    let [pair_0, pair_1] = [(Party::P0, &kept[0]), (Party::P1, &kept[1])]
        .map(|(party, kept)| Pair::new(party, kept, [3; 32], FieldBits::Two));
    let function = Function::Relu.by_ot();
    let data = function.data(&all_words::<u32>(100, &mut rng(seed)), &[]);
    exact(&mut [pair_0, pair_1], &function, &data, seed);
    let bytes = kept[0].to_bytes().unwrap();
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(Kept::from_bytes(&bytes[..cut]).unwrap_err(), PrepareError::Kept);
    }
    for place in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.to_vec();
        damaged[place] ^= 4;
        assert_eq!(Kept::from_bytes(&damaged).unwrap_err(), PrepareError::Kept, "byte {place}");
    }
}

/// Programs follow each other in a session, also after one that takes no transfers at all, or none
/// in one direction.
#[test]
fn programs_follow_each_other_in_a_session() {
    let seed = printed_seed();
    let [kept_0, kept_1] = meet(seed);
    let x = all_words::<u32>(40, &mut rng(seed));
    let mut pairs = [
        Pair::new(Party::P0, &kept_0, [7; 32], FieldBits::Two),
        Pair::new(Party::P1, &kept_1, [7; 32], FieldBits::Two),
    ];
    for function in [Function::Sum(1), Function::Square, Function::Relu, Function::Multiply(0)] {
        let function = function.by_ot();
        exact(&mut pairs, &function, &function.data(&x, &x), seed);
    }
}

/// What both send while they prepare is uniform, whatever was asked for: corrections of all kinds.
#[test]
fn corrections_are_uniform() {
    let seed = printed_seed();
    for function in
        [Function::Choose { width: 3, other: true }, Function::Multiply(0), Function::Square]
    {
        let [kept_0, kept_1] = meet(seed);
        let x = vec![5_u32; 12_000];
        let each = if matches!(function, Function::Choose { .. }) { 3 } else { 1 };
        let function = function.by_ot();
        let plan = u32::plan(&[(&function, &function.data(&x, &vec![9; each * x.len()]))]).unwrap();
        let [mut pair_0, mut pair_1] = [(Party::P0, &kept_0), (Party::P1, &kept_1)]
            .map(|(party, kept)| Pair::new(party, kept, [3; 32], FieldBits::Four));
        let ((ask_0, asked_0), (ask_1, asked_1)) =
            (pair_0.ask(&plan).unwrap(), pair_1.ask(&plan).unwrap());
        let ((accept_0, accepted_0), (accept_1, accepted_1)) =
            (asked_0.accept(&ask_1).unwrap(), asked_1.accept(&ask_0).unwrap());
        let ((answer_0, answered_0), (answer_1, answered_1)) =
            (accepted_0.answer(&accept_1).unwrap(), accepted_1.answer(&accept_0).unwrap());
        let sent = [
            answered_0.verify(&answer_1, &mut rng(seed)).unwrap().0,
            answered_1.verify(&answer_0, &mut rng(!seed)).unwrap().0,
            // Behind the digest.
            ask_0[32..].to_vec(),
            ask_1[32..].to_vec(),
        ];
        for bytes in sent.iter().filter(|bytes| bytes.len() > 20_000) {
            let mut histogram = Histogram::default();
            histogram.extend(bytes);
            let found = histogram.against_uniform();
            assert!(found < BYTES_BOUND, "{function:?}: {found} of {} bytes", bytes.len());
        }
    }
}

/// Both halves of a record that was made are uniform, and so are words that belong to one transfer
/// beside each other: nothing that a party learns of one tells of another.
#[test]
fn records_are_uniform() {
    let seed = printed_seed();
    let [kept_0, kept_1] = meet(seed);
    let function = Function::Choose { width: 3, other: false }.by_ot();
    let x = vec![5_u64; 6000];
    let data = function.data(&x, &vec![9; 3 * x.len()]);
    let plan = u64::plan(&[(&function, &data)]).unwrap();
    let mut pairs = [
        Pair::new(Party::P0, &kept_0, [3; 32], FieldBits::Two),
        Pair::new(Party::P1, &kept_1, [3; 32], FieldBits::Two),
    ];
    let (made, _) = prepare(&mut pairs, &plan, seed);
    let bytes = usize::try_from(plan.record_bytes()).unwrap() / x.len();
    for (_, records) in made.map(Made::into_records) {
        // The words: the dual bit as a number, and three pairs of a mask and its product.
        let first = bytes - 8 * 7;
        for word in 0..7 {
            let mut histogram = Histogram::default();
            let mut beside = Histogram::default();
            let next = (word + 1) % 7;
            for record in records.chunks_exact(bytes) {
                histogram.extend(&record[first + 8 * word..][..8]);
                beside.add(record[first + 8 * word] ^ record[first + 8 * next]);
            }
            for found in [histogram.against_uniform(), beside.against_uniform()] {
                assert!(found < BYTES_BOUND, "word {word}: {found}");
            }
        }
    }
}

/// A peer with another program of the very same sizes.
#[test]
fn other_orders_are_refused() {
    let [kept_0, kept_1] = meet(printed_seed());
    let x = [7_u32; 30];
    let [ours, theirs] = [[12, 13], [13, 12]].map(|shifts| {
        let [first, second] = shifts.map(|shift| Function::Truncate(shift).by_ot());
        let data = first.data(&x, &[]);
        u32::plan(&[(&first, &data), (&second, &data)]).unwrap()
    });
    let mut pair_0 = Pair::new(Party::P0, &kept_0, [1; 32], FieldBits::Two);
    let mut pair_1 = Pair::new(Party::P1, &kept_1, [1; 32], FieldBits::Two);
    let ((_, asked), (message, _)) = (pair_0.ask(&ours).unwrap(), pair_1.ask(&theirs).unwrap());
    assert_eq!(asked.accept(&message).unwrap_err(), PrepareError::OtherProgram);
}

/// Programs that need a dealer are refused before anything is sent.
#[test]
fn tables_are_refused() {
    for function in [Function::Relu, Function::Divide(12).by_ot(), Function::Sqrt(12)] {
        let data = function.data(&all_words::<u32>(60, &mut rng(1))[..60], &[]);
        let refused = u32::plan(&[(&function, &data)]).unwrap_err();
        assert!(
            matches!(refused, EngineError::Step(StepError::NeedsDealer | StepError::NeedsTables)),
            "{function:?}: {refused:?}"
        );
    }
}

/// A peer with another program, or a message that is damaged.
#[test]
fn other_programs_and_damaged_messages_are_refused() {
    let seed = printed_seed();
    let [kept_0, kept_1] = meet(seed);
    let function = Function::Relu.by_ot();
    let x = all_words::<u32>(100, &mut rng(seed));
    let ours = u32::plan(&[(&function, &function.data(&x, &[]))]).unwrap();
    let theirs = u32::plan(&[(&function, &function.data(&x[1..], &[]))]).unwrap();
    let mut session = [0; 32];
    let mut pairs = |field| {
        session[0] += 1;
        [
            Pair::new(Party::P0, &kept_0, session, field),
            Pair::new(Party::P1, &kept_1, session, field),
        ]
    };
    let [mut pair_0, mut pair_1] = pairs(FieldBits::Two);
    let (_, asked) = pair_0.ask(&ours).unwrap();
    let (message, _) = pair_1.ask(&theirs).unwrap();
    assert_eq!(asked.accept(&message).unwrap_err(), PrepareError::OtherProgram);
    // The digest alone is not enough.
    let [mut pair_0, mut pair_1] = pairs(FieldBits::Two);
    let (_, asked) = pair_0.ask(&ours).unwrap();
    let (message, _) = pair_1.ask(&ours).unwrap();
    let refused = asked.accept(&message[..message.len() - 1]).unwrap_err();
    assert!(matches!(refused, PrepareError::Length { .. }), "{refused}");

    // Every message with one bit turned, at some places of each.
    let mut rng = rng(seed);
    for message in 0..4 {
        for _ in 0..6 {
            let kept = meet(rng.next_u64());
            let [mut pair_0, mut pair_1] = [(Party::P0, &kept[0]), (Party::P1, &kept[1])]
                .map(|(party, kept)| Pair::new(party, kept, [2; 32], FieldBits::Two));
            let turned = exchange(&mut pair_0, &mut pair_1, &ours, Some((message, rng.next_u32())));
            match turned {
                Err(PrepareError::OtherProgram) => assert_eq!(message, 0),
                Err(PrepareError::Transfer(OtError::Check)) => {
                    // Never again with these.
                    // A wrong challenge lets the other see a wrong proof.
                    let refused = kept[usize::from(message == 1)].to_bytes().unwrap_err();
                    assert_eq!(refused, PrepareError::Transfer(OtError::Check));
                    let mut again = [(Party::P0, &kept[0]), (Party::P1, &kept[1])]
                        .map(|(party, kept)| Pair::new(party, kept, [9; 32], FieldBits::Two));
                    let [pair_0, pair_1] = &mut again;
                    assert!(exchange(pair_0, pair_1, &ours, None).is_err());
                }
                Err(PrepareError::Transfer(_)) => {}
                // Corrections are not checked: a wrong one is a wrong result of whoever sent it.
                Ok(()) => assert_eq!(message, 3),
                Err(other) => panic!("message {message}: {other}"),
            }
        }
    }
    let [mut pair_0, mut pair_1] = pairs(FieldBits::Four);
    exchange(&mut pair_0, &mut pair_1, &ours, None).unwrap();
}

/// All messages, of which one of party 1 may have a bit turned.
fn exchange(
    pair_0: &mut Pair,
    pair_1: &mut Pair,
    plan: &Plan,
    turn: Option<(usize, u32)>,
) -> Result<(), PrepareError> {
    let damaged = |number: usize, mut message: Vec<u8>| {
        if let Some((_, bit)) = turn.filter(|(turned, _)| *turned == number) {
            let bit = bit as usize % (8 * message.len());
            message[bit / 8] ^= 1 << (bit % 8);
        }
        message
    };
    let (ask_0, asked_0) = pair_0.ask(plan)?;
    let (ask_1, asked_1) = pair_1.ask(plan)?;
    let (accept_0, accepted_0) = asked_0.accept(&damaged(0, ask_1))?;
    let (accept_1, accepted_1) = asked_1.accept(&ask_0)?;
    let (answer_0, answered_0) = accepted_0.answer(&damaged(1, accept_1))?;
    let (answer_1, answered_1) = accepted_1.answer(&accept_0)?;
    let (verify_0, verified_0) = answered_0.verify(&damaged(2, answer_1), &mut rng(1))?;
    let (verify_1, verified_1) = answered_1.verify(&answer_0, &mut rng(2))?;
    verified_0.finish(&damaged(3, verify_1))?;
    verified_1.finish(&verify_0)?;
    Ok(())
}
