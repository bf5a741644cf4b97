//! Fixed point: a real `v` with `f` fraction bits is the integer `round(v * 2^f)`, halves away from
//! zero.
//!
//! Rounding is named where it happens: [`encode`] rounds to nearest, halves away from zero; a shift
//! by the protocols rounds down. Conversions refuse what they cannot represent instead of
//! saturating silently.

use core::fmt;
use core::hint::black_box;

use crate::opened::opened;
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
/// Rounds to nearest, halves away from zero, single and double precision alike. No branch and no
/// address depends on a value; that one is refused shows in the result alone.
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
    frac_bits: impl FracBits,
    limit: u64,
    out: &mut [R],
) -> Result<(), FixedError> {
    if reals.len() != out.len() {
        return Err(FixedError::LengthMismatch);
    }
    verdict(scale_all(reals, frac_bits, limit, out))
}

/// Encodes as many as there are on both sides. Place and kind of the first refusal, in one word: 0
/// if there is none.
fn scale_all<R: Ring>(
    reals: &[impl Real],
    frac_bits: impl FracBits,
    limit: u64,
    out: &mut [R],
) -> u64 {
    let limit = limit.min(R::pow2(R::BITS - 1).to_u64() - 1).min(MOST_LIMIT);
    let mut first = 0_u64;
    for (((index, column), &real), out) in (0_u64..).zip(0..).zip(reals).zip(out) {
        let parts = real.parts();
        let (word, fits) = scale(parts, frac_bits.of(column), limit);
        let fits = fits & parts.finite;
        let kind = if_set(fits ^ 1, NOT_FINITE ^ if_set(parts.finite, NOT_FINITE ^ OUT_OF_RANGE));
        first |= if_set(bit(first == 0) & (fits ^ 1), index << KIND_BITS | kind);
        *out = R::from_u64(if_set(fits, word));
    }
    first
}

/// What the caller is told. It is looked up, so that a refusal takes no other time: others may see
/// what follows.
fn verdict(first: u64) -> Result<(), FixedError> {
    let first = opened(first);
    #[allow(clippy::cast_possible_truncation)] // a place in a slice
    let index = (first >> KIND_BITS) as usize;
    let verdicts = black_box([
        Ok(()),
        Err(FixedError::NotFinite { index }),
        Err(FixedError::OutOfRange { index }),
        Err(FixedError::OutOfRange { index }),
    ]);
    let [kind, ..] = first.to_le_bytes();
    let verdict = verdicts.get(usize::from(kind) % verdicts.len());
    verdict.copied().unwrap_or(Err(FixedError::LengthMismatch))
}

/// Kinds of refusals, in so many bits.
const KIND_BITS: u32 = 2;
const NOT_FINITE: u64 = 1;
const OUT_OF_RANGE: u64 = 2;

/// 1 or 0. Hidden from the compiler, which would otherwise make a branch of what follows.
fn bit(condition: bool) -> u64 {
    black_box(u64::from(condition))
}

/// `value` if `bit` is 1, and 0 if it is 0, without a branch.
fn if_set(bit: u64, value: u64) -> u64 {
    bit.wrapping_neg() & value
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
/// let reading = sharelet_core::fixed::encode_or_zero(&[1.5, 99.0], 8, 1000_u32, &mut words);
/// assert_eq!(reading, Err(sharelet_core::fixed::FixedError::OutOfRange { index: 1 }));
/// assert_eq!(words, [0, 0]);
/// ```
pub fn encode_or_zero<R: Ring>(
    reals: &[impl Real],
    frac_bits: impl FracBits,
    limit: impl Into<u64>,
    out: &mut [R],
) -> Result<(), FixedError> {
    if reals.len() != out.len() {
        out.fill(R::ZERO);
        return Err(FixedError::LengthMismatch);
    }
    let first = scale_all(reals, frac_bits, limit.into(), out);
    // A product for every word of every reading, so that a refused one takes no other time.
    let keep = R::from_u64(bit(opened(first) == 0));
    out.iter_mut().for_each(|word| *word = word.mul(keep));
    verdict(first)
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
    /// Its parts.
    #[doc(hidden)]
    fn parts(self) -> Parts;
}

/// The number `mantissa / 2^places`, or its negative.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// 0 or 1, as is `negative`.
    finite: u64,
    negative: u64,
    mantissa: u64,
    places: i32,
}

