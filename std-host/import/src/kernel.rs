//! Kernels with gaps between their words (dilation), as kernels with zeros there.

use sharelet_core::shape::TILE_ELEMS;

use super::graph::Tensor;

/// Filters, depth, rows, columns with a step of `down` and `across` between neighbours.
///
/// # Errors
/// Says why there is no such kernel.
pub(super) fn with_gaps(
    weights: Tensor,
    (down, across): (usize, usize),
) -> Result<Tensor, &'static str> {
    if (down, across) == (1, 1) {
        return Ok(weights);
    }
    let &[filters, depth, rows, columns] = weights.dims.as_slice() else {
        return Err("its kernels have not one or two dimensions");
    };
    let reach = |count: usize, step: usize| {
        count.checked_sub(1)?.checked_mul(step)?.checked_add(1).filter(|_| step > 0)
    };
    let (Some(height), Some(width)) = (reach(rows, down), reach(columns, across)) else {
        return Err("its kernel has gaps of no size (dilation)");
    };
    let elems = height.saturating_mul(width);
    if elems > TILE_ELEMS {
        return Err("its kernel with its gaps (dilation) is larger than 256 words");
    }
    let mut values = vec![0.0; filters * depth * elems];
    let kernels = weights.values.chunks_exact((rows * columns).max(1));
    for (from, to) in kernels.zip(values.chunks_exact_mut(elems)) {
        for (index, &weight) in from.iter().enumerate() {
            let (row, column) = (index / columns.max(1), index % columns.max(1));
            if let Some(to) = to.get_mut(row * down * width + column * across) {
                *to = weight;
            }
        }
    }
    Ok(Tensor { dims: vec![filters, depth, height, width], values })
}
