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
    for function in Function::ALL {
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
        "\
# Functions

This page is written by `cargo xtask bench functions`{conditions}.

Every function of `sharelet_core::program`, on tables from a dealer (`Comparison::Tables`), with \
         truncations that may be a unit high
(`Truncation::OneUnit`; with `Truncation::Exact` every result is the twin's, in more messages: see \
         the functions' documentation). `k` is the ring's width and `f` the
fraction bits of arguments and results; functions of integers do not depend on `f`, so that they \
         have one row per ring, `f0` in
`target/bench/functions.json`. An *element* is one application: of a function of rows, one row.

* **messages**: either party's; they cross, so these are the rounds. A whole vector takes as many \
         as one element.
* **bytes online**: what either party sends, per element, without frames. **bytes dealt**: from \
         the dealer to `P1`; `P0` gets a key.
* **largest error**: against double precision, in *units of the result's scale*: its last place, \
         or `2^-24` of the result where that
  is more, which is what single precision resolves. Functions of integers must be exact (0): the \
         bench fails if they are not.
* **tried**: *all* words of the table's domain (or the function's), {margin} words beyond it on \
         either side, and {random} random ones of the
  whole ring; or {all} *random* numbers (those of a row count each). With either the ends of all \
         intervals: pieces, powers of two,
  domain, ring, each with its neighbours. Of two operands all pairs of ends, and with every end of \
         the second those of the domain
  that is left to the first; of three the third is an end by chance. Of rows, every end as all \
         numbers of one, and rows of random
  ends that are near enough to each other for the domain ({random} numbers in all); what a program \
         of rows makes of a row (sums, squares, distances
  to the largest) meets the ends of its own tables by chance only. What is outside the domain does \
         not count. Seed {SEED}.
* **a second**: elements that both parties together do in a second, each on a thread of its own, \
         correlations dealt and expanded
  before, messages through memory, batches of up to 8,192 elements, the best of {ROUNDS} rounds. \
         Some 200 MB of correlations are used in turn,
  so that they come from memory; of large records little is read, and more of that stays in a \
         cache. **of a processor**: the slower
  party's elements per second of its processor's time, which leaves out the waiting for the peer \
         and for other programs.

Roundings that a protocol leaves to chance are not left to it here: a plaintext run of the program \
         takes them as they come out
worst (`engine::twin::Rounding`). A result with one rounding is tried with it down and up, which \
         is all there is: the private result is the
twin's or one unit more. Results of several roundings are tried with all down, all up, and each by \
         chance. Two parties run every row as
well, and what they get counts.
",
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

