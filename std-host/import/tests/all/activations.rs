//! Activation functions that are no ReLU: straight pieces within their bound, networks within the
//! error that is printed, and private answers that are the twin's.

use prost::Message as _;
use rand_core::Rng as _;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::session::wire::control::Answer;
use sharelet_import::columns::quantise;
use sharelet_import::function::Function;
use sharelet_import::graph::{Layout, Op, Padding, Pool, Tensor};
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx;
use sharelet_import::onnx_proto::{NodeProto, TensorProto};
use sharelet_import::quantise::Options;
use sharelet_import::report::Report;
use sharelet_import::spline::Spline;
use sharelet_import::steps::Steps;
use sharelet_model::Model;
use sharelet_model::readings::Readings;
use sharelet_testkit::graphs::{BARE, Builder, check, numbered, refuses};
use sharelet_testkit::onnx::{float, model, node, tensor, with};
use sharelet_testkit::party::Setup;
use sharelet_testkit::{Rng, outsource, rng, says};

const FUNCTIONS: [Function; 18] = [
    Function::Sigmoid,
    Function::Tanh,
    Function::Erf,
    Function::Gelu,
    Function::GeluTanh,
    Function::Silu { beta: 1.0 },
    Function::Silu { beta: 1.702 },
    Function::HardSwish,
    Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Function::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
    Function::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 },
    Function::Elu { alpha: 1.673_263_2, gamma: 1.050_701, width: 1.0 },
    Function::Elu { alpha: 0.25, gamma: 1.0, width: 0.25 },
    Function::Softplus,
    Function::Softsign,
    Function::Mish,
    Function::Exponential,
    Function::Clip { low: -1.0, high: 2.0 },
];

/// The functions once more, from their definitions.
#[test]
fn functions_are_what_their_names_say() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for x in (-400..=400).map(|place| f64::from(place) / 40.0) {
        for (function, right) in [
            (Function::Sigmoid, sigmoid(x)),
            (Function::Tanh, x.tanh()),
            (Function::Silu { beta: 1.0 }, x * sigmoid(x)),
            (Function::Silu { beta: 1.702 }, x * sigmoid(1.702 * x)),
            (Function::HardSwish, x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            (Function::Softplus, (1.0 + x.exp()).ln()),
            (Function::Softsign, x / (1.0 + x.abs())),
            (Function::Mish, x * (1.0 + x.exp()).ln().tanh()),
            (Function::Exponential, if x < 0.0 { x.exp() } else { 1.0 }),
            (
                Function::GeluTanh,
                0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x.powi(3))).tanh()),
            ),
            (
                Function::Elu { alpha: 0.5, gamma: 2.0, width: 4.0 },
                if x < 0.0 { (x / 4.0).exp() - 1.0 } else { 2.0 * x },
            ),
        ] {
            let found = function.at(x);
            assert!((found - right).abs() < 1e-12 * right.abs().max(1.0), "{function:?} at {x}");
        }
        // The series of the error function.
        let series = |x: f64| {
            let mut term = x;
            let mut sum = x;
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * core::f64::consts::FRAC_2_SQRT_PI
        };
        if x.abs() < 3.0 {
            assert!((Function::Erf.at(x) - series(x)).abs() < 1e-11, "{x}");
            let gelu = 0.5 * x * (1.0 + series(x / 2.0_f64.sqrt()));
            assert!((Function::Gelu.at(x) - gelu).abs() < 1e-11, "{x}");
        }
    }
}

