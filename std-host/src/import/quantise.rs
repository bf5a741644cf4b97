//! A chain of float layers as a model in the ring: scales from calibration readings.
//!
//! For every layer the accumulator gets as many fraction bits as its largest value over the calibration readings leaves
//! room for in 31 bits, less the head-room. These bits are divided between the layer's input and its weights so that
//! the rounding of the one and of the other together do the least harm; what the layer before drops (its shift)
//! follows from that.
//!
//! Head-room is a margin, not a proof: readings up to `2^head-room` times the largest calibration value are taken, and
//! calibration readings that do not cover what occurs can still let an accumulator wrap around.
//!
//! Two corrections cost nothing in a session, because they are part of the bias:
//! * half a unit of what the shift drops, so that rounding down becomes rounding to nearest;
//! * the mean error of every output over the calibration readings.

use sharelet_core::network::{Activation, Layer, Network, NetworkError, RING_BITS};

use super::lower::{Chain, Dense};
use super::report::{LayerReport, Report};
use crate::model::{MAX_LAYERS, Model};
use crate::readings::Readings;

/// Shifts for which the device computes at most 4 keystream blocks for a comparison gate; a choice outside is made only
/// where the range demands it.
const SHIFTS: core::ops::RangeInclusive<i32> = 3..=29;
/// The most fraction bits that can be asked for.
pub const MAX_FRAC_BITS: u8 = 24;
/// The most bits of head-room that can be asked for.
pub const MAX_HEADROOM_BITS: u8 = 8;

/// What the user may decide.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bits between the largest accumulator over the calibration readings and the limit of the ring.
    pub headroom_bits: u8,
    /// Fraction bits of the input; chosen where not given.
    pub input_frac_bits: Option<u8>,
    /// Fraction bits of the activations; chosen per layer where not given.
    pub frac_bits: Option<u8>,
}

impl Default for Options {
    fn default() -> Self {
        Self { headroom_bits: 1, input_frac_bits: None, frac_bits: None }
    }
}

/// Why no scales can be chosen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// An option is out of range.
    #[error("--{option} {given} is out of range; give at most {limit}")]
    OptionOutOfRange {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        given: u8,
        /// The largest value.
        limit: u8,
    },
    /// The readings are not as wide as the network.
    #[error(
        "calibration readings of {found} values where the network takes {expected}; use readings that belong to this network"
    )]
    Width {
        /// Values the network takes.
        expected: usize,
        /// Values per reading.
        found: usize,
    },
    /// All readings are zero.
    #[error("all calibration readings are zero; ranges cannot be taken from them: use real readings")]
    AllZero,
    /// The largest input does not fit the ring at the scale asked for.
    #[error(
        "the input reaches {largest:.6} in magnitude, which does not fit {RING_BITS} bits with {frac_bits} fraction bits and {headroom_bits} bits of head-room; lower --input-frac-bits or divide the readings"
    )]
    InputRange {
        /// The largest magnitude.
        largest: f64,
        /// Fraction bits.
        frac_bits: u8,
        /// Head-room.
        headroom_bits: u8,
    },
    /// A layer's accumulators do not fit the ring.
    #[error(
        "layer {layer} (`{name}`): accumulators from {low:.6} to {high:.6} do not fit {RING_BITS} bits beside {frac_bits} fraction bits of its {what} and {headroom_bits} bits of head-room; lower --{option} or --headroom-bits, or normalise the readings before training"
    )]
    Range {
        /// Index of the layer.
        layer: usize,
        /// Its name.
        name: String,
        /// The smallest accumulator over the calibration readings.
        low: f64,
        /// The largest one.
        high: f64,
        /// Fraction bits that are needed beside it.
        frac_bits: u8,
        /// What has these bits: `inputs` or `outputs`.
        what: &'static str,
        /// The option that lowers them.
        option: &'static str,
        /// Head-room.
        headroom_bits: u8,
    },
    /// All weights of a layer become zero.
    #[error(
        "layer {layer} (`{name}`): the largest weight, {largest:e}, becomes zero with {frac_bits} fraction bits, all that accumulators from {low:.6} to {high:.6} leave room for; lower --headroom-bits or normalise the readings before training"
    )]
    Vanished {
        /// Index of the layer.
        layer: usize,
        /// Its name.
        name: String,
        /// The largest magnitude of a weight.
        largest: f64,
        /// Fraction bits of the weights.
        frac_bits: u8,
        /// The smallest accumulator over the calibration readings.
        low: f64,
        /// The largest one.
        high: f64,
    },
    /// The description breaks a rule of the core.
    #[error("the network cannot be described: {0}")]
    Description(NetworkError),
}

