//! A quantised network as a chain that counts in steps: every value between layers is a whole
//! number, so that what the ring rounds is what the file rounds.
//!
//! A layer's weights are multiplied by the step of what it takes and divided by the step of what it
//! gives. The lower limit of a value is its ReLU where it is zero. Another limit becomes layers of
//! its own, `high - max(high - y, 0)` and the like, if a reading can reach it: it is left out where
//! bounds prove that none does, or no reading that is tried comes near.

use sharelet_core::shape::Shape;

use super::fold::Factors;
use super::layer::{Chain, Layer, Map, Skip, count};
use super::ranges::{self, Bounds};
use super::steps::Steps;
use super::stress;

/// Readings of the calibration that are tried.
const TRIED: usize = 64;
/// The share of a range that tried values stay away from a limit that is left out.
const MARGIN: f64 = 0.125;

/// The steps of a reading: those that the first layer rounds it to.
pub(super) fn of_reading(chain: &Chain) -> Option<Steps> {
    let first = chain.layers.first()?;
    let bare = matches!(first.map.shape, Shape::Identity { .. }) && first.skip.is_none();
    chain.steps_of(0).filter(|_| bare)
}

/// Fraction bits with which a reading is rounded to its steps, and not before.
pub(super) fn input_frac_bits(steps: Steps) -> u8 {
    let finer = (0..20).find(|&bits| steps.scale * 2.0_f64.powi(bits - 10) >= 1.0);
    u8::try_from(finer.unwrap_or(20)).unwrap_or(20)
}

/// A vector of the chain in the one that counts.
#[derive(Clone, Copy)]
struct Place {
    /// The layer that takes it.
    vector: usize,
    /// It is `unit * (sign * word + offset)`.
    unit: f64,
    sign: f64,
    offset: f64,
}

/// The smallest and largest accumulators of a layer over the tried readings, and whether bounds
/// prove that the limits of its steps are not reached.
#[derive(Clone, Copy)]
struct Reach {
    low: f64,
    high: f64,
    proved: (bool, bool),
}

/// The chain in steps, and the layers whose limits are left out because no reading that was tried
/// comes near. `rows` are calibration readings one after the other, and no reading beyond `limit`
/// is taken.
pub(super) fn counted(chain: &Chain, rows: &[f64], limit: f64) -> (Chain, Vec<String>) {
    let reach = reach(chain, rows, limit);
    let mut building =
        Building { chain, layers: vec![], steps: vec![], places: vec![], untried: vec![] };
    building.places.push(Place { vector: 0, unit: 1.0, sign: 1.0, offset: 0.0 });
    for (index, layer) in chain.layers.iter().enumerate() {
        building.layer(index, layer, reach.get(index).copied());
    }
    building.end();
    let Building { layers, steps, untried, .. } = building;
    let (name, left_off) = (chain.name.clone(), chain.left_off.clone());
    let (scores, labels) = (chain.scores, chain.labels.clone());
    (Chain { name, layers, left_off, scores, labels, steps }, untried)
}

/// The steps of a layer's values, and their limits: those of its type, and its ReLU.
fn limits(chain: &Chain, index: usize) -> Option<Steps> {
    let relu = chain.layers.get(index).is_some_and(|layer| layer.relu);
    chain.steps_of(index).map(|steps| if relu { steps.within(f64::INFINITY) } else { steps })
}

/// What each layer's accumulators reach.
fn reach(chain: &Chain, rows: &[f64], limit: f64) -> Vec<Reach> {
    let width = chain.layers.first().map_or(1, |layer| layer.inputs().max(1));
    let largest = rows.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    let mut reach = bounds(chain, width, limit);
    let tried = rows.chunks_exact(width).step_by((rows.len() / width).div_ceil(TRIED).max(1));
    let unlike = stress::rows(rows, width, largest, limit);
    for row in tried.chain(unlike.chunks_exact(width)) {
        chain.trace(row.to_vec(), |layer, accumulators| {
            if let Some(reach) = reach.get_mut(layer) {
                for value in accumulators {
                    (reach.low, reach.high) = (reach.low.min(*value), reach.high.max(*value));
                }
            }
        });
    }
    reach
}

