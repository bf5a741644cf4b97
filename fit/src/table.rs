//! From a plan to rows, and the proof of their bound.

use anyhow::{Context as _, Result, ensure};
use sharelet_core::functions::spline::{Above, Spline};

use crate::minimax::minimax;
use crate::plan::{Plan, scaled, unit, word};

/// Values stay below `2^VALUE_BITS`; it is also the most fraction bits that they have.
const VALUE_BITS: u8 = 60;
/// Points that a piece is fitted on, at most.
const POINTS: u16 = 256;
/// What the references and the arithmetic of the proof may be off, in units of the result's last
/// place.
const REFERENCE_ERROR: f64 = 2e-6;

/// Fits the plan's rows, and proves their bound over every word of the domain.
///
/// # Errors
/// If a value leaves its range, or an end of the domain is not where it should be.
pub fn fit(plan: &Plan) -> Result<Spline> {
    ensure!(plan.rows > 0, "an empty domain");
    let ends = (0..=plan.rows).map(|row| scaled(plan, plan.start(row), 0.0).abs());
    let largest = ends.fold(0.0, f64::max);
    let spare = (1..VALUE_BITS)
        .rev()
        .find(|spare| largest * unit(*spare) < unit(VALUE_BITS))
        .context("values without a place")?;
    // The largest value may be so near to a power of two that its error leads over it.
    let shift = spare.min(VALUE_BITS - plan.out_frac_bits);
    prove(plan, &rows(plan, shift)).or_else(|_| prove(plan, &rows(plan, shift - 1)))
}

/// The middle of the words that a coordinate stands for. One that is too large by one is as near as
/// an exact one.
fn middle(plan: &Plan) -> f64 {
    if plan.drop_bits == 0 { 0.0 } else { -0.5 }
}

fn rows(plan: &Plan, shift: u8) -> Spline {
    let rows: Vec<[i64; 3]> =
        (0..plan.rows).map(|row| fit_row(plan, plan.start(row), shift)).collect();
    Spline {
        in_frac_bits: plan.in_frac_bits,
        out_frac_bits: plan.out_frac_bits,
        low: plan.low,
        piece_bits: plan.piece_bits,
        drop_bits: plan.drop_bits,
        value_frac_bits: plan.out_frac_bits + shift,
        rows: Box::leak(rows.into_boxed_slice()),
        below: plan.below,
        above: plan.above,
        bound: f32::NAN,
        relative_bound: 0.0,
        coordinate_bound: 0.0,
    }
}

/// The rounded coefficients of a piece: the highest first, so that the lower ones make up for its
/// rounding.
fn fit_row(plan: &Plan, start: i64, shift: u8) -> [i64; 3] {
    let bits = plan.piece_bits - plan.drop_bits;
    let last = if plan.drop_bits == 0 { (1_i64 << bits) - 1 } else { 1 << bits };
    let points: Vec<(i64, f64)> = samples(last)
        .map(|t| (t, scaled(plan, start + (t << plan.drop_bits), middle(plan))))
        .collect();
    let (width, fine) = (word(last), unit(shift));
    let fitted = |known: &dyn Fn(i64) -> i64, coefficients: usize| {
        let left: Vec<(f64, f64)> = points
            .iter()
            .map(|(t, value)| (word(*t) / width, value - word(known(*t)) / fine))
            .collect();
        minimax(&left, coefficients)
    };
    let c2 = round(fitted(&|_| 0, 3)[2] * fine / (width * width));
    let c1 = round(fitted(&|t| c2 * t * t, 2)[1] * fine / width);
    let left = points.iter().map(|(t, value)| value - word((c2 * t + c1) * t) / fine);
    let (least, most) = left
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| (x.min(least), x.max(most)));
    [round((least + most) / 2.0 * fine), c1, c2]
}

/// All of `0..=last`, or some of them, dense at both ends.
fn samples(last: i64) -> impl Iterator<Item = i64> {
    let all = last <= i64::from(POINTS);
    let steps = if all { last } else { i64::from(POINTS) };
    (0..=steps).map(move |step| {
        let angle = core::f64::consts::PI * word(step) / word(steps);
        if all { step } else { round(word(last) * 0.5 * (1.0 - libm::cos(angle))) }
    })
}

#[allow(clippy::cast_possible_truncation)]
fn round(value: f64) -> i64 {
    libm::round(value) as i64
}

/// Measures every word of the domain, and both ends.
fn prove(plan: &Plan, spline: &Spline) -> Result<Spline> {
    check_size(spline)?;
    check_ends(plan, spline)?;
    let (mut absolute, mut relative, mut highest) = (0.0_f64, 0.0_f64, i64::MIN);
    let largest = scaled(plan, spline.end(), 0.0);
    let coordinate_bound = visit(plan, spline, |error, exact, result| {
        absolute = absolute.max(error);
        highest = highest.max(result);
        // The relative part is what large results need; the rest of the bound is what small ones
        // need besides.
        if plan.relative && exact > largest / 16.0 {
            relative = relative.max(error / exact);
        }
    })?;
    // A protocol's result may be one more than the twin's.
    ensure!(!plan.relative || highest + 1 < 1 << 31, "a result of more than 31 bits");
    let relative_bound = round_up(relative);
    if plan.relative {
        absolute = 0.0;
        visit(plan, spline, |error, exact, _| {
            absolute = absolute.max(error - f64::from(relative_bound) * exact)
        })?;
    }
    Ok(Spline {
        bound: round_up(absolute + REFERENCE_ERROR),
        relative_bound,
        coordinate_bound: round_up(coordinate_bound),
        ..*spline
    })
}

