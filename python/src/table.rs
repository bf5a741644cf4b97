//! Tables of training data, as `sharelet share` and `train-plain` take them.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::{Options, Table};
use sharelet_train::labels::MAX_CLASSES;

use crate::errors::input;

/// The bytes of a `.csv` or `.npy` file, and what errors call it; or a file.
#[derive(FromPyObject)]
pub enum Data {
    /// Name and bytes.
    Bytes(PathBuf, Vec<u8>),
    /// A file of a format that the program reads.
    Path(PathBuf),
}

impl Data {
    /// Name and bytes.
    fn read(self) -> PyResult<(PathBuf, Vec<u8>)> {
        match self {
            Self::Bytes(name, bytes) => Ok((name, bytes)),
            Self::Path(path) => {
                let bytes = std::fs::read(&path);
                let bytes = bytes.map_err(|error| input(format!("{}: {error}", path.display())))?;
                Ok((path, bytes))
            }
        }
    }
}

/// What is taken from a table; the fields have the names of the program's options.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Choice {
    columns: Option<Vec<String>>,
    label: Vec<String>,
    classes: Option<u32>,
    binary: bool,
    scale: Option<f64>,
    label_scale: f64,
    standardise: Option<bool>,
    key: Option<String>,
}

impl Choice {
    fn kind(&self) -> PyResult<LabelKind> {
        match (self.classes, self.binary) {
            (Some(_), true) => Err(input("labels are either binary or of classes; give one")),
            (Some(classes), _) if !(2..=MAX_CLASSES).contains(&classes) => {
                Err(input(format!("classes: give a number from 2 to {MAX_CLASSES}")))
            }
            (Some(classes), _) => Ok(LabelKind::Classes(classes)),
            (None, true) => Ok(LabelKind::Binary),
            (None, false) => Ok(LabelKind::Numbers),
        }
    }

    /// The table of `data`, with `labels` of their own if they are not among its columns.
    pub fn table(&self, data: Data, labels: Option<Data>) -> PyResult<Table> {
        let options = Options {
            columns: self.columns.clone(),
            labels: self.label.clone(),
            labels_file: None,
            kind: self.kind()?,
            key: self.key.clone(),
            scale: self.scale,
            label_scale: self.label_scale,
            standardise: self.standardise,
        };
        let (path, bytes) = data.read()?;
        let labels = labels.map(Data::read).transpose()?;
        let labels: Option<(&Path, &[u8])> =
            labels.as_ref().map(|(path, bytes)| (path.as_path(), bytes.as_slice()));
        Table::from_bytes(&bytes, &path, labels, &options).map_err(input)
    }

    /// Whether a column is the label.
    pub fn is_labelled(&self) -> bool {
        !self.label.is_empty()
    }
}
