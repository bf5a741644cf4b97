//! The mathematics: how far a result is from it, and whether an argument lies in the domain.

use sharelet_fit::reference;

use crate::function::{CLAMP, COLUMNS, CONSTANTS, Function, SLOPE};
use crate::run::{Job, epsilon};
use sharelet_core::functions::program::statistics;
use sharelet_core::functions::program::unary::Smooth;

/// Bits of a result beyond which errors count as a part of it.
const SCALE_BITS: i32 = 24;

/// Numbers and results of one element, as signed integers.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The operands.
    pub operands: [&'a [i64]; 3],
    /// The result.
    pub out: &'a [i64],
}

/// The error of an element's result in *units of its scale*: its last place, or `2^-24` of it where
/// that is more. `None` outside the domain.
#[must_use]
pub fn error(job: Job, ring_bits: u32, element: Element<'_>) -> Option<f64> {
    if !in_domain(job, ring_bits, element.operands) {
        return None;
    }
    let [x, ..] = element.operands;
    Some(match job.function {
        Function::Softmax10 | Function::LogSoftmax10 | Function::LayerNorm10 => {
            let exact = row(job, x);
            element
                .out
                .iter()
                .zip(exact)
                .map(|(&out, exact)| scaled(out, exact))
                .fold(0.0, f64::max)
        }
        _ => match fraction(job, element.operands) {
            Some((numerator, denominator)) => rest(*element.out.first()?, numerator, denominator),
            None => match whole(job, element.operands) {
                Some(exact) => distance(element.out, &exact),
                None => scaled(*element.out.first()?, real(job, ring_bits, element.operands)),
            },
        },
    })
}

/// `|out - exact|` in units of the result's scale.
fn scaled(out: i64, exact: f64) -> f64 {
    (float(out) - exact).abs() / (exact.abs() * 2_f64.powi(-SCALE_BITS)).max(1.0)
}

#[allow(clippy::cast_precision_loss)]
fn float(word: i64) -> f64 {
    word as f64
}

fn distance(out: &[i64], exact: &[i64]) -> f64 {
    let most = out
        .iter()
        .zip(exact)
        .map(|(&out, &exact)| (i128::from(out) - i128::from(exact)).unsigned_abs())
        .max();
    #[allow(clippy::cast_precision_loss)]
    let most = most.unwrap_or(0) as f64;
    most
}

/// `|out - numerator / denominator|` in units of the result's scale, without a rounding on the way.
#[allow(clippy::cast_precision_loss)]
fn rest(out: i64, numerator: i128, denominator: i128) -> f64 {
    let rest = (i128::from(out) * denominator - numerator).unsigned_abs();
    let (units, exact) = (rest as f64 / denominator as f64, numerator as f64 / denominator as f64);
    units / (exact.abs() * 2_f64.powi(-SCALE_BITS)).max(1.0)
}

/// Results that are fractions.
fn fraction(job: Job, [x, y, _]: [&[i64]; 3]) -> Option<(i128, i128)> {
    let first = i128::from(*x.first()?);
    let unit = 1_i128 << job.frac_bits;
    Some(match job.function {
        Function::Rescale => (first, unit),
        Function::Multiply => (first * i128::from(*y.first()?), unit),
        Function::Square => (first * first, unit),
        Function::LeakyRelu => {
            (first * if first < 0 { i128::from(SLOPE.0) } else { 1 << SLOPE.1 }, 1 << SLOPE.1)
        }
        Function::Mean10 => (x.iter().map(|&x| i128::from(x)).sum(), x.len() as i128),
        _ => return None,
    })
}

