//! Comma-separated numbers, one reading per line, in any dialect that is plain; a first line
//! without any number is taken for headings.

use std::path::Path;

use super::dialect::{self, Dialect};
use super::error::Fault;
use super::raw::Raw;

/// Characters of a cell that an error shows.
const SHOWN: usize = 40;
const NO_TEXT: Fault = Fault::Header("the file is not text in UTF-8; give numbers as text");

/// `path` is for the log.
pub(super) fn read(bytes: &[u8], path: &Path, width: Option<usize>) -> Result<Raw<f32>, Fault> {
    let text = core::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
    let bytes = text.trim_start_matches('\u{feff}').as_bytes();
    let mut dialect = Dialect::of(bytes)?;
    let mut reader = dialect.reader(bytes);
    let mut record = csv::StringRecord::new();
    let mut expected = width;
    let mut values = Vec::new();
    let mut headings = true;
    while reader.read_record(&mut record).map_err(|_| NO_TEXT)? {
        let may_be_headings = core::mem::take(&mut headings);
        let blank = record.len() == 1 && record.get(0).is_some_and(str::is_empty);
        if blank || may_be_headings && !record.iter().any(dialect::is_number) {
            continue;
        }
        let line = dialect::line(bytes, &record);
        let (found, expected) = (record.len(), *expected.get_or_insert(record.len()));
        if found != expected {
            return Err(Fault::RowLength { line, expected, found });
        }
        for (column, cell) in (1..).zip(&record) {
            let number = dialect.number(cell, line)?;
            let text = || cell.chars().take(SHOWN).collect();
            let value: f32 =
                number.parse().map_err(|_| Fault::NotANumber { line, column, text: text() })?;
            // Checked here, where the line is known: headings and blank lines shift the rows of the
            // matrix.
            if !value.is_finite() {
                return Err(Fault::NotFiniteCell { line, column });
            }
            values.push(value);
        }
    }
    dialect.finish()?;
    if let Some(unusual) = dialect.unusual() {
        tracing::info!("{}: {unusual}", path.display());
    }
    Ok(Raw { width: expected.unwrap_or(0), values, divide: 1.0 })
}
