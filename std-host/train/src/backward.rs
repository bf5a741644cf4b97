//! The way back: gradients of all weights and biases, summed over the batch.

use super::forward::{Sized, Trace, mean};
use super::maps::{Maps, by_biases};
use super::network::{Layer, Shape, Window};
use super::normalise;
use super::parameters::LayerParameters;
use super::value::{Value, open_one};
use crate::tensor::{Bits, Machine, Masked, Runner, Tensors};

/// Gradients per layer: of weights with twice the fraction bits, of biases with the fraction bits
/// of values; of a batch normalisation also the statistics of the batch.
///
/// `gradient` is that at the outputs. Comparisons are those of the way forward: nothing is compared
/// again.
///
/// # Errors
/// The engine's.
pub async fn backward<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    sized: &Sized<'_>,
    weights: &[Masked],
    traces: Vec<Trace>,
    gradient: Vec<u64>,
) -> Result<Vec<LayerParameters<u64>>, E::Error> {
    let f = sized.frac_bits;
    // Nothing is trained below the first: a batch normalisation comes after it.
    let first = sized.network.layers.iter().position(Layer::has_weights);
    let mut gradients = vec![LayerParameters::default(); sized.network.layers.len()];
    let mut value = Value { words: gradient, frac_bits: f };
    let mut weights = weights.iter().rev();
    for ((index, layer, shape), trace) in sized.layers().rev().zip(traces.into_iter().rev()) {
        let output = sized.shapes.get(index + 1).copied().unwrap_or(shape);
        match (layer, trace) {
            (_, Trace::Input(input)) => {
                let maps = Maps::of(layer, shape, sized.batch);
                let (Some(maps), Some(weights)) = (maps, weights.next()) else { break };
                let opened = open_one(machine, value, f).await?;
                let (by_weights, x, y) = maps.for_weights(&input, &opened);
                let found = LayerParameters {
                    weights: machine.product(by_weights, x, y)?,
                    biases: by_biases(opened.share(), output),
                    statistics: Vec::new(),
                };
                if let Some(place) = gradients.get_mut(index) {
                    *place = found;
                }
                if first == Some(index) {
                    break;
                }
                let words = machine.product(&maps.by_inputs, &opened, weights)?;
                value = Value { words: machine.truncate(words, f).await?, frac_bits: f };
            }
            (Layer::Relu, Trace::Passed(bits)) => machine.select(&mut value.words, bits).await?,
            (Layer::MaxPool(window), Trace::Larger(levels)) => {
                value.words =
                    to_largest(machine, value.words, levels, sized.batch, shape, window).await?;
            }
            (Layer::BatchNorm, Trace::Normalised(normalised)) => {
                let sizes = (sized.batch, shape);
                let (found, below) =
                    normalise::backward(machine, sizes, value, f, normalised).await?;
                if let Some(place) = gradients.get_mut(index) {
                    *place = found;
                }
                value = below;
            }
            (Layer::AveragePool(window), _) => {
                let Value { words, frac_bits } = mean(value, window);
                let everywhere = core::iter::repeat(&words);
                value = Value { words: spread(everywhere, sized.batch, shape, window), frac_bits };
            }
            _ => {}
        }
    }
    Ok(gradients)
}

/// The gradient of a window goes to its largest word: back through the tournament.
async fn to_largest<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: Vec<u64>,
    levels: Vec<Bits>,
    batch: usize,
    shape: Shape,
    window: Window,
) -> Result<Vec<u64>, E::Error> {
    let windows = words.len();
    let cells = window.cells().count();
    // Words left before each level.
    let counts: Vec<usize> = core::iter::successors(Some(cells), |count| Some(count.div_ceil(2)))
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
    Ok(spread(&gradients, batch, shape, window))
}

/// The gradients of all windows, cell by cell, added to the words that the cells see.
fn spread<'g>(
    gradients: impl IntoIterator<Item = &'g Vec<u64>>,
    batch: usize,
    shape: Shape,
    window: Window,
) -> Vec<u64> {
    let mut out = vec![0_u64; batch * shape.elems()];
    for (cell, words) in window.cells().zip(gradients) {
        let mut words = words.iter();
        window.indices(batch, shape, cell).for_each(|index| {
            if let (Some(out), Some(word)) = (out.get_mut(index), words.next()) {
                *out = out.wrapping_add(*word);
            }
        });
    }
    out
}
