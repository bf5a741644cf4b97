//! Bounds of everything that a layer computes, from bounds of what it takes: a proof that no
//! accumulator wraps around, for every reading that is accepted.
//!
//! Interval arithmetic, layer by layer: the bound of a sum of products is the sum of their bounds.
//! It holds for the quantised weights and rounded activations, and allows for what `f64` rounds.

use sharelet_core::session::network::public_weight;
use sharelet_core::shape::Shape;

use super::layer::{Layer, Map, count};
use super::scales::{pow2, real, small};
use super::spline::Spline;

/// What floating point may be off by, of the size of a bound: sums of 2^16 terms lose 2^-37.
const SLACK: f64 = 1.0 / (1 << 20) as f64;

/// Bounds of a vector, or of accumulators, element by element.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

/// Weights as the ring has them, and their fraction bits.
#[derive(Clone, Copy)]
pub(super) struct Rounded<'w> {
    pub(super) weights: &'w [i64],
    pub(super) bits: i32,
}

impl Bounds {
    /// Every value within `limit` of zero.
    pub(super) fn symmetric(width: usize, limit: f64) -> Self {
        Self { low: vec![-limit; width], high: vec![limit; width] }
    }

    /// The largest magnitude.
    pub(super) fn largest(&self) -> f64 {
        self.low.iter().chain(&self.high).fold(0.0, |max, bound| bound.abs().max(max))
    }

    pub(super) fn widen(&mut self, by: f64) {
        self.low.iter_mut().for_each(|low| *low -= by);
        self.high.iter_mut().for_each(|high| *high += by);
    }

    /// Adds the bounds of `map` over what `self` bounds to `out`.
    fn add_product(&self, map: &Map, rounded: Option<Rounded<'_>>, out: &mut Self) {
        let (mut low, mut high) = (vec![0.0; out.low.len()], vec![0.0; out.high.len()]);
        let mut scale = 1.0;
        if map.weights.is_empty() {
            // Public weights are not negative, but for a difference.
            if let Some(Rounded { bits, .. }) = rounded {
                #[allow(clippy::cast_precision_loss)]
                let word = public_weight(&map.shape, small(bits)) as f64;
                scale = word * pow2(-bits) * size(&map.shape);
            }
            map.add_product(&self.low, &mut low);
            map.add_product(&self.high, &mut high);
        } else {
            let weights: Vec<f64> = match rounded {
                Some(Rounded { weights, bits }) => {
                    weights.iter().map(|&weight| real(weight, bits)).collect()
                }
                None => map.weights.clone(),
            };
            let part = |keep: fn(f64) -> f64| Map {
                shape: map.shape,
                weights: weights.iter().map(|&weight| keep(weight)).collect(),
            };
            let (up, down) = (part(|weight| weight.max(0.0)), part(|weight| weight.min(0.0)));
            up.add_product(&self.low, &mut low);
            down.add_product(&self.high, &mut low);
            up.add_product(&self.high, &mut high);
            down.add_product(&self.low, &mut high);
        }
        out.low.iter_mut().zip(low).for_each(|(sum, low)| *sum += scale * low);
        out.high.iter_mut().zip(high).for_each(|(sum, high)| *sum += scale * high);
    }

