//! The numbers of an ONNX tensor, of whatever type and in whichever field.

use std::rc::Rc;

use super::array::Array;
use super::error::GraphError;
use super::graph::Tensor;
use super::half::half;
use super::onnx_proto::{
    BFLOAT16, BOOL, DOUBLE, EXTERNAL, FLOAT, FLOAT16, INT8, INT16, INT32, INT64, TensorProto,
    UINT8, UINT16, UINT32, UINT64,
};

/// A value that does not depend on the input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    /// Of floating point.
    Float(Rc<Tensor>),
    /// Shapes, axes, and weights that were quantised.
    Whole(Rc<Array<i64>>),
    /// Another one; with the reason.
    Opaque(String),
}

impl Constant {
    /// Dimensions; those of one number if they are not known.
    pub(super) fn dims(&self) -> &[usize] {
        match self {
            Self::Float(tensor) => &tensor.dims,
            Self::Whole(array) => &array.dims,
            Self::Opaque(_) => &[],
        }
    }
}

impl From<Tensor> for Constant {
    fn from(tensor: Tensor) -> Self {
        Self::Float(Rc::new(tensor))
    }
}

impl From<Array<i64>> for Constant {
    fn from(array: Array<i64>) -> Self {
        Self::Whole(Rc::new(array))
    }
}

/// The numbers of a tensor.
///
/// # Errors
/// [`GraphError`] if they are elsewhere, or not as many as its dimensions say.
pub(super) fn constant(tensor: &TensorProto) -> Result<Constant, GraphError> {
    if tensor.data_location == EXTERNAL {
        return Err(GraphError::ExternalData(tensor.name.clone()));
    }
    let dims =
        tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<usize>>>();
    let corrupt = || GraphError::Corrupt {
        format: "ONNX",
        what: format!(
            "tensor `{}` does not hold as many values as its dimensions say",
            tensor.name
        ),
    };
    let dims = dims.ok_or_else(corrupt)?;
    if let Some(values) = floats(tensor) {
        return Ok(Tensor::new(dims, values).ok_or_else(corrupt)?.into());
    }
    match wholes(tensor) {
        Some(values) => Ok(Array::new(dims, values).ok_or_else(corrupt)?.into()),
        None => Ok(Constant::Opaque("is of a type that is not read".to_owned())),
    }
}

/// Values in the raw bytes, `N` bytes each; none if bytes are left over.
fn raw<const N: usize, T>(tensor: &TensorProto, read: fn([u8; N]) -> T) -> Option<Vec<T>> {
    if tensor.raw_data.is_empty() {
        return None;
    }
    let (words, left) = tensor.raw_data.as_chunks();
    Some(if left.is_empty() { words.iter().map(|&word| read(word)).collect() } else { Vec::new() })
}

/// The low halves of words, where types of two bytes are when they are not raw.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn halves(tensor: &TensorProto) -> Vec<u16> {
    tensor.int32_data.iter().map(|&word| word as u16).collect()
}

fn floats(tensor: &TensorProto) -> Option<Vec<f64>> {
    let short = |read: fn(u16) -> f64| {
        let words = raw(tensor, u16::from_le_bytes).unwrap_or_else(|| halves(tensor));
        words.into_iter().map(read).collect()
    };
    match tensor.data_type {
        FLOAT => {
            Some(raw(tensor, |word| f64::from(f32::from_le_bytes(word))).unwrap_or_else(|| {
                tensor.float_data.iter().map(|&value| f64::from(value)).collect()
            }))
        }
        DOUBLE => {
            Some(raw(tensor, f64::from_le_bytes).unwrap_or_else(|| tensor.double_data.clone()))
        }
        FLOAT16 => Some(short(half)),
        BFLOAT16 => Some(short(|bits| f64::from(f32::from_bits(u32::from(bits) << 16)))),
        _ => None,
    }
}

fn wholes(tensor: &TensorProto) -> Option<Vec<i64>> {
    let words = || tensor.int32_data.iter().map(|&value| i64::from(value)).collect();
    let longs = |values: Vec<u64>| {
        values.into_iter().map(|value| i64::try_from(value).ok()).collect::<Option<Vec<i64>>>()
    };
    match tensor.data_type {
        INT8 => Some(raw(tensor, |word| i64::from(i8::from_le_bytes(word))).unwrap_or_else(words)),
        UINT8 | BOOL => {
            Some(raw(tensor, |word| i64::from(u8::from_le_bytes(word))).unwrap_or_else(words))
        }
        INT16 => {
            Some(raw(tensor, |word| i64::from(i16::from_le_bytes(word))).unwrap_or_else(words))
        }
        UINT16 => {
            Some(raw(tensor, |word| i64::from(u16::from_le_bytes(word))).unwrap_or_else(words))
        }
        INT32 => {
            Some(raw(tensor, |word| i64::from(i32::from_le_bytes(word))).unwrap_or_else(words))
        }
        UINT32 => raw(tensor, |word| i64::from(u32::from_le_bytes(word)))
            .or_else(|| longs(tensor.uint64_data.clone())),
        INT64 => Some(raw(tensor, i64::from_le_bytes).unwrap_or_else(|| tensor.int64_data.clone())),
        UINT64 => {
            longs(raw(tensor, u64::from_le_bytes).unwrap_or_else(|| tensor.uint64_data.clone()))
        }
        _ => None,
    }
}
