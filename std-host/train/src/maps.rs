//! The products of a layer that has weights, for a batch: forward, and the two of the way back.

use super::network::{Layer, Shape};
use crate::kernel::{Bilinear, Convolution, Form, Product, Word};

/// The maps of a dense layer or a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    /// Inputs and weights to outputs.
    pub forward: Bilinear,
    /// To the gradient of the weights; see [`Maps::for_weights`].
    by_weights: Bilinear,
    /// The gradient of the outputs and the weights to the gradient of the inputs.
    pub by_inputs: Bilinear,
}

impl Maps {
    /// The maps of a layer; `None` if it has no weights.
    #[must_use]
    pub fn of(layer: Layer, input: Shape, batch: usize) -> Option<Self> {
        match layer {
            Layer::Dense { outputs } => {
                let product = |form, rows, inner, columns| {
                    Bilinear::Product(Product { form, rows, inner, columns })
                };
                let inputs = input.elems();
                Some(Self {
                    forward: product(Form::SecondTransposed, batch, inputs, outputs),
                    by_weights: product(Form::FirstTransposed, outputs, batch, inputs),
                    by_inputs: product(Form::Plain, batch, outputs, inputs),
                })
            }
            Layer::Convolution { filters, window } => {
                let Shape { channels, height, width } = input;
                let shape = Convolution { batch, channels, height, width, filters, window };
                Some(Self {
                    forward: Bilinear::Convolution(shape),
                    by_weights: Bilinear::ByKernels(shape),
                    by_inputs: Bilinear::ByImages(shape),
                })
            }
            _ => None,
        }
    }

    /// The map to the gradient of the weights, and its operands in order.
    #[must_use]
    pub fn for_weights<O>(&self, input: O, gradient: O) -> (&Bilinear, O, O) {
        match self.by_weights {
            Bilinear::Product(_) => (&self.by_weights, gradient, input),
            _ => (&self.by_weights, input, gradient),
        }
    }
}

/// The gradient of the biases: that of the outputs, summed over samples and places.
#[must_use]
pub fn by_biases<R: Word>(gradient: &[R], output: Shape) -> Vec<R> {
    let places = (output.height * output.width).max(1);
    let mut sums = vec![R::ZERO; output.channels];
    for sample in gradient.chunks_exact(output.elems().max(1)) {
        for (sum, channel) in sums.iter_mut().zip(sample.chunks_exact(places)) {
            *sum = channel.iter().fold(*sum, |sum, word| sum.add(*word));
        }
    }
    sums
}
