//! The way forward through a network, on shares.
//!
//! Values carry their number of fraction bits: products have twice as many, and the ReLU, the pool
//! or the next product drops what is too much, so that a ReLU after a product costs no truncation
//! of its own.

use core::mem;

use super::maps::Maps;
use super::network::{Layer, Network, NetworkError, Shape, Window};
use super::parameters::LayerParameters;
use crate::tensor::{Bits, Machine, Masked, Runner, Tensors};

/// Shared words, and how many of their bits are a fraction.
#[derive(Default)]
pub struct Value {
    /// The words.
    pub words: Vec<u64>,
    /// Fraction bits.
    pub frac_bits: u32,
}

redacted!(Value);

/// What the way back needs of a layer.
#[derive(Debug)]
pub enum Trace {
    /// The input of a product.
    Input(Masked),
    /// Where a ReLU let pass.
    Passed(Bits),
    /// Level by level, who was the larger of two.
    Larger(Vec<Bits>),
    /// Nothing.
    Nothing,
}

/// A network's layers with the sizes between them.
#[derive(Clone, Debug)]
pub struct Sized<'n> {
    /// The network.
    pub network: &'n Network,
    /// Sizes between layers, the input's first.
    pub shapes: Vec<Shape>,
    /// Samples.
    pub batch: usize,
    /// Fraction bits of inputs, weights and activations.
    pub frac_bits: u32,
}

impl<'n> Sized<'n> {
    /// The sizes for a batch of so many words.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn new(network: &'n Network, words: usize, frac_bits: u32) -> Result<Self, NetworkError> {
        let batch = words / network.input.elems().max(1);
        Ok(Self { network, shapes: network.shapes()?, batch, frac_bits })
    }

    /// Layers with their numbers and input sizes.
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = (usize, Layer, Shape)> + use<'_> {
        let layers = self.network.layers.iter().zip(&self.shapes).collect::<Vec<_>>();
        layers.into_iter().enumerate().map(|(index, (layer, shape))| (index, *layer, *shape))
    }

    /// Outputs of a sample.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shapes.last().map_or(1, Shape::elems)
    }
}

/// Runs all layers. `inputs` are opened; so are `weights`, per layer. With `keeps`, what the way
/// back needs is left in the trace. Outputs of a product still have twice the fraction bits:
/// whoever opens them truncates without a message.
///
/// # Errors
/// The engine's.
pub async fn forward<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    sized: &Sized<'_>,
    inputs: Masked,
    (weights, parameters): (&[Masked], &[LayerParameters<u64>]),
    keeps: bool,
) -> Result<(Value, Vec<Trace>), E::Error> {
    let (f, mut traces) = (sized.frac_bits, Vec::new());
    let mut value = Value { words: Vec::new(), frac_bits: f };
    let mut opened = Some(inputs);
    let mut weights = weights.iter();
    for (index, layer, shape) in sized.layers() {
        let trace = match layer {
            Layer::Dense { .. } | Layer::Convolution { .. } => {
                let input = match opened.take() {
                    Some(input) => input,
                    None => open_one(machine, mem::take(&mut value), f).await?,
                };
                let (Some(maps), Some(weights)) =
                    (Maps::of(layer, shape, sized.batch), weights.next())
                else {
                    continue;
                };
                let mut words = machine.product(&maps.forward, &input, weights)?;
                add_biases(&mut words, parameters.get(index), sized.shapes.get(index + 1), f);
                value = Value { words, frac_bits: 2 * f };
                Trace::Input(input)
            }
            Layer::Relu => {
                let Value { words, frac_bits } = taken(&mut opened, value, f);
                let (words, bits) = machine.activate(words, frac_bits - f, keeps).await?;
                value = Value { words, frac_bits: f };
                Trace::Passed(bits)
            }
            Layer::MaxPool(window) => {
                let Value { words, frac_bits } = taken(&mut opened, value, f);
                let words = machine.truncate(words, frac_bits - f).await?;
                let (words, larger) =
                    largest(machine, &words, sized.batch, shape, window, keeps).await?;
                value = Value { words, frac_bits: f };
                Trace::Larger(larger)
            }
            Layer::AveragePool(window) => {
                let Value { words, frac_bits } = taken(&mut opened, value, f);
                let words = machine.truncate(words, frac_bits - f).await?;
                let add = |sums: Vec<u64>, words: Vec<u64>| {
                    sums.iter().zip(words).map(|(sum, word)| sum.wrapping_add(word)).collect()
                };
                let sums = candidates(&words, sized.batch, shape, window).reduce(add);
                value = mean(Value { words: sums.unwrap_or_default(), frac_bits: f }, window);
                Trace::Nothing
            }
        };
        if keeps {
            traces.push(trace);
        }
    }
    Ok((taken(&mut opened, value, f), traces))
}