/// Results that are integers.
fn whole(job: Job, [row, other, third]: [&[i64]; 3]) -> Option<Vec<i64>> {
    let x = *row.first()?;
    let y = other.first().copied().unwrap_or(0);
    let z = third.first().copied().unwrap_or(0);
    let largest = row.iter().copied().max()?;
    let place = row.iter().position(|&x| x == largest)?;
    // In the domain it is a word; its parts may not be.
    let sum = row.iter().fold(0_i64, |sum, &x| sum.wrapping_add(x));
    let one = match job.function {
        Function::Relu => x.max(0),
        Function::ReluShift => x.max(0) >> job.frac_bits,
        Function::Relu6 => x.clamp(0, 6 << job.frac_bits),
        Function::Abs => x.abs(),
        Function::Clamp => x.clamp(CLAMP.0, CLAMP.1),
        Function::Compare => i64::from(x >= 0),
        Function::AtLeast => i64::from(x >= y),
        Function::Equal => i64::from(x == y),
        Function::Select => {
            if x >= 0 {
                y
            } else {
                z
            }
        }
        Function::Choose => i64::from(x >= 0) * y,
        Function::Maximum => x.max(y),
        Function::Minimum => x.min(y),
        Function::Truncate => x >> job.frac_bits,
        Function::Max10 | Function::MaxPool => largest,
        Function::Min10 => row.iter().copied().min()?,
        Function::ArgMax10 => i64::try_from(place).ok()?,
        Function::Sum10 => sum,
        Function::MeanPool => sum >> 2,
        Function::Compare16 => {
            return Some(CONSTANTS.map(|constant| i64::from(x >= constant)).to_vec());
        }
        Function::OneHot10 => {
            return Some((0..row.len()).map(|column| i64::from(column == place)).collect());
        }
        _ => return None,
    };
    Some(vec![one])
}

/// Results that are real numbers, in units.
fn real(job: Job, ring_bits: u32, [row, other, _]: [&[i64]; 3]) -> f64 {
    let unit = 2_f64.powi(job.frac_bits.cast_signed());
    let x = float(row.first().copied().unwrap_or(0)) / unit;
    let result = match job.function {
        Function::Smooth(Smooth::Sigmoid) => reference::sigmoid(x),
        Function::Smooth(Smooth::Tanh) => reference::tanh(x),
        Function::Smooth(Smooth::Erf) => reference::erf(x),
        Function::Smooth(Smooth::Gelu) => reference::gelu(x),
        Function::Smooth(Smooth::Silu) => reference::silu(x),
        Function::Smooth(Smooth::Softplus) => reference::softplus(x),
        Function::Smooth(Smooth::Exp) => reference::exp(x.min(4.0)),
        Function::ExpFull if ring_bits == 32 => {
            reference::exp(x).min((2_f64.powi(31) - 1.0) / unit)
        }
        Function::ExpFull => reference::exp(x),
        Function::Reciprocal => 1.0 / x,
        Function::Divide => x / (float(other.first().copied().unwrap_or(1)) / unit),
        Function::Sqrt => reference::sqrt(x),
        Function::InvSqrt => reference::inv_sqrt(x),
        Function::Ln => reference::ln(x),
        Function::Variance10 => moments(row, unit).1,
        _ => f64::NAN,
    };
    result * unit
}

/// Mean and variance of a row.
fn moments(row: &[i64], unit: f64) -> (f64, f64) {
    #[allow(clippy::cast_precision_loss)]
    let count = row.len() as f64;
    let mean = row.iter().map(|&x| float(x)).sum::<f64>() / count;
    let variance = row.iter().map(|&x| (float(x) - mean).powi(2)).sum::<f64>() / count;
    (mean / unit, variance / unit / unit)
}

/// Results of a row that are real numbers, in units.
fn row(job: Job, row: &[i64]) -> Vec<f64> {
    let unit = 2_f64.powi(job.frac_bits.cast_signed());
    let reals = row.iter().map(|&x| float(x) / unit);
    let largest = reals.clone().fold(f64::MIN, f64::max);
    if job.function == Function::LayerNorm10 {
        let (mean, variance) = moments(row, unit);
        #[allow(clippy::cast_precision_loss)]
        let deviation = (variance + epsilon(job.frac_bits) as f64 / unit / unit).sqrt();
        return reals.map(|x| (x - mean) / deviation * unit).collect();
    }
    let powers: Vec<f64> = reals.map(|x| reference::exp(x - largest)).collect();
    let sum: f64 = powers.iter().sum();
    match job.function {
        Function::Softmax10 => powers.iter().map(|power| power / sum * unit).collect(),
        _ => row.iter().map(|&x| (float(x) / unit - largest - reference::ln(sum)) * unit).collect(),
    }
}

/// Least `|x|` whose reciprocal is represented, as a power of two.
#[must_use]
pub const fn reciprocal_least(ring_bits: u32, frac_bits: u32) -> u32 {
    let (by_ring, by_table) =
        ((2 * frac_bits + 2).saturating_sub(ring_bits), (2 * frac_bits).saturating_sub(32));
    if by_ring > by_table { by_ring } else { by_table }
}

