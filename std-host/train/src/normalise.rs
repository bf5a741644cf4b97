//! Batch normalisation on shares: `y = gamma (x - mu) / sqrt(var + epsilon) + beta`, channel by
//! channel (Ioffe and Szegedy 2015, algorithm 1), and its way back.
//!
//! A step opens two words under masks per value: a deviation `d = x - mu` forward, a gradient back.
//! All else is a sum per channel, which dealt products of masks turn into one word each, or a
//! product with one word per channel.
//!
//! ```text
//! forward  q = sum d^2,  r = sqrt(n / (q + n epsilon)),  s = gamma r,  y = s d + beta
//! back     h = g - mean(g),  S = sum h d
//!          dbeta = sum g,  dgamma = r S,  dx = s h - (r s dgamma / n) d
//! ```
//!
//! Whatever divides by `n` is rounded, and so `sum d` is not quite zero: a unit of `d` per value,
//! which nothing above depends on further than that.
//!
//! # Room
//!
//! Values have a magnitude below `2^11`, as those of gates do (31 bits, with 20 after the point),
//! and deviations one below `2^12`. A deviation keeps as many fraction bits as let the squares of
//! `n` of them add up to less than `2^62`: 11 for 32,768, 17 for 16. So `q` does not wrap whatever
//! the values are, and `y` is below `sqrt(n) |gamma| + |beta|` with room to spare while weights are
//! at most [`super::network::NORM_LARGEST_WEIGHT`].

use sharelet_core::functions::program::Scratch;
use sharelet_core::functions::program::statistics::{self, MAX_ELEMS};
use sharelet_core::functions::protocol::product::{Factors, Multiply};

use super::maps::by_biases;
use super::network::{Layer, NORM_EPSILON, NORM_KEPT, NORM_KEPT_BITS, Network, Shape};
use super::parameters::LayerParameters;
use super::value::{Value, open_one};
use crate::kernel::{Bilinear, Channels};
use crate::tensor::{Machine, Masked, Runner, Tensors};

/// Values of a channel in a batch, at most.
pub const MAX_VALUES: usize = MAX_ELEMS;

/// Bits of what may be truncated.
const WORD_BITS: u32 = 62;
/// Bits of a deviation before the point.
const DEVIATION_BITS: u32 = 12;
/// Bits that `1 / n` has beyond those of `n`.
const WEIGHT_BITS: u32 = 20;
/// The same where a variance is made of squares, of which more are left.
const SQUARE_WEIGHT_BITS: u32 = 16;
/// Fraction bits of what deviations are multiplied by on the way back, at most.
const SLOPE_BITS: u32 = 24;

/// What the way back needs.
pub struct Normalised {
    /// `d`.
    deviations: Masked,
    /// `r`, with [`Bits::scale`] fraction bits.
    inverse: Vec<u64>,
    /// `s`, with as many.
    scale: Masked,
    /// Means of channels, then their variances, with the fraction bits of values.
    statistics: Vec<u64>,
}

redacted!(Normalised);

/// Fraction bits within a layer.
#[derive(Clone, Copy, Debug)]
struct Bits {
    /// Of values.
    value: u32,
    /// Of deviations.
    deviation: u32,
    /// Of what they are multiplied by.
    scale: u32,
}

impl Bits {
    fn of(values: usize, frac_bits: u32) -> Self {
        let room = (WORD_BITS - 2 * DEVIATION_BITS).saturating_sub(ceil_log2(values)) / 2;
        // A weight of 2^10 over the least deviation, 2^-9, with those of the weight below it.
        let scale = 40_u32.saturating_sub(frac_bits).min(24);
        Self { value: frac_bits, deviation: room.min(frac_bits), scale }
    }

    /// Of a product with a deviation.
    const fn product(self) -> u32 {
        self.deviation + self.scale
    }
}

/// The words of a batch by their channels.
#[must_use]
pub const fn channels(batch: usize, shape: Shape) -> Channels {
    Channels { batch, channels: shape.channels, places: shape.height * shape.width }
}

