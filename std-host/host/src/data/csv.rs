//! Comma-separated values with a header, in any dialect that is plain.

use std::path::Path;

use super::error::{DataError, Place};
use super::select::{Options, Parts, select};
use sharelet_model::readings::dialect::{self, Dialect, DialectError, is_number};

/// Characters of a cell that an error shows.
const SHOWN: usize = 40;

pub(super) fn read(bytes: &[u8], path: &Path, options: &Options) -> Result<Parts, DataError> {
    let refuse_dialect =
        |source: DialectError| DataError::Dialect { path: path.to_owned(), source };
    let mut dialect = Dialect::of(bytes).map_err(refuse_dialect)?;
    let mut reader = dialect.reader(bytes);
    let mut record = csv::StringRecord::new();
    let mut next = |record: &mut csv::StringRecord| {
        reader.read_record(record).map_err(|error| refuse(path, &error))
    };
    if !next(&mut record)? {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let header: Vec<String> =
        record.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    if header.iter().all(|name| is_number(name)) {
        return Err(DataError::NoHeader { path: path.to_owned() });
    }
    let selection = select(path, &header, options)?;
    let columns =
        selection.features.iter().filter_map(|&index| header.get(index).cloned()).collect();
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    let mut keys = selection.key.map(|_| Vec::new());
    let mut row = 0;
    while next(&mut record)? {
        row += 1;
        let line = dialect::line(bytes, &record);
        if record.len() != header.len() {
            let (expected, found) = (header.len(), record.len());
            return Err(DataError::RowLength { path: path.to_owned(), row, line, expected, found });
        }
        let cell = |index: usize| {
            let column = header.get(index).cloned().unwrap_or_default();
            let place = || Place { path: path.to_owned(), row, line: Some(line), column };
            match record.get(index) {
                Some(text) if !text.is_empty() => Ok((text, place)),
                _ => Err(DataError::MissingCell { place: place() }),
            }
        };
        let mut number = |index: usize| {
            let (text, place) = cell(index)?;
            match dialect.number(text, line).map_err(refuse_dialect)?.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(value),
                Ok(_) => Err(DataError::NotFinite { place: place() }),
                Err(_) => Err(DataError::NotANumber {
                    place: place(),
                    text: text.chars().take(SHOWN).collect(),
                }),
            }
        };
        for &index in &selection.features {
            features.push(number(index)?);
        }
        for &index in &selection.labels {
            labels.push(number(index)?);
        }
        if let (Some(keys), Some(index)) = (&mut keys, selection.key) {
            keys.push(cell(index)?.0.to_owned());
        }
    }
    dialect.finish().map_err(refuse_dialect)?;
    if let Some(unusual) = dialect.unusual() {
        tracing::info!("{}: {unusual}", path.display());
    }
    if !bytes.ends_with(b"\n") {
        tracing::warn!(
            "{}: the last line has no end: if the file was cut there, its last number is wrong",
            path.display()
        );
    }
    Ok(Parts { columns, features, labels, keys, scale: 1.0 })
}

fn refuse(path: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not text in UTF-8; save the file as UTF-8".to_owned(),
        _ => format!("{error}; correct the line"),
    };
    DataError::Csv { path: path.to_owned(), line, reason }
}
