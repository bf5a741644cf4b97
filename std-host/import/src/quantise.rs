//! A chain of float layers as a model in the ring: scales from calibration readings.
//!
//! For every layer the accumulator gets as many fraction bits as its largest value over the
//! calibration readings leaves room for in its gate, less the head-room. These bits are divided
//! between the layer's input and its weights so that the rounding of the one and of the other
//! together do the least harm; what the layer before drops (its shift) follows from that.
//!
//! How much room that is, and which scales are taken of those that are tried, is decided in
//! `choose.rs`.
//!
//! Two corrections cost nothing in a session, because they are part of the bias:
//! * half a unit of what the shift drops, so that rounding down becomes rounding to nearest;
//! * the mean error of every output over the calibration readings.

use sharelet_core::session::network::{self, Activation, MIN_GATE_BITS, Network, RING_BITS};
use sharelet_core::shape::Shape;

pub use super::error::QuantiseError;
use super::layer::{Chain, Layer, Map, count};
use super::ranges::{self, Bounds, Rounded};
use super::report::{LayerReport, Report};
use super::scales::{
    Split, best, fitting_bits, integer, pow2, real, round_to, small, weight_cap, word,
};
use super::steps::Steps;
use super::{counted, narrow, stress};
use sharelet_model::Model;
use sharelet_model::readings::Readings;

/// How many times the least square error is about as good.
const AS_GOOD: f64 = 2.0;
/// Fraction bits of activations where nothing speaks for another number.
const USUAL_BITS: i32 = 12;
/// The most fraction bits that can be asked for.
pub const MAX_FRAC_BITS: u8 = 24;
/// The most bits of head-room that can be asked for.
pub const MAX_HEADROOM_BITS: u8 = 8;

/// Whether all inputs have one scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputScale {
    /// One scale; or one for each, if answers are off otherwise.
    #[default]
    Auto,
    /// One scale for all inputs.
    One,
    /// One for each input.
    Each,
}

/// What the user may decide.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bits between the largest accumulator over the calibration readings and the limit of the
    /// ring.
    pub headroom_bits: u8,
    /// Fraction bits of the input; chosen where not given.
    pub input_frac_bits: Option<u8>,
    /// Whether all inputs have one scale.
    pub input_scale: InputScale,
    /// Fraction bits of the activations; chosen per layer where not given.
    pub frac_bits: Option<u8>,
    /// The widest gate, in bits; as narrow as `max_error` allows where not given.
    pub gate_bits: Option<u8>,
    /// The error of answers, relative to their size (root mean square), that narrow gates and
    /// straight pieces of activation functions may bring about.
    pub max_error: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headroom_bits: 1,
            input_frac_bits: None,
            input_scale: InputScale::Auto,
            frac_bits: None,
            gate_bits: None,
            max_error: 0.002,
        }
    }
}

/// What is left for accumulators.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The largest reading that is accepted, in units of the largest calibration value.
    pub(super) level: f64,
    /// Whether it must be proved that it is enough.
    pub(super) proved: bool,
    /// The widest gate, in bits.
    pub(super) gate_bits: u8,
    /// The steps that a reading is counted in, where a file says it.
    pub(super) reading: Option<Steps>,
}

impl Room {
    /// Of an accumulator that no gate follows.
    const UNGATED: u8 = RING_BITS;

    /// What an accumulator stays below, in units, with a half unit of what its shift drops.
    fn limit(gate_bits: u8) -> f64 {
        let bits = i32::from(gate_bits);
        pow2(bits - 1) - pow2(bits / 2)
    }
}

/// A proof that takes more bits than these beyond what calibration readings need costs too much.
const PROOF_BITS: i32 = 10;

