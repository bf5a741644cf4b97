//! Programs on rows of numbers: variance, layer normalisation, softmax. Two parties stay within a
//! distance of the twin that is derived at each test; layer normalisation, where a unit of the mean
//! may be large, within one of the real function.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

use sharelet_core::functions::program::statistics;
use sharelet_core::functions::tables;
use sharelet_core::ring::Ring;
use sharelet_testkit::programs::data::{shuffled, word, words};
use sharelet_testkit::programs::exact::{exact, results, within};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::rng;

sharelet_testkit::in_either_ring! {
    variance: variances,
    layer_normalisation: layer_norms,
    softmax: softmaxes,
}

/// Rows of numbers below `2^bits`, every row of a magnitude of its own, the first ones of equal and
/// of nearly equal numbers.
fn rows<R: Ring>(count: usize, columns: usize, bits: u32, seed: u64) -> Vec<R> {
    let mut rng = rng(seed);
    let numbers = shuffled(&words::<R>(bits, count * columns, &mut rng), &mut rng);
    let mut numbers = numbers[..count * columns].to_vec();
    for (row, drop) in numbers.chunks_mut(columns).zip((0..bits).cycle()) {
        row.iter_mut().for_each(|x| *x = x.sar(drop));
    }
    for (row, value) in
        numbers.chunks_mut(columns).zip([0, 1, -1, (1 << bits) - 1, -(1 << bits), 77, -12345])
    {
        row.fill(word(value));
    }
    for row in numbers.chunks_mut(columns).skip(7).take(3) {
        row.fill(word(500));
        row[0] = word(501);
    }
    numbers
}

/// A row as a program sees it whose numbers saturate.
fn saturated<R: Ring>(row: &[R], limit: u64) -> Vec<i64> {
    let limit = i64::try_from(limit).unwrap();
    row.iter().map(|x| x.to_i64().clamp(-limit, limit)).collect()
}

/// Words of the whole ring, and rows that are as far apart as it goes.
fn whole_ring<R: Ring>(count: usize, columns: usize, seed: u64) -> Vec<R> {
    let mut x = rows::<R>(count, columns, R::BITS - 2, seed);
    let ends = [R::pow2(R::BITS - 1), R::pow2(R::BITS - 1).sub(R::ONE)];
    for (number, row) in x.chunks_mut(columns).enumerate().skip(12).take(12) {
        row.iter_mut()
            .enumerate()
            .for_each(|(at, x)| *x = ends[usize::from((at + number) % 3 == 0)]);
    }
    x
}

/// The mean's unit changes the sum of `n` squared deviations by at most `n` units of `2^-2f`
/// (three, where `1/n` is rounded), less than a unit after the truncation; that may be a unit high,
/// as may the last.
fn variances<R: Runs>() {
    for (seed, (columns, f)) in
        (0..).zip([(1, 12), (2, 8), (3, 12), (10, 16), (64, 20), (100, 8), (1000, 12)])
    {
        let (count, function) = (1500 / columns.min(10), Function::Variance(columns, f));
        for x in [
            rows::<R>(count, columns, (29 + f) / 2, seed),
            whole_ring::<R>(count, columns, seed + 20),
        ] {
            if columns == 1 {
                exact(&function, &x, &[], seed)
            } else {
                within(&function, &x, &[], seed, |_, _| (1, 2))
            }
            // The twin, and so the parties, against the definition.
            let twin = R::twin(&function, function.data(&x, &[])).unwrap().out;
            for (row, found) in x.chunks(columns).zip(twin) {
                let row = saturated(row, statistics::variance_limit::<R>(columns, f));
                let n = columns as f64;
                let mean = row.iter().map(|&x| x as f64).sum::<f64>() / n;
                let variance = row.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>()
                    / n
                    / f64::from(1_u32 << f);
                let allowed = 2.0 + variance * f64::powi(2.0, -20);
                assert!(
                    (found.to_i64() as f64 - variance).abs() <= allowed,
                    "{function:?}: {variance} but {found:?} of {row:?}"
                );
            }
        }
    }
}

/// What the function is if the mean is so many units off: `None` where nothing is divided by
/// nothing.
fn normalised(row: &[i64], off: i64, f: u32, epsilon: u64) -> Option<Vec<f64>> {
    let mean = row.iter().sum::<i64>().div_euclid(row.len() as i64) + off;
    let squares = row.iter().map(|x| i128::from(x - mean).pow(2)).sum::<i128>()
        + i128::from(epsilon) * row.len() as i128;
    let scale = f64::from(1_u32 << f) / (squares as f64 / row.len() as f64).sqrt();
    (squares > 0).then(|| row.iter().map(|x| (x - mean) as f64 * scale).collect())
}

