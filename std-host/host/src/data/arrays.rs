//! Arrays: `.npy`, and the `idx` files of MNIST. Their columns are named `c0`, `c1`, ...

use std::path::Path;

use super::error::{DataError, Place};
use super::select::{Options, Parts, select};
use sharelet_model::readings::{self, Raw};

pub(super) fn read(bytes: &[u8], path: &Path, options: &Options) -> Result<Parts, DataError> {
    let raw = array(bytes, path, None)?;
    let header = names(raw.width);
    let selection = select(path, &header, options)?;
    let rows = || raw.values.chunks_exact(raw.width);
    let columns = |indices: &[usize]| -> Vec<f64> {
        rows().flat_map(|row| indices.iter().filter_map(|&index| row.get(index).copied())).collect()
    };
    let keys = selection
        .key
        .map(|key| rows().filter_map(|row| row.get(key)).map(f64::to_string).collect());
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

/// Names of label columns, and labels as they are in the file.
pub(super) fn labels(bytes: &[u8], path: &Path) -> Result<(Vec<String>, Vec<f64>), DataError> {
    let raw = array(bytes, path, Some(1))?;
    Ok((names(raw.width), raw.values))
}

fn names(width: usize) -> Vec<String> {
    (0..width).map(|column| format!("c{column}")).collect()
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
