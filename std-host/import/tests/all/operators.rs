//! Operators of files that become layers: what is imported answers as the definitions say, in
//! floating point and in the ring, and what cannot be is refused by name.

use prost::Message as _;
use sharelet_core::shape::Shape;
use sharelet_import::function::Function;
use sharelet_import::graph::{Graph, Layout, Op, Padding, Pool};
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::{NodeProto, TensorProto};
use sharelet_import::{GraphError, onnx};
use sharelet_testkit::Rng;
use sharelet_testkit::graphs::{BARE, Builder, LAYOUTS, check, numbered};
use sharelet_testkit::onnx::{float, int, ints, model, node, shape, tensor, with};

fn random(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    tensor(name, dims, &Rng(count as u64 + 1).reals(count))
}

/// From an image `i` of 2 channels of 6 x 6 pixels.
fn file(mut nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Result<Graph, GraphError> {
    nodes.insert(0, node("Reshape", &["x", "image"], "i"));
    let image = shape("image", &[-1, 2, 6, 6]);
    let more = [image, random("w", &[3, 2, 3, 3]), random("b", &[3]), random("v", &[3, 2, 3, 3])];
    let constants = constants.into_iter().chain(more).collect();
    onnx::read(&model(72, nodes, constants).encode_to_vec(), None)
}

fn imported(
    name: &str,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    layers: usize,
) -> Chain {
    let graph = file(nodes, constants).unwrap_or_else(|error| panic!("{name}: {error}"));
    check(name, &numbered(&graph), layers)
}

#[track_caller]
fn refused(nodes: Vec<NodeProto>, constants: Vec<TensorProto>, parts: &[&str]) {
    let error = file(nodes, constants).and_then(|graph| lower(&graph)).unwrap_err().to_string();
    parts.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
}

fn conv(from: &str, to: &str) -> NodeProto {
    with(node("Conv", &[from, "w", "b"], to), vec![ints("pads", &[1, 1, 1, 1])])
}

#[test]
fn leaky_relu_is_two_layers_behind_weights() {
    let leaky = |alpha| with(node("LeakyRelu", &["c"], "y"), vec![float("alpha", alpha)]);
    for alpha in [0.1, 0.0, -0.5, 1.0] {
        let chain = imported("leaky", vec![conv("i", "c"), leaky(alpha)], vec![], 2);
        let skip = chain.layers[1].skip.as_ref().unwrap();
        assert!(matches!(skip.map.shape, Shape::Convolution(_)), "the convolution, once more");
        assert_eq!((skip.from, chain.layers[0].relu, chain.layers[1].relu), (0, true, false));
    }
    // A steeper one, and one behind a sum, go around a layer of their own.
    imported("steep", vec![conv("i", "c"), leaky(1.5)], vec![], 3);
    let sum = vec![
        conv("i", "a"),
        node("Relu", &["a"], "r"),
        with(node("Conv", &["r", "u"], "s"), vec![ints("pads", &[1, 1, 1, 1])]),
        node("Add", &["s", "r"], "c"),
        leaky(0.2),
    ];
    imported("sum", sum, vec![random("u", &[3, 3, 3, 3])], 4);
    let pooled = vec![
        conv("i", "a"),
        with(
            node("MaxPool", &["a"], "c"),
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
        ),
        leaky(0.2),
    ];
    imported("pool", pooled, vec![], 5);
    let told = |slopes: TensorProto| {
        (vec![conv("i", "c"), node("PRelu", &["c", "slope"], "y")], vec![slopes])
    };
    let (nodes, slopes) = told(tensor("slope", &[3, 1, 1], &[0.1, 0.5, -0.25]));
    imported("per channel", nodes, slopes, 2);
    let (nodes, slopes) = told(tensor("slope", &[3, 1, 1], &[0.1, 1.5, -0.25]));
    imported("steep channel", nodes, slopes, 3);
    let (nodes, slopes) = told(random("slope", &[1, 6, 6]));
    imported("per pixel", nodes, slopes, 3);
    let (nodes, slopes) = told(random("slope", &[4, 1, 1]));
    let graph = file(nodes, slopes).unwrap();
    assert!(matches!(lower(&graph), Err(GraphError::Width { expected: 4, .. })));
    refused(
        vec![conv("i", "c"), node("PRelu", &["c", "c"], "y")],
        vec![],
        &["PRelu `PRelu_y`: its slope is computed"],
    );
    let graph = file(vec![node("LeakyRelu", &["i"], "y")], vec![]).unwrap();
    assert!(matches!(lower(&graph), Err(GraphError::ReluOnInput(_))));
}

#[test]
fn differences_and_scaled_sums() {
    let branches = |kind| {
        vec![
            conv("i", "a"),
            with(node("Conv", &["i", "v"], "s"), vec![ints("pads", &[1, 1, 1, 1])]),
            node(kind, &["a", "s"], "d"),
            node("Relu", &["d"], "y"),
        ]
    };
    for kind in ["Sub", "Add", "Sum"] {
        imported(kind, branches(kind), vec![], 1);
    }
    let block = |kind, first: &str, second: &str| {
        vec![
            conv("i", "a"),
            node("Relu", &["a"], "r"),
            with(node("Conv", &["r", "u"], "s"), vec![ints("pads", &[1, 1, 1, 1])]),
            node(kind, &[first, second], "y"),
        ]
    };
    for (first, second) in [("r", "s"), ("s", "r")] {
        imported(second, block("Sub", first, second), vec![random("u", &[3, 3, 3, 3])], 2);
    }
    let mut scaled = block("Add", "s", "h");
    scaled.insert(3, node("Mul", &["r", "half"], "h"));
    let half = tensor("half", &[3, 1, 1], &[0.5, 0.25, 2.0]);
    imported("scaled", scaled, vec![random("u", &[3, 3, 3, 3]), half], 2);
    imported("negative", vec![conv("i", "a"), node("Neg", &["a"], "y")], vec![], 1);
    // Branches with activations of their own follow each other.
    let apart = vec![
        conv("i", "a"),
        node("Relu", &["a"], "r"),
        with(node("Conv", &["i", "v"], "s"), vec![ints("pads", &[1, 1, 1, 1])]),
        node("Clip", &["s", "zero", "six"], "t"),
        node("Add", &["r", "t"], "y"),
    ];
    let limits = vec![tensor("zero", &[], &[0.0]), tensor("six", &[], &[6.0])];
    imported("apart", apart, limits, 4);
    imported("square", vec![conv("i", "a"), node("Mul", &["a", "a"], "y")], vec![], 1);
}

#[test]
fn paddings_of_their_own_are_taken_over() {
    let pads = |values: &[i64]| vec![shape("p", values)];
    let pad = |to: &str| node("Pad", &["i", "p"], to);
    let window = |kind, from: &str, extra: Vec<_>| {
        let size = ints("kernel_shape", &[3, 3]);
        with(node(kind, &[from], "y"), [vec![size], extra].concat())
    };
    let uneven = [0, 0, 1, 0, 0, 0, 1, 1];
    let chain = imported("conv", vec![pad("q"), conv("q", "y")], pads(&uneven), 1);
    let taken = chain.layers[0].map.shape.window().unwrap();
    assert_eq!((taken.before, taken.after), ((2, 1), (2, 2)));
    let before = || vec![conv("i", "a"), node("Pad", &["a", "p"], "q")];
    let pooled = |extra| [before(), vec![window("AveragePool", "q", extra)]].concat();
    imported("average", pooled(vec![]), pads(&uneven), 2);
    let counted = vec![int("count_include_pad", 1), ints("pads", &[0, 1, 0, 0])];
    imported("counted", pooled(counted), pads(&uneven), 2);
    let largest = [before(), vec![window("MaxPool", "q", vec![])]].concat();
    imported("largest", largest, pads(&[0, 0, 1, 1, 0, 0, 0, 1]), 5);
    let far = vec![pad("q"), node("Pad", &["q", "p"], "z"), window("MaxPool", "z", vec![])];
    refused(far, pads(&[0, 0, 1, 1, 0, 0, 1, 1]), &["pads by more than one"]);
    let twice = vec![pad("q"), node("Pad", &["q", "p"], "z"), conv("z", "y")];
    refused(twice, pads(&[0, 0, 1, 1, 0, 0, 1, 1]), &["less padding than kernel"]);
    // Smaller windows at the edge, windows beyond it, or no window at all.
    let smaller = pooled(vec![ints("pads", &[1, 1, 1, 1])]);
    refused(smaller, pads(&uneven), &["Pad `Pad_q`: what it pads does not go to a convolution"]);
    refused(pooled(vec![int("ceil_mode", 1)]), pads(&uneven), &["Pad `Pad_q`"]);
    refused([before(), vec![node("Relu", &["q"], "y")]].concat(), pads(&uneven), &["Pad `Pad_q`"]);
    let reflected = with(pad("q"), vec![ints("mode", &[])]);
    let mut mode = reflected;
    mode.attribute[0].s = b"reflect".to_vec();
    refused(vec![mode, conv("q", "y")], pads(&uneven), &["with other values than zeros"]);
    let ones = node("Pad", &["i", "p", "one"], "q");
    let constants = [pads(&uneven), vec![tensor("one", &[], &[1.0])]].concat();
    refused(vec![ones, conv("q", "y")], constants, &["with other values than zeros"]);
    let computed = node("Pad", &["i", "x"], "q");
    refused(vec![computed, conv("q", "y")], vec![], &["how much it pads is computed"]);
}

#[test]
fn kernels_with_gaps() {
    let dilated = |steps: &[i64], group| {
        let told = vec![ints("dilations", steps), int("group", group)];
        with(node("Conv", &["i", "k"], "y"), told)
    };
    let chain = imported("gaps", vec![dilated(&[2, 1], 1)], vec![random("k", &[3, 2, 3, 3])], 1);
    assert_eq!(chain.layers[0].map.shape.window().unwrap().kernel, (5, 3));
    imported("depthwise", vec![dilated(&[1, 2], 2)], vec![random("k", &[2, 1, 3, 3])], 1);
    refused(
        vec![dilated(&[100, 100], 1)],
        vec![random("k", &[3, 2, 3, 3])],
        &["Conv `Conv_y`: its kernel with its gaps"],
    );
    let pool = with(
        node("MaxPool", &["i"], "y"),
        vec![ints("kernel_shape", &[2, 2]), ints("dilations", &[2, 2])],
    );
    refused(vec![pool], vec![], &["MaxPool `MaxPool_y`: its window has gaps"]);
}

/// Readings that lie pixel after pixel: what takes the channels apart is a convolution over all.
#[test]
fn the_first_layer_may_take_channels_apart() {
    for layout in LAYOUTS {
        let same = Padding::SameUpper;
        for (filters, padding) in [(3, BARE), (6, same), (6, Padding::SameLower)] {
            let mut graph = Builder::image(layout, [3, 6, 5]);
            let first = graph.conv(0, [filters, 1, 3, 3], 3, (1, 2), padding);
            let mean = graph.node(Op::AveragePool(Pool::WHOLE), &[first]);
            graph.flat_dense(mean, filters);
            check(&format!("{layout:?} {filters}"), &graph.graph, 3);
        }
        let two = Pool { size: Some((2, 2)), stride: (2, 1), ..Pool::WHOLE };
        let mut graph = Builder::image(layout, [3, 6, 5]);
        let mean = graph.node(Op::AveragePool(Pool { padding: same, ..two }), &[0]);
        graph.flat_dense(mean, 45);
        check(&format!("{layout:?} mean"), &graph.graph, 2);
        let mut graph = Builder::image(layout, [3, 6, 5]);
        let mean = graph.node(
            Op::Mean { axes: if layout == LAYOUTS[0] { vec![2] } else { vec![1] }, keep: true },
            &[0],
        );
        graph.flat_dense(mean, 15);
        check(&format!("{layout:?} mean over rows"), &graph.graph, 2);
        // The larger of two needs its channels one after the other.
        let mut graph = Builder::image(layout, [3, 6, 5]);
        let largest = graph.node(Op::MaxPool(two), &[0]);
        graph.flat_dense(largest, 36);
        let layers = if layout == LAYOUTS[0] { 3 } else { 4 };
        check(&format!("{layout:?} largest"), &graph.graph, layers);
    }
    let mut graph = Builder::image(Layout::ChannelsLast, [3, 20, 20]);
    let mean = graph.node(Op::AveragePool(Pool::WHOLE), &[0]);
    graph.flat_dense(mean, 3);
    check("more words than a kernel has", &graph.graph, 3);
}

/// Branches of one value are one layer of more filters.
#[test]
fn branches_side_by_side() {
    let filters = |name, count, size| random(name, &[count, 2, size, size]);
    let branch = |weights, pad: i64, to: &str| {
        let hidden = format!("{to} linear");
        let conv = node("Conv", &["i", weights, "b"], &hidden);
        [with(conv, vec![ints("pads", &[pad; 4])]), node("Relu", &[&hidden], to)]
    };
    let joined = |inputs: &[&str], axis| with(node("Concat", inputs, "y"), vec![int("axis", axis)]);
    let three = || vec![filters("k1", 3, 1), filters("k3", 3, 3), filters("k5", 3, 5)];
    let all = || [branch("k1", 0, "p"), branch("k3", 1, "q"), branch("k5", 2, "r")].concat();
    let chain =
        imported("inception", [all(), vec![joined(&["p", "q", "r"], 1)]].concat(), three(), 1);
    let window = chain.layers[0].map.shape.window().unwrap();
    assert_eq!((window.kernel, window.filters, window.before), ((5, 5), 9, (2, 2)));
    imported("sum", [all(), vec![node("Add", &["p", "r"], "y")]].concat(), three(), 2);
    let norm = vec![
        node("Conv", &["i", "k3", "b"], "c"),
        node("BatchNormalization", &["c", "g", "b", "b", "g"], "d"),
        node("Conv", &["i", "v"], "e"),
        node("Identity", &["e"], "f"),
        joined(&["d", "f", "f"], 1),
    ];
    let twice = [three(), vec![tensor("g", &[3], &[1.0, 2.0, 0.5])]].concat();
    // A branch that is joined twice is a value of its own.
    imported("twice", norm.clone(), twice.clone(), 4);
    let once = [norm[..4].to_vec(), vec![joined(&["d", "f"], 1)]].concat();
    imported("normalised", once, twice, 1);
    imported("rows", [all(), vec![joined(&["p", "q"], 2)]].concat(), three(), 3);
    imported("input", [all(), vec![joined(&["p", "i"], 1)]].concat(), three(), 2);
    for (nodes, what) in [
        ([all(), vec![joined(&["p", "b"], 1)]].concat(), "joins computed values with constants"),
        (
            [branch("k1", 0, "p"), branch("k3", 0, "q")]
                .concat()
                .into_iter()
                .chain([joined(&["p", "q"], 1)])
                .collect(),
            "joins values of dimensions [[3, 6, 6], [3, 4, 4]]",
        ),
    ] {
        refused(nodes, three(), &[what]);
    }
    for layout in LAYOUTS {
        let mut graph = Builder::image(layout, [2, 5, 4]);
        let (first, second) =
            (graph.same(0, 3, 2), graph.conv(0, [2, 2, 1, 2], 1, (1, 1), Padding::SameLower));
        let both = [graph.node(Op::Relu6, &[first]), graph.node(Op::Relu6, &[second])];
        let axis = if layout == LAYOUTS[0] { 1 } else { -1 };
        let joined = graph.node(Op::Concat { axis }, &both);
        graph.flat_dense(joined, 100);
        check(&format!("{layout:?}"), &graph.graph, 3);
        let mut graph = Builder::new(&[6], layout);
        let (first, second) = (graph.dense(0, 6, 4), graph.dense(0, 6, 4));
        let both = [first, second].map(|value| graph.node(Op::Relu, &[value]));
        let sum = graph.node(Op::Add, &both);
        graph.dense(sum, 4, 2);
        check(&format!("{layout:?} dense"), &graph.graph, 3);
        let mut graph = Builder::new(&[6], layout);
        let (first, second) = (graph.dense(0, 6, 3), graph.dense(0, 6, 4));
        let slope = || Op::LeakyRelu { slope: vec![0.2], dims: None };
        let both = [first, second].map(|value| graph.node(slope(), &[value]));
        let joined = graph.node(Op::Concat { axis: -1 }, &both);
        graph.dense(joined, 7, 2);
        check(&format!("{layout:?} leaky"), &graph.graph, 3);
    }
}

/// What is made of a function of the answer is left to the recipient, as that function is.
#[test]
fn what_is_made_of_a_function_of_the_answer_is_left_off() {
    // As scikit-learn writes a classifier of two classes.
    let sides = |first: &str| {
        vec![
            conv("i", "c"),
            node("Sigmoid", &["c"], "p"),
            node("Sub", &["one", first], "n"),
            with(node("Concat", &["n", "p"], "both"), vec![int("axis", 1)]),
            with(node("ArgMax", &["both"], "y"), vec![int("axis", 1)]),
        ]
    };
    let one = || vec![tensor("one", &[1], &[1.0])];
    let chain = lower(&file(sides("p"), one()).unwrap()).unwrap();
    assert_eq!((chain.layers.len(), chain.layers[0].outputs()), (1, 108));
    assert_eq!(chain.left_off, ["Sigmoid", "Sub", "Concat", "ArgMax"]);
    assert_eq!(chain.scores, None, "more than one function");
    // Not if the answer is needed without the function, too.
    let chain = lower(&file(sides("c"), one()).unwrap()).unwrap();
    assert_eq!(chain.left_off, ["ArgMax"]);
    assert!(chain.layers.iter().any(|layer| layer.function() == Some(Function::Sigmoid)));
    let scaled = vec![
        conv("i", "c"),
        node("Mul", &["c", "one"], "m"),
        node("Tanh", &["m"], "t"),
        node("Mul", &["t", "one"], "y"),
    ];
    let chain = lower(&file(scaled, one()).unwrap()).unwrap();
    assert_eq!((chain.layers.len(), &chain.left_off[..]), (1, &["Tanh".into(), "Mul".into()][..]));
    assert_eq!(chain.scores, None);
}

/// What a network ends in is known where it is one function of all values, and nothing else.
#[test]
fn the_function_at_the_end_is_told() {
    use sharelet_model::Scores;
    let weights = || random("dense", &[72, 6]);
    let softmax = |axis| with(node("Softmax", &["g"], "y"), vec![int("axis", axis)]);
    let argmax = || with(node("ArgMax", &["s"], "y"), vec![int("axis", 1)]);
    let flat = || with(node("Flatten", &["i"], "f"), vec![int("axis", 1)]);
    let on_flat = || node("Gemm", &["f", "dense"], "g");
    for (rest, expected) in [
        (vec![softmax(-1)], Some(Scores::Softmax)),
        (vec![softmax(1)], Some(Scores::Softmax)),
        // Over the batch.
        (vec![softmax(0)], None),
        (
            vec![with(node("LogSoftmax", &["g"], "y"), vec![int("axis", -1)])],
            Some(Scores::LogSoftmax),
        ),
        (vec![node("Sigmoid", &["g"], "y")], Some(Scores::Sigmoid)),
        (vec![node("Tanh", &["g"], "y")], Some(Scores::Tanh)),
        (
            vec![with(node("Softmax", &["g"], "s"), vec![int("axis", -1)]), argmax()],
            Some(Scores::Softmax),
        ),
        (vec![node("Sigmoid", &["g"], "s"), node("Sigmoid", &["s"], "y")], None),
        (vec![node("Identity", &["g"], "y")], None),
    ] {
        let nodes = [vec![flat(), on_flat()], rest].concat();
        let chain = lower(&file(nodes, vec![weights()]).unwrap()).unwrap();
        assert_eq!(chain.scores, expected, "{:?}", chain.left_off);
    }
    // Two rows of three: a softmax of each is none of all.
    let nodes = vec![
        flat(),
        on_flat(),
        node("Reshape", &["g", "rows"], "r"),
        with(node("Softmax", &["r"], "y"), vec![int("axis", -1)]),
    ];
    let constants = vec![weights(), shape("rows", &[-1, 2, 3])];
    let chain = lower(&file(nodes, constants).unwrap()).unwrap();
    assert_eq!((chain.scores, &chain.left_off[..]), (None, &["Softmax".to_owned()][..]));
}