/// Scales with so much room. Answers are compared with the `right` ones to the readings that are
/// calibrated with; with the chain's own in floating point if there are none.
pub(super) fn attempt(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
    (largest_input, room): (f64, Room),
    right: Option<&[f64]>,
) -> Result<(Model, Report), QuantiseError> {
    let limit = largest_input * room.level;
    let mut quantiser = Quantiser {
        options,
        largest_input,
        room,
        input_frac_bits: 0,
        layers: Vec::new(),
        weights: Vec::new(),
        biases: Vec::new(),
        pending: Vec::new(),
        vectors: Vec::new(),
        bounds: Vec::new(),
        accumulated: Bounds::default(),
        needed: 0.0,
        reports: Vec::new(),
    };
    let mut floats = vec![sampled(chain, calibration)];
    let width = layer_width(chain, 0);
    // A proof needs no trial.
    let unlike = match floats.first() {
        Some(rows) if !room.proved => stress::rows(rows, width, largest_input, limit),
        _ => Vec::new(),
    };
    let mut unlike = vec![unlike];
    for (index, layer) in chain.layers.iter().enumerate() {
        let [next, further] = [&floats, &unlike].map(|vectors| accumulate(chain, vectors, index));
        quantiser.layer(index, layer, chain, &floats, (&next, &further))?;
        for (vectors, mut next) in [(&mut floats, next), (&mut unlike, further)] {
            let inputs = vectors.get(index).map_or(&[][..], Vec::as_slice);
            let inputs = inputs.chunks_exact(layer.inputs().max(1));
            for (input, next) in inputs.zip(next.chunks_exact_mut(layer.outputs().max(1))) {
                layer.activate(input, next);
                chain.round(index, next);
            }
            vectors.push(next);
            forget(vectors.iter_mut(), index + 1, index, chain);
        }
        // The larger of two is found with the two.
        let end = if is_pairs(layer.map.shape) { index } else { index + 1 };
        forget(quantiser.vectors.iter_mut().map(|(words, _)| words), end, index, chain);
    }
    let float = floats.pop().unwrap_or_default();
    quantiser.finish(chain, right.unwrap_or(&float))
}

/// What layer `index` makes of every row, before its activation.
fn accumulate(chain: &Chain, vectors: &[Vec<f64>], index: usize) -> Vec<f64> {
    let Some(layer) = chain.layers.get(index) else { return Vec::new() };
    let rows = vectors.get(index).map_or(0, |input| input.len() / layer_width(chain, index));
    let row = |row| {
        let known: Vec<&[f64]> =
            (0..=index).map(|vector| row_of(vectors.get(vector), chain, vector, row)).collect();
        layer.accumulate(&known)
    };
    (0..rows).flat_map(row).collect()
}

/// Values that calibration may keep for one vector: more readings than have room are left out,
/// evenly.
const MAX_VALUES: usize = 1 << 24;

/// The readings that are calibrated with.
pub(super) fn sampled(chain: &Chain, calibration: &Readings) -> Vec<f64> {
    let widest = chain
        .layers
        .iter()
        .map(|layer| layer.inputs().max(layer.outputs()))
        .max()
        .unwrap_or(1)
        .max(1);
    let step = calibration.len().div_ceil((MAX_VALUES / widest).max(1)).max(1);
    calibration.rows().step_by(step).flatten().map(|&value| f64::from(value)).collect()
}

/// Width of a vector: that which layer `index` takes, or the answer.
pub(super) fn layer_width(chain: &Chain, index: usize) -> usize {
    let answer = || chain.layers.last().map_or(1, Layer::outputs);
    chain.layers.get(index).map_or_else(answer, Layer::inputs).max(1)
}

/// A row of a vector, by number; nothing if the vector was forgotten.
fn row_of<'v, T>(values: Option<&'v Vec<T>>, chain: &Chain, vector: usize, row: usize) -> &'v [T] {
    let width = layer_width(chain, vector);
    values.and_then(|values| values.get(row * width..(row + 1) * width)).unwrap_or(&[])
}

/// Private weights of layers to which the vector that layer `index` takes is carried over: they,
/// too, need bits that the vector does not have.
fn carried_weights(chain: &Chain, index: usize) -> Vec<f64> {
    let skips = chain.layers.iter().filter_map(|layer| layer.skip.as_ref());
    skips.filter(|skip| skip.from == index).flat_map(|skip| skip.map.weights.clone()).collect()
}

