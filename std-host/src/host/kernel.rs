//! The owner's product `W (d + h_1) + b`, the only arithmetic of the online phase that grows with the model.

use sharelet_core::network::Affine;

use crate::model::Model;

/// A model whose products use the vector instructions of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Vectorised<'m>(pub &'m Model);

impl Affine for Vectorised<'_> {
    fn affine(&self, layer: usize, input: &[u32], out: &mut [u32]) {
        if let (Some(weights), Some(biases)) = (self.0.weights.get(layer), self.0.biases.get(layer)) {
            affine(weights, biases, input, out);
        }
    }
}

/// `out = weights input + biases` modulo `2^32`; `weights` is row-major with `input.len()` columns.
///
/// Compiled for several instruction sets, of which the best is taken at run time: the baseline of x86-64 has no 32-bit
/// vector product.
#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
pub fn affine(weights: &[u32], biases: &[u32], input: &[u32], out: &mut [u32]) {
    for ((row, bias), out) in weights.chunks_exact(input.len().max(1)).zip(biases).zip(out) {
        let products = row.iter().zip(input).map(|(&weight, &value)| weight.wrapping_mul(value));
        *out = products.fold(*bias, u32::wrapping_add);
    }
}
