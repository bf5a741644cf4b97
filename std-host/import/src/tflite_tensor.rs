//! The numbers of a TFLite constant: of floating point, or whole with scales, which are undone.

use super::array::Array;
use super::error::{GraphError, Refused};
use super::graph::Tensor;
use super::half::half;
use super::tflite_schema::{
    FLOAT16, FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, Quantization, TensorInfo, UINT8,
};
use super::tflite_steps;

/// The numbers in `data`, which is not empty; `dims` are the dimensions of the tensor.
///
/// # Errors
/// [`Refused`] with the reason.
pub(super) fn numbers(
    info: TensorInfo<'_>,
    dims: Vec<usize>,
    data: &[u8],
) -> Result<Tensor, Refused> {
    let kind = info.kind()?.unwrap_or(FLOAT32);
    let floats = match kind {
        FLOAT32 => words(data, |word| f64::from(f32::from_le_bytes(word))),
        FLOAT16 => words(data, |word| half(u16::from_le_bytes(word))),
        FLOAT64 => words(data, f64::from_le_bytes),
        _ => {
            let wholes = wholes(kind, data).ok_or("is of a type that is not read")?;
            let array = Array::new(dims, wholes).ok_or_else(|| too_few(info))?;
            return undone(&array, info.quantization()?, kind);
        }
    };
    Tensor::new(dims, floats).ok_or_else(|| too_few(info))
}

/// The whole numbers in `data`.
pub(super) fn wholes(kind: i8, data: &[u8]) -> Option<Vec<i64>> {
    Some(match kind {
        INT8 => words(data, |word| i8::from_le_bytes(word).into()),
        UINT8 => words(data, |word| u8::from_le_bytes(word).into()),
        INT16 => words(data, |word| i16::from_le_bytes(word).into()),
        INT32 => words(data, |word| i32::from_le_bytes(word).into()),
        INT64 => words(data, i64::from_le_bytes),
        _ => return None,
    })
}

fn too_few(info: TensorInfo<'_>) -> Refused {
    let name = info.name().ok().flatten().unwrap_or_default();
    let what = format!("tensor `{name}` does not hold as many values as its dimensions say");
    Refused::File(GraphError::Corrupt { format: "TFLite", what })
}

/// Words of `N` bytes; none if bytes are left over.
fn words<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (words, rest) = data.as_chunks();
    if rest.is_empty() { words.iter().map(|&word| read(word)).collect() } else { Vec::new() }
}

/// `(q - zero) scale`, along one dimension if there are several scales.
fn undone(
    array: &Array<i64>,
    quantization: Option<Quantization<'_>>,
    kind: i8,
) -> Result<Tensor, Refused> {
    let (scale, zero) = tflite_steps::told(quantization, kind)?;
    let axis = quantization.map(|told| told.dimension()).transpose()?.flatten().unwrap_or(0);
    let axis = usize::try_from(axis).unwrap_or(usize::MAX);
    let along = |count: usize| {
        let mut dims = vec![1; array.dims.len()];
        if count > 1 {
            *dims.get_mut(axis)? = count;
        }
        Some(dims)
    };
    #[allow(clippy::cast_precision_loss)]
    let real = |values: &[i64], dims| {
        Tensor::new(dims, values.iter().map(|&value| value as f64).collect())
    };
    let computed = || {
        let zero = if zero.is_empty() { &[0][..] } else { &zero };
        let zero = real(zero, along(zero.len())?)?;
        let scale = Tensor::new(along(scale.len())?, scale)?;
        let words = real(&array.values, array.dims.clone())?;
        let shifted = words.zipped(&zero, |word, zero| Some(word - zero))?;
        let product = shifted.zipped(&scale, |word, scale| Some(word * scale))?;
        (product.dims == array.dims).then_some(product)
    };
    Ok(computed().ok_or("has scales that do not fit its dimensions")?)
}
