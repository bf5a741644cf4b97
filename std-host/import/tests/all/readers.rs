//! What the readers make of convolutions, pools, sums and changes of dimensions in ONNX and TFLite
//! files.
use prost::Message as _;
use sharelet_import::function::Function;
use sharelet_import::graph::{Graph, Layout, Op, Padding, Picked, Pool, Tensor};
use sharelet_import::onnx_proto::{AttributeProto, ModelProto, NodeProto, TensorProto};
use sharelet_import::{onnx, tflite};
use sharelet_testkit::assert_matches;
use sharelet_testkit::onnx::{int, ints, model, node, shape, tensor, with};
use sharelet_testkit::tflite::{Field, Node, Value, file, floats, graph};

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: value.into(), ..AttributeProto::default() }
}

/// A file with one node from `x` to `y`.
fn one(node: NodeProto, constants: Vec<TensorProto>) -> Graph {
    let file: ModelProto = model(4, vec![node], constants);
    onnx::read(&file.encode_to_vec(), None).unwrap()
}

fn op(node: NodeProto, constants: Vec<TensorProto>) -> Op {
    let graph = one(node, constants);
    assert_eq!((graph.layout, graph.nodes.len()), (Layout::ChannelsFirst, 1));
    graph.nodes[0].op.clone()
}

/// Fails if an operator is not refused for this.
#[track_caller]
fn refuses(op: Op, what: &str) {
    let Op::Unsupported { reason: Some(reason) } = op else { panic!("{op:?}") };
    assert!(reason.contains(what), "{reason}");
}

fn kernel(dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    tensor("w", dims, &(0..count).map(|value| value as f32).collect::<Vec<_>>())
}

#[test]
fn onnx_convolutions() {
    let conv = |attributes| {
        op(
            with(node("Conv", &["x", "w", "b"], "y"), attributes),
            vec![kernel(&[2, 1, 3, 2]), tensor("b", &[2], &[5.0, 6.0])],
        )
    };
    let counted = |dims: &[usize]| {
        let values = (0..dims.iter().product::<usize>()).map(|value| value as f64).collect();
        Tensor { dims: dims.to_vec(), values }
    };
    let expected = Op::Convolution {
        weights: counted(&[2, 1, 3, 2]),
        bias: Some(vec![5.0, 6.0]),
        groups: 4,
        stride: (2, 1),
        padding: Padding::Explicit { before: (1, 0), after: (2, 1) },
    };
    let (strides, pads) = (ints("strides", &[2, 1]), ints("pads", &[1, 0, 2, 1]));
    let all = vec![strides, pads, int("group", 4), ints("dilations", &[1, 1])];
    assert_eq!(conv(all), expected);
    for (kind, expected) in [
        ("SAME_UPPER", Padding::SameUpper),
        ("SAME_LOWER", Padding::SameLower),
        ("VALID", Padding::NONE),
        ("NOTSET", Padding::NONE),
    ] {
        let found = conv(vec![text("auto_pad", kind)]);
        assert_matches!(found, Op::Convolution { padding, .. } if *padding == expected);
    }
    // Gaps are zeros.
    let mut values = vec![0.0; 20];
    for (filter, row, column) in (0..12).map(|place| (place / 6, place / 2 % 3, place % 2)) {
        values[(filter * 5 + 2 * row) * 2 + column] = ((filter * 3 + row) * 2 + column) as f64;
    }
    let dilated = Tensor { dims: vec![2, 1, 5, 2], values };
    let found = conv(vec![ints("dilations", &[2, 1])]);
    assert_matches!(found, Op::Convolution { weights, .. } if *weights == dilated);
    refuses(conv(vec![ints("dilations", &[0, 1])]), "gaps of no size");
    refuses(conv(vec![ints("dilations", &[1, 1 << 40])]), "larger than 256 words");
    // Of one dimension.
    let signal =
        with(node("Conv", &["x", "w"], "y"), vec![ints("strides", &[3]), ints("pads", &[1, 2])]);
    let (weights, padding) =
        (counted(&[2, 3, 1, 5]), Padding::Explicit { before: (0, 1), after: (0, 2) });
    let expected = Op::Convolution { weights, bias: None, groups: 1, stride: (1, 3), padding };
    assert_eq!(op(signal, vec![kernel(&[2, 3, 5])]), expected);
    let wide = op(node("Conv", &["x", "w"], "y"), vec![kernel(&[2, 3, 5, 1, 1])]);
    refuses(wide, "one or two dimensions");
    refuses(op(node("Conv", &["x", "x"], "y"), vec![]), "computed from the input");
}