#[test]
fn straight_pieces_are_within_their_bound_everywhere() {
    for function in FUNCTIONS {
        for power in 4..=12 {
            let error = 2.0_f64.powi(-power);
            let spline = Spline::fit(function, error).unwrap();
            assert!(spline.bound <= error, "{function:?}");
            let near = (-400_000..=400_000).map(|place| f64::from(place) / 20_000.0);
            let far = (0..200).map(|place| 1.1_f64.powi(place));
            let mut worst = 0.0_f64;
            for x in near.chain(far.clone()).chain(far.map(|x| -x)) {
                worst = worst.max((function.at(x) - spline.at(x)).abs() / x.abs().max(1e9) * 1e9);
            }
            assert!(worst <= spline.bound, "{function:?}: {worst}, {}", spline.bound);
            // The bound is not much more than what is seen.
            assert!(spline.bound < 1.05 * worst + 2e-9, "{function:?}: {worst}, {}", spline.bound);
            assert!(spline.knots.is_sorted(), "{function:?}");
            println!("{function:?}: {error:.6} with {} knots", spline.knots.len());
            // What rises all the way does so in pieces.
            let rises = !matches!(
                function,
                Function::Gelu
                    | Function::GeluTanh
                    | Function::Silu { .. }
                    | Function::HardSwish
                    | Function::Mish
            );
            let mut slope = 0.0;
            for step in &spline.steps {
                slope += step;
                assert!(!rises || slope > -1e-9, "{function:?}: {slope}");
            }
        }
    }
}

/// The table in `docs/answers.md`.
#[test]
fn pieces_are_as_many_as_the_page_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/answers.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (name, function) in [
        ("sigmoid", Function::Sigmoid),
        ("tanh", Function::Tanh),
        ("GELU", Function::Gelu),
        ("SiLU", Function::Silu { beta: 1.0 }),
        ("hard-swish", Function::HardSwish),
        ("ELU", Function::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 }),
    ] {
        let knots = |power: i32| Spline::fit(function, 2.0_f64.powi(-power)).unwrap().knots.len();
        let counts: Vec<String> = [4, 6, 8, 10, 12].map(|power| knots(power).to_string()).into();
        says(&page, &format!("\n| {name} | {} |\n", counts.join(" | ")));
    }
}

