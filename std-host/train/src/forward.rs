//! The way forward through a network, on shares.
//!
//! Values carry their number of fraction bits: products have twice as many, and the ReLU, the pool
//! or the next product drops what is too much, so that a ReLU after a product costs no truncation
//! of its own.

use sharelet_core::ring::Ring;

use super::maps::Maps;
use super::network::{Layer, Network, NetworkError, Shape, Window};
use super::normalise::{self, Normalised};
use super::parameters::LayerParameters;
use super::value::{Value, open_one};
use crate::tensor::{Bits, Machine, Masked, Runner, Tensors};

/// What the way back needs of a layer.
#[derive(Debug)]
pub enum Trace {
    /// The input of a product.
    Input(Masked),
    /// Where a ReLU let pass.
    Passed(Bits),
    /// Level by level, who was the larger of two.
    Larger(Vec<Bits>),
    /// Of a batch normalisation.
    Normalised(Normalised),
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

    /// Whether the largest that layer `index` finds are activated, after more pools or at once.
    fn is_activated(&self, index: usize) -> bool {
        let mut next = self.network.layers.iter().skip(index + 1);
        next.find(|layer| !matches!(layer, Layer::MaxPool(_))) == Some(&Layer::Relu)
    }

    /// Outputs of a sample.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shapes.last().map_or(1, Shape::elems)
    }
}

/// Runs all layers. `inputs` are opened; so are `weights`, per layer that has some. With `keeps`,
/// what the way back needs is left in the trace, and batches are normalised by their own
/// statistics; without, `parameters` are [frozen](normalise::freeze), and their factors are among
/// `weights`. Outputs of a product still have twice the fraction bits:
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
    let mut value = Current::Opened(inputs);
    let mut weights = weights.iter();
    for (index, layer, shape) in sized.layers() {
        let (next, trace) = match layer {
            Layer::Dense { .. } | Layer::Convolution { .. } => {
                let input = match value {
                    Current::Opened(input) => input,
                    other => open_one(machine, other.wide(f), f).await?,
                };
                let (Some(maps), Some(weights)) =
                    (Maps::of(layer, shape, sized.batch), weights.next())
                else {
                    value = Current::Opened(input);
                    continue;
                };
                let mut words = machine.product(&maps.forward, &input, weights)?;
                add_biases(&mut words, parameters.get(index), sized.shapes.get(index + 1), f);
                (Current::Wide(Value { words, frac_bits: 2 * f }), Trace::Input(input))
            }
            Layer::Relu => {
                let (words, bits) = match value {
                    Current::Narrow(words) => machine.activate_narrow(words, keeps).await?,
                    other => {
                        let Value { words, frac_bits } = other.wide(f);
                        machine.activate(words, frac_bits - f, keeps).await?
                    }
                };
                (Current::Wide(Value { words, frac_bits: f }), Trace::Passed(bits))
            }
            Layer::MaxPool(window) => {
                let windows = (sized.batch, shape, window);
                if sized.is_activated(index) {
                    let words = match value {
                        Current::Narrow(words) => words,
                        other => {
                            let Value { words, frac_bits } = other.wide(f);
                            machine.narrow(words, frac_bits - f).await?
                        }
                    };
                    let positive = async |machine: &mut Machine<E, T>, words: Vec<u32>| {
                        machine.positive(words, keeps).await
                    };
                    let (words, larger) = largest(machine, &words, windows, positive).await?;
                    (Current::Narrow(words), Trace::Larger(larger))
                } else {
                    let Value { words, frac_bits } = value.wide(f);
                    let words = machine.truncate(words, frac_bits - f).await?;
                    let positive = async |machine: &mut Machine<E, T>, words: Vec<u64>| {
                        machine.activate(words, 0, keeps).await
                    };
                    let (words, larger) = largest(machine, &words, windows, positive).await?;
                    (Current::Wide(Value { words, frac_bits: f }), Trace::Larger(larger))
                }
            }
            Layer::AveragePool(window) => {
                let Value { words, frac_bits } = value.wide(f);
                let words = machine.truncate(words, frac_bits - f).await?;
                let add = |sums: Vec<u64>, words: Vec<u64>| {
                    sums.iter().zip(words).map(|(sum, word)| sum.wrapping_add(word)).collect()
                };
                let sums = candidates(&words, sized.batch, shape, window).reduce(add);
                let sum = Value { words: sums.unwrap_or_default(), frac_bits: f };
                (Current::Wide(mean(sum, window)), Trace::Nothing)
            }
            Layer::BatchNorm => {
                let sizes = (sized.batch, shape);
                let Some(parameters) = parameters.get(index) else { continue };
                if keeps {
                    let (value, normalised) =
                        normalise::forward(machine, sizes, value.wide(f), f, parameters).await?;
                    (Current::Wide(value), Trace::Normalised(normalised))
                } else {
                    let Some(scale) = weights.next() else { continue };
                    let frozen = (scale, parameters);
                    let value = normalise::apply(machine, sizes, value.wide(f), f, frozen).await?;
                    (Current::Wide(value), Trace::Nothing)
                }
            }
        };
        value = next;
        if keeps {
            traces.push(trace);
        }
    }
    Ok((value.wide(f), traces))
}

