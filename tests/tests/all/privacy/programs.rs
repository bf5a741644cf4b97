//! Every byte that either party sends is uniform, whatever the input: a one-time pad lies over
//! everything.
//!
//! Eight equal elements, so that messages of bits are whole bytes, and two inputs as different as
//! can be; `P0` holds the input and `P1` zeros, so that nothing but the masks hides it. Bytes are
//! sorted by party, message and place; each class is held against the uniform distribution, and
//! against the same class under the other input. The seeds are fixed.

use std::collections::BTreeMap;

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::program::unary::Smooth;
use sharelet_testkit::programs::data::{Data, word};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::{Memory, Runs};

use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram, bytes_bound};

const RUNS: u64 = 1400;
const ELEMENTS: usize = 8;

/// Party, message, byte.
type Classes = BTreeMap<(usize, usize, usize), Histogram>;

fn add(classes: &mut Classes, sent: &[Vec<Vec<u8>>; 2]) {
    for (party, sent) in sent.iter().enumerate() {
        for (message, bytes) in sent.iter().enumerate() {
            for (at, &byte) in bytes.iter().enumerate() {
                classes.entry((party, message, at)).or_default().add(byte);
            }
        }
    }
}

fn functions() -> Vec<Function> {
    vec![
        Function::Relu.on_bits(),
        Function::Truncate(12).on_bits(),
        Function::Choose { width: 1, other: false }.on_bits(),
        Function::Compare { constants: vec![-3, 1000], folding: Folding::Direct, other: true }
            .on_bits(),
        Function::Equal { constant: 0, other: false }.on_bits(),
        Function::Relu.by_ot(),
        Function::ReluShift(12).by_ot(),
        Function::Truncate(12).by_ot(),
        Function::Choose { width: 2, other: true }.by_ot(),
        Function::Compare { constants: vec![-3, 1000], folding: Folding::Direct, other: true }
            .by_ot(),
        Function::Equal { constant: 0, other: false }.by_ot(),
        Function::Relu,
        Function::ReluShift(12),
        Function::Truncate(12),
        Function::Choose { width: 2, other: false },
        Function::Choose { width: 1, other: true },
        Function::Compare { constants: vec![-3, 0, 1000], folding: Folding::Direct, other: false },
        Function::Equal { constant: 0, other: false },
        Function::Segments(1, 5, vec![[0, 2, 3]]),
        Function::Smooth { function: Smooth::Sigmoid, f: 8, other: false },
        Function::Smooth { function: Smooth::Sigmoid, f: 8, other: false }.exactly(),
        Function::Within,
        Function::Rescale(12),
        Function::Convert(12),
        Function::Multiply(0),
        Function::Square,
        Function::MatrixMultiply(2, 4, 2),
    ]
}

/// Values beside each word.
fn width(function: &Function) -> usize {
    match function {
        Function::ByOt(function) => width(function),
        Function::Choose { width, .. } => *width,
        _ => 1,
    }
}

/// Gives `P1` something to hide, too: of every bit that it holds there is a one under one of the
/// inputs.
fn hold<R: Runs>([of_0, of_1]: &mut [Data<R>; 2], which: i64) {
    let pattern =
        word::<R>(if which == 0 { 0x5a5a_5a5a_5a5a_5a5a } else { !0x5a5a_5a5a_5a5a_5a5a });
    for (words_0, words_1) in [(&mut of_0.x, &mut of_1.x), (&mut of_0.y, &mut of_1.y)] {
        for (word_0, word_1) in words_0.iter_mut().zip(words_1.iter_mut()) {
            *word_0 = word_0.sub(pattern);
            *word_1 = word_1.add(pattern);
        }
    }
}

