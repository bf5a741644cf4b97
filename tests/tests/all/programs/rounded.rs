//! Programs that round: two parties give the twin's result within the distance that the functions
//! document.
//!
//! A last truncation is rounded down by the twin, and down or one unit higher by parties. Where
//! values were rounded before, those units reach the result through what follows; how far is
//! derived at each test. `v` is a table's result with 28 fraction bits, `e` the power of two that
//! scales it.

use sharelet_core::functions::program::pool::Window;
use sharelet_core::functions::program::unary::Smooth;
use sharelet_core::functions::spline::Spline;
use sharelet_core::functions::tables;
use sharelet_testkit::programs::data::{all_words, shuffled, word, words};
use sharelet_testkit::programs::exact::{exact, unit, within};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::rng;

sharelet_testkit::in_either_ring! {
    one_truncation_costs_one_unit: truncations,
    smooth_functions: smooth,
    functions_of_magnitude: magnitudes,
    division: quotients,
    averages: means,
}

const RANDOM: usize = 1000;
const FRAC_BITS: [u32; 4] = [8, 12, 16, 20];

/// A quotient, rounded up.
fn ratio(numerator: i64, denominator: i64) -> i64 {
    i64::try_from((i128::from(numerator) + i128::from(denominator) - 1) / i128::from(denominator))
        .unwrap()
}

fn truncations<R: Runs>() {
    let mut rng = rng(1);
    let x = words::<R>(R::BITS - 2, 2 * RANDOM, &mut rng);
    for (seed, shift) in (0..).zip([1, 2, 8, 12, 16, 20, 29]) {
        unit(&Function::Rescale(shift), &x, &[], seed);
        unit(&Function::Convert(shift), &x, &[], seed + 10);
        let bits = (R::BITS - 2) / 2;
        let y = shuffled(&words::<R>(bits, RANDOM, &mut rng), &mut rng);
        let x = &words::<R>(bits, RANDOM, &mut rng)[..y.len()];
        unit(&Function::Multiply(shift), x, &y, seed + 20);
    }
    exact(&Function::Rescale(0), &x, &[], 30);
    for (seed, (slope, bits)) in (40..).zip([(1, 8), (5, 3), (77, 7), (1000, 15)]) {
        let x = words::<R>(R::BITS - 2 - bits, RANDOM, &mut rng);
        unit(&Function::LeakyRelu(slope, bits), &x, &[], seed);
    }
    // Slopes of one and zero: what is truncated is whole.
    for (seed, slope) in [(50, 1 << 12), (51, 0)] {
        let x = words::<R>(R::BITS - 14, RANDOM, &mut rng);
        exact(&Function::LeakyRelu(slope, 12), &x, &[], seed);
    }
}

/// The tables of these functions drop no bits of `x`, so that the distance is the truncation's.
fn smooth<R: Runs>() {
    let mut rng = rng(2);
    for (seed, f) in (100..).zip(FRAC_BITS) {
        for function in Smooth::ALL {
            assert_eq!(function.table(f).unwrap().drop_bits, 0);
            let spline = function.table(f).unwrap();
            let mut x = all_words::<R>(RANDOM / 4, &mut rng);
            for end in [spline.low, spline.end()] {
                x.extend([-2, -1, 0, 1].map(|step| word::<R>(end + step)));
            }
            x.extend(
                (0..400)
                    .map(|step| word::<R>(spline.low + (spline.end() - spline.low) / 400 * step)),
            );
            unit(&Function::Smooth { function, f, other: false }, &x, &[], seed);
            // The identity, beyond the domain, has no words in the other ring.
            if matches!(function, Smooth::Sigmoid | Smooth::Tanh | Smooth::Erf | Smooth::Exp) {
                unit(&Function::Smooth { function, f, other: true }, &x[..300], &[], seed + 10);
            }
        }
    }
    let fraction = |x: R| x.to_u64() & ((1 << 30) - 1);
    let x: Vec<R> = words::<R>(30, 3 * RANDOM, &mut rng)
        .into_iter()
        .map(|x| R::from_u64(1 << 30 | fraction(x)))
        .collect();
    // Five bits of `y` are dropped: one too large by the least that is kept changes the result by
    // `coordinate_bound`.
    let far = units(tables::reciprocal(), false);
    within(&Function::Within, &x, &[], 120, |_, _| (far, far));
}

