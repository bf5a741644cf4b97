//! `sharelet task`: what data parties and server 0 know of a model.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::common::given;
use sharelet_host::server::shared::model::SharedModel;
use sharelet_host::store::task::{self, TaskFile};
use sharelet_link::files::FileError;
use sharelet_model::Model;

const EXAMPLES: &str = include_str!("examples/task.txt");

/// Arguments of `sharelet task`.
#[derive(Args, Debug, Clone)]
#[command(
    about = "Write what the data parties of two servers know of a model",
    after_help = EXAMPLES,
)]
pub struct TaskArgs {
    /// The model.
    #[arg(value_name = "MODEL.slt", required_unless_present = "shared", conflicts_with = "shared")]
    pub model: Option<PathBuf>,
    /// A server's share of a model that both servers share.
    #[arg(long, value_name = "MODEL.share")]
    pub shared: Option<PathBuf>,
    /// Where the task is written.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Writes the task.
///
/// # Errors
/// The model or its share cannot be read, or the task not be written.
pub fn run(args: &TaskArgs) -> Result<()> {
    let made = match &args.shared {
        Some(share) => {
            let SharedModel { task, columns, .. } = SharedModel::load(share)?;
            TaskFile { task, columns: Some(columns), exponents: Vec::new() }
        }
        None => {
            let path = given(args.model.as_ref(), "shared")?;
            let bytes = std::fs::read(path).map_err(FileError::at(path))?;
            let model = Model::from_bytes(&bytes, path)?;
            let exponents = model.network.input_exponents().to_vec();
            TaskFile { task: model.task(&bytes), columns: None, exponents }
        }
    };
    task::save(&made, &args.output)?;
    tracing::info!(
        "wrote {}: {} inputs, {} outputs",
        args.output.display(),
        made.task.inputs,
        made.task.outputs
    );
    Ok(())
}
