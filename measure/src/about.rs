//! What the page says about each function.

use core::fmt::Display;

use sharelet_core::functions::spline::Above;

use crate::exact::{DEVIATION_BITS, quotient_bits, reciprocal_least, saturation};
use crate::function::{CLAMP, COLUMNS, CONSTANTS, Function, SLOPE};
use crate::run::Job;

/// What a function computes, and what it gives outside its domain, from `functions.md`.
#[must_use]
pub fn text(function: Function) -> String {
    let sections = include_str!("functions.md").split("\n## ");
    let own = sections.filter_map(|section| section.split_once("\n\n"));
    let text = own.filter(|(name, _)| *name == function.name()).map(|(_, text)| text.trim_end());
    let values: [(&str, &dyn Display); 6] = [
        ("{columns}", &COLUMNS),
        ("{slope}", &format_args!("{}/{}", SLOPE.0, 1 << SLOPE.1)),
        ("{low}", &CLAMP.0),
        ("{high}", &CLAMP.1),
        ("{constants}", &CONSTANTS.len()),
        ("{deviation_bits}", &DEVIATION_BITS),
    ];
    values
        .iter()
        .fold(text.collect(), |text: String, (name, value)| text.replace(name, &value.to_string()))
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
