//! Batch normalisation in floating point.

use crate::maps::by_biases;
use crate::network::{NORM_EPSILON, Shape};
use crate::parameters::LayerParameters;

/// Means and deviations of channels.
pub(super) struct Norm {
    means: Vec<f64>,
    /// Over as many values as there are.
    variances: Vec<f64>,
    values: f64,
}

/// Every value with its channel.
fn channels(shape: Shape) -> impl Iterator<Item = usize> {
    let places = (shape.height * shape.width).max(1);
    (0..shape.channels).flat_map(move |channel| core::iter::repeat_n(channel, places)).cycle()
}

/// The value of a channel.
fn of(values: &[f64], channel: usize) -> f64 {
    values.get(channel).copied().unwrap_or(f64::NAN)
}

impl Norm {
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn of_batch(x: &[f64], shape: Shape) -> Self {
        let values = x.len() as f64 / shape.channels.max(1) as f64;
        let mean = |x: &[f64]| -> Vec<f64> {
            by_biases(x, shape).into_iter().map(|sum| sum / values).collect()
        };
        let means = mean(x);
        let squares: Vec<f64> = x
            .iter()
            .zip(channels(shape))
            .map(|(x, channel)| (x - of(&means, channel)) * (x - of(&means, channel)))
            .collect();
        let variances = mean(&squares);
        Self { means, variances, values }
    }

    /// Of statistics that were kept.
    pub(super) fn kept(statistics: &[f64]) -> Self {
        let (means, variances) = statistics.split_at(statistics.len() / 2);
        Self { means: means.to_vec(), variances: variances.to_vec(), values: f64::NAN }
    }

    fn inverse(&self, channel: usize) -> f64 {
        1.0 / (of(&self.variances, channel) + NORM_EPSILON).sqrt()
    }

    fn normalised(&self, x: f64, channel: usize) -> f64 {
        (x - of(&self.means, channel)) * self.inverse(channel)
    }

    pub(super) fn forward(
        &self,
        x: &[f64],
        shape: Shape,
        LayerParameters { weights, biases, .. }: &LayerParameters<f64>,
    ) -> Vec<f64> {
        let value = |(x, channel): (&f64, usize)| {
            of(weights, channel) * self.normalised(*x, channel) + of(biases, channel)
        };
        x.iter().zip(channels(shape)).map(value).collect()
    }

    /// The gradients of weights and biases, with the statistics of the batch, and that of `x`.
    pub(super) fn backward(
        &self,
        x: &[f64],
        shape: Shape,
        slopes: &[f64],
        LayerParameters { weights, .. }: &LayerParameters<f64>,
    ) -> (LayerParameters<f64>, Vec<f64>) {
        let along: Vec<f64> = x
            .iter()
            .zip(slopes)
            .zip(channels(shape))
            .map(|((x, slope), channel)| self.normalised(*x, channel) * slope)
            .collect();
        let (by_weights, by_biases) = (by_biases(&along, shape), by_biases(slopes, shape));
        let below = x
            .iter()
            .zip(slopes)
            .zip(channels(shape))
            .map(|((x, slope), channel)| {
                let along = self.normalised(*x, channel) * of(&by_weights, channel);
                let rest = (of(&by_biases, channel) + along) / self.values;
                of(weights, channel) * self.inverse(channel) * (slope - rest)
            })
            .collect();
        // Of a sample: over one less.
        let unbiased = self.values / (self.values - 1.0).max(1.0);
        let variances = self.variances.iter().map(|variance| variance * unbiased);
        let statistics = self.means.iter().copied().chain(variances).collect();
        (LayerParameters { weights: by_weights, biases: by_biases, statistics }, below)
    }
}
