//! A small network, trained with Adam on the cross-entropy of a softmax.

use crate::features::COUNT;
use crate::rng::Rng;

/// Widths: features, two hidden layers with ReLU, states.
pub const WIDTHS: [usize; 4] = [COUNT, 32, 16, 4];
const EPOCHS: u32 = 40;
const BATCH: usize = 32;
const RATE: f64 = 3e-3;
/// Pulls weights towards zero.
const DECAY: f64 = 1e-3;

/// A row of normalised features and the index of its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Features.
    pub input: [f32; COUNT],
    /// State.
    pub class: usize,
}

/// A dense layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Values it takes.
    pub inputs: usize,
    /// Row-major, `outputs x inputs`.
    pub weights: Vec<f64>,
    /// One per output.
    pub bias: Vec<f64>,
}

/// Dense layers with ReLU between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// First to last.
    pub layers: Vec<Layer>,
}

/// First and second moments of the gradient of a layer.
struct Moments {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let deviation = libm::sqrt(2.0 / inputs as f64);
        Self {
            inputs,
            weights: (0..inputs * outputs).map(|_| deviation * rng.normal()).collect(),
            bias: vec![0.0; outputs],
        }
    }

    fn forward(&self, input: &[f64]) -> Vec<f64> {
        let rows = self.weights.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, bias)| {
            row.iter().zip(input).fold(*bias, |sum, (weight, value)| sum + weight * value)
        })
        .collect()
    }
}

impl Network {
    /// Trains a network; the learning rate falls to zero over the epochs.
    #[must_use]
    pub fn train(samples: &[Sample], rng: &mut Rng) -> Self {
        let layers = WIDTHS.windows(2).map(|pair| Layer::new(pair[0], pair[1], rng)).collect();
        let mut network = Self { layers };
        let moments = |layer: &Layer| {
            let count = layer.weights.len() + layer.bias.len();
            Moments { first: vec![0.0; count], second: vec![0.0; count] }
        };
        let mut moments: Vec<Moments> = network.layers.iter().map(moments).collect();
        let mut order: Vec<usize> = (0..samples.len()).collect();
        let (mut power1, mut power2) = (1.0, 1.0);
        for epoch in 0..EPOCHS {
            for index in (1..order.len()).rev() {
                order.swap(index, rng.below(index + 1));
            }
            let rate = RATE * (1.0 - f64::from(epoch) / f64::from(EPOCHS));
            for batch in order.chunks(BATCH) {
                power1 *= 0.9;
                power2 *= 0.999;
                let gradients = network.gradients(batch.iter().map(|&index| &samples[index]));
                for ((layer, moments), gradient) in
                    network.layers.iter_mut().zip(&mut moments).zip(gradients)
                {
                    let weights = layer.weights.len();
                    let parameters = layer.weights.iter_mut().chain(&mut layer.bias);
                    for (index, (parameter, gradient)) in parameters.zip(gradient).enumerate() {
                        let (first, second) =
                            (&mut moments.first[index], &mut moments.second[index]);
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
        #[allow(clippy::cast_possible_truncation)]
        for layer in &mut network.layers {
            layer
                .weights
                .iter_mut()
                .chain(&mut layer.bias)
                .for_each(|value| *value = f64::from(*value as f32));
        }
        network
    }

    /// The state with the largest output.
    #[must_use]
    pub fn classify(&self, input: &[f32; COUNT]) -> usize {
        let answer = self.activations(input).pop().unwrap_or_default();
        (0..answer.len())
            .fold(0, |best, index| if answer[index] > answer[best] { index } else { best })
    }

    /// The input, every hidden vector after its ReLU, and the answer.
    fn activations(&self, input: &[f32; COUNT]) -> Vec<Vec<f64>> {
        let mut all = vec![input.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>()];
        for (index, layer) in self.layers.iter().enumerate() {
            let mut values = layer.forward(&all[index]);
            if index + 1 < self.layers.len() {
                values.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            all.push(values);
        }
        all
    }

    /// Mean gradient over a batch: per layer the weights', then the bias'.
    #[allow(clippy::cast_precision_loss)]
    fn gradients<'a>(&self, batch: impl ExactSizeIterator<Item = &'a Sample>) -> Vec<Vec<f64>> {
        let share = 1.0 / batch.len() as f64;
        let mut all: Vec<Vec<f64>> = self
            .layers
            .iter()
            .map(|layer| vec![0.0; layer.weights.len() + layer.bias.len()])
            .collect();
        for sample in batch {
            let activations = self.activations(&sample.input);
            let mut error = softmax(&activations[self.layers.len()]);
            error[sample.class] -= 1.0;
            for (index, layer) in self.layers.iter().enumerate().rev() {
                let input = &activations[index];
                let (weights, bias) = all[index].split_at_mut(layer.weights.len());
                let mut back = vec![0.0; layer.inputs];
                for (row, error) in error.iter().enumerate() {
                    bias[row] += share * error;
                    let places = row * layer.inputs..(row + 1) * layer.inputs;
                    for ((gradient, weight), (back, value)) in weights[places.clone()]
                        .iter_mut()
                        .zip(&layer.weights[places])
                        .zip(back.iter_mut().zip(input))
                    {
                        *gradient += share * error * value;
                        *back += error * weight;
                    }
                }
                back.iter_mut().zip(input).for_each(|(back, value)| {
                    if *value <= 0.0 {
                        *back = 0.0;
                    }
                });
                error = back;
            }
        }
        all
    }
}

fn softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(f64::NEG_INFINITY, |max, &value| max.max(value));
    let powers: Vec<f64> = values.iter().map(|value| libm::exp(value - largest)).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
