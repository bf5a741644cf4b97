//! `sharelet train-plain`: the twin and the float baseline of a training run.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::common::output;
use super::table::TableArgs;
use super::train::{charts, line};
use sharelet_host::data::{Table, shares};
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::curve::Epoch;
use sharelet_train::labels::Labels;
use sharelet_train::plain;
use sharelet_train::state::Data;

const EXAMPLES: &str = include_str!("examples/train_plain.txt");

/// Arguments of `sharelet train-plain`.
#[derive(Args, Debug, Clone)]
#[command(
    about = "Train in plaintext: what two servers would learn, and what floating point does",
    after_help = EXAMPLES,
)]
pub struct TrainPlainArgs {
    /// The configuration.
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// The data to train on.
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    #[command(flatten)]
    table: TableArgs,
    /// The data to test on, read as the other.
    #[arg(long, value_name = "DATA")]
    pub test: Option<PathBuf>,
    /// A file of labels of the data to test on.
    #[arg(long, value_name = "FILE", requires = "test")]
    pub test_labels: Option<PathBuf>,
    /// Write the twin's curve here, as CSV.
    #[arg(long, value_name = "FILE.csv")]
    pub curve: Option<PathBuf>,
    /// Write the float baseline's curve here, as CSV: `sharelet train --against` draws it.
    #[arg(long, value_name = "FILE.csv")]
    pub float_curve: Option<PathBuf>,
    /// Draw both curves here; loss and accuracy side by side in two files, NAME-loss.svg and
    /// NAME-accuracy.svg.
    #[arg(long, value_name = "NAME.svg")]
    pub plot: Option<PathBuf>,
    /// Only the float baseline.
    #[arg(long)]
    pub float_only: bool,
}

/// Fraction bits are at most 24.
fn bits_of(frac_bits: u32) -> u8 {
    u8::try_from(frac_bits).unwrap_or(u8::MAX)
}

fn words(table: &Table, frac_bits: u32) -> Result<Data> {
    let encoded = shares::encode(table, bits_of(frac_bits))?;
    let (inputs, behind) = encoded.words().split_at(table.features.len());
    let (targets, scaling) = behind.split_at(table.targets.len());
    let scaling = scaling.as_chunks().0.to_vec();
    Ok(Data { inputs: inputs.to_vec(), targets: targets.to_vec(), scaling })
}

/// Prints a line for an epoch, as long as somebody reads them.
fn tell(told: &mut Result<()>, epoch: &Epoch) {
    if told.is_ok() {
        *told = output(&format!("{}\n", line(epoch)));
    }
}

/// A run in plaintext, and what it is run on.
#[derive(Debug)]
pub struct Prepared {
    /// What the servers would do.
    pub course: Arc<Course>,
    /// The words to train on.
    pub train: Data,
    /// Those to test on, if they are a table of their own.
    pub test: Data,
    /// What labels are.
    pub labels: Labels,
}

impl Prepared {
    /// Puts a configuration and its tables together.
    ///
    /// # Errors
    /// They do not fit each other.
    pub fn new(config: Config, table: &Table, mut test: Option<Table>) -> Result<Self> {
        if let Some(test) = &mut test {
            test.reorder(&table.columns)?;
        }
        let frac_bits = config.arithmetic.frac_bits;
        let train = words(table, frac_bits)?;
        let bits_of_both = [Some(table), test.as_ref()].map(|table| {
            table.map_or([0; 2], |table| shares::magnitude_bits(table, bits_of(frac_bits)))
        });
        let [[features, targets], [test_features, test_targets]] = bits_of_both;
        let sizes = Sizes {
            rows: table.rows,
            features: table.columns.len(),
            targets: table.labels.per_row(),
            test_rows: test.as_ref().map_or(0, |test| test.rows),
            standardised: train.scaling.len(),
            mixed: false,
            feature_bits: features.max(test_features).into(),
            target_bits: targets.max(test_targets).into(),
        };
        let course = Arc::new(Course::new(config, sizes)?);
        let labels = table.labels;
        course.check_labels(&table.path.display().to_string(), labels)?;
        let test = test.map_or_else(|| Ok(Data::default()), |test| words(&test, frac_bits))?;
        Ok(Self { course, train, test, labels })
    }
}

/// Trains and prints.
///
/// # Errors
/// Configuration and data do not fit each other, training diverges, or a file cannot be written.
pub fn run(args: &TrainPlainArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let options = args.table.options(None);
    let table = Table::load(&args.data, &options)?;
    let test_options = sharelet_host::data::Options {
        labels_file: args.test_labels.clone().or(options.labels_file.clone()),
        ..options
    };
    let test = args.test.as_ref().map(|path| Table::load(path, &test_options)).transpose()?;
    let Prepared { course, train, test, labels } = Prepared::new(config, &table, test)?;
    drop(table);
    output(&format!("float, {} steps\n", course.plan().steps()))?;
    let mut told = Ok(());
    let (_, float) = plain::baseline(&course, (&train, &test), labels, &mut |epoch| {
        tell(&mut told, epoch);
    })?;
    told?;
    if let Some(path) = &args.float_curve {
        float.save(path)?;
    }
    let mut curves = vec![("float", &float)];
    let twin;
    if !args.float_only {
        output("twin\n")?;
        let mut told = Ok(());
        twin = plain::twin(&course, train, test, &mut |epoch| tell(&mut told, epoch))?.1;
        told?;
        if twin.is_empty() {
            output("nothing of the twin is opened; set `open.loss` or `open.accuracy`\n")?;
        }
        if let Some(path) = &args.curve {
            twin.save(path)?;
        }
        curves.push(("twin", &twin));
    }
    charts("Training in plaintext", &curves, args.plot.as_deref())
}
