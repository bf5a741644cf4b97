//! What an owner asks of a file: options, and the columns that they choose.

use std::path::{Path, PathBuf};

use super::description::{MAX_COLUMNS, MAX_NAME_BYTES};
use super::error::DataError;
use super::labels::LabelKind;
use sharelet_model::readings::columns::list;

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
    /// Whether features, and labels that are numbers, are standardised under sharing. Without it
    /// tables are, and arrays are not.
    pub standardise: Option<bool>,
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
            standardise: None,
        }
    }
}

/// What a format reader gives: the columns asked for, all finite.
pub(super) struct Parts {
    pub(super) columns: Vec<String>,
    pub(super) features: Vec<f64>,
    /// `rows x label columns`.
    pub(super) labels: Vec<f64>,
    pub(super) keys: Option<Vec<String>>,
    /// What features are multiplied by if the caller does not say.
    pub(super) scale: f64,
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

/// The columns that were asked for, as indices of the file's columns.
pub(super) struct Selection {
    pub(super) features: Vec<usize>,
    pub(super) labels: Vec<usize>,
    pub(super) key: Option<usize>,
}

/// Checks the names of a file's columns, and finds those that are asked for.
pub(super) fn select(
    path: &Path,
    header: &[String],
    options: &Options,
) -> Result<Selection, DataError> {
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
            existing: list(header),
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
