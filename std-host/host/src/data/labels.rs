//! Labels of a file as they are shared.

use std::path::Path;

use sharelet_train::labels::{Labels, MAX_CLASSES};

use super::error::{DataError, Place};

/// What an owner says that labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    /// Numbers, for regression.
    Numbers,
    /// 0 or 1.
    Binary,
    /// Whole numbers from 0 to one below this.
    Classes(u32),
}

/// Labels as they are in a file to labels as they are shared. `values` is `rows x columns`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::float_cmp)]
pub(super) fn expand(
    path: &Path,
    columns: &[String],
    values: Vec<f64>,
    kind: LabelKind,
) -> Result<(Labels, Vec<f64>), DataError> {
    if columns.is_empty() {
        return Ok((Labels::None, Vec::new()));
    }
    let single = columns.len() == 1;
    let place = |index: usize| Place {
        path: path.to_owned(),
        row: index / columns.len() + 1,
        line: None,
        column: columns.get(index % columns.len()).cloned().unwrap_or_default(),
    };
    match kind {
        LabelKind::Numbers => {
            let per_row = u32::try_from(columns.len()).unwrap_or(u32::MAX);
            if per_row > MAX_CLASSES {
                return Err(DataError::TooManyColumns {
                    path: path.to_owned(),
                    found: columns.len(),
                });
            }
            Ok((Labels::Numbers { per_row }, values))
        }
        _ if !single => {
            Err(DataError::LabelColumns { path: path.to_owned(), found: columns.len() })
        }
        LabelKind::Binary => match values.iter().position(|&value| value != 0.0 && value != 1.0) {
            Some(index) => Err(DataError::NotBinary { place: place(index) }),
            None => Ok((Labels::Binary, values)),
        },
        LabelKind::Classes(classes) => {
            if !(2..=MAX_CLASSES).contains(&classes) {
                return Err(DataError::Classes { found: classes, most: MAX_CLASSES });
            }
            let mut targets = vec![0.0; values.len() * classes as usize];
            for (index, (value, row)) in
                values.iter().zip(targets.chunks_exact_mut(classes as usize)).enumerate()
            {
                let class = Some(*value).filter(|value| *value >= 0.0 && value.trunc() == *value);
                match class.and_then(|class| row.get_mut(class as usize)) {
                    Some(target) => *target = 1.0,
                    None => return Err(DataError::ClassRange { place: place(index), classes }),
                }
            }
            Ok((Labels::Classes { classes }, targets))
        }
    }
}
