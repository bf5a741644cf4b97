//! Layers forward and backward, for some samples at a time. Values lie sample by sample.

use super::error::FloatError;
use super::product::{Strides, add_product, transpose};
use crate::network::{Layer, Network, Shape, Window};
use crate::parameters::{LayerParameters, Parameters};

/// A network with the parameters of one step.
pub(super) struct Pass<'p> {
    network: &'p Network,
    shapes: Vec<Shape>,
    parameters: &'p Parameters<f64>,
    /// Weights of dense layers, `inputs x outputs`.
    transposed: Vec<Vec<f64>>,
}

impl<'p> Pass<'p> {
    pub(super) fn new(
        network: &'p Network,
        parameters: &'p Parameters<f64>,
    ) -> Result<Self, FloatError> {
        let shapes = network.shapes()?;
        if !parameters.fit(network) {
            return Err(FloatError::Parameters);
        }
        let layers = network.layers.iter().zip(&parameters.layers).zip(&shapes);
        let transposed = layers.map(|((layer, parameters), input)| match layer {
            Layer::Dense { .. } => transpose(&parameters.weights, input.elems()),
            _ => Vec::new(),
        });
        let transposed = transposed.collect();
        Ok(Self { network, shapes, parameters, transposed })
    }

    /// Layers with what they take and give, and their parameters.
    fn layers(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&Layer, Shape, Shape, &LayerParameters<f64>, &Vec<f64>)>
    + ExactSizeIterator {
        let shapes = self.shapes.iter().zip(self.shapes.iter().skip(1));
        let layers = self
            .network
            .layers
            .iter()
            .zip(shapes)
            .zip(&self.parameters.layers)
            .zip(&self.transposed);
        layers.map(|(((layer, (input, output)), parameters), transposed)| {
            (layer, *input, *output, parameters, transposed)
        })
    }

    /// The samples, then what each layer gives.
    pub(super) fn forward(&self, inputs: &[f64], samples: usize) -> Vec<Vec<f64>> {
        let mut values = vec![inputs.to_vec()];
        for (layer, input, output, parameters, transposed) in self.layers() {
            let x = values.last().map_or(&[][..], Vec::as_slice);
            let mut y = vec![0.0; samples * output.elems()];
            match layer {
                Layer::Dense { outputs } => {
                    y.chunks_exact_mut(*outputs)
                        .for_each(|y| y.copy_from_slice(&parameters.biases));
                    add_product(x, Strides::plain(input.elems()), transposed, *outputs, &mut y);
                }
                Layer::Convolution { window, .. } => {
                    let places = output.height * output.width;
                    let size = input.channels * window.kernel.0 * window.kernel.1;
                    for (x, y) in
                        x.chunks_exact(input.elems()).zip(y.chunks_exact_mut(output.elems()))
                    {
                        y.chunks_exact_mut(places)
                            .zip(&parameters.biases)
                            .for_each(|(y, bias)| y.fill(*bias));
                        add_product(
                            &parameters.weights,
                            Strides::plain(size),
                            &patches(x, input, output, window),
                            places,
                            y,
                        );
                    }
                }
                Layer::Relu => y.iter_mut().zip(x).for_each(|(y, x)| *y = x.max(0.0)),
                Layer::MaxPool(window) => pooled(x, input, output, |image, place| {
                    let best = largest(image, input.width, window, place);
                    image.get(best).copied().unwrap_or(f64::NAN)
                })
                .zip(&mut y)
                .for_each(|(pooled, y)| *y = pooled),
                Layer::AveragePool(window) => pooled(x, input, output, |image, place| {
                    let sum: f64 =
                        within(input.width, window, place).filter_map(|at| image.get(at)).sum();
                    sum / count(window)
                })
                .zip(&mut y)
                .for_each(|(pooled, y)| *y = pooled),
            }
            values.push(y);
        }
        values
    }

