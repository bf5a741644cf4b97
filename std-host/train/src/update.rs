//! Stochastic gradient descent, with momentum and weight decay: `v = mu v + g + lambda w`,
//! `w = w - eta v`.
//!
//! Gradients are sums over the batch; the rate contains the division by its size. What momentum
//! keeps is in sums over a full batch: those of a shorter one, the last of an epoch, are brought to
//! as many rows first, so that every mean counts alike.

use super::model::Model;
use super::normalise;
use super::parameters::LayerParameters;
use crate::tensor::{Machine, Runner, Tensors};

/// What a truncation may drop of a word.
const MAX_SHIFT_BITS: u32 = 62;

/// Public numbers of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The learning rate divided by the batch size is `rate / 2^rate_bits`.
    pub rate: u64,
    /// See `rate`.
    pub rate_bits: u32,
    /// The momentum, with the fraction bits of the model; 0 without.
    pub momentum: u64,
    /// The weight decay times the rows that a gradient is summed over, with the fraction bits of
    /// the model; biases do not decay.
    pub decay: u64,
    /// With momentum, what a sum over the batch is brought to a full batch by:
    /// `ratio / 2^ratio_bits`, 1 for a full one and without momentum.
    pub ratio: u64,
    /// See `ratio`.
    pub ratio_bits: u32,
}

impl Rates {
    /// Whether a sum of gradients, with `frac_bits` too many, becomes a step by one shift: no
    /// momentum keeps it, and the rate divided by the batch size is a power of two.
    pub(crate) const fn only_shifts(&self, frac_bits: u32) -> bool {
        let shift_bits = frac_bits + self.ratio_bits + self.rate_bits;
        self.momentum == 0 && self.rate == 1 && shift_bits <= MAX_SHIFT_BITS
    }
}

impl Default for Rates {
    /// Those of no step.
    fn default() -> Self {
        Self { rate: 0, rate_bits: 0, momentum: 0, decay: 0, ratio: 1, ratio_bits: 0 }
    }
}

/// Changes the model, and what it keeps of batches. `gradients` are those of [`super::backward`].
///
/// # Errors
/// The engine's.
pub async fn update<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    model: &mut Model,
    gradients: Vec<LayerParameters<u64>>,
    rates: &Rates,
    frac_bits: u32,
) -> Result<(), E::Error> {
    let places = model.parameters.iter_mut().flat_map(|layer| &mut layer.statistics);
    let of_batch = gradients.iter().flat_map(|layer| &layer.statistics);
    normalise::keep(machine, places, of_batch).await?;
    let mut sums = Vec::new();
    for (gradients, parameters) in gradients.iter().zip(&model.parameters) {
        let weights = gradients.weights.iter().zip(&parameters.weights);
        let decay = rates.decay << rates.ratio_bits;
        sums.extend(weights.map(|(gradient, weight)| {
            gradient.wrapping_mul(rates.ratio).wrapping_add(weight.wrapping_mul(decay))
        }));
        let bias = |gradient: &u64| gradient.wrapping_mul(rates.ratio) << frac_bits;
        sums.extend(gradients.biases.iter().map(bias));
    }
    if rates.momentum > 0 {
        let momentum = rates.momentum << rates.ratio_bits;
        let velocity = model.velocity.iter().flat_map(LayerParameters::words);
        sums.iter_mut().zip(velocity).for_each(|(sum, velocity)| {
            *sum = sum.wrapping_add(velocity.wrapping_mul(momentum));
        });
    }
    let scale_bits = frac_bits + rates.ratio_bits;
    let steps = if rates.only_shifts(frac_bits) {
        // A power of two needs no room: both shifts are one.
        machine.truncate(sums, scale_bits + rates.rate_bits).await?
    } else {
        // Rounded before they are multiplied by the rate: however large a gradient is, as long as
        // its sum has room, its product with the rate has.
        let mut steps = machine.truncate(sums, scale_bits).await?;
        let places = model.velocity.iter_mut().flat_map(LayerParameters::words_mut);
        places.zip(&steps).for_each(|(place, velocity)| *place = *velocity);
        steps.iter_mut().for_each(|step| *step = step.wrapping_mul(rates.rate));
        machine.truncate(steps, rates.rate_bits).await?
    };
    let words = model.parameters.iter_mut().flat_map(LayerParameters::trained_mut);
    words.zip(steps).for_each(|(word, step)| *word = word.wrapping_sub(step));
    Ok(())
}