/// Units by which `v` may differ: the truncation's, what a coordinate that is one too large
/// changes, and, where `y` was itself rounded, that again, and the step between two pieces, either
/// of which is as near to the function as its bound.
#[allow(clippy::cast_possible_truncation)]
fn units(table: &Spline, rounded: bool) -> i64 {
    let coordinate = table.coordinate_bound.ceil() as i64;
    1 + coordinate + if rounded { coordinate + 2 * table.bound.ceil() as i64 } else { 0 }
}

/// At `k = 64` a result comes from one of three tables: below `2^31`, below `2^46` (whose unit is
/// `2^16`) and beyond (`2^32`), with as many more bits as the table has. It may be one high in the
/// last of them.
fn exponential_unit(f: u32, twin: i64) -> i64 {
    let f = u8::try_from(f).unwrap();
    let unit = |unit_bits: u8, table: Option<&Spline>| {
        1 << (unit_bits - table.unwrap().shift_bits().min(unit_bits))
    };
    match twin {
        // The tables' results around where one follows the other.
        ..0x4000_0000 => 1,
        0x4000_0000..0x2000_0000_0000 => unit(16, tables::exp_middle(f)),
        _ => unit(32, tables::exp_high(f)),
    }
}

#[test]
fn exponentials() {
    let mut rng = rng(3);
    for (seed, f) in (200..).zip(FRAC_BITS) {
        let near =
            |range: i64| -> Vec<i64> { (-700..700).map(|step| range * step / 700).collect() };
        let mut x = all_words::<u32>(RANDOM, &mut rng);
        x.extend(near(23 << f).into_iter().map(word::<u32>));
        unit(&Function::Exp(f), &x, &[], seed);
        let mut x = all_words::<u64>(RANDOM, &mut rng);
        x.extend(near(45 << f).into_iter().map(word::<u64>));
        within(&Function::Exp(f), &x, &[], seed + 10, |_, twin| (0, exponential_unit(f, twin)));
    }
}

/// `result = v factor >> s`, `v` in `[2^27, 2^29)`: a unit of `v` is at most `2^-27` of the result.
fn from_table(table: &Spline, rounded: bool, twin: i64) -> (i64, i64) {
    let far = 1 + ratio_of(units(table, rounded), twin.abs() + 2);
    (far, far)
}

fn ratio_of(units: i64, result: i64) -> i64 {
    i64::try_from((i128::from(units) * i128::from(result) + (1 << 27) - 1) >> 27).unwrap()
}

fn magnitudes<R: Runs>() {
    let mut rng = rng(4);
    let rounded = R::BITS > 32;
    let x = all_words::<R>(RANDOM, &mut rng);
    for (seed, f) in (300..).zip([1, 8, 12, 16, 20]) {
        within(&Function::Reciprocal(f), &x, &[], seed, |_, twin| {
            from_table(tables::reciprocal(), rounded, twin)
        });
        within(&Function::Sqrt(f), &x, &[], seed + 10, |_, twin| {
            from_table(tables::sqrt(), rounded, twin)
        });
        within(&Function::InvSqrt(f), &x, &[], seed + 20, |_, twin| {
            from_table(tables::inv_sqrt(), rounded, twin)
        });
        // (v + weight) >> (28 - f)
        let far = 1 + ratio(units(tables::ln(), rounded), 1 << (28 - f));
        within(&Function::Ln(f), &x, &[], seed + 30, |_, _| (far, far));
    }
}

