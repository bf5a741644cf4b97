//! How many fraction bits numbers get, and what rounding them does.

use sharelet_core::shape::Shape;

use super::layer::{Map, count};

/// Share of inputs, and of their range, that count at least.
const AWAKE: f64 = 1.0 / 32.0;

/// Statistics that the division of bits between input and weights is decided on.
pub(super) struct Split {
    weights: Vec<f64>,
    /// Mean variance of an input over the readings: an error of a weight times the mean of its
    /// input is constant, and the bias takes it back.
    variance: f64,
    /// How many of the inputs are not zero.
    pub(super) share: f64,
}

impl Split {
    /// Of what a layer takes; `further` are weights of later layers to which it is carried over.
    pub(super) fn new(map: &Map, further: &[f64], input: &[f64]) -> Self {
        let inputs = usize::from(map.shape.inputs()).max(1);
        let rows = input.chunks_exact(inputs);
        let mut means = vec![0.0; inputs];
        rows.clone().for_each(|row| {
            means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count(rows.len()))
        });
        let square = |row: &[f64]| {
            row.iter().zip(&means).map(|(value, mean)| (value - mean).powi(2)).sum::<f64>()
        };
        let variance = rows.map(square).sum::<f64>() / count(input.len());
        let nonzero = input.iter().filter(|&&value| value != 0.0).count();
        let mut weights = map.all_weights();
        weights.extend(further);
        Self { weights, variance, share: count(nonzero) / count(input.len()) }
    }

    /// The same, if calibration readings leave nearly all inputs at zero: others that are accepted
    /// need not. `largest` is the largest accumulator behind which the inputs come.
    pub(super) fn awake(self, largest: f64) -> Self {
        Self {
            variance: self.variance.max((AWAKE * largest).powi(2)),
            share: self.share.max(AWAKE),
            ..self
        }
    }

    /// Mean square of the error of an accumulator (in units that do not depend on the choice), if
    /// the input has `bits` fraction bits and a mean square rounding error of `input`, and the
    /// weights what is left of `budget`.
    pub(super) fn error(&self, input: f64, bits: i32, budget: i32) -> f64 {
        let weight_bits = (budget - bits).min(cap(&self.weights));
        if weight_bits < 0 {
            return f64::INFINITY;
        }
        let (mut squares, mut roundings) = (0.0, 0.0);
        for &weight in &self.weights {
            squares += weight * weight;
            roundings += (weight - round_to(weight, weight_bits)).powi(2);
        }
        squares * input + roundings * self.variance
    }
}

/// The most fraction bits with which `largest` stays below `2^31` less the head-room, at most 31.
pub(super) fn fitting_bits(largest: f64, headroom_bits: u8) -> i32 {
    let limit = pow2(31 - i32::from(headroom_bits));
    (-64..=31).rev().find(|&bits| largest * pow2(bits) < limit).unwrap_or(-64)
}

/// The most fraction bits with which every weight stays below `2^31`.
pub(super) fn weight_cap(map: &Map) -> i32 {
    match map.shape {
        Shape::Identity { .. } | Shape::Mean(_) => PUBLIC_BITS,
        _ => cap(&map.weights),
    }
}

/// The most fraction bits of a public weight: a mean's is then off by less than a fraction of
/// `2^-16`.
const PUBLIC_BITS: i32 = 24;

pub(super) fn cap(weights: &[f64]) -> i32 {
    fitting_bits(weights.iter().fold(0.0, |max, weight| weight.abs().max(max)), 0)
}

/// The candidate with the least error; of equals the one closest to `usual`.
pub(super) fn best(
    candidates: impl Iterator<Item = i32>,
    error: impl Fn(i32) -> f64,
    usual: i32,
) -> Option<i32> {
    let errors = candidates.map(|bits| (bits, error(bits)));
    let order = |a: &(i32, f64), b: &(i32, f64)| {
        a.1.total_cmp(&b.1).then_with(|| (a.0 - usual).abs().cmp(&(b.0 - usual).abs()))
    };
    errors.min_by(order).map(|(bits, _)| bits)
}

pub(super) fn pow2(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

pub(super) fn round_to(value: f64, bits: i32) -> f64 {
    (value * pow2(bits)).round() / pow2(bits)
}

/// Nearest integer of `value * 2^bits`, halves away from zero.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn integer(value: f64, bits: i32) -> i64 {
    (value * pow2(bits)).round() as i64
}

/// The real number of a word.
#[allow(clippy::cast_precision_loss)]
pub(super) fn real(word: i64, bits: i32) -> f64 {
    word as f64 * pow2(-bits)
}

/// A word modulo `2^32`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn word(value: i64) -> u32 {
    value as u32
}

pub(super) fn small(bits: i32) -> u8 {
    u8::try_from(bits).unwrap_or(0)
}