/// `x` of 6 values, a dense layer of 10, the function, a dense layer of 3.
fn between(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Vec<u8> {
    let random = |name: &str, dims: &[i64], seed: u64, scale: f32| {
        let values = Rng(seed).reals(dims.iter().product::<i64>() as usize);
        tensor(name, dims, &values.into_iter().map(|value| scale * value).collect::<Vec<_>>())
    };
    let dense = |input, weights: &str, bias: &str, output| {
        with(node("Gemm", &[input, weights, bias], output), vec![])
    };
    let mut all = vec![dense("x", "w", "b", "h")];
    all.extend(nodes);
    all.push(dense("f", "v", "c", "y"));
    let weights = [
        random("w", &[6, 10], 1, 1.5),
        random("b", &[10], 2, 1.0),
        random("v", &[10, 3], 3, 1.0),
        random("c", &[3], 4, 0.5),
    ];
    let constants = constants.into_iter().chain(weights).collect();
    let mut file = model(6, all, constants);
    file.opset_import[0].version = 24;
    file.encode_to_vec()
}

pub fn readings(width: usize, count: usize, seed: u64, level: f32) -> Readings {
    let values = Rng(seed).reals(width * count).into_iter().map(|value| level * value);
    Readings::new(width, values.collect()).unwrap()
}

/// Private answers are the twin's, on a device and by two servers, at the ends of what is accepted,
/// too.
pub fn private(model: &Model, readings: &Readings) {
    let limit = f64::from(model.network.input_limit())
        / 2.0_f64.powi(model.network.input_frac_bits().into());
    let width = readings.width();
    let mut rows: Vec<Vec<f32>> = readings.rows().take(3).map(<[f32]>::to_vec).collect();
    rows.push(vec![limit as f32; width]);
    rows.push((0..width).map(|at| if at % 2 == 0 { -limit } else { limit } as f32).collect());
    let mut draw = rng(5);
    for row in rows {
        let input = model.encode(&row).unwrap();
        let layers = model.network.layers();
        let network = sharelet_core::session::network::Network::new(
            model.network.input_frac_bits(),
            model.network.input_limit(),
            layers,
        );
        let (weights, biases) = (model.weights.clone(), model.biases.clone());
        let same = sharelet_testkit::model::Model { network: network.unwrap(), weights, biases };
        let setup = Setup::random(same, Answer::Device, &mut draw);
        let transcript = setup.honest::<ChaCha8>(&input, 512);
        let right = model.infer(&input).unwrap();
        assert_eq!(transcript.device_answer, right);
        // And by two servers, each with a share of the reading.
        let h_0: Vec<u32> = input.iter().map(|_| draw.next_u32()).collect();
        let h_1: Vec<u32> = input.iter().zip(&h_0).map(|(x, h)| x.wrapping_sub(*h)).collect();
        let shared = outsource::shared::<ChaCha8>(&setup, &h_0, &h_1);
        let shares = shared.share_0.iter().zip(&shared.share_1);
        assert!(shares.map(|(a, b)| a.wrapping_add(*b)).eq(right));
    }
}

/// Answers to several hundred readings are off by no more than the report says.
pub fn tried(name: &str, chain: &Chain, calibration: &Readings) -> (Model, Report) {
    let (model, report) = quantise(chain, calibration, &Options::default()).unwrap();
    println!("{name}\n{report}");
    let factors: Vec<f64> = report.levels.iter().map(|level| level.factor).collect();
    assert!(factors.starts_with(&[0.5, 1.0]) && factors.len() == 3, "{name}: {factors:?}");
    for level in &report.levels {
        let (mut error, mut size) = (0.0, 0.0);
        let others = readings(calibration.width(), 400, 77, level.factor as f32);
        for row in others.rows() {
            let Ok(input) = model.encode(row) else { continue };
            let answer = model.decode(&model.infer(&input).unwrap());
            for (found, right) in answer.into_iter().map(f64::from).zip(chain.infer(row)) {
                error += (found - right).powi(2);
                size += right * right;
            }
        }
        let error = (error / f64::max(size, 1e-30)).sqrt();
        assert!(error <= 1.5 * level.error, "{name} at {}: {error}\n{report}", level.factor);
        assert!(error <= 0.01, "{name} at {}: {error}", level.factor);
    }
    assert!(report.error <= 0.002, "{name}: {}", report.error);
    (model, report)
}

/// One function, as a file writes it, of `h` to `f`.
fn written(name: &str, nodes: Vec<NodeProto>, constants: Vec<TensorProto>, function: Function) {
    let graph = onnx::read(&between(nodes, constants), None).unwrap();
    let chain = lower(&graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = chain.layers[0].function().unwrap();
    assert_eq!(format!("{found:.4?}"), format!("{function:.4?}"), "{name}");
    let graph = numbered(&graph);
    for row in readings(6, 50, 3, 3.0).rows() {
        let right = sharelet_testkit::graphs::evaluate(&graph, row);
        for (found, right) in chain.infer(row).iter().zip(right) {
            assert!((found - right).abs() < 1e-4, "{name}: {found} where {right} is right");
        }
    }
    let (model, report) = tried(name, &chain, &readings(6, 300, 5, 1.0));
    assert_eq!(report.pieces.len(), 1);
    assert_eq!((report.pieces[0].values, report.pieces[0].function), (10, found));
    private(&model, &readings(6, 3, 9, 1.0));
}

#[test]
fn operators_of_onnx_are_computed_between_layers() {
    let of = |kind: &str| node(kind, &["h"], "f");
    let (alpha, beta) = (|value| float("alpha", value), |value| float("beta", value));
    let elu = |alpha: f64, gamma, width| Function::Elu { alpha, gamma, width };
    for (node, function) in [
        (of("Sigmoid"), Function::Sigmoid),
        (of("Tanh"), Function::Tanh),
        (of("Erf"), Function::Erf),
        (of("Gelu"), Function::Gelu),
        (of("Swish"), Function::Silu { beta: 1.0 }),
        (of("HardSwish"), Function::HardSwish),
        (of("HardSigmoid"), Function::HardSigmoid { alpha: 0.2, beta: 0.5 }),
        (
            with(of("HardSigmoid"), vec![alpha(0.25), beta(0.4)]),
            Function::HardSigmoid { alpha: 0.25, beta: 0.4 },
        ),
        (of("Elu"), elu(1.0, 1.0, 1.0)),
        (with(of("Elu"), vec![alpha(0.5)]), elu(0.5, 1.0, 1.0)),
        (of("Selu"), elu(1.673_263_2, 1.050_701, 1.0)),
        (with(of("Celu"), vec![alpha(0.5)]), elu(0.5, 1.0, 0.5)),
        (of("Softplus"), Function::Softplus),
        (of("Softsign"), Function::Softsign),
        (of("Mish"), Function::Mish),
    ] {
        let name = format!("{} {function}", node.op_type);
        written(&name, vec![node], vec![], function);
    }
    let limits = vec![tensor("low", &[], &[-1.0]), tensor("high", &[], &[0.5])];
    let clip = node("Clip", &["h", "low", "high"], "f");
    written("Clip", vec![clip], limits, Function::Clip { low: -1.0, high: 0.5 });
}

#[test]
fn what_exporters_write_with_several_nodes_is_one_function() {
    let number = |name: &str, value: f32| tensor(name, &[], &[value]);
    let silu = vec![node("Sigmoid", &["h"], "s"), node("Mul", &["h", "s"], "f")];
    written("SiLU", silu, vec![], Function::Silu { beta: 1.0 });
    let swish = vec![
        node("Mul", &["h", "b1"], "t"),
        node("Sigmoid", &["t"], "s"),
        node("Mul", &["s", "h"], "f"),
    ];
    let beta = vec![number("b1", 1.702)];
    written("quick GELU", swish, beta, Function::Silu { beta: 1.702 });
    let hard = vec![
        node("Add", &["h", "three"], "t"),
        with(node("Clip", &["t", "zero", "six"], "r"), vec![]),
        node("Mul", &["h", "r"], "m"),
        node("Div", &["m", "six"], "f"),
    ];
    let numbers = vec![number("three", 3.0), number("zero", 0.0), number("six", 6.0)];
    written("hard-swish", hard, numbers, Function::HardSwish);
    let alpha = float("alpha", 1.0 / 6.0);
    let hard =
        vec![with(node("HardSigmoid", &["h"], "s"), vec![alpha]), node("Mul", &["h", "s"], "f")];
    written("hard-swish with a hard-sigmoid", hard, vec![], Function::HardSwish);
    let gelu = vec![
        node("Div", &["h", "root"], "d"),
        node("Erf", &["d"], "e"),
        node("Add", &["e", "one"], "o"),
        node("Mul", &["h", "o"], "m"),
        node("Mul", &["m", "half"], "f"),
    ];
    let numbers =
        vec![number("root", core::f32::consts::SQRT_2), number("one", 1.0), number("half", 0.5)];
    written("GELU", gelu, numbers.clone(), Function::Gelu);
    let gelu = vec![
        node("Mul", &["h", "h"], "h2"),
        node("Mul", &["h2", "h"], "h3"),
        node("Mul", &["h3", "k"], "k3"),
        node("Add", &["h", "k3"], "a"),
        node("Mul", &["a", "q"], "q3"),
        node("Tanh", &["q3"], "t"),
        node("Add", &["t", "one"], "o"),
        node("Mul", &["h", "half"], "m"),
        node("Mul", &["m", "o"], "f"),
    ];
    let more = vec![number("k", 0.044_715), number("q", 0.797_884_6)];
    let numbers: Vec<_> = numbers.into_iter().chain(more).collect();
    written("GELU with tanh", gelu.clone(), numbers.clone(), Function::GeluTanh);
    let mut gelu = gelu;
    gelu.splice(0..2, [node("Pow", &["h", "cube"], "h3")]);
    let numbers = numbers.into_iter().chain([number("cube", 3.0)]).collect();
    written("GELU with a power", gelu, numbers, Function::GeluTanh);
    let mish = vec![
        node("Softplus", &["h"], "p"),
        node("Tanh", &["p"], "t"),
        node("Mul", &["h", "t"], "f"),
    ];
    written("Mish", mish, vec![], Function::Mish);
}

#[test]
fn functions_with_parameters_that_cannot_be_are_refused() {
    let refused = |nodes: Vec<NodeProto>, parts: &[&str]| {
        let graph = onnx::read(&between(nodes, vec![]), None).unwrap();
        let error = lower(&graph).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
    };
    for (kind, name, value) in [
        ("Elu", "alpha", 1e6),
        ("Celu", "alpha", 0.0),
        ("Celu", "alpha", -1.0),
        ("Swish", "alpha", -1.0),
        ("HardSigmoid", "alpha", 0.0),
        ("Selu", "gamma", -1.0),
        ("Elu", "alpha", f32::NAN),
    ] {
        let node = with(node(kind, &["h"], "f"), vec![float(name, value)]);
        refused(vec![node], &[kind, "it has parameters that are not computed with"]);
    }
    let pow = with(node("Pow", &["h", "c"], "f"), vec![]);
    refused(vec![pow], &["Pow", "its exponent is not one number"]);
}

#[test]
fn a_function_of_the_input_itself_is_refused() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let first = graph.node(Op::Function(Function::Tanh), &[0]);
    graph.dense(first, 5, 4);
    refuses(&graph, "applied to the input itself");
}

#[test]
fn convolutions_pools_sums_and_branches_have_functions() {
    let silu = || Op::Function(Function::Silu { beta: 1.0 });
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let mut graph = Builder::image(layout, [2, 6, 6]);
        let first = graph.same(0, 4, 2);
        let first = graph.norm(first, 4);
        let stem = graph.node(silu(), &[first]);
        let second = graph.conv(stem, [4, 1, 3, 3], 4, (1, 1), Padding::SameUpper);
        let second = graph.node(Op::Function(Function::Gelu), &[second]);
        let third = graph.conv(second, [4, 4, 1, 1], 1, (1, 1), BARE);
        let sum = graph.node(Op::Add, &[stem, third]);
        let sum = graph.node(Op::Function(Function::HardSwish), &[sum]);
        let pool = Pool { size: Some((2, 2)), stride: (2, 2), ..Pool::WHOLE };
        let pooled = graph.node(Op::MaxPool(pool), &[sum]);
        graph.flat_dense(pooled, 36);
        let chain = check(&format!("{layout:?}"), &graph.graph, 6);
        let calibration = readings(72, 100, 5, 1.0);
        let (model, report) = tried("residual", &chain, &calibration);
        assert_eq!(report.pieces.len(), 3);
        assert_eq!(model.network.layers().len(), report.layers.len());
    }
}