/// Against the definition: operands and quotients saturate where the function says.
fn quotients_of_the_twin<R: Runs>(f: u32, a: &[R], b: &[R], divisor_bits: u32) {
    let function = Function::Divide(f);
    let twin = R::twin(&function, function.data(a, b)).unwrap().out;
    let (most, divisor, limit) =
        ((1_i64 << (R::BITS - 2)) - 1, 1_i64 << divisor_bits, if R::BITS == 32 { 29 } else { 31 });
    for ((a, b), found) in a.iter().zip(b).zip(twin) {
        let (a, b, found) = (
            a.to_i64().clamp(-most, most),
            b.to_i64().clamp(-divisor, divisor),
            found.to_i64() as f64,
        );
        let exact = a as f64 * f64::from(1_u32 << f) / if b == 0 { 1.0 } else { b as f64 };
        let bound = f64::powi(2.0, limit);
        if exact.abs() < bound {
            let allowed =
                1.0 + if R::BITS == 32 { 0.25 } else { 1.0 } + exact.abs() * f64::powi(2.0, -24);
            assert!(
                (found - exact).abs() <= allowed,
                "{a} / {b}, {f} fraction bits: {found} where {exact} is right"
            );
        } else {
            let size = found * exact.signum();
            assert!(
                (bound * 0.999..=2.0 * bound * 1.001).contains(&size),
                "{a} / {b}, {f} fraction bits: {found} for {exact}"
            );
        }
    }
}

/// `v n >> s`, where `n`, of 33 bits, has its own unit, which is a quarter of the result's (one, at
/// `k = 64`).
fn quotients<R: Runs>() {
    let mut rng = rng(5);
    for (seed, f) in (400..).zip([1, 8, 12, 16, 20]) {
        // All words, and more divisors that do not saturate.
        let divisor_bits = if R::BITS == 32 { 31 } else { 41.min(29 + f) };
        let mut b = all_words::<R>(RANDOM, &mut rng);
        b.extend(words::<R>(divisor_bits, RANDOM, &mut rng));
        let a: Vec<R> = shuffled(&all_words::<R>(RANDOM, &mut rng), &mut rng)
            .into_iter()
            .cycle()
            .take(b.len())
            .collect();
        quotients_of_the_twin::<R>(f, &a, &b, divisor_bits);
        within(&Function::Divide(f), &a, &b, seed, |_, twin| {
            let (low, high) = from_table(tables::reciprocal(), R::BITS > 32, twin);
            (low + 2, high + 2)
        });
    }
}

fn means<R: Runs>() {
    let mut rng = rng(6);
    for columns in [1_usize, 2, 3, 7, 10, 64, 100] {
        // Sums below 2^30, 2^41, and some beyond; for powers of two all sums.
        let sum_bits = if R::BITS == 32 { 30 } else { 41 };
        let bits = if columns.is_power_of_two() { R::BITS - 1 } else { sum_bits };
        let mut x =
            shuffled(&words::<R>(bits - usize::ilog2(columns), 1000 * columns, &mut rng), &mut rng);
        x.truncate(x.len() / columns * columns);
        let function = Function::Mean(columns);
        if columns.is_power_of_two() {
            exact(&function, &x, &[], 500)
        } else {
            unit(&function, &x, &[], 501 + columns as u64)
        }
        // The twin: rounded down, of a mean that is off by a fraction of 2^-31, 2^-21.
        let twin = R::twin(&function, function.data(&x, &[])).unwrap().out;
        for (row, mean) in x.chunks(columns).zip(twin) {
            let sum: i64 = row.iter().map(|x| x.to_i64()).sum();
            let sum = if columns.is_power_of_two() {
                sum
            } else {
                sum.clamp(-(1 << sum_bits), 1 << sum_bits)
            };
            let count = i64::try_from(columns).unwrap();
            let bits = if R::BITS == 32 { 31 } else { 21 };
            // Where a sum saturates, it does so less a fraction of 2^-20.
            let saturated =
                if sum.abs() == 1 << sum_bits { 1 + ((sum.abs() / count) >> 20) } else { 0 };
            let fraction = if columns.is_power_of_two() {
                0
            } else {
                1 + ((sum.abs() / count) >> bits) + saturated
            };
            let off = mean.to_i64() - sum.div_euclid(count);
            assert!(off.abs() <= fraction, "{columns} columns: mean {mean:?} of the sum {sum}");
        }
    }
    let window = Window { channels: 4, height: 12, width: 30, size: (3, 2), stride: (1, 1) };
    let x = shuffled(&words::<R>(26, 4 * 12 * 30, &mut rng), &mut rng);
    unit(&Function::MeanPool(window), &x[..4 * 12 * 30], &[], 510);
}
