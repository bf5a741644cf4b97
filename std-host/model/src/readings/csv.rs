//! Comma-separated numbers, one reading per line; a first line without any number is taken for
//! headings.

use super::error::Fault;
use super::raw::Raw;

pub(super) fn read(bytes: &[u8], width: Option<usize>) -> Result<Raw<f32>, Fault> {
    let text = core::str::from_utf8(bytes)
        .map_err(|_| Fault::Header("the file is not text; give comma-separated numbers"))?;
    let mut expected = width;
    let mut values = Vec::new();
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if index == 0 && fields.iter().all(|field| field.parse::<f32>().is_err()) {
            continue;
        }
        let expected = *expected.get_or_insert(fields.len());
        if fields.len() != expected {
            return Err(Fault::RowLength { row: index + 1, expected, found: fields.len() });
        }
        for (column, field) in fields.into_iter().enumerate() {
            let (row, column) = (index + 1, column + 1);
            let text = || field.chars().take(40).collect();
            let value: f32 =
                field.parse().map_err(|_| Fault::NotANumber { row, column, text: text() })?;
            // Checked here, where the line is known: headings and blank lines shift the rows of the
            // matrix.
            if !value.is_finite() {
                return Err(Fault::NotFinite { row, column });
            }
            values.push(value);
        }
    }
    Ok(Raw { width: expected.unwrap_or(0), values, divide: 1.0 })
}