#[test]
fn functions_stand_before_and_behind_pools() {
    let pool = Pool { size: Some((2, 2)), stride: (2, 2), ..Pool::WHOLE };
    for ops in [
        [Op::Function(Function::Tanh), Op::MaxPool(pool)],
        [Op::MaxPool(pool), Op::Function(Function::Tanh)],
        [Op::Function(Function::Sigmoid), Op::AveragePool(pool)],
        [Op::AveragePool(pool), Op::Function(Function::Sigmoid)],
    ] {
        let name = format!("{ops:?}");
        let mut graph = Builder::new(&[1, 8, 8], Layout::ChannelsFirst);
        let mut value = graph.same(0, 3, 1);
        for op in ops {
            value = graph.node(op, &[value]);
        }
        graph.flat_dense(value, 48);
        let chain = lower(&graph.graph).unwrap();
        check(&name, &graph.graph, chain.layers.len());
        let (_, report) = tried(&name, &chain, &readings(64, 100, 5, 1.0));
        // What rises is computed behind the pool, where there are fewer values.
        let first = name.starts_with("[Function(Sigmoid)");
        assert_eq!(report.pieces[0].values, if first { 192 } else { 48 }, "{name}");
    }
}

#[test]
fn functions_of_quantised_networks_are_refused() {
    let steps = Steps { scale: 1.0 / 64.0, low: -128.0, high: 127.0 };
    for function in [Function::Tanh, Function::HardSwish] {
        let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
        let input = graph.node(Op::Round(steps), &[0]);
        let first = graph.dense(input, 5, 6);
        let first = graph.node(Op::Function(function), &[first]);
        let first = graph.node(Op::Round(steps), &[first]);
        graph.dense(first, 6, 4);
        refuses(&graph, "of networks that were quantised before, ReLU, ReLU6 and leaky ReLU are");
    }
}

