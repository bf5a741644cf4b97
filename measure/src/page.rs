//! `docs/functions.md`.

use core::fmt::Write as _;

use crate::about;
use crate::errors::{Effort, SEED};
use crate::function::{Function, Kind};
use crate::others::{
    erf_by_taylor, exp_by_limit, inv_sqrt_by_newton, largest_error, reciprocal_by_newton,
    valid_up_to,
};
use crate::parties::ROUNDS;
use crate::report::{EXP_PART, Found, Row};
use crate::run::Job;
use sharelet_fit::reference;

/// The limits that the functions are held to: a name, fraction bits, what is limited, and the
/// limit. `tests/limits.rs` holds them too.
const LIMITS: [(&str, &str, f64); 17] = [
    ("sigmoid/k32/f12", "largest error", 2.0),
    ("tanh/k32/f12", "largest error", 2.0),
    ("erf/k32/f12", "largest error", 2.0),
    ("gelu/k32/f12", "largest error", 2.0),
    ("silu/k32/f12", "largest error", 2.0),
    ("exp/k32/f12", "largest error on [-8, 2]", 4.0),
    ("reciprocal/k32/f12", "largest error", 4.0),
    ("divide/k32/f12", "largest error", 4.0),
    ("sqrt/k32/f12", "largest error", 2.0),
    ("relu_shift/k32/f12", "messages", 2.0),
    ("relu_shift/k64/f12", "messages", 3.0),
    ("sigmoid/k32/f12", "messages", 2.0),
    ("sigmoid/k64/f12", "messages", 3.0),
    ("max_10/k32/f0", "messages", 8.0),
    ("divide/k32/f12", "messages", 12.0),
    ("softmax_10/k32/f12", "messages", 24.0),
    ("relu_shift/k32/f12", "elements per second, at least", 2_000_000.0),
];

const COLUMNS: &str = "\
| ring, f | domain | messages | bytes online | bytes dealt | largest error | tried | a second | of \
                       a processor |
|---|---|---:|---:|---:|---:|---|---:|---:|
";

/// The whole page.
#[must_use]
pub fn page(rows: &[Row], effort: Effort, conditions: &str) -> String {
    let mut text = head(effort, conditions);
    text.push_str(&limits(rows));
    for function in Function::all() {
        let own: Vec<_> = rows.iter().filter(|row| row.job.function == function).collect();
        if !own.is_empty() {
            let _ = write!(
                text,
                "\n## `{}`\n\n{}\n\n{COLUMNS}",
                function.name(),
                about::text(function)
            );
            own.iter().for_each(|row| text.push_str(&line(row)));
        }
    }
    text.push_str(&like_for_like(rows));
    text
}

fn head(effort: Effort, conditions: &str) -> String {
    format!(
        include_str!("page/head.md"),
        ROUNDS = ROUNDS,
        SEED = SEED,
        conditions = conditions,
        margin = grouped(1024.0),
        random = grouped(effort_part(effort.random, 10)),
        all = grouped(effort_part(effort.random, 1)),
    )
}

#[allow(clippy::cast_precision_loss)]
fn effort_part(count: u64, part: u64) -> f64 {
    (count / part) as f64
}

fn line(row: &Row) -> String {
    let fraction = if row.job.frac_bits == 0 {
        "any f".to_owned()
    } else {
        format!("f = {}", row.job.frac_bits)
    };
    let place = format!("k = {}, {fraction}", row.ring_bits);
    let found = match &row.found {
        Ok(found) => found,
        Err(reason) => return format!("| {place} | does not exist: {reason} | | | | | | | |\n"),
    };
    let processor = found.speed.elements_per_processor_second.map_or_else(String::new, grouped);
    let mut text = format!(
        "| {place} | {} | {} | {} | {} | {} | {} | {} | {processor} |\n",
        about::domain(row.job, row.ring_bits).replace('|', "\\|"),
        found.messages,
        bytes(found.bytes_online),
        bytes(found.bytes_dealt),
        error(row.job, found.worst.units),
        if found.worst.all { "all" } else { "random" },
        grouped(found.speed.elements_per_second),
    );
    if let Some(part) = found.part {
        let _ = writeln!(
            text,
            "| | of it `[{}, {}]` | | | | {} | all | | |",
            EXP_PART.0,
            EXP_PART.1,
            error(row.job, part)
        );
    }
    text
}

