//! Recurrent cells, against their definitions: LSTM, GRU and RNN of ONNX, alone, stacked, in both
//! directions, with what exporters write around them; parts of values that are picked.

use prost::Message as _;
use sharelet_import::columns::quantise;
use sharelet_import::lower::lower;
use sharelet_import::onnx;
use sharelet_import::onnx_proto::{
    AttributeProto, DimensionProto, ModelProto, NodeProto, TensorProto,
};
use sharelet_import::quantise::Options;
use sharelet_testkit::onnx::{int, ints, model, node, shape, tensor, with};
use sharelet_testkit::{Rng, says};

use crate::activations::{private, readings};

fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: s.as_bytes().to_vec(), ..Default::default() }
}

fn several(mut node: NodeProto, outputs: &[&str]) -> NodeProto {
    node.output = outputs.iter().map(|&name| name.into()).collect();
    node
}

fn random(name: &str, dims: &[i64], seed: u64, scale: f32) -> TensorProto {
    let values = Rng(seed).reals(dims.iter().product::<i64>() as usize);
    tensor(name, dims, &values.iter().map(|value| scale * value).collect::<Vec<f32>>())
}

/// A model of sequences `[batch, steps, inputs]`.
fn of_steps(
    [steps, inputs]: [i64; 2],
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
) -> ModelProto {
    let mut file = model(inputs, nodes, constants);
    file.opset_import[0].version = 14;
    let dims = |value: i64| DimensionProto { dim_value: Some(value), dim_param: None };
    let graph = file.graph.as_mut().unwrap();
    let kind = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    kind.shape.as_mut().unwrap().dim.splice(1.., [dims(steps), dims(inputs)]);
    file
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What a cell gives after each step, by its definition.
struct Reference {
    kind: &'static str,
    hidden: usize,
    w: Vec<f64>,
    r: Vec<f64>,
    b: Vec<f64>,
    h: Vec<f64>,
    c: Vec<f64>,
    before_reset: bool,
}

impl Reference {
    fn run(&self, sequence: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let hidden = self.hidden;
        let (mut h, mut c) = (self.h.clone(), self.c.clone());
        let gates = self.b.len() / 2 / hidden;
        let product = |matrix: &[f64], row: usize, x: &[f64]| -> f64 {
            matrix[row * x.len()..][..x.len()].iter().zip(x).map(|(w, x)| w * x).sum()
        };
        let mut out = Vec::new();
        for x in sequence {
            let own = |gate: usize, unit: usize| {
                product(&self.w, gate * hidden + unit, x) + self.b[gate * hidden + unit]
            };
            let kept = |gate: usize, unit: usize, h: &[f64]| {
                product(&self.r, gate * hidden + unit, h) + self.b[(gates + gate) * hidden + unit]
            };
            let all = |gate: usize, unit: usize| own(gate, unit) + kept(gate, unit, &h);
            let next: Vec<f64> = (0..hidden)
                .map(|unit| match self.kind {
                    "LSTM" => {
                        let [i, o, f] = [0, 1, 2].map(|gate| sigmoid(all(gate, unit)));
                        c[unit] = f * c[unit] + i * all(3, unit).tanh();
                        o * c[unit].tanh()
                    }
                    "GRU" => {
                        let z = sigmoid(all(0, unit));
                        let r = |unit: usize| sigmoid(all(1, unit));
                        let through = match self.before_reset {
                            true => r(unit) * kept(2, unit, &h),
                            false => {
                                let let_in: Vec<f64> =
                                    (0..hidden).map(|unit| r(unit) * h[unit]).collect();
                                kept(2, unit, &let_in)
                            }
                        };
                        (1.0 - z) * (own(2, unit) + through).tanh() + z * h[unit]
                    }
                    "RNN" => all(0, unit).tanh(),
                    _ => all(0, unit).max(0.0),
                })
                .collect();
            h = next;
            out.push(h.clone());
        }
        out
    }
}

fn wide(tensor: &TensorProto) -> Vec<f64> {
    let floats =
        tensor.raw_data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    floats.map(f64::from).collect()
}

/// Runs a file on readings, against what is right, in floating point and as integers.
fn right(
    (name, integers): (&str, bool),
    file: &ModelProto,
    width: usize,
    answer: impl Fn(&[f64]) -> Vec<f64>,
) {
    let graph = onnx::read(&file.encode_to_vec(), None).unwrap_or_else(|e| panic!("{name}: {e}"));
    let chain = lower(&graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let wide = |row: &[f32]| row.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    for row in readings(width, 20, 3, 1.5).rows() {
        for (found, right) in chain.infer(row).iter().zip(answer(&wide(row))) {
            assert!((found - right).abs() < 1e-9, "{name}: {found} where {right} is right");
        }
    }
    if !integers {
        return;
    }
    let calibration = readings(width, 60, 5, 1.0);
    let (model, report) = quantise(&chain, &calibration, &Options::default()).unwrap();
    println!("{name}\n{report}");
    let (mut error, mut size) = (0.0, 0.0);
    for row in readings(width, 100, 77, 1.0).rows() {
        let found = model.decode(&model.infer(&model.encode(row).unwrap()).unwrap());
        for (found, right) in found.into_iter().zip(answer(&wide(row))) {
            error += (f64::from(found) - right).powi(2);
            size += right * right;
        }
    }
    let error = (error / size).sqrt();
    assert!(error < 2.0 * report.error.max(0.002), "{name}: {error}\n{report}");
    assert!(report.error < 0.01, "{name}\n{report}");
    private(&model, &readings(width, 1, 9, 1.0));
}

const STEPS: usize = 3;
const INPUTS: usize = 3;
const HIDDEN: usize = 5;

/// A cell with constants of these names and seeds.
fn cell(
    kind: &'static str,
    name: &str,
    inputs: usize,
    seed: u64,
    begin: bool,
) -> (Vec<TensorProto>, Reference) {
    let gates = match kind {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let (hidden, rows) = (HIDDEN as i64, gates * HIDDEN as i64);
    let named = |part: &str| format!("{name}{part}");
    let all = vec![
        random(&named("w"), &[1, rows, inputs as i64], seed, 0.9),
        random(&named("r"), &[1, rows, hidden], seed + 1, 0.7),
        random(&named("b"), &[1, 2 * rows], seed + 2, 0.4),
        random(&named("h"), &[1, 1, hidden], seed + 3, if begin { 0.8 } else { 0.0 }),
        random(&named("c"), &[1, 1, hidden], seed + 4, if begin { 0.8 } else { 0.0 }),
    ];
    let [w, r, b, h, c] = [0, 1, 2, 3, 4].map(|at| wide(&all[at]));
    (all, Reference { kind, hidden: HIDDEN, w, r, b, h, c, before_reset: false })
}

fn steps_of(reading: &[f64], inputs: usize) -> Vec<Vec<f64>> {
    reading.chunks(inputs).map(<[f64]>::to_vec).collect()
}

/// A dense layer behind it all.
fn dense(width: i64) -> (TensorProto, impl Fn(&[f64]) -> Vec<f64>) {
    let weights = random("v", &[width, 2], 99, 1.0);
    let values = wide(&weights);
    let of = move |x: &[f64]| {
        (0..2)
            .map(|out| x.iter().enumerate().map(|(at, x)| x * values[at * 2 + out]).sum())
            .collect()
    };
    (weights, of)
}

#[test]
fn cells_are_what_their_definitions_say() {
    for (kind, attributes, before_reset) in [
        ("LSTM", vec![], false),
        ("GRU", vec![], false),
        ("GRU", vec![int("linear_before_reset", 1)], true),
        ("RNN", vec![], false),
    ] {
        for begin in [false, true] {
            for reverse in [false, true] {
                let (mut constants, mut reference) = cell(kind, "", INPUTS, 11, begin);
                reference.before_reset = before_reset;
                let (weights, answer) = dense(HIDDEN as i64);
                constants.extend([weights, shape("first", &[0])]);
                let mut attributes = attributes.clone();
                attributes.push(int("hidden_size", HIDDEN as i64));
                attributes.push(text("direction", if reverse { "reverse" } else { "forward" }));
                let mut taken = vec!["turned", "w", "r", "b", "", "h"];
                if kind == "LSTM" {
                    taken.push("c");
                }
                let nodes = vec![
                    with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]),
                    several(with(node(kind, &taken, ""), attributes), &["", "last"]),
                    node("Squeeze", &["last", "first"], "flat"),
                    node("MatMul", &["flat", "v"], "y"),
                ];
                let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
                let name = format!("{kind} {begin} {reverse}");
                right((&name, begin && reverse), &file, STEPS * INPUTS, |reading| {
                    let mut sequence = steps_of(reading, INPUTS);
                    if reverse {
                        sequence.reverse();
                    }
                    answer(reference.run(&sequence).last().unwrap())
                });
            }
        }
    }
}

/// Two LSTMs, the second of which takes all that the first gives; the last step is picked by hand.
#[test]
fn cells_are_stacked_and_their_last_step_is_picked() {
    let (mut constants, first) = cell("LSTM", "1", INPUTS, 21, false);
    let (more, second) = cell("LSTM", "2", HIDDEN, 31, false);
    let (weights, answer) = dense(HIDDEN as i64);
    constants.extend(more);
    let whole = |name: &str, value: i64| TensorProto { dims: vec![], ..shape(name, &[value]) };
    constants.extend([weights, shape("one", &[1]), whole("end", -1)]);
    let size = || vec![int("hidden_size", HIDDEN as i64)];
    let nodes = vec![
        with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]),
        with(node("LSTM", &["turned", "1w", "1r", "1b"], "all"), size()),
        node("Squeeze", &["all", "one"], "between"),
        with(node("LSTM", &["between", "2w", "2r", "2b"], "both"), size()),
        node("Squeeze", &["both", "one"], "narrow"),
        with(node("Transpose", &["narrow"], "back"), vec![ints("perm", &[1, 0, 2])]),
        with(node("Gather", &["back", "end"], "last"), vec![int("axis", 1)]),
        node("MatMul", &["last", "v"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("stacked", false), &file, STEPS * INPUTS, |reading| {
        let between = first.run(&steps_of(reading, INPUTS));
        answer(second.run(&between).last().unwrap())
    });
}

/// Both directions, whose last steps are joined; all steps are flattened.
#[test]
fn both_directions_and_all_steps_are_taken() {
    let (forward, there) = cell("GRU", "f", INPUTS, 41, false);
    let (backward, back) = cell("GRU", "k", INPUTS, 51, false);
    let joined: Vec<TensorProto> = ["w", "r", "b"]
        .iter()
        .zip(forward.iter().zip(&backward))
        .map(|(name, (a, b))| TensorProto {
            name: (*name).into(),
            dims: [&[2], &a.dims[1..]].concat(),
            raw_data: [a.raw_data.clone(), b.raw_data.clone()].concat(),
            ..a.clone()
        })
        .collect();
    let attributes = || vec![int("hidden_size", HIDDEN as i64), text("direction", "bidirectional")];
    let turned = || with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]);
    let (weights, answer) = dense(2 * HIDDEN as i64);
    let mut constants = joined.clone();
    constants.extend([weights, shape("flat", &[0, -1])]);
    let nodes = vec![
        turned(),
        several(with(node("GRU", &["turned", "w", "r", "b"], ""), attributes()), &["", "last"]),
        with(node("Transpose", &["last"], "own"), vec![ints("perm", &[1, 0, 2])]),
        node("Reshape", &["own", "flat"], "both"),
        node("MatMul", &["both", "v"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("both directions", true), &file, STEPS * INPUTS, |reading| {
        let mut sequence = steps_of(reading, INPUTS);
        let first = there.run(&sequence);
        sequence.reverse();
        let second = back.run(&sequence);
        answer(&[first.last().unwrap().clone(), second.last().unwrap().clone()].concat())
    });
    // All steps, `[steps, directions, batch, hidden]`, with the batch moved to the front.
    let (weights, answer) = dense((2 * STEPS * HIDDEN) as i64);
    let mut constants = joined;
    constants.extend([weights, shape("flat", &[0, -1])]);
    let nodes = vec![
        turned(),
        with(node("GRU", &["turned", "w", "r", "b"], "all"), attributes()),
        with(node("Transpose", &["all"], "own"), vec![ints("perm", &[2, 0, 1, 3])]),
        node("Reshape", &["own", "flat"], "rows"),
        node("MatMul", &["rows", "v"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("all steps", false), &file, STEPS * INPUTS, |reading| {
        let mut sequence = steps_of(reading, INPUTS);
        let first = there.run(&sequence);
        sequence.reverse();
        let mut second = back.run(&sequence);
        second.reverse();
        let rows = first.iter().zip(&second).flat_map(|(a, b)| [a.clone(), b.clone()].concat());
        answer(&rows.collect::<Vec<f64>>())
    });
}

/// Convolutions before, and an activation that is the cell's own.
#[test]
fn cells_stand_behind_convolutions() {
    let (mut constants, reference) = cell("Relu", "", 4, 61, false);
    let (weights, answer) = dense(HIDDEN as i64);
    let kernel = random("k", &[4, 3, 3], 71, 0.8);
    let taps = wide(&kernel);
    constants.extend([weights, kernel, shape("first", &[0])]);
    let activations = AttributeProto {
        name: "activations".into(),
        strings: vec![b"Relu".to_vec()],
        ..Default::default()
    };
    let pads = ints("pads", &[1, 1]);
    let nodes = vec![
        // Steps are columns of a signal with as many channels as a step has values.
        with(node("Transpose", &["x"], "signal"), vec![ints("perm", &[0, 2, 1])]),
        with(node("Conv", &["signal", "k"], "filtered"), vec![pads]),
        node("Relu", &["filtered"], "cut"),
        with(node("Transpose", &["cut"], "turned"), vec![ints("perm", &[2, 0, 1])]),
        several(
            with(
                node("RNN", &["turned", "w", "r", "b"], ""),
                vec![int("hidden_size", HIDDEN as i64), activations],
            ),
            &["", "last"],
        ),
        node("Squeeze", &["last", "first"], "flat"),
        node("MatMul", &["flat", "v"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("behind a convolution", true), &file, STEPS * INPUTS, |reading| {
        let x = steps_of(reading, INPUTS);
        let filtered: Vec<Vec<f64>> = (0..STEPS)
            .map(|at| {
                let sum = |filter: usize| {
                    let mut sum = 0.0;
                    for channel in 0..INPUTS {
                        for tap in 0..3 {
                            if let Some(x) = (at + tap).checked_sub(1).and_then(|at| x.get(at)) {
                                sum += taps[(filter * INPUTS + channel) * 3 + tap] * x[channel];
                            }
                        }
                    }
                    f64::max(sum, 0.0)
                };
                (0..4).map(sum).collect()
            })
            .collect();
        answer(reference.run(&filtered).last().unwrap())
    });
}

#[test]
fn cells_that_are_not_computed_are_refused() {
    let refused = |attributes: Vec<AttributeProto>, turned: bool, steps: i64| {
        let (mut constants, _) = cell("LSTM", "", INPUTS, 11, false);
        let (weights, _) = dense(HIDDEN as i64);
        constants.extend([weights, shape("first", &[0])]);
        let mut all = attributes;
        all.push(int("hidden_size", HIDDEN as i64));
        let taken = if turned { "turned" } else { "x" };
        let nodes = vec![
            with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]),
            several(with(node("LSTM", &[taken, "w", "r", "b"], ""), all), &["", "last"]),
            node("Squeeze", &["last", "first"], "flat"),
            node("MatMul", &["flat", "v"], "y"),
        ];
        let file = of_steps([steps, INPUTS as i64], nodes, constants);
        match onnx::read(&file.encode_to_vec(), None).and_then(|graph| lower(&graph)) {
            Err(error) => error,
            Ok(_) => panic!("is not refused"),
        }
    };
    let clip = AttributeProto { name: "clip".into(), f: 3.0, ..Default::default() };
    says(&refused(vec![clip], true, 4), "it has a limit of what its gates take");
    says(&refused(vec![int("input_forget", 1)], true, 4), "one gate for input and forget");
    says(&refused(vec![text("direction", "sideways")], true, 4), "its direction is not known");
    says(&refused(vec![], false, 4), "export with the batch first");
    says(&refused(vec![], true, 23), "at most 250 layers");
    says(&refused(vec![int("hidden_size", 0)], true, 4), "LSTM");
}

#[test]
fn parts_of_values_are_picked() {
    let (weights, answer) = dense(3);
    let constants = vec![
        random("w", &[6, 8], 1, 1.0),
        weights,
        shape("starts", &[1]),
        shape("ends", &[i64::MAX]),
        shape("axes", &[1]),
        shape("steps", &[2]),
        shape("sizes", &[3, 4]),
        shape("some", &[3, -1, 0]),
    ];
    let hidden = wide(&constants[0]);
    let nodes = vec![
        node("MatMul", &["x", "w"], "h"),
        node("Relu", &["h"], "p"),
        // 1, 3, 5, 7; then of 0..7 the first three and the others, of which three are picked.
        node("Slice", &["p", "starts", "ends", "axes", "steps"], "odd"),
        with(several(node("Split", &["p", "eight"], ""), &["left", "right"]), vec![int("axis", 1)]),
        with(node("Gather", &["right", "some"], "picked"), vec![int("axis", 1)]),
        with(node("Concat", &["odd", "left"], "seven"), vec![int("axis", 1)]),
        with(
            several(node("Split", &["seven", "sizes"], ""), &["three", "four"]),
            vec![int("axis", 1)],
        ),
        node("Add", &["three", "picked"], "sum"),
        node("MatMul", &["sum", "v"], "y"),
    ];
    let mut constants = constants;
    constants.push(shape("eight", &[3, 5]));
    let mut file = model(6, nodes, constants);
    file.opset_import[0].version = 13;
    right(("parts", true), &file, 6, |x| {
        let p: Vec<f64> = (0..8)
            .map(|at| (0..6).map(|k| x[k] * hidden[k * 8 + at]).sum::<f64>().max(0.0))
            .collect();
        let right = [p[3], p[4], p[5], p[6], p[7]];
        let picked = [right[3], right[4], right[0]];
        let seven = [p[1], p[3], p[5], p[7], p[0], p[1], p[2]];
        answer(&[seven[0] + picked[0], seven[1] + picked[1], seven[2] + picked[2]])
    });
}

/// What PyTorch writes for a batch of any size: what a cell begins with has a size that is
/// computed.
#[test]
fn cells_begin_with_values_of_a_computed_size() {
    let (mut constants, reference) = cell("LSTM", "", INPUTS, 11, false);
    let (weights, answer) = dense(HIDDEN as i64);
    constants.retain(|tensor| !["h", "c"].contains(&tensor.name.as_str()));
    constants.extend([weights, shape("first", &[0]), tensor("zero", &[1, 1, 1], &[0.0])]);
    let nodes = vec![
        with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]),
        node("Shape", &["turned"], "size"),
        node("ConstantOfShape", &["size"], "h"),
        node("Expand", &["zero", "size"], "c"),
        several(
            with(
                node("LSTM", &["turned", "w", "r", "b", "", "h", "c"], ""),
                vec![int("hidden_size", HIDDEN as i64)],
            ),
            &["", "last"],
        ),
        node("Squeeze", &["last", "first"], "flat"),
        node("MatMul", &["flat", "v"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("computed size", false), &file, STEPS * INPUTS, |reading| {
        answer(reference.run(&steps_of(reading, INPUTS)).last().unwrap())
    });
}

/// What PyTorch writes of `x.view(x.size(0), -1)` says where the batch is.
#[test]
fn dimensions_that_begin_with_the_batch_are_known() {
    let constants = vec![
        TensorProto { dims: vec![], ..shape("none", &[0]) },
        shape("front", &[0]),
        shape("rest", &[-1]),
        random("w", &[(STEPS * INPUTS + 4) as i64, 2], 1, 1.0),
        random("u", &[(STEPS * INPUTS) as i64, 4], 2, 1.0),
    ];
    let [w, u] = [3, 4].map(|at| wide(&constants[at]));
    let nodes = vec![
        node("Shape", &["x"], "size"),
        node("Gather", &["size", "none"], "batch"),
        node("Unsqueeze", &["batch", "front"], "one"),
        with(node("Concat", &["one", "rest"], "shape"), vec![int("axis", 0)]),
        node("Reshape", &["x", "shape"], "flat"),
        node("MatMul", &["flat", "u"], "h"),
        node("Relu", &["h"], "r"),
        with(node("Concat", &["flat", "r"], "both"), vec![int("axis", 1)]),
        node("MatMul", &["both", "w"], "y"),
    ];
    let file = of_steps([STEPS as i64, INPUTS as i64], nodes, constants);
    right(("a view", false), &file, STEPS * INPUTS, |x| {
        let hidden = (0..4).map(|at| x.iter().enumerate().map(|(k, x)| x * u[k * 4 + at]).sum());
        let hidden = hidden.map(|value: f64| value.max(0.0));
        let both: Vec<f64> = x.iter().copied().chain(hidden).collect();
        (0..2).map(|at| both.iter().enumerate().map(|(k, x)| x * w[k * 2 + at]).sum()).collect()
    });
}

/// Axes are those of the file, also where a dimension of one element, an unknown one or the batch
/// lies before them.
#[test]
fn parts_are_picked_along_the_axes_of_the_file() {
    let whole = |name: &str, value: i64| TensorProto { dims: vec![], ..shape(name, &[value]) };
    let constants = || {
        vec![
            random("w", &[INPUTS as i64, 4], 1, 1.0),
            random("u", &[2, 4], 2, 1.0),
            random("v", &[4, 2], 3, 1.0),
            tensor("four", &[1, 1, 1, INPUTS as i64], &[1.0, 2.0, 3.0]),
            tensor("scale", &[STEPS as i64], &[1.0, 2.0, 3.0]),
            shape("last", &[-1]),
            shape("zero", &[0]),
            shape("two", &[2]),
            shape("end", &[i64::MAX]),
            shape("one", &[1]),
            shape("rows", &[0, -1]),
            shape("divided", &[3, -1]),
            shape("pads", &[0; 6]),
            shape("twice", &[0, 0]),
            shape("flat", &[1, -1]),
            shape("all", &[-1]),
            random("wide", &[(STEPS * INPUTS) as i64, 2], 4, 1.0),
            whole("none", 0),
        ]
    };
    let file = |nodes| of_steps([STEPS as i64, INPUTS as i64], nodes, constants());
    let slice = |from: &str, starts: &str, ends: &str, to: &str| {
        node("Slice", &[from, starts, ends, "one"], to)
    };
    let turned = || with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]);
    let pick = |from: &str| with(node("Gather", &[from, "none"], "p"), vec![int("axis", 1)]);
    // `fc(x[:, -1:])[:, 0]`: the dimension of one step stays.
    let nodes = vec![
        slice("x", "last", "end", "s"),
        node("MatMul", &["s", "w"], "m"),
        pick("m"),
        node("MatMul", &["p", "v"], "y"),
    ];
    let (w, v) = (wide(&constants()[0]), wide(&constants()[2]));
    right(("one step", false), &file(nodes), STEPS * INPUTS, |x| {
        let last = &x[(STEPS - 1) * INPUTS..];
        let m: Vec<f64> =
            (0..4).map(|at| (0..INPUTS).map(|k| last[k] * w[k * 4 + at]).sum()).collect();
        (0..2).map(|at| (0..4).map(|k| m[k] * v[k * 2 + at]).sum()).collect()
    });
    let refused = |what: &str, nodes: Vec<NodeProto>, said: &str| {
        let bytes = file(nodes).encode_to_vec();
        let lowered = onnx::read(&bytes, None).and_then(|graph| lower(&graph));
        let error = lowered.err().unwrap_or_else(|| panic!("{what} is not refused"));
        assert!(error.to_string().contains(said), "{what}: {error}");
    };
    let to_two = || node("MatMul", &["p", "u"], "y");
    let there = "picks elements that are not there";
    for (what, nodes, said) in [
        (
            "rows of a batch",
            vec![
                with(node("Flatten", &["x"], "f"), vec![int("axis", 2)]),
                slice("f", "zero", "two", "p"),
                to_two(),
            ],
            there,
        ),
        (
            "dimensions that are computed",
            vec![
                node("Shape", &["x"], "size"),
                node("Reshape", &["x", "size"], "f"),
                slice("f", "zero", "two", "p"),
                to_two(),
            ],
            there,
        ),
        (
            "a batch that is divided",
            vec![node("Reshape", &["x", "divided"], "f"), slice("f", "zero", "two", "p"), to_two()],
            "it divides the batch",
        ),
        (
            "a batch that is dropped",
            vec![node("Squeeze", &["x"], "f"), slice("f", "zero", "two", "p"), to_two()],
            there,
        ),
        (
            "a constant with more dimensions",
            vec![node("Mul", &["x", "four"], "f"), slice("f", "zero", "two", "p"), to_two()],
            there,
        ),
        (
            "rows of steps",
            vec![
                turned(),
                node("Reshape", &["turned", "rows"], "f"),
                slice("f", "zero", "two", "p"),
                to_two(),
            ],
            "whose batch is not the first dimension",
        ),
        (
            "steps that are flattened",
            vec![
                turned(),
                node("Flatten", &["turned"], "f"),
                slice("f", "zero", "two", "p"),
                to_two(),
            ],
            "whose batch is not the first dimension",
        ),
        (
            "channels elsewhere",
            vec![
                with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 2, 0])]),
                node("BatchNormalization", &["turned", "scale", "scale", "scale", "scale"], "f"),
                with(node("Transpose", &["f"], "p"), vec![ints("perm", &[2, 0, 1])]),
                to_two(),
            ],
            "whose batch is not the first dimension",
        ),
        (
            "a batch behind a padding",
            vec![turned(), node("Pad", &["turned", "pads"], "f"), pick("f"), to_two()],
            "whose batch is not the first dimension",
        ),
        (
            "a matrix without a batch that is turned",
            vec![
                node("Squeeze", &["x"], "s"),
                with(node("Transpose", &["s"], "t"), vec![ints("perm", &[1, 0])]),
                node("Reshape", &["t", "flat"], "p"),
                node("MatMul", &["p", "wide"], "y"),
            ],
            "puts",
        ),
        (
            "a mean without a batch",
            vec![
                node("Squeeze", &["x"], "s"),
                with(node("ReduceMean", &["s"], "p"), vec![ints("axes", &[2])]),
                node("MatMul", &["p", "w"], "y"),
            ],
            "gets no image",
        ),
        (
            "columns that are joined",
            vec![
                node("Reshape", &["x", "all"], "a"),
                node("Unsqueeze", &["a", "one"], "b"),
                with(node("Concat", &["b", "b"], "c"), vec![int("axis", 1)]),
                node("Reshape", &["c", "flat"], "p"),
                node("MatMul", &["p", "wide"], "y"),
            ],
            "joins",
        ),
        (
            "rows and columns that are added",
            vec![
                with(node("Flatten", &["x"], "f"), vec![int("axis", 2)]),
                node("Reshape", &["x", "flat"], "r"),
                node("Add", &["f", "r"], "p"),
                node("MatMul", &["p", "wide"], "y"),
            ],
            "adds values of dimensions that are not known",
        ),
        (
            "dimensions that begin with another one than the batch",
            vec![
                node("Squeeze", &["x"], "s"),
                node("Shape", &["s"], "size"),
                node("Gather", &["size", "zero"], "first"),
                with(node("Concat", &["first", "last"], "list"), vec![int("axis", 0)]),
                node("Reshape", &["x", "list"], "f"),
                slice("f", "zero", "two", "p"),
                to_two(),
            ],
            there,
        ),
        ("the batch", vec![turned(), pick("turned"), to_two()], "it concerns the batch"),
        (
            "a dimension twice",
            vec![turned(), node("Squeeze", &["turned", "twice"], "p"), to_two()],
            "it drops a dimension twice",
        ),
    ] {
        refused(what, nodes, said);
    }
}

