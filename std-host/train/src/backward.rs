//! The way back: gradients of all weights and biases, summed over the batch.

use sharelet_core::correlation::LengthError;
use sharelet_core::functions::engine::Engine;

use super::forward::{Sized, Trace, Value, indices, mean, open_one};
use super::network::{Layer, Shape, Window};
use super::parameters::LayerParameters;
use crate::kernel::{Bilinear, Form, Product};
use crate::tensor::{Bits, Machine, Masked, Tensors};

/// Gradients per layer: of weights with twice the fraction bits, of biases with the fraction bits
/// of values.
///
/// `gradient` is that at the outputs. Comparisons are those of the way forward: nothing is compared
/// again.
///
/// # Errors
/// The engine's.
pub async fn backward<E: Engine<Error: From<LengthError>>, T: Tensors>(
    machine: &mut Machine<E, T>,
    sized: &Sized<'_>,
    weights: &[Masked],
    traces: Vec<Trace>,
    gradient: Vec<u64>,
) -> Result<Vec<LayerParameters<u64>>, E::Error> {
    let f = sized.frac_bits;
    let first = sized.layers().position(|(_, layer, shape)| sized.product(layer, shape).is_some());
    let mut gradients = vec![LayerParameters::default(); sized.network.layers.len()];
    let mut value = Value { words: gradient, frac_bits: f };
    let mut weights = weights.iter().rev();
    for ((index, layer, shape), trace) in sized.layers().rev().zip(traces.into_iter().rev()) {
        let output = sized.shapes.get(index + 1).copied().unwrap_or(shape);
        match (layer, trace) {
            (Layer::Dense { .. } | Layer::Convolution { .. }, Trace::Input(input)) => {
                let Some(weights) = weights.next() else { break };
                let opened = open_one(machine, value, f).await?;
                let found = LayerParameters {
                    weights: by_weights(machine, sized, layer, shape, &input, &opened)?,
                    biases: by_biases(opened.share(), output),
                };
                if let Some(place) = gradients.get_mut(index) {
                    *place = found;
                }
                if first == Some(index) {
                    break;
                }
                let words = by_inputs(machine, sized, layer, shape, &opened, weights)?;
                value = Value { words: machine.truncate(words, f).await?, frac_bits: f };
            }
            (Layer::Relu, Trace::Passed(bits)) => machine.select(&mut value.words, bits).await?,
            (Layer::MaxPool(window), Trace::Larger(levels)) => {
                value.words =
                    to_largest(machine, value.words, levels, sized.batch, shape, window).await?;
            }
            (Layer::AveragePool(window), _) => {
                let Value { words, frac_bits } = mean(value, window);
                value = Value { words: spread(&words, sized.batch, shape, window), frac_bits };
            }
            _ => {}
        }
    }
    Ok(gradients)
}

fn by_weights<E: Engine<Error: From<LengthError>>, T: Tensors>(
    machine: &mut Machine<E, T>,
    sized: &Sized<'_>,
    layer: Layer,
    shape: Shape,
    input: &Masked,
    gradient: &Masked,
) -> Result<Vec<u64>, E::Error> {
    match layer {
        Layer::Dense { outputs } => {
            let map = Product {
                form: Form::FirstTransposed,
                rows: outputs,
                inner: sized.batch,
                columns: shape.elems(),
            };
            machine.product(&Bilinear::Product(map), gradient, input)
        }
        Layer::Convolution { filters, window } => machine.product(
            &Bilinear::ByKernels(sized.convolution(filters, window, shape)),
            input,
            gradient,
        ),
        _ => Ok(Vec::new()),
    }
}

fn by_inputs<E: Engine<Error: From<LengthError>>, T: Tensors>(
    machine: &mut Machine<E, T>,
    sized: &Sized<'_>,
    layer: Layer,
    shape: Shape,
    gradient: &Masked,
    weights: &Masked,
) -> Result<Vec<u64>, E::Error> {
    match layer {
        Layer::Dense { outputs } => {
            let map = Product {
                form: Form::Plain,
                rows: sized.batch,
                inner: outputs,
                columns: shape.elems(),
            };
            machine.product(&Bilinear::Product(map), gradient, weights)
        }
        Layer::Convolution { filters, window } => machine.product(
            &Bilinear::ByImages(sized.convolution(filters, window, shape)),
            gradient,
            weights,
        ),
        _ => Ok(Vec::new()),
    }
}

fn by_biases(gradient: &[u64], output: Shape) -> Vec<u64> {
    let places = (output.height * output.width).max(1);
    let mut sums = vec![0_u64; output.channels];
    for sample in gradient.chunks_exact(output.elems().max(1)) {
        for (sum, channel) in sums.iter_mut().zip(sample.chunks_exact(places)) {
            *sum = channel.iter().fold(*sum, |sum, word| sum.wrapping_add(*word));
        }
    }
    sums
}

/// The gradient of a window goes to its largest word: back through the tournament.
async fn to_largest<E: Engine<Error: From<LengthError>>, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: Vec<u64>,
    levels: Vec<Bits>,
    batch: usize,
    shape: Shape,
    window: Window,
) -> Result<Vec<u64>, E::Error> {
    let windows = words.len();
    let places = window.kernel.0 * window.kernel.1;
    // Words left before each level.
    let counts: Vec<usize> = core::iter::successors(Some(places), |count| Some(count.div_ceil(2)))
        .take(levels.len())
        .collect();
    let mut gradients = vec![words];
    for (bits, count) in levels.into_iter().rev().zip(counts.into_iter().rev()) {
        let odd = if count % 2 == 1 { gradients.pop() } else { None };
        let whole = gradients.concat();
        let mut first = whole.clone();
        machine.select(&mut first, bits).await?;
        let mut next = Vec::with_capacity(count);
        for (first, whole) in first.chunks(windows.max(1)).zip(whole.chunks(windows.max(1))) {
            next.push(first.to_vec());
            next.push(
                whole.iter().zip(first).map(|(whole, first)| whole.wrapping_sub(*first)).collect(),
            );
        }
        next.extend(odd);
        gradients = next;
    }
    let mut out = vec![0_u64; batch * shape.elems()];
    for (place, gradient) in (0..places).zip(&gradients) {
        let place = (place / window.kernel.1.max(1), place % window.kernel.1.max(1));
        for (index, word) in indices(batch, shape, window, place).zip(gradient) {
            if let Some(out) = out.get_mut(index) {
                *out = out.wrapping_add(*word);
            }
        }
    }
    Ok(out)
}

/// The gradient of a window to all its words.
fn spread(words: &[u64], batch: usize, shape: Shape, window: Window) -> Vec<u64> {
    let mut out = vec![0_u64; batch * shape.elems()];
    for place in (0..window.kernel.0).flat_map(|y| (0..window.kernel.1).map(move |x| (y, x))) {
        for (index, word) in indices(batch, shape, window, place).zip(words) {
            if let Some(out) = out.get_mut(index) {
                *out = out.wrapping_add(*word);
            }
        }
    }
    out
}
