//! Programs without rounding: two parties give the twin's result, bit for bit.
//!
//! Words of all magnitudes, both sides of every power of two, and the ends of each function's
//! domain; every function under thousands of masks, with `P0`'s half from the keystream (even
//! seeds) and from memory (odd ones). Every run also checks its costs: see `programs::run`.

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::program::pool::Window;
use sharelet_testkit::programs::data::{all_words, shuffled, word, words};
use sharelet_testkit::programs::exact::exact;
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::rng;

sharelet_testkit::in_either_ring! {
    functions_of_one_argument: of_one_argument,
    /// The second implementation gives the same results.
    comparisons_without_tables: without_tables,
    comparisons_with_constants: bits,
    functions_of_two_arguments: of_two_arguments,
    largest_numbers: extremes,
    products_of_matrices: matrices,
}

const RANDOM: usize = 1500;

/// Both ways for `P0` to get its half.
fn twice<R: Runs>(function: &Function, x: &[R], y: &[R], seed: u64) {
    exact(function, x, y, 2 * seed);
    exact(function, x, y, 2 * seed + 1);
}

fn of_one_argument<R: Runs>() {
    let x = all_words::<R>(RANDOM, &mut rng(1));
    let top = R::pow2(R::BITS - 1).to_i64();
    let mut functions = vec![
        Function::Relu,
        Function::Abs,
        Function::Square,
        Function::Clamp(-1000, 70_000),
        Function::Clamp(top, -1 - top),
        Function::Clamp(3, 3),
        Function::Relu6(0),
        Function::Relu6(12),
        Function::Relu6(20),
        Function::Relu6(R::BITS - 4),
        Function::Segments(2, -7, vec![[top, 1, 1], [-5, -4, 2], [0, 3, -9], [-1 - top, 1, 0]]),
    ];
    functions.extend([0, 1, 8, 16, 20, R::BITS - 2].map(Function::ReluShift));
    functions.extend([1, 8, 16, 20, R::BITS - 2].map(Function::Truncate));
    for (seed, function) in (0..).zip(&functions) {
        twice(function, &x, &[], seed);
    }
}

fn without_tables<R: Runs>() {
    let mut rng = rng(21);
    let x = all_words::<R>(RANDOM / 3, &mut rng);
    let top = R::pow2(R::BITS - 1).to_i64();
    let functions = [
        Function::Relu,
        Function::ReluShift(0),
        Function::ReluShift(12),
        Function::Truncate(1),
        Function::Truncate(20),
        Function::Truncate(R::BITS - 2),
        Function::Abs,
        Function::Clamp(-1000, 70_000),
        Function::Relu6(12),
        Function::Segments(2, -7, vec![[top, 1, 1], [-5, -4, 2], [0, 3, -9], [-1 - top, 1, 0]]),
        Function::Compare {
            constants: vec![top, 0, 1 << 20, -1 - top],
            folding: Folding::Direct,
            other: true,
        },
        Function::Equal { constant: 1 << 20, other: false },
    ];
    for (seed, function) in (600..).zip(functions) {
        twice(&function.clone().on_bits(), &x, &[], seed);
        twice(&function.by_ot(), &x, &[], seed);
    }
    let (x, y) = (
        words::<R>(R::BITS - 2, RANDOM / 3, &mut rng),
        words::<R>(R::BITS - 2, RANDOM / 3, &mut rng),
    );
    let y = shuffled(&y, &mut rng);
    for (seed, function) in (620..).zip([
        Function::AtLeast,
        Function::Maximum,
        Function::Minimum,
        Function::EqualTo,
        Function::Select,
    ]) {
        twice(&function.clone().on_bits(), &x, &y, seed);
        twice(&function.by_ot(), &x, &y, seed);
    }
    let x = rows::<R>(60, 10, 7);
    for (seed, function) in (630..).zip([Function::Max, Function::ArgMax, Function::OneHot]) {
        twice(&function(10).on_bits(), &x, &[], seed);
        twice(&function(10).by_ot(), &x, &[], seed);
    }
}

fn bits<R: Runs>() {
    let mut x = all_words::<R>(RANDOM, &mut rng(2));
    let top = R::pow2(R::BITS - 1).to_i64();
    let many: Vec<i64> =
        words::<R>(R::BITS - 1, 0, &mut rng(0)).into_iter().map(R::to_i64).take(90).collect();
    for other in [false, true] {
        for (seed, constant) in (0..).zip([0, 1, -1, 1 << 20, top, -1 - top]) {
            x.extend([word::<R>(constant); 40]);
            twice(&Function::Equal { constant, other }, &x, &[], 50 + seed);
        }
        for (seed, folding) in (60..).zip([Folding::Direct, Folding::Staged]) {
            let constants = vec![top, 0, 1 << 20, -1 - top];
            twice(&Function::Compare { constants, folding, other }, &x, &[], seed);
            let constants = many.clone();
            twice(&Function::Compare { constants, folding, other }, &x[..400], &[], seed + 5);
        }
    }
}

