//! `sharelet twin`: the answers in the clear, which private answers must equal bit for bit.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sharelet_core::session::network::Activation;
use sharelet_core::shape::Shape;

use super::units::json_text;
use sharelet_host::device::report::Values;
use sharelet_model::readings::{ReadOptions, Readings, ReadingsError};
use sharelet_model::{Model, ModelError, largest};

const EXAMPLES: &str = include_str!("examples/twin.txt");

/// Arguments of `sharelet twin`.
#[derive(Args, Debug, Clone)]
#[command(
    about = "Answer readings in the clear, with the model's own integers",
    after_help = EXAMPLES,
)]
pub struct TwinArgs {
    /// The model file.
    #[arg(value_name = "MODEL.slt")]
    pub model: PathBuf,
    /// Readings: .npy, .csv, .idx or .idx.gz, raw .f32.
    #[arg(long, value_name = "FILE", required_unless_present = "export")]
    pub inputs: Option<PathBuf>,
    /// Divide the readings by this; bytes are divided by 255 if not given.
    #[arg(long, value_name = "NUMBER")]
    pub divide: Option<f32>,
    /// Stop after this many readings.
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
    /// Also write the readings as little-endian float32 rows, as a device takes them.
    #[arg(long, value_name = "OUT.f32", requires = "inputs")]
    pub raw: Option<PathBuf>,
    /// Write the model in the clear, for a board that measures its plaintext twin; dense layers
    /// only.
    #[arg(long, value_name = "OUT")]
    pub export: Option<PathBuf>,
}

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TwinError {
    /// The model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The readings.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    /// A reading that the model does not take.
    #[error("reading {row}: {source}")]
    Reading {
        /// Row, from 1.
        row: usize,
        /// What is wrong with it.
        source: ModelError,
    },
    /// A file cannot be written.
    #[error("{path}: {source}; check the path and its permissions", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A model that the boards' twin does not compute.
    #[error("--export is for chains of dense layers; this model has others, leave the option off")]
    NotDense,
    /// Standard output is gone.
    #[error("the answers cannot be printed: {0}")]
    Print(io::Error),
}

/// Prints the answers, and writes the files asked for.
///
/// # Errors
/// [`TwinError`].
pub fn run(args: &TwinArgs) -> Result<(), TwinError> {
    let model = Model::load(&args.model)?;
    if let Some(path) = &args.export {
        write(path, &export(&model).ok_or(TwinError::NotDense)?)?;
    }
    let Some(inputs) = &args.inputs else { return Ok(()) };
    let options = ReadOptions { width: Some(model.network.inputs()), divide: args.divide };
    let readings = Readings::load(inputs, options)?;
    let count = args.count.unwrap_or(usize::MAX).min(readings.len());
    if let Some(path) = &args.raw {
        let values = readings.rows().take(count).flatten();
        write(path, &values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    }
    let mut out = io::stdout().lock();
    for (index, row) in readings.rows().take(count).enumerate() {
        let answer = model.encode(row).and_then(|words| model.infer(&words));
        let answer = answer.map_err(|source| TwinError::Reading { row: index + 1, source })?;
        let line =
            if args.json { json(&model, index, &answer) } else { line(&model, index, &answer) };
        writeln!(out, "{line}").map_err(TwinError::Print)?;
    }
    out.flush().map_err(TwinError::Print)
}

fn line(model: &Model, index: usize, answer: &[u32]) -> String {
    let mut line = format!(
        "index={index} frac_bits={} values={}",
        model.network.output_frac_bits(),
        Values(answer)
    );
    if let (Some(class), Some(label)) = (largest(answer), model.label(answer)) {
        line.push_str(&format!(" class={class} label={label}"));
    }
    line
}

fn json(model: &Model, index: usize, answer: &[u32]) -> String {
    let (frac_bits, class) = (model.network.output_frac_bits(), largest(answer).unwrap_or(0));
    let label = model
        .label(answer)
        .map(|label| format!(",\"label\":{}", json_text(label)))
        .unwrap_or_default();
    format!(
        "{{\"index\":{index},\"frac_bits\":{frac_bits},\"values\":[{}],\"class\":{class}{label}}}",
        Values(answer)
    )
}

/// Little-endian words: layers, fraction bits and limit of the input; per layer inputs, outputs,
/// shift, 1 for a ReLU; then per layer every row of the weights, each followed by its bias. `None`
/// if a layer is not dense.
fn export(model: &Model) -> Option<Vec<u8>> {
    let layers = model.network.layers();
    let depth = u32::try_from(layers.len()).unwrap_or(u32::MAX);
    let mut words =
        vec![depth, model.network.input_frac_bits().into(), model.network.input_limit()];
    for layer in layers {
        let relu = u32::from(layer.activation == Activation::Relu);
        let (Shape::Dense { inputs, outputs }, None) = (layer.shape, layer.skip) else {
            return None;
        };
        words.extend([inputs.into(), outputs.into(), layer.shift.into(), relu]);
    }
    for ((layer, weights), biases) in layers.iter().zip(&model.weights).zip(&model.biases) {
        for (row, bias) in weights.chunks_exact(layer.inputs().into()).zip(biases) {
            words.extend_from_slice(row);
            words.push(*bias);
        }
    }
    Some(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TwinError> {
    fs::write(path, bytes).map_err(|source| TwinError::Write { path: path.to_owned(), source })
}
