//! A table of finite numbers with labels, from the files of an owner.

use std::path::{Path, PathBuf};

use sharelet_train::labels::Labels;

use super::error::{DataError, Place};
use super::select::{Options, Parts, read};
use super::{arrays, csv, keys, labels};
use sharelet_model::readings::columns;

/// A table of finite numbers, at least one row and one column, with its labels.
#[derive(Clone, PartialEq)]
pub struct Table {
    /// The file that it came from.
    pub path: PathBuf,
    /// Rows, at least 1.
    pub rows: usize,
    /// Names of the feature columns; arrays have `c0`, `c1`, ...
    pub columns: Vec<String>,
    /// Features, `rows x columns`, row-major.
    pub features: Vec<f64>,
    /// What the labels are.
    pub labels: Labels,
    /// Names of the label columns.
    pub label_columns: Vec<String>,
    /// Labels, `rows x labels.per_row()`, row-major: numbers, 0 or 1, or one 1 in as many zeros as
    /// there are classes.
    pub targets: Vec<f64>,
    /// The key of each row.
    pub keys: Option<Vec<String>>,
    /// Whether features, and labels that are numbers, are standardised under sharing.
    pub standardised: bool,
}

impl core::fmt::Debug for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Table({} rows of {}, {:?}, <redacted>)",
            self.rows,
            self.columns.len(),
            self.labels
        )
    }
}

impl Table {
    /// Reads a file; the format follows from its name.
    ///
    /// # Errors
    /// [`DataError`] names the file, and row and column where there is one.
    pub fn load(path: &Path, options: &Options) -> Result<Self, DataError> {
        let bytes = read(path)?;
        let labels = options
            .labels_file
            .as_deref()
            .map(|path| Ok::<_, DataError>((path, read(path)?)))
            .transpose()?;
        Self::from_bytes(
            &bytes,
            path,
            labels.as_ref().map(|(path, bytes)| (*path, bytes.as_slice())),
            options,
        )
    }

    /// Reads the bytes of a file, and of a file of labels; paths give the formats and name the
    /// files in errors.
    ///
    /// # Errors
    /// As [`Table::load`].
    pub fn from_bytes(
        bytes: &[u8],
        path: &Path,
        labels_file: Option<(&Path, &[u8])>,
        options: &Options,
    ) -> Result<Self, DataError> {
        for scale in options.scale.iter().chain([&options.label_scale]) {
            if *scale == 0.0 || !scale.is_finite() {
                return Err(DataError::Scale { scale: *scale });
            }
        }
        if labels_file.is_some() && !options.labels.is_empty() {
            return Err(DataError::LabelsTwice);
        }
        let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let mut parts = if is_csv {
            csv::read(bytes, path, options)?
        } else {
            arrays::read(bytes, path, options)?
        };
        let width = parts.columns.len();
        let rows = parts.features.len().checked_div(width).unwrap_or(0);
        if rows == 0 {
            return Err(DataError::Empty { path: path.to_owned() });
        }
        let scale = options.scale.unwrap_or(parts.scale);
        #[allow(clippy::float_cmp)]
        if scale != 1.0 {
            parts.features.iter_mut().for_each(|value| *value *= scale);
        }
        let (label_path, label_columns, values) = match labels_file {
            Some((file, bytes)) => {
                let (columns, values) = arrays::labels(bytes, file)?;
                let found = values.len().checked_div(columns.len()).unwrap_or(0);
                if found != rows {
                    return Err(DataError::LabelRows {
                        path: file.to_owned(),
                        expected: rows,
                        found,
                    });
                }
                (file, columns, values)
            }
            None => (path, options.labels.clone(), parts.labels),
        };
        let (labels, mut targets) =
            labels::expand(label_path, &label_columns, values, options.kind)?;
        if let Labels::Numbers { .. } = labels {
            targets.iter_mut().for_each(|value| *value *= options.label_scale);
        }
        if let Some(keys) = &parts.keys {
            keys::distinct(path, keys)?;
        }
        let Parts { columns, features, keys, .. } = parts;
        Ok(Self {
            path: path.to_owned(),
            rows,
            columns,
            features,
            labels,
            label_columns,
            targets,
            keys,
            standardised: options.standardise.unwrap_or(is_csv),
        })
    }

    /// Puts columns of features into this order.
    ///
    /// # Errors
    /// [`DataError::Columns`] if they are other ones.
    pub fn reorder(&mut self, wanted: &[String]) -> Result<(), DataError> {
        let path = || self.path.clone();
        let order = columns::order(wanted, &self.columns)
            .map_err(|source| DataError::Columns { path: path(), source })?;
        if let Some(order) = order {
            tracing::info!("{}: columns are put in the other data's order", self.path.display());
            self.features = columns::reorder(&self.features, &order);
            self.columns = wanted.to_vec();
        }
        Ok(())
    }

    /// The features of a row.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f64]> {
        self.features.chunks_exact(self.columns.len().max(1)).nth(index)
    }

    /// The values of a column that is standardised: of features, then of labels.
    pub(crate) fn standardised_column(
        &self,
        index: usize,
    ) -> impl ExactSizeIterator<Item = f64> + Clone + '_ {
        let features = self.columns.len();
        let (values, width, index) = match index.checked_sub(features) {
            None => (&self.features, features, index),
            Some(index) => (&self.targets, self.labels.per_row(), index),
        };
        let width = width.max(1);
        (0..self.rows).map(move |row| values.get(row * width + index).copied().unwrap_or(0.0))
    }

    /// Where a feature or label lies, for an error: `index` counts the words of [`Table::features`]
    /// and then those of [`Table::targets`].
    pub(crate) fn place(&self, index: usize) -> Place {
        let (index, width, names) = match index.checked_sub(self.features.len()) {
            None => (index, self.columns.len(), &self.columns),
            Some(index) => (index, self.labels.per_row(), &self.label_columns),
        };
        let (row, column) = (index / width.max(1) + 1, index % width.max(1));
        let column = names.get(column).cloned().unwrap_or_default();
        Place { path: self.path.clone(), row, line: None, column }
    }
}
