//! Both readers: what exporters write, what is refused, and that no bytes can make them panic.

use sharelet_import::GraphError;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::{
    AttributeProto, DOUBLE, EXTERNAL, ModelProto, NodeProto, TensorProto,
};
use sharelet_import::{onnx, tflite};
use sharelet_testkit::Rng;
use sharelet_testkit::assert_matches;
use sharelet_testkit::onnx::{
    bytes, encoded, float, int, ints, model, node, shape, tensor, value, with,
};
use sharelet_testkit::says;
use sharelet_testkit::tflite::{
    Constant, Field, Node, Operator, Table, Value, file, floats, graph, model as flat, quantised,
};

const W: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// `W` as 3 x 2, transposed.
const W_T: [f32; 6] = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
const B: [f32; 2] = [0.5, -100.0];
const X: [f32; 3] = [1.0, -1.0, 2.0];

fn read(bytes: &[u8]) -> Result<Chain, GraphError> {
    onnx::read(bytes, None).and_then(|graph| lower(&graph))
}

fn answer(width: i64, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Vec<f64> {
    read(&bytes(width, nodes, constants)).unwrap().infer(&X[..usize::try_from(width).unwrap()])
}

fn constants() -> Vec<TensorProto> {
    vec![
        tensor("w", &[2, 3], &W),
        tensor("wt", &[3, 2], &W_T),
        tensor("b", &[2], &B),
        tensor("b2", &[1, 2], &B),
    ]
}

/// A dense layer as PyTorch writes it.
fn gemm() -> Vec<NodeProto> {
    vec![with(node("Gemm", &["x", "w", "b"], "y"), vec![int("transB", 1)])]
}

#[test]
fn every_way_to_write_a_dense_layer() {
    let expected = vec![5.5, -89.0];
    assert_eq!(answer(3, gemm(), constants()), expected);
    assert_eq!(answer(3, vec![node("Gemm", &["x", "wt", "b2"], "y")], constants()), expected);
    let halves = vec![int("transB", 1), float("alpha", 0.5), float("beta", 2.0)];
    let halves = vec![with(node("Gemm", &["x", "w", "b"], "y"), halves)];
    assert_eq!(answer(3, halves, constants()), vec![3.5, -194.5]);
    let add = |inputs: &[&str]| vec![node("MatMul", &["x", "wt"], "m"), node("Add", inputs, "y")];
    assert_eq!(answer(3, add(&["m", "b"]), constants()), expected);
    assert_eq!(answer(3, add(&["b2", "m"]), constants()), expected);
    // PyTorch's MatMul takes a weight that is transposed at run time, or constants that are nodes.
    let nodes = vec![
        with(node("Transpose", &["w"], "w_t"), vec![ints("perm", &[1, 0])]),
        with(
            node("Constant", &[], "bias"),
            vec![AttributeProto {
                name: "value".into(),
                t: Some(tensor("", &[2], &B)),
                ..Default::default()
            }],
        ),
        node("Identity", &["bias"], "bias2"),
        node("MatMul", &["x", "w_t"], "m"),
        node("Add", &["m", "bias2"], "y"),
    ];
    assert_eq!(answer(3, nodes, constants()), expected);
}

#[test]
fn other_encodings_of_constants() {
    let w = TensorProto { raw_data: vec![], float_data: W.to_vec(), ..tensor("w", &[2, 3], &[]) };
    let b = TensorProto {
        raw_data: vec![],
        double_data: vec![0.5, -100.0],
        data_type: DOUBLE,
        ..tensor("b", &[2], &[])
    };
    assert_eq!(answer(3, gemm(), vec![w, b]), vec![5.5, -89.0]);
    // Old exporters list constants as inputs too.
    let mut old = model(3, gemm(), constants());
    old.graph.as_mut().unwrap().input.push(value("w", 3));
    assert_eq!(read(&prost::Message::encode_to_vec(&old)).unwrap().infer(&X), vec![5.5, -89.0]);
}

#[test]
fn reshapes_relu_and_normalisation() {
    // relu(W x + b) = [5.5, 0]; the shape that a reshape computes is not followed.
    let nodes = vec![
        node("Flatten", &["x"], "f"),
        node("Shape", &["f"], "s"),
        node("Gather", &["s", "zero"], "g"),
        node("Reshape", &["f", "g"], "r"),
        node("Sub", &["r", "mean"], "c"),
        node("Mul", &["c", "factor"], "n"),
        with(node("Gemm", &["n", "w", "b"], "d"), vec![int("transB", 1)]),
        node("BatchNormalization", &["d", "gamma", "beta", "mu", "var"], "bn"),
        node("Relu", &["bn"], "q"),
        node("Dropout", &["q"], "o"),
        node("Div", &["o", "two"], "z"),
        node("Identity", &["z"], "y"),
    ];
    let mut all = constants();
    all.extend([
        shape("zero", &[0]),
        tensor("mean", &[1, 3], &[1.0, 0.0, 0.0]),
        tensor("factor", &[], &[2.0]),
        tensor("gamma", &[2], &[2.0, 1.0]),
        tensor("beta", &[2], &[1.0, 0.0]),
        tensor("mu", &[2], &[0.5, 0.0]),
        tensor("var", &[2], &[4.0 - 1e-5, 1.0]),
        tensor("two", &[1], &[2.0]),
    ]);
    let chain = read(&bytes(3, nodes, all)).unwrap();
    // The last factor stands behind a ReLU and gets a layer of its own.
    assert_eq!((chain.layers.len(), chain.layers[0].relu, chain.layers[1].relu), (2, true, false));
    let answer = chain.infer(&X);
    // n = 2 (x - mean) = [0, -2, 4]; W n + b = [8.5, -86]; bn = [(8.5 - 0.5) + 1, < 0]; / 2.
    assert!((answer[0] - 4.5).abs() < 1e-4 && answer[1] == 0.0, "{answer:?}");
}

#[test]
fn layers_without_relu_stay_apart() {
    let nodes = vec![node("MatMul", &["x", "wt"], "h"), node("Gemm", &["h", "v"], "y")];
    let constants = vec![tensor("wt", &[3, 2], &W_T), tensor("v", &[2, 1], &[1.0, 1.0])];
    let chain = read(&bytes(3, nodes, constants)).unwrap();
    assert_eq!(chain.layers.len(), 2);
    assert_eq!(chain.infer(&X), vec![16.0]);
}

#[test]
fn all_unsupported_nodes_at_once() {
    let nodes = vec![
        node("ThresholdedRelu", &["x"], "s"),
        node("MatMul", &["s", "wt"], "m"),
        node("Mul", &["m", "m"], "a"),
        node("Tanh", &["x"], "unused"),
        with(node("Gemm", &["a", "w"], "g"), vec![int("transA", 1)]),
        NodeProto { domain: "com.microsoft".into(), ..node("FusedGemm", &["g", "w"], "f") },
        NodeProto { name: String::new(), ..node("Asinh", &["f"], "y") },
    ];
    let error = read(&bytes(3, nodes, constants())).unwrap_err();
    let GraphError::Unsupported(nodes) = &error else { panic!("{error}") };
    let kinds: Vec<&str> = nodes.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(kinds, ["ThresholdedRelu", "Gemm", "com.microsoft.FusedGemm", "Asinh"]);
    let text = error.to_string();
    for part in ["4 unsupported", "ThresholdedRelu_s", "transposes", "Asinh `y`"] {
        says(&text, part);
    }
}

#[test]
fn onnx_refusals() {
    let refused = |width, nodes, constants| read(&bytes(width, nodes, constants)).unwrap_err();
    let dense = |w: TensorProto| refused(3, gemm(), vec![w, tensor("b", &[2], &B)]);
    let external = TensorProto { data_location: EXTERNAL, ..tensor("w", &[2, 3], &[]) };
    assert_matches!(dense(external), GraphError::ExternalData(tensor) if tensor == "w");
    assert_matches!(
        refused(4, gemm(), constants()),
        GraphError::Width { expected: 3, found: 4, .. }
    );
    assert_matches!(dense(tensor("w", &[2, 3], &W[..5])), GraphError::Corrupt { .. });
    let wrong_bias = vec![tensor("w", &[2, 3], &W), tensor("b", &[3], &X)];
    assert_matches!(refused(3, gemm(), wrong_bias), GraphError::Width { .. });
    for bad in [f32::NAN, f32::INFINITY] {
        let mut w = W;
        w[3] = bad;
        let error = dense(tensor("w", &[2, 3], &w));
        assert_matches!(error, GraphError::NotFinite(node) if node == "Gemm_y");
    }
    let one = |op_type, input| refused(3, vec![node(op_type, &[input], "y")], vec![]);
    assert_matches!(one("Relu", "x"), GraphError::ReluOnInput { .. });
    assert_matches!(one("Identity", "x"), GraphError::NoLayers);
    for circle in ["Relu", "Softmax", "Identity"] {
        assert_matches!(one(circle, "y"), GraphError::NotAChain { .. });
    }
    says(&refused(3, vec![], vec![]), "does not say how `y` is computed");
    assert_matches!(dense(tensor("w", &[1 << 40, 1 << 40], &[])), GraphError::Corrupt { .. });
    let raw_data = vec![1; 6];
    let integers = TensorProto { data_type: 3, raw_data, ..tensor("w", &[2, 3], &W) };
    says(&dense(integers), "matrix B is of whole numbers");
    let strings = TensorProto { data_type: 8, ..tensor("w", &[2, 3], &W) };
    says(&dense(strings), "matrix B is of a type that is not read");
    let mut two = model(3, gemm(), constants());
    two.graph.as_mut().unwrap().output.push(value("z", 1));
    let two = prost::Message::encode_to_vec(&two);
    assert_matches!(read(&two), Err(GraphError::Outputs(names)) if names == &["y", "z"]);
    let wide = vec![tensor("w", &[70_000, 1], &vec![1.0; 70_000])];
    let nodes = vec![with(node("Gemm", &["x", "w"], "y"), vec![int("transB", 1)])];
    assert_matches!(refused(1, nodes, wide), GraphError::TooWide { width: 70_000, .. });
}

#[test]
fn every_cut_of_an_onnx_file_is_refused() {
    let whole = bytes(3, gemm(), constants());
    read(&whole).unwrap();
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "cut to {length} of {}", whole.len());
    }
}