/// Bounds of all layers, with the limits of their steps.
fn bounds(chain: &Chain, width: usize, limit: f64) -> Vec<Reach> {
    let mut vectors = vec![Bounds::symmetric(width, limit)];
    let mut reach = Vec::new();
    for (index, layer) in chain.layers.iter().enumerate() {
        let accumulated = ranges::accumulators(layer, &vectors, None, &layer.bias);
        let nothing = Bounds::default();
        let mut passed = accumulated.passed_on(layer, vectors.last().unwrap_or(&nothing), 60);
        let mut proved = (false, false);
        if let Some(Steps { scale, low, high }) = limits(chain, index) {
            let within = |bound: &f64| (bound / scale).abs();
            let all = |values: &[f64], limit: f64, sign: f64| {
                values.iter().all(|bound| {
                    within(bound).is_finite() && { sign * bound / scale < sign * limit + 0.5 }
                })
            };
            proved = (all(&accumulated.low, low, -1.0), all(&accumulated.high, high, 1.0));
            for bound in passed.low.iter_mut().chain(&mut passed.high) {
                *bound = bound.clamp(scale * low, scale * high);
            }
            passed.widen(scale);
        }
        vectors.push(passed);
        reach.push(Reach { low: 0.0, high: 0.0, proved });
    }
    reach
}

struct Building<'c> {
    chain: &'c Chain,
    layers: Vec<Layer>,
    steps: Vec<Option<Steps>>,
    /// Where the vector that each layer takes is, and the answer.
    places: Vec<Place>,
    /// Names of layers of which a limit is left out without a proof.
    untried: Vec<String>,
}