/// What one layer hands to the next.
enum Current {
    /// Opened beforehand.
    Opened(Masked),
    /// Shares in `Z_2^64`.
    Wide(Value),
    /// Shares in `Z_2^32`, on the way to a ReLU, which lifts them.
    Narrow(Vec<u32>),
}

impl Current {
    /// The value in `Z_2^64`. A narrow one is met by nothing but pools and a ReLU.
    fn wide(self, frac_bits: u32) -> Value {
        match self {
            Self::Opened(input) => Value { words: input.share().to_vec(), frac_bits },
            Self::Wide(value) => value,
            Self::Narrow(_) => Value { words: Vec::new(), frac_bits },
        }
    }
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
fn candidates<R: Ring>(
    words: &[R],
    batch: usize,
    shape: Shape,
    window: Window,
) -> impl Iterator<Item = Vec<R>> + use<'_, R> {
    let word = |index: usize| words.get(index).copied().unwrap_or(R::ZERO);
    window.cells().map(move |cell| window.indices(batch, shape, cell).map(word).collect())
}

/// The largest of every window, by a tournament: in each level the larger of two neighbours goes
/// on; of equals the first. `positive` gives the positive parts of differences, and what decided.
async fn largest<E: Runner, T: Tensors, R: Ring>(
    machine: &mut Machine<E, T>,
    words: &[R],
    (batch, shape, window): (usize, Shape, Window),
    mut positive: impl AsyncFnMut(&mut Machine<E, T>, Vec<R>) -> Result<(Vec<R>, Bits), E::Error>,
) -> Result<(Vec<R>, Vec<Bits>), E::Error> {
    let (mut left, mut levels): (Vec<Vec<R>>, _) =
        (candidates(words, batch, shape, window).collect(), Vec::new());
    while left.len() > 1 {
        let (pairs, odd) = left.as_chunks::<2>();
        let windows = left.first().map_or(1, Vec::len).max(1);
        let mut differences = Vec::with_capacity(windows * pairs.len());
        for [first, second] in pairs {
            differences.extend(first.iter().zip(second).map(|(a, b)| a.sub(*b)));
        }
        let (gains, bits) = positive(machine, differences).await?;
        let mut next: Vec<Vec<R>> = Vec::with_capacity(left.len().div_ceil(2));
        for ([_, second], gains) in pairs.iter().zip(gains.chunks(windows)) {
            let larger = second.iter().zip(gains).map(|(word, gain)| word.add(*gain));
            next.push(larger.collect());
        }
        next.extend_from_slice(odd);
        levels.push(bits);
        left = next;
    }
    Ok((left.pop().unwrap_or_default(), levels))
}
