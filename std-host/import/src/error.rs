//! Why a network is refused, or no scales can be chosen for it.

use sharelet_core::session::network::{NetworkError, RING_BITS};

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
    /// Weights in a second file: the first such tensor.
    #[error(
        "the weights of `{0}` are in another file; export again with the weights inside (without \
         external data)"
    )]
    ExternalData(String),
    /// Weights in a file beside the model that is not as it must be.
    #[error("the weights of `{tensor}` are in another file: {what}")]
    External {
        /// The tensor, or the graph.
        tensor: String,
        /// What is wrong, and what to do.
        what: String,
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
    /// Not a float network: what is of another type.
    #[error("{0} is not float32; export the network before it is quantised")]
    NotFloat(String),
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
    /// over: where following ended.
    #[error(
        "the output cannot be followed back to the input (at `{0}`): layers must follow each \
         other, and a sum's other value come from an earlier layer; if the network is such a one, \
         the file is damaged or exported in parts: export it again"
    )]
    NotAChain(String),
    /// No layer with weights between input and output.
    #[error(
        "there is no layer with weights between input and output; nothing to compute in private"
    )]
    NoLayers,
    /// A ReLU on the input itself: the node.
    #[error(
        "ReLU `{0}` is applied to the input itself; apply it to the readings instead and \
         remove it from the network"
    )]
    ReluOnInput(String),
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
    /// NaN or an infinity among the weights of a node.
    #[error(
        "`{0}` has a weight or bias that is not a finite number; training has diverged: train \
         again"
    )]
    NotFinite(String),
}

/// A node that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// Kind as the file calls it.
    pub op_type: String,
    /// Name of the node.
    pub name: String,
    /// Why, if more can be said than the kind.
    pub reason: Option<String>,
}

/// Why a node of a file is not computed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file itself is at fault.
    #[error(transparent)]
    File(#[from] GraphError),
    /// It cannot be, and why, if more can be said than its kind.
    #[error("{}", .0.as_deref().unwrap_or("an unknown kind"))]
    Node(Option<String>),
}

/// Why a padding that is a node of its own is not computed.
pub const PAD: &str = "it pads on its own; let the padding of the convolution behind it do that";

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Node(Some(reason))
    }
}

impl From<&str> for Refused {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let line = |node: &UnsupportedNode| {
        let reason = node.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("\n  {} `{}`{reason}", node.op_type, node.name)
    };
    nodes.iter().map(line).collect()
}

/// Why no scales can be chosen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// An option is out of range.
    #[error("--{option} {given} is out of range; give at most {limit}")]
    OptionOutOfRange {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        given: u8,
        /// The largest value.
        limit: u8,
    },
    /// The readings are not as wide as the network.
    #[error(
        "calibration readings of {found} values where the network takes {expected}; use readings \
         that belong to this network"
    )]
    Width {
        /// Values the network takes.
        expected: usize,
        /// Values per reading.
        found: usize,
    },
    /// All readings are zero.
    #[error(
        "all calibration readings are zero; ranges cannot be taken from them: use real readings"
    )]
    AllZero,
    /// The largest input does not fit the ring at the scale asked for.
    #[error(
        "the input reaches {largest:.6} in magnitude, which does not fit {RING_BITS} bits with \
         {frac_bits} fraction bits and {headroom_bits} bits of head-room; lower --input-frac-bits \
         or divide the readings"
    )]
    InputRange {
        /// The largest magnitude.
        largest: f64,
        /// Fraction bits.
        frac_bits: u8,
        /// Head-room.
        headroom_bits: u8,
    },
    /// A layer's accumulators do not fit the ring.
    #[error(
        "layer {layer} (`{name}`): accumulators from {low:.6} to {high:.6} do not fit {RING_BITS} \
         bits beside {frac_bits} fraction bits of its {what} and {headroom_bits} bits of \
         head-room; lower --{option} or --headroom-bits, or normalise the readings before training"
    )]
    Range {
        /// Index of the layer.
        layer: usize,
        /// Its name.
        name: String,
        /// The smallest accumulator over the calibration readings.
        low: f64,
        /// The largest one.
        high: f64,
        /// Fraction bits that are needed beside it.
        frac_bits: u8,
        /// What has these bits: `inputs` or `outputs`.
        what: &'static str,
        /// The option that lowers them.
        option: &'static str,
        /// Head-room.
        headroom_bits: u8,
    },
    /// All weights of a layer become zero.
    #[error(
        "layer {layer} (`{name}`): the largest weight, {largest:e}, becomes zero with {frac_bits} \
         fraction bits, all that accumulators from {low:.6} to {high:.6} leave room for; lower \
         --headroom-bits or normalise the readings before training"
    )]
    Vanished {
        /// Index of the layer.
        layer: usize,
        /// Its name.
        name: String,
        /// The largest magnitude of a weight.
        largest: f64,
        /// Fraction bits of the weights.
        frac_bits: u8,
        /// The smallest accumulator over the calibration readings.
        low: f64,
        /// The largest one.
        high: f64,
    },
    /// The description breaks a rule of the core.
    #[error("the network cannot be described: {0}")]
    Description(NetworkError),
}