#[test]
fn more_pieces_than_there_is_room_for_are_told() {
    let wide = |side: usize| {
        let mut graph = Builder::new(&[1, side, side], Layout::ChannelsFirst);
        let first = graph.conv(0, [1, 1, 1, 1], 1, (1, 1), BARE);
        let tanh = graph.node(Op::Function(Function::Tanh), &[first]);
        graph.flat_dense(tanh, side * side);
        let chain = lower(&graph.graph).unwrap();
        quantise(&chain, &readings(side * side, 4, 5, 1.0), &Options::default())
    };
    let error = wide(150).unwrap_err();
    says(&error, "layer 0 (`node 1`): tanh of 22500 values takes more straight pieces");
    let (_, report) = wide(90).unwrap();
    let warnings = report.warnings().join("; ");
    assert!(warnings.contains("there is no room for more"), "{warnings}");
    assert!(report.pieces[0].knots * 8100 <= 65_535);
}

/// Bounded functions keep the sums behind them in a proved range, however many layers there are.
#[test]
fn ranges_behind_bounded_functions_are_proved() {
    let mut graph = Builder::new(&[8], Layout::ChannelsFirst);
    let mut value = 0;
    for inputs in [8, 12, 12, 12] {
        let dense = graph.dense(value, inputs, 12);
        value = graph.node(Op::Function(Function::Tanh), &[dense]);
    }
    graph.dense(value, 12, 3);
    let chain = check("tanh", &graph.graph, 5);
    let (_, report) = tried("proved", &chain, &readings(8, 300, 5, 1.0));
    assert!(report.is_proved(), "{report}");
}

