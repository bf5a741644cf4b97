//! A small network, trained with Adam on the cross-entropy of a softmax.

use sharelet_train::float::{self, FloatError, Samples};
use sharelet_train::network::{Layer, Loss, Network, Shape};
use sharelet_train::parameters::Parameters;

use crate::features::COUNT;
use crate::rng::Rng;
use crate::simulate::State;

const EPOCHS: u32 = 40;
const BATCH: usize = 32;
const RATE: f64 = 3e-3;
/// Pulls weights towards zero.
const DECAY: f64 = 1e-3;

/// Features, two hidden layers with ReLU, states.
#[must_use]
pub fn network() -> Network {
    let dense = |outputs| Layer::Dense { outputs };
    Network {
        input: Shape::vector(COUNT),
        layers: vec![dense(32), Layer::Relu, dense(16), Layer::Relu, dense(State::ALL.len())],
        loss: Loss::CrossEntropy,
    }
}

/// Trains a network; the learning rate falls to zero over the epochs.
///
/// # Errors
/// [`FloatError`] if the samples are others than the network takes.
#[allow(clippy::cast_precision_loss)]
pub fn train(
    network: &Network,
    samples: &Samples,
    rng: &mut Rng,
) -> Result<Parameters<f32>, FloatError> {
    let mut parameters = Parameters::filled(network, 0.0)?;
    for layer in &mut parameters.layers {
        let inputs = layer.weights.len() / layer.biases.len().max(1);
        let deviation = libm::sqrt(2.0 / inputs as f64);
        layer.weights.iter_mut().for_each(|weight| *weight = deviation * rng.normal());
    }
    // First and second moments of the gradient.
    let mut moments = parameters.map(|_| (0.0, 0.0));
    let mut order: Vec<u32> = (0..).take(samples.len()).collect();
    let (mut power1, mut power2) = (1.0, 1.0);
    for epoch in 0..EPOCHS {
        for index in (1..order.len()).rev() {
            order.swap(index, rng.below(index + 1));
        }
        let rate = RATE * (1.0 - f64::from(epoch) / f64::from(EPOCHS));
        for batch in order.chunks(BATCH) {
            power1 *= 0.9;
            power2 *= 0.999;
            let (_, sums) = float::gradient(network, &parameters, samples, batch)?;
            let layers = parameters.layers.iter_mut().zip(&mut moments.layers).zip(&sums.layers);
            for ((layer, moments), sums) in layers {
                let weights = layer.weights.len();
                let words = layer.words_mut().zip(moments.words_mut()).zip(sums.words());
                for (index, ((parameter, (first, second)), sum)) in words.enumerate() {
                    let gradient = sum / batch.len() as f64;
                    *first = 0.9 * *first + 0.1 * gradient;
                    *second = 0.999 * *second + 0.001 * gradient * gradient;
                    let step =
                        *first / (1.0 - power1) / (libm::sqrt(*second / (1.0 - power2)) + 1e-8);
                    let decay = if index < weights { DECAY * *parameter } else { 0.0 };
                    *parameter -= rate * (step + decay);
                }
            }
        }
    }
    // What is exported is single precision, and so is what is evaluated.
    Ok(parameters.to_f32())
}