/// Bits of the largest quotient, and of the largest divisor.
#[must_use]
pub fn quotient_bits(ring_bits: u32, frac_bits: u32) -> (u32, u32) {
    if ring_bits == 32 { (29, 31) } else { (31, 41.min(29 + frac_bits)) }
}

/// Standard deviation of a measured row of a layer normalisation: at least this many bits below
/// one.
pub const DEVIATION_BITS: u32 = 2;

/// The magnitude at which a function of a row saturates its numbers, or their sum; in units.
#[must_use]
pub fn saturation(job: Job, ring_bits: u32) -> u64 {
    let narrow = ring_bits == 32;
    match job.function {
        Function::Mean10 if narrow => statistics::mean_limit::<u32>(),
        Function::Mean10 => statistics::mean_limit::<u64>(),
        Function::Variance10 if narrow => statistics::variance_limit::<u32>(COLUMNS, job.frac_bits),
        Function::Variance10 => statistics::variance_limit::<u64>(COLUMNS, job.frac_bits),
        Function::LayerNorm10 => statistics::layer_norm_limit(COLUMNS),
        _ => u64::MAX,
    }
}

/// Whether the function is defined here.
#[must_use]
pub fn in_domain(job: Job, ring_bits: u32, [row, other, third]: [&[i64]; 3]) -> bool {
    let (k, f) = (ring_bits, job.frac_bits);
    let x = row.first().copied().unwrap_or(0);
    let y = other.first().copied().unwrap_or(0);
    let below = |value: i128, bits: u32| value.unsigned_abs() < 1 << bits;
    let spread = || {
        i128::from(row.iter().copied().max().unwrap_or(0))
            - i128::from(row.iter().copied().min().unwrap_or(0))
    };
    match job.function {
        Function::Abs => x > if k == 32 { i64::from(i32::MIN) } else { i64::MIN },
        Function::AtLeast | Function::Maximum | Function::Minimum => {
            below(i128::from(x) - i128::from(y), k - 1)
        }
        Function::Rescale => below(i128::from(x), k - 2),
        Function::Multiply => below(i128::from(x) * i128::from(y), k - 2),
        Function::Square => below(i128::from(x) * i128::from(x), k - 2),
        Function::LeakyRelu => below(i128::from(x) << SLOPE.1, k - 2),
        Function::Max10
        | Function::Min10
        | Function::ArgMax10
        | Function::OneHot10
        | Function::MaxPool => below(spread(), 31),
        // The least result is a word.
        Function::LogSoftmax10 if k == 32 => {
            #[allow(clippy::cast_precision_loss)]
            let (spread, most) =
                (spread() as f64, reference::ln(COLUMNS as f64) * 2_f64.powi(f.cast_signed()));
            spread + most < 2_f64.powi(31)
        }
        Function::Softmax10 | Function::LogSoftmax10 => below(spread(), 31),
        Function::Sum10 | Function::MeanPool => {
            below(row.iter().map(|&x| i128::from(x)).sum(), k - 1)
        }
        Function::Mean10 => {
            row.iter().map(|&x| i128::from(x)).sum::<i128>().unsigned_abs()
                <= u128::from(saturation(job, k))
        }
        Function::ExpFull if k == 64 => real(job, k, [row, other, third]) < 2_f64.powi(62),
        Function::Reciprocal => x.unsigned_abs() >= 1 << reciprocal_least(k, f),
        Function::Divide => {
            let (quotient, divisor) = quotient_bits(k, f);
            let fits = below(i128::from(x), k - 2) && y != 0 && below(i128::from(y), divisor);
            fits && real(job, k, [row, other, third]).abs() < 2_f64.powi(quotient.cast_signed())
        }
        Function::Sqrt if k == 64 => (0..1 << (61 - f)).contains(&x),
        Function::Sqrt => x >= 0,
        Function::InvSqrt | Function::Ln => x > 0 && (k == 32 || x < 1 << 61),
        Function::Variance10 | Function::LayerNorm10 => {
            let (_, variance) = moments(row, 2_f64.powi(f.cast_signed()));
            let least = if job.function == Function::LayerNorm10 {
                2_f64.powi(-2 * DEVIATION_BITS.cast_signed())
            } else {
                0.0
            };
            row.iter().all(|x| x.unsigned_abs() <= saturation(job, k)) && variance >= least
        }
        _ => true,
    }
}