/// The share of what was opened beforehand, or the value.
fn taken(opened: &mut Option<Masked>, value: Value, frac_bits: u32) -> Value {
    match opened.take() {
        Some(input) => Value { words: input.share().to_vec(), frac_bits },
        None => value,
    }
}

/// Opens a value, with `frac_bits` fraction bits.
///
/// # Errors
/// The engine's.
pub async fn open_one<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    value: Value,
    frac_bits: u32,
) -> Result<Masked, E::Error> {
    let words = machine.truncate(value.words, value.frac_bits - frac_bits).await?;
    machine.open_one(words).await
}

/// Biases have `frac_bits` fraction bits, products twice as many.
fn add_biases(
    words: &mut [u64],
    parameters: Option<&LayerParameters<u64>>,
    output: Option<&Shape>,
    frac_bits: u32,
) {
    let (Some(parameters), Some(output)) = (parameters, output) else { return };
    let places = (output.height * output.width).max(1);
    for sample in words.chunks_exact_mut(output.elems().max(1)) {
        for (channel, bias) in sample.chunks_exact_mut(places).zip(&parameters.biases) {
            channel.iter_mut().for_each(|word| *word = word.wrapping_add(bias << frac_bits));
        }
    }
}

/// A sum over a window as a mean: a power of two of places only moves the point.
#[must_use]
pub fn mean(mut sum: Value, window: Window) -> Value {
    let places = window.cells().count().max(1);
    if places.is_power_of_two() {
        return Value { frac_bits: sum.frac_bits + places.trailing_zeros(), ..sum };
    }
    // 1 / places to 20 bits.
    let factor = ((1_u64 << MEAN_BITS) + places as u64 / 2) / places as u64;
    sum.words.iter_mut().for_each(|word| *word = word.wrapping_mul(factor));
    Value { frac_bits: sum.frac_bits + MEAN_BITS, ..sum }
}

/// Fraction bits of the reciprocal of a number of places.
const MEAN_BITS: u32 = 20;

/// For every place of the window, the words there, for all windows:
/// `batch x channels x rows x columns` of them.
fn candidates(
    words: &[u64],
    batch: usize,
    shape: Shape,
    window: Window,
) -> impl Iterator<Item = Vec<u64>> + use<'_> {
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    window.cells().map(move |cell| window.indices(batch, shape, cell).map(word).collect())
}

/// The largest of every window, by a tournament: in each level the larger of two neighbours goes
/// on; of equals the first.
async fn largest<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: &[u64],
    batch: usize,
    shape: Shape,
    window: Window,
    keeps: bool,
) -> Result<(Vec<u64>, Vec<Bits>), E::Error> {
    let (mut left, mut levels): (Vec<Vec<u64>>, _) =
        (candidates(words, batch, shape, window).collect(), Vec::new());
    while left.len() > 1 {
        let (pairs, odd) = left.as_chunks::<2>();
        let windows = left.first().map_or(1, Vec::len).max(1);
        let mut differences = Vec::with_capacity(windows * pairs.len());
        for [first, second] in pairs {
            differences.extend(first.iter().zip(second).map(|(a, b)| a.wrapping_sub(*b)));
        }
        let (gains, bits) = machine.activate(differences, 0, keeps).await?;
        let mut next: Vec<Vec<u64>> = Vec::with_capacity(left.len().div_ceil(2));
        for ([_, second], gains) in pairs.iter().zip(gains.chunks(windows)) {
            let larger = second.iter().zip(gains).map(|(word, gain)| word.wrapping_add(*gain));
            next.push(larger.collect());
        }
        next.extend_from_slice(odd);
        levels.push(bits);
        left = next;
    }
    Ok((left.pop().unwrap_or_default(), levels))
}
