//! Calls that cannot be served are refused at their beginning: no byte is sent, no correlation is spent, nothing panics,
//! and all engines give the same error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sharelet_core::correlation::cut::Folding;
use sharelet_core::engine::EngineError;
use sharelet_core::program::extreme::Window;
use sharelet_core::program::unary::Smooth;
use sharelet_core::program::{Need, choice, extreme, scaling, softmax, statistics, unary};
use sharelet_core::protocol::StepError;
use sharelet_core::protocol::compare::MAX_CONSTANTS;
use sharelet_core::ring::Ring;
use sharelet_tests::programs::data::{Data, word};
use sharelet_tests::programs::function::Function;
use sharelet_tests::programs::link::{End, Stopped};
use sharelet_tests::programs::run::Runs;

const DEALT_BYTES: usize = 1 << 20;
const WORK_BYTES: usize = 1 << 16;

/// What `P1` says, after a check that it did nothing, and that the dealer and the twin say the same.
fn refused<R: Runs>(function: &Function, data: &Data<R>) -> StepError {
    let dealt = vec![0; DEALT_BYTES];
    let case = format!("{function:?}, k = {}, {} of x, {} of y", R::BITS, data.x.len(), data.y.len());
    let (done, end, left_bytes) = R::alone(function, &mut data.clone(), End::Nobody(0), &dealt, WORK_BYTES);
    let Err(EngineError::Step(error)) = done else { panic!("{case}: {done:?}, {end:?}") };
    assert!(matches!(end, End::Nobody(0)), "{case}: {error:?}, but a message was sent");
    assert_eq!(left_bytes, DEALT_BYTES, "{case}: correlations were spent");
    assert_eq!(R::count(function, data), Err(error), "{case}: counting");
    assert_eq!(R::twin(function, data.clone()).err(), Some(error), "{case}: the twin");
    error
}

/// Serves a call, or refuses it; whichever, without a panic, and with a refusal before anything else.
fn any<R: Runs>(function: &Function, data: &Data<R>) -> Result<(), StepError> {
    match R::twin(function, data.clone()) {
        Ok(_) => R::count(function, data).map(|_| ()),
        Err(_) => Err(refused(function, data)),
    }
}

fn window(size: (usize, usize), stride: (usize, usize)) -> Window {
    Window { channels: 1, height: 3, width: 4, size, stride }
}

/// Every function, in a call of 12 elements that is served.
fn valid(f: u32) -> Vec<Function> {
    let knots = vec![[0, 1, 1]];
    let mut all = vec![
        Function::Choose { width: 1, other: false },
        Function::Choose { width: 1, other: true },
        Function::Compare { constants: vec![0, 5], folding: Folding::Direct, other: false },
        Function::Compare { constants: vec![0, 5], folding: Folding::Staged, other: true },
        Function::Equal { constant: 5, other: false },
        Function::Equal { constant: 5, other: true },
        Function::AtLeast,
        Function::EqualTo,
        Function::Select,
        Function::Relu,
        Function::ReluShift(f),
        Function::Truncate(f),
        Function::Multiply(f),
        Function::Rescale(f),
        Function::Convert(f),
        Function::Maximum,
        Function::Minimum,
        Function::Segments(1, 1, knots),
        Function::Abs,
        Function::Clamp(-3, 3),
        Function::Relu6(f),
        Function::LeakyRelu(1, f),
        Function::Square,
        Function::MatrixMultiply(3, 4, 3),
        Function::FixedMatrix(3, 3),
        Function::Exp(f),
        Function::Within,
        Function::Max(3),
        Function::Min(3),
        Function::ArgMax(3),
        Function::OneHot(3),
        Function::MaxPool(window((2, 2), (1, 1))),
        Function::MeanPool(window((3, 2), (1, 1))),
        Function::Reciprocal(f),
        Function::Sqrt(f),
        Function::InvSqrt(f),
        Function::Ln(f),
        Function::Divide(f),
        Function::Softmax(3, f),
        Function::LogSoftmax(3, f),
        Function::Sum(3),
        Function::Mean(3),
        Function::Variance(3, f),
        Function::LayerNorm(3, f, 1, None),
        Function::LayerNorm(3, f, 1, Some([vec![1; 3], vec![2; 3]])),
    ];
    all.extend(Smooth::ALL.map(|function| Function::Smooth { function, f, other: false }));
    all
}