/// Bits of a count, rounded up.
const fn ceil_log2(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Forward, with mean and deviation of the batch.
///
/// # Errors
/// The engine's.
pub async fn forward<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    (batch, shape): (usize, Shape),
    value: Value,
    frac_bits: u32,
    parameters: &LayerParameters<u64>,
) -> Result<(Value, Normalised), E::Error> {
    let channels = channels(batch, shape);
    let values = channels.of_each();
    let bits = Bits::of(values, frac_bits);
    let mut words = machine.truncate(value.words, value.frac_bits - bits.deviation).await?;
    let mut means = mean(machine, by_biases(&words, shape), values).await?;
    subtract(channels, &mut words, &means);
    let deviations = machine.open_one(words).await?;
    let squares = machine.product(&Bilinear::Dots(channels), &deviations, &deviations)?;

    let inverse = inverse(machine, (values, 2 * bits.deviation, bits.scale), &squares).await?;
    let weights = parameters.weights.clone();
    let scale = product(machine, weights, &inverse, frac_bits).await?;
    let variances = variance(machine, squares, values, bits).await?;
    let scale = machine.open_one(scale).await?;

    let mut words = machine.product(&Bilinear::Scale(channels), &deviations, &scale)?;
    add(channels, &mut words, &parameters.biases, bits.product() - frac_bits);
    means.iter_mut().for_each(|mean| *mean <<= bits.value - bits.deviation);
    let statistics = [means, variances].concat();
    let value = Value { words, frac_bits: bits.product() };
    Ok((value, Normalised { deviations, inverse, scale, statistics }))
}

/// Back: the gradient of weights and biases beside the batch's statistics, and that of the values.
///
/// # Errors
/// The engine's.
pub async fn backward<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    (batch, shape): (usize, Shape),
    gradient: Value,
    frac_bits: u32,
    normalised: Normalised,
) -> Result<(LayerParameters<u64>, Value), E::Error> {
    let channels = channels(batch, shape);
    let values = channels.of_each();
    let bits = Bits::of(values, frac_bits);
    let Normalised { deviations, inverse, scale, statistics } = normalised;
    let mut words = machine.truncate(gradient.words, gradient.frac_bits - frac_bits).await?;
    let sums = by_biases(&words, shape);
    let means = mean(machine, sums.clone(), values).await?;
    subtract(channels, &mut words, &means);
    let centred = machine.open_one(words).await?;
    let sums_of_products = machine.product(&Bilinear::Dots(channels), &centred, &deviations)?;
    let sums_of_products = machine.truncate(sums_of_products, bits.deviation).await?;
    let of_weights = product(machine, sums_of_products, &inverse, bits.scale).await?;
    let found = LayerParameters {
        weights: of_weights.iter().map(|word| word << frac_bits).collect(),
        biases: sums,
        statistics,
    };
    let product_bits = frac_bits + bits.scale;
    let (weight, weight_bits) = weight(values, WEIGHT_BITS);
    let slope_bits = SLOPE_BITS.min(product_bits - bits.deviation).min(frac_bits + weight_bits);
    let slopes = of_weights.into_iter().map(|word| word.wrapping_mul(weight)).collect();
    let slopes = machine.truncate(slopes, frac_bits + weight_bits - slope_bits).await?;
    let slopes = product(machine, slopes, &inverse, bits.scale).await?;
    let slopes = product(machine, slopes, scale.share(), bits.scale).await?;
    let slopes = machine.open_one(slopes).await?;
    let mut words = machine.product(&Bilinear::Scale(channels), &centred, &scale)?;
    let along = machine.product(&Bilinear::Scale(channels), &deviations, &slopes)?;
    let raised = product_bits - bits.deviation - slope_bits;
    for (word, along) in words.iter_mut().zip(along) {
        *word = word.wrapping_sub(along << raised);
    }
    Ok((found, Value { words, frac_bits: product_bits }))
}

/// What is kept of statistics, after those of a batch: `kept += (batch - kept) / 10`.
///
/// # Errors
/// The engine's.
pub async fn keep<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    kept: impl Iterator<Item = &mut u64>,
    batch: impl Iterator<Item = &u64>,
) -> Result<(), E::Error> {
    let (places, steps): (Vec<&mut u64>, Vec<u64>) = kept
        .zip(batch)
        .map(|(kept, batch)| {
            let step = batch.wrapping_sub(*kept).wrapping_mul(NORM_KEPT.into());
            (kept, step)
        })
        .unzip();
    if places.is_empty() {
        return Ok(());
    }
    let steps = machine.truncate(steps, NORM_KEPT_BITS).await?;
    for (place, step) in places.into_iter().zip(steps) {
        *place = place.wrapping_add(step);
    }
    Ok(())
}

/// Batch normalisations as what they are when training is over: a factor and a constant per
/// channel, made of what was kept, in the place of weights and biases.
///
/// # Errors
/// The engine's.
pub async fn freeze<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    network: &Network,
    parameters: &mut [LayerParameters<u64>],
    frac_bits: u32,
) -> Result<(), E::Error> {
    let bits = Bits::of(1, frac_bits);
    for (layer, parameters) in network.layers.iter().zip(parameters) {
        if *layer != Layer::BatchNorm {
            continue;
        }
        let LayerParameters { weights, biases, statistics } = parameters;
        let (means, variances) = statistics.split_at(statistics.len() / 2);
        let inverse = inverse(machine, (1, frac_bits, bits.scale), variances).await?;
        *weights = product(machine, core::mem::take(weights), &inverse, frac_bits).await?;
        let shifts = product(machine, means.to_vec(), weights, bits.scale).await?;
        for (bias, shift) in biases.iter_mut().zip(shifts) {
            *bias = bias.wrapping_sub(shift);
        }
    }
    Ok(())
}