    /// Narrows the bounds of a sum of pieces to the values that the whole of them takes: copies of
    /// a value are not far from zero in any way, but all of the same value. `taken` bounds the
    /// values, `copies` what is above each knot.
    fn narrow_to_pieces(
        &mut self,
        spline: &Spline,
        taken: &Self,
        copies: &Self,
        rounded: Option<Rounded<'_>>,
        bias: &[f64],
    ) {
        let steps: Vec<f64> = match rounded {
            Some(Rounded { weights, bits }) => {
                weights.iter().map(|&weight| real(weight, bits)).collect()
            }
            None => spline.steps.clone(),
        };
        let (knots, count) = (&spline.knots, taken.low.len().max(1));
        let ends = taken.low.iter().zip(&taken.high).enumerate();
        let own = self.low.iter_mut().zip(&mut self.high);
        for (((index, (&from, &to)), (low, high)), &bias) in ends.zip(own).zip(bias) {
            let pieces = || knots.iter().zip(&steps);
            let at = |x: f64| pieces().fold(bias, |sum, (knot, step)| sum + step * above(x, *knot));
            let inside = knots.iter().copied().filter(|&knot| from < knot && knot < to);
            let values = inside.chain([from, to]).map(at);
            let (least, most) = values
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), y| {
                    (least.min(y), most.max(y))
                });
            // What copies are rounded by, and knots. Bounds of copies allow for the former.
            let of_copy = copies.high.iter().skip(index).step_by(count);
            let off = pieces().zip(of_copy).fold(0.0, |sum, ((knot, step), copy)| {
                sum + 2.0 * step.abs() * (copy - above(to, *knot)).max(0.0)
            });
            (*low, *high) = (low.max(least - off), high.min(most + off));
        }
    }

    /// Bounds of the larger of two, of the first and of the second of the two.
    fn pairs(&self, shape: Shape) -> [Self; 2] {
        let Shape::Pairs(window) = shape else { return [Self::default(), Self::default()] };
        let outputs = usize::from(shape.outputs());
        let pick = |values: &[f64]| {
            let (mut difference, mut last) = (vec![0.0; outputs], vec![0.0; outputs]);
            Map::public(shape).add_product(values, &mut difference);
            Map::public(Shape::Last(window)).add_product(values, &mut last);
            let first: Vec<f64> = difference.iter().zip(&last).map(|(d, last)| d + last).collect();
            [first, last]
        };
        let [[first_low, last_low], [first_high, last_high]] = [pick(&self.low), pick(&self.high)];
        [Self { low: first_low, high: first_high }, Self { low: last_low, high: last_high }]
    }

    /// Bounds of what a layer passes on: after its activation, rounded to `bits` fraction bits.
    /// `self` bounds its accumulators, `input` what it took.
    pub(super) fn passed_on(&self, layer: &Layer, input: &Self, bits: i32) -> Self {
        let mut passed = self.clone();
        if let Shape::Pairs(_) = layer.map.shape {
            let [first, last] = input.pairs(layer.map.shape);
            let larger = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.max(*b)).collect();
            passed =
                Self { low: larger(&first.low, &last.low), high: larger(&first.high, &last.high) };
        } else if layer.relu {
            passed.low.iter_mut().chain(&mut passed.high).for_each(|bound| *bound = bound.max(0.0));
        }
        passed.widen(pow2(-bits));
        if layer.relu && !matches!(layer.map.shape, Shape::Pairs(_)) {
            passed.low.iter_mut().for_each(|low| *low = low.max(0.0));
        }
        passed
    }
}

fn above(x: f64, knot: f64) -> f64 {
    (x - knot).max(0.0)
}

/// Elements that a public window adds up.
fn size(shape: &Shape) -> f64 {
    match shape {
        Shape::Mean(window) => count(window.kernel_elems()),
        _ => 1.0,
    }
}

/// Bounds of a layer's accumulators. `vectors` bounds what each layer up to this one takes;
/// `rounded` are the layer's weights and those of what is carried over, and `bias` its bias, as the
/// ring has them: without them those of the float network.
pub(super) fn accumulators(
    layer: &Layer,
    vectors: &[Bounds],
    rounded: Option<[Rounded<'_>; 2]>,
    bias: &[f64],
) -> Bounds {
    let nothing = Bounds::default();
    let input = vectors.last().unwrap_or(&nothing);
    let mut out = Bounds { low: bias.to_vec(), high: bias.to_vec() };
    if let Shape::Pairs(_) = layer.map.shape {
        let [first, last] = input.pairs(layer.map.shape);
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        out = Bounds { low: minus(&first.low, &last.high), high: minus(&first.high, &last.low) };
    } else {
        input.add_product(&layer.map, rounded.map(|[own, _]| own), &mut out);
        if let Some(skip) = &layer.skip {
            let from = vectors.get(skip.from).unwrap_or(&nothing);
            from.add_product(&skip.map, rounded.map(|[_, skip]| skip), &mut out);
        }
        let pieces = layer.pieces().filter(|spline| !spline.mirrored);
        if let (Some(spline), [.., taken, copies]) = (pieces, vectors) {
            out.narrow_to_pieces(spline, taken, copies, rounded.map(|[own, _]| own), bias);
        }
    }
    let slack = SLACK * out.largest();
    out.widen(slack);
    out
}
