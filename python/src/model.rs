//! Models: import, file, and answers in the clear.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sharelet_host::dealer::masked;
use sharelet_host::host::HostError;
use sharelet_import::columns::quantise;
use sharelet_import::layer::{Chain, Layer};
use sharelet_import::quantise::{InputScale, Options};
use sharelet_import::{ImportError, lower, onnx};

use crate::arrays::{readings, reals};
use crate::errors::{failed, input};
use crate::work::{interruptible, stopped};

/// What a model is called that came without a name.
const UNNAMED: &str = "model";

/// A network in the integers of the protocol.
#[pyclass(frozen, module = "sharelet._sharelet")]
#[derive(Debug)]
pub struct Model {
    /// The network, and weights in the clear.
    pub inner: Arc<sharelet_model::Model>,
    /// Table of the import, its warnings, error of answers and largest error of a value; nothing
    /// of the kind for a model that was loaded.
    report: Option<(String, Vec<String>, f64, f64)>,
}

#[pymethods]
impl Model {
    /// Reads a model file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let read = move || sharelet_model::Model::load(&path).map_err(input);
        let inner = interruptible(py, move |_| read())?;
        Ok(Self { inner: Arc::new(inner), report: None })
    }

    /// Writes a model file.
    fn save(&self, py: Python<'_>, path: PathBuf, force: bool) -> PyResult<()> {
        if !force && path.try_exists().map_err(failed)? {
            return Err(input(format!(
                "{} exists already; choose another name, or replace it with force=True",
                path.display()
            )));
        }
        let model = self.inner.clone();
        interruptible(py, move |_| model.save(&path).map_err(failed))
    }

    #[getter]
    fn inputs(&self) -> usize {
        self.inner.network.inputs()
    }

    #[getter]
    fn outputs(&self) -> usize {
        self.inner.network.outputs()
    }

    #[getter]
    fn input_limit(&self) -> f64 {
        self.inner.input_limits().into_iter().fold(f64::INFINITY, f64::min)
    }

    #[getter]
    fn input_limits(&self) -> Vec<f64> {
        self.inner.input_limits()
    }

    #[getter]
    fn frac_bits(&self) -> u8 {
        self.inner.network.output_frac_bits()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    #[getter]
    fn labels(&self) -> Vec<String> {
        self.inner.labels.clone()
    }

    /// `(table, warnings, error, largest error)`.
    #[getter]
    fn report(&self) -> Option<(String, Vec<String>, f64, f64)> {
        self.report.clone()
    }

    /// Answers in the clear.
    fn twin<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let readings = readings(self.inputs(), bytes)?;
        let model = self.inner.clone();
        let answers = interruptible(py, move |stop| {
            let mut answers = Vec::new();
            for (index, row) in readings.rows().enumerate() {
                if stop.is_cancelled() {
                    return Err(stopped());
                }
                let answer = model.encode(row).and_then(|words| model.infer(&words));
                let answer = answer.map_err(|error| input(format!("reading {index}: {error}")))?;
                answers.extend(reals(&answer, model.network.output_frac_bits()));
            }
            Ok(answers)
        })?;
        Ok(PyBytes::new(py, &answers))
    }
}

/// Where a network comes from.
#[derive(FromPyObject)]
pub enum Source {
    /// The bytes of an ONNX file.
    Bytes(Vec<u8>),
    /// A file.
    Path(PathBuf),
}

impl Source {
    fn read(self, output: Option<&str>) -> Result<Chain, ImportError> {
        match self {
            Self::Path(path) => sharelet_import::read_output(&path, output),
            Self::Bytes(bytes) => {
                let graph = onnx::read_output(&bytes, None, output);
                let chain = graph.and_then(|graph| lower::lower(&graph));
                let path = || PathBuf::from("the ONNX model");
                let mut chain =
                    chain.map_err(|source| ImportError::Graph { path: path(), source })?;
                UNNAMED.clone_into(&mut chain.name);
                Ok(chain)
            }
        }
    }
}

/// Imports a trained network as `sharelet import` does.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they have names on the other side")]
pub fn import_model(
    py: Python<'_>,
    source: Source,
    calibration: Vec<u8>,
    calibration_width: usize,
    output: Option<String>,
    labels: Vec<String>,
    name: Option<String>,
    options: (u8, Option<u8>, Option<u8>, Option<u8>, f64, String),
) -> PyResult<Model> {
    let (headroom_bits, input_frac_bits, frac_bits, gate_bits, max_error, scale) = options;
    let input_scale = match scale.as_str() {
        "one" => InputScale::One,
        "each" => InputScale::Each,
        _ => InputScale::Auto,
    };
    let options =
        Options { headroom_bits, input_frac_bits, input_scale, frac_bits, gate_bits, max_error };
    interruptible(py, move |_| {
        let mut chain = source.read(output.as_deref()).map_err(input)?;
        chain.name = name.unwrap_or(chain.name);
        let width = chain.layers.first().map_or(0, Layer::inputs);
        if width != calibration_width {
            return Err(input(format!(
                "calibration: a reading has {calibration_width} values, the network takes {width}"
            )));
        }
        let calibration = readings(width, &calibration)?;
        let (mut model, report) = quantise(&chain, &calibration, &options).map_err(input)?;
        if !labels.is_empty() {
            model.labels = labels;
        }
        model.validate().map_err(input)?;
        masked::check(&model.network)
            .map_err(|refusal| HostError::Unservable { reason: refusal.to_string() })
            .map_err(input)?;
        let said = (report.to_string(), report.warnings(), report.error, report.largest_error);
        Ok(Model { inner: Arc::new(model), report: Some(said) })
    })
}
