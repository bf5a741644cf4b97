//! The owner's product `W (d + h_1) + b`, the only arithmetic of the online phase that grows with
//! the model.

use sharelet_core::ring::Ring as _;
use sharelet_core::session::linear::with_weights;
use sharelet_core::session::network::Affine;
use sharelet_core::shape::{Part, Shape};

use sharelet_model::Model;

/// A model whose products use the vector instructions of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Vectorised<'m>(pub &'m Model);

impl Affine for Vectorised<'_> {
    fn affine<'v>(
        &self,
        layer: usize,
        parts: &[Part],
        input: impl Fn(u16) -> &'v [u32],
        out: &mut [u32],
    ) {
        let (Some(weights), Some(biases)) = (self.0.weights.get(layer), self.0.biases.get(layer))
        else {
            return;
        };
        for (out, bias) in out.iter_mut().zip(biases) {
            *out = *bias;
        }
        for (part, weights) in with_weights(parts, weights) {
            match part.shape {
                Shape::Dense { .. } => add_matrix_vector(weights, input(part.source), out),
                _ => add_windows(part, weights, input(part.source), out),
            }
        }
    }
}

/// `out += weights input` modulo `2^32`; `weights` is row-major with `input.len()` columns.
///
/// Compiled for several instruction sets, of which the best is taken at run time: the baseline of
/// x86-64 has no 32-bit vector product.
#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
pub fn add_matrix_vector(weights: &[u32], input: &[u32], out: &mut [u32]) {
    for (row, out) in weights.chunks_exact(input.len().max(1)).zip(out) {
        let products = row.iter().zip(input).map(|(&weight, &value)| weight.wrapping_mul(value));
        *out = products.fold(*out, u32::wrapping_add);
    }
}

/// The same for maps of windows, and for those with public weights.
#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
fn add_windows(part: &Part, weights: &[u32], input: &[u32], out: &mut [u32]) {
    part.shape.add_product(weights, u32::from_u64(part.public), input, out);
}
