//! `sharelet import`: a trained float network becomes a model file.

use std::path::PathBuf;

use clap::Args;

use super::common::print;
use sharelet_import::ImportError;
use sharelet_import::layer::Layer;
use sharelet_import::quantise::{self, MAX_FRAC_BITS, MAX_HEADROOM_BITS, Options};
use sharelet_model::readings::{ReadOptions, Readings};

const EXAMPLES: &str = include_str!("examples/import.txt");

/// Arguments of `sharelet import`.
#[derive(Args, Debug, Clone)]
#[command(
    about = "Turn a trained float network (ONNX, TFLite) into a model file",
    after_help = EXAMPLES,
)]
pub struct ImportArgs {
    /// The trained network, .onnx or .tflite, in float.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Readings from which the scales are chosen.
    #[arg(long, value_name = "INPUTS")]
    pub calibrate: PathBuf,
    /// Where the model is written.
    #[arg(short, long, value_name = "MODEL.slt")]
    pub output: PathBuf,
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
    /// Fraction bits of all activations; chosen per layer if not given.
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_FRAC_BITS)),
    )]
    pub frac_bits: Option<u8>,
    /// Divide the calibration readings by this; bytes are divided by 255 if not given.
    #[arg(long, value_name = "NUMBER")]
    pub divide: Option<f32>,
    /// Names of the outputs, separated by commas.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Name of the model; the name of the file if not given.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Imports, prints the table, and writes the model file last.
///
/// # Errors
/// [`ImportError`]; nothing is written then.
pub fn run(args: ImportArgs) -> Result<(), ImportError> {
    let mut chain = sharelet_import::read(&args.model)?;
    if let Some(name) = args.name {
        chain.name = name;
    }
    let width = chain.layers.first().map(Layer::inputs);
    let calibration = Readings::load(&args.calibrate, ReadOptions { width, divide: args.divide })?;
    let options = Options {
        headroom_bits: args.headroom_bits,
        input_frac_bits: args.input_frac_bits,
        frac_bits: args.frac_bits,
    };
    let (mut model, report) = quantise::quantise(&chain, &calibration, &options)?;
    model.labels = args.labels.iter().map(|label| label.trim().to_owned()).collect();
    model.validate()?;
    let mut text = format!("{report}\n");
    for warning in report.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    print(&text).map_err(ImportError::Print)?;
    model.save(&args.output)?;
    print(&format!("wrote {}\n", args.output.display())).map_err(ImportError::Print)
}
