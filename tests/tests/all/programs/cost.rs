//! Messages of every program, as its documentation says, for either ring; that they, their bytes
//! and the dealer's are what is counted beforehand is part of every run (see `programs::run`).

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::offline::Usage;
use sharelet_core::functions::program::pool::Window;
use sharelet_core::functions::program::unary::Smooth;
use sharelet_testkit::programs::Program;
use sharelet_testkit::programs::data::{Data, word};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::{Memory, Runs};
use sharelet_testkit::rng;

fn compare(folding: Folding) -> Function {
    Function::Compare { constants: vec![-1, 0, 7], folding, other: false }
}

fn window(size: (usize, usize)) -> Window {
    Window { channels: 2, height: 4, width: 5, size, stride: (1, 1) }
}

/// Program, messages at `k = 32`, messages at `k = 64`.
fn documented() -> Vec<(Function, u64, u64)> {
    let smooth = |function| Function::Smooth { function, f: 12, other: false };
    let affine = || Some([vec![1 << 12; 10], vec![5; 10]]);
    let mut all = vec![
        (Function::Choose { width: 1, other: false }, 2, 3),
        (Function::Choose { width: 1, other: true }, 2, 3),
        (compare(Folding::Direct), 2, 3),
        (compare(Folding::Staged), 3, 3),
        (Function::Equal { constant: 3, other: false }, 2, 3),
        (Function::AtLeast, 2, 3),
        (Function::EqualTo, 2, 3),
        (Function::Select, 2, 3),
        (Function::Relu, 2, 3),
        (Function::ReluShift(12), 2, 3),
        (Function::Truncate(12), 2, 3),
        (Function::Multiply(12), 2, 2),
        (Function::Multiply(0), 1, 1),
        (Function::Rescale(12), 1, 1),
        (Function::Rescale(0), 0, 0),
        (Function::Convert(0), 1, 1),
        (Function::Maximum, 2, 3),
        (Function::Minimum, 2, 3),
        (Function::Segments(1, 2, vec![[0, 1, 1], [5, 6, 7]]), 2, 3),
        (Function::Abs, 2, 3),
        (Function::Clamp(-5, 5), 2, 3),
        (Function::Relu6(12), 2, 3),
        (Function::LeakyRelu(41, 12), 3, 4),
        (Function::Square, 1, 1),
        (Function::MatrixMultiply(4, 15, 4), 1, 1),
        // One for the matrix, one for all vectors.
        (Function::FixedMatrix(10, 5), 2, 2),
        (Function::Exp(12), 2, 6),
        (Function::Within, 2, 2),
        (Function::Max(10), 8, 8),
        (Function::Min(10), 8, 8),
        (Function::ArgMax(10), 8, 8),
        (Function::OneHot(10), 10, 10),
        (Function::Max(1), 0, 0),
        (Function::OneHot(1), 0, 0),
        (Function::Max(2), 2, 2),
        (Function::Max(3), 4, 4),
        (Function::MaxPool(window((2, 2))), 4, 4),
        (Function::MaxPool(window((3, 3))), 8, 8),
        (Function::MeanPool(window((2, 2))), 2, 3),
        (Function::MeanPool(window((3, 3))), 4, 4),
        (Function::Reciprocal(12), 8, 9),
        (Function::Sqrt(12), 8, 9),
        (Function::InvSqrt(12), 8, 9),
        (Function::Ln(12), 7, 8),
        (Function::Divide(12), 11, 11),
        (Function::Softmax(10, 12), 8 + 2 + 9, 8 + 2 + 9),
        (Function::LogSoftmax(10, 12), 8 + 2 + 6, 8 + 2 + 6),
        (Function::Sum(10), 0, 0),
        (Function::Mean(10), 4, 4),
        (Function::Mean(4), 2, 3),
        (Function::Mean(1), 0, 0),
        (Function::Variance(10, 12), 7, 7),
        (Function::Variance(4, 12), 7, 7),
        (Function::LayerNorm(10, 12, 1, None), 16, 16),
        (Function::LayerNorm(10, 12, 1, affine()), 17, 17),
        (Function::LayerNorm(4, 12, 1, None), 16, 16),
    ];
    all.extend(Smooth::ALL.map(|function| (smooth(function), 2, 3)));
    all.extend([
        (Function::Choose { width: 1, other: false }.on_bits(), 5, 5),
        (compare(Folding::Direct).on_bits(), 5, 5),
        (Function::Equal { constant: 3, other: false }.on_bits(), 5, 5),
        (Function::Select.on_bits(), 5, 5),
        (Function::Relu.on_bits(), 5, 5),
        (Function::ReluShift(12).on_bits(), 10, 10),
        (Function::Truncate(12).on_bits(), 5, 5),
        (Function::Maximum.on_bits(), 5, 5),
        (Function::Clamp(-5, 5).on_bits(), 6, 6),
        (Function::LeakyRelu(41, 12).on_bits(), 7, 7),
        (Function::Max(10).on_bits(), 20, 20),
        (Function::OneHot(10).on_bits(), 25, 25),
        (Function::Choose { width: 1, other: false }.by_ot(), 6, 7),
        (compare(Folding::Direct).by_ot(), 6, 7),
        (Function::Equal { constant: 3, other: false }.by_ot(), 6, 7),
        (Function::Select.by_ot(), 6, 7),
        (Function::Relu.by_ot(), 6, 7),
        (Function::ReluShift(12).by_ot(), 6, 7),
        (Function::Truncate(12).by_ot(), 6, 7),
        (Function::Rescale(12).by_ot(), 3, 3),
        (Function::Maximum.by_ot(), 6, 7),
        (Function::Clamp(-5, 5).by_ot(), 7, 8),
        (Function::LeakyRelu(41, 12).by_ot(), 10, 11),
        (Function::Max(10).by_ot(), 24, 24),
        (Function::OneHot(10).by_ot(), 30, 30),
        (smooth(Smooth::Sigmoid).by_ot(), 24, 23),
        (Function::Softmax(10, 12).by_ot(), 83, 86),
    ]);
    all
}