/// Whether a layer takes the larger of two.
fn is_pairs(shape: Shape) -> bool {
    matches!(shape, Shape::Pairs(_))
}

/// Whether the sums of layer `index` are pooled as they are, and what comes of that has its own
/// gate.
fn are_pooled(chain: &Chain, index: usize) -> bool {
    let pairs = |layer: &&Layer| is_pairs(layer.map.shape);
    let mut behind = chain.layers.iter().skip(index + 1).peekable();
    chain.layers.get(index).is_some_and(|layer| !layer.relu && !pairs(&layer))
        && behind.peek().is_some_and(pairs)
        && behind.find(|layer| !pairs(layer)).is_none_or(Layer::is_bare)
}

/// Drops the vectors before `end` that no layer behind layer `index` asks for again.
fn forget<'v, T: 'v>(
    vectors: impl Iterator<Item = &'v mut Vec<T>>,
    end: usize,
    index: usize,
    chain: &Chain,
) {
    let later = chain.layers.iter().skip(index + 1).filter_map(|layer| layer.skip.as_ref());
    for (vector, values) in vectors.enumerate().take(end) {
        if later.clone().all(|skip| skip.from != vector) {
            *values = Vec::new();
        }
    }
}

fn unsigned(words: &[i64]) -> Vec<u64> {
    words.iter().map(|word| word.cast_unsigned()).collect()
}

/// The network so far, and its integer accumulators for every calibration reading.
struct Quantiser<'a> {
    options: &'a Options,
    largest_input: f64,
    room: Room,
    input_frac_bits: i32,
    layers: Vec<network::Layer>,
    weights: Vec<Vec<u32>>,
    biases: Vec<Vec<u32>>,
    /// Accumulators of the last layer, row by row, whose activation and shift are still to be
    /// decided.
    pending: Vec<i64>,
    /// What each layer took, row by row; with its fraction bits.
    vectors: Vec<(Vec<i64>, i32)>,
    /// Bounds of what each layer takes, for every reading that is accepted.
    bounds: Vec<Bounds>,
    /// Those of the last accumulators.
    accumulated: Bounds,
    /// What the last accumulators must have room for, if nothing is proved of them.
    needed: f64,
    reports: Vec<LayerReport>,
}

/// What accumulators of readings that were tried may be exceeded by.
const MARGIN: f64 = 1.125;

fn range_of(values: &[f64]) -> (f64, f64) {
    values.iter().fold((0.0, 0.0), |(low, high), &value| (low.min(value), high.max(value)))
}

/// A layer at its scales.
struct Scaled {
    weights: Vec<i64>,
    skip_weights: Vec<i64>,
    bias: Vec<i64>,
    words: Vec<i64>,
    frac_bits: i32,
}

