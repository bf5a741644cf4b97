//! `sharelet open`: both servers' shares of a trained model become an ONNX file for its owner.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::common::CommandError;
use sharelet_host::store::training::{Share, TrainingError};
use sharelet_import::write;
use sharelet_train::config::Config;
use sharelet_train::course::{Course, CourseError};
use sharelet_train::model::Model;
use sharelet_train::plain::numbers;

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
/// [`CommandError`].
pub fn run(args: &OpenArgs) -> Result<(), CommandError> {
    let wrong = |reason: String| CommandError::Arguments(reason);
    let (first, second) = (Share::load(&args.first)?, Share::load(&args.second)?);
    if first.header.party == second.header.party {
        return Err(wrong(format!(
            "both files are shares of party {}; give one of each server",
            first.header.party
        )));
    }
    if first.header.run != second.header.run || first.header.step != second.header.step {
        return Err(wrong(
            "the files are shares of different runs or steps; give those of one run".to_owned(),
        ));
    }
    if first.header.config != second.header.config || first.header.sizes != second.header.sizes {
        return Err(wrong(
            "the servers trained with different configurations, or on different data; ask both"
                .to_owned(),
        ));
    }
    if args.output.exists() && !args.force {
        return Err(CommandError::Exists { path: args.output.clone() });
    }
    let config = Config::parse(&first.header.config, &args.first).map_err(CourseError::from)?;
    match &config.open.model {
        Some(open) if open.to == args.owner => {}
        Some(open) => {
            return Err(wrong(format!(
                "the configuration gives the model to {}, not to {}",
                open.to, args.owner
            )));
        }
        None => {
            return Err(wrong(
                "the configuration does not open the model; it must say `open.model`".to_owned(),
            ));
        }
    }
    let course = Arc::new(Course::new(config, first.header.sizes)?);
    let mut model =
        Model::zeros(course.network(), course.has_momentum()).map_err(CourseError::from)?;
    if first.words.len() != second.words.len() || first.words.len() < model.words().count() {
        return Err(TrainingError::Damaged { path: args.second.clone() }.into());
    }
    let words = first.words.iter().zip(&second.words).map(|(a, b)| a.wrapping_add(*b));
    model.words_mut().zip(words).for_each(|(word, opened)| *word = opened);
    let parameters = numbers(&model, course.frac_bits()).to_f32();
    let bytes = write::onnx(course.network(), &parameters, "sharelet")
        .map_err(|error| wrong(error.to_string()))?;
    sharelet_link::files::write_file(&args.output, &[&bytes])?;
    tracing::info!("wrote {}", args.output.display());
    Ok(())
}
