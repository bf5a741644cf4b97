//! What was measured, as `cargo xtask bench` reads it.

use std::fs;
use std::io;
use std::path::Path;

/// A whole number with its name and unit.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was counted.
    pub name: String,
    /// How many.
    pub value: i64,
    /// Of what.
    pub unit: &'static str,
}

impl Figure {
    /// A count; one that does not fit is as large as can be.
    #[must_use]
    pub fn new(name: &str, value: u64, unit: &'static str) -> Self {
        Self { name: name.to_owned(), value: i64::try_from(value).unwrap_or(i64::MAX), unit }
    }
}

/// Writes figures as a JSON list.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, figures: &[Figure]) -> io::Result<()> {
    let rows: Vec<String> = figures
        .iter()
        .map(|Figure { name, value, unit }| {
            format!("{{\"name\": \"{name}\", \"value\": {value}, \"unit\": \"{unit}\"}}")
        })
        .collect();
    fs::write(path, format!("[{}]\n", rows.join(",\n")))
}
