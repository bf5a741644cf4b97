//! Layers in floating point, in the core's shapes.

use sharelet_core::shape::{Shape, Window};
use sharelet_model::Scores;

use super::function::Function;
use super::spline::Spline;
use super::steps::Steps;

/// One layer: `y = W x + b`, then what is carried over from an earlier layer, then `max(y, 0)` if
/// `relu`.
///
/// A layer of the shape [`Shape::Pairs`] takes the larger of two values, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name in the file.
    pub name: String,
    /// The linear map.
    pub map: Map,
    /// What is carried over.
    pub skip: Option<Skip>,
    /// `b`, one per output.
    pub bias: Vec<f64>,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// What the layer is of another activation.
    pub curve: Option<Curve>,
}

/// What a layer is of an activation that is no ReLU.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// The function is applied to what the layer gives; it has no ReLU.
    Whole(Function),
    /// What the layer gives is this, of what the layer before takes; that one gives for each knot
    /// what is above it.
    Sum(Spline),
    /// The same, with squares of which some are added and some subtracted.
    Squares,
}

/// A linear map with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Its shape.
    pub shape: Shape,
    /// Its private weights, row-major; none where they are public.
    pub weights: Vec<f64>,
}

/// What is carried over from an earlier layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Skip {
    /// The layer whose input it is.
    pub from: usize,
    /// The map.
    pub map: Map,
}

/// Layers, each taking what the one before gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Name of the network.
    pub name: String,
    /// At least one.
    pub layers: Vec<Layer>,
    /// Functions of the answer that its recipient is to apply, by the file's name for them.
    pub left_off: Vec<String>,
    /// The same, if it is one function of all values of the answer.
    pub scores: Option<Scores>,
    /// Names of the answer's elements that the file has, one for each; or none.
    pub labels: Vec<String>,
    /// What the results of each layer are rounded to; nothing, or no entry, where they are not.
    pub steps: Vec<Option<Steps>>,
}

impl Map {
    /// A map whose weights are public.
    #[must_use]
    pub fn public(shape: Shape) -> Self {
        Self { shape, weights: Vec::new() }
    }

    /// A factor per value: a depthwise convolution with kernels of one word. `image` is channels,
    /// rows, columns; there are as many factors as channels.
    #[must_use]
    pub fn diagonal([channels, height, width]: [u16; 3], factors: Vec<f64>) -> Self {
        let window = Window {
            channels,
            height,
            width,
            filters: channels,
            groups: channels,
            kernel: (1, 1),
            stride: (1, 1),
            before: (0, 0),
            after: (0, 0),
        };
        Self { shape: Shape::Convolution(window), weights: factors }
    }

    /// Weights as they are in the clear: the private ones, or a window of the public ones.
    #[must_use]
    pub fn all_weights(&self) -> Vec<f64> {
        match self.shape {
            Shape::Mean(window) => vec![1.0 / count(window.kernel_elems()); window.kernel_elems()],
            Shape::Pairs(_) | Shape::Last(_) | Shape::Identity { .. } => vec![1.0],
            Shape::Dense { .. } | Shape::Convolution(_) => self.weights.clone(),
        }
    }

    /// `out += W x`.
    pub fn add_product(&self, x: &[f64], out: &mut [f64]) {
        match self.shape {
            Shape::Dense { inputs, .. } => add_dense(&self.weights, inputs.into(), x, out),
            Shape::Identity { .. } => out.iter_mut().zip(x).for_each(|(out, x)| *out += x),
            Shape::Convolution(window) => {
                let (depth, elems) = (window.depth(), window.kernel_elems());
                slide(&window, x, out, |filter, channel| {
                    let start = (filter * depth + channel) * elems;
                    self.weights.get(start..start + elems).unwrap_or(&[])
                });
            }
            Shape::Mean(window) | Shape::Pairs(window) | Shape::Last(window) => {
                let mut kernel = vec![0.0; window.kernel_elems()];
                match (self.shape, kernel.as_mut_slice()) {
                    (Shape::Mean(_), kernel) => kernel.fill(1.0 / count(window.kernel_elems())),
                    (Shape::Pairs(_), [first, .., last]) => (*first, *last) = (1.0, -1.0),
                    (Shape::Last(_), [.., last]) => *last = 1.0,
                    _ => {}
                }
                slide(&window, x, out, |_, _| &kernel);
            }
        }
    }
}

/// Element `index`, or the only one.
#[must_use]
pub fn at(vector: &[f64], index: usize) -> f64 {
    vector.get(index).or(vector.first()).copied().unwrap_or(0.0)
}

