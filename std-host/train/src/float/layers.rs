//! Layers forward and backward, for some samples at a time. Values lie sample by sample.

use super::error::FloatError;
use super::norm::Norm;
use crate::maps::{Maps, by_biases};
use crate::network::{Layer, Network, Shape, Window};
use crate::parameters::{LayerParameters, Parameters};

/// A network with the parameters of one step.
pub(super) struct Pass<'p> {
    network: &'p Network,
    shapes: Vec<Shape>,
    parameters: &'p Parameters<f64>,
    /// Whether batches are normalised by their own statistics, and not by those that were kept.
    trains: bool,
}

/// A layer, what it takes and gives, and its parameters.
type Stage<'p> = (Layer, Shape, Shape, &'p LayerParameters<f64>);

impl<'p> Pass<'p> {
    pub(super) fn new(
        network: &'p Network,
        parameters: &'p Parameters<f64>,
        trains: bool,
    ) -> Result<Self, FloatError> {
        let shapes = network.shapes()?;
        if !parameters.fit(network) {
            return Err(FloatError::Parameters);
        }
        Ok(Self { network, shapes, parameters, trains })
    }

    fn stages(&self) -> impl DoubleEndedIterator<Item = Stage<'_>> + ExactSizeIterator {
        let shapes = self.shapes.iter().zip(self.shapes.iter().skip(1));
        let layers = self.network.layers.iter().zip(shapes).zip(&self.parameters.layers);
        layers.map(|((layer, (input, output)), parameters)| (*layer, *input, *output, parameters))
    }

    /// The samples, then what each layer gives.
    pub(super) fn forward(
        &self,
        inputs: Vec<f64>,
        samples: usize,
    ) -> Result<Vec<Vec<f64>>, FloatError> {
        let mut values = vec![inputs];
        for (layer, input, output, parameters) in self.stages() {
            let x = values.last().map_or(&[][..], Vec::as_slice);
            let y = match layer {
                Layer::Dense { .. } | Layer::Convolution { .. } => {
                    let Some(maps) = Maps::of(layer, input, samples) else { break };
                    let mut y = maps.forward.apply_alone(x, &parameters.weights)?;
                    let channels = y.chunks_exact_mut(output.height * output.width);
                    for (channel, bias) in channels.zip(parameters.biases.iter().cycle()) {
                        channel.iter_mut().for_each(|y| *y += bias);
                    }
                    y
                }
                Layer::Relu => x.iter().map(|x| x.max(0.0)).collect(),
                Layer::MaxPool(window) => {
                    let largest = largest(x, samples, input, window).into_iter();
                    largest.map(|at| x.get(at).copied().unwrap_or(f64::NAN)).collect()
                }
                Layer::AveragePool(window) => {
                    let mut y = vec![0.0; samples * output.elems()];
                    for cell in window.cells() {
                        for (y, at) in y.iter_mut().zip(window.indices(samples, input, cell)) {
                            *y += x.get(at).copied().unwrap_or(f64::NAN);
                        }
                    }
                    y.iter_mut().for_each(|y| *y /= count(window));
                    y
                }
                Layer::BatchNorm => {
                    let norm = if self.trains {
                        Norm::of_batch(x, input)
                    } else {
                        Norm::kept(&parameters.statistics)
                    };
                    norm.forward(x, input, parameters)
                }
            };
            values.push(y);
        }
        Ok(values)
    }

    /// The gradient, summed over the samples. `values` are what each layer took, `slopes` the
    /// derivative by the last outputs.
    pub(super) fn backward(
        &self,
        values: &[Vec<f64>],
        mut slopes: Vec<f64>,
        samples: usize,
    ) -> Result<Parameters<f64>, FloatError> {
        let mut layers = Vec::new();
        for (index, ((layer, input, output, parameters), x)) in
            self.stages().zip(values).enumerate().rev()
        {
            let mut gradient = LayerParameters::default();
            let mut below = vec![0.0; x.len()];
            let mut add = |at: usize, slope: f64| {
                if let Some(below) = below.get_mut(at) {
                    *below += slope;
                }
            };
            match layer {
                Layer::Dense { .. } | Layer::Convolution { .. } => {
                    let Some(maps) = Maps::of(layer, input, samples) else { break };
                    let (by_weights, a, b) = maps.for_weights(x, &slopes);
                    gradient.weights = by_weights.apply_alone(a, b)?;
                    gradient.biases = by_biases(&slopes, output);
                    // What nobody asks for, below the first layer, is not computed.
                    if index > 0 {
                        below = maps.by_inputs.apply_alone(&slopes, &parameters.weights)?;
                    }
                }
                Layer::Relu => {
                    let passed = slopes.iter().zip(x).enumerate().filter(|(_, (_, x))| **x > 0.0);
                    passed.for_each(|(at, (slope, _))| add(at, *slope));
                }
                Layer::MaxPool(window) => {
                    let largest = largest(x, samples, input, window).into_iter();
                    largest.zip(&slopes).for_each(|(at, slope)| add(at, *slope));
                }
                Layer::AveragePool(window) => {
                    for cell in window.cells() {
                        let indices = window.indices(samples, input, cell);
                        indices.zip(&slopes).for_each(|(at, slope)| add(at, slope / count(window)));
                    }
                }
                Layer::BatchNorm => {
                    let norm = Norm::of_batch(x, input);
                    (gradient, below) = norm.backward(x, input, &slopes, parameters);
                }
            }
            layers.push(gradient);
            slopes = below;
        }
        layers.reverse();
        Ok(Parameters { layers })
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(window: Window) -> f64 {
    window.cells().count() as f64
}

/// Where the first largest element of every window lies.
fn largest(x: &[f64], samples: usize, input: Shape, window: Window) -> Vec<usize> {
    let mut cells = window.cells();
    let first = cells.next().unwrap_or_default();
    let mut largest: Vec<usize> = window.indices(samples, input, first).collect();
    for cell in cells {
        for (largest, at) in largest.iter_mut().zip(window.indices(samples, input, cell)) {
            if x.get(at) > x.get(*largest) {
                *largest = at;
            }
        }
    }
    largest
}