/// Forward, with what [`freeze`] has made; `scale` is opened.
///
/// # Errors
/// The engine's.
pub async fn apply<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    (batch, shape): (usize, Shape),
    value: Value,
    frac_bits: u32,
    (scale, parameters): (&Masked, &LayerParameters<u64>),
) -> Result<Value, E::Error> {
    let (channels, bits) = (channels(batch, shape), Bits::of(1, frac_bits));
    let opened = open_one(machine, value, frac_bits).await?;
    let mut words = machine.product(&Bilinear::Scale(channels), &opened, scale)?;
    add(channels, &mut words, &parameters.biases, bits.scale);
    Ok(Value { words, frac_bits: frac_bits + bits.scale })
}

/// `1 / n` as `weight / 2^bits`: exactly where it is a power of two.
fn weight(values: usize, more_bits: u32) -> (u64, u32) {
    let bits = ceil_log2(values);
    if values.is_power_of_two() {
        return (1, bits);
    }
    let (values, bits) = (values.max(1) as u64, bits + more_bits);
    (((1 << bits) + values / 2) / values, bits)
}

/// Sums over so many values as means.
async fn mean<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    mut sums: Vec<u64>,
    values: usize,
) -> Result<Vec<u64>, E::Error> {
    let (weight, bits) = weight(values, WEIGHT_BITS);
    sums.iter_mut().for_each(|sum| *sum = sum.wrapping_mul(weight));
    machine.truncate(sums, bits).await
}

/// The variances that are kept: over one value less than there are, as of a sample.
async fn variance<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    squares: Vec<u64>,
    values: usize,
    bits: Bits,
) -> Result<Vec<u64>, E::Error> {
    let (weight, weight_bits) = weight(values.saturating_sub(1).max(1), SQUARE_WEIGHT_BITS);
    // Below 2^46, and times 1 / n below 2^62.
    let dropped = SQUARE_WEIGHT_BITS.min(2 * bits.deviation);
    let mut words = machine.truncate(squares, dropped).await?;
    let have = 2 * bits.deviation - dropped + weight_bits;
    words.iter_mut().for_each(|word| *word = word.wrapping_mul(weight));
    let Some(more) = have.checked_sub(bits.value) else {
        words.iter_mut().for_each(|word| *word <<= bits.value - have);
        return Ok(words);
    };
    machine.truncate(words, more).await
}

/// `sqrt(n / (q + n epsilon))`; `q` has `square_bits` fraction bits, the result `scale_bits`.
async fn inverse<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    (values, square_bits, scale_bits): (usize, u32, u32),
    squares: &[u64],
) -> Result<Vec<u64>, E::Error> {
    // A unit where it is less.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let floor =
        libm::scalbn(NORM_EPSILON * values as f64, square_bits.cast_signed()).round() as u64;
    let need = statistics::inv_std_need(squares.len());
    let (mut own, mut narrow, mut wide) =
        (vec![0; need.own_elems], vec![0; need.narrow_elems], vec![0; need.wide_elems]);
    let scratch = &mut Scratch { own: &mut own, narrow: &mut narrow, wide: &mut wide };
    let (mut squares, mut out) = (squares.to_vec(), vec![0; squares.len()]);
    let sizes = (values, square_bits, scale_bits);
    statistics::inv_std(machine.engine(), sizes, floor.max(1), &mut squares, &mut out, scratch)
        .await?;
    Ok(out)
}

/// Products word by word, truncated.
async fn product<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    mut words: Vec<u64>,
    factors: &[u64],
    shift: u32,
) -> Result<Vec<u64>, E::Error> {
    machine.engine().run(&Multiply::new(), Factors { x: &mut words, y: factors }).await?;
    machine.truncate(words, shift).await
}

fn subtract(channels: Channels, words: &mut [u64], means: &[u64]) {
    let negative: Vec<u64> = means.iter().map(|mean| mean.wrapping_neg()).collect();
    channels.shift(words, &negative);
}

fn add(channels: Channels, words: &mut [u64], biases: &[u64], shift: u32) {
    let biases: Vec<u64> = biases.iter().map(|bias| bias << shift).collect();
    channels.shift(words, &biases);
}