fn error(job: Job, units: f64) -> String {
    if job.function.kind() == Kind::Exact { "exact".into() } else { hundredths(units) }
}

/// Rounded up, so that nothing is said to be nearer than it is.
fn hundredths(units: f64) -> String {
    format!("{:.2}", (units * 100.0).ceil() / 100.0)
}

fn bytes(bytes: f64) -> String {
    if bytes.fract() == 0.0 {
        grouped(bytes)
    } else {
        format!("{bytes:.2}").trim_end_matches('0').to_owned()
    }
}

/// A number with its thousands apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn grouped(value: f64) -> String {
    let digits = (value.round() as u64).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn find<'a>(rows: &'a [Row], name: &str) -> Option<&'a Found> {
    rows.iter().find(|row| row.name() == name).and_then(|row| row.found.as_ref().ok())
}

fn limits(rows: &[Row]) -> String {
    let mut text =
        String::from("\n## Limits\n\n| row | what | limit | found |\n|---|---|---:|---:|\n");
    for (name, what, limit) in LIMITS {
        let Some(found) = find(rows, name) else { continue };
        #[allow(clippy::cast_precision_loss)]
        let value = match what {
            "messages" => grouped(found.messages as f64),
            "largest error" => hundredths(found.worst.units),
            "largest error on [-8, 2]" => hundredths(found.part.unwrap_or(f64::NAN)),
            _ => grouped(found.speed.elements_per_second),
        };
        let _ = writeln!(text, "| `{name}` | {what} | {} | {value} |", grouped(limit));
    }
    text.push_str(
        "\n`measure/tests/limits.rs` holds errors and messages to these limits; times are not \
         asserted.\n",
    );
    text
}

fn like_for_like(rows: &[Row]) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let messages =
        |name: &str| or_dash(find(rows, name).map(|found| format!("{} messages", found.messages)));
    let units = |name: &str| {
        or_dash(find(rows, name).map(|found| hundredths(found.worst.units) + " units"))
    };
    let part = find(rows, "exp/k64/f16").and_then(|found| found.part);
    let part = or_dash(part.map(|part| hundredths(part) + " units on [-8, 2]"));
    let exp = largest_error(-8.0, 2.0, |x| exp_by_limit(x, 8), reference::exp) * 65_536.0;
    let reciprocal = valid_up_to(1.0, 1.001, 0.01, |x| reciprocal_by_newton(x, 10), |x| 1.0 / x);
    let root = valid_up_to(1.0, 1.001, 0.01, |x| inv_sqrt_by_newton(x, 3), reference::inv_sqrt);
    let erf = valid_up_to(0.01, 1.001, 0.01, |x| erf_by_taylor(x, 8), reference::erf);
    format!(
        include_str!("page/others.md"),
        erf = erf,
        part = part,
        sign = messages("compare/k64/f0"),
        rescale = messages("rescale/k64/f16").replace("1 messages", "1 message"),
        rescale_units = units("rescale/k64/f16"),
        exp_messages = messages("exp/k64/f16"),
        exp_units = grouped(exp),
        reciprocal_messages = messages("reciprocal/k64/f16"),
        reciprocal_units = units("reciprocal/k64/f16"),
        reciprocal_end = grouped(reciprocal),
        divide_messages = messages("divide/k64/f16"),
        divide_units = units("divide/k64/f16"),
        root_messages = messages("inv_sqrt/k64/f16"),
        root_units = units("inv_sqrt/k64/f16"),
        root_end = grouped(root),
        ln_messages = messages("ln/k64/f16"),
        ln_units = units("ln/k64/f16"),
        erf_messages = messages("erf/k64/f16"),
        erf_units = units("erf/k64/f16"),
        sigmoid_messages = messages("sigmoid/k64/f16"),
        sigmoid_units = units("sigmoid/k64/f16"),
        max = messages("max_10/k64/f0"),
        softmax = messages("softmax_10/k64/f16"),
        softmax_units = units("softmax_10/k64/f16"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0.0, 999.0, 1000.0, 1_234_567.0].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([4.0, 4.625, 11_264.0].map(bytes), ["4", "4.62", "11,264"]);
    }
}
