//! The public initial model, in integers: the same on every machine, and exactly the same in
//! floating point.
//!
//! Weights are uniform in `-b..=b`, biases zero (He et al. 2015, Glorot and Bengio 2010, in their
//! uniform forms):
//! * before a ReLU, pools or a batch normalisation between them or not: `b = sqrt(6 / fan_in)`;
//! * before anything else: `b = sqrt(6 / (fan_in + fan_out))`;
//! * a network of one dense layer and nothing else starts at zero: its loss is convex, and equal
//!   weights do not stay equal.
//!
//! A batch normalisation begins with weights of one, biases of zero, and the statistics of those.
//!
//! The same seed gives the same weights for any `frac_bits`, up to rounding.
//!
//! `fan_in` is how many weights an output adds up; `fan_out` how many outputs a value goes into, at
//! stride 1.

use super::draw::{Draw, WEIGHTS};
use super::network::{Counts, Layer, Network, NetworkError};
use super::parameters::{LayerParameters, Parameters};

/// The initial model in words with `frac_bits` fraction bits (at most 60). [`Parameters::to_f64`]
/// gives the same numbers in floating point.
///
/// # Errors
/// If layers do not fit each other.
pub fn initial(
    network: &Network,
    frac_bits: u32,
    seed: u64,
) -> Result<Parameters<i64>, NetworkError> {
    let convex = matches!(network.layers.as_slice(), [Layer::Dense { .. }]);
    let mut layers = Vec::new();
    for (index, (layer, counts)) in network.layers.iter().zip(network.parameters()?).enumerate() {
        let Counts { weights, biases, statistics } = counts;
        if *layer == Layer::BatchNorm {
            let one = 1 << frac_bits.min(60);
            let mut kept = vec![0; statistics / 2];
            kept.resize(statistics, one);
            layers.push(LayerParameters {
                weights: vec![one; weights],
                biases: vec![0; biases],
                statistics: kept,
            });
            continue;
        }
        let fan_in = weights.checked_div(biases).unwrap_or(0);
        let fan_out = match layer {
            Layer::Convolution { window, .. } => biases * window.cells().count(),
            _ => biases,
        };
        let fan = if before_relu(&network.layers, index) { fan_in } else { fan_in + fan_out };
        let bound = if convex { 0 } else { bound(fan, frac_bits) };
        let mut draw = Draw::new(WEIGHTS, seed, index as u64);
        let mut weight = || draw.below(2 * bound + 1).cast_signed() - bound.cast_signed();
        layers.push(LayerParameters {
            weights: (0..weights).map(|_| weight()).collect(),
            biases: vec![0; biases],
            statistics: Vec::new(),
        });
    }
    Ok(Parameters { layers })
}

/// `sqrt(6 / fan)` in words, rounded down; at most 2^62.
fn bound(fan: usize, frac_bits: u32) -> u64 {
    let square = (6_u128 << (2 * frac_bits.min(60))) / (fan.max(1) as u128);
    u64::try_from(square.isqrt()).unwrap_or(u64::MAX).min(1 << 62)
}

fn before_relu(layers: &[Layer], index: usize) -> bool {
    let mut after = layers
        .iter()
        .skip(index + 1)
        .skip_while(|layer| !layer.has_weights() && **layer != Layer::Relu);
    matches!(after.next(), Some(Layer::Relu))
}