#[test]
fn sigmoid_and_tanh_at_the_end_are_left_to_the_recipient_and_others_are_computed() {
    for (function, left) in [(Function::Sigmoid, 1), (Function::Tanh, 1), (Function::Softplus, 0)] {
        let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
        let first = graph.dense(0, 5, 6);
        let tanh = graph.node(Op::Function(Function::Tanh), &[first]);
        let second = graph.dense(tanh, 6, 4);
        graph.node(Op::Function(function), &[second]);
        let chain = lower(&graph.graph).unwrap();
        assert_eq!(chain.left_off.len(), left);
        assert_eq!(chain.layers[1].function().is_some(), left == 0);
        assert_eq!(chain.layers[0].function(), Some(Function::Tanh));
    }
}

/// Where nothing is proved each gate has room for what its own accumulators were tried with.
#[test]
fn gates_have_room_for_all_that_was_tried() {
    let mut graph = Builder::new(&[64], Layout::ChannelsFirst);
    let mut value = 0;
    for _ in 0..2 {
        let weights = graph.tensor(&[64, 64]).values.into_iter().map(|weight| weight / 4.0);
        let weights = Tensor::new(vec![64, 64], weights.collect()).unwrap();
        let dense = graph.node(Op::Dense { weights, bias: None }, &[value]);
        value = graph.node(Op::Function(Function::HardSwish), &[dense]);
    }
    graph.dense(value, 64, 10);
    let chain = lower(&graph.graph).unwrap();
    let options = Options { max_error: 0.01, ..Options::default() };
    let (_, report) = quantise(&chain, &readings(64, 300, 5, 1.0), &options).unwrap();
    assert!(!report.is_proved(), "{report}");
    assert!(report.unlike < 0.5, "{report}");
}