impl Building<'_> {
    fn place(&self, vector: usize) -> Place {
        let none = Place { vector: 0, unit: 1.0, sign: 1.0, offset: 0.0 };
        self.places.get(vector).copied().unwrap_or(none)
    }

    fn push(&mut self, layer: Layer, steps: Option<Steps>) {
        self.layers.push(layer);
        self.steps.push(steps);
    }

    fn layer(&mut self, index: usize, layer: &Layer, reach: Option<Reach>) {
        let taken = self.place(index);
        if let Shape::Pairs(_) = layer.map.shape {
            self.push(layer.clone(), None);
            self.places.push(Place { vector: self.layers.len(), ..taken });
            return;
        }
        let steps = limits(self.chain, index);
        let unit = steps.map_or(1.0, |steps| steps.scale);
        let Some(Steps { low, high, .. }) = steps else {
            let layer = self.scaled(index, layer, 1.0, unit);
            self.push(layer, None);
            self.places.push(Place { vector: self.layers.len(), unit, sign: 1.0, offset: 0.0 });
            return;
        };
        let mut reach = reach.unwrap_or(Reach { low, high, proved: (false, false) });
        // Bounds hold as long as all limits before are there.
        if !self.untried.is_empty() {
            reach.proved = (false, false);
        }
        let margin = MARGIN * (high - low);
        let cuts = (
            low < 0.0 && !reach.proved.0 && reach.low / unit < low + margin,
            !reach.proved.1 && reach.high / unit > high - margin,
        );
        let low_left_out = low < 0.0 && !reach.proved.0 && !cuts.0;
        if low_left_out || !reach.proved.1 && !cuts.1 {
            self.untried.push(layer.name.clone());
        }
        let width = layer.outputs();
        let name = &layer.name;
        let mut next = self.scaled(index, layer, if cuts.1 { -1.0 } else { 1.0 }, unit);
        next.relu = low == 0.0 || cuts.0 || cuts.1;
        let shift = match cuts {
            (_, true) => high,
            (true, false) => -low,
            (false, false) => 0.0,
        };
        next.bias.iter_mut().for_each(|bias| *bias += shift);
        self.push(next, Some(Steps::WHOLE));
        let (mut sign, mut offset) = match cuts {
            (_, true) => (-1.0, high),
            (true, false) => (1.0, low),
            (false, false) => (1.0, 0.0),
        };
        if cuts.1 && (cuts.0 || low == 0.0) {
            self.push(diagonal(name, width, (-1.0, high - low), true), Some(Steps::WHOLE));
            (sign, offset) = (1.0, low);
        }
        if (sign, offset) != (1.0, 0.0) && !self.takes_offsets(index + 1) {
            self.push(diagonal(name, width, (sign, offset), false), Some(Steps::WHOLE));
            (sign, offset) = (1.0, 0.0);
        }
        self.places.push(Place { vector: self.layers.len(), unit, sign, offset });
    }

    /// Whether all that takes a vector of the chain takes an offset into its bias.
    fn takes_offsets(&self, vector: usize) -> bool {
        let takes = |map: &Map| match map.shape {
            Shape::Pairs(_) | Shape::Last(_) => false,
            shape => shape
                .window()
                .is_none_or(|window| window.before == (0, 0) && window.after == (0, 0)),
        };
        let skips = self.chain.layers.iter().filter_map(|layer| layer.skip.as_ref());
        self.chain.layers.get(vector).is_none_or(|layer| takes(&layer.map))
            && skips.filter(|skip| skip.from == vector).all(|skip| takes(&skip.map))
    }

    /// A layer of what is counted, which gives `sign` times its results in `unit`s.
    fn scaled(&self, index: usize, layer: &Layer, sign: f64, unit: f64) -> Layer {
        let mut bias = layer.bias.clone();
        let mut part = |map: &Map, taken: Place| {
            if taken.offset != 0.0 {
                let constant = vec![taken.unit * taken.offset; usize::from(map.shape.inputs())];
                map.add_product(&constant, &mut bias);
            }
            times(map, sign * taken.sign * taken.unit / unit)
        };
        let map = part(&layer.map, self.place(index));
        let skip = layer.skip.as_ref().map(|skip| {
            let taken = self.place(skip.from);
            Skip { from: taken.vector, map: part(&skip.map, taken) }
        });
        bias.iter_mut().for_each(|bias| *bias *= sign / unit);
        Layer { name: layer.name.clone(), map, skip, bias, relu: layer.relu, curve: None }
    }

    /// The answer in real numbers.
    fn end(&mut self) {
        let Some(last) = self.chain.layers.last() else { return };
        let Place { unit, sign, offset, .. } = self.place(self.chain.layers.len());
        let whole = self.steps.last().is_some_and(Option::is_some);
        if whole || (unit, sign, offset) != (1.0, 1.0, 0.0) {
            let factors = (sign * unit, offset * unit);
            self.push(diagonal(&last.name, last.outputs(), factors, false), None);
        }
    }
}

/// `factor * x + offset`.
fn diagonal(name: &str, width: usize, (factor, offset): (f64, f64), relu: bool) -> Layer {
    let identity = Shape::Identity { width: u16::try_from(width).unwrap_or(u16::MAX) };
    let map = times(&Map::public(identity), factor);
    Layer { name: name.to_owned(), map, skip: None, bias: vec![offset; width], relu, curve: None }
}

/// A map times a factor; public weights become private ones if they do not stay what they are.
fn times(map: &Map, factor: f64) -> Map {
    if (factor - 1.0).abs() < 1e-12 {
        return map.clone();
    }
    let mut scaled = match map.shape {
        Shape::Identity { width } => Factors::ones(&[], width),
        Shape::Mean(window) => {
            let weights = usize::from(window.channels) * window.kernel_elems();
            let weights = vec![1.0 / count(window.kernel_elems()); weights];
            Map { shape: Shape::Convolution(window), weights }
        }
        _ => map.clone(),
    };
    scaled.weights.iter_mut().for_each(|weight| *weight *= factor);
    scaled
}