/// Shares of the input: `P0` has all of it. Its arguments lie in every function's domain.
fn inputs<R: Runs>(function: &Function) -> [[Data<R>; 2]; 2] {
    let pairs = match function {
        Function::Within => [(1 << 30, 0), ((1 << 31) - 1, -1)],
        _ => [(0, 0), (-(1 << 29), (1 << 29) - 1)],
    };
    pairs.map(|(x, y)| {
        let per_element = if width(function) == 2 { 2 } else { 1 };
        let data = function.data::<R>(&[word(x); ELEMENTS], &vec![word(y); per_element * ELEMENTS]);
        let mut shares = [data.clone(), data.blank()];
        if matches!(function, Function::ByOt(_)) {
            hold(&mut shares, y);
        }
        shares
    })
}

fn uniform<R: Runs>() {
    for (number, function) in (0..).zip(functions()) {
        let [first, second] = inputs::<R>(&function).map(|shares| {
            let (mut classes, dealer) = (Classes::default(), shares[0].blank());
            for run in 0..RUNS {
                // Another key for every run and function.
                let (shares, seed) = (shares.clone(), number * RUNS + run);
                let private = R::private_on(&function, shares, &dealer, Memory::Seeded, seed);
                add(&mut classes, &private.sent);
            }
            classes
        });
        assert!(first.len() >= 2 * ELEMENTS && first.len() == second.len());
        // Where one party has less to say than the other, its message is filled with zeros.
        let filled = matches!(function, Function::ByOt(_));
        for ((class, a), b) in first.iter().zip(second.values()) {
            let moving = a.moving_bits() | b.moving_bits();
            assert!(filled || moving == 0xff, "{function:?}, {class:?} never sets some bits");
            if moving == 0 {
                continue;
            }
            let on = |histogram: &Histogram| histogram.against_uniform_on(moving);
            let statistics = [on(a), on(b), a.against(b)];
            let case = format!(
                "{function:?}, k = {}: (party, message, byte) {class:?}: {statistics:?}",
                R::BITS
            );
            assert!(
                a.total() == RUNS
                    && statistics.iter().take(2).all(|&found| found < bytes_bound(moving))
                    && statistics.iter().all(|&statistic| statistic < BYTES_BOUND),
                "{case}"
            );
        }
    }
}

#[test]
fn every_byte_is_uniform_at_32_bits() {
    uniform::<u32>();
}

#[test]
fn every_byte_is_uniform_at_64_bits() {
    uniform::<u64>();
}

/// The same without masks: all correlations are zeros. Then `P0`'s first message is its input, and
/// the test would see it.
fn unmasked<R: Runs>() {
    for function in functions() {
        for shares in inputs::<R>(&function) {
            let mut classes = Classes::default();
            for _ in 0..300 {
                add(&mut classes, &R::unmasked(&function, shares.clone()));
            }
            let exploded = |(class, histogram): (&(usize, usize, usize), &Histogram)| {
                class.1 == 0 && histogram.against_uniform() > 100.0 * BYTES_BOUND
            };
            let first = classes.keys().filter(|class| class.1 == 0).count();
            let seen = classes.iter().filter(|&class| exploded(class)).count();
            assert_eq!(seen, first, "{function:?}, k = {}", R::BITS);
        }
    }
}

#[test]
fn without_masks_the_statistic_explodes() {
    unmasked::<u32>();
    unmasked::<u64>();
}

/// One bit of one byte that is a little off would be seen: every run's first byte with its lowest
/// bit cleared, one in four.
#[test]
fn a_small_bias_is_seen() {
    let function = Function::Square;
    let [shares, _] = inputs::<u32>(&function);
    let mut histogram = Histogram::default();
    for run in 0..4 * RUNS {
        let private =
            u32::private_on(&function, shares.clone(), &shares[0].blank(), Memory::Seeded, run);
        let byte = private.sent[0][0][0];
        histogram.add(if run % 4 == 0 { byte & 0xfe } else { byte });
    }
    assert!(histogram.against_uniform() > BYTES_BOUND, "{}", histogram.against_uniform());
}