fn twelve<R: Runs>(function: &Function) -> Data<R> {
    let x: Vec<R> = (0..12).map(|i| word(i * 1000 - 5000)).collect();
    let y = if matches!(function, Function::FixedMatrix(..)) { &x[..9] } else { &x };
    function.data(&x, y)
}

fn lengths<R: Runs>() {
    for function in valid(12) {
        let whole = twelve::<R>(&function);
        assert_eq!(any(&function, &whole), Ok(()), "{function:?}");
        let one_argument = !matches!(
            function,
            Function::Choose { .. }
                | Function::AtLeast
                | Function::EqualTo
                | Function::Select
                | Function::Multiply(_)
                | Function::Maximum
                | Function::Minimum
                | Function::MatrixMultiply(..)
                | Function::FixedMatrix(..)
                | Function::Divide(_)
        );
        let values = matches!(function, Function::Choose { .. } | Function::Select);
        if !one_argument && !matches!(function, Function::Choose { .. }) {
            for length in [0, 1, whole.y.len() - 1, whole.y.len() + 1, 100] {
                refused(&function, &Data { y: vec![word(1); length], ..whole.clone() });
            }
        }
        // In place: the results' length is the argument's.
        let in_place = match function {
            Function::Relu
            | Function::ReluShift(_)
            | Function::Truncate(_)
            | Function::Multiply(_)
            | Function::Rescale(_)
            | Function::Maximum
            | Function::Minimum
            | Function::Segments(..)
            | Function::Abs
            | Function::Clamp(..)
            | Function::Relu6(_)
            | Function::LeakyRelu(..)
            | Function::Square
            | Function::OneHot(_) => true,
            _ => values && matches!(function, Function::Select),
        };
        if !in_place {
            for change in [-1, 1, 50, -3] {
                let length = |old: usize| old.saturating_add_signed(change);
                let out = if whole.other.is_empty() { length(whole.out.len()) } else { 0 };
                let other = if whole.other.is_empty() { 0 } else { length(whole.other.len()) };
                let data = Data { out: vec![R::ZERO; out], other: vec![R::Other::ZERO; other], ..whole.clone() };
                refused(&function, &data);
            }
        }
        let empty = Data { x: vec![], y: vec![], out: vec![], other: vec![], ..whole.clone() };
        let _ = any(&function, &empty);
        let _ = any(&function, &Data { room: Need::default(), ..empty });
    }
}

#[test]
fn lengths_that_do_not_match() {
    lengths::<u32>();
    lengths::<u64>();
}

/// A word less than a program says that it needs, in any of the rings, or no scratch at all.
fn scratch<R: Runs>() {
    for function in valid(12) {
        let whole = twelve::<R>(&function);
        let Need { own_elems: own, narrow_elems: narrow, wide_elems: wide } = whole.room;
        let mut seen = 0;
        for less in [1, usize::MAX] {
            for room in [
                Need { own_elems: own.saturating_sub(less), ..whole.room },
                Need { narrow_elems: narrow.saturating_sub(less), ..whole.room },
                Need { wide_elems: wide.saturating_sub(less), ..whole.room },
                Need::default(),
            ] {
                match any(&function, &Data { room, ..whole.clone() }) {
                    Err(StepError::ScratchTooSmall { needed_elems, .. }) => seen += usize::from(needed_elems > 0),
                    done => assert_eq!(done, Ok(()), "{function:?}"),
                }
            }
        }
        // With tables, these work in place.
        let in_place = matches!(
            function,
            Function::Relu
                | Function::Maximum
                | Function::Minimum
                | Function::Segments(..)
                | Function::Abs
                | Function::Clamp(..)
                | Function::Relu6(_)
        );
        assert!(seen > 0 || in_place || whole.room == Need::default(), "{function:?} does not use its scratch");
    }
}