#[test]
fn onnx_pools_and_means() {
    let pool = |kind: &str, attributes| op(with(node(kind, &["x"], "y"), attributes), vec![]);
    let size = || ints("kernel_shape", &[2, 3]);
    let bare = Pool { size: Some((2, 3)), stride: (1, 1), padding: Padding::NONE, ..Pool::WHOLE };
    assert_eq!(pool("MaxPool", vec![size()]), Op::MaxPool(bare));
    let mean = Pool { stride: (2, 2), count_padding: false, ..bare };
    assert_eq!(pool("AveragePool", vec![size(), ints("strides", &[2, 2])]), Op::AveragePool(mean));
    let padded = Pool { padding: Padding::Explicit { before: (1, 1), after: (0, 0) }, ..bare };
    let pads = || ints("pads", &[1, 1, 0, 0]);
    assert_eq!(
        pool("AveragePool", vec![size(), pads(), int("count_include_pad", 1)]),
        Op::AveragePool(padded)
    );
    let uneven = Pool { count_padding: false, ..padded };
    assert_eq!(pool("AveragePool", vec![size(), pads()]), Op::AveragePool(uneven));
    assert_eq!(
        pool("MaxPool", vec![size(), int("ceil_mode", 1)]),
        Op::MaxPool(Pool { ceil: true, ..bare })
    );
    assert_eq!(pool("GlobalAveragePool", vec![]), Op::AveragePool(Pool::WHOLE));
    let mean = |axes: &[i64], keep| Op::Mean { axes: axes.to_vec(), keep };
    assert_eq!(pool("ReduceMean", vec![ints("axes", &[3, 2])]), mean(&[3, 2], true));
    let dropped = with(node("ReduceMean", &["x", "axes"], "y"), vec![int("keepdims", 0)]);
    assert_eq!(op(dropped, vec![shape("axes", &[-2, -1])]), mean(&[-2, -1], false));
    refuses(pool("ReduceMean", vec![]), "all dimensions");
}

#[test]
fn onnx_dimensions() {
    let reshape = op(node("Reshape", &["x", "s"], "y"), vec![shape("s", &[-1, 1, 2, 2])]);
    assert_eq!(reshape, Op::Reshape { dims: Some(vec![1, 2, 2]) });
    assert_eq!(op(node("Flatten", &["x"], "y"), vec![]), Op::Reshape { dims: Some(vec![-1]) });
    let told = |kind: &str, name: &str, values: &[i64]| {
        op(with(node(kind, &["x"], "y"), vec![ints(name, values)]), vec![])
    };
    assert_eq!(told("Unsqueeze", "axes", &[1, 3]), Op::Unsqueeze(vec![1, 3]));
    let squeeze = op(node("Squeeze", &["x", "a"], "y"), vec![shape("a", &[-1])]);
    assert_eq!(squeeze, Op::Squeeze(vec![-1]));
    assert_eq!(told("Transpose", "perm", &[0, 3, 1, 2]), Op::Transpose(vec![2, 0, 1]));
    assert_eq!(told("Transpose", "perm", &[1, 0]), Op::Transpose(vec![0]));
    for perm in [&[1, 1][..], &[0, i64::MIN, 1], &[0, i64::MAX, 0], &[0, -1], &[]] {
        refuses(told("Transpose", "perm", perm), "batch");
    }
}