/// Chooses scales, quantises, and compares with the float network over the calibration readings.
///
/// # Errors
/// [`QuantiseError`] names the layer and its range where a range does not fit.
pub fn quantise(chain: &Chain, calibration: &Readings, options: &Options) -> Result<(Model, Report), QuantiseError> {
    check(chain, calibration, options)?;
    let largest_input = calibration.values().iter().fold(0.0_f64, |max, &value| max.max(f64::from(value.abs())));
    if largest_input == 0.0 {
        return Err(QuantiseError::AllZero);
    }
    let mut float: Vec<f64> = calibration.values().iter().map(|&value| f64::from(value)).collect();
    let mut quantiser = Quantiser {
        options,
        largest_input,
        input_frac_bits: 0,
        layers: Vec::new(),
        weights: Vec::new(),
        biases: Vec::new(),
        words: Vec::new(),
        reports: Vec::new(),
    };
    for (index, dense) in chain.layers.iter().enumerate() {
        let mut accumulators: Vec<f64> = float.chunks_exact(dense.inputs).flat_map(|row| dense.accumulate(row)).collect();
        quantiser.layer(index, dense, &float, &accumulators)?;
        if dense.relu {
            accumulators.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        float = accumulators;
    }
    quantiser.finish(chain, calibration, &float)
}

fn check(chain: &Chain, calibration: &Readings, options: &Options) -> Result<(), QuantiseError> {
    for (option, given, limit) in [
        ("headroom-bits", Some(options.headroom_bits), MAX_HEADROOM_BITS),
        ("input-frac-bits", options.input_frac_bits, MAX_FRAC_BITS),
        ("frac-bits", options.frac_bits, MAX_FRAC_BITS),
    ] {
        if let Some(given) = given
            && given > limit
        {
            return Err(QuantiseError::OptionOutOfRange { option, given, limit });
        }
    }
    let expected = chain.layers.first().map_or(0, |dense| dense.inputs);
    if calibration.width() != expected {
        return Err(QuantiseError::Width { expected, found: calibration.width() });
    }
    if chain.layers.len() > MAX_LAYERS {
        return Err(QuantiseError::Description(NetworkError::TooManyLayers { limit: MAX_LAYERS }));
    }
    Ok(())
}

/// The network so far, and its integer accumulators for every calibration reading.
struct Quantiser<'a> {
    options: &'a Options,
    largest_input: f64,
    input_frac_bits: i32,
    layers: Vec<Layer>,
    weights: Vec<Vec<u32>>,
    biases: Vec<Vec<u32>>,
    /// Accumulators of the last layer, row by row; of the input before the first.
    words: Vec<i64>,
    reports: Vec<LayerReport>,
}

/// A layer at its scales.
struct Scaled {
    weights: Vec<i64>,
    bias: Vec<i64>,
    words: Vec<i64>,
    frac_bits: i32,
}

/// Statistics that the division of bits between input and weights is decided on.
struct Split<'a> {
    dense: &'a Dense,
    /// Mean variance of an input over the readings: an error of a weight times the mean of its input is constant, and
    /// the bias takes it back.
    variance: f64,
    /// How many of the inputs are not zero.
    share: f64,
}

