//! ONNX nodes that slide windows over images, and those that change dimensions only.

use super::form::{self, Form};
use super::graph::{Op, Padding, Pool, Tensor};
use super::onnx_proto::NodeProto;

/// Why a node is not computed.
type Reason = Option<String>;

/// Why a padding that is a node of its own is not computed.
pub const PAD: &str = "it pads on its own; let the padding of the convolution behind it do that";

fn because<T>(reason: &str) -> Result<T, Reason> {
    Err(Some(reason.to_owned()))
}

/// A list of integers; `None` if the node has none.
pub fn integers<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .map(|attribute| attribute.ints.as_slice())
}

fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .map_or(default, |attribute| attribute.i)
}

/// Sizes of a window along rows and columns; one number is along the columns of a signal.
fn pair(values: &[i64]) -> Result<(usize, usize), Reason> {
    let size =
        |value: i64| usize::try_from(value).map_err(|_| Some("it has a negative size".to_owned()));
    match *values {
        [across] => Ok((1, size(across)?)),
        [down, across] => Ok((size(down)?, size(across)?)),
        _ => because("its window has not one or two dimensions"),
    }
}

/// Sizes along every dimension of a window of `rank`; along the rows of a signal it is `flat`.
fn along(values: &[i64], rank: usize, flat: i64) -> Result<(usize, usize), Reason> {
    match *values {
        _ if values.len() != rank => {
            because("its steps or its padding have other dimensions than its window")
        }
        [across] => pair(&[flat, across]),
        _ => pair(values),
    }
}

fn stride(node: &NodeProto, rank: usize) -> Result<(usize, usize), Reason> {
    integers(node, "strides").map_or(Ok((1, 1)), |strides| along(strides, rank, 1))
}

fn padding(node: &NodeProto, rank: usize) -> Result<Padding, Reason> {
    let auto = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == "auto_pad")
        .map_or(&b"NOTSET"[..], |a| &a.s);
    match auto {
        b"SAME_UPPER" => return Ok(Padding::SameUpper),
        b"SAME_LOWER" => return Ok(Padding::SameLower),
        b"VALID" => return Ok(Padding::NONE),
        b"NOTSET" | b"" => {}
        _ => return because("its padding is of an unknown kind"),
    }
    let Some(pads) = integers(node, "pads").filter(|pads| !pads.is_empty()) else {
        return Ok(Padding::NONE);
    };
    let (before, after) = pads.split_at_checked(rank).unwrap_or((pads, &[]));
    Ok(Padding::Explicit { before: along(before, rank, 0)?, after: along(after, rank, 0)? })
}

fn not_dilated(node: &NodeProto) -> Result<(), Reason> {
    let dilated = integers(node, "dilations")
        .is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1));
    if dilated { because("its kernel has gaps (dilation)") } else { Ok(()) }
}

/// A convolution of one or two dimensions.
///
/// # Errors
/// The reason why it is not computed.
pub fn convolution(
    node: &NodeProto,
    weights: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Op, Reason> {
    not_dilated(node)?;
    let rank = weights.dims.len().saturating_sub(2);
    let dims = match *weights.dims {
        [filters, depth, across] => vec![filters, depth, 1, across],
        [filters, depth, down, across] => vec![filters, depth, down, across],
        _ => return because("its kernels have not one or two dimensions"),
    };
    let groups = usize::try_from(integer(node, "group", 1))
        .map_err(|_| Some("it has a negative number of groups".to_owned()))?;
    let weights = Tensor { dims, values: weights.values.clone() };
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
/// The reason why it is not computed.
pub fn pool(node: &NodeProto, average: bool) -> Result<Op, Reason> {
    not_dilated(node)?;
    let Some(shape) = integers(node, "kernel_shape") else {
        return because("it does not say how large its window is");
    };
    let (size, rank) = (pair(shape)?, shape.len());
    let (ceil, count_padding) = (
        integer(node, "ceil_mode", 0) != 0,
        !average || integer(node, "count_include_pad", 0) != 0,
    );
    let pool = Pool {
        size: Some(size),
        stride: stride(node, rank)?,
        padding: padding(node, rank)?,
        ceil,
        count_padding,
    };
    Ok(if average { Op::AveragePool(pool) } else { Op::MaxPool(pool) })
}

/// A mean over these axes.
///
/// # Errors
/// The reason why it is not computed.
pub fn mean(node: &NodeProto, axes: &[i64]) -> Result<Op, Reason> {
    if axes.is_empty() {
        return because("it is a mean over all dimensions, or over computed ones");
    }
    Ok(Op::Mean { axes: axes.to_vec(), keep: integer(node, "keepdims", 1) != 0 })
}

/// The dimensions of a constant that is reshaped.
#[must_use]
pub fn constant(node: &NodeProto, tensor: &Tensor, numbers: Option<&[i64]>) -> Option<Tensor> {
    let dims = match (node.op_type.as_str(), numbers) {
        ("Reshape", Some(shape)) => form::resolved(&tensor.dims, tensor.values.len(), shape)?,
        ("Flatten", _) => {
            let axis = usize::try_from(integer(node, "axis", 1)).ok()?;
            let (outer, inner) = tensor.dims.split_at_checked(axis)?;
            vec![outer.iter().product(), inner.iter().product()]
        }
        // The axes of constants count no batch: here it is one that is not there.
        ("Unsqueeze", Some(axes)) => unbatched(tensor).unsqueezed(&shifted(axes))?.dims().to_vec(),
        ("Squeeze", axes) => {
            unbatched(tensor).squeezed(&shifted(axes.unwrap_or(&[])))?.dims().to_vec()
        }
        _ => return None,
    };
    Tensor::new(dims, tensor.values.clone())
}

fn unbatched(tensor: &Tensor) -> Form {
    Form::plain(tensor.dims.clone())
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

/// A transposition that leaves the batch where it is.
///
/// # Errors
/// The reason why it is not computed.
pub fn transpose(node: &NodeProto) -> Result<Op, Reason> {
    match integers(node, "perm") {
        Some([0, order @ ..]) => {
            let place = |&place: &i64| {
                usize::try_from(place).ok()?.checked_sub(1).filter(|&place| place < order.len())
            };
            let places = order.iter().map(place).collect::<Option<Vec<usize>>>();
            places.map(Op::Transpose).ok_or_else(|| Some("it moves the batch".to_owned()))
        }
        _ => because("it moves the batch"),
    }
}
