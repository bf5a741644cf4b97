//! Training in the clear, as the program `sharelet train-plain` does it.

use std::path::PathBuf;

use pyo3::prelude::*;
use sharelet_cli::open;
use sharelet_cli::train_plain::Prepared;
use sharelet_train::config::Config;
use sharelet_train::curve::Curve;
use sharelet_train::plain;

use crate::errors::{failed, input};
use crate::table::{Choice, Data};
use crate::work::{interruptible, stopped};

/// Epoch; loss and accuracy in training, loss and accuracy in testing.
type Line = (usize, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

fn lines(curve: &Curve) -> Vec<Line> {
    let line = |epoch: &sharelet_train::curve::Epoch| {
        let (train, test) = (epoch.train_loss, epoch.test_loss);
        (epoch.epoch, train, epoch.train_accuracy, test, epoch.test_accuracy)
    };
    curve.0.iter().map(line).collect()
}

/// Curve of the twin, curve in floating point, and the twin's model as an ONNX file; and the
/// columns that it takes.
type Trained = (Vec<Line>, Vec<Line>, Vec<u8>, Vec<String>);

/// Trains.
#[pyfunction]
pub fn train_plain(
    py: Python<'_>,
    config: (PathBuf, String),
    data: Data,
    labels: Option<Data>,
    test: Option<(Data, Option<Data>)>,
    choice: Choice,
) -> PyResult<Trained> {
    interruptible(py, move |stop| {
        let (path, text) = config;
        let config = Config::parse(&text, &path).map_err(input)?;
        let table = choice.table(data, labels)?;
        let test = test.map(|(data, labels)| choice.table(data, labels)).transpose()?;
        let prepared = Prepared::new(config, &table, test).map_err(input)?;
        let Prepared { course, train, test, labels } = prepared;
        let float = plain::baseline(&course, (&train, &test), labels, &mut |_| ());
        let (_, float) = float.map_err(input)?;
        if stop.is_cancelled() {
            return Err(stopped());
        }
        let scaling = train.scaling.clone();
        let (model, twin) = plain::twin(&course, train, test, &mut |_| ()).map_err(input)?;
        let onnx = open::onnx(&course, &model, &scaling).map_err(failed)?;
        Ok((lines(&twin), lines(&float), onnx, table.columns))
    })
}
