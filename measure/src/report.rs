//! One row of the table: everything that is measured of a function at a ring and a number of
//! fraction bits.

use core::time::Duration;

use anyhow::{Result, ensure};
use sharelet_core::ring::Ring;

use crate::errors::{Effort, Worst, fill, largest, worst, worst_between};
use crate::function::{Function, Kind};
use crate::parties::{Speed, reveal, speed};
use crate::run::{Job, Room, usage};
use sharelet_core::functions::program::unary::Smooth;

/// Elements by which costs are divided.
const COUNTED: usize = 1024;
/// Elements of which the parties' results are compared with the mathematics.
const REVEALED: usize = 256;
/// The part of the exponential that has a limit of its own.
pub const EXP_PART: (i64, i64) = (-8, 2);

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The function and its fraction bits.
    pub job: Job,
    /// The ring.
    pub ring_bits: u32,
    /// What was measured, or why the row does not exist.
    pub found: Result<Found, String>,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Messages of either party.
    pub messages: u64,
    /// Bytes that either party sends, per element.
    pub bytes_online: f64,
    /// Bytes from the dealer, per element.
    pub bytes_dealt: f64,
    /// The largest error.
    pub worst: Worst,
    /// The largest error on [`EXP_PART`], of the exponential.
    pub part: Option<f64>,
    /// Elements in a second.
    pub speed: Speed,
}

/// A figure, as `cargo xtask bench` keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// `FUNCTION/kK/fF/WHAT`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

impl Row {
    /// Measures.
    ///
    /// # Errors
    /// If parties and mathematics differ where they must not. A row that does not exist is no
    /// error.
    pub fn measure<R: Ring>(job: Job, effort: Effort, time: Duration) -> Result<Self> {
        let found = match usage::<R>(job, COUNTED) {
            Err(error) => Err(format!("{error:#}")),
            Ok(usage) => {
                #[allow(clippy::cast_precision_loss)]
                let each = |bytes: u64| bytes as f64 / COUNTED as f64;
                let mut worst = worst::<R>(job, effort)?;
                worst.units = worst.units.max(parties_error::<R>(job)?);
                let part = match job.function {
                    Function::Smooth(Smooth::Exp) => {
                        let [low, high] = [EXP_PART.0, EXP_PART.1].map(|end| end << job.frac_bits);
                        Some(worst_between::<R>(job, low, high)?.units)
                    }
                    _ => None,
                };
                Ok(Found {
                    messages: usage.messages,
                    bytes_online: each(usage.online_bytes),
                    bytes_dealt: each(usage.dealt_bytes),
                    worst,
                    part,
                    speed: speed::<R>(job, |room, elements| fill(job, room, elements), time)?,
                })
            }
        };
        Ok(Self { job, ring_bits: R::BITS, found })
    }

    /// The figures' common name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/k{}/f{}", self.job.function.name(), self.ring_bits, self.job.frac_bits)
    }

    /// The figures.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let Ok(found) = &self.found else { return Vec::new() };
        #[allow(clippy::cast_precision_loss)]
        let messages = found.messages as f64;
        let [low, high] = [EXP_PART.0.unsigned_abs(), EXP_PART.1.unsigned_abs()];
        let part = format!("max_error_units_from_minus_{low}_to_{high}");
        let all = [
            ("max_error_units", Some(found.worst.units), "units"),
            (part.as_str(), found.part, "units"),
            ("messages", Some(messages), "messages"),
            ("bytes_online", Some(found.bytes_online), "bytes"),
            ("bytes_dealt", Some(found.bytes_dealt), "bytes"),
            ("elements_per_second", Some(found.speed.elements_per_second), "1/s"),
            ("elements_per_processor_second", found.speed.elements_per_processor_second, "1/s"),
        ];
        let figure = |(what, value, unit): (&str, Option<f64>, &'static str)| {
            value.map(|value| Figure { name: format!("{}/{what}", self.name()), value, unit })
        };
        all.into_iter().filter_map(figure).collect()
    }
}

/// What two parties get, against the mathematics.
fn parties_error<R: Ring>(job: Job) -> Result<f64> {
    let mut room = Room::<R>::new(job, REVEALED);
    fill(job, &mut room, REVEALED);
    reveal(job, &mut room, REVEALED)?;
    let found = largest(job, &room, REVEALED);
    let (name, exact) = (job.function.name(), job.function.kind() == Kind::Exact);
    ensure!(found.elements > 0, "{name}: nothing of what the parties took is in the domain");
    ensure!(found.units.is_finite(), "{name}: the parties' results are no numbers");
    ensure!(!exact || found.units == 0.0, "{name}: the parties are not exact");
    Ok(found.units)
}

/// Figures as a JSON list.
#[must_use]
pub fn json(figures: &[Figure]) -> String {
    let row = |figure: &Figure| {
        format!(
            "  {{ \"name\": \"{}\", \"value\": {}, \"unit\": \"{}\" }}",
            figure.name, figure.value, figure.unit
        )
    };
    format!("[\n{}\n]\n", figures.iter().map(row).collect::<Vec<_>>().join(",\n"))
}