#[test]
fn scratch_that_is_too_small() {
    scratch::<u32>();
    scratch::<u64>();
}

fn scales<R: Runs>() {
    for f in [0, 1, 2, 3, 7, 9, 10, 19, 20, 21, 29, 30, 31, 32, 61, 62, 63, 64, 200, u32::MAX - 1, u32::MAX] {
        for function in valid(f) {
            let done = any(&function, &twelve::<R>(&function));
            let must_fail = match function {
                Function::Smooth { .. } | Function::Exp(_) | Function::Softmax(..) | Function::LogSoftmax(..) => {
                    ![8, 12, 16, 20].contains(&f)
                }
                Function::Reciprocal(_)
                | Function::Sqrt(_)
                | Function::InvSqrt(_)
                | Function::Ln(_)
                | Function::Divide(_)
                | Function::LayerNorm(..) => !(1..=20).contains(&f),
                Function::ReluShift(_) => f > R::BITS - 2,
                Function::Truncate(_) => f == 0 || f > R::BITS - 2,
                Function::Multiply(_) | Function::Rescale(_) | Function::Convert(_) | Function::LeakyRelu(..) => f > R::BITS - 2,
                Function::Relu6(_) => f > R::BITS - 4,
                Function::Variance(..) => f > 62,
                _ => false,
            };
            assert_eq!(done.is_err(), must_fail, "{function:?}, k = {}: {done:?}", R::BITS);
        }
    }
}

#[test]
fn scales_and_shifts_out_of_range() {
    scales::<u32>();
    scales::<u64>();
}

fn sizes<R: Runs>() {
    let huge = [0, 13, 1 << 16, (1 << 16) + 1, 1 << 31, usize::MAX / 2, usize::MAX - 1, usize::MAX];
    for size in huge {
        let functions = [
            Function::Choose { width: size, other: false },
            Function::Max(size),
            Function::Min(size),
            Function::ArgMax(size),
            Function::OneHot(size),
            Function::Softmax(size, 12),
            Function::LogSoftmax(size, 12),
            Function::Sum(size),
            Function::Mean(size),
            Function::Variance(size, 12),
            Function::LayerNorm(size, 12, 1, None),
            Function::MatrixMultiply(size, 4, 3),
            Function::MatrixMultiply(3, size, 3),
            Function::MatrixMultiply(3, 4, size),
            Function::MatrixMultiply(size, size, size),
            Function::FixedMatrix(size, 3),
            Function::FixedMatrix(3, size),
            Function::FixedMatrix(size, size),
            Function::MaxPool(window((size, 2), (1, 1))),
            Function::MeanPool(window((2, size), (1, 1))),
            Function::MaxPool(window((2, size), (1, size))),
            Function::MaxPool(Window { channels: size, ..window((2, 2), (1, 1)) }),
            Function::MeanPool(Window { height: size, ..window((1, 1), (1, 1)) }),
            Function::MaxPool(Window { channels: size, height: size, width: size, size: (1, 1), stride: (1, 1) }),
            Function::MeanPool(Window { channels: size, height: size, width: size, size: (size, size), stride: (size, size) }),
        ];
        for function in functions {
            let words = vec![R::ONE; 12];
            let room = Need { own_elems: 200, narrow_elems: 200, wide_elems: 200 };
            let data = Data { x: words.clone(), y: words.clone(), out: words, other: vec![], room };
            refused(&function, &data);
            let _ = any(&function, &Data::<R> { x: vec![], y: vec![], out: vec![], other: vec![], room });
        }
        // Of windows, the steps may be as large as one likes.
        if size > 0 {
            let stepping = Function::MaxPool(window((2, 2), (size, size)));
            assert_eq!(any(&stepping, &twelve::<R>(&stepping)), Ok(()));
        }
    }
    // More constants, knots, columns than a protocol takes.
    let compare = |count: usize| Function::Compare { constants: vec![1; count], folding: Folding::Direct, other: false };
    let one_hot = |columns| Function::OneHot(columns);
    for (function, elements, served) in [
        (compare(0), 12, false),
        (compare(MAX_CONSTANTS), 1, true),
        (compare(MAX_CONSTANTS + 1), 1, false),
        (Function::Segments(0, 0, vec![]), 12, false),
        (Function::Segments(0, 0, vec![[0, 1, 1]; 64]), 12, true),
        (Function::Segments(0, 0, vec![[0, 1, 1]; 65]), 12, false),
        (one_hot(MAX_CONSTANTS), MAX_CONSTANTS, true),
        (one_hot(MAX_CONSTANTS + 1), MAX_CONSTANTS + 1, false),
        (Function::Softmax(1024, 8), 1024, true),
        (Function::Softmax(1024, 20), 1024, true),
        (Function::Softmax(1025, 8), 1025, false),
        (Function::Clamp(3, 2), 12, false),
        (Function::LeakyRelu((1 << 8) + 1, 8), 12, false),
        (Function::LayerNorm(3, 8, 0, Some([vec![1; 3], vec![1; 2]])), 12, false),
        (Function::LayerNorm(3, 8, 0, Some([vec![], vec![1; 3]])), 12, false),
        (Function::LayerNorm(3, 8, u64::MAX, Some([vec![1; 3], vec![1; 3]])), 12, true),
    ] {
        let done = any(&function, &function.data(&vec![R::ONE; elements], &[]));
        assert_eq!(done.is_ok(), served, "{function:?}: {done:?}");
    }
}

