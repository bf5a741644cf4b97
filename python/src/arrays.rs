//! Arrays as bytes.

use pyo3::PyResult;
use sharelet_core::ring::Ring;
use sharelet_model::readings::Readings;

use crate::errors::input;

/// Rows of `width` numbers from little-endian `float32`.
pub fn readings(width: usize, bytes: &[u8]) -> PyResult<Readings> {
    let (words, rest) = bytes.as_chunks::<4>();
    if width == 0 || words.is_empty() || !rest.is_empty() || !words.len().is_multiple_of(width) {
        return Err(input("there are no readings; give at least one row of numbers"));
    }
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let wrong = values.iter().position(|value| !value.is_finite());
    if let Some((row, column)) = wrong.map(|at| (at / width, at % width)) {
        return Err(input(format!(
            "reading {row}, value {column}, both counted from 0: not a finite number of float32; \
             leave the reading out, or say what it is to be"
        )));
    }
    Readings::new(width, values).ok_or_else(|| input("there are no readings"))
}

/// Words of either ring with fraction bits, as `float64`: no bit of 32 is lost.
pub fn reals<R: Ring>(words: &[R], frac_bits: u8) -> Vec<u8> {
    let unit = f64::from(frac_bits).exp2();
    #[expect(clippy::cast_precision_loss, reason = "answers are words of 32 bits")]
    let real = |word: &R| word.to_i64() as f64 / unit;
    words.iter().flat_map(|word| real(word).to_le_bytes()).collect()
}