macro_rules! real {
    ($float:ty, $mantissa_bits:literal, $bias:literal) => {
        impl Real for $float {
            fn parts(self) -> Parts {
                const BITS: u32 = $mantissa_bits;
                const INFINITE: u64 = 2 * $bias + 1;
                let bits = u64::from(self.to_bits());
                let exponent = bits >> BITS & INFINITE;
                // A subnormal number has the least exponent and no hidden bit.
                let subnormal = bit(exponent == 0);
                let mantissa = bits & ((1 << BITS) - 1) | if_set(subnormal ^ 1, 1 << BITS);
                // An exponent has at most 11 bits.
                #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
                let places = $bias + BITS as i32 - (exponent + subnormal) as i32;
                Parts {
                    finite: bit(exponent != INFINITE),
                    negative: bits >> (8 * size_of::<Self>() - 1),
                    mantissa,
                    places,
                }
            }
        }
    };
}

real!(f32, 23, 127);
real!(f64, 52, 1023);

/// Limits end here: a mantissa that is shifted up by 33 places is beyond.
const MOST_LIMIT: u64 = (1 << 52) - 1;

/// Fraction bits of the elements of a reading: one number for all, or one for each.
pub trait FracBits: Copy {
    /// Those of element `column`, from 0.
    fn of(&self, column: usize) -> i16;
}

impl FracBits for u8 {
    fn of(&self, _: usize) -> i16 {
        i16::from(*self)
    }
}

/// Fraction bits of which each column has more or fewer: public, as the number that all have.
///
/// A table's columns can differ in size by a factor of a million. A column with exponent `e` has
/// `frac_bits + e` fraction bits, below zero too; so one limit in words is another one for each.
///
/// ```
/// use sharelet_core::fixed::{Columns, encode};
///
/// let frac_bits = Columns { frac_bits: 4, exponents: &[-2, 6] };
/// let mut words = [0_u32; 2];
/// encode(&[4096.0, 0.25], frac_bits, 1 << 15, &mut words)?;
/// assert_eq!(words, [4096 << 2, 256]);
/// # Ok::<(), sharelet_core::fixed::FixedError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns<'a> {
    /// What all have.
    pub frac_bits: u8,
    /// What each has beyond that; 0 for columns that are not listed.
    pub exponents: &'a [i8],
}

impl FracBits for Columns<'_> {
    fn of(&self, column: usize) -> i16 {
        let exponent = self.exponents.get(column).copied().unwrap_or(0);
        i16::from(self.frac_bits) + i16::from(exponent)
    }
}