#[test]
fn sizes_out_of_range() {
    sizes::<u32>();
    sizes::<u64>();
}

/// Sizes that no memory holds are told as such.
#[test]
fn needs_do_not_overflow() {
    for rows in [0, 1, 7, usize::MAX / 3, usize::MAX] {
        for columns in [0, 1, 3, 1024, 1 << 40, usize::MAX] {
            let all = [
                choice::need(rows),
                choice::segments_need(rows, columns),
                unary::exp_need::<u64>(rows),
                extreme::need(rows, columns),
                extreme::one_hot_need(rows, columns),
                scaling::reciprocal_need::<u32>(rows),
                scaling::root_need::<u64>(rows),
                scaling::divide_need::<u64>(rows),
                softmax::need(rows, columns),
                statistics::mean_need(rows),
                statistics::variance_need(rows, columns),
                statistics::layer_norm_need(rows, columns),
                Window { channels: rows, height: columns, width: columns, size: (1, 1), stride: (1, 1) }.need(),
            ];
            let words = |need: &Need| need.own_elems.max(need.narrow_elems).max(need.wide_elems);
            assert!(rows < 1 << 40 || all.iter().filter(|need| words(need) < rows).count() <= 2, "{all:?}");
        }
    }
}

/// Too few correlations, or too little room for messages: refused by the first protocol that finds out.
#[test]
fn correlations_and_message_buffers() {
    let (function, data) = (Function::Relu, twelve::<u32>(&Function::Relu));
    let usage = u32::count(&function, &data).unwrap();
    let dealt = vec![0; usize::try_from(usage.dealt_bytes).unwrap()];
    let run = |dealt: &[u8], work_bytes| u32::alone(&function, &mut data.clone(), End::Nobody(0), dealt, work_bytes);
    let (done, end, left) = run(&dealt[1..], usage.work_bytes);
    assert!(matches!((done, end), (Err(EngineError::Correlations(_)), End::Nobody(0))) && left == dealt.len() - 1);
    let (done, end, left) = run(&dealt, usage.work_bytes - 1);
    assert!(matches!((done, end), (Err(EngineError::WorkTooSmall { .. }), End::Nobody(0))) && left == dealt.len());
    let (done, end, left) = run(&dealt, usage.work_bytes);
    assert!(matches!((done, end), (Err(EngineError::Link(Stopped)), End::Nobody(1))) && left == 0);
}
