//! From a trained float network to a model:
//! `file -> graph -> steps -> chain of layers -> quantised model`.
//!
//! * [`graph`] is our own small graph; `onnx` and `tflite` read files into it and know nothing
//!   else;
//! * [`dims`] follows the dimensions of its values ([`form`], [`window`]), [`walk`] the way from
//!   input to output; [`lower`] and [`fold`] make of them a [`layer::Chain`] of layers in floating
//!   point;
//! * [`quantise`] chooses scales from calibration readings and gives a [`sharelet_model::Model`];
//! * [`report`] prints what was chosen;
//! * [`mod@write`] goes the other way: a network that was trained here, as an ONNX file.
//!
//! This is the only room that knows ONNX or TFLite. It is compiled with the feature `import` only.

pub mod dims;
pub mod fold;
pub mod form;
pub mod graph;
pub mod layer;
pub mod lower;
pub mod onnx;
pub mod onnx_proto;
pub mod onnx_window;
pub mod quantise;
pub mod report;
pub mod scales;
pub mod tflite;
pub mod tflite_schema;
pub mod tflite_window;
pub mod walk;
pub mod window;
pub mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use graph::{Graph, UnsupportedNode};

/// Why a network file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The bytes are not a whole file of the format.
    #[error(
        "not a readable {format} file: {what}; the file may be cut or damaged: export or copy it \
         again"
    )]
    Corrupt {
        /// The format.
        format: &'static str,
        /// What was found.
        what: String,
    },
    /// Weights in a second file.
    #[error(
        "the weights of `{tensor}` are in another file; export again with the weights inside \
         (without external data)"
    )]
    ExternalData {
        /// The first such tensor.
        tensor: String,
    },
    /// More or less than one input and one output.
    #[error(
        "{inputs} inputs and {outputs} outputs where one of each is expected; export the part \
         that computes one answer from one reading"
    )]
    Interface {
        /// Inputs found.
        inputs: usize,
        /// Outputs found.
        outputs: usize,
    },
    /// Not a float network.
    #[error("{what} is not float32; export the network before it is quantised")]
    NotFloat {
        /// What is of another type.
        what: String,
    },
    /// Nodes that cannot be computed, all of them.
    #[error(
        "{} unsupported node(s):{}\nsupported are dense layers, convolutions (of one and two \
        dimensions, grouped, depthwise), average and max pools, sums of two values, batch \
        normalisation, ReLU, ReLU6 and changes of dimensions, and a softmax or the like at the \
        end; remove the others or export the network up to them",
        .0.len(),
        list(.0),
    )]
    Unsupported(Vec<UnsupportedNode>),
    /// The nodes do not form a chain from the input to the output, beside which values are carried
    /// over.
    #[error(
        "the output cannot be followed back to the input (at `{at}`): layers must follow each \
         other, and a sum's other value come from an earlier layer; if the network is such a one, \
         the file is damaged or exported in parts: export it again"
    )]
    NotAChain {
        /// Where following ended.
        at: String,
    },
    /// No layer with weights between input and output.
    #[error(
        "there is no layer with weights between input and output; nothing to compute in private"
    )]
    NoLayers,
    /// A ReLU on the input itself.
    #[error(
        "ReLU `{node}` is applied to the input itself; apply it to the readings instead and \
         remove it from the network"
    )]
    ReluOnInput {
        /// The node.
        node: String,
    },
    /// A node gets another number of values than it takes.
    #[error("`{node}` takes {expected} values and gets {found}; export the network again")]
    Width {
        /// The node.
        node: String,
        /// Values it takes.
        expected: usize,
        /// Values it gets.
        found: usize,
    },
    /// A node that works on images does not get one that it takes.
    #[error("`{node}` {what}")]
    Image {
        /// The node.
        node: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A layer is wider than a description can say.
    #[error(
        "`{node}` has a size of {width} where at most {limit} is possible; use a smaller layer"
    )]
    TooWide {
        /// The node.
        node: String,
        /// Its width.
        width: usize,
        /// The most that is possible.
        limit: usize,
    },
    /// NaN or an infinity among the weights.
    #[error(
        "`{node}` has a weight or bias that is not a finite number; training has diverged: train \
         again"
    )]
    NotFinite {
        /// The node.
        node: String,
    },
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let line = |node: &UnsupportedNode| {
        let reason = node.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("\n  {} `{}`{reason}", node.op_type, node.name)
    };
    nodes.iter().map(line).collect()
}

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
    /// The table cannot be printed.
    #[error("the report cannot be printed: {0}; nothing was written")]
    Print(io::Error),
}

/// Reads a network file and lowers it; the format follows from its name, or else from its bytes.
///
/// # Errors
/// [`ImportError`] with the path of the file.
pub fn read(path: &Path) -> Result<layer::Chain, ImportError> {
    let bytes =
        fs::read(path).map_err(|source| ImportError::Io { path: path.to_owned(), source })?;
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let graph = match extension.as_deref() {
        Some("onnx") => onnx::read(&bytes),
        Some("tflite") => tflite::read(&bytes),
        _ if bytes.get(4..8) == Some(tflite_schema::IDENTIFIER) => tflite::read(&bytes),
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