#[test]
fn onnx_sums_limits_and_last_functions() {
    let graph = one(node("Add", &["x", "x"], "y"), vec![]);
    assert_eq!((&graph.nodes[0].op, graph.nodes[0].inputs.len()), (&Op::Add, 2));
    let per_channel =
        op(node("Add", &["x", "c"], "y"), vec![tensor("c", &[1, 3, 1, 1], &[1.0, 2.0, 3.0])]);
    let (scale, offset, dims) = (vec![1.0], vec![1.0, 2.0, 3.0], Some(vec![1, 3, 1, 1]));
    assert_eq!(per_channel, Op::Elementwise { scale, offset, dims });
    let limits = vec![tensor("l", &[], &[0.0]), tensor("h", &[], &[6.0])];
    assert_eq!(op(node("Clip", &["x", "l", "h"], "y"), limits.clone()), Op::Relu6);
    assert_eq!(op(node("Clip", &["x", "l"], "y"), limits), Op::Relu);
    refuses(op(node("Clip", &["x"], "y"), vec![]), "one limit that is not 0");
    // A computed limit is not one that is missing.
    refuses(op(node("Clip", &["x", "l", "x"], "y"), vec![tensor("l", &[], &[0.0])]), "computed");
    assert_eq!(op(node("ArgMax", &["x"], "y"), vec![]), Op::Last);
    for (kind, log) in [("Softmax", false), ("LogSoftmax", true)] {
        let softmax = Op::Softmax { axis: 1, trailing: true, log };
        assert_eq!(op(node(kind, &["x"], "y"), vec![]), softmax);
    }
    for (kind, function) in [("Sigmoid", Function::Sigmoid), ("Tanh", Function::Tanh)] {
        assert_eq!(op(node(kind, &["x"], "y"), vec![]), Op::Function(function));
    }
}

/// Dimensions, bytes and type of a constant.
struct Constant(Vec<i32>, Vec<u8>, u8);

/// The operations of a file with one operator; value 0 is an image of 8 x 6 pixels of 2 channels,
/// then come the constants.
fn flat_ops(
    kind: u8,
    inputs: &[i32],
    dims: &[i32],
    options: Vec<(usize, Field)>,
    constants: Vec<Constant>,
) -> Vec<Op> {
    let mut values = vec![Value("x", &[1, 8, 6, 2], 0, vec![])];
    values.extend(
        constants.iter().map(|Constant(dims, bytes, kind)| Value("c", dims, *kind, bytes.clone())),
    );
    let output = values.len() as i32;
    values.push(Value("y", dims, 0, vec![]));
    let bytes = file(&graph(values, vec![Node(kind, inputs, output, options)]));
    let graph = tflite::read(&bytes).unwrap();
    assert_eq!((graph.layout, graph.input_dims), (Layout::ChannelsLast, Some(vec![8, 6, 2])));
    graph.nodes.into_iter().map(|node| node.op).collect()
}

/// Options by number: bytes, then words.
fn options(bytes: &[(usize, u8)], words: &[(usize, u32)]) -> Vec<(usize, Field)> {
    let bytes = bytes.iter().map(|&(slot, byte)| (slot, Field::U8(byte)));
    bytes.chain(words.iter().map(|&(slot, word)| (slot, Field::U32(word)))).collect()
}

fn numbers(dims: &[i32]) -> Constant {
    let count = dims.iter().product::<i32>();
    let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
    Constant(dims.to_vec(), floats(&values), 0)
}

fn integers(values: &[i32]) -> Constant {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Constant(vec![values.len() as i32], bytes, 2)
}

#[test]
fn tflite_convolutions() {
    let steps = |padding, fused| options(&[(0, padding), (3, fused)], &[(1, 2), (2, 1)]);
    let constants = || vec![numbers(&[3, 2, 1, 2]), numbers(&[3])];
    let ops = flat_ops(3, &[0, 1, 2], &[1, 8, 3, 3], steps(0, 1), constants());
    // Filters, rows, columns, depth becomes filters, depth, rows, columns.
    let values = vec![0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0, 8.0, 10.0, 9.0, 11.0];
    let weights = Tensor { dims: vec![3, 2, 2, 1], values };
    let bias = Some(vec![0.0, 1.0, 2.0]);
    let conv =
        Op::Convolution { weights, bias, groups: 1, stride: (1, 2), padding: Padding::SameUpper };
    assert_eq!(ops, [conv, Op::Relu]);
    let valid = |options| flat_ops(3, &[0, 1], &[1, 7, 3, 3], options, constants());
    assert_matches!(
        valid(steps(1, 3))[..],
        [Op::Convolution { padding: Padding::NONE, .. }, Op::Relu6]
    );
    let depthwise = options(&[(0, 1), (4, 0)], &[(1, 1), (2, 2), (3, 2)]);
    let ops = flat_ops(4, &[0, 1], &[1, 4, 6, 4], depthwise, vec![numbers(&[1, 2, 1, 4])]);
    let weights =
        Tensor { dims: vec![4, 1, 2, 1], values: vec![0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0] };
    let padding = Padding::NONE;
    let conv = Op::Convolution { weights, bias: None, groups: 2, stride: (2, 1), padding };
    assert_eq!(ops, [conv]);
    let mut dilated = steps(1, 0);
    dilated.push((4, Field::U32(2)));
    let ops = valid(dilated);
    // Two rows of one column have no gaps across, and one of three filters has a word in two rows.
    assert_matches!(&ops[0], Op::Convolution { weights, .. } if weights.dims == [3, 2, 2, 1]);
    refuses(valid(steps(1, 4)).remove(0), "none of ReLU, ReLU6");
    refuses(valid(options(&[(0, 1)], &[(1, 0), (2, 1)])).remove(0), "steps");
}