impl Quantiser<'_> {
    fn layer(&mut self, index: usize, dense: &Dense, float: &[f64], accumulators: &[f64]) -> Result<(), QuantiseError> {
        let range = accumulators.iter().fold((0.0_f64, 0.0_f64), |(low, high), &value| (low.min(value), high.max(value)));
        let largest = range.1.max(-range.0);
        let mut frac_bits = fitting_bits(largest, self.options.headroom_bits);
        let input_bits = if index == 0 {
            let bits = self.input_bits(dense, float, frac_bits)?;
            self.encode(float, bits)?;
            bits
        } else {
            let bits = self.hidden_bits(index, dense, float, frac_bits)?;
            self.activate(bits);
            bits
        };
        let out_of_range = || QuantiseError::Range {
            layer: index,
            name: dense.name.clone(),
            low: range.0,
            high: range.1,
            frac_bits: small(input_bits),
            what: "inputs",
            option: if index == 0 { "input-frac-bits" } else { "frac-bits" },
            headroom_bits: self.options.headroom_bits,
        };
        let scaled = loop {
            let weight_bits = (frac_bits - input_bits).min(weight_cap(dense));
            if weight_bits < 0 {
                return Err(out_of_range());
            }
            let scaled = scale(dense, &self.words, input_bits, weight_bits, accumulators);
            // Rounding may push the largest accumulator over the limit that its float value keeps.
            // A bias may wrap around: sums are modulo 2^32, and only the accumulator has to be what it stands for.
            if scaled.words.iter().all(|&word| fits(word)) {
                break scaled;
            }
            frac_bits = input_bits + weight_bits - 1;
        };
        let weight_bits = scaled.frac_bits - input_bits;
        if scaled.weights.iter().all(|&weight| weight == 0) && dense.weights.iter().any(|&weight| weight != 0.0) {
            let largest = dense.weights.iter().fold(0.0_f64, |max, weight| max.max(weight.abs()));
            let frac_bits = small(weight_bits);
            let name = dense.name.clone();
            return Err(QuantiseError::Vanished { layer: index, name, largest, frac_bits, low: range.0, high: range.1 });
        }
        self.reports.push(LayerReport::new(dense, range, accumulators, &scaled.words, scaled.frac_bits, &scaled.weights));
        let activation = if dense.relu { Activation::Relu } else { Activation::Identity };
        self.layers.push(Layer::dense(narrow(dense.inputs), narrow(dense.outputs), small(weight_bits), 0, activation));
        self.weights.push(scaled.weights.into_iter().map(word).collect());
        self.biases.push(scaled.bias.into_iter().map(word).collect());
        self.words = scaled.words;
        Ok(())
    }

    /// Fraction bits of the input.
    fn input_bits(&self, dense: &Dense, float: &[f64], budget: i32) -> Result<i32, QuantiseError> {
        if let Some(bits) = self.options.input_frac_bits {
            return Ok(i32::from(bits));
        }
        let split = Split::new(dense, float);
        let fits = |&bits: &i32| bits <= fitting_bits(self.largest_input, self.options.headroom_bits);
        let error = |bits: i32| {
            let rounding = |&value: &f64| (value - round_to(value, bits)).powi(2);
            let input = float.iter().map(rounding).sum::<f64>() / count(float.len());
            split.error(input, bits, budget)
        };
        let best = best((0..=i32::from(MAX_FRAC_BITS)).filter(fits), error, 8);
        best.ok_or(QuantiseError::InputRange {
            largest: self.largest_input,
            frac_bits: 0,
            headroom_bits: self.options.headroom_bits,
        })
    }

    /// Fraction bits of the activations between the last layer and this one.
    fn hidden_bits(&self, index: usize, dense: &Dense, float: &[f64], budget: i32) -> Result<i32, QuantiseError> {
        let before = self.reports.last().map_or(0, |report| report.frac_bits);
        if let Some(bits) = self.options.frac_bits {
            let bits = i32::from(bits);
            let last = self.reports.last().filter(|_| before < bits);
            return last.map_or(Ok(bits), |last| {
                Err(QuantiseError::Range {
                    layer: index - 1,
                    name: last.name.clone(),
                    low: last.low,
                    high: last.high,
                    frac_bits: small(bits),
                    what: "outputs",
                    option: "frac-bits",
                    headroom_bits: self.options.headroom_bits,
                })
            });
        }
        let split = Split::new(dense, float);
        // Rounding to 2^-bits is off by an even distribution, except where a ReLU gave zero.
        let error = |bits: i32| split.error(split.share * pow2(-2 * bits) / 12.0, bits, budget);
        let cheap = SHIFTS.map(|shift| before - shift).filter(|bits| (0..=i32::from(MAX_FRAC_BITS)).contains(bits));
        let any = 0..=before.min(i32::from(MAX_FRAC_BITS));
        Ok(best(cheap, error, 12).or_else(|| best(any, error, 12)).unwrap_or(0))
    }

    /// Rounds the readings.
    fn encode(&mut self, float: &[f64], bits: i32) -> Result<(), QuantiseError> {
        if bits > fitting_bits(self.largest_input, self.options.headroom_bits) {
            let (largest, headroom_bits) = (self.largest_input, self.options.headroom_bits);
            return Err(QuantiseError::InputRange { largest, frac_bits: small(bits), headroom_bits });
        }
        self.input_frac_bits = bits;
        self.words = float.iter().map(|&value| integer(value, bits)).collect();
        Ok(())
    }

    /// Drops fraction bits of the last accumulators down to `bits`, rounding to nearest, after the activation.
    fn activate(&mut self, bits: i32) {
        let shift = self.reports.last().map_or(0, |report| report.frac_bits) - bits;
        let half = if shift > 0 { 1_i64 << (shift - 1) } else { 0 };
        let Some(layer) = self.layers.last_mut() else { return };
        layer.shift = small(shift);
        if let Some(biases) = self.biases.last_mut() {
            biases.iter_mut().for_each(|bias| *bias = bias.wrapping_add(word(half)));
        }
        let relu = layer.activation == Activation::Relu;
        for word in &mut self.words {
            let accumulator = *word + half;
            *word = if relu { accumulator.max(0) } else { accumulator } >> shift;
        }
    }

    fn finish(mut self, chain: &Chain, calibration: &Readings, float: &[f64]) -> Result<(Model, Report), QuantiseError> {
        // A ReLU on the answer keeps the scale of its accumulator.
        if let Some(Layer { activation: Activation::Relu, .. }) = self.layers.last() {
            self.words.iter_mut().for_each(|word| *word = (*word).max(0));
        }
        for (layer, report) in self.layers.iter().zip(&mut self.reports) {
            report.shift = layer.shift;
        }
        let limit = self.largest_input * pow2(self.input_frac_bits + i32::from(self.options.headroom_bits));
        let input_limit = u32::try_from(integer(limit.ceil(), 0)).unwrap_or(u32::MAX);
        let network = Network::new(small(self.input_frac_bits), input_limit, &self.layers).map_err(QuantiseError::Description)?;
        let frac_bits = i32::from(network.output_frac_bits());
        let report = Report::new(self.reports, calibration.len(), &network, float, &self.words, frac_bits);
        let model = Model { network, weights: self.weights, biases: self.biases, labels: Vec::new(), name: chain.name.clone() };
        Ok((model, report))
    }
}