fn flat_dense(activation: u8) -> Vec<u8> {
    let constants = [Constant("w", &[2, 3], &W), Constant("b", &[2], &B)];
    let operators =
        [Operator(22, &[0], 3, 0, "reshape"), Operator(9, &[3, 1, 2], 4, activation, "dense")];
    file(&flat(3, &constants, &operators, 0))
}

fn read_flat(bytes: &[u8]) -> Result<Chain, GraphError> {
    tflite::read(bytes).and_then(|graph| lower(&graph))
}

/// A graph over three values; a constant of the name `typed` is of another type than floats.
fn flat_with(constants: &[Constant<'_>], operators: &[Operator<'_>]) -> Result<Chain, GraphError> {
    read_flat(&file(&flat(3, constants, operators, 9)))
}

#[test]
fn tflite_dense_with_fused_relu_and_optional_bias() {
    assert_eq!(read_flat(&flat_dense(0)).unwrap().infer(&X), vec![5.5, -89.0]);
    assert_eq!(read_flat(&flat_dense(1)).unwrap().infer(&X), vec![5.5, 0.0]);
    let operators = [Operator(9, &[0, 1, -1], 2, 0, "dense"), Operator(19, &[2], 3, 0, "relu")];
    let chain = flat_with(&[Constant("w", &[2, 3], &W)], &operators).unwrap();
    assert!(chain.layers[0].relu);
    assert_eq!(chain.infer(&X), vec![5.0, 11.0]);
    let operators = [Operator(9, &[0, 1], 3, 0, "dense"), Operator(0, &[3, 2], 4, 1, "add")];
    let constants = [Constant("w", &[2, 3], &W), Constant("b", &[1, 2], &B)];
    assert_eq!(flat_with(&constants, &operators).unwrap().infer(&X), vec![5.5, 0.0]);
}