#[test]
fn tflite_pools_sums_and_dimensions() {
    let pool = |kind, padding, size: u32, fused| {
        let sizes = [(1, 2), (2, 2), (3, size), (4, size)];
        flat_ops(kind, &[0], &[1, 4, 3, 2], options(&[(0, padding), (5, fused)], &sizes), vec![])
    };
    let two = Pool { size: Some((2, 2)), stride: (2, 2), padding: Padding::NONE, ..Pool::WHOLE };
    assert_eq!(pool(1, 0, 2, 0), [Op::AveragePool(two)]);
    assert_eq!(pool(17, 1, 2, 1), [Op::MaxPool(two), Op::Relu]);
    assert_eq!(
        pool(17, 0, 3, 0),
        [Op::MaxPool(Pool {
            size: Some((3, 3)),
            padding: Padding::SameUpper,
            count_padding: false,
            ..two
        })]
    );
    refuses(pool(1, 0, 3, 0).remove(0), "padding SAME");
    let mean = |axes: &[i64], keep| [Op::Mean { axes: axes.to_vec(), keep }];
    let keeps = || options(&[(0, 1)], &[]);
    let cases: [(Vec<Op>, &[Op]); 7] = [
        (flat_ops(40, &[0, 1], &[1, 2], vec![], vec![integers(&[1, 2])]), &mean(&[1, 2], false)),
        (flat_ops(40, &[0, 1], &[1, 8, 6, 1], keeps(), vec![integers(&[-1])]), &mean(&[-1], true)),
        (flat_ops(0, &[0, 0], &[1, 8, 6, 2], keeps(), vec![]), &[Op::Add, Op::Relu]),
        (flat_ops(22, &[0], &[1, 96], vec![], vec![]), &[Op::Reshape { dims: Some(vec![96]) }]),
        (flat_ops(22, &[0], &[1, 1], vec![], vec![]), &[Op::Reshape { dims: None }]),
        (
            flat_ops(39, &[0, 1], &[1, 2, 8, 6], vec![], vec![integers(&[0, 3, 1, 2])]),
            &[Op::Transpose(vec![2, 0, 1])],
        ),
        (flat_ops(21, &[0], &[1, 8, 6, 2], vec![], vec![]), &[Op::Relu6]),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let slice = |begin: [i32; 4], end: [i32; 4], step: [i32; 4], masks: &[(usize, u32)]| {
        let bounds = [begin, end, step].iter().map(|bounds| integers(bounds)).collect();
        flat_ops(45, &[0, 1, 2, 3], &[1, 3, 6, 2], options(&[], masks), bounds)
    };
    let rows = slice([0, 2, 0, 0], [1, 5, 6, 2], [1; 4], &[]);
    let picked = Picked::Slice { start: 2, end: 5, step: 1 };
    assert_eq!(rows, [Op::Pick { axis: 1, picked }]);
    // The beginning of columns and the end of channels are not told; the last row goes.
    let last = slice([0, -1, 3, 0], [1, 0, 6, 0], [1; 4], &[(0, 4), (1, 8), (4, 2)]);
    assert_eq!(last, [Op::Pick { axis: 1, picked: Picked::One(-1) }]);
    assert_eq!(slice([0; 4], [1, 8, 6, 2], [1; 4], &[]), [Op::Identity]);
    for (begin, masks) in [([0, 1, 1, 0], &[][..]), ([1, 0, 0, 0], &[]), ([0; 4], &[(2, 1)])] {
        let [Op::Unsupported { .. }] = slice(begin, [1, 8, 6, 2], [1; 4], masks)[..] else {
            panic!("{begin:?} is not refused");
        };
    }
    let halves = flat_ops(49, &[1, 0], &[1, 8, 3, 2], vec![], vec![integers(&[2])]);
    assert_eq!(halves, [Op::Pick { axis: 2, picked: Picked::Part { part: 0, count: 1 } }]);
    let softmax = Op::Softmax { axis: -1, trailing: false, log: true };
    for (kind, op) in [(25, Op::Last), (50, softmax)] {
        assert_eq!(flat_ops(kind, &[0], &[1, 8, 6, 2], vec![], vec![]), [op], "{kind}");
    }
    for (kind, function) in [
        (14, Function::Sigmoid),
        (28, Function::Tanh),
        (20, Function::Clip { low: -1.0, high: 1.0 }),
        (111, Function::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 }),
        (117, Function::HardSwish),
        (150, Function::Gelu),
        (152, Function::Clip { low: 0.0, high: 1.0 }),
    ] {
        let found = flat_ops(kind, &[0], &[1, 8, 6, 2], vec![], vec![]);
        assert_eq!(found, [Op::Function(function)], "{kind}");
    }
}