impl<'a> Split<'a> {
    fn new(dense: &'a Dense, input: &[f64]) -> Self {
        let rows = input.chunks_exact(dense.inputs);
        let mut means = vec![0.0; dense.inputs];
        rows.clone().for_each(|row| means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count(rows.len())));
        let square = |row: &[f64]| row.iter().zip(&means).map(|(value, mean)| (value - mean).powi(2)).sum::<f64>();
        let variance = rows.map(square).sum::<f64>() / count(input.len());
        let nonzero = input.iter().filter(|&&value| value != 0.0).count();
        Self { dense, variance, share: count(nonzero) / count(input.len()) }
    }

    /// Mean square of the error of an accumulator (in units that do not depend on the choice), if the input has `bits`
    /// fraction bits and a mean square rounding error of `input`, and the weights what is left of `budget`.
    fn error(&self, input: f64, bits: i32, budget: i32) -> f64 {
        let weight_bits = (budget - bits).min(weight_cap(self.dense));
        if weight_bits < 0 {
            return f64::INFINITY;
        }
        let (mut squares, mut roundings) = (0.0, 0.0);
        for &weight in &self.dense.weights {
            squares += weight * weight;
            roundings += (weight - round_to(weight, weight_bits)).powi(2);
        }
        squares * input + roundings * self.variance
    }
}