fn layer_norms<R: Runs>() {
    let shapes = [(2, 12, 0), (3, 8, 5), (8, 16, 0), (10, 12, 0), (64, 20, 1000), (100, 16, 1)];
    for (seed, (columns, f, epsilon)) in (100..).zip(shapes) {
        let count = 1000 / columns.min(10);
        let mut x = rows::<R>(count, columns, 26, seed);
        x.extend(whole_ring::<R>(count, columns, seed + 20));
        let (gain, offset): (Vec<i64>, Vec<i64>) =
            (0..columns as i64).map(|i| ((i - 1) << (f - 1), i * 1000)).unzip();
        for affine in [None, Some([gain, offset])] {
            // The domain: results are below sqrt(n), gains below n / 2.
            if affine.is_some()
                && 2 * f + usize::ilog2(columns * columns * columns).div_ceil(2) > R::BITS - 3
            {
                continue;
            }
            let function = Function::LayerNorm(columns, f, epsilon, affine.clone());
            let results = results(&function, &x, &[], seed);
            for (index, (row, found)) in
                x.chunks(columns).zip(results.private.chunks(columns)).enumerate()
            {
                let row = &saturated(row, statistics::layer_norm_limit(columns));
                let near = |off: i64| {
                    let exact = normalised(row, off, f, epsilon);
                    found.iter().enumerate().all(|(at, &found)| {
                        let (gain, offset) = match &affine {
                            Some([gain, offset]) => {
                                (gain[at] as f64 / f64::from(1_u32 << f), offset[at])
                            }
                            None => (1.0, 0),
                        };
                        let exact = exact.as_ref().map_or(0.0, |exact| exact[at]);
                        // 2^-21 of the result, and two truncations.
                        let allowed = (exact.abs() * f64::powi(2.0, -20) + 2.0) * gain.abs() + 1.5;
                        (found as f64 - offset as f64 - exact * gain).abs() <= allowed
                    })
                };
                // The mean's unit.
                assert!(
                    (-1..=1).any(near),
                    "{}, row {index}: {row:?} gave {found:?}",
                    results.case
                );
            }
        }
    }
}

/// Scores that span `2^bits` units.
fn scores<R: Runs>(count: usize, columns: usize, f: u32, seed: u64) -> Vec<R> {
    let mut x = rows::<R>(count, columns, f + 4, seed);
    // Beyond everything that the exponential knows, and the widest difference.
    for row in x.chunks_mut(columns).skip(20).take(4) {
        row[columns / 2] = word((1 << 30) - 1);
        row[0] = word(-(1 << 30));
    }
    x
}

/// Every exponential, and so a sum of `n`, may be a unit high each, the sum being `2^f` units or
/// more: `n 2^-f` of the result. The table's part is as in `programs_rounded`; `1 / s`, the product
/// of two and an exponential's unit round once each.
fn softmaxes<R: Runs>() {
    let reciprocal = tables::reciprocal();
    let of_table = 1 + i128::from(reciprocal.coordinate_bound.ceil() as i64);
    let of_ln = 1 + i64::from(tables::ln().coordinate_bound.ceil() as i32);
    for (seed, (columns, f)) in
        (200..).zip([(1, 8), (2, 12), (3, 16), (10, 8), (10, 12), (10, 16), (10, 20), (33, 12)])
    {
        let (x, n) = (scores::<R>(800 / columns.min(10), columns, f, seed), columns as i64);
        within(&Function::Softmax(columns, f), &x, &[], seed, |_, twin| {
            let table = (((of_table + i128::from(n)) * i128::from(twin + 2)) >> 27) as i64;
            let far = 3 + ((n * (twin + 1)) >> f) + 1 + table;
            (far, far)
        });
        within(&Function::LogSoftmax(columns, f), &x, &[], seed + 50, |_, _| {
            let far = 2 + n + (of_ln >> (28 - f)) + 1;
            (far, far)
        });
    }
    within(&Function::Softmax(1000, 8), &scores::<R>(8, 1000, 8, 299), &[], 299, |_, twin| {
        let far = 6 + ((1000 * (twin + 1)) >> 8);
        (far, far)
    });
}