/// The integer nearest to a number times `2^frac_bits`, halves away from zero, as a word; and 1 if
/// the magnitude of that product is at most `limit`, which is at most [`MOST_LIMIT`], or 0.
///
/// In integers: a processor without doubles has thousands of bytes of code for their sums and
/// products.
fn scale(number: Parts, frac_bits: i16, limit: u64) -> (u64, u64) {
    let Parts { negative, mantissa, places, .. } = number;
    let places = places - i32::from(frac_bits);
    // Beyond 33 places every mantissa but 0 exceeds every limit; beyond 60, nothing is left of a
    // mantissa of 53 bits, not even a half. One of the two is 0.
    let up = places.saturating_neg().clamp(0, 33).cast_unsigned();
    let down = places.clamp(0, 60).cast_unsigned();
    let one = 1_u64 << down;
    let ceiling = (mantissa >> down) + bit(mantissa & (one - 1) != 0);
    let fits = bit(ceiling <= limit >> up);
    let magnitude = ((mantissa + (one >> 1)) >> down) << up;
    let sign = negative.wrapping_neg();
    ((magnitude ^ sign).wrapping_sub(sign), fits)
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

    fn scaled(real: f32, frac_bits: u8, limit: u64) -> Option<i64> {
        let parts = real.parts();
        let (word, fits) = scale(parts, frac_bits.into(), limit);
        (parts.finite & fits == 1).then_some(word.cast_signed())
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
                            scaled(real, frac_bits, limit),
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
        encode(&[below_half, -below_half, 3e9 + 0.5, 0.0], 0, u32::MAX.into(), &mut out[..])
            .expect_err("3e9 has no word of its sign");
        assert_eq!(out[..2], [0, 0]);
        let mut wide = [0_u64; 2];
        encode(&[3e9 + 0.5, below_half - 3e9], 0, u32::MAX.into(), &mut wide).expect("in range");
        assert_eq!(wide.map(u64::cast_signed), [3_000_000_001, -3_000_000_000]);
        for whole in (0_u32..1000).chain([(1 << 31) - 1, u32::MAX - 1]) {
            let half = f64::from(whole) + 0.5;
            encode(&[half, half.next_down()], 0, u32::MAX.into(), &mut wide).expect("in range");
            assert_eq!(wide, [u64::from(whole) + 1, u64::from(whole)]);
            encode(&[-half, -half.next_down()], 0, u32::MAX.into(), &mut wide).expect("in range");
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
            encode(&[0.0, 3e9], 0, u32::MAX.into(), &mut out),
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
                let kept_or_zero = encode_or_zero(&reals, 8, 1000_u32, &mut kept);
                assert_eq!((plain, kept_or_zero), (refused.map_or(Ok(()), Err), plain));
                // What fits is untouched; of what does not, `encode` left the other words.
                assert_eq!(kept, if refused.is_none() { words } else { [R::ZERO; 3] });
                assert_ne!(words, [R::ZERO; 3]);
            }
            let mut words = [R::ONE; 3];
            let short = encode_or_zero(&[1.0, 2.0], 8, 1000_u32, &mut words);
            assert_eq!((short, words), (Err(FixedError::LengthMismatch), [R::ZERO; 3]));
        }
        check::<u32>();
        check::<u64>();
    }

    #[test]
    fn an_exponent_is_a_power_of_two_that_a_column_is_multiplied_with() {
        let exponents: [i8; 9] = [-128, -40, -21, -1, 0, 1, 12, 40, 127];
        for real in [0.0, 1.0, -0.75, 3.0e-7, 77.7, -1.25e6, 4.0e9] {
            for (column, &exponent) in exponents.iter().enumerate() {
                let reals = [real; 9];
                let mut words = [1_u32; 9];
                let limit = (1 << 31) - 1;
                let scale = Columns { frac_bits: 6, exponents: &exponents };
                let _ = encode(&reals, scale, limit, &mut words);
                let mut word = [1_u32];
                let multiplied = real * 2.0_f64.powi(exponent.into());
                let _ = encode(&[multiplied], 6, limit, &mut word);
                assert_eq!(words[column], word[0], "{real} {exponent}");
            }
        }
        // What is not listed has no exponent of its own.
        let mut words = [0_u32; 2];
        let few = Columns { frac_bits: 3, exponents: &[1] };
        assert_eq!(encode_or_zero(&[1.0, 1.0], few, 16_u32, &mut words), Ok(()));
        assert_eq!(words, [16, 8]);
        let refused = encode_or_zero(&[1.0, 2.1], few, 16_u32, &mut words);
        assert_eq!((refused, words), (Err(FixedError::OutOfRange { index: 1 }), [0, 0]));
    }

    #[test]
    fn decode_undoes_encode() {
        let mut out = [0_u64];
        encode(&[-3.125], 12, 1 << 20, &mut out).expect("in range");
        assert!((decode(out[0], 12) + 3.125).abs() < f32::EPSILON);
    }
}
