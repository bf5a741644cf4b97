//! Training data of an owner: files become a table of numbers with labels, and the table becomes
//! shares for two servers.
//!
//! [`Table::load`] reads CSV with a header, `.npy` and `idx` files; [`description`] is what becomes
//! public of it; [`shares`] encodes and splits; [`owner`] sends. Rows in errors count from 1,
//! headings not counted.

mod arrays;
mod csv;
pub mod description;
pub mod error;
pub mod keys;
pub mod labels;
pub mod owner;
pub mod shares;

use std::path::{Path, PathBuf};

use self::description::{MAX_COLUMNS, MAX_NAME_BYTES};
pub use self::error::{DataError, Place};
use self::labels::{LabelKind, Labels};

/// What to take from a file, and as what.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The columns of features, in this order; without it all but those of labels and key, in the
    /// order of the file.
    pub columns: Option<Vec<String>>,
    /// The columns of labels. Only numbers may have more than one.
    pub labels: Vec<String>,
    /// A file of labels instead: `.npy` or `idx`, a label per row.
    pub labels_file: Option<PathBuf>,
    /// What labels are.
    pub kind: LabelKind,
    /// The column that rows of several owners are joined by.
    pub key: Option<String>,
    /// What features are multiplied by. Without it bytes (`idx` of type u8) are divided by 255,
    /// others are left alone.
    pub scale: Option<f64>,
    /// What labels that are numbers are multiplied by.
    pub label_scale: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            columns: None,
            labels: Vec::new(),
            labels_file: None,
            kind: LabelKind::Numbers,
            key: None,
            scale: None,
            label_scale: 1.0,
        }
    }
}

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

/// What a format reader gives: the columns asked for, all finite.
struct Parts {
    columns: Vec<String>,
    features: Vec<f64>,
    /// `rows x label columns`.
    labels: Vec<f64>,
    keys: Option<Vec<String>>,
    /// What features are multiplied by if the caller does not say.
    scale: f64,
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
        })
    }

    /// The features of a row.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f64]> {
        self.features.chunks_exact(self.columns.len().max(1)).nth(index)
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

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

/// The columns that were asked for, as indices of the file's columns.
struct Selection {
    features: Vec<usize>,
    labels: Vec<usize>,
    key: Option<usize>,
}

/// Checks the names of a file's columns, and finds those that are asked for.
fn select(path: &Path, header: &[String], options: &Options) -> Result<Selection, DataError> {
    let path_of = || path.to_owned();
    if header.len() > MAX_COLUMNS {
        return Err(DataError::TooManyColumns { path: path_of(), found: header.len() });
    }
    for (index, name) in header.iter().enumerate() {
        let column = index + 1;
        if name.is_empty() {
            return Err(DataError::UnnamedColumn { path: path_of(), column });
        }
        if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(DataError::ColumnName { path: path_of(), column });
        }
    }
    let mut sorted: Vec<_> = header.iter().zip(1_usize..).collect();
    sorted.sort();
    let twice = sorted.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
    if let Some([(name, first), (_, second)]) = twice {
        return Err(DataError::DuplicateColumn {
            path: path_of(),
            name: (*name).clone(),
            first: *first,
            second: *second,
        });
    }
    let mut taken = vec![false; header.len()];
    let mut find = |name: &String| {
        let index = header.iter().position(|known| known == name);
        let index = index.ok_or_else(|| DataError::UnknownColumn {
            path: path.to_owned(),
            name: name.clone(),
            existing: error::list(header),
        })?;
        match taken.get_mut(index) {
            Some(taken) if !*taken => *taken = true,
            _ => return Err(DataError::ColumnTwice { name: name.clone() }),
        }
        Ok(index)
    };
    let labels: Vec<usize> = options.labels.iter().map(&mut find).collect::<Result<_, _>>()?;
    let key = options.key.as_ref().map(&mut find).transpose()?;
    let features: Vec<usize> = match &options.columns {
        Some(columns) => columns.iter().map(&mut find).collect::<Result<_, _>>()?,
        None => (0..header.len())
            .filter(|index| !labels.contains(index) && key != Some(*index))
            .collect(),
    };
    if features.is_empty() {
        return Err(DataError::NoFeatures { path: path_of() });
    }
    Ok(Selection { features, labels, key })
}
