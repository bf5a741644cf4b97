//! `sharelet open`: both servers' shares of a trained model become an ONNX file for its owner.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;

use super::common::{WrongArguments, expect_none};
use sharelet_host::store::training::{Share, TrainingError};
use sharelet_import::write;
use sharelet_train::config::Config;
use sharelet_train::course::Course;
use sharelet_train::model::Model;
use sharelet_train::network::NetworkError;
use sharelet_train::plain::numbers;
use sharelet_train::scaling::{self, COLUMN_WORDS};

const EXAMPLES: &str = include_str!("examples/open.txt");

/// Arguments of `sharelet open`.
#[derive(Args, Debug, Clone)]
#[command(about = "Put both shares of a trained model together, as ONNX", after_help = EXAMPLES)]
pub struct OpenArgs {
    /// A server's share.
    #[arg(value_name = "SHARE")]
    pub first: PathBuf,
    /// The other server's.
    #[arg(value_name = "SHARE")]
    pub second: PathBuf,
    /// The owner that the configuration names.
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// The file to write.
    #[arg(short, long, value_name = "FILE.onnx")]
    pub output: PathBuf,
    /// Replace the file if there is one.
    #[arg(long)]
    pub force: bool,
}

/// Reads both shares and writes the model.
///
/// # Errors
/// The shares do not belong together, or not to this owner; a file cannot be read or written.
pub fn run(args: &OpenArgs) -> Result<()> {
    let (first, second) = (Share::load(&args.first)?, Share::load(&args.second)?);
    let (ours, theirs) = (&first.header, &second.header);
    let wrong = |reason: &str| -> Result<()> { Err(WrongArguments(reason.to_owned()).into()) };
    if ours.party == theirs.party {
        let party = ours.party;
        wrong(&format!("both files are shares of party {party}; give one of each server"))?;
    }
    if ours.run != theirs.run || ours.step != theirs.step {
        wrong("the files are shares of different runs or steps; give those of one run")?;
    }
    if (&ours.config, ours.sizes, &ours.columns) != (&theirs.config, theirs.sizes, &theirs.columns)
    {
        wrong("the servers trained with different configurations, or on different data; ask both")?;
    }
    expect_none(&args.output, args.force)?;
    let config = Config::parse(&ours.config, &args.first)?;
    match config.open.model.as_ref().map(|open| &open.to) {
        Some(owner) if *owner == args.owner => {}
        Some(owner) => {
            wrong(&format!("the configuration gives the model to {owner}, not to {}", args.owner))?;
        }
        None => wrong("the configuration does not open the model; it must say `open.model`")?,
    }
    let course = Arc::new(Course::new(config, ours.sizes)?);
    let mut model = Model::zeros(course.network(), course.has_momentum())?;
    let words: Vec<u64> =
        first.words.iter().zip(&second.words).map(|(a, b)| a.wrapping_add(*b)).collect();
    // Behind the model are the sums of the last epoch, and the scaling.
    let (of_model, behind) = words.split_at_checked(model.words().count()).unwrap_or((&[], &words));
    let scaling = behind.get(2..).unwrap_or_default();
    let fits = first.words.len() == second.words.len()
        && of_model.len() == model.words().count()
        && scaling.len() == ours.sizes.standardised * COLUMN_WORDS;
    if !fits {
        bail!(TrainingError::Damaged { path: args.second.clone() });
    }
    model.words_mut().zip(of_model).for_each(|(word, opened)| *word = *opened);
    let bytes = onnx(&course, &model, scaling.as_chunks().0)?;
    sharelet_link::files::write_file(&args.output, &[&bytes])?;
    tracing::info!("wrote {}", args.output.display());
    Ok(())
}

/// A trained model as an ONNX file that takes values as they were shared; `scaling` are the words
/// of every column that was standardised.
///
/// # Errors
/// The file has no room for it.
pub fn onnx(course: &Course, model: &Model, scaling: &[[u64; COLUMN_WORDS]]) -> Result<Vec<u8>> {
    let bits = course.frac_bits();
    let columns: Vec<(f64, f64)> =
        scaling.iter().map(|column| scaling::numbers(*column, bits)).collect();
    let (features, targets) = columns.split_at(course.sizes().features.min(columns.len()));
    let parameters = scaling::fold(course.network(), &numbers(model, bits), features, targets);
    // The course has only networks for which there is one.
    let parameters = parameters.ok_or(NetworkError::NoWeights)?.to_f32();
    Ok(write::onnx(course.network(), &parameters, "sharelet")?)
}