/// The same where all truncations are exact: what truncates, and what does not.
fn documented_exactly() -> Vec<(Function, u64, u64)> {
    let smooth = |function| Function::Smooth { function, f: 12, other: false };
    let affine = || Some([vec![1 << 12; 10], vec![5; 10]]);
    let mut all = vec![
        (Function::Relu, 2, 3),
        (Function::Truncate(12), 2, 3),
        (Function::Multiply(12), 3, 4),
        (Function::Multiply(0), 1, 1),
        (Function::Rescale(12), 2, 3),
        (Function::Rescale(0), 0, 0),
        // To a wider ring, or a narrower one.
        (Function::Convert(12), 3, 3),
        (Function::Convert(0), 1, 0),
        (Function::LeakyRelu(41, 12), 4, 6),
        (Function::Exp(12), 5, 9),
        (Function::MeanPool(window((2, 2))), 2, 3),
        (Function::MeanPool(window((3, 3))), 6, 6),
        (Function::Reciprocal(12), 15, 16),
        (Function::Sqrt(12), 15, 16),
        (Function::InvSqrt(12), 15, 16),
        (Function::Ln(12), 14, 15),
        (Function::Divide(12), 16, 18),
        (Function::Softmax(10, 12), 8 + 5 + 18, 8 + 5 + 18),
        (Function::LogSoftmax(10, 12), 8 + 5 + 13, 8 + 5 + 13),
        (Function::Mean(10), 6, 6),
        (Function::Mean(4), 2, 3),
        (Function::Variance(10, 12), 13, 13),
        (Function::Variance(4, 12), 13, 13),
        (Function::LayerNorm(10, 12, 1, None), 27, 27),
        (Function::LayerNorm(10, 12, 1, affine()), 29, 30),
        (Function::Rescale(12).on_bits(), 5, 5),
        (Function::LeakyRelu(41, 12).on_bits(), 11, 11),
    ];
    all.extend(Smooth::ALL.map(|function| (smooth(function), 5, 6)));
    all.into_iter().map(|(function, narrow, wide)| (function.exactly(), narrow, wide)).collect()
}

