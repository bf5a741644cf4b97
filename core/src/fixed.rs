//! Fixed point: a real `v` with `f` fraction bits is the integer `round(v * 2^f)`, halves away from zero.
//!
//! Rounding is named where it happens: [`encode`] rounds to nearest, halves away from zero; a shift by the protocols
//! rounds down. Conversions refuse what they cannot represent instead of saturating silently.

use core::fmt;

use crate::ring::Ring;

/// Why a real number has no fixed-point word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FixedError {
    /// Not a number, or infinite.
    NotFinite {
        /// Position in the slice.
        index: usize,
    },
    /// The magnitude exceeds the stated limit.
    OutOfRange {
        /// Position in the slice.
        index: usize,
    },
    /// Source and destination differ in length.
    LengthMismatch,
}

impl fmt::Display for FixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { index } => write!(f, "value {index} is not a finite number; check the sensor or the file"),
            Self::OutOfRange { index } => write!(f, "value {index} is outside the range the model was calibrated for"),
            Self::LengthMismatch => write!(f, "the number of values is not the number the model takes"),
        }
    }
}

impl core::error::Error for FixedError {}

/// Encodes reals with `frac_bits` fraction bits, refusing magnitudes above `limit` (an integer, in units of the last place)
/// and whatever has no word of its sign in the ring.
///
/// Rounds to nearest, halves away from zero, single and double precision alike. Runs on plaintext that its owner holds; not
/// constant time.
///
/// # Errors
/// [`FixedError::NotFinite`] and [`FixedError::OutOfRange`] name the first offending element;
/// [`FixedError::LengthMismatch`] if the slices differ in length. Elements that are refused are 0 in `out`.
///
/// ```
/// let mut words = [0_u32; 2];
/// sharelet_core::fixed::encode(&[1.5, -0.25], 8, 1 << 20, &mut words)?;
/// assert_eq!(words, [384, (-64_i32).cast_unsigned()]);
/// # Ok::<(), sharelet_core::fixed::FixedError>(())
/// ```
pub fn encode<R: Ring>(reals: &[impl Copy + Into<f64>], frac_bits: u8, limit: u32, out: &mut [R]) -> Result<(), FixedError> {
    if reals.len() != out.len() {
        return Err(FixedError::LengthMismatch);
    }
    // A float times a power of two is exact, so the only rounding is the one to an integer.
    let scale = pow2(frac_bits);
    let limit = u64::from(limit).min(R::pow2(R::BITS - 1).to_u64() - 1);
    #[allow(clippy::cast_precision_loss)]
    let limit = limit as f64;
    let mut first_error = None;
    for (index, (&real, out)) in reals.iter().zip(out).enumerate() {
        let real: f64 = real.into();
        let scaled = real * scale;
        let fits = (-limit..=limit).contains(&scaled);
        if !fits && first_error.is_none() {
            let out_of_range = FixedError::OutOfRange { index };
            first_error = Some(if real.is_finite() { out_of_range } else { FixedError::NotFinite { index } });
        }
        *out = if fits { R::from_u64(round_half_away(scaled).cast_unsigned()) } else { R::ZERO };
    }
    first_error.map_or(Ok(()), Err)
}

/// The real number that a word with `frac_bits` fraction bits stands for.
///
/// Exact for words of up to 24 significant bits, rounded to nearest `f32` beyond.
#[must_use]
pub fn decode<R: Ring>(word: R, frac_bits: u8) -> f32 {
    #[allow(clippy::cast_precision_loss)]
    let integer = word.to_i64() as f32;
    #[allow(clippy::cast_possible_truncation)]
    let real = (f64::from(integer) / pow2(frac_bits)) as f32;
    real
}

/// `2^exponent`.
fn pow2(exponent: u8) -> f64 {
    f64::from_bits((1023 + u64::from(exponent)) << 52)
}

/// Nearest integer, halves away from zero; the caller has checked that it fits 33 bits.
fn round_half_away(value: f64) -> i64 {
    // The double below a half: with a half itself, that same double would be rounded up to 1 in the sum. Halves still
    // reach the next integer, since what is missing is less than half a unit in the last place of their sum.
    const HALF: f64 = 0.5_f64.next_down();
    #[allow(clippy::cast_possible_truncation)]
    let truncated = (value + if value < 0.0 { -HALF } else { HALF }) as i64;
    truncated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_away_from_zero() {
        let mut out = [0_u32; 4];
        encode(&[0.5, -0.5, 1.49, -1.51], 0, 100, &mut out).expect("in range");
        assert_eq!(out.map(u32::cast_signed), [1, -1, 1, -2]);
    }

    #[test]
    fn doubles_are_rounded_once() {
        let below_half = 0.5_f64.next_down();
        let mut out = [1_u32; 4];
        encode(&[below_half, -below_half, 3e9 + 0.5, 0.0], 0, u32::MAX, &mut out[..]).expect_err("3e9 has no word of its sign");
        assert_eq!(out[..2], [0, 0]);
        let mut wide = [0_u64; 2];
        encode(&[3e9 + 0.5, below_half - 3e9], 0, u32::MAX, &mut wide).expect("in range");
        assert_eq!(wide.map(u64::cast_signed), [3_000_000_001, -3_000_000_000]);
        for whole in (0_u32..1000).chain([(1 << 31) - 1, u32::MAX - 1]) {
            let half = f64::from(whole) + 0.5;
            encode(&[half, half.next_down()], 0, u32::MAX, &mut wide).expect("in range");
            assert_eq!(wide, [u64::from(whole) + 1, u64::from(whole)]);
            encode(&[-half, -half.next_down()], 0, u32::MAX, &mut wide).expect("in range");
            assert_eq!(wide.map(|word| word.wrapping_neg()), [u64::from(whole) + 1, u64::from(whole)]);
        }
    }

    #[test]
    fn refuses_what_it_cannot_represent() {
        let mut out = [0_u32; 2];
        assert_eq!(encode(&[0.0, f32::NAN], 8, 100, &mut out), Err(FixedError::NotFinite { index: 1 }));
        assert_eq!(encode(&[f32::INFINITY, 0.0], 8, 100, &mut out), Err(FixedError::NotFinite { index: 0 }));
        assert_eq!(encode(&[0.0, -1.0], 8, 255, &mut out), Err(FixedError::OutOfRange { index: 1 }));
        assert_eq!(encode(&[1.0, 1.0], 8, 256, &mut out), Ok(()));
        assert_eq!(encode(&[1.0], 8, 256, &mut out), Err(FixedError::LengthMismatch));
        // No word of the ring has this sign and magnitude, whatever the limit says.
        assert_eq!(encode(&[0.0, 3e9], 0, u32::MAX, &mut out), Err(FixedError::OutOfRange { index: 1 }));
        assert_eq!(encode(&[1.0, 0.0], 200, 256, &mut out), Err(FixedError::OutOfRange { index: 0 }));
    }

    #[test]
    fn decode_undoes_encode() {
        let mut out = [0_u64];
        encode(&[-3.125], 12, 1 << 20, &mut out).expect("in range");
        assert!((decode(out[0], 12) + 3.125).abs() < f32::EPSILON);
    }
}
