//! ONNX nodes that slide windows over images, and those that change dimensions only.

use super::form::{self, Form};
use super::graph::{Op, Padding, Pool, Tensor};
use super::kernel;
use super::onnx_proto::NodeProto;
use crate::error::Refused;

/// Sizes of a window along rows and columns; one number is along the columns of a signal.
fn pair(values: &[i64]) -> Result<(usize, usize), Refused> {
    let size = |value: i64| usize::try_from(value).map_err(|_| "it has a negative size");
    match *values {
        [across] => Ok((1, size(across)?)),
        [down, across] => Ok((size(down)?, size(across)?)),
        _ => Err("its window has not one or two dimensions".into()),
    }
}

/// Sizes along every dimension of a window of `rank`; along the rows of a signal it is `flat`.
fn along(values: &[i64], rank: usize, flat: i64) -> Result<(usize, usize), Refused> {
    match *values {
        _ if values.len() != rank => {
            Err("its steps or its padding have other dimensions than its window".into())
        }
        [across] => pair(&[flat, across]),
        _ => pair(values),
    }
}

fn stride(node: &NodeProto, rank: usize) -> Result<(usize, usize), Refused> {
    node.integers("strides").map_or(Ok((1, 1)), |strides| along(strides, rank, 1))
}

fn padding(node: &NodeProto, rank: usize) -> Result<Padding, Refused> {
    let auto = node.find("auto_pad").map_or(&b"NOTSET"[..], |attribute| &attribute.s);
    match auto {
        b"SAME_UPPER" => return Ok(Padding::SameUpper),
        b"SAME_LOWER" => return Ok(Padding::SameLower),
        b"VALID" => return Ok(Padding::NONE),
        b"NOTSET" | b"" => {}
        _ => return Err("its padding is of an unknown kind".into()),
    }
    let Some(pads) = node.integers("pads").filter(|pads| !pads.is_empty()) else {
        return Ok(Padding::NONE);
    };
    let (before, after) = pads.split_at_checked(rank).unwrap_or((pads, &[]));
    Ok(Padding::Explicit { before: along(before, rank, 0)?, after: along(after, rank, 0)? })
}

fn dilation(node: &NodeProto, rank: usize) -> Result<(usize, usize), Refused> {
    node.integers("dilations").map_or(Ok((1, 1)), |dilations| along(dilations, rank, 1))
}

/// A convolution of one or two dimensions.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn convolution(
    node: &NodeProto,
    weights: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Op, Refused> {
    let rank = weights.dims.len().saturating_sub(2);
    let dims = match *weights.dims {
        [filters, depth, across] => vec![filters, depth, 1, across],
        [filters, depth, down, across] => vec![filters, depth, down, across],
        _ => return Err("its kernels have not one or two dimensions".into()),
    };
    let groups = usize::try_from(node.integer("group", 1))
        .map_err(|_| "it has a negative number of groups")?;
    let weights = Tensor { dims, values: weights.values.clone() };
    let weights = kernel::with_gaps(weights, dilation(node, rank)?)?;
    let bias = bias.map(|bias| bias.values.clone());
    Ok(Op::Convolution {
        weights,
        bias,
        groups,
        stride: stride(node, rank)?,
        padding: padding(node, rank)?,
    })
}

/// The window of an average or max pool.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn pool(node: &NodeProto, average: bool) -> Result<Op, Refused> {
    let Some(shape) = node.integers("kernel_shape") else {
        return Err("it does not say how large its window is".into());
    };
    let (size, rank) = (pair(shape)?, shape.len());
    if dilation(node, rank)? != (1, 1) {
        return Err("its window has gaps (dilation)".into());
    }
    let padding = padding(node, rank)?;
    // What is around the image is smaller than any number to a max-pool.
    let count_padding = match average {
        true => node.integer("count_include_pad", 0) != 0,
        false => padding == Padding::NONE,
    };
    let ceil = node.integer("ceil_mode", 0) != 0;
    let stride = stride(node, rank)?;
    let pool = Pool { size: Some(size), stride, padding, ceil, count_padding };
    Ok(if average { Op::AveragePool(pool) } else { Op::MaxPool(pool) })
}

/// A mean over these axes.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn mean(node: &NodeProto, axes: &[i64]) -> Result<Op, Refused> {
    if axes.is_empty() {
        return Err("it is a mean over all dimensions, or over computed ones".into());
    }
    Ok(Op::Mean { axes: axes.to_vec(), keep: node.integer("keepdims", 1) != 0 })
}

/// The dimensions of a constant of dimensions `dims` and so many elements that is reshaped.
#[must_use]
pub fn constant(
    node: &NodeProto,
    dims: &[usize],
    elems: usize,
    numbers: Option<&[i64]>,
) -> Option<Vec<usize>> {
    let form = || Form::plain(dims.to_vec());
    match (node.op_type.as_str(), numbers) {
        ("Reshape", Some(shape)) => form::resolved(dims, elems, shape),
        ("Flatten", _) => {
            let axis = usize::try_from(node.integer("axis", 1)).ok()?;
            let (outer, inner) = dims.split_at_checked(axis)?;
            Some(vec![outer.iter().product(), inner.iter().product()])
        }
        // The axes of constants count no batch: here it is one that is not there.
        ("Unsqueeze", Some(axes)) => Some(form().unsqueezed(&shifted(axes))?.dims().to_vec()),
        ("Squeeze", axes) => Some(form().squeezed(&shifted(axes.unwrap_or(&[])))?.dims().to_vec()),
        _ => None,
    }
}

fn shifted(axes: &[i64]) -> Vec<i64> {
    axes.iter().map(|&axis| if axis < 0 { axis } else { axis.saturating_add(1) }).collect()
}

/// The dimensions after the batch of a reshape.
#[must_use]
pub fn reshape(shape: Option<&[i64]>) -> Op {
    Op::Reshape {
        dims: shape.map(|shape| match shape {
            [] | [_] => vec![-1],
            [_, dims @ ..] => dims.to_vec(),
        }),
    }
}