/// Rows of one step that are joined lie one behind the other along the axis of steps.
#[test]
fn branches_of_one_step_are_joined_along_steps() {
    let constants = vec![
        random("w", &[3, 4], 1, 1.0),
        random("u", &[3, 4], 2, 1.0),
        random("v", &[4, 2], 3, 1.0),
        TensorProto { dims: vec![], ..shape("none", &[0]) },
    ];
    let [w, _, v] = [0, 1, 2].map(|at| wide(&constants[at]));
    let nodes = vec![
        node("MatMul", &["x", "w"], "a"),
        node("MatMul", &["x", "u"], "b"),
        with(node("Concat", &["a", "b"], "c"), vec![int("axis", 1)]),
        with(node("Gather", &["c", "none"], "p"), vec![int("axis", 1)]),
        node("MatMul", &["p", "v"], "y"),
    ];
    right(("one step twice", false), &of_steps([1, 3], nodes, constants), 3, |x| {
        let m: Vec<f64> = (0..4).map(|at| (0..3).map(|k| x[k] * w[k * 4 + at]).sum()).collect();
        (0..2).map(|at| (0..4).map(|k| m[k] * v[k * 2 + at]).sum()).collect()
    });
}

/// A few bytes do not ask for more memory than there is.
#[test]
fn hostile_sizes_are_refused_at_once() {
    let lowered = |bytes: Vec<u8>| onnx::read(&bytes, None).and_then(|graph| lower(&graph));
    let many = |name: &str, dims: &[i64]| {
        let constant = TensorProto { data_type: 7, ..shape("value", &[0]) };
        let value =
            AttributeProto { name: "value".into(), t: Some(constant), ..Default::default() };
        (
            with(node("ConstantOfShape", &[&format!("{name} size")], name), vec![value]),
            shape(&format!("{name} size"), dims),
        )
    };
    // A gather that makes a terabyte.
    let (numbers, size) = many("numbers", &[1 << 24]);
    let gather = with(node("Gather", &["x", "numbers"], "p"), vec![int("axis", 2)]);
    let file = of_steps([60_000, 1], vec![numbers, gather], vec![size]);
    let mut file = file;
    file.graph.as_mut().unwrap().output[0].name = "p".into();
    lowered(file.encode_to_vec()).unwrap_err();
    // One value joined with itself thousands of times.
    let names = vec!["x"; 2000];
    let join = with(node("Concat", &names, "y"), vec![int("axis", 1)]);
    lowered(model(32, vec![join], vec![]).encode_to_vec()).unwrap_err();
    // A dimension that nobody can count.
    let join = with(node("Concat", &["x", "x", "x"], "y"), vec![int("axis", 1)]);
    lowered(model(i64::MAX, vec![join], vec![]).encode_to_vec()).unwrap_err();
    // An order of a million dimensions.
    let order: Vec<i64> = (0..1_000_000).collect();
    let turn = with(node("Transpose", &["x"], "y"), vec![ints("perm", &order)]);
    lowered(model(3, vec![turn], vec![]).encode_to_vec()).unwrap_err();
    // Large cells.
    let (w, w_size) = many("w", &[1, 4 * 2048, 1]);
    let mut cell = with(node("LSTM", &["turned", "w", "r"], "y"), vec![int("hidden_size", 2048)]);
    cell.output = vec!["y".into()];
    let (r, r_size) = many("r", &[1, 4 * 2048, 2048]);
    let turned = with(node("Transpose", &["x"], "turned"), vec![ints("perm", &[1, 0, 2])]);
    let file = of_steps([20, 1], vec![w, r, turned, cell], vec![w_size, r_size]);
    lowered(file.encode_to_vec()).unwrap_err();
}