/// `out += W x` of a matrix with `inputs` columns.
///
/// A sum has to wait for each of its additions, four rows side by side do not wait for each other.
/// A row's additions keep their order, so that no last digit of a sum is another.
fn add_dense(weights: &[f64], inputs: usize, x: &[f64], out: &mut [f64]) {
    let inputs = inputs.max(1);
    let mut outs = out.chunks_exact_mut(4);
    let mut fours = weights.chunks_exact(4 * inputs);
    for (four, out) in fours.by_ref().zip(outs.by_ref()) {
        let (first, second) = four.split_at(2 * inputs);
        let ((a, b), (c, d)) = (first.split_at(inputs), second.split_at(inputs));
        let mut sums = [-0.0; 4];
        for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(x) {
            for (sum, weight) in sums.iter_mut().zip([a, b, c, d]) {
                *sum += weight * x;
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
    }
    for (row, out) in fours.remainder().chunks_exact(inputs).zip(outs.into_remainder()) {
        *out += row.iter().zip(x).map(|(weight, value)| weight * value).sum::<f64>();
    }
}

/// Slides kernels over an image: see the core's [`Shape`].
fn slide<'k>(
    window: &Window,
    x: &[f64],
    out: &mut [f64],
    kernel: impl Fn(usize, usize) -> &'k [f64],
) {
    let (rows, columns) = window.outputs();
    for (filter, out) in out.chunks_exact_mut((rows * columns).max(1)).enumerate() {
        let whole = sharelet_core::shape::Strip { filter, first: 0, len: out.len() };
        for channel in 0..window.depth() {
            let kernel = kernel(filter, channel);
            for load in window.loads(&whole, channel) {
                window.for_each_product(&whole, &load, |output, weights, words| {
                    let (kernel, words) =
                        (kernel.get(weights), x.get(load.words.clone()).and_then(|x| x.get(words)));
                    let products = kernel.unwrap_or(&[]).iter().zip(words.unwrap_or(&[]));
                    if let Some(out) = out.get_mut(output) {
                        *out += products.map(|(weight, value)| weight * value).sum::<f64>();
                    }
                });
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn count(elements: usize) -> f64 {
    elements.max(1) as f64
}

impl Layer {
    /// Whether this is `c - x` for every value, as the two layers of a ReLU6 end.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.map
            .shape
            .window()
            .is_some_and(|window| window.groups == window.channels && window.kernel == (1, 1))
            && !self.map.weights.is_empty()
            && self.map.weights.iter().all(|&weight| weight == -1.0)
    }

    /// Whether it gives what it takes, but for an activation and a shift.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.map.shape, Shape::Identity { .. })
            && self.skip.is_none()
            && self.bias.iter().all(|&bias| bias == 0.0)
    }

    /// Values it takes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        usize::from(self.map.shape.inputs())
    }

    /// Values it gives.
    #[must_use]
    pub fn outputs(&self) -> usize {
        usize::from(self.map.shape.outputs())
    }

    /// `W x + b` and what is carried over, without the activation. `vectors` are the inputs of all
    /// layers up to this one.
    #[must_use]
    pub fn accumulate(&self, vectors: &[&[f64]]) -> Vec<f64> {
        let mut out = self.bias.clone();
        self.map.add_product(vectors.last().unwrap_or(&[].as_slice()), &mut out);
        if let Some(skip) = &self.skip {
            skip.map.add_product(vectors.get(skip.from).unwrap_or(&[].as_slice()), &mut out);
        }
        out
    }

    /// The activation of accumulators; `input` is what the layer took.
    pub fn activate(&self, input: &[f64], accumulators: &mut [f64]) {
        if self.relu {
            accumulators.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        if let Some(Curve::Whole(function)) = self.curve {
            accumulators.iter_mut().for_each(|value| *value = function.at(*value));
        }
        if let Shape::Pairs(window) = self.map.shape {
            Map::public(Shape::Last(window)).add_product(input, accumulators);
        }
    }

    /// The function that is applied to what the layer gives.
    #[must_use]
    pub fn function(&self) -> Option<Function> {
        match self.curve {
            Some(Curve::Whole(function)) => Some(function),
            _ => None,
        }
    }

    /// The straight pieces that the layer adds up.
    #[must_use]
    pub fn pieces(&self) -> Option<&Spline> {
        match &self.curve {
            Some(Curve::Sum(spline)) => Some(spline),
            _ => None,
        }
    }

    /// Whether the layer adds up straight pieces.
    #[must_use]
    pub fn adds_pieces(&self) -> bool {
        matches!(self.curve, Some(Curve::Sum(_) | Curve::Squares))
    }
}

impl Chain {
    /// Whether some values are counted in steps.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.steps.iter().any(Option::is_some)
    }

    /// What the results of a layer are rounded to, if they are.
    #[must_use]
    pub fn steps_of(&self, layer: usize) -> Option<Steps> {
        self.steps.get(layer).copied().flatten()
    }

    /// Rounds the results of a layer, if they are counted in steps.
    pub fn round(&self, layer: usize, values: &mut [f64]) {
        if let Some(steps) = self.steps_of(layer) {
            values.iter_mut().for_each(|value| *value = steps.nearest(*value));
        }
    }

    /// The answer to a reading: in floating point, with the steps of a quantised file.
    #[must_use]
    pub fn infer(&self, reading: &[f32]) -> Vec<f64> {
        self.trace(reading.iter().map(|&value| f64::from(value)).collect(), |_, _| {})
    }

    /// The same; `seen` gets the accumulators of every layer.
    pub(super) fn trace(&self, reading: Vec<f64>, mut seen: impl FnMut(usize, &[f64])) -> Vec<f64> {
        let mut vectors: Vec<Vec<f64>> = vec![reading];
        for (index, layer) in self.layers.iter().enumerate() {
            let known: Vec<&[f64]> = vectors.iter().map(Vec::as_slice).collect();
            let mut next = layer.accumulate(&known);
            seen(index, &next);
            layer.activate(known.last().unwrap_or(&[].as_slice()), &mut next);
            self.round(index, &mut next);
            vectors.push(next);
        }
        vectors.pop().unwrap_or_default()
    }
}