#[test]
fn tflite_refusals() {
    let error = read_flat(&flat_dense(4)).unwrap_err();
    says(&error, "FULLY_CONNECTED `dense`: its fused activation is none of ReLU, ReLU6");
    let refused = |name, shape: &[i32], values: &[f32], operators: &[Operator<'_>]| {
        flat_with(&[Constant(name, shape, values)], operators).unwrap_err()
    };
    let operators = [
        Operator(101, &[0], 2, 0, "first"),
        Operator(9, &[2, 1], 3, 0, "dense"),
        Operator(11, &[3], 4, 0, "last"),
    ];
    let error = refused("w", &[2, 3], &W, &operators);
    for part in ["2 unsupported", "ABS `first`", "L2_NORMALIZATION `last`"] {
        says(&error, part);
    }
    // Integer weights are not float weights.
    let dense = [Operator(9, &[0, 1], 2, 0, "dense")];
    let raw: Vec<f32> = W[..2].to_vec();
    says(&refused("typed", &[2, 4], &raw, &dense), "its matrix is of whole numbers without scales");
    assert_matches!(refused("w", &[2, 4], &W, &dense), GraphError::Corrupt { .. });
    let outside = [Operator(9, &[0, 77], 2, 0, "dense")];
    assert_matches!(refused("w", &[2, 3], &W, &outside), GraphError::Corrupt { .. });
    let mut nan = W;
    nan[0] = f32::NAN;
    assert_matches!(refused("w", &[2, 3], &nan, &dense), GraphError::NotFinite { .. });
    for bytes in [vec![], file(&Table(vec![(0, Field::U32(3))]))] {
        assert_matches!(read_flat(&bytes), Err(GraphError::Corrupt { .. }));
    }
}

