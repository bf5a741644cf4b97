//! Measures and writes: `cargo xtask bench functions`.
//!
//! ```text
//! cargo run --release -p sharelet-measure -- [--json FILE] [--page FILE] [--conditions TEXT]
//!     [--only NAME] [--quick]
//! ```
//!
//! `--only` takes functions whose name begins so; `--quick` tries a hundredth of the arguments, for
//! a first look.

use core::time::Duration;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use sharelet_measure::errors::{Effort, SEED};
use sharelet_measure::function::Function;
use sharelet_measure::page::page;
use sharelet_measure::report::{Figure, Row, json};
use sharelet_measure::run::Job;

/// A round of a measured speed.
const ROUND: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
struct Options {
    json: Option<PathBuf>,
    page: Option<PathBuf>,
    conditions: String,
    only: String,
    quick: bool,
}

fn options() -> Result<Options> {
    let mut arguments = env::args().skip(1);
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().with_context(|| format!("{argument}: a value is missing"));
        match argument.as_str() {
            "--json" => options.json = Some(value()?.into()),
            "--page" => options.page = Some(value()?.into()),
            "--conditions" => options.conditions = format!(", {}", value()?),
            "--only" => options.only = value()?,
            "--quick" => options.quick = true,
            _ => bail!(
                "{argument}: unknown; --json FILE, --page FILE, --conditions TEXT, --only NAME, \
                 --quick"
            ),
        }
    }
    Ok(options)
}

fn main() -> Result<()> {
    let options = options()?;
    let effort = if options.quick { Effort { step: 101, random: 100_000 } } else { Effort::FULL };
    let begin = Instant::now();
    let functions = Function::all().filter(|function| function.name().starts_with(&options.only));
    println!("seed {SEED}");
    println!(
        "{:>9}  {:24} {:>8} {:>9} {:>9} {:>10} {:>14} {:>12} {:>12}",
        "", "", "messages", "online", "dealt", "error", "tried", "per second", "processor"
    );
    let mut rows = Vec::new();
    for function in functions {
        for ring_bits in [32, 64] {
            for &frac_bits in function.frac_bits() {
                let job = Job { function, frac_bits };
                let row = match ring_bits {
                    32 => Row::measure::<u32>(job, effort, ROUND)?,
                    _ => Row::measure::<u64>(job, effort, ROUND)?,
                };
                println!("[{:6.1} s] {}", begin.elapsed().as_secs_f64(), line(&row));
                rows.push(row);
            }
        }
    }
    let figures: Vec<Figure> = rows.iter().flat_map(Row::figures).collect();
    for (path, text) in
        [(options.json, json(&figures)), (options.page, page(&rows, effort, &options.conditions))]
    {
        if let Some(path) = path {
            fs::write(&path, text)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}

fn line(row: &Row) -> String {
    match &row.found {
        Err(reason) => format!("{:24} does not exist: {reason}", row.name()),
        Ok(found) => format!(
            "{:24} {:8} {:9.2} {:9.1} {:10.4} {:14} {:12.0} {:12.0}",
            row.name(),
            found.messages,
            found.bytes_online,
            found.bytes_dealt,
            found.worst.units,
            format!("{} {}", if found.worst.all { "all" } else { "random" }, found.worst.elements),
            found.speed.elements_per_second,
            found.speed.elements_per_processor_second.unwrap_or(0.0),
        ),
    }
}
