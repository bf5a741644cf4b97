//! `sharelet task`: what data parties and server 0 know of a model.

use std::path::PathBuf;

use clap::Args;

use super::common::CommandError;
use crate::model::{Model, ModelError};
use crate::store::task;

const EXAMPLES: &str = "\
Examples:
  sharelet task model.slt -o task.bin

The file has 36 bytes: ring, numbers of inputs and outputs, scales, and the model's fingerprint; no weights. Data parties
and server 0 are given it; server 1 has the model itself. A model that is imported anew has a new task.";

/// Arguments of `sharelet task`.
#[derive(Args, Debug, Clone)]
#[command(about = "Write what the data parties of two servers know of a model", after_help = EXAMPLES)]
pub struct TaskArgs {
    /// The model.
    #[arg(value_name = "MODEL.slt")]
    pub model: PathBuf,
    /// Where the task is written.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Writes the task.
///
/// # Errors
/// [`CommandError`].
pub fn run(args: &TaskArgs) -> Result<(), CommandError> {
    let bytes = std::fs::read(&args.model).map_err(|source| ModelError::Io { path: args.model.clone(), source })?;
    let model = Model::from_bytes(&bytes, &args.model)?;
    let made = model.task(&bytes);
    task::save(&made, &args.output)?;
    tracing::info!("wrote {}: {} inputs, {} outputs", args.output.display(), made.inputs, made.outputs);
    Ok(())
}
