//! What exporters compute from constants alone is computed when a file is read.

use core::f64::consts::SQRT_2;

use prost::Message as _;
use sharelet_import::lower::lower;
use sharelet_import::onnx;
use sharelet_import::onnx_proto::*;
use sharelet_testkit::onnx::{int, ints, model, node, shape, tensor, with};
use sharelet_testkit::says;

/// `w` of `x w`, row-major, as these nodes compute it from these constants.
fn computed(
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    version: i64,
) -> Result<Vec<f64>, String> {
    let nodes = nodes.into_iter().chain([node("MatMul", &["x", "w"], "y")]).collect();
    let mut file = model(2, nodes, constants);
    file.opset_import[0].version = version;
    let graph = onnx::read(&file.encode_to_vec(), None);
    let chain = graph.and_then(|graph| lower(&graph)).map_err(|error| error.to_string())?;
    let outputs = chain.layers[0].outputs();
    let weights = &chain.layers[0].map.weights;
    Ok((0..2 * outputs).map(|index| weights[index % outputs * 2 + index / outputs]).collect())
}

fn typed(name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> TensorProto {
    TensorProto { data_type, raw_data, ..tensor(name, dims, &[]) }
}

/// Words of half precision: 1, 2, -0.5, 65504.
const HALVES: [u16; 4] = [0x3C00, 0x4000, 0xB800, 0x7BFF];

fn constants() -> Vec<TensorProto> {
    let halves: Vec<u8> = HALVES.iter().flat_map(|word| word.to_le_bytes()).collect();
    let brains: Vec<u8> = [0x3F80_u16, 0x4000, 0xBF00, 0x4040].map(u16::to_le_bytes).concat();
    vec![
        tensor("a", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        tensor("b", &[2], &[10.0, 20.0]),
        tensor("c", &[2, 1], &[5.0, 6.0]),
        tensor("d", &[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]),
        tensor("two", &[], &[2.0]),
        tensor("four", &[4], &[1.0, 2.0, 3.0, 4.0]),
        typed("half", &[2, 2], FLOAT16, halves),
        TensorProto {
            int32_data: HALVES.iter().map(|&word| word.into()).collect(),
            ..typed("told half", &[2, 2], FLOAT16, vec![])
        },
        typed("brain", &[2, 2], BFLOAT16, brains),
        typed("bytes", &[2, 2], INT8, vec![1, 255, 128, 127]),
        typed("zeros", &[2], INT8, vec![1, 255]),
        tensor("scales", &[2], &[0.5, 2.0]),
        typed("zero", &[], INT8, vec![1]),
        tensor("scale", &[], &[0.5]),
        shape("square", &[2, 2]),
        shape("one", &[1]),
        shape("none", &[0]),
        shape("first", &[0]),
        shape("back", &[-1]),
        shape("beyond", &[i64::MIN]),
        shape("rows", &[1, -2]),
    ]
}

#[test]
fn constants_are_those_of_the_definitions() {
    let cast = |from| with(node("Cast", &[from], "w"), vec![int("to", 1)]);
    let joined = |inputs: &[&str], axis| with(node("Concat", inputs, "w"), vec![int("axis", axis)]);
    let dequantised = |inputs: &[&str], axis| {
        with(node("DequantizeLinear", inputs, "w"), vec![int("axis", axis)])
    };
    let turned = with(node("Transpose", &["d"], "t"), vec![ints("perm", &[2, 0, 1])]);
    let value = AttributeProto {
        name: "value".into(),
        t: Some(tensor("", &[1], &[7.0])),
        ..AttributeProto::default()
    };
    let slice = |end| node("Slice", &["a", "back", end, "first", "back"], "w");
    let cases: Vec<(Vec<NodeProto>, &[f64])> = vec![
        (vec![cast("half")], &[1.0, 2.0, -0.5, 65504.0]),
        (vec![cast("told half")], &[1.0, 2.0, -0.5, 65504.0]),
        (vec![cast("brain")], &[1.0, 2.0, -0.5, 3.0]),
        (vec![cast("bytes")], &[1.0, -1.0, -128.0, 127.0]),
        (vec![joined(&["a", "c"], 1)], &[1.0, 2.0, 5.0, 3.0, 4.0, 6.0]),
        (vec![joined(&["c", "c"], -1)], &[5.0, 5.0, 6.0, 6.0]),
        (vec![node("Add", &["a", "b"], "w")], &[11.0, 22.0, 13.0, 24.0]),
        (vec![node("Sub", &["c", "a"], "w")], &[4.0, 3.0, 3.0, 2.0]),
        (vec![node("Mul", &["a", "two"], "w")], &[2.0, 4.0, 6.0, 8.0]),
        (vec![node("Div", &["a", "c"], "w")], &[0.2, 0.4, 0.5, 4.0 / 6.0]),
        (vec![node("Neg", &["a"], "w")], &[-1.0, -2.0, -3.0, -4.0]),
        (vec![node("Sqrt", &["a"], "w")], &[1.0, SQRT_2, 1.732_050_807_568_877, 2.0]),
        (vec![node("Reciprocal", &["a"], "w")], &[1.0, 0.5, 1.0 / 3.0, 0.25]),
        (vec![with(node("ConstantOfShape", &["square"], "w"), vec![value])], &[7.0, 7.0, 7.0, 7.0]),
        (
            vec![node("ConstantOfShape", &["square"], "o"), node("Add", &["o", "a"], "w")],
            &[1.0, 2.0, 3.0, 4.0],
        ),
        (vec![node("Reshape", &["four", "square"], "w")], &[1.0, 2.0, 3.0, 4.0]),
        (
            vec![node("Shape", &["a"], "s"), node("Reshape", &["four", "s"], "w")],
            &[1.0, 2.0, 3.0, 4.0],
        ),
        (vec![node("Squeeze", &["d", "none"], "w")], &[1.0, 2.0, 3.0, 4.0]),
        (vec![node("Unsqueeze", &["b", "one"], "w")], &[10.0, 20.0]),
        (vec![turned, node("Reshape", &["t", "square"], "w")], &[1.0, 3.0, 2.0, 4.0]),
        (vec![slice("beyond")], &[3.0, 4.0, 1.0, 2.0]),
        (vec![node("Gather", &["a", "rows"], "w")], &[3.0, 4.0, 1.0, 2.0]),
        (vec![node("Expand", &["b", "square"], "w")], &[10.0, 20.0, 10.0, 20.0]),
        (vec![dequantised(&["bytes", "scale"], 0)], &[0.5, -0.5, -64.0, 63.5]),
        (vec![dequantised(&["bytes", "scale", "zero"], 1)], &[0.0, -1.0, -64.5, 63.0]),
        (vec![dequantised(&["bytes", "scales", "zeros"], 0)], &[0.0, -1.0, -254.0, 256.0]),
        (vec![dequantised(&["bytes", "scales", "zeros"], 1)], &[0.0, 0.0, -64.5, 256.0]),
    ];
    for (nodes, expected) in cases {
        let shown = format!("{nodes:?}");
        let found = computed(nodes, constants(), 13).unwrap_or_else(|e| panic!("{shown}: {e}"));
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7);
        assert!(near && found.len() == expected.len(), "{shown}: {found:?}");
    }
}

#[test]
fn constants_that_cannot_be_computed_are_refused_with_the_reason() {
    let with_int = |kind, inputs: &[&str], name, value| {
        vec![with(node(kind, inputs, "w"), vec![int(name, value)])]
    };
    let huge = shape("huge", &[1 << 30, 1 << 30]);
    let large = shape("large", &[2, 1 << 26]);
    let cases = [
        (with_int("Concat", &["a", "d"], "axis", 0), "its parts do not fit each other"),
        (with_int("Concat", &["a", "square"], "axis", 0), "its parts do not fit each other"),
        (with_int("Concat", &["a", "a"], "axis", 2), "its axis is none"),
        (with_int("Cast", &["a"], "to", 10), "cast to a type that is not computed"),
        (vec![node("Add", &["a", "square"], "w")], "its operands do not fit each other"),
        (vec![node("Add", &["a", "four"], "w")], "its operands do not fit each other"),
        (vec![node("Div", &["square", "none"], "w")], "its operands do not fit each other"),
        (vec![node("ConstantOfShape", &["huge"], "w")], "its dimensions are too large"),
        (vec![node("ConstantOfShape", &["large"], "w")], "its dimensions are too large"),
        (vec![node("ConstantOfShape", &["back"], "w")], "a dimension is negative"),
        (vec![node("Reshape", &["a", "one"], "w")], "its dimensions do not fit"),
        (vec![node("Erf", &["a"], "w")], "is what Erf makes of constants"),
        (
            vec![node("Erf", &["a"], "e"), node("Neg", &["e"], "w")],
            "Neg makes of constants: its input is what Erf makes of constants",
        ),
        (with_int("DequantizeLinear", &["bytes", "scale"], "block_size", 1), "block_size"),
        (vec![node("DequantizeLinear", &["a", "scale"], "w")], "is not of whole numbers"),
        (
            with_int("DequantizeLinear", &["bytes", "four"], "axis", 0),
            "its scales do not fit its values",
        ),
        (vec![node("Identity", &["bytes"], "w")], "is of whole numbers"),
    ];
    for (nodes, what) in cases {
        let all = constants().into_iter().chain([huge.clone(), large.clone()]).collect();
        let shown = format!("{nodes:?}");
        let error = computed(nodes, all, 13).expect_err(&shown);
        assert!(error.contains(what), "{shown}: {error}");
    }
    // A short file does not ask for more and more memory.
    let doubled = (0..40).map(|index| {
        let (from, to) = (format!("v{index}"), format!("v{}", index + 1));
        with(node("Concat", &[&from, &from], &to), vec![int("axis", 0)])
    });
    let nodes = doubled.chain([node("Identity", &["v40"], "w")]).collect();
    let error = computed(nodes, vec![tensor("v0", &[1024, 2], &[1.0; 2048])], 13).unwrap_err();
    says(&error, "makes of constants");
    // Blocks are of later operator sets.
    let nodes = with_int("DequantizeLinear", &["bytes", "scale"], "block_size", 1);
    says(&computed(nodes, constants(), 21).unwrap_err(), "scales for blocks");
}