/// Rounded up, so that nothing is said to be nearer than it is.
fn error(job: Job, units: f64) -> String {
    if job.function.kind() == Kind::Exact {
        "exact".into()
    } else {
        format!("{:.2}", (units * 100.0).ceil() / 100.0)
    }
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
            "largest error" => format!("{:.2}", (found.worst.units * 100.0).ceil() / 100.0),
            "largest error on [-8, 2]" => {
                format!("{:.2}", (found.part.unwrap_or(f64::NAN) * 100.0).ceil() / 100.0)
            }
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
    let messages = |name: &str| {
        find(rows, name)
            .map_or_else(|| "-".to_owned(), |found| format!("{} messages", found.messages))
    };
    let units = |name: &str| {
        find(rows, name).map_or_else(
            || "-".to_owned(),
            |found| format!("{:.2} units", (found.worst.units * 100.0).ceil() / 100.0),
        )
    };
    let part = find(rows, "exp/k64/f16").and_then(|found| found.part);
    let part = part.map_or_else(
        || "-".to_owned(),
        |part| format!("{:.2} units on [-8, 2]", (part * 100.0).ceil() / 100.0),
    );
    let exp = largest_error(-8.0, 2.0, |x| exp_by_limit(x, 8), reference::exp) * 65_536.0;
    let reciprocal = valid_up_to(1.0, 1.001, 0.01, |x| reciprocal_by_newton(x, 10), |x| 1.0 / x);
    let root = valid_up_to(1.0, 1.001, 0.01, |x| inv_sqrt_by_newton(x, 3), reference::inv_sqrt);
    let erf = valid_up_to(0.01, 1.001, 0.01, |x| erf_by_taylor(x, 8), reference::erf);
    format!(
        "
## Like for like

The same quantities in other systems, as their own files state them: [C] is CrypTen \
         (`facebookresearch/CrypTen`), [M] MP-SPDZ
(`data61/MP-SPDZ`), [S] SPU (`secretflow/spu`). *Here* is the table above, at `k = 64` and `f = \
         16`, which is CrypTen's
default. What is marked *computed* is the other system's method in double precision, before any \
         rounding of its own, and computed
by this bench (`measure/src/others.rs`).

| quantity | here | others |
|---|---|---|
| sign of a 64-bit value | {sign}, exact | [C] 8 rounds counted in its files: an addition of \
         binary shares, 1 and `log2 64 = 6` rounds of ANDs (`crypten/mpc/primitives/circuit.py`), \
         and the way back (`converters.py`). [S] for two parties with `SEMI2K`: `log2 k + 1 = 7` \
         for `a2b`, 1 for `b2a` (`docs/reference/complexity.json`). [M] masks, opens, and \
         compares bits; the rounds depend on the protocol, none are stated (`doc/non-linear.rst`) \
         |
| truncation after a product | {rescale}, {rescale_units}, never more | [S] `SEMI2K`: no message \
         (`truncpr_a` in `complexity.json`), but a large error with a small probability \
         (`trunc_allow_msb_error` in `docs/reference/runtime_config.md` names it). [M] a \
         truncation after every product of `sfix`, dearer than the product (issue #1400) |
| exp | {exp_messages}, {part} | [C] the limit with 8 squarings (`exp_iterations` in \
         `configs/default.yaml`); computed: up to {exp_units} units of 16 bits off on [-8, 2]. \
         [S] `EXP_TAYLOR` with 8 iterations by default (`populateRuntimeConfig` in \
         `libspu/core/config.cc`) |
| reciprocal | {reciprocal_messages}, {reciprocal_units}, magnitudes from `2^-16` to the ring's \
         end | [C] 10 Newton steps (`reciprocal_nr_iters`) from `3 e^(1-2x) + 0.003` \
         (`crypten/common/functions/approximations.py`); computed here: right to 1 % from 1 to \
         {reciprocal_end}. [S] Goldschmidt, 2 iterations by default (`fxp_div_goldschmidt_iters`, \
         `config.cc`) |
| division | {divide_messages}, {divide_units} | [C] a product with the reciprocal. [S] \
         Goldschmidt as above. [M] after the protocols of Catrina and Saxena for fixed point (FC \
         2010), as its maintainer says (issue #1400) |
| 1 / sqrt(x) | {root_messages}, {root_units} | [C] 3 Newton steps (`sqrt_nr_iters`) after an \
         exponential; computed: right to 1 % from 1 to {root_end} |
| ln | {ln_messages}, {ln_units} | [C] 2 Householder steps of order 8, each with an exponential; \
         within 2 % on [0.0001, 250] (`approximations.py`). [S] `LOG_PADE` by default \
         (`config.cc`) |
| erf | {erf_messages}, {erf_units}, any `x` | [C] a Taylor series of 8 terms (`erf_iterations`); \
         computed: right to 1 % up to {erf:.2} |
| sigmoid | {sigmoid_messages}, {sigmoid_units}, any `x` | [C] sign, exponential with 9 squarings, \
         and 3 Newton steps for the reciprocal. [S] `SIGMOID_REAL` from exponential and division, \
         or `SIGMOID_SEG3`, three straight lines |
| largest of 10 | {max} | [C] a tree (`max_method: log_reduction`): 4 levels, each with a \
         comparison and a product |
| softmax of 10 | {softmax}, {softmax_units} | [C] the above in a row: maximum, exponential, sum, \
         reciprocal, product |
",
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
