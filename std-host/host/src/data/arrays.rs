//! Arrays: `.npy`, and the `idx` files of MNIST. Their columns are named `c0`, `c1`, ...

use std::path::Path;

use super::error::{DataError, Place};
use super::select::{Options, Parts, select};
use sharelet_model::readings::columns::unnamed;
use sharelet_model::readings::{self, Raw};

pub(super) fn read(bytes: &[u8], path: &Path, options: &Options) -> Result<Parts, DataError> {
    // A vector is a column.
    let raw = array(bytes, path, Some(1))?;
    let header = unnamed(raw.width);
    let selection = select(path, &header, options)?;
    let rows = || raw.values.chunks_exact(raw.width);
    let columns = |indices: &[usize]| -> Vec<f64> {
        rows().flat_map(|row| indices.iter().filter_map(|&index| row.get(index).copied())).collect()
    };
    let keys = match selection.key {
        None => None,
        Some(key) => Some(match readings::integers(bytes, path, key)? {
            Some(whole) => whole,
            None => keys(path, key, rows().filter_map(|row| row.get(key).copied()))?,
        }),
    };
    Ok(Parts {
        columns: selection
            .features
            .iter()
            .filter_map(|&index| header.get(index).cloned())
            .collect(),
        features: columns(&selection.features),
        labels: columns(&selection.labels),
        keys,
        scale: 1.0 / f64::from(raw.divide),
    })
}

/// Keys that are not of an integer type: whole numbers as integers are written, so that they equal
/// those of other files. From `2^53` on, different keys may have become the same number.
fn keys(
    path: &Path,
    column: usize,
    values: impl Iterator<Item = f64>,
) -> Result<Vec<String>, DataError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let key = |(value, row): (f64, usize)| {
        if value.abs() < EXACT {
            return Ok(value.to_string());
        }
        let column = format!("c{column}");
        let place = Place { path: path.to_owned(), row, line: None, column };
        Err(DataError::InexactKey { place })
    };
    values.zip(1..).map(key).collect()
}

/// Names of label columns, and labels as they are in the file.
pub(super) fn labels(bytes: &[u8], path: &Path) -> Result<(Vec<String>, Vec<f64>), DataError> {
    let raw = array(bytes, path, Some(1))?;
    Ok((unnamed(raw.width), raw.values))
}

fn array(bytes: &[u8], path: &Path, width: Option<usize>) -> Result<Raw<f64>, DataError> {
    let raw: Option<Result<Raw<f64>, _>> = readings::array(bytes, path, width);
    let raw = raw.ok_or_else(|| DataError::UnknownFormat { path: path.to_owned() })??;
    if raw.width == 0 || raw.values.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    match raw.values.iter().position(|value| !value.is_finite()) {
        None => Ok(raw),
        Some(position) => {
            let (row, column) = (position / raw.width + 1, position % raw.width);
            Err(DataError::NotFinite {
                place: Place {
                    path: path.to_owned(),
                    row,
                    line: None,
                    column: format!("c{column}"),
                },
            })
        }
    }
}