#[test]
fn onnx_sizes_have_as_many_dimensions_as_the_kernel() {
    let conv = |attributes, dims: &[i64]| {
        op(with(node("Conv", &["x", "w"], "y"), attributes), vec![kernel(dims)])
    };
    let (image, signal): (&[i64], &[i64]) = (&[2, 1, 3, 2], &[2, 1, 3]);
    let cases: [(&[i64], &str, &[i64]); 7] = [
        (image, "strides", &[2]),
        (image, "pads", &[1, 1]),
        (image, "pads", &[1, 1, 1]),
        (image, "pads", &[1]),
        (signal, "strides", &[1, 2]),
        (signal, "pads", &[0, 1, 0, 1]),
        (signal, "pads", &[1, 1, 1]),
    ];
    for (kernel, attribute, values) in cases {
        refuses(conv(vec![ints(attribute, values)], kernel), "dimensions");
    }
    let pool = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2])];
    refuses(op(with(node("MaxPool", &["x"], "y"), pool), vec![]), "dimensions");
}

#[test]
fn onnx_integers_of_constant_nodes_are_followed() {
    let constant = |attribute| with(node("Constant", &[], "s"), vec![attribute]);
    let last = |nodes| {
        onnx::read(&model(4, nodes, vec![]).encode_to_vec(), None).unwrap().nodes[0].op.clone()
    };
    let shape = ints("value_ints", &[-1, 1, 2, 2]);
    assert_eq!(
        last(vec![constant(shape), node("Reshape", &["x", "s"], "y")]),
        Op::Reshape { dims: Some(vec![1, 2, 2]) }
    );
    assert_eq!(
        last(vec![constant(int("value_int", 1)), node("Unsqueeze", &["x", "s"], "y")]),
        Op::Unsqueeze(vec![1])
    );
}

#[test]
fn padding_nodes_that_nobody_takes_over_are_refused_with_a_reason() {
    let pad = |values: &[i64]| op(node("Pad", &["x", "p"], "y"), vec![shape("p", values)]);
    assert_eq!(pad(&[0; 8]), Op::Identity);
    refuses(pad(&[0, 0, 1, 1, 0, 0, 0, 1]), "let the layer behind it pad");
    refuses(pad(&[0, 1, 0, 0, 0, 0, 0, 0]), "other dimensions than rows and columns");
    refuses(pad(&[0, 0, -1, 0, 0, 0, 0, 0]), "cuts the image");
    for (kind, what) in [(34, "let the layer behind it pad"), (60, "let the"), (100, "zeros")] {
        let around = vec![integers(&[0, 0, 1, 1, 1, 1, 0, 0])];
        let mut ops = flat_ops(kind, &[0, 1], &[1, 10, 8, 2], vec![], around);
        refuses(ops.remove(0), what);
    }
}

#[test]
fn tflite_filters_per_channel_follow_from_the_image() {
    // The image has two channels; a file need not say how many filters each of them has.
    let depthwise = |said, filters| {
        let options = options(&[(0, 1)], &[(1, 1), (2, 1), (3, said)]);
        flat_ops(4, &[0, 1], &[1, 7, 6, filters], options, vec![numbers(&[1, 2, 1, filters])])
    };
    for (said, filters) in [(0, 2), (0, 4), (2, 4)] {
        let ops = depthwise(said, filters);
        assert_matches!(ops[..], [Op::Convolution { groups: 2, .. }], "{said} {filters}");
    }
    refuses(depthwise(2, 5).remove(0), "filters per channel");
}
