//! Programs that truncate exactly: nothing is left to chance, whatever they compute and whatever
//! with.
//!
//! Every program, words of the whole ring. Two parties give the twin's result bit for bit, with
//! `P0`'s half from the keystream and from memory, under other masks; so does a twin that rounds by
//! chance wherever a protocol would; and the twin's result is the one of the twin with the other
//! kind of truncation. Every run also checks its costs: see `programs::run`.

use rand_core::Rng;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::program::pool::Window;
use sharelet_core::functions::program::unary::Smooth;
use sharelet_core::functions::tables;
use sharelet_testkit::programs::data::{Data, all_words, shuffled, word};
use sharelet_testkit::programs::exact::exact;
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::{printed_seed, rng};

sharelet_testkit::in_either_ring! {
    truncations_are_exact: truncations,
    smooth_functions_are_exact: smooth,
    functions_of_magnitude_are_exact: magnitudes,
    functions_of_rows_are_exact: of_rows,
    programs_that_never_round: others,
}

const FRAC_BITS: [u32; 4] = [8, 12, 16, 20];

/// Checks a program; whether it rounds at all shows with the other kind of truncation, where chance
/// must change results.
fn check<R: Runs>(function: &Function, rounds: bool, x: &[R], y: &[R], seed: u64) {
    let exactly = function.clone().exactly();
    exact(&exactly, x, y, 2 * seed);
    exact(&exactly, x, y, 2 * seed + 1);
    let twin = R::twin(&exactly, exactly.data(x, y)).unwrap();
    let results = |data: Data<R>| (data.out, data.other);
    let expected = results(twin);
    assert!(
        results(R::twin(function, function.data(x, y)).unwrap()) == expected,
        "{function:?}: the twins, seed {seed}"
    );
    for seed in seed..seed + 3 {
        assert!(
            results(R::rounded(&exactly, exactly.data(x, y), seed)) == expected,
            "{exactly:?}: chance, seed {seed}"
        );
    }
    let changed = results(R::rounded(function, function.data(x, y), seed)) != expected;
    assert_eq!(changed, rounds, "{function:?}, k = {}: whether chance shows, seed {seed}", R::BITS);
}

/// Words of all magnitudes, as many as there are whole rows of so many numbers.
fn rows<R: Runs>(columns: usize, seed: u64) -> Vec<R> {
    let mut rng = rng(seed);
    let mut words = shuffled(&all_words::<R>(200, &mut rng), &mut rng);
    // Rows of equal numbers, and ones whose numbers are no further apart than most functions of
    // rows allow.
    words.extend((0..2 * columns).map(|_| word::<R>(77)));
    words.extend((0..12 * columns).map(|_| R::from_u64(rng.next_u64()).sar(R::BITS - 22)));
    words.truncate(words.len() / columns * columns);
    words
}

fn truncations<R: Runs>() {
    let seed = printed_seed() >> 2;
    let mut rng = rng(seed);
    let x = all_words::<R>(400, &mut rng);
    let y = shuffled(&x, &mut rng);
    for shift in [1, 2, 12, 20, R::BITS - 2] {
        check(&Function::Rescale(shift), true, &x, &[], seed);
        check(&Function::Convert(shift), true, &x, &[], seed);
        check(&Function::Multiply(shift), true, &x, &y, seed);
    }
    let numbers: Vec<R> = x.iter().map(|x| x.sar(2)).collect();
    check(&Function::Convert(0), false, &numbers, &[], seed);
    for (slope, bits) in [(1, 8), (5, 3), (77, 7), (1000, 15)] {
        check(&Function::LeakyRelu(slope, bits), true, &x, &[], seed);
        // Without tables too.
        check(&Function::LeakyRelu(slope, bits).on_bits(), true, &x, &[], seed);
        check(&Function::LeakyRelu(slope, bits).by_ot(), true, &x, &[], seed);
    }
    let on_bits = [Function::Rescale(12), Function::Convert(12), Function::Multiply(12)];
    for function in on_bits {
        check(&function.clone().on_bits(), true, &x, &y, seed);
        check(&function.by_ot(), true, &x, &y, seed);
    }
}

/// Words of the ring, the table's ends, and all through its domain.
fn around<R: Runs>(low: i64, end: i64, seed: u64) -> Vec<R> {
    let mut rng = rng(seed);
    let mut x = all_words::<R>(60, &mut rng);
    x.extend([low, end].iter().flat_map(|at| (-3..3).map(move |step| word::<R>(at + step))));
    let width = u64::try_from(end - low).unwrap();
    x.extend((0..200).map(|_| word::<R>(low + i64::try_from(rng.next_u64() % width).unwrap())));
    x
}