#[test]
fn every_cut_of_a_tflite_file_is_refused() {
    let whole = flat_dense(1);
    for length in 0..whole.len() {
        if let Ok(chain) = read_flat(&whole[..length]) {
            // Only the terminating zero of the last string may be missing without harm.
            assert_eq!(chain, read_flat(&whole).unwrap(), "cut to {length} of {}", whole.len());
        }
    }
}

/// Every kind of node that works on images, in one file.
fn onnx_image() -> Vec<u8> {
    let (pads, size) = (|| ints("pads", &[1, 1, 1, 1]), || ints("kernel_shape", &[2, 2]));
    let nodes = vec![
        node("Reshape", &["x", "image"], "i"),
        with(node("Transpose", &["i"], "t"), vec![ints("perm", &[0, 3, 1, 2])]),
        with(node("Conv", &["t", "w"], "c"), vec![pads(), ints("strides", &[1, 1])]),
        node("BatchNormalization", &["c", "b", "b", "b", "v"], "n"),
        node("Clip", &["n", "low", "high"], "r"),
        with(node("Conv", &["r", "w"], "d"), vec![pads(), int("group", 1)]),
        node("Add", &["r", "d"], "s"),
        with(node("MaxPool", &["s"], "m"), vec![size()]),
        with(node("AveragePool", &["m"], "p"), vec![size(), int("ceil_mode", 1)]),
        with(node("ReduceMean", &["p"], "e"), vec![ints("axes", &[2, 3]), int("keepdims", 0)]),
        with(node("Unsqueeze", &["e"], "u"), vec![ints("axes", &[2])]),
        with(node("Squeeze", &["u"], "f"), vec![ints("axes", &[2])]),
        node("MatMul", &["f", "k"], "g"),
        node("Softmax", &["g"], "y"),
    ];
    let constants = vec![
        shape("image", &[-1, 4, 4, 2]),
        tensor("w", &[2, 2, 3, 3], &[0.5; 36]),
        tensor("b", &[2], &[0.5, 1.0]),
        tensor("v", &[2], &[1.0, 2.0]),
        tensor("low", &[], &[0.0]),
        tensor("high", &[], &[6.0]),
        tensor("k", &[2, 3], &W),
    ];
    bytes(32, nodes, constants)
}