    /// The gradient, summed over the samples. `values` are what each layer took, `slopes` the
    /// derivative by the last outputs.
    pub(super) fn backward(
        &self,
        values: &[Vec<f64>],
        mut slopes: Vec<f64>,
        samples: usize,
    ) -> Parameters<f64> {
        let mut layers = Vec::new();
        for (index, ((layer, input, output, parameters, _), x)) in
            self.layers().zip(values).enumerate().rev()
        {
            let mut gradient = LayerParameters {
                weights: vec![0.0; parameters.weights.len()],
                biases: vec![0.0; parameters.biases.len()],
            };
            // What nobody asks for, below the first layer, is not computed.
            let mut below = vec![0.0; if index == 0 { 0 } else { samples * input.elems() }];
            match layer {
                Layer::Dense { outputs } => {
                    for slopes in slopes.chunks_exact(*outputs) {
                        gradient
                            .biases
                            .iter_mut()
                            .zip(slopes)
                            .for_each(|(sum, slope)| *sum += slope);
                    }
                    add_product(
                        &slopes,
                        Strides::transposed(*outputs),
                        x,
                        input.elems(),
                        &mut gradient.weights,
                    );
                    add_product(
                        &slopes,
                        Strides::plain(*outputs),
                        &parameters.weights,
                        input.elems(),
                        &mut below,
                    );
                }
                Layer::Convolution { window, .. } => {
                    let images =
                        x.chunks_exact(input.elems()).zip(slopes.chunks_exact(output.elems()));
                    let mut lower = below.chunks_exact_mut(input.elems());
                    for (x, slopes) in images {
                        convolution_gradient((x, slopes), input, output, window, &mut gradient);
                        if let Some(below) = lower.next() {
                            convolution_below(
                                slopes,
                                input,
                                output,
                                window,
                                &parameters.weights,
                                below,
                            );
                        }
                    }
                }
                Layer::Relu => {
                    let passed =
                        slopes.iter().zip(x).map(|(slope, x)| if *x > 0.0 { *slope } else { 0.0 });
                    below.iter_mut().zip(passed).for_each(|(below, slope)| *below = slope);
                }
                Layer::MaxPool(window) => {
                    spread(x, input, output, &slopes, &mut below, |image, place, slope, below| {
                        if let Some(below) =
                            below.get_mut(largest(image, input.width, window, place))
                        {
                            *below += slope;
                        }
                    })
                }
                Layer::AveragePool(window) => {
                    spread(x, input, output, &slopes, &mut below, |_, place, slope, below| {
                        for at in within(input.width, window, place) {
                            if let Some(below) = below.get_mut(at) {
                                *below += slope / count(window);
                            }
                        }
                    })
                }
            }
            layers.push(gradient);
            slopes = below;
        }
        layers.reverse();
        Parameters { layers }
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(window: &Window) -> f64 {
    (window.kernel.0 * window.kernel.1) as f64
}

/// Row and column of an output.
type Place = (usize, usize);

/// Elements of a window of a pool, in an image of `width` columns.
fn within(
    width: usize,
    window: &Window,
    (row, column): Place,
) -> impl Iterator<Item = usize> + use<> {
    let (kernel, start) = (window.kernel, row * window.stride.0 * width + column * window.stride.1);
    (0..kernel.0).flat_map(move |down| (0..kernel.1).map(move |right| start + down * width + right))
}

/// The first largest element of a window.
fn largest(image: &[f64], width: usize, window: &Window, place: Place) -> usize {
    let mut all = within(width, window, place);
    let first = all.next().unwrap_or(0);
    all.fold(first, |best, at| match (image.get(at), image.get(best)) {
        (Some(value), Some(most)) if value > most => at,
        _ => best,
    })
}

/// A function of each window of each channel of each sample.
fn pooled<'x>(
    x: &'x [f64],
    input: Shape,
    output: Shape,
    value: impl Fn(&[f64], Place) -> f64 + Copy + 'x,
) -> impl Iterator<Item = f64> + 'x {
    let places = move || {
        (0..output.height).flat_map(move |row| (0..output.width).map(move |column| (row, column)))
    };
    let images = x.chunks_exact(input.height * input.width);
    images.flat_map(move |image| places().map(move |place| value(image, place)))
}

/// Hands the slope of each window to a function that adds it to the image below.
fn spread(
    x: &[f64],
    input: Shape,
    output: Shape,
    slopes: &[f64],
    below: &mut [f64],
    add: impl Fn(&[f64], Place, f64, &mut [f64]),
) {
    let area = input.height * input.width;
    let maps = slopes.chunks_exact(output.height * output.width);
    for ((image, slopes), below) in x.chunks_exact(area).zip(maps).zip(below.chunks_exact_mut(area))
    {
        for (place, slope) in slopes.iter().enumerate() {
            add(image, (place / output.width, place % output.width), *slope, below);
        }
    }
}

/// Calls with `(weight of a filter, row, column of the output, element of the image)` wherever a
/// weight meets the image.
fn meetings(
    input: Shape,
    output: Shape,
    window: &Window,
    mut meet: impl FnMut(usize, usize, usize),
) {
    let (rows, columns) = window.kernel;
    for channel in 0..input.channels {
        for (down, right) in (0..rows).flat_map(|down| (0..columns).map(move |right| (down, right)))
        {
            let weight = (channel * rows + down) * columns + right;
            for row in 0..output.height {
                let Some(y) = (row * window.stride.0 + down)
                    .checked_sub(window.padding.0)
                    .filter(|y| *y < input.height)
                else {
                    continue;
                };
                for column in 0..output.width {
                    let x = (column * window.stride.1 + right).checked_sub(window.padding.1);
                    if let Some(x) = x.filter(|x| *x < input.width) {
                        meet(
                            weight,
                            row * output.width + column,
                            (channel * input.height + y) * input.width + x,
                        );
                    }
                }
            }
        }
    }
}

/// What each weight of a filter meets: `weights x places`.
fn patches(x: &[f64], input: Shape, output: Shape, window: &Window) -> Vec<f64> {
    let places = output.height * output.width;
    let mut patches = vec![0.0; input.channels * window.kernel.0 * window.kernel.1 * places];
    meetings(input, output, window, |weight, place, at| {
        if let (Some(patch), Some(value)) = (patches.get_mut(weight * places + place), x.get(at)) {
            *patch = *value;
        }
    });
    patches
}

fn convolution_gradient(
    (x, slopes): (&[f64], &[f64]),
    input: Shape,
    output: Shape,
    window: &Window,
    gradient: &mut LayerParameters<f64>,
) {
    let places = output.height * output.width;
    let size = input.channels * window.kernel.0 * window.kernel.1;
    let turned = transpose(&patches(x, input, output, window), places);
    add_product(slopes, Strides::plain(places), &turned, size, &mut gradient.weights);
    for (sum, slopes) in gradient.biases.iter_mut().zip(slopes.chunks_exact(places)) {
        *sum += slopes.iter().sum::<f64>();
    }
}

fn convolution_below(
    slopes: &[f64],
    input: Shape,
    output: Shape,
    window: &Window,
    weights: &[f64],
    below: &mut [f64],
) {
    let places = output.height * output.width;
    let size = input.channels * window.kernel.0 * window.kernel.1;
    let mut met = vec![0.0; size * places];
    add_product(weights, Strides::transposed(size), slopes, places, &mut met);
    meetings(input, output, window, |weight, place, at| {
        if let (Some(below), Some(slope)) = (below.get_mut(at), met.get(weight * places + place)) {
            *below += slope;
        }
    });
}
