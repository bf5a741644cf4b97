//! Comma-separated numbers, one reading per line, in any dialect that is plain; a first line
//! without any number is taken for headings. Where the names of columns are known, so is one with
//! such a name; then the columns are found by name, and others are not read.

use std::path::Path;

use super::columns::Columns;
use super::dialect::{self, Dialect};
use super::error::Fault;
use super::raw::Raw;

/// Characters of a cell that an error shows.
const SHOWN: usize = 40;
const NO_TEXT: Fault = Fault::Header("the file is not text in UTF-8; give numbers as text");

/// `path` is for the log.
pub(super) fn read(
    bytes: &[u8],
    path: &Path,
    width: Option<usize>,
    columns: Option<&Columns>,
) -> Result<Raw<f32>, Fault> {
    let text = core::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
    let bytes = text.trim_start_matches('\u{feff}').as_bytes();
    let mut dialect = Dialect::of(bytes)?;
    let mut reader = dialect.reader(bytes);
    let mut record = csv::StringRecord::new();
    let mut expected = width;
    let mut values = Vec::new();
    let mut headings = true;
    let mut header = None;
    while reader.read_record(&mut record).map_err(|_| NO_TEXT)? {
        if record.len() == 1 && record.get(0).is_some_and(str::is_empty) {
            continue;
        }
        if core::mem::take(&mut headings) && is_header(&record, columns) {
            header = columns.map(|columns| find(&record, columns, path)).transpose()?;
            continue;
        }
        let line = dialect::line(bytes, &record);
        if let Some(Header { places, names }) = &header {
            if record.len() != *names {
                let (expected, found) = (*names, record.len());
                return Err(Fault::RowCells { line, expected, found });
            }
            for &place in places {
                let cell = record.get(place).unwrap_or_default();
                values.push(value(&mut dialect, (line, place + 1), cell)?);
            }
            continue;
        }
        let (found, expected) = (record.len(), *expected.get_or_insert(record.len()));
        if found != expected {
            return Err(Fault::RowLength { line, expected, found });
        }
        for (column, cell) in (1..).zip(&record) {
            values.push(value(&mut dialect, (line, column), cell)?);
        }
    }
    dialect.finish()?;
    if let Some(unusual) = dialect.unusual() {
        tracing::info!("{}: {unusual}", path.display());
    }
    let width = header.map(|header| header.places.len()).or(expected).unwrap_or(0);
    Ok(Raw { width, values, divide: 1.0 })
}

/// A first line of names.
struct Header {
    /// Where the columns are that are read.
    places: Vec<usize>,
    /// Names in all.
    names: usize,
}

fn is_header(record: &csv::StringRecord, columns: Option<&Columns>) -> bool {
    let known = |cell: &str| {
        columns.is_some_and(|columns| columns.features.iter().any(|name| name == cell))
    };
    !record.iter().any(dialect::is_number) || record.iter().any(known)
}

fn find(record: &csv::StringRecord, columns: &Columns, path: &Path) -> Result<Header, Fault> {
    let header: Vec<String> = record.iter().map(str::to_owned).collect();
    let mut sorted: Vec<&String> = header.iter().collect();
    sorted.sort_unstable();
    if let Some([name, _]) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(Fault::ColumnTwice { name: (*name).clone() });
    }
    let places = columns.find(&header)?;
    if places.len() < header.len() {
        tracing::info!("{}: columns of labels are not read", path.display());
    }
    if !places.is_sorted() {
        tracing::info!("{}: columns are put in the order of training", path.display());
    }
    Ok(Header { places, names: header.len() })
}

/// A finite number, in a cell at a line and column.
fn value(dialect: &mut Dialect, (line, column): (u64, usize), cell: &str) -> Result<f32, Fault> {
    let number = dialect.number(cell, line)?;
    let text = || cell.chars().take(SHOWN).collect();
    let value: f32 =
        number.parse().map_err(|_| Fault::NotANumber { line, column, text: text() })?;
    // Checked here, where the line is known: headings and blank lines shift the rows of the matrix.
    if value.is_finite() { Ok(value) } else { Err(Fault::NotFiniteCell { line, column }) }
}