/// Constants that are computed, paddings, branches, and a node of the second set.
fn onnx_more() -> Vec<u8> {
    let ml = |node: NodeProto| NodeProto { domain: "ai.onnx.ml".into(), ..node };
    let reals = |name: &str, values: &[f32]| AttributeProto {
        name: name.into(),
        floats: values.to_vec(),
        ..AttributeProto::default()
    };
    let axis = |node, axis| with(node, vec![int("axis", axis)]);
    let scaled = vec![reals("scale", &[2.0]), reals("offset", &[0.5; 32])];
    let nodes = vec![
        with(ml(node("Scaler", &["x"], "n")), scaled),
        node("Reshape", &["n", "image"], "i"),
        axis(node("Concat", &["half", "half"], "two"), 0),
        with(node("Slice", &["two", "from", "to", "from"], "w"), vec![]),
        axis(node("DequantizeLinear", &["bytes", "scales"], "v"), 0),
        node("Pad", &["i", "pads"], "p"),
        with(node("Conv", &["p", "w"], "c"), vec![ints("dilations", &[1, 2])]),
        with(node("Conv", &["p", "v"], "d"), vec![ints("dilations", &[1, 2])]),
        with(node("LeakyRelu", &["c"], "r"), vec![float("alpha", 0.5)]),
        with(node("LeakyRelu", &["d"], "s"), vec![float("alpha", 0.5)]),
        axis(node("Concat", &["r", "s"], "j"), 1),
        node("PRelu", &["j", "slope"], "q"),
        node("Neg", &["q"], "m"),
        node("Sub", &["q", "m"], "t"),
        node("Flatten", &["t"], "f"),
        axis(node("ArgMax", &["f"], "y"), 1),
    ];
    let raw = |name: &str, dims: &[i64], data_type, raw_data| TensorProto {
        data_type,
        raw_data,
        ..tensor(name, dims, &[])
    };
    let constants = vec![
        shape("image", &[-1, 2, 4, 4]),
        raw("half", &[1, 2, 1, 2], 10, vec![0x3C; 8]),
        raw("bytes", &[2, 2, 1, 2], 3, vec![3; 8]),
        tensor("scales", &[2], &[0.5, 0.25]),
        shape("from", &[0]),
        shape("to", &[2]),
        shape("pads", &[0, 0, 0, 1, 0, 0, 0, 1]),
        tensor("slope", &[4, 1, 1], &[0.5, 0.25, 1.5, 2.0]),
    ];
    let mut file = model(32, nodes, constants);
    file.opset_import[0].version = 13;
    encoded(&file)
}

/// A padding, whole weights with scales, a slope, branches that are joined, in a TFLite file.
fn flat_more() -> Vec<u8> {
    let pads = [0_i32, 0, 1, 1, 0, 1, 0, 0].map(i32::to_le_bytes).concat();
    let values = vec![
        Value("x", &[1, 4, 4, 2], 0, vec![]),
        Value("pads", &[4, 2], 2, pads),
        Value("q", &[2, 3, 3, 2], 9, vec![7; 36]),
        Value("w", &[2, 3, 3, 2], 0, vec![]),
        Value("p", &[1, 6, 5, 2], 0, vec![]),
        Value("a", &[1, 4, 3, 2], 0, vec![]),
        Value("b", &[1, 4, 3, 2], 0, vec![]),
        Value("slope", &[1, 1, 4], 0, floats(&[0.5, 1.5, 2.0, -1.0])),
        Value("j", &[1, 4, 3, 4], 0, vec![]),
        Value("l", &[1, 4, 3, 4], 0, vec![]),
        Value("axes", &[2], 2, [1_i32, 2].map(i32::to_le_bytes).concat()),
        Value("m", &[1, 4], 0, vec![]),
    ];
    let steps =
        || vec![(0, Field::U8(1)), (1, Field::U32(1)), (2, Field::U32(1)), (3, Field::U8(1))];
    let along = vec![(0, Field::U32(3)), (1, Field::U8(0))];
    let nodes = vec![
        Node(6, &[2], 3, vec![]),
        Node(34, &[0, 1], 4, vec![]),
        Node(3, &[4, 3], 5, steps()),
        Node(3, &[4, 3], 6, steps()),
        Node(2, &[5, 6], 8, along),
        Node(54, &[8, 7], 9, vec![]),
        Node(40, &[9, 10], 11, vec![(0, Field::U8(0))]),
    ];
    let mut table = graph(values, nodes);
    quantised(&mut table, 2, &[0.5, 0.25], &[1, 2], 0);
    file(&table)
}

