//! What operators and their attributes mean in which operator set (ONNX, *Changelog of operators*).
//!
//! An attribute outside the sets that define it, or a value that means something that is not
//! computed here, is refused by name: it is never read as what it means elsewhere.

use super::error::Refused;
use super::onnx_ml::DOMAIN;
use super::onnx_proto::NodeProto;

/// The latest operator set that this table was held against.
const LATEST: i64 = 28;
/// The same of the second set, whose operators that are computed mean the same in all versions.
const LATEST_ML: i64 = 5;
/// The end of a range that is still open.
const OPEN: i64 = i64::MAX;

/// An operator: the first set in which it means what is computed here, and attributes with the
/// first and last set that define them. What is not named is of every set.
type Known = (&'static [&'static str], i64, &'static [(&'static str, i64, i64)]);

const TABLE: &[Known] = &[
    (&["Relu", "LeakyRelu", "Sigmoid", "Tanh"], 1, &[("consumed_inputs", 1, 5)]),
    (&["Neg", "Sqrt", "Reciprocal", "Exp"], 6, &[]),
    (&["Elu", "HardSigmoid"], 1, &[("consumed_inputs", 1, 5)]),
    // Other defaults.
    (&["Selu"], 6, &[]),
    (&["Softplus", "Softsign"], 1, &[]),
    (&["Pow"], 7, &[]),
    (&["Erf"], 9, &[]),
    (&["Celu"], 12, &[]),
    (&["HardSwish"], 14, &[]),
    (&["Mish"], 18, &[]),
    (&["Gelu"], 20, &[]),
    (&["Swish"], 24, &[]),
    (&["PRelu"], 7, &[]),
    (&["Pad"], 2, &[("pads", 2, 10), ("value", 2, 10)]),
    (&["Concat"], 4, &[]),
    (&["Sum"], 8, &[]),
    (&["Split"], 2, &[("split", 2, 12), ("num_outputs", 18, OPEN)]),
    (&["LSTM", "GRU", "RNN"], 7, &[("layout", 14, OPEN)]),
    (&["Slice"], 1, &[("starts", 1, 9), ("ends", 1, 9), ("axes", 1, 9)]),
    (
        &["QuantizeLinear"],
        10,
        &[
            ("axis", 13, OPEN),
            ("saturate", 19, OPEN),
            ("block_size", 21, OPEN),
            ("output_dtype", 21, OPEN),
        ],
    ),
    (&["DequantizeLinear"], 10, &[("axis", 13, OPEN), ("block_size", 21, OPEN)]),
    (&["Softmax", "LogSoftmax", "Flatten", "Transpose", "Identity", "MatMul"], 1, &[]),
    (&["Conv", "GlobalAveragePool", "Constant", "Gather", "ArgMax"], 1, &[]),
    (&["Shape"], 1, &[("start", 15, OPEN), ("end", 15, OPEN)]),
    (&["ConstantOfShape"], 9, &[]),
    (&["Expand"], 8, &[]),
    (&["Reshape"], 5, &[("shape", 1, 4), ("allowzero", 14, OPEN)]),
    (&["Squeeze", "Unsqueeze"], 1, &[("axes", 1, 12)]),
    (
        &["AveragePool"],
        1,
        &[("count_include_pad", 7, OPEN), ("ceil_mode", 10, OPEN), ("dilations", 19, OPEN)],
    ),
    (
        &["MaxPool"],
        1,
        &[("storage_order", 8, OPEN), ("ceil_mode", 10, OPEN), ("dilations", 10, OPEN)],
    ),
    (&["ReduceMean"], 1, &[("axes", 1, 17), ("noop_with_empty_axes", 18, OPEN)]),
    (&["Clip"], 6, &[("min", 6, 10), ("max", 6, 10)]),
    (&["Cast"], 6, &[]),
    (&["Dropout"], 1, &[("is_test", 1, 6), ("ratio", 1, 11)]),
    (&["Gemm"], 1, &[("broadcast", 1, 6)]),
    (
        &["BatchNormalization"],
        1,
        &[("spatial", 1, 8), ("is_test", 1, 6), ("training_mode", 14, OPEN)],
    ),
    (&["Add", "Sub", "Mul", "Div"], 1, &[("broadcast", 1, 6), ("axis", 1, 6)]),
];

/// The operator set of a file, held against the latest that is known.
///
/// # Errors
/// A sentence about the file.
pub(super) fn known(version: i64) -> Result<i64, String> {
    if (1..=LATEST).contains(&version) {
        Ok(version)
    } else {
        Err(format!("it is of operator set {version}; known are 1 to {LATEST}"))
    }
}

/// The second operator set of a file, held against the latest that is known.
///
/// # Errors
/// A sentence about the file.
pub(super) fn known_ml(version: i64) -> Result<(), String> {
    match version {
        1..=LATEST_ML => Ok(()),
        _ => {
            Err(format!("it is of operator set {version} of {DOMAIN}; known are 1 to {LATEST_ML}"))
        }
    }
}

/// Whether a node means in its operator set what is computed here. Operators that are not computed
/// pass: they are refused as such.
pub(super) fn check(node: &NodeProto, version: i64) -> Result<(), Refused> {
    let op = node.op_type.as_str();
    let Some((_, since, attributes)) = TABLE.iter().find(|(ops, ..)| ops.contains(&op)) else {
        return Ok(());
    };
    let refused =
        |what: &str| Err(Refused::from(format!("in operator set {version}, {what}; export again")));
    if version < *since {
        return refused(&format!("before {since}, it means something else"));
    }
    for (name, first, last) in *attributes {
        if node.find(name).is_some() && !(first..=last).contains(&&version) {
            return refused(&format!("it has no attribute `{name}`"));
        }
    }
    let is = |name: &str, value: i64| node.integer(name, 1 - value) == value;
    let trains = "it is in training mode";
    match op {
        "Add" | "Sub" | "Mul" | "Div" if node.find("axis").is_some() => {
            refused("`axis` names the dimension that it adds along, which is not computed here")
        }
        "Dropout" if version < 7 && !is("is_test", 1) => refused(trains),
        "BatchNormalization" if version < 7 && !is("is_test", 1) => refused(trains),
        "BatchNormalization" if version < 9 && is("spatial", 0) => {
            refused("`spatial` is 0: it has statistics of every pixel")
        }
        "BatchNormalization" if is("training_mode", 1) => refused(trains),
        // Before there was an attribute, further outputs told.
        "BatchNormalization" if node.output.iter().skip(1).any(|name| !name.is_empty()) => {
            refused(trains)
        }
        "Reshape" if is("allowzero", 1) => refused("`allowzero` is 1: a zero is a dimension"),
        "ReduceMean" if is("noop_with_empty_axes", 1) => {
            refused("`noop_with_empty_axes` is 1: without axes it does nothing")
        }
        _ => Ok(()),
    }
}
