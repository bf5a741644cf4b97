//! What the page says about each function.

use sharelet_core::function::spline::Above;
use sharelet_core::program::unary::Smooth;

use crate::exact::{DEVIATION_BITS, quotient_bits, reciprocal_least, saturation};
use crate::function::{CLAMP, COLUMNS, CONSTANTS, Function, SLOPE};
use crate::run::Job;

/// What a function computes, and what it gives outside its domain.
#[must_use]
pub fn text(function: Function) -> String {
    let row = format!("rows of {COLUMNS}");
    match function {
        Function::Relu => "`max(x, 0)`, for every word.".into(),
        Function::ReluShift => "`max(x, 0)` with as many bits less as there are fraction bits, \
                                rounded down: what follows a product. For every word."
            .into(),
        Function::LeakyRelu => format!(
            "`x` where it is not negative, `{}/{} x` elsewhere, rounded down or up. Beyond the \
             domain results are right only modulo the bits that the slope adds.",
            SLOPE.0,
            1 << SLOPE.1
        ),
        Function::Relu6 => "`x` limited to `[0, 6]`, for every word.".into(),
        Function::Abs => {
            "`|x|`; the least word of the ring, which has no opposite, stays as it is.".into()
        }
        Function::Clamp => format!(
            "`x` limited to `[{}, {}]` units (any bounds cost the same), for every word.",
            CLAMP.0, CLAMP.1
        ),
        Function::Compare => "`[x >= c]` for a public `c`, as 0 or 1, for every word.".into(),
        Function::Compare16 => {
            format!(
                "`[x >= c]` for {} public `c` at once, under one mask, for every word.",
                CONSTANTS.len()
            )
        }
        Function::AtLeast => "`[x >= y]` of two shared numbers. Beyond the domain the answer is \
                              that of the wrapped difference."
            .into(),
        Function::Equal => "`[x = y]` of two shared numbers, for every pair.".into(),
        Function::Select => {
            "`x >= 0 ? y : z`, all shared; any `x`, and `y - z` may even wrap.".into()
        }
        Function::Choose => {
            "`x >= 0 ? y : 0`, both shared: a bit times a value, for every pair.".into()
        }
        Function::Maximum => "The larger of two shared numbers. Beyond the domain the wrapped \
                              difference decides."
            .into(),
        Function::Minimum => "The smaller of two shared numbers. Beyond the domain the wrapped \
                              difference decides."
            .into(),
        Function::Truncate => "`x >> f`, rounded down, for every word.".into(),
        Function::Rescale => "`x / 2^f`, rounded down or up: one message, never off by more. \
                              Beyond the domain by `2^(k-f)`, by chance."
            .into(),
        Function::Multiply => "`x y` of two shared numbers, rescaled: rounded down or up. Beyond \
                               the domain as rescale."
            .into(),
        Function::Square => {
            "`x x`, rescaled: rounded down or up. Beyond the domain as rescale.".into()
        }
        Function::Max10 => format!(
            "The largest number; {row}. Beyond the domain comparisons see differences modulo \
             `2^32`."
        ),
        Function::Min10 => format!("The smallest number; {row}. Beyond the domain as max."),
        Function::ArgMax10 => format!(
            "The place of the largest number, the first of equal ones; {row}. Beyond the domain \
             as max."
        ),
        Function::OneHot10 => format!(
            "1 at the largest number's place, 0 elsewhere; {row}. Beyond the domain as max."
        ),
        Function::MaxPool => "The largest of four neighbours, an element being one window. Beyond \
                              the domain as max."
            .into(),
        Function::MeanPool => "The mean of four neighbours, an element being one window; in units \
                               of `x`, rounded down. Sums are those modulo `2^k`."
            .into(),
        Function::Smooth(Smooth::Sigmoid) => {
            "`1 / (1 + e^-x)`, for every word: 0 and 1 outside the table.".into()
        }
        Function::Smooth(Smooth::Tanh) => {
            "The hyperbolic tangent, for every word: -1 and 1 outside the table.".into()
        }
        Function::Smooth(Smooth::Erf) => {
            "The error function, for every word: -1 and 1 outside the table.".into()
        }
        Function::Smooth(Smooth::Gelu) => {
            "`x P(N <= x)`, for every word: 0 and `x` outside the table.".into()
        }
        Function::Smooth(Smooth::Silu) => {
            "`x / (1 + e^-x)`, for every word: 0 and `x` outside the table.".into()
        }
        Function::Smooth(Smooth::Softplus) => {
            "`ln(1 + e^x)`, for every word: 0 and `x` outside the table.".into()
        }
        Function::Smooth(Smooth::Exp) => "`e^x` for `x < 4`, and `e^4` from there: what a softmax \
                                          needs. For every word; 0 below the table."
            .into(),
        Function::ExpFull => "`e^x` as far as results go: at `k = 32` up to `2^31 - 1`, which it \
                              gives beyond; at `k = 64` up to `2^62`, beyond which it gives a \
                              little more than that. 0 below half a unit. The error is a part of \
                              the result: `2^-19`, and `2^-15` at `f = 20` from `2^31` units on."
            .into(),
        Function::Reciprocal => {
            "`1 / x`. Nearer to zero the result is that of the domain's end, of `x`'s sign.".into()
        }
        Function::Divide => "`x / y`, both shared, for all words. Operands beyond the domain \
                             saturate, and so do quotients: right sign, and between the bound and \
                             twice it."
            .into(),
        Function::Sqrt => "The square root; 0 for negative numbers, and that of the domain's end \
                           beyond it."
            .into(),
        Function::InvSqrt => {
            "`1 / sqrt(x)`; that of one unit for zero and negative numbers.".into()
        }
        Function::Ln => {
            "The natural logarithm; that of one unit for zero and negative numbers.".into()
        }
        Function::Softmax10 => format!("`e^(x_j) / sum e^(x_i)`; {row}."),
        Function::LogSoftmax10 => format!("`x_j - ln sum e^(x_i)`; {row}."),
        Function::Sum10 => {
            format!("The sum; {row}. Without a message; modulo `2^k` beyond the domain.")
        }
        Function::Mean10 => {
            format!("The mean, in units of `x`; {row}. Sums saturate at the domain's ends.")
        }
        Function::Variance10 => format!(
            "The mean of the squared deviations; {row}. Numbers saturate at the domain's ends."
        ),
        Function::LayerNorm10 => format!(
            "`(x_j - mean) / sqrt(variance + 1e-5)` (at least one unit of the variance in place \
             of `1e-5`); {row}. The unit by which the mean may be off counts as a part of the \
             deviation: measured for deviations of `2^-{DEVIATION_BITS}` and more, around means \
             of up to `2^24` units. Numbers saturate at the domain's ends."
        ),
    }
}