/// A convolution and a mean in a TFLite file.
fn flat_image() -> Vec<u8> {
    let axes = [1_i32, 2].map(i32::to_le_bytes).concat();
    let values = vec![
        Value("x", &[1, 4, 4, 2], 0, vec![]),
        Value("w", &[2, 3, 3, 2], 0, floats(&[0.5; 36])),
        Value("axes", &[2], 2, axes),
        Value("c", &[1, 4, 4, 2], 0, vec![]),
        Value("m", &[1, 2], 0, vec![]),
    ];
    let steps = vec![(0, Field::U8(0)), (1, Field::U32(1)), (2, Field::U32(1)), (3, Field::U8(3))];
    let mean = Node(40, &[3, 2], 4, vec![(0, Field::U8(0))]);
    file(&graph(values, vec![Node(3, &[0, 1], 3, steps), mean]))
}

#[test]
fn no_bytes_make_the_readers_panic() {
    let mut rng = Rng(sharelet_testkit::seed());
    let gemm = vec![
        with(node("Gemm", &["x", "w", "b"], "h"), vec![int("transB", 1)]),
        node("Relu", &["h"], "r"),
        node("BatchNormalization", &["r", "b", "b", "b", "b"], "y"),
    ];
    let files = [onnx_image(), flat_image(), onnx_more(), flat_more()];
    for sample in &files {
        let flat = sample.get(4..8) == Some(b"TFL3");
        if flat { read_flat(sample) } else { read(sample) }.unwrap();
    }
    let samples = [vec![bytes(3, gemm, constants()), flat_dense(1)], files.to_vec()].concat();
    for round in 0..100_000 {
        let mut bytes = samples[round % samples.len()].clone();
        if rng.below(8) == 0 {
            bytes = (0..rng.below(300)).map(|_| rng.byte()).collect();
            if bytes.len() > 8 && rng.below(2) == 0 {
                bytes[4..8].copy_from_slice(b"TFL3");
            }
        }
        for _ in 0..rng.below(6) {
            if !bytes.is_empty() {
                let position = rng.below(bytes.len());
                bytes[position] =
                    if rng.below(2) == 0 { rng.byte() } else { [0, 1, 0x7F, 0xFF][rng.below(4)] };
            }
        }
        if rng.below(4) == 0 {
            bytes.truncate(rng.below(bytes.len()));
        }
        let _ = read(&bytes);
        let _ = read_flat(&bytes);
    }
}

/// Bytes that change seldom make a number extreme; here whole numbers change.
#[test]
fn no_numbers_make_the_readers_panic() {
    let mut rng = Rng(sharelet_testkit::seed());
    let whole: ModelProto = prost::Message::decode(onnx_image().as_slice()).unwrap();
    let extremes =
        [i64::MIN, i64::MIN + 1, -1 << 40, -5, -1, 0, 1, 3, 255, 256, 65_536, 1 << 40, i64::MAX];
    for _ in 0..30_000 {
        let mut model = whole.clone();
        let graph = model.graph.as_mut().unwrap();
        for _ in 0..=rng.below(3) {
            let node = rng.below(graph.node.len());
            let attributes = graph.node[node]
                .attribute
                .iter_mut()
                .flat_map(|attribute| attribute.ints.iter_mut());
            let shapes = graph
                .initializer
                .iter_mut()
                .flat_map(|tensor| tensor.int64_data.iter_mut().chain(&mut tensor.dims));
            let mut numbers: Vec<&mut i64> =
                if rng.below(2) == 0 { attributes.collect() } else { shapes.collect() };
            if !numbers.is_empty() {
                let place = rng.below(numbers.len());
                *numbers[place] = extremes[rng.below(extremes.len())];
            }
        }
        let _ = read(&prost::Message::encode_to_vec(&model));
    }
    let whole = flat_image();
    let extremes = [i32::MIN, -1, 0, 1, 2, 255, 65_536, 1 << 30, i32::MAX];
    for _ in 0..30_000 {
        let mut bytes = whole.clone();
        for _ in 0..=rng.below(2) {
            let place = 4 * rng.below(bytes.len() / 4);
            bytes[place..place + 4]
                .copy_from_slice(&extremes[rng.below(extremes.len())].to_le_bytes());
        }
        let _ = read_flat(&bytes);
    }
}