fn call<R: Runs>(function: &Function) -> Data<R> {
    let length = match function {
        Function::Exactly(function) => return call(function),
        Function::MaxPool(_) | Function::MeanPool(_) => 40,
        _ => 60,
    };
    let x: Vec<R> = (0..length).map(|i| word(i * 1000 - 5000)).collect();
    let y = if matches!(function, Function::FixedMatrix(..)) { &x[..50] } else { &x };
    function.data(&x, y)
}

fn messages<R: Runs>() {
    let mut off = Vec::new();
    for (seed, (function, narrow, wide)) in
        (0..).zip(documented().into_iter().chain(documented_exactly()))
    {
        let stated = if R::BITS == 32 { narrow } else { wide };
        let data = call::<R>(&function);
        let private = R::private(&function, &data, seed);
        println!("{function:?}, k = {}: {:?}", R::BITS, private.usage);
        if [private.usage.messages, private.sent[0].len() as u64, private.sent[1].len() as u64]
            != [stated; 3]
        {
            off.push((function, stated, private.usage.messages));
        }
    }
    assert_eq!(off, [], "function, messages as stated, messages as sent, k = {}", R::BITS);
}

#[test]
fn messages_are_those_of_the_documentation() {
    messages::<u32>();
    messages::<u64>();
}

/// Nothing to compute costs nothing.
#[test]
fn nothing_costs_nothing() {
    for (function, ..) in documented().into_iter().chain(documented_exactly()) {
        if let Function::Exactly(function) = &function
            && matches!(**function, Function::MeanPool(_))
        {
            continue;
        }
        if matches!(
            function,
            Function::MatrixMultiply(..)
                | Function::FixedMatrix(..)
                | Function::MaxPool(_)
                | Function::MeanPool(_)
        ) {
            continue;
        }
        let usage = u64::count(&function, &function.data(&[], &[])).unwrap();
        assert_eq!(usage, Usage::default(), "{function:?}");
    }
}

/// A program's cost does not depend on what it computes with, nor on where `P0` has its half; the
/// messages neither.
#[test]
fn both_kinds_of_memory_send_the_same() {
    let mut rng = rng(3);
    for function in [
        Function::Divide(12),
        Function::Softmax(10, 16),
        Function::LayerNorm(10, 16, 1, None),
        Function::Softmax(10, 16).exactly(),
    ] {
        let data = call::<u32>(&function);
        let shares = data.share(&mut rng);
        let run = |memory| {
            u32::private_on(&function, shares.clone(), &function.dealer(&data), memory, 77)
        };
        let (seeded, expanded) = (run(Memory::Seeded), run(Memory::Expanded));
        assert_eq!((seeded.sent, seeded.data), (expanded.sent, expanded.data), "{function:?}");
    }
}

/// Bytes of single protocols, from the sizes at the heads of their files.
#[test]
fn bytes_are_those_of_the_documentation() {
    let online = |function: &Function| {
        (
            u32::count(function, &call(function)).unwrap(),
            u64::count(function, &call(function)).unwrap(),
        )
    };
    let bytes = |function: &Function| {
        let (narrow, wide) = online(function);
        (narrow.online_bytes, wide.online_bytes)
    };
    assert_eq!(bytes(&Function::Multiply(0)), (60 * 8, 60 * 16));
    assert_eq!(bytes(&Function::Square), (60 * 4, 60 * 8));
    assert_eq!(bytes(&Function::Rescale(9)), (60 * 4, 60 * 8));
    assert_eq!(bytes(&Function::MatrixMultiply(4, 15, 4)), (120 * 4, 120 * 8));
    assert_eq!(bytes(&Function::FixedMatrix(10, 5)), (60 * 4, 60 * 8));
    let triples = online(&Function::Multiply(0));
    assert_eq!((triples.0.dealt_bytes, triples.1.dealt_bytes), (60 * 12, 60 * 24));
}
