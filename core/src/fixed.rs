//! Fixed point: a real `v` with `f` fraction bits is the integer `round(v * 2^f)`, halves away from
//! zero.
//!
//! Rounding is named where it happens: [`encode`] rounds to nearest, halves away from zero; a shift
//! by the protocols rounds down. Conversions refuse what they cannot represent instead of
//! saturating silently.

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
            Self::NotFinite { index } => {
                write!(f, "value {index} is not a finite number; check the sensor or the file")
            }
            Self::OutOfRange { index } => {
                write!(f, "value {index} is outside the range the model was calibrated for")
            }
            Self::LengthMismatch => {
                write!(f, "the number of values is not the number the model takes")
            }
        }
    }
}

impl core::error::Error for FixedError {}

/// Encodes reals with `frac_bits` fraction bits, refusing magnitudes above `limit` (an integer, in
/// units of the last place) and whatever has no word of its sign in the ring.
///
/// Rounds to nearest, halves away from zero, single and double precision alike. Runs on plaintext
/// that its owner holds; not constant time.
///
/// # Errors
/// [`FixedError::NotFinite`] and [`FixedError::OutOfRange`] name the first offending element;
/// [`FixedError::LengthMismatch`] if the slices differ in length. Elements that are refused are 0
/// in `out`.
///
/// ```
/// let mut words = [0_u32; 2];
/// sharelet_core::fixed::encode(&[1.5, -0.25], 8, 1 << 20, &mut words)?;
/// assert_eq!(words, [384, (-64_i32).cast_unsigned()]);
/// # Ok::<(), sharelet_core::fixed::FixedError>(())
/// ```
pub fn encode<R: Ring>(
    reals: &[impl Real],
    frac_bits: u8,
    limit: u32,
    out: &mut [R],
) -> Result<(), FixedError> {
    if reals.len() != out.len() {
        return Err(FixedError::LengthMismatch);
    }
    let limit = u64::from(limit).min(R::pow2(R::BITS - 1).to_u64() - 1);
    let mut first_error = None;
    for (index, (&real, out)) in reals.iter().zip(out).enumerate() {
        let parts = real.parts();
        let scaled = parts.and_then(|parts| scale(parts, frac_bits, limit));
        if scaled.is_none() && first_error.is_none() {
            let out_of_range = FixedError::OutOfRange { index };
            first_error =
                Some(if parts.is_some() { out_of_range } else { FixedError::NotFinite { index } });
        }
        *out = scaled.map_or(R::ZERO, |scaled| R::from_u64(scaled.cast_unsigned()));
    }
    first_error.map_or(Ok(()), Err)
}

/// [`encode`], but all of `out` is 0 if one value has no word: a reading that the model is not made
/// for takes part in the protocol as zeros.
///
/// Whoever stated the model chose which readings fit it, and must not notice one that does not. So
/// its owner runs what it would have run, with the same work, and drops the answer. The result says
/// that it is to be dropped.
///
/// # Errors
/// As [`encode`]. All of `out` is 0 then.
///
/// ```
/// let mut words = [7_u32; 2];
/// let reading = sharelet_core::fixed::encode_or_zero(&[1.5, 99.0], 8, 1000, &mut words);
/// assert_eq!(reading, Err(sharelet_core::fixed::FixedError::OutOfRange { index: 1 }));
/// assert_eq!(words, [0, 0]);
/// ```
pub fn encode_or_zero<R: Ring>(
    reals: &[impl Real],
    frac_bits: u8,
    limit: u32,
    out: &mut [R],
) -> Result<(), FixedError> {
    let encoded = encode(reals, frac_bits, limit, out);
    // A product for every word of every reading, so that a refused one takes no other time.
    let keep = if encoded.is_ok() { R::ONE } else { R::ZERO };
    out.iter_mut().for_each(|word| *word = word.mul(keep));
    encoded
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

/// A real number that is encoded: `f32` or `f64`.
pub trait Real: Copy {
    /// Its parts; `None` if it is not finite.
    #[doc(hidden)]
    fn parts(self) -> Option<Parts>;
}

/// The number `mantissa / 2^places`, or its negative.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    negative: bool,
    mantissa: u64,
    places: i32,
}

