//! Words of fixed point as decimal numbers that tell every two words apart.

/// The most fraction bits whose decimals are computed in integers of 128 bits.
const MOST_BITS: u8 = 63;

/// The word `word` with `frac_bits` fraction bits as a decimal number.
///
/// It is rounded to as many decimals as tell neighbouring words apart, 3 for each 10 bits, and
/// zeros at its end are left out: multiplied by `2^frac_bits` and rounded it is the word again.
#[must_use]
pub fn decimal(word: i64, frac_bits: u8) -> String {
    if frac_bits > MOST_BITS {
        #[allow(clippy::cast_precision_loss)]
        return (word as f64 * 0.5_f64.powi(frac_bits.into())).to_string();
    }
    // Above the logarithm of 2: `10^decimals >= 2^frac_bits`.
    let decimals = (usize::from(frac_bits) * 30_103).div_ceil(100_000);
    let scale = (0..decimals).fold(1_u128, |scale, _| scale * 10);
    let half = (1_u128 << frac_bits) >> 1;
    let scaled = (u128::from(word.unsigned_abs()) * scale + half) >> frac_bits;
    let sign = if word < 0 { "-" } else { "" };
    let whole = scaled / scale;
    let part = format!("{:0decimals$}", scaled % scale);
    match part.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (word, frac_bits, expected) in [
            (0, 0, "0"),
            (-5, 0, "-5"),
            (0, 20, "0"),
            (1 << 20, 20, "1"),
            (-3, 1, "-1.5"),
            (1, 1, "0.5"),
            (1, 8, "0.004"),
            (-255, 8, "-0.996"),
            (1, 20, "0.000001"),
            (129_395, 20, "0.1234007"),
            (i64::MAX, 0, "9223372036854775807"),
            (i64::MIN, 63, "-1"),
            (i64::MAX, 63, "0.9999999999999999999"),
            (1, 64, "0.00000000000000000005421010862427522"),
        ] {
            assert_eq!(decimal(word, frac_bits), expected, "{word}, {frac_bits}");
        }
    }

    /// What is printed is the word, for everybody who knows the fraction bits.
    #[test]
    #[allow(clippy::cast_possible_truncation)]
    fn a_number_is_its_word_again() {
        for frac_bits in 0..=30 {
            for word in (-70_000_i64..70_000).step_by(37).chain([i32::MAX.into(), i32::MIN.into()])
            {
                let number: f64 = decimal(word, frac_bits).parse().expect("a number");
                let again = (number * 2_f64.powi(frac_bits.into())).round() as i64;
                assert_eq!(again, word, "{frac_bits} bits");
            }
        }
    }
}
