//! In which steps a TFLite file counts a value that is computed.

use super::error::Refused;
use super::steps::{self, Steps};
use super::tflite_schema::{FLOAT32, INT8, INT16, INT32, Quantization, TensorInfo, UINT8};

/// The words of a type that values are quantised to.
pub(super) fn words(kind: i8) -> Option<(i64, i64)> {
    match kind {
        INT8 => Some((i8::MIN.into(), i8::MAX.into())),
        UINT8 => Some((0, u8::MAX.into())),
        INT16 => Some((i16::MIN.into(), i16::MAX.into())),
        INT32 => Some((i32::MIN.into(), i32::MAX.into())),
        _ => None,
    }
}

/// Scales and zero points that belong together.
///
/// # Errors
/// [`Refused`] if they do not.
pub(super) fn told(
    quantization: Option<Quantization<'_>>,
    kind: i8,
) -> Result<(Vec<f64>, Vec<i64>), Refused> {
    let missing = "is of whole numbers without scales";
    let told = quantization.ok_or(missing)?;
    let scales: Vec<f64> =
        told.scale()?.map_or_else(Vec::new, |scale| scale.iter().map(f64::from).collect());
    let zeros: Vec<i64> = told.zero_point()?.map_or_else(Vec::new, |zero| zero.iter().collect());
    if scales.is_empty() {
        return Err(missing.into());
    }
    if zeros.len() > 1 && zeros.len() != scales.len() {
        let (scales, zeros) = (scales.len(), zeros.len());
        return Err(format!("has {scales} scales and {zeros} zero points").into());
    }
    let all = (i64::MIN, i64::MAX);
    steps::check(&scales, &zeros, words(kind).unwrap_or(all))?;
    Ok((scales, zeros))
}

/// The steps of a value that is computed; nothing if it is of floating point, or of another type
/// that is no number to a network.
///
/// # Errors
/// [`Refused`] if there are no such steps.
pub(super) fn steps(info: TensorInfo<'_>) -> Result<Option<Steps>, Refused> {
    let kind = info.kind()?.unwrap_or(FLOAT32);
    let words = match (kind, words(kind)) {
        (INT16, _) => {
            return Err("is of int16; export with activations of int8".into());
        }
        (INT8 | UINT8, Some(words)) => words,
        _ => return Ok(None),
    };
    let (scales, zeros) = told(info.quantization()?, kind)?;
    let [scale] = scales.as_slice() else {
        let count = scales.len();
        return Err(format!("has {count} scales where a computed value has one").into());
    };
    Ok(Some(Steps::new(*scale, zeros.first().copied().unwrap_or(0), words)?))
}