/// Calls `each` with error, exact result (both in units of the result's last place) and result of
/// every word of the domain, and gives the largest change of a result when the coordinate is one
/// too large.
fn visit(plan: &Plan, spline: &Spline, mut each: impl FnMut(f64, f64, i64)) -> Result<f64> {
    let (shift, fine) = (spline.shift_bits(), unit(spline.shift_bits()));
    let mut step = 0.0_f64;
    for row in 0..plan.rows {
        for t in 0..1_i64 << spline.coordinate_bits() {
            let x = plan.start(row) + (t << plan.drop_bits);
            let value = in_range(spline.row_value(row, t))?;
            let mut add = |value: i64, exact: f64| {
                each((word(value) / fine - exact).abs(), exact, value >> shift)
            };
            let exact = scaled(plan, x, 0.0);
            add(value, exact);
            if plan.drop_bits > 0 {
                // These functions are monotone: no word of a coordinate is farther off than its
                // first or its last.
                let last = scaled(plan, x + (1 << plan.drop_bits) - 1, 0.0);
                let next = in_range(spline.row_value(row, t + 1))?;
                add(value, last);
                add(next, exact);
                add(next, last);
                step = step.max(word((next - value).abs()) / fine);
            }
        }
    }
    // The full exponential ends a little before its results have no place.
    let exact = scaled(plan, spline.end(), 0.0);
    if let Above::Constant(above) = plan.above
        && plan.relative
        && exact < word(above)
    {
        each((word(above) - exact - 0.5).max(0.0), exact, i64::MIN);
    }
    Ok(step)
}

fn in_range(value: Option<i64>) -> Result<i64> {
    value.filter(|value| value.abs() < 1 << VALUE_BITS).context("a value is too large")
}

/// No term and no sum of terms leaves `i64`.
fn check_size(spline: &Spline) -> Result<()> {
    let t = 1_i128 << spline.coordinate_bits();
    let size = |row: &[i64; 3]| row.iter().rev().fold(0, |sum, c| sum * t + i128::from(*c).abs());
    ensure!(spline.rows.iter().all(|row| size(row) < 1 << 62), "a term is too large");
    Ok(())
}

/// Just outside the domain and ever farther from it, the results there are right where they are no
/// saturation.
///
/// A few words will do: beyond the domain the functions only come nearer to their ends.
fn check_ends(plan: &Plan, spline: &Spline) -> Result<()> {
    for far in (0..40).map(|bits| (1_i64 << bits) - 1) {
        let (first, last) = (plan.low - 1 - far, spline.end() + far);
        let above = match plan.above {
            Above::Constant(above) => above,
            Above::Identity => last,
        };
        let errors = [(plan.below, first), (above, last)]
            .map(|(result, x)| (word(result) - scaled(plan, x, 0.0)).abs());
        ensure!(
            plan.drop_bits > 0 || plan.continues || errors[0] <= 0.5,
            "{} units below the domain",
            errors[0]
        );
        ensure!(plan.saturates || errors[1] <= 0.5, "{} units above the domain", errors[1]);
    }
    Ok(())
}

/// Three digits that are not less.
fn round_up(value: f64) -> f32 {
    if value == 0.0 {
        return 0.0;
    }
    let digit = libm::pow(10.0, libm::floor(libm::log10(value)) - 2.0);
    let digits = libm::ceil(value / digit);
    // One more, should the nearest number of single precision be less.
    let candidates = [0.0, 1.0].map(|more| format!("{:.2e}", (digits + more) * digit));
    let rounded = candidates
        .iter()
        .filter_map(|text| text.parse::<f32>().ok())
        .find(|rounded| f64::from(*rounded) >= value);
    rounded.unwrap_or(f32::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_up() {
        for (value, rounded) in
            [(0.0, 0.0), (0.123_01, 0.124), (0.999_9, 1.0), (7.0, 7.0), (1.2341e-6, 1.24e-6)]
        {
            assert!(
                (round_up(value) - rounded).abs() < rounded * 1e-6 + f32::MIN_POSITIVE,
                "{value}"
            );
            assert!(f64::from(round_up(value)) >= value, "{value}");
        }
    }

    #[test]
    fn samples_reach_both_ends() {
        for last in [3, 255, 256, 257, 1 << 17] {
            let all: Vec<i64> = samples(last).collect();
            assert_eq!((all[0], all[all.len() - 1]), (0, last));
            assert!(all.is_sorted(), "{last}");
        }
    }
}
