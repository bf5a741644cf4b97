//! Why a network is refused, or no scales can be chosen for it.

use sharelet_core::session::network::{MAX_COLUMNS, NetworkError, RING_BITS};

use super::function::Function;

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
    /// More or less than one output, where none was chosen: their names.
    #[error(
        "{} outputs where one is expected{}; choose one with --output NAME",
        .0.len(),
        names(.0)
    )]
    Outputs(Vec<String>),
    /// The answer depends on more or less than one input: their names.
    #[error(
        "{} inputs where one is expected{}; choose with --output NAME a value that depends on one \
         of them",
        .0.len(),
        names(.0)
    )]
    Inputs(Vec<String>),
    /// No value has the name that was asked for.
    #[error(
        "nothing that it computes from its input is named `{asked}`; its outputs are{}",
        names(.outputs).trim_start_matches(':')
    )]
    NoSuchOutput {
        /// What was asked for.
        asked: String,
        /// Outputs of the file.
        outputs: Vec<String>,
    },
    /// A graph too large to be a network that is served.
    #[error(
        "{found} nodes where at most {limit} are read; export the network for inference, with \
         constants folded"
    )]
    TooManyNodes {
        /// Nodes that the answer depends on.
        found: usize,
        /// The most that are read.
        limit: usize,
    },
    /// Neither a float network nor a quantised one: what is of another type.
    #[error(
        "{0} is neither float32 nor quantised to int8 or uint8; export again with one of these"
    )]
    NotFloat(String),
    /// A quantised input whose steps cannot be: its name, and what is wrong.
    #[error("{value} {what}")]
    Steps {
        /// What is counted in them.
        value: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Nodes that cannot be computed, all of them.
    #[error("{} unsupported node(s):{}\n{}", .0.len(), list(.0), advice(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// The nodes do not lead from the input to the output: where following ended.
    #[error(
        "no layers lead from the input to the output (at `{0}`): nodes run in a circle, or take \
         what no layer gives; export again"
    )]
    NotAChain(String),
    /// No layer with weights between input and output.
    #[error(
        "there is no layer with weights between input and output; nothing to compute in private"
    )]
    NoLayers,
    /// An activation of the input itself: the node.
    #[error(
        "activation `{0}` is applied to the input itself; apply it to the readings instead and \
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

impl GraphError {
    /// What is wrong, behind the name of the node that it is about.
    #[must_use]
    pub fn of_node(&self) -> String {
        match self {
            Self::Image { what, .. } => format!("it {what}"),
            Self::Width { expected, found, .. } => {
                format!("it takes {expected} values and gets {found}")
            }
            Self::TooWide { width, limit, .. } => {
                format!("it has a size of {width} where at most {limit} is possible")
            }
            Self::NotFinite(_) => "it has a weight or bias that is not a finite number".to_owned(),
            other => other.to_string(),
        }
    }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let line = |node: &UnsupportedNode| {
        let reason = node.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("\n  {} `{}`{reason}", node.op_type, node.name)
    };
    nodes.iter().map(line).collect()
}

fn names(names: &[String]) -> String {
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if listed.is_empty() { String::new() } else { format!(": {}", listed.join(", ")) }
}

/// What may be put in the place of kinds of nodes, and to what end.
const ADVICE: &[(&str, &str)] = &[
    (
        "HardTanh ThresholdedRelu Shrink Abs ABS",
        "train with ReLU, ReLU6, leaky ReLU, tanh or SiLU in the place of other activations",
    ),
    (
        "GlobalMaxPool ReduceMax REDUCE_MAX",
        "put a max-pool with a window of the image's size in the place of the global one",
    ),
    (
        "LSTM GRU RNN Loop Scan If LSTM WHILE IF CALL_ONCE UNIDIRECTIONAL_SEQUENCE_LSTM",
        "unroll what repeats, or train a convolution over time in its place",
    ),
    (
        "QuantizeLinear DequantizeLinear QLinearConv QLinearMatMul MatMulInteger ConvInteger \
         DynamicQuantizeLinear QUANTIZE DEQUANTIZE",
        "export with int8 and scales (in ONNX as QuantizeLinear and DequantizeLinear around \
         operators of floating point), or export the network before it is quantised",
    ),
    (
        "LayerNormalization InstanceNormalization GroupNormalization LRN \
         LOCAL_RESPONSE_NORMALIZATION L2_NORMALIZATION Normalizer",
        "train with batch normalisation, which is folded into weights",
    ),
];

/// What helps against these nodes.
fn advice(nodes: &[UnsupportedNode]) -> String {
    let mut lines = String::new();
    for (kinds, advice) in ADVICE {
        let is = |node: &UnsupportedNode| {
            let kind = node.op_type.rsplit('.').next().unwrap_or_default();
            kinds.split_whitespace().any(|known| known == kind)
        };
        if nodes.iter().any(is) {
            lines += &format!("  {advice}\n");
        }
    }
    let told = |what: &str| {
        nodes.iter().any(|node| node.reason.as_ref().is_some_and(|reason| reason.contains(what)))
    };
    if told("training mode") {
        lines += "  export the network for inference: in PyTorch, call eval() before the export\n";
    } else if told("export again") {
        lines += "  export with a later operator set\n";
    }
    format!(
        "what helps:\n{lines}  choose an earlier value with --output NAME, and let the recipient \
         of the answer compute the rest\ncomputed are dense layers, convolutions, average and max \
         pools, sums of two values, batch normalisation, ReLU, ReLU6, leaky ReLU, limits, sigmoid, \
         tanh, GELU, SiLU, hard-swish, ELU and the like, and changes of dimensions; a softmax or \
         the like at the end is left to the recipient"
    )
}

/// Why no scales can be chosen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// A scale for each input was asked for.
    #[error(
        "inputs cannot have a scale each: that is for float networks of 2 to {MAX_COLUMNS} inputs \
         that begin with a dense layer; leave --input-scale out"
    )]
    NoColumns,
    /// The same, of a network that takes its input past the first layer.
    #[error(
        "inputs cannot have a scale each: a layer that is not dense takes them, too, past the \
         first one; leave --input-scale out"
    )]
    CarriedColumns,
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
    /// Calibration readings that a quantised network has no words for.
    #[error(
        "calibration readings reach {largest:.6} in magnitude, and the network's own input goes \
         from {low:.6} to {high:.6}; give readings in the real numbers that its words stand for"
    )]
    Domain {
        /// The largest magnitude.
        largest: f64,
        /// The smallest value of a reading.
        low: f64,
        /// The largest one.
        high: f64,
    },
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
    /// An activation function of more values than its straight pieces have room for.
    #[error(
        "layer {layer} (`{name}`): {function} of {values} values takes more straight pieces than \
         there is room for, 256 and 65535 copies of values: use a smaller layer, or ReLU"
    )]
    Pieces {
        /// Index of the layer.
        layer: usize,
        /// Its name.
        name: String,
        /// The function.
        function: Function,
        /// Values that it is applied to.
        values: usize,
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
