//! What may be seen of a run: loss and accuracy, epoch by epoch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use sharelet_link::files::{FileError, write_file};

/// An epoch; what is not opened is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Mean over the batches, each before its own step.
    pub train_loss: Option<f64>,
    /// Fraction of right answers, likewise.
    pub train_accuracy: Option<f64>,
    /// Mean over the test rows after the epoch.
    pub test_loss: Option<f64>,
    /// Fraction of right answers, likewise.
    pub test_accuracy: Option<f64>,
}

/// Epochs, first to last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve(pub Vec<Epoch>);

/// Opened sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// See [`Sums::loss`](super::loss::Sums::loss).
    pub loss: u64,
    /// See [`Sums::correct`](super::loss::Sums::correct).
    pub correct: u64,
}

/// Sums as means. The loss is signed.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn means(sums: Opened, rows: usize, frac_bits: u32) -> Option<(f64, f64)> {
    let unit = libm::scalbn(1.0, frac_bits.cast_signed()) * rows as f64;
    (rows > 0).then_some((sums.loss.cast_signed() as f64 / unit, sums.correct as f64 / unit))
}

impl Epoch {
    /// What is opened, in the order of the fields.
    const fn values(&self) -> [Option<f64>; 4] {
        [self.train_loss, self.train_accuracy, self.test_loss, self.test_accuracy]
    }
}

impl Curve {
    /// Whether there is nothing to see.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().flat_map(Epoch::values).flatten().next().is_none()
    }

    /// Writes the curve as CSV: `epoch,train_loss,train_accuracy,test_loss,test_accuracy`, empty
    /// where nothing is known.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let mut text = String::from("epoch,train_loss,train_accuracy,test_loss,test_accuracy\n");
        for epoch in &self.0 {
            let cell =
                |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let cells = epoch.values().map(cell);
            text.push_str(&format!("{},{}\n", epoch.epoch, cells.join(",")));
        }
        write_file(path, &[text.as_bytes()])
    }

    /// Reads what [`Curve::save`] wrote.
    ///
    /// # Errors
    /// Names the line.
    pub fn load(path: &Path) -> Result<Self, CurveError> {
        let wrong = |reason: String| CurveError { path: path.to_owned(), reason };
        let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(error.to_string()))?;
        let records = reader.records().map(|record| {
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |place: usize| match record.get(place).map(str::trim) {
                None | Some("") => Ok(None),
                Some(text) => text
                    .parse::<f64>()
                    .map(Some)
                    .map_err(|_| wrong(format!("line {line}: `{text}` is not a number"))),
            };
            let epoch = record.get(0).and_then(|text| text.trim().parse().ok());
            let epoch = epoch.ok_or_else(|| {
                wrong(format!("line {line}: the first column is the number of an epoch"))
            })?;
            Ok(Epoch {
                epoch,
                train_loss: cell(1)?,
                train_accuracy: cell(2)?,
                test_loss: cell(3)?,
                test_accuracy: cell(4)?,
            })
        });
        Ok(Self(records.collect::<Result<_, CurveError>>()?))
    }
}

/// A file of a curve that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}; take a file that `sharelet train --curve` wrote", path = path.display())]
pub struct CurveError {
    path: std::path::PathBuf,
    reason: String,
}
