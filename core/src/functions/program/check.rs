//! Programs against real mathematics, on the twin. (What parties compute is compared with the twin
//! in `tests/`.)

extern crate std;
use core::convert::Infallible;
use std::vec;
use std::vec::Vec;

use embassy_futures::block_on;

use super::{Need, Scratch, extreme, scaling, softmax, statistics, unary};
use crate::functions::engine::EngineError;
use crate::functions::engine::twin::Twin;
use crate::ring::Ring;

/// What a program on the twin comes to.
type Done = Result<(), EngineError<Infallible>>;

/// Runs a program on the twin, with scratch of this size.
fn run<R: Ring>(need: Need, program: impl AsyncFnOnce(&mut Twin, &mut Scratch<'_, R>) -> Done) {
    let mut own = vec![R::ZERO; need.own_elems];
    let (mut narrow, mut wide) = (vec![0; need.narrow_elems], vec![0; need.wide_elems]);
    let scratch = &mut Scratch { own: &mut own, narrow: &mut narrow, wide: &mut wide };
    block_on(program(&mut Twin::default(), scratch)).expect("runs");
}

fn real<R: Ring>(word: R, frac_bits: u32) -> f64 {
    word.to_i64() as f64 / f64::from(1_u32 << frac_bits)
}

fn fixed<R: Ring>(value: f64, frac_bits: u32) -> R {
    #[allow(clippy::cast_possible_truncation)]
    let word = (value * f64::from(1_u32 << frac_bits)).round() as i64;
    R::from_u64(word.cast_unsigned())
}

fn pow2(exponent: i32) -> f64 {
    f64::powi(2.0, exponent)
}

/// Words of all magnitudes below `2^bits`, both signs.
fn spread<R: Ring>(bits: u32) -> Vec<R> {
    let mut words = Vec::new();
    for bit in 0..bits {
        for step in 0..40_u128 {
            let word = u64::try_from((1 << bit) + step * (1 << bit) / 40).expect("63 bits");
            words.extend([R::from_u64(word), R::from_u64(word).neg()]);
        }
    }
    words
}

/// `|found - exact|` in units, against what is stated: so many, which include the one of the
/// truncation, and `2^-24` of the result.
fn close(found: f64, exact: f64, frac_bits: u32, units: f64, what: &str) {
    let error = (found - exact).abs() * f64::from(1_u32 << frac_bits);
    let allowed = units + exact.abs() * f64::from(1_u32 << frac_bits) * pow2(-24);
    assert!(
        error <= allowed,
        "{what}: {found} where {exact} is right, {error} units off, f = {frac_bits}"
    );
}

fn scaled<R: Ring>(frac_bits: u32) {
    let positive: Vec<R> =
        spread::<R>(R::BITS - 1).into_iter().filter(|word| word.msb() == 0).collect();
    let mut out = vec![R::ZERO; positive.len()];
    let need = scaling::root_need::<R>(positive.len());
    run(need, async |engine, scratch| {
        scaling::sqrt(engine, frac_bits, &positive, &mut out, scratch).await
    });
    for (x, root) in positive.iter().zip(&out) {
        let x = real(*x, frac_bits);
        if R::BITS == 32 || x < pow2(61 - 2 * i32::try_from(frac_bits).expect("few")) {
            close(real(*root, frac_bits), x.sqrt(), frac_bits, 1.25, "sqrt");
        }
    }
    run(need, async |engine, scratch| {
        scaling::inv_sqrt(engine, frac_bits, &positive, &mut out, scratch).await
    });
    for (x, root) in positive.iter().zip(&out) {
        let x = real(*x, frac_bits);
        close(real(*root, frac_bits), 1.0 / x.sqrt(), frac_bits, 2.0, "inv_sqrt");
    }
    run(need, async |engine, scratch| {
        scaling::ln(engine, frac_bits, &positive, &mut out, scratch).await
    });
    let units = 1.0 + pow2(i32::try_from(frac_bits).expect("few") - 24);
    for (x, logarithm) in positive.iter().zip(&out).filter(|(x, _)| x.to_u64() < 1 << 61) {
        close(real(*logarithm, frac_bits), real(*x, frac_bits).ln(), frac_bits, units, "ln");
    }
    let all = spread::<R>(R::BITS - 1);
    let mut out = vec![R::ZERO; all.len()];
    run(scaling::reciprocal_need::<R>(all.len()), async |engine, scratch| {
        scaling::reciprocal(engine, frac_bits, &all, &mut out, scratch).await
    });
    let least = (2 * frac_bits + 2).saturating_sub(R::BITS).max((2 * frac_bits).saturating_sub(32));
    for (x, inverse) in
        all.iter().zip(&out).filter(|(x, _)| x.to_i64().unsigned_abs() >= 1 << least)
    {
        close(real(*inverse, frac_bits), 1.0 / real(*x, frac_bits), frac_bits, 1.5, "reciprocal");
    }
}

#[test]
fn functions_of_magnitude() {
    for frac_bits in [8, 12, 16, 20] {
        scaled::<u32>(frac_bits);
        scaled::<u64>(frac_bits);
    }
}

fn quotients<R: Ring>(frac_bits: u32) {
    let bits = if R::BITS == 32 { 29 } else { 40 };
    let (a, mut b) = (spread::<R>(bits), spread::<R>(bits));
    b.rotate_left(777);
    let mut out = vec![R::ZERO; a.len()];
    run(scaling::divide_need::<R>(a.len()), async |engine, scratch| {
        scaling::divide(engine, frac_bits, &a, &b, &mut out, scratch).await
    });
    let f = i32::try_from(frac_bits).expect("few");
    let limit = pow2(if R::BITS == 32 { 29 } else { 31 } - f);
    let largest = pow2(if R::BITS == 32 { 31 } else { 41.min(29 + f) } - f);
    for ((a, b), quotient) in a.iter().zip(&b).zip(&out) {
        // Divisors saturate.
        let (divisor, found) =
            (real(*b, frac_bits).clamp(-largest, largest), real(*quotient, frac_bits));
        let exact = real(*a, frac_bits) / divisor;
        if exact.abs() < limit {
            close(found, exact, frac_bits, if R::BITS == 32 { 1.25 } else { 2.0 }, "quotient");
        } else {
            assert!(
                found.signum() == exact.signum() && found.abs() > limit * 0.999,
                "{found} for {exact}"
            );
        }
    }
}

#[test]
fn division() {
    for frac_bits in [8, 12, 16, 20] {
        quotients::<u32>(frac_bits);
        quotients::<u64>(frac_bits);
    }
}

/// The least word has no magnitude among the levels, and the largest numerators are not to be
/// clamped.
#[test]
fn the_ends_of_the_domains() {
    let (x, mut out) = ([1_u32 << 31], [7_u32]);
    run(scaling::reciprocal_need::<u32>(1), async |engine, scratch| {
        scaling::reciprocal(engine, 20, &x, &mut out, scratch).await
    });
    assert_eq!(out, [512_u32.wrapping_neg()]);
    let (a, b) = ([(1_u32 << 30) - 1, (1_u32 << 30).wrapping_neg() + 1], [1_u32 << 13; 2]);
    let mut out = [0; 2];
    run(scaling::divide_need::<u32>(2), async |engine, scratch| {
        scaling::divide(engine, 12, &a, &b, &mut out, scratch).await
    });
    for (a, found) in a.iter().zip(out) {
        close(real(found, 12), real(*a, 12) / 2.0, 12, 1.25, "quotient");
    }
}

#[test]
fn zero_saturates() {
    let (x, mut out) = ([0_u32], [7_u32]);
    run(scaling::reciprocal_need::<u32>(1), async |engine, scratch| {
        scaling::reciprocal(engine, 12, &x, &mut out, scratch).await
    });
    assert_eq!(out, [1 << 24]);
    run(scaling::root_need::<u32>(1), async |engine, scratch| {
        scaling::sqrt(engine, 12, &[5_u32.wrapping_neg()], &mut out, scratch).await
    });
    assert_eq!(out, [0]);
}

fn rows<R: Ring>(frac_bits: u32) {
    let (rows, columns) = (40, 10);
    let values: Vec<f64> =
        (0..rows * columns).map(|i| (i * 7919 % 4001) as f64 / 400.0 - 5.0).collect();
    let x: Vec<R> = values.iter().map(|&value| fixed(value, frac_bits)).collect();
    let exact: Vec<f64> = x.iter().map(|&word| real(word, frac_bits)).collect();
    let mut out = vec![R::ZERO; x.len()];
    run(softmax::need(rows, columns), async |engine, scratch| {
        softmax::softmax(engine, columns, frac_bits, &x, &mut out, scratch).await
    });
    let largest = |row: &[f64]| row.iter().copied().fold(f64::MIN, f64::max);
    let one = f64::from(1_u32 << frac_bits);
    // Every exponential is off by its table's error and a truncation; another follows.
    let table = unary::Smooth::Exp.table(frac_bits).expect("fitted");
    let scores = columns as f64
        * (f64::from(table.bound) + f64::from(table.relative_bound) * one + 1.0)
        + 1.0;
    for (row, out) in exact.chunks(columns).zip(out.chunks(columns)) {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        for (x, out) in row.iter().zip(out) {
            close(real(*out, frac_bits), x.exp() / sum, frac_bits, scores, "softmax");
        }
    }
    run(softmax::need(rows, columns), async |engine, scratch| {
        softmax::log_softmax(engine, columns, frac_bits, &x, &mut out, scratch).await
    });
    for (row, out) in exact.chunks(columns).zip(out.chunks(columns)) {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        for (x, out) in row.iter().zip(out) {
            close(real(*out, frac_bits), x - sum.ln(), frac_bits, scores, "log-softmax");
        }
    }
    run(statistics::layer_norm_need(rows, columns), async |engine, scratch| {
        statistics::layer_norm(engine, columns, (frac_bits, 0), None, &x, &mut out, scratch).await
    });
    for (row, out) in exact.chunks(columns).zip(out.chunks(columns)) {
        let mean = row.iter().sum::<f64>() / columns as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
        for (x, out) in row.iter().zip(out) {
            let exact = (x - mean) / variance.sqrt();
            let units = 1.0 + 1.0 / variance.sqrt() + exact.abs() * one * pow2(-21);
            close(real(*out, frac_bits), exact, frac_bits, units, "layer norm");
        }
    }
    let mut per_row = vec![R::ZERO; rows];
    run(statistics::variance_need(rows, columns), async |engine, scratch| {
        statistics::variance(engine, columns, frac_bits, &x, &mut per_row, scratch).await
    });
    for (row, out) in exact.chunks(columns).zip(&per_row) {
        let mean = row.iter().sum::<f64>() / columns as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
        close(
            real(*out, frac_bits),
            variance,
            frac_bits,
            2.0 + 1.0 / one + variance * one * pow2(-21),
            "variance",
        );
    }
    run(extreme::need(rows, columns), async |engine, scratch| {
        extreme::arg_max(engine, columns, &mut x.clone(), &mut per_row, scratch).await
    });
    for (row, out) in exact.chunks(columns).zip(&per_row) {
        let first = row.iter().position(|&x| x == largest(row)).expect("there is one");
        assert_eq!(out.to_u64(), first as u64);
    }
    let mut bits = x.clone();
    run(extreme::one_hot_need(rows, columns), async |engine, scratch| {
        extreme::one_hot(engine, columns, &mut bits, scratch).await
    });
    for (bits, out) in bits.chunks(columns).zip(&per_row) {
        let expected: Vec<u64> =
            (0..columns as u64).map(|column| u64::from(column == out.to_u64())).collect();
        assert_eq!(bits.iter().map(|bit| bit.to_u64()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn functions_of_rows() {
    for frac_bits in [8, 12, 16, 20] {
        rows::<u32>(frac_bits);
        rows::<u64>(frac_bits);
    }
}

/// Batches of one number and of many, from no deviation at all to the largest sum of squares.
#[test]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn one_over_a_standard_deviation() {
    for (columns, square_bits, out_bits) in
        [(1, 16, 24), (6, 34, 20), (800, 28, 20), (32_768, 22, 16)]
    {
        let n = columns as f64;
        let floor = (1e-5 * n * pow2(square_bits)).round() as u64;
        let sums: Vec<u64> = [0, 1, floor]
            .into_iter()
            .chain((8..600).map(|step| pow2(step).powf(0.1) as u64))
            .chain([(1 << 61) - 1 - floor, (1 << 61) - floor, 1 << 61, 1 << 62])
            .collect();
        let mut out = vec![0; sums.len()];
        let sizes = (columns, square_bits.cast_unsigned(), out_bits);
        run(statistics::inv_std_need(sums.len()), async |engine, scratch| {
            statistics::inv_std(engine, sizes, floor, &mut sums.clone(), &mut out, scratch).await
        });
        for (&sum, &found) in sums.iter().zip(&out) {
            let all = ((sum + floor) as f64).min(pow2(61));
            let exact = (n * pow2(square_bits) / all).sqrt() * pow2(out_bits.cast_signed());
            let found = found as f64;
            let allowed = exact * pow2(-23) + 2.0;
            assert!((found - exact).abs() <= allowed, "{sizes:?}: {sum} gave {found}, not {exact}");
        }
    }
}

/// A floor of nothing has no largest result, and some results have no room.
#[test]
fn deviations_without_room_are_refused() {
    let refused = |sizes, floor| {
        let need = statistics::inv_std_need(1);
        let (mut own, mut narrow) = (vec![0_u64; need.own_elems], vec![0; need.narrow_elems]);
        let mut wide = vec![0; need.wide_elems];
        let scratch = &mut Scratch { own: &mut own, narrow: &mut narrow, wide: &mut wide };
        let (mut sums, mut out) = ([9], [0]);
        let mut engine = Twin::default();
        block_on(statistics::inv_std(&mut engine, sizes, floor, &mut sums, &mut out, scratch))
            .is_err()
    };
    assert!(!refused((6, 30, 20), 256));
    for (sizes, floor) in [
        ((6, 30, 20), 0),
        ((6, 30, 20), 64),
        ((6, 30, 20), 1 << 61),
        ((0, 30, 20), 256),
        ((statistics::MAX_ELEMS + 1, 30, 20), 1 << 40),
        ((6, 50, 24), 256),
        ((6, u32::MAX, 24), 256),
        ((6, 30, u32::MAX), 256),
    ] {
        assert!(refused(sizes, floor), "{sizes:?}, {floor}");
    }
}

#[test]
fn the_exponential_over_the_whole_ring() {
    for frac_bits in [8, 12, 16, 20] {
        let x: Vec<u64> =
            (-4000..4000).map(|i| fixed::<u64>(f64::from(i) / 90.0, frac_bits)).collect();
        let mut out = vec![0; x.len()];
        run(unary::exp_need::<u64>(x.len()), async |engine, scratch| {
            unary::exp(engine, frac_bits, &mut x.clone(), &mut out, scratch).await
        });
        for (x, out) in x.iter().zip(&out) {
            let exact = real(*x, frac_bits).exp();
            if exact < pow2(62 - i32::try_from(frac_bits).expect("few")) {
                let (error, found) = ((real(*out, frac_bits) - exact).abs(), real(*out, frac_bits));
                let one = f64::from(1_u32 << frac_bits);
                let part =
                    if frac_bits == 20 && exact * one >= pow2(31) { pow2(-15) } else { pow2(-19) };
                let allowed = exact * part + 1.5 / one;
                assert!(
                    error <= allowed,
                    "exp({}) = {exact}, found {found}, f = {frac_bits}",
                    real(*x, frac_bits)
                );
            } else {
                assert!(*out >= (1 << 62) - (1 << 46) && *out < (1 << 62) + (1 << 60), "{out}");
            }
        }
    }
}
