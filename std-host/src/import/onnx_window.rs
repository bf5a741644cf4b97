//! ONNX nodes that slide windows over images, and those that change dimensions only.

use super::graph::{Op, Padding, Pool, Tensor};
use super::onnx_proto::NodeProto;

/// Why a node is not computed.
type Reason = Option<String>;

fn because<T>(reason: &str) -> Result<T, Reason> {
    Err(Some(reason.to_owned()))
}

/// A list of integers; `None` if the node has none.
pub fn integers<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.ints.as_slice())
}

fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name == name).map_or(default, |attribute| attribute.i)
}

/// Sizes of a window along rows and columns; one number is along the columns of a signal.
fn pair(values: &[i64]) -> Result<(usize, usize), Reason> {
    let size = |value: i64| usize::try_from(value).map_err(|_| Some("it has a negative size".to_owned()));
    match *values {
        [across] => Ok((1, size(across)?)),
        [down, across] => Ok((size(down)?, size(across)?)),
        _ => because("its window has not one or two dimensions"),
    }
}

fn stride(node: &NodeProto) -> Result<(usize, usize), Reason> {
    integers(node, "strides").map_or(Ok((1, 1)), |strides| match *strides {
        [across] => pair(&[1, across]),
        _ => pair(strides),
    })
}

fn padding(node: &NodeProto) -> Result<Padding, Reason> {
    let auto = node.attribute.iter().find(|attribute| attribute.name == "auto_pad").map_or(&b"NOTSET"[..], |a| &a.s);
    match auto {
        b"SAME_UPPER" => return Ok(Padding::SameUpper),
        b"SAME_LOWER" => return Ok(Padding::SameLower),
        b"VALID" => return Ok(Padding::NONE),
        b"NOTSET" | b"" => {}
        _ => return because("its padding is of an unknown kind"),
    }
    let Some(pads) = integers(node, "pads") else { return Ok(Padding::NONE) };
    let flat = |pads: &[i64]| match *pads {
        [across] => pair(&[0, across]),
        _ => pair(pads),
    };
    let (before, after) = pads.split_at_checked(pads.len() / 2).unwrap_or_default();
    if pads.is_empty() { Ok(Padding::NONE) } else { Ok(Padding::Explicit { before: flat(before)?, after: flat(after)? }) }
}

fn not_dilated(node: &NodeProto) -> Result<(), Reason> {
    let dilated = integers(node, "dilations").is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1));
    if dilated { because("its kernel has gaps (dilation)") } else { Ok(()) }
}

/// A convolution of one or two dimensions.
///
/// # Errors
/// The reason why it is not computed.
pub fn convolution(node: &NodeProto, weights: &Tensor, bias: Option<&Tensor>) -> Result<Op, Reason> {
    not_dilated(node)?;
    let dims = match *weights.dims {
        [filters, depth, across] => vec![filters, depth, 1, across],
        [filters, depth, down, across] => vec![filters, depth, down, across],
        _ => return because("its kernels have not one or two dimensions"),
    };
    let groups = usize::try_from(integer(node, "group", 1)).map_err(|_| Some("it has a negative number of groups".to_owned()))?;
    let weights = Tensor { dims, values: weights.values.clone() };
    let bias = bias.map(|bias| bias.values.clone());
    Ok(Op::Convolution { weights, bias, groups, stride: stride(node)?, padding: padding(node)? })
}

/// The window of an average or max pool.
///
/// # Errors
/// The reason why it is not computed.
pub fn pool(node: &NodeProto, average: bool) -> Result<Op, Reason> {
    not_dilated(node)?;
    if integer(node, "ceil_mode", 0) != 0 {
        return because("its last windows reach beyond the image (ceil_mode)");
    }
    let size = integers(node, "kernel_shape").map_or_else(|| because("it does not say how large its window is"), pair)?;
    let pool = Pool { size: Some(size), stride: stride(node)?, padding: padding(node)? };
    if !average {
        return Ok(Op::MaxPool(pool));
    }
    if pool.padding != Padding::NONE && integer(node, "count_include_pad", 0) == 0 {
        return because("its windows at the edge have another size (padding with count_include_pad = 0)");
    }
    Ok(Op::AveragePool(pool))
}

/// The mean over the whole image.
#[must_use]
pub const fn whole() -> Op {
    Op::AveragePool(Pool { size: None, stride: (1, 1), padding: Padding::NONE })
}

/// A mean over these axes.
///
/// # Errors
/// The reason why it is not computed.
pub fn mean(axes: &[i64]) -> Result<Op, Reason> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    match *axes {
        [2, 3] | [-2, -1] | [2] | [-1] => Ok(whole()),
        _ => because("it is a mean over other dimensions than rows and columns"),
    }
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
            let places = order.iter().map(|&place| usize::try_from(place - 1).ok()).collect::<Option<Vec<usize>>>();
            places.map(Op::Transpose).ok_or_else(|| Some("it moves the batch".to_owned()))
        }
        _ => because("it moves the batch"),
    }
}