macro_rules! real {
    ($float:ty, $mantissa_bits:literal, $bias:literal) => {
        impl Real for $float {
            fn parts(self) -> Option<Parts> {
                const BITS: u32 = $mantissa_bits;
                let bits = self.abs().to_bits();
                let exponent = bits >> BITS;
                // A subnormal number has the least exponent and no hidden bit.
                let (exponent, hidden) = if exponent == 0 { (1, 0) } else { (exponent, 1 << BITS) };
                let mantissa = bits & ((1 << BITS) - 1) | hidden;
                // An exponent has at most 11 bits.
                #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
                let places = $bias + BITS as i32 - exponent as i32;
                self.is_finite().then_some(Parts {
                    negative: self.is_sign_negative(),
                    mantissa: mantissa.into(),
                    places,
                })
            }
        }
    };
}

real!(f32, 23, 127);
real!(f64, 52, 1023);

/// The integer nearest to a number times `2^frac_bits`, halves away from zero; `None` if the
/// magnitude of that product exceeds `limit`, which has at most 32 bits.
///
/// In integers: a processor without doubles has thousands of bytes of code for their sums and
/// products.
fn scale(number: Parts, frac_bits: u8, limit: u64) -> Option<i64> {
    let Parts { negative, mantissa, places } = number;
    let places = places - i32::from(frac_bits);
    let magnitude = if places <= 0 {
        // A mantissa of 53 bits exceeds every limit as it is, one of 24 bits beyond 33 places.
        let product =
            mantissa << if mantissa >> 30 == 0 { places.unsigned_abs().min(33) } else { 0 };
        if product > limit {
            return None;
        }
        product
    } else {
        // Beyond 60 places nothing is left of a mantissa of 53 bits, not even a half.
        let places = places.unsigned_abs().min(60);
        let (whole, rest) = (mantissa >> places, mantissa & ((1 << places) - 1));
        if whole > limit || (whole == limit && rest > 0) {
            return None;
        }
        (mantissa + (1 << (places - 1))) >> places
    };
    let magnitude = magnitude.cast_signed();
    Some(if negative { -magnitude } else { magnitude })
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

    /// The same in doubles, for which every product is exact.
    fn in_doubles(real: f32, frac_bits: u8, limit: u64) -> Option<i64> {
        let scaled = f64::from(real) * pow2(frac_bits);
        let limit = f64::from(u32::try_from(limit).expect("32 bits"));
        #[allow(clippy::cast_possible_truncation)]
        let rounded = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i64;
        (-limit..=limit).contains(&scaled).then_some(rounded)
    }

    #[test]
    fn integers_scale_as_doubles_do() {
        let mut state = 0x9E37_79B9_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let ends = [
            0.0,
            -0.0,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NAN,
            0.5,
            1.5,
            -2.5,
        ];
        let ends = ends.into_iter().map(f32::to_bits);
        let random: [u32; 20_000] = core::array::from_fn(|_| next());
        for bits in ends.chain(random) {
            for frac_bits in [0_u8, 1, 8, 18, 31, 40, 255] {
                // Words as they are, and words near the scale, where rounding shows.
                for bits in [
                    bits,
                    (bits & 0x80ff_ffff)
                        | (127 + (bits >> 8) % 24).saturating_sub(frac_bits.into()) << 23,
                ] {
                    let real = f32::from_bits(bits);
                    for limit in [0, 1, 255, 1 << 20, (1 << 31) - 1, u64::from(u32::MAX)] {
                        assert_eq!(
                            real.parts().and_then(|parts| scale(parts, frac_bits, limit)),
                            in_doubles(real, frac_bits, limit),
                            "{real} {frac_bits} {limit}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn doubles_are_rounded_once() {
        let below_half = 0.5_f64.next_down();
        let mut out = [1_u32; 4];
        encode(&[below_half, -below_half, 3e9 + 0.5, 0.0], 0, u32::MAX, &mut out[..])
            .expect_err("3e9 has no word of its sign");
        assert_eq!(out[..2], [0, 0]);
        let mut wide = [0_u64; 2];
        encode(&[3e9 + 0.5, below_half - 3e9], 0, u32::MAX, &mut wide).expect("in range");
        assert_eq!(wide.map(u64::cast_signed), [3_000_000_001, -3_000_000_000]);
        for whole in (0_u32..1000).chain([(1 << 31) - 1, u32::MAX - 1]) {
            let half = f64::from(whole) + 0.5;
            encode(&[half, half.next_down()], 0, u32::MAX, &mut wide).expect("in range");
            assert_eq!(wide, [u64::from(whole) + 1, u64::from(whole)]);
            encode(&[-half, -half.next_down()], 0, u32::MAX, &mut wide).expect("in range");
            assert_eq!(
                wide.map(|word| word.wrapping_neg()),
                [u64::from(whole) + 1, u64::from(whole)]
            );
        }
    }

    #[test]
    fn refuses_what_it_cannot_represent() {
        let mut out = [0_u32; 2];
        assert_eq!(
            encode(&[0.0, f32::NAN], 8, 100, &mut out),
            Err(FixedError::NotFinite { index: 1 })
        );
        assert_eq!(
            encode(&[f32::INFINITY, 0.0], 8, 100, &mut out),
            Err(FixedError::NotFinite { index: 0 })
        );
        assert_eq!(
            encode(&[0.0, -1.0], 8, 255, &mut out),
            Err(FixedError::OutOfRange { index: 1 })
        );
        assert_eq!(encode(&[1.0, 1.0], 8, 256, &mut out), Ok(()));
        assert_eq!(encode(&[1.0], 8, 256, &mut out), Err(FixedError::LengthMismatch));
        // No word of the ring has this sign and magnitude, whatever the limit says.
        assert_eq!(
            encode(&[0.0, 3e9], 0, u32::MAX, &mut out),
            Err(FixedError::OutOfRange { index: 1 })
        );
        assert_eq!(
            encode(&[1.0, 0.0], 200, 256, &mut out),
            Err(FixedError::OutOfRange { index: 0 })
        );
    }

    #[test]
    fn a_reading_that_is_refused_is_zeros_and_says_why() {
        fn check<R: Ring>() {
            for (reals, refused) in [
                ([1.0, -2.0, 0.5], None),
                ([99.0, -2.0, 0.5], Some(FixedError::OutOfRange { index: 0 })),
                ([1.0, -2.0, -99.0], Some(FixedError::OutOfRange { index: 2 })),
                ([1.0, f32::NAN, 99.0], Some(FixedError::NotFinite { index: 1 })),
            ] {
                let (mut words, mut kept) = ([R::ONE; 3], [R::ONE; 3]);
                let plain = encode(&reals, 8, 1000, &mut words);
                let kept_or_zero = encode_or_zero(&reals, 8, 1000, &mut kept);
                assert_eq!((plain, kept_or_zero), (refused.map_or(Ok(()), Err), plain));
                // What fits is untouched; of what does not, `encode` left the other words.
                assert_eq!(kept, if refused.is_none() { words } else { [R::ZERO; 3] });
                assert_ne!(words, [R::ZERO; 3]);
            }
            let mut words = [R::ONE; 3];
            let short = encode_or_zero(&[1.0, 2.0], 8, 1000, &mut words);
            assert_eq!((short, words), (Err(FixedError::LengthMismatch), [R::ZERO; 3]));
        }
        check::<u32>();
        check::<u64>();
    }

    #[test]
    fn decode_undoes_encode() {
        let mut out = [0_u64];
        encode(&[-3.125], 12, 1 << 20, &mut out).expect("in range");
        assert!((decode(out[0], 12) + 3.125).abs() < f32::EPSILON);
    }
}