/// The domain of a row.
#[must_use]
pub fn domain(job: Job, ring_bits: u32) -> String {
    let (k, f) = (ring_bits, job.frac_bits);
    let real = |word: i64| -> String {
        #[allow(clippy::cast_precision_loss)]
        let real = word as f64 / 2_f64.powi(f.cast_signed());
        format!("{real:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if let Some(table) = job.function.table(k, f) {
        let (low, end) = (real(table.low), real(table.end()));
        return match table.above {
            Above::Constant(_) | Above::Identity => format!("any; table `[{low}, {end})`"),
        };
    }
    match job.function {
        Function::Abs => format!("`x > -2^{}` units", k - 1),
        Function::AtLeast | Function::Maximum | Function::Minimum => {
            format!("`|x - y| < 2^{}` units", k - 1)
        }
        Function::Select => "any".into(),
        Function::Rescale => format!("`|x| < 2^{}` units", k - 2),
        Function::Multiply => format!("`|x y| < {}`", power(k - 2, 2 * f)),
        Function::Square => format!("`x^2 < {}`", power(k - 2, 2 * f)),
        Function::LeakyRelu => format!("`|x| < 2^{}` units", k - 2 - SLOPE.1),
        Function::Max10
        | Function::Min10
        | Function::ArgMax10
        | Function::OneHot10
        | Function::MaxPool => "differences below `2^31` units".into(),
        // The least result is a word.
        Function::LogSoftmax10 if k == 32 => {
            format!("differences below `2^31` units less `ln {COLUMNS}`; random ones up to 64")
        }
        Function::Softmax10 | Function::LogSoftmax10 => {
            "differences below `2^31` units; random ones up to 64".into()
        }
        Function::Sum10 | Function::MeanPool => format!("`|sum| < 2^{}` units", k - 1),
        Function::Mean10 => format!("`|sum| < 2^{}` units", saturation(job, k).ilog2() + 1),
        Function::ExpFull => "any; `e^x < 2^62` units".into(),
        Function::Reciprocal => format!(
            "`|x| >= {}` = `2^{}` units",
            power(reciprocal_least(k, f), f),
            reciprocal_least(k, f)
        ),
        Function::Divide => {
            let (quotient, divisor) = quotient_bits(k, f);
            format!(
                "`|x| < {}`, `0 < |y| < {}`, `|x / y| < {}`",
                power(k - 2, f),
                power(divisor, f),
                power(quotient, f)
            )
        }
        Function::Sqrt if k == 64 => format!("`0 <= x < {}`", power(61 - f, f)),
        Function::Sqrt => "`x >= 0`".into(),
        Function::InvSqrt | Function::Ln if k == 64 => format!("`0 < x < {}`", power(61, f)),
        Function::InvSqrt | Function::Ln => "`x > 0`".into(),
        Function::Variance10 | Function::LayerNorm10 => {
            let bits = saturation(job, k).ilog2() + 1;
            format!("`|x| < {}` = `2^{bits}` units", power(bits, f))
        }
        _ => "any".into(),
    }
}

/// `2^bits` units as a power of two.
fn power(bits: u32, frac_bits: u32) -> String {
    format!("2^{}", bits.cast_signed() - frac_bits.cast_signed())
}
