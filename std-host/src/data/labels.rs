//! Labels as they are shared: numbers, 0 or 1, or one 1 in as many zeros as there are classes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DataError, Place};

/// Most classes.
pub const MAX_CLASSES: u32 = 10_000;

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

/// The labels of a dataset: public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// There are none.
    None,
    /// Numbers, so many per row.
    Numbers {
        /// Numbers per row, at least 1.
        per_row: u32,
    },
    /// One word per row, 0 or 1 in fixed point.
    Binary,
    /// So many words per row: 1 in fixed point at the class, 0 elsewhere.
    Classes {
        /// Classes, at least 2.
        classes: u32,
    },
}

impl Labels {
    /// Words per row.
    #[must_use]
    pub fn per_row(self) -> usize {
        match self {
            Self::None => 0,
            Self::Binary => 1,
            Self::Numbers { per_row: words } | Self::Classes { classes: words } => words as usize,
        }
    }

    /// Whether the sizes are possible.
    #[must_use]
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::None | Self::Binary => true,
            Self::Numbers { per_row } => (1..=MAX_CLASSES).contains(&per_row),
            Self::Classes { classes } => (2..=MAX_CLASSES).contains(&classes),
        }
    }
}

impl core::fmt::Display for Labels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => f.write_str("no labels"),
            Self::Numbers { per_row: 1 } => f.write_str("numbers as labels"),
            Self::Numbers { per_row } => write!(f, "{per_row} numbers per row as labels"),
            Self::Binary => f.write_str("binary labels"),
            Self::Classes { classes } => write!(f, "{classes} classes"),
        }
    }
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