fn smooth<R: Runs>() {
    let seed = printed_seed() >> 2;
    for f in FRAC_BITS {
        for function in Smooth::ALL {
            let spline = function.table(f).unwrap();
            let x = around::<R>(spline.low, spline.end(), seed);
            check(&Function::Smooth { function, f, other: false }, true, &x, &[], seed);
            if matches!(function, Smooth::Sigmoid | Smooth::Tanh | Smooth::Erf | Smooth::Exp) {
                check(&Function::Smooth { function, f, other: true }, true, &x, &[], seed);
            }
            // The table's own result, in the ring and outside its domain.
            let exactly = Function::Smooth { function, f, other: false }.exactly();
            let twin = R::twin(&exactly, exactly.data(&x, &[])).unwrap().out;
            for (x, out) in x.iter().zip(twin) {
                let case = format!("{function:?}, {f} fraction bits, of {x:?}, seed {seed}");
                assert_eq!(out.to_i64(), spline.eval(x.to_i64()), "{case}");
            }
        }
        let ends = [tables::exp_full32, tables::exp_middle, tables::exp_high]
            .map(|of| of(u8::try_from(f).unwrap()).unwrap());
        let last = if R::BITS == 32 { 1 } else { 3 };
        let x: Vec<R> =
            ends[..last].iter().flat_map(|table| around(table.low, table.end(), seed)).collect();
        check(&Function::Exp(f), true, &x, &[], seed);
    }
}

fn magnitudes<R: Runs>() {
    let seed = printed_seed() >> 2;
    let mut rng = rng(seed);
    let x = all_words::<R>(300, &mut rng);
    let y = shuffled(&x, &mut rng);
    for f in [1, 8, 12, 16, 20] {
        for function in [Function::Reciprocal, Function::Sqrt, Function::InvSqrt, Function::Ln] {
            check(&function(f), true, &x, &[], seed);
        }
        check(&Function::Divide(f), true, &x, &y, seed);
        let small: Vec<R> = x.iter().map(|x| x.sar(R::BITS / 2 - 4)).collect();
        check(&Function::Divide(f), true, &x, &small, seed);
    }
}

fn of_rows<R: Runs>() {
    let seed = printed_seed() >> 2;
    for (columns, f) in [(1, 8), (2, 12), (3, 16), (10, 8), (10, 12), (10, 16), (10, 20), (64, 20)]
    {
        let x = rows::<R>(columns, seed);
        check(&Function::Softmax(columns, f), true, &x, &[], seed);
        check(&Function::LogSoftmax(columns, f), true, &x, &[], seed);
        check(&Function::Variance(columns, f), columns > 1, &x, &[], seed);
        check(&Function::Mean(columns), !columns.is_power_of_two(), &x, &[], seed);
        check(&Function::LayerNorm(columns, f, 1, None), columns > 1, &x, &[], seed);
        let affine = Some([vec![(1 << f) + 77; columns], vec![-5; columns]]);
        check(&Function::LayerNorm(columns, f, 3, affine), columns > 1, &x, &[], seed);
        for function in [Function::Mean(columns), Function::Variance(columns, f)] {
            let rounds =
                columns > 1 && (function != Function::Mean(columns) || !columns.is_power_of_two());
            check(&function.on_bits(), rounds, &x, &[], seed);
        }
    }
    let window = Window { channels: 4, height: 6, width: 11, size: (3, 2), stride: (1, 1) };
    check(&Function::MeanPool(window), true, &rows::<R>(10, seed)[..4 * 6 * 11], &[], seed);
}

/// What never rounds does not change.
fn others<R: Runs>() {
    let seed = printed_seed() >> 2;
    let mut rng = rng(seed);
    let x = rows::<R>(10, seed);
    let y = shuffled(&x, &mut rng);
    let window = Window { channels: 3, height: 7, width: 9, size: (3, 2), stride: (1, 3) };
    let functions = [
        Function::Choose { width: 1, other: true },
        Function::Compare { constants: vec![-3, 0, 1000], folding: Folding::Staged, other: false },
        Function::Equal { constant: 77, other: false },
        Function::AtLeast,
        Function::EqualTo,
        Function::Select,
        Function::Relu,
        Function::ReluShift(12),
        Function::Truncate(12),
        Function::Multiply(0),
        Function::Rescale(0),
        Function::Maximum,
        Function::Minimum,
        Function::Segments(2, -7, vec![[-5, -4, 2], [0, 3, -9]]),
        Function::Abs,
        Function::Clamp(-1000, 70_000),
        Function::Relu6(12),
        Function::Square,
        Function::Max(10),
        Function::Min(10),
        Function::ArgMax(10),
        Function::OneHot(10),
        Function::Sum(10),
        Function::Mean(16),
    ];
    for function in functions {
        let x = if function == Function::Mean(16) { &x[..x.len() / 16 * 16] } else { &x };
        check(&function, false, x, &y, seed);
    }
    check(&Function::MaxPool(window), false, &x[..3 * 7 * 9], &[], seed);
    check(&Function::MatrixMultiply(8, 10, 5), false, &x[..80], &y[..50], seed);
    check(&Function::FixedMatrix(10, 5), false, &x[..100], &y[..50], seed);
}