impl Quantiser<'_> {
    fn layer(
        &mut self,
        index: usize,
        layer: &Layer,
        chain: &Chain,
        floats: &[Vec<f64>],
        (accumulators, others): (&[f64], &[f64]),
    ) -> Result<(), QuantiseError> {
        let float = floats.get(index).map_or(&[][..], Vec::as_slice);
        let range = range_of(accumulators);
        let seen = range.1.max(-range.0);
        let pooled = are_pooled(chain, index);
        let gate_bits = match layer.relu || index + 1 < chain.layers.len() {
            // Differences of sums need a bit more than they.
            true if pooled => self.room.gate_bits.saturating_sub(1).max(MIN_GATE_BITS),
            true => self.room.gate_bits,
            false => Room::UNGATED,
        };
        let fitting = |largest: f64, headroom_bits: u8| {
            fitting_bits(largest, headroom_bits) - i32::from(RING_BITS - gate_bits)
        };
        let mut frac_bits = fitting(seen, self.options.headroom_bits);
        let mut needed = seen * pow2(i32::from(self.options.headroom_bits));
        if !self.room.proved {
            let (low, high) = range_of(others);
            let others = MARGIN * high.max(-low);
            frac_bits = frac_bits.min(fitting(others, 0));
            needed = needed.max(others);
        }
        if self.room.proved {
            // What is passed on is rounded, once its bits are known: that is little beside a bound.
            let mut bounds = core::mem::take(&mut self.bounds);
            bounds.push(self.taken(index, chain, i32::from(MAX_FRAC_BITS)));
            let largest = ranges::accumulators(layer, &bounds, None, &layer.bias).largest();
            bounds.pop();
            self.bounds = bounds;
            let proved = fitting(largest, 0);
            if proved < frac_bits - PROOF_BITS {
                return Err(self.unproved(index, &layer.name, largest));
            }
            frac_bits = frac_bits.min(proved);
        }
        if chain.steps_of(index).is_some() {
            // All fraction bits are dropped, and a gate drops fewer than it has.
            frac_bits = frac_bits.min(i32::from(gate_bits) - 2);
        }
        let further = carried_weights(chain, index);
        let input_bits = if chain.steps_of(index.wrapping_sub(1)).is_some() {
            self.activate(index, 0)?;
            0
        } else if index == 0 {
            let bits = self.input_bits(&layer.map, &further, float, frac_bits)?;
            self.encode(float, bits)?;
            bits
        } else {
            // Copies have weights of one, which lose a fraction bit only if they have one.
            let spare = i32::from(chain.layers.get(index + 1).is_some_and(Layer::adds_pieces));
            let bits = self.hidden_bits(index, chain, &further, float, frac_bits - spare)?;
            self.activate(index, bits)?;
            bits
        };
        let taken = self.taken(index, chain, input_bits);
        self.bounds.push(taken);
        let pairs = is_pairs(layer.map.shape);
        let carried = layer
            .skip
            .as_ref()
            .and_then(|skip| self.vectors.get(skip.from))
            .map_or(0, |(_, bits)| *bits);
        let out_of_range = || {
            let option = if index == 0 { "input-frac-bits" } else { "frac-bits" };
            let bits = input_bits.max(carried);
            self.out_of_range((index, &layer.name), range, bits, ("inputs", option))
        };
        let (scaled, accumulated, proved) = loop {
            let weight_bits = match pairs {
                true if frac_bits >= input_bits => 0,
                true => -1,
                false if layer.is_bare() => (frac_bits - input_bits).min(0),
                false => (frac_bits - input_bits).min(weight_cap(&layer.map)),
            };
            // What is carried over has its own fraction bits, and weights that make up for the
            // difference.
            let skip_bits = input_bits + weight_bits - carried;
            if weight_bits < 0 || layer.skip.is_some() && !(0..31).contains(&skip_bits) {
                return Err(out_of_range());
            }
            let scaled = self.scale(index, layer, chain, (weight_bits, skip_bits), accumulators);
            // Rounding may push the largest accumulator over the limit that its float value keeps.
            // A bias may wrap around: sums are modulo 2^32, and only the accumulator has to be what
            // it stands for.
            let bits = (weight_bits, skip_bits);
            let accumulated = self.accumulators(layer, &scaled, bits);
            let limit = Room::limit(gate_bits);
            let proved = accumulated.largest() * pow2(scaled.frac_bits) < limit;
            let fits = |&word: &i64| real(word, 0).abs() < limit;
            if scaled.words.iter().all(fits) && (proved || !self.room.proved) {
                break (scaled, accumulated, proved);
            }
            if pairs {
                return Err(out_of_range());
            }
            frac_bits = input_bits + weight_bits - 1;
        };
        let weight_bits = scaled.frac_bits - input_bits;
        if scaled.weights.iter().all(|&weight| weight == 0)
            && layer.map.weights.iter().any(|&weight| weight != 0.0)
        {
            let largest =
                layer.map.weights.iter().fold(0.0_f64, |max, weight| max.max(weight.abs()));
            return Err(QuantiseError::Vanished {
                layer: index,
                name: layer.name.clone(),
                largest,
                frac_bits: small(weight_bits),
                low: range.0,
                high: range.1,
            });
        }
        self.reports.push(LayerReport::new(
            layer,
            range,
            accumulators,
            &scaled.words,
            scaled.frac_bits,
            &scaled.weights,
        ));
        let proved = proved && self.reports.iter().rev().skip(1).all(|layer| layer.proved);
        if let Some(report) = self.reports.last_mut() {
            report.proved = proved;
        }
        // Those before were asked for until here: they decide on the gate before.
        (self.accumulated, self.needed) = (accumulated, needed);
        self.layers.push(network::Layer {
            shape: layer.map.shape,
            weight_frac_bits: small(weight_bits),
            skip: layer.skip.as_ref().map(|skip| network::Skip {
                from: u8::try_from(skip.from).unwrap_or(u8::MAX),
                shape: skip.map.shape,
                weight_frac_bits: small(scaled.frac_bits - carried),
            }),
            shift: 0,
            gate_bits,
            activation: if layer.relu { Activation::Relu } else { Activation::Identity },
        });
        self.weights
            .push(scaled.weights.into_iter().chain(scaled.skip_weights).map(word).collect());
        self.biases.push(scaled.bias.into_iter().map(word).collect());
        self.pending = scaled.words;
        Ok(())
    }

    /// Bounds of what layer `index` takes with `bits` fraction bits.
    fn taken(&self, index: usize, chain: &Chain, bits: i32) -> Bounds {
        let before = index.checked_sub(1);
        match before.and_then(|before| Some((chain.layers.get(before)?, self.bounds.get(before)?)))
        {
            Some((layer, input)) => self.accumulated.passed_on(layer, input, bits),
            None => Bounds::symmetric(
                layer_width(chain, 0),
                self.largest_input * self.room.level + pow2(-bits),
            ),
        }
    }

    /// Bounds of the accumulators of a layer at its scales.
    fn accumulators(
        &self,
        layer: &Layer,
        scaled: &Scaled,
        (weight_bits, skip_bits): (i32, i32),
    ) -> Bounds {
        let own = Rounded { weights: &scaled.weights, bits: weight_bits };
        let skip = Rounded { weights: &scaled.skip_weights, bits: skip_bits };
        let bias: Vec<f64> = scaled.bias.iter().map(|&bias| real(bias, scaled.frac_bits)).collect();
        ranges::accumulators(layer, &self.bounds, Some([own, skip]), &bias)
    }

    fn unproved(&self, layer: usize, name: &str, largest: f64) -> QuantiseError {
        self.out_of_range((layer, name), (-largest, largest), 0, ("inputs", "headroom-bits"))
    }

    fn out_of_range(
        &self,
        (layer, name): (usize, &str),
        (low, high): (f64, f64),
        bits: i32,
        (what, option): (&'static str, &'static str),
    ) -> QuantiseError {
        let (name, headroom_bits) = (name.to_owned(), self.options.headroom_bits);
        let frac_bits = small(bits);
        QuantiseError::Range { layer, name, low, high, frac_bits, what, option, headroom_bits }
    }

    /// Quantises a layer and runs it on all readings; `float` are the accumulators it should give.
    fn scale(
        &self,
        index: usize,
        layer: &Layer,
        chain: &Chain,
        (weight_bits, skip_bits): (i32, i32),
        float: &[f64],
    ) -> Scaled {
        let frac_bits = self.vectors.get(index).map_or(0, |(_, bits)| *bits) + weight_bits;
        let rounded = |map: &Map, bits: i32| {
            map.weights.iter().map(|&weight| integer(weight, bits)).collect::<Vec<i64>>()
        };
        let weights = rounded(&layer.map, weight_bits);
        let skip_weights =
            layer.skip.as_ref().map_or_else(Vec::new, |skip| rounded(&skip.map, skip_bits));
        let mut bias: Vec<i64> = layer.bias.iter().map(|&bias| integer(bias, frac_bits)).collect();
        let (inputs, outputs) = (layer.inputs().max(1), layer.outputs().max(1));
        let rows = self.vectors.get(index).map_or(0, |(words, _)| words.len() / inputs);
        let mut words = Vec::with_capacity(float.len());
        for row in 0..rows {
            // Sums are exact modulo 2^64, and so are exact: they are within a few units of the
            // float ones.
            let mut out = unsigned(&bias);
            let mut add = |vector: usize, map: &Map, weights: &[i64], bits: i32| {
                let words = self.vectors.get(vector).map(|(words, _)| words);
                let x = row_of(words, chain, vector, row);
                let public = network::public_weight(&map.shape, small(bits));
                map.shape.add_product(&unsigned(weights), public, &unsigned(x), &mut out);
            };
            add(index, &layer.map, &weights, weight_bits);
            if let Some(skip) = &layer.skip {
                add(skip.from, &skip.map, &skip_weights, skip_bits);
            }
            words.extend(out.iter().map(|word| word.cast_signed()));
        }
        // Steps are rounded as the file rounds them: there is no mean error to take back.
        // A difference is exact. Around a limit, as a ReLU6 is one, what lies far beyond it has
        // large errors, that are cut away: they must not move the limit.
        let limited = layer.mirrors() || chain.layers.get(index + 1).is_some_and(Layer::mirrors);
        // Knots stay where they are: the proof of a sum of pieces counts on that.
        let limited = limited || chain.layers.get(index + 1).is_some_and(Layer::adds_pieces);
        if chain.is_counted() || limited || is_pairs(layer.map.shape) {
            return Scaled { weights, skip_weights, bias, words, frac_bits };
        }
        // The mean error over the readings, which the bias takes back.
        let mut errors = vec![0.0; outputs];
        for (words, float) in words.chunks_exact(outputs).zip(float.chunks_exact(outputs)) {
            for ((error, &word), &float) in errors.iter_mut().zip(words).zip(float) {
                *error += real(word, frac_bits) - float;
            }
        }
        let corrections: Vec<i64> =
            errors.iter().map(|error| -integer(error / count(rows), frac_bits)).collect();
        bias.iter_mut().zip(&corrections).for_each(|(bias, correction)| *bias += correction);
        for words in words.chunks_exact_mut(outputs) {
            words.iter_mut().zip(&corrections).for_each(|(word, correction)| *word += correction);
        }
        Scaled { weights, skip_weights, bias, words, frac_bits }
    }

    /// Fraction bits of the input.
    fn input_bits(
        &self,
        map: &Map,
        further: &[f64],
        float: &[f64],
        budget: i32,
    ) -> Result<i32, QuantiseError> {
        let of_steps = || self.room.reading.map(counted::input_frac_bits);
        if let Some(bits) = self.options.input_frac_bits.or_else(of_steps) {
            return Ok(i32::from(bits));
        }
        let most = fitting_bits(self.largest_input, self.options.headroom_bits);
        if is_pairs(map.shape) && most.min(budget) >= 0 {
            // The larger of two is passed on as it is: more bits would be missing in the weights
            // behind it.
            return Ok(USUAL_BITS.min(most).min(budget));
        }
        let split = Split::new(map, further, float);
        let fits = |&bits: &i32| bits <= most;
        let error = |bits: i32| {
            let rounding = |&value: &f64| (value - round_to(value, bits)).powi(2);
            let seen = float.iter().map(rounding).sum::<f64>() / count(float.len());
            // Calibration readings may be round numbers; others that are accepted need not be.
            split.error(seen.max(split.share * pow2(-2 * bits) / 12.0), bits, budget)
        };
        let best = best((0..=i32::from(MAX_FRAC_BITS)).filter(fits), error, 8);
        best.ok_or(self.input_range(0))
    }

    /// Fraction bits of the activations between the last layer and this one.
    fn hidden_bits(
        &self,
        index: usize,
        chain: &Chain,
        further: &[f64],
        float: &[f64],
        budget: i32,
    ) -> Result<i32, QuantiseError> {
        let Some(Layer { map, .. }) = chain.layers.get(index) else { return Ok(0) };
        let before = self.reports.last().map_or(0, |report| report.frac_bits);
        if self.layers.last().is_some_and(|layer| is_pairs(layer.shape)) {
            // The larger of two is passed on as it is.
            return Ok(before);
        }
        if let Some(bits) = self.options.frac_bits {
            let bits = i32::from(bits);
            let last = self.reports.last().filter(|_| before < bits);
            return last.map_or(Ok(bits), |last| {
                let (layer, what) = ((index - 1, last.name.as_str()), ("outputs", "frac-bits"));
                Err(self.out_of_range(layer, (last.low, last.high), bits, what))
            });
        }
        if is_pairs(map.shape) {
            // A difference has as many fraction bits as what it is taken of: those of sums, so that
            // they need no gate, or else the usual number.
            let sums = index.checked_sub(1).is_some_and(|before| are_pooled(chain, before));
            let bits = if sums { before } else { USUAL_BITS.min(before) };
            return Ok(bits.min(budget).max(0));
        }
        let largest = self.reports.last().map_or(0.0, |last| last.high.max(-last.low));
        let split = Split::new(map, further, float).awake(largest);
        let gate_bits = self.layers.last().map_or(RING_BITS, |layer| layer.gate_bits);
        // Rounding to 2^-bits is off by an even distribution, except where a ReLU gave zero.
        let error = |bits: i32| split.error(split.share * pow2(-2 * bits) / 12.0, bits, budget);
        let any = (0..=before.min(i32::from(MAX_FRAC_BITS)))
            .filter(|bits| before - bits < i32::from(gate_bits) - 1);
        let Some(least) = any.clone().map(error).min_by(f64::total_cmp) else { return Ok(0) };
        // Of those that are about as good, the one whose gate costs least.
        let cheap = any.filter(|&bits| error(bits) <= AS_GOOD * least);
        let cost = |bits: i32| narrow::cost(gate_bits, small(before - bits));
        Ok(best(cheap, cost, USUAL_BITS).unwrap_or(0))
    }

    fn input_range(&self, frac_bits: u8) -> QuantiseError {
        let (largest, headroom_bits) = (self.largest_input, self.options.headroom_bits);
        QuantiseError::InputRange { largest, frac_bits, headroom_bits }
    }

    /// Rounds the readings.
    fn encode(&mut self, float: &[f64], bits: i32) -> Result<(), QuantiseError> {
        let headroom_bits = match self.room.reading {
            Some(_) => 0,
            None => self.options.headroom_bits,
        };
        if bits > fitting_bits(self.largest_input, headroom_bits) {
            return Err(self.input_range(small(bits)));
        }
        self.input_frac_bits = bits;
        self.vectors.push((float.iter().map(|&value| integer(value, bits)).collect(), bits));
        Ok(())
    }

    /// Makes of the last accumulators what layer `index` takes: the activation, and `bits` fraction
    /// bits, rounding to nearest.
    ///
    /// # Errors
    /// [`QuantiseError::Range`] if the half unit that is added makes one wrap around.
    fn activate(&mut self, index: usize, bits: i32) -> Result<(), QuantiseError> {
        let frac_bits = self.reports.last().map_or(0, |report| report.frac_bits);
        let shift = frac_bits - bits;
        let half = if shift > 0 { 1_i64 << (shift - 1) } else { 0 };
        // The bound of an interval is one of its sums, rounded as a proof allows for.
        let bound = self.accumulated.largest() * pow2(frac_bits) + real(half, 0);
        let gate_bits = self.layers.last().map_or(Room::UNGATED, |layer| layer.gate_bits);
        let limit = pow2(i32::from(gate_bits) - 1);
        let proved = bound < limit;
        let tried = self.pending.iter().all(|&word| real(word + half, 0) < limit);
        if let Some(last) = self.reports.last_mut() {
            last.proved &= proved;
            if !(tried && (proved || !self.room.proved)) {
                let (layer, range) = ((index - 1, last.name.clone()), (last.low, last.high));
                let what = ("outputs", "headroom-bits");
                return Err(self.out_of_range((layer.0, &layer.1), range, bits, what));
            }
        }
        let seen = self.seen(half, frac_bits);
        if let Some(layer) = self.layers.last_mut() {
            layer.shift = small(shift);
        }
        self.narrow(bound, seen);
        if let Some(biases) = self.biases.last_mut().filter(|_| half > 0) {
            biases.iter_mut().for_each(|bias| *bias = bias.wrapping_add(word(half)));
        }
        let words = self.activated(index, half, shift);
        self.vectors.push((words, bits));
        Ok(())
    }

    /// Gives the last gate the width that its accumulators need: what bounds them where that is
    /// asked for, or else what was seen of them.
    fn narrow(&mut self, bound: f64, seen: f64) {
        let (Some(layer), Some(report)) = (self.layers.last_mut(), self.reports.last_mut()) else {
            return;
        };
        layer.gate_bits = narrow::width(layer, if self.room.proved { bound } else { seen });
        report.proved &= bound < pow2(i32::from(layer.gate_bits) - 1);
    }

    /// What the last accumulators, with a half unit of what is dropped, need room for, in units, as
    /// far as it was tried.
    fn seen(&self, half: i64, frac_bits: i32) -> f64 {
        let words = self.pending.iter().map(|word| real(word.abs(), 0));
        words.fold(self.needed * pow2(frac_bits), f64::max) + real(half, 0)
    }

    /// The last accumulators after the activation of the layer before layer `index`.
    fn activated(&mut self, index: usize, half: i64, shift: i32) -> Vec<i64> {
        let mut words = core::mem::take(&mut self.pending);
        let Some(layer) = self.layers.last() else { return words };
        let relu = layer.activation == Activation::Relu;
        for word in &mut words {
            let accumulator = *word + half;
            *word = if relu { accumulator.max(0) } else { accumulator } >> shift;
        }
        if let Shape::Pairs(window) = layer.shape {
            let before = index
                .checked_sub(1)
                .and_then(|before| self.vectors.get(before))
                .map_or(&[][..], |(words, _)| words);
            let (inputs, outputs) =
                (usize::from(layer.inputs()).max(1), usize::from(layer.outputs()).max(1));
            for (out, x) in words.chunks_exact_mut(outputs).zip(before.chunks_exact(inputs)) {
                let mut sums = unsigned(out);
                Shape::Last(window).add_product(&[], 1, &unsigned(x), &mut sums);
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum.cast_signed());
            }
        }
        words
    }

    fn finish(mut self, chain: &Chain, float: &[f64]) -> Result<(Model, Report), QuantiseError> {
        // A ReLU on the answer keeps the scale of its accumulator.
        let frac_bits = self.reports.last().map_or(0, |report| report.frac_bits);
        let bound = self.accumulated.largest() * pow2(frac_bits);
        self.narrow(bound, self.seen(0, frac_bits));
        let words = self.activated(chain.layers.len(), 0, 0);
        let limit = self.largest_input * self.room.level * pow2(self.input_frac_bits);
        let input_limit = u32::try_from(integer(limit.ceil(), 0)).unwrap_or(u32::MAX);
        let network = Network::new(small(self.input_frac_bits), input_limit, &self.layers)
            .map_err(QuantiseError::Description)?;
        let report = Report::new(self.reports, &network, float, &words, chain.left_off.clone());
        let model = Model {
            network,
            weights: self.weights,
            biases: self.biases,
            labels: chain.labels.clone(),
            scores: chain.scores,
            name: chain.name.clone(),
        };
        Ok((model, report))
    }
}
