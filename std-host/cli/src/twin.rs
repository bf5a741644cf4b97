//! `sharelet twin`: the answers in the clear, which private answers must equal bit for bit.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use console::Term;
use indicatif::ProgressBar;
use sharelet_core::session::network::Activation;
use sharelet_core::shape::Shape;

use super::answers::{AnswerArgs, Asked, Printer};
use super::common::{WrongArguments, output};
use super::terminal::progress;
use sharelet_link::files::write_file;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};

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
    /// Readings: .npy, .csv, .idx, .idx.gz or raw .f32; or - for CSV or .npy on standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "export")]
    pub inputs: Option<PathBuf>,
    /// Divide the readings by this; bytes are divided by 255 if not given.
    #[arg(long, value_name = "NUMBER")]
    pub divide: Option<f32>,
    /// Leave out the readings before this one, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from_reading: usize,
    /// Stop after this many readings.
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Also write the readings as little-endian float32 rows, as a device takes them.
    #[arg(long, value_name = "OUT.f32", requires = "inputs")]
    pub save_readings: Option<PathBuf>,
    /// Write the model in the clear, for a board that measures its plaintext twin; dense layers
    /// only.
    #[arg(long, value_name = "OUT")]
    pub export: Option<PathBuf>,
    #[command(flatten)]
    answers: AnswerArgs,
}

/// Prints the answers, and writes the files asked for.
///
/// # Errors
/// The model or the readings are refused, or a file cannot be written.
pub fn run(args: &TwinArgs) -> Result<()> {
    let model = Model::load(&args.model)?;
    if let Some(path) = &args.export {
        let bytes = export(&model).context(
            "--export is for chains of dense layers and inputs of one scale; this model has \
             others, leave the option off",
        )?;
        write(path, &bytes)?;
    }
    let Some(inputs) = &args.inputs else { return Ok(()) };
    let options = ReadOptions { width: Some(model.network.inputs()), divide: args.divide };
    let readings = Readings::load(inputs, options)?;
    let (from, count) = (args.from_reading, args.count.unwrap_or(usize::MAX));
    if from >= readings.len() {
        let wrong = format!("--from-reading {from}: there are {} readings", readings.len());
        return Err(WrongArguments(wrong + ", counted from 0").into());
    }
    let rows = readings.rows().enumerate().skip(from).take(count);
    if let Some(path) = &args.save_readings {
        let values = rows.clone().flat_map(|(_, row)| row);
        write(path, &values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    }
    let mut printer = Printer::new(args.answers.clone(), &model.labels, model.scores);
    printer.expect_outputs(model.network.outputs())?;
    // Lines on a terminal say themselves how far it is.
    let bar = match Term::stdout().is_term() {
        true => ProgressBar::hidden(),
        false => progress("computing", rows.len() as u64, false),
    };
    for (index, row) in rows {
        bar.inc(1);
        let answer = model.encode(row).and_then(|words| model.infer(&words));
        let answer = answer.map_err(|error| anyhow!("reading {index}: {error}"))?;
        let frac_bits = model.network.output_frac_bits();
        output(&printer.line(Asked::Reading(index), frac_bits, &answer)?)?;
    }
    Ok(())
}

/// Little-endian words: layers, fraction bits and limit of the input; per layer inputs, outputs,
/// shift, 1 for a ReLU; then per layer every row of the weights, each followed by its bias. `None`
/// if a layer is not dense.
fn export(model: &Model) -> Option<Vec<u8>> {
    if !model.network.input_exponents().is_empty() {
        return None;
    }
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

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(write_file(path, &[bytes])?)
}