fn of_two_arguments<R: Runs>() {
    let mut rng = rng(3);
    let x = all_words::<R>(RANDOM, &mut rng);
    let y = shuffled(&x, &mut rng);
    for (seed, function) in
        (100..).zip([Function::Multiply(0), Function::EqualTo, Function::Select])
    {
        twice(&function, &x, &y, seed);
    }
    let mut equal = y.clone();
    equal.iter_mut().zip(&x).step_by(3).for_each(|(y, &x)| *y = x);
    twice(&Function::EqualTo, &x, &equal, 104);
    // Differences that fit the ring.
    let (x, y) =
        (words::<R>(R::BITS - 2, RANDOM, &mut rng), words::<R>(R::BITS - 2, RANDOM, &mut rng));
    let y = shuffled(&y, &mut rng);
    for (seed, function) in (105..).zip([Function::AtLeast, Function::Maximum, Function::Minimum]) {
        twice(&function, &x, &y, seed);
        twice(&function, &x, &x, seed + 5);
    }
    for (width, other) in [(1, false), (3, true), (16, false), (2, true)] {
        let x = &x[x.len() - 400..];
        let values: Vec<R> = y.iter().copied().cycle().take(x.len() * width).collect();
        twice(&Function::Choose { width, other }, x, &values, 120 + width as u64);
    }
}

/// Rows of numbers whose differences stay below `2^31`, with ties, and equal rows.
fn rows<R: Runs>(rows: usize, columns: usize, seed: u64) -> Vec<R> {
    let mut rng = rng(seed);
    let numbers = shuffled(&words::<R>(30, rows * columns, &mut rng), &mut rng);
    let mut rows: Vec<R> = numbers.into_iter().take(rows * columns).collect();
    for row in rows.chunks_mut(columns).step_by(5) {
        row.fill(row[0]);
    }
    for row in rows.chunks_mut(columns).step_by(7) {
        row[columns - 1] = row[0];
    }
    // The widest difference.
    rows[0] = word((1 << 30) - 1);
    rows[columns - 1] = word(-(1 << 30));
    rows
}

fn extremes<R: Runs>() {
    for columns in [1, 2, 3, 7, 10, 16] {
        let x = rows::<R>(2000 / columns, columns, 7);
        for (seed, function) in
            (200..).zip([Function::Max, Function::Min, Function::ArgMax, Function::OneHot])
        {
            twice(&function(columns), &x, &[], seed + 10 * columns as u64);
        }
    }
    twice(&Function::OneHot(200), &rows::<R>(3, 200, 9), &[], 300);
    let image = rows::<R>(3 * 7, 9, 8);
    for (seed, (size, stride)) in
        (310..).zip([((2, 2), (2, 2)), ((3, 2), (1, 3)), ((7, 9), (1, 1)), ((1, 1), (2, 3))])
    {
        let window = Window { channels: 3, height: 7, width: 9, size, stride };
        twice(&Function::MaxPool(window), &image, &[], seed);
    }
    twice(&Function::Sum(9), &rows::<R>(100, 9, 8), &[], 320);
}

fn matrices<R: Runs>() {
    let mut rng = rng(11);
    for (seed, (rows, inner, columns)) in
        (400..).zip([(1, 1, 1), (1, 300, 1), (7, 5, 9), (20, 33, 17), (64, 2, 64)])
    {
        let (x, y) =
            (all_words::<R>(rows * inner, &mut rng), all_words::<R>(inner * columns, &mut rng));
        let (x, y) = (shuffled(&x, &mut rng), shuffled(&y, &mut rng));
        let (x, y) = (&x[..rows * inner], &y[..inner * columns]);
        twice(&Function::MatrixMultiply(rows, inner, columns), x, y, seed);
        let (x, mask) = (
            &x[..rows * inner],
            &shuffled(&all_words::<R>(rows * inner, &mut rng), &mut rng)[..rows * inner],
        );
        let vectors = &all_words::<R>(3 * inner, &mut rng)[..3 * inner];
        twice(&Function::FixedMatrix(rows, inner), &[x, vectors].concat(), mask, seed);
    }
}

/// A wider ring without a shift: exact where `|x| < 2^(k-2)`; a narrower one for every word.
#[test]
fn conversion_to_the_other_ring() {
    twice(&Function::Convert(0), &words::<u32>(30, 4 * RANDOM, &mut rng(12)), &[], 500);
    twice(&Function::Convert(0), &all_words::<u64>(4 * RANDOM, &mut rng(13)), &[], 501);
}
