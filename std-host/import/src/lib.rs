//! From a trained float network to a model:
//! `file -> graph -> steps -> chain of layers -> quantised model`.
//!
//! * [`graph`] is our own small graph; `onnx` and `tflite` read files into it and know nothing
//!   else. What a file computes from constants is computed there ([`mod@array`]);
//! * [`dims`] follows the dimensions of its values ([`form`], [`window`]); `check` collects all
//!   that speaks against it; [`walk`] finds the way from input to output; [`lower`] and [`fold`]
//!   make of it a [`layer::Chain`] of layers in floating point;
//! * [`quantise`] chooses scales from calibration readings and gives a [`sharelet_model::Model`];
//! * [`report`] prints what was chosen;
//! * [`mod@write`] goes the other way: a network that was trained here, as an ONNX file.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use sharelet_import::columns::quantise;
//! use sharelet_import::quantise::Options;
//! use sharelet_model::readings::{ReadOptions, Readings};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let chain = sharelet_import::read(Path::new("network.onnx"))?;
//! let calibration = Readings::load(Path::new("calibration.npy"), ReadOptions::default())?;
//! let (model, _) = quantise(&chain, &calibration, &Options::default())?;
//! model.save(Path::new("model.slt"))?;
//! # Ok(())
//! # }
//! ```
//!
//! This is the only crate that knows ONNX or TFLite. It is compiled with the feature `import` only.

pub mod array;
pub mod cell;
mod check;
mod choose;
pub mod columns;
mod compare;
mod counted;
pub mod dims;
mod error;
pub mod fold;
pub mod form;
pub mod function;
pub mod graph;
mod half;
mod joins;
mod kernel;
mod knots;
pub mod layer;
mod leaky;
pub mod lower;
mod maps;
mod means;
mod narrow;
pub mod onnx;
mod onnx_batch;
mod onnx_external;
mod onnx_fold;
mod onnx_ml;
mod onnx_node;
mod onnx_opset;
mod onnx_order;
mod onnx_pick;
pub mod onnx_proto;
mod onnx_recurrent;
mod onnx_sizes;
mod onnx_steps;
mod onnx_tensor;
mod onnx_window;
mod pad;
pub mod pieces;
mod pointwise;
mod pool_first;
mod products;
pub mod quantise;
mod ranges;
mod recurrent;
pub mod report;
mod rewrite;
mod rows;
pub mod scales;
mod softmax;
pub mod spline;
mod stack;
pub mod steps;
mod stress;
pub mod tflite;
mod tflite_options;
mod tflite_schema;
mod tflite_steps;
mod tflite_tensor;
mod tflite_window;
pub mod walk;
pub mod window;
pub mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use error::GraphError;
use graph::Graph;

/// Why a file is not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The network file cannot be read.
    #[error("{path}: {source}; check the path and its permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Neither ONNX nor TFLite.
    #[error("{path}: unknown format; give an .onnx or .tflite file", path = path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The network is refused.
    #[error("{path}: {source}", path = path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// Why.
        source: GraphError,
    },
    /// Scales cannot be chosen.
    #[error(transparent)]
    Quantise(#[from] quantise::QuantiseError),
    /// The calibration readings are refused.
    #[error("calibration: {0}")]
    Readings(#[from] sharelet_model::readings::ReadingsError),
    /// The model is refused or cannot be written.
    #[error(transparent)]
    Model(#[from] sharelet_model::ModelError),
    /// There is a file where the model is to be written.
    #[error(
        "{path} exists already; choose another name, or replace it with --force",
        path = path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No dealer serves the model.
    #[error(
        "the model needs {found} bytes of {what} where a dealer serves at most {limit}; use \
         smaller layers"
    )]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// Bytes that the model needs.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// The table cannot be printed.
    #[error("the report cannot be printed: {0}; nothing was written")]
    Print(io::Error),
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a network file and lowers it; the format follows from its name, or else from its bytes.
///
/// # Errors
/// [`ImportError`] with the path of the file.
pub fn read(path: &Path) -> Result<layer::Chain, ImportError> {
    read_output(path, None)
}

/// The same, with the value of this name as the answer: an output of the network, or any other.
///
/// # Errors
/// [`ImportError`] with the path of the file.
pub fn read_output(path: &Path, output: Option<&str>) -> Result<layer::Chain, ImportError> {
    let bytes =
        fs::read(path).map_err(|source| ImportError::Io { path: path.to_owned(), source })?;
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let graph = match extension.as_deref() {
        Some("onnx") => onnx::read_output(&bytes, Some(folder_of(path)), output),
        Some("tflite") => tflite::read_output(&bytes, output),
        _ if bytes.get(4..8) == Some(tflite_schema::IDENTIFIER) => {
            tflite::read_output(&bytes, output)
        }
        _ => return Err(ImportError::UnknownFormat { path: path.to_owned() }),
    };
    let mut chain = graph
        .and_then(|graph: Graph| lower::lower(&graph))
        .map_err(|source| ImportError::Graph { path: path.to_owned(), source })?;
    // The same network is the same model whatever file it came in: its name is that of the file,
    // not of the exporter.
    chain.name =
        path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(chain)
}
