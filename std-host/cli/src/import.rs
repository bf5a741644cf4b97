//! `sharelet import`: a trained network becomes a model file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::answers::Labels;
use super::common::print;
use super::terminal::working;
use sharelet_core::session::deal;
use sharelet_core::session::network::{MIN_GATE_BITS, RING_BITS};
use sharelet_host::dealer::masked;
use sharelet_host::dealer::wire::{MAX_CORRECTION_BYTES, MAX_MASKED_BYTES};
use sharelet_import::ImportError;
use sharelet_import::columns;
use sharelet_import::layer::Layer;
use sharelet_import::quantise::{InputScale, MAX_FRAC_BITS, MAX_HEADROOM_BITS, Options};
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_model::{Model, Scores};

const EXAMPLES: &str = include_str!("examples/import.txt");

/// Arguments of `sharelet import`.
#[derive(Args, Debug, Clone)]
#[command(
    about = "Turn a trained network (ONNX, TFLite) into a model file",
    after_help = EXAMPLES,
)]
pub struct ImportArgs {
    /// The trained network, .onnx or .tflite; in float, or quantised to whole numbers.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Readings from which the scales are chosen.
    #[arg(long, value_name = "INPUTS")]
    pub calibrate: PathBuf,
    /// Where the model is written.
    #[arg(short, long = "out", value_name = "MODEL.slt")]
    pub out: PathBuf,
    /// The value of the network that is its answer: an output, or any other that it computes. The
    /// only output, if not given.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// Replace a model file that exists.
    #[arg(long)]
    pub force: bool,
    /// Bits between the largest accumulator over the calibration readings and the limit of the
    /// ring.
    #[arg(
        long,
        value_name = "BITS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_HEADROOM_BITS)),
    )]
    pub headroom_bits: u8,
    /// Fraction bits of the input; chosen from the calibration readings if not given.
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_FRAC_BITS)),
    )]
    pub input_frac_bits: Option<u8>,
    /// Whether all inputs have one scale; `auto` gives each its own where answers are off
    /// otherwise, as with raw columns of a table.
    #[arg(long, value_name = "SCALE", value_enum, default_value_t)]
    pub input_scale: Scale,
    /// Fraction bits of all activations; chosen per layer if not given.
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_FRAC_BITS)),
    )]
    pub frac_bits: Option<u8>,
    /// The widest gate, in bits; as narrow as --max-error allows if not given. Narrow gates are
    /// fast ones.
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::value_parser!(u8)
            .range(i64::from(MIN_GATE_BITS)..=i64::from(RING_BITS)),
    )]
    pub gate_bits: Option<u8>,
    /// Error of answers that narrow gates and straight pieces of activation functions may bring
    /// about, in percent of their size (root mean square, against float); 0 keeps every bit.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.2, value_parser = percent)]
    pub max_error: f64,
    /// Divide the calibration readings by this; bytes are divided by 255 if not given.
    #[arg(long, value_name = "NUMBER")]
    pub divide: Option<f32>,
    /// Names of the outputs: a text file with one per line, or names separated by commas.
    #[arg(long, value_name = "FILE|A,B,C", value_parser = Labels::parse)]
    pub labels: Option<Labels>,
    /// Name of the model; the name of the file if not given.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// The words for [`InputScale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// One scale; or one for each input, if answers are off otherwise.
    #[default]
    Auto,
    /// One scale for all inputs.
    One,
    /// One for each input.
    Each,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("not a number of percent, 0 to 100".into()),
    }
}

/// Imports, prints the table, and writes the model file last.
///
/// # Errors
/// [`ImportError`]; nothing is written then.
pub fn run(args: ImportArgs) -> Result<(), ImportError> {
    let output = &args.out;
    let free = || match output.try_exists() {
        Ok(true) if !args.force => Err(ImportError::Exists { path: output.clone() }),
        _ => Ok(()),
    };
    free()?;
    let reading = working(format!("reading {}", args.model.display()));
    let mut chain = sharelet_import::read_output(&args.model, args.output.as_deref())?;
    reading.finish_and_clear();
    if let Some(name) = args.name {
        chain.name = name;
    }
    let width = chain.layers.first().map(Layer::inputs);
    let calibration = Readings::load(&args.calibrate, ReadOptions { width, divide: args.divide })?;
    let options = Options {
        headroom_bits: args.headroom_bits,
        input_frac_bits: args.input_frac_bits,
        input_scale: match args.input_scale {
            Scale::Auto => InputScale::Auto,
            Scale::One => InputScale::One,
            Scale::Each => InputScale::Each,
        },
        frac_bits: args.frac_bits,
        gate_bits: args.gate_bits,
        max_error: args.max_error / 100.0,
    };
    let (layers, readings) = (chain.layers.len(), calibration.len());
    let choosing =
        working(format!("choosing scales and gates of {layers} layers on {readings} readings"));
    let (mut model, report) = columns::quantise(&chain, &calibration, &options)?;
    choosing.finish_and_clear();
    let of_file = args.labels.is_none() && !model.labels.is_empty();
    if let Some(labels) = args.labels {
        model.labels = labels.names();
    }
    model.validate()?;
    serve(&model)?;
    let mut text = format!("{report}\n");
    for warning in report.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    if of_file {
        const SHOWN: usize = 12;
        let mut labels = model.labels.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if model.labels.len() > SHOWN {
            labels.push_str(", ...");
        }
        text.push_str(&format!("labels of the file: {labels}; --labels names others\n"));
    }
    if model.scores == Some(Scores::OneVsOne) {
        text.push_str(
            "warning: answers have a value for each pair of classes; a device or a console needs \
             --scores one-vs-one, or its `class` is that of a pair\n",
        );
    }
    print(&text).map_err(ImportError::Print)?;
    free()?;
    model.save(output)?;
    print(&format!("wrote {}\n", output.display())).map_err(ImportError::Print)
}

/// Whether a dealer can serve a model.
fn serve(model: &Model) -> Result<(), ImportError> {
    let correction = deal::correction_bytes(&model.network);
    let weights = usize::try_from(masked::bytes(&model.network)).unwrap_or(usize::MAX);
    for (what, found, limit) in [
        ("corrections of one session", correction, MAX_CORRECTION_BYTES),
        ("masked weights", weights, MAX_MASKED_BYTES),
    ] {
        if found > limit {
            return Err(ImportError::TooLarge { what, found, limit });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sharelet_core::session::network::{Activation, Layer, Network};

    use super::*;

    fn dense(widths: &[u16]) -> Model {
        let layer = |pair: &[u16]| Layer::dense(pair[0], pair[1], 12, 12, Activation::Relu);
        let layers: Vec<Layer> = widths.windows(2).map(layer).collect();
        let network = Network::new(12, 1 << 12, &layers).unwrap();
        let (weights, biases, labels) = (Vec::new(), Vec::new(), Vec::new());
        Model { network, weights, biases, labels, scores: None, name: "wide".into() }
    }

    #[test]
    fn models_that_no_dealer_serves_are_refused_with_the_number() {
        serve(&dense(&[8, 65_535, 8])).unwrap();
        let error = serve(&dense(&[65_535, 65_535])).unwrap_err().to_string();
        assert!(error.contains("17179344900 bytes of masked weights"), "{error}");
        assert!(error.contains("at most 1073741824"), "{error}");
        let wide: Vec<u16> =
            (0..33).map(|index| if index % 2 == 0 { 4096 } else { 65_535 }).collect();
        let error = serve(&dense(&wide)).unwrap_err().to_string();
        assert!(error.contains("bytes of corrections of one session"), "{error}");
    }
}
