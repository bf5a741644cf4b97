//! Calls that cannot be served are refused at their beginning: no byte is sent, no correlation is
//! spent, nothing panics, and all engines give the same error.

use sharelet_core::functions::engine::EngineError;
use sharelet_core::functions::program::Need;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;
use sharelet_testkit::programs::data::{Data, word};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::link::{End, Stopped};
use sharelet_testkit::programs::refused::any;
use sharelet_testkit::programs::run::Runs;

sharelet_testkit::in_either_ring! {
    lengths_that_do_not_match: lengths,
    scratch_that_is_too_small: scratch,
    scales_and_shifts_out_of_range: scales,
}

/// What is refused does not depend on how truncations round.
fn both(function: &Function, data: &Data<impl Runs>) -> Result<(), StepError> {
    let done = any(function, data);
    assert_eq!(any(&function.clone().exactly(), data), done, "{function:?}");
    done
}

fn twelve<R: Runs>(function: &Function) -> Data<R> {
    let x: Vec<R> = (0..12).map(|i| word(i * 1000 - 5000)).collect();
    let y = if matches!(function, Function::FixedMatrix(..)) { &x[..9] } else { &x };
    function.data(&x, y)
}

fn lengths<R: Runs>() {
    for function in Function::every(12, 12) {
        let whole = twelve::<R>(&function);
        assert_eq!(both(&function, &whole), Ok(()), "{function:?}");
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
                assert!(
                    both(&function, &Data { y: vec![word(1); length], ..whole.clone() }).is_err()
                );
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
                let data = Data {
                    out: vec![R::ZERO; out],
                    other: vec![R::Other::ZERO; other],
                    ..whole.clone()
                };
                assert!(both(&function, &data).is_err());
            }
        }
        let empty = Data::<R> { room: whole.room, ..Data::default() };
        let _ = any(&function, &empty);
        let _ = any(&function, &Data::<R>::default());
    }
}

/// A word less than a program says that it needs, in any of the rings, or no scratch at all.
fn scratch<R: Runs>() {
    for function in Function::every(12, 12) {
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
                match both(&function, &Data { room, ..whole.clone() }) {
                    Err(StepError::ScratchTooSmall { needed_elems, .. }) => {
                        seen += usize::from(needed_elems > 0)
                    }
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
        assert!(
            seen > 0 || in_place || whole.room == Need::default(),
            "{function:?} does not use its scratch"
        );
    }
}

fn scales<R: Runs>() {
    let plausible = (0..=3).chain([7, 9, 10]).chain(19..=21).chain(29..=32).chain(61..=64);
    for f in plausible.chain([200, u32::MAX - 1, u32::MAX]) {
        for function in Function::every(12, f) {
            let done = both(&function, &twelve::<R>(&function));
            let must_fail = match function {
                Function::Smooth { .. }
                | Function::Exp(_)
                | Function::Softmax(..)
                | Function::LogSoftmax(..) => ![8, 12, 16, 20].contains(&f),
                Function::Reciprocal(_)
                | Function::Sqrt(_)
                | Function::InvSqrt(_)
                | Function::Ln(_)
                | Function::Divide(_)
                | Function::LayerNorm(..) => !(1..=20).contains(&f),
                Function::ReluShift(_) => f > R::BITS - 2,
                Function::Truncate(_) => f == 0 || f > R::BITS - 2,
                Function::Multiply(_)
                | Function::Rescale(_)
                | Function::Convert(_)
                | Function::LeakyRelu(..) => f > R::BITS - 2,
                Function::Relu6(_) => f > R::BITS - 4,
                Function::Variance(..) => f > 62,
                _ => false,
            };
            assert_eq!(done.is_err(), must_fail, "{function:?}, k = {}: {done:?}", R::BITS);
        }
    }
}

/// Too few correlations, or too little room for messages: refused by the first protocol that finds
/// out.
#[test]
fn correlations_and_message_buffers() {
    let (function, data) = (Function::Relu, twelve::<u32>(&Function::Relu));
    let usage = u32::count(&function, &data).unwrap();
    let dealt = vec![0; usize::try_from(usage.dealt_bytes).unwrap()];
    let run = |dealt: &[u8], work_bytes| {
        u32::alone(&function, &mut data.clone(), End::Nobody(0), dealt, work_bytes)
    };
    let (done, end, left) = run(&dealt[1..], usage.work_bytes);
    assert!(
        matches!((done, end), (Err(EngineError::Correlations(_)), End::Nobody(0)))
            && left == dealt.len() - 1
    );
    let (done, end, left) = run(&dealt, usage.work_bytes - 1);
    assert!(
        matches!((done, end), (Err(EngineError::WorkTooSmall { .. }), End::Nobody(0)))
            && left == dealt.len()
    );
    let (done, end, left) = run(&dealt, usage.work_bytes);
    assert!(matches!((done, end), (Err(EngineError::Link(Stopped)), End::Nobody(1))) && left == 0);
}