/// A proof holds at the corners of what is accepted, also where functions are far out at their
/// ends: what wraps around is off by more than all of an answer.
#[test]
fn no_corner_wraps_around_what_is_proved() {
    let mut proved = 0;
    for seed in 0..24 {
        let mut graph = Builder::new(&[6], Layout::ChannelsFirst);
        graph.rng = Rng(seed + 100);
        let (mut value, mut inputs) = (0, 6);
        for layer in 0..3 {
            let scale = [0.25, 1.0, 4.0, 16.0][(seed as usize + layer) % 4];
            let weights = graph.tensor(&[8, inputs]).values.into_iter().map(|w| scale * w);
            let weights = Tensor::new(vec![8, inputs], weights.collect()).unwrap();
            let bias = Some(graph.reals(8));
            let dense = graph.node(Op::Dense { weights, bias }, &[value]);
            let function = FUNCTIONS[(seed as usize + 5 * layer) % FUNCTIONS.len()];
            (value, inputs) = (graph.node(Op::Function(function), &[dense]), 8);
        }
        graph.dense(value, 8, 3);
        let chain = lower(&graph.graph).unwrap();
        let calibration = readings(6, 60, seed, 1.0);
        let Ok((model, report)) = quantise(&chain, &calibration, &Options::default()) else {
            continue;
        };
        if !report.is_proved() {
            continue;
        }
        proved += 1;
        let mut rng = Rng(seed);
        for _ in 0..200 {
            let limit = report.input_limit as f32;
            let signs = rng.reals(6).into_iter();
            let row: Vec<f32> = signs.map(|x| if x > 0.0 { limit } else { -limit }).collect();
            let answer = model.decode(&model.infer(&model.encode(&row).unwrap()).unwrap());
            let right = chain.infer(&row);
            let size = right.iter().fold(1.0_f64, |max, value| max.max(value.abs()));
            for (found, right) in answer.into_iter().map(f64::from).zip(right) {
                let off = (found - right).abs();
                assert!(off < 0.1 * size, "seed {seed}: {found} where {right} is right\n{report}");
            }
        }
    }
    println!("{proved} of 24 proved");
    assert!(proved > 8, "{proved}");
}

/// Zeros that pad a pool stay zeros, and a ReLU behind a pool stays there.
#[test]
fn functions_that_are_not_zero_at_zero_stay_before_their_pools() {
    let pool = Pool { size: Some((2, 2)), stride: (2, 2), ..Pool::WHOLE };
    // As a node that pads with zeros in front of it makes it.
    let padding = Padding::Explicit { before: (1, 1), after: (1, 1) };
    let padded = Pool { padding, count_padding: true, ..pool };
    for function in [
        Function::Sigmoid,
        Function::Softplus,
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::Clip { low: -2.0, high: -1.0 },
        Function::Tanh,
    ] {
        for (ops, side) in [
            (vec![Op::MaxPool(padded)], 5),
            (vec![Op::MaxPool(pool), Op::Relu], 4),
            (vec![Op::MaxPool(padded), Op::Relu], 5),
        ] {
            let name = format!("{function:?} {ops:?}");
            let mut graph = Builder::new(&[1, 8, 8], Layout::ChannelsFirst);
            let mut value = graph.same(0, 3, 1);
            value = graph.node(Op::Function(function), &[value]);
            for op in ops {
                value = graph.node(op, &[value]);
            }
            graph.flat_dense(value, 3 * side * side);
            let chain = lower(&graph.graph).unwrap();
            check(&name, &graph.graph, chain.layers.len());
            tried(&name, &chain, &readings(64, 50, 5, 1.0));
        }
    }
}

/// What is like a known function near zero alone is another one, and computed as what it is.
#[test]
fn products_that_are_known_near_zero_alone_are_no_functions() {
    for limit in [60.0, 900.0, 4000.0] {
        let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
        let first = graph.dense(0, 5, 6);
        let limited = Op::Function(Function::Clip { low: -limit, high: limit });
        let limited = graph.node(limited, &[first]);
        let gate = graph.node(Op::Function(Function::Sigmoid), &[first]);
        let product = graph.node(Op::Product, &[limited, gate]);
        graph.dense(product, 6, 4);
        let chain = lower(&graph.graph).unwrap();
        let silu = Function::Silu { beta: 1.0 };
        assert!(chain.layers.iter().all(|layer| layer.function() != Some(silu)));
    }
}