/// Quantises a layer and runs it on all rows of `inputs`; `float` are the accumulators it should give.
fn scale(dense: &Dense, inputs: &[i64], input_bits: i32, weight_bits: i32, float: &[f64]) -> Scaled {
    let frac_bits = input_bits + weight_bits;
    let weights: Vec<i64> = dense.weights.iter().map(|&weight| integer(weight, weight_bits)).collect();
    let mut bias: Vec<i64> = dense.bias.iter().map(|&bias| integer(bias, frac_bits)).collect();
    let mut words = Vec::with_capacity(float.len());
    for row in inputs.chunks_exact(dense.inputs) {
        words.extend(weights.chunks_exact(dense.inputs).zip(&bias).map(|(weights, &bias)| {
            // The sum is exact modulo 2^64, and so is exact: it is within a few units of the float one.
            weights.iter().zip(row).fold(bias, |sum, (&weight, &value)| sum.wrapping_add(weight.wrapping_mul(value)))
        }));
    }
    // The mean error over the readings, which the bias takes back.
    let rows = count(inputs.len() / dense.inputs);
    let mut errors = vec![0.0; dense.outputs];
    for (words, float) in words.chunks_exact(dense.outputs).zip(float.chunks_exact(dense.outputs)) {
        for ((error, &word), &float) in errors.iter_mut().zip(words).zip(float) {
            *error += real(word, frac_bits) - float;
        }
    }
    let corrections: Vec<i64> = errors.iter().map(|error| -integer(error / rows, frac_bits)).collect();
    bias.iter_mut().zip(&corrections).for_each(|(bias, correction)| *bias += correction);
    for words in words.chunks_exact_mut(dense.outputs) {
        words.iter_mut().zip(&corrections).for_each(|(word, correction)| *word += correction);
    }
    Scaled { weights, bias, words, frac_bits }
}

/// The most fraction bits with which `largest` stays below `2^31` less the head-room, at most 31.
fn fitting_bits(largest: f64, headroom_bits: u8) -> i32 {
    let limit = pow2(31 - i32::from(headroom_bits));
    (-64..=31).rev().find(|&bits| largest * pow2(bits) < limit).unwrap_or(-64)
}

/// The most fraction bits with which every weight stays below `2^31`.
fn weight_cap(dense: &Dense) -> i32 {
    fitting_bits(dense.weights.iter().fold(0.0, |max, weight| weight.abs().max(max)), 0)
}

/// The candidate with the least error; of equals the one closest to `usual`.
fn best(candidates: impl Iterator<Item = i32>, error: impl Fn(i32) -> f64, usual: i32) -> Option<i32> {
    let errors = candidates.map(|bits| (bits, error(bits)));
    let order = |a: &(i32, f64), b: &(i32, f64)| a.1.total_cmp(&b.1).then_with(|| (a.0 - usual).abs().cmp(&(b.0 - usual).abs()));
    errors.min_by(order).map(|(bits, _)| bits)
}

/// Room for the half unit that an activation adds is left below the limit.
fn fits(word: i64) -> bool {
    word.unsigned_abs() < (1 << 31) - (1 << 16)
}

fn pow2(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

fn round_to(value: f64, bits: i32) -> f64 {
    (value * pow2(bits)).round() / pow2(bits)
}

/// Nearest integer of `value * 2^bits`, halves away from zero.
#[allow(clippy::cast_possible_truncation)]
fn integer(value: f64, bits: i32) -> i64 {
    (value * pow2(bits)).round() as i64
}

/// The real number of a word.
#[allow(clippy::cast_precision_loss)]
pub(super) fn real(word: i64, bits: i32) -> f64 {
    word as f64 * pow2(-bits)
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn count(elements: usize) -> f64 {
    elements.max(1) as f64
}

/// A word modulo `2^32`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn word(value: i64) -> u32 {
    value as u32
}

fn small(bits: i32) -> u8 {
    u8::try_from(bits).unwrap_or(0)
}

/// Widths have been checked when the chain was made.
fn narrow(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}
