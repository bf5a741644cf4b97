//! Networks that were quantised before: held against whole numbers, computed plainly here as TFLite
//! and ONNX define them, and impossible steps.

use core::time::Duration;
use std::time::Instant;

use sharelet_import::columns::quantise;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::{INT8, INT16, INT32, INT64, NodeProto, TensorProto};
use sharelet_import::quantise::Options;
use sharelet_import::{onnx, tflite};
use sharelet_model::Model;
use sharelet_model::readings::Readings;
use sharelet_testkit::Rng;
use sharelet_testkit::onnx::{encoded, int, ints, model, node, tensor, with};
use sharelet_testkit::tflite::{Field, Node, Table, Value, file, graph, quantised};

/// Scale and zero point.
type Scale = (f32, i64);

/// Whole numbers from `low` to `high`.
fn wholes(seed: u64, count: usize, low: i64, high: i64) -> Vec<i64> {
    let span = (high - low) as f32;
    let reals = Rng(seed).reals(count);
    reals.iter().map(|real| low + ((real + 1.0) / 2.0 * span).round() as i64).collect()
}

fn bytes_of(values: &[i64]) -> Vec<u8> {
    values.iter().map(|&value| value as u8).collect()
}

fn words_of(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|&value| (value as i32).to_le_bytes()).collect()
}

/// `real / scale + zero`, rounded to nearest, within the limits.
fn requantised(real: f64, (scale, zero): Scale, (low, high): (i64, i64)) -> i64 {
    ((real / f64::from(scale)).round() as i64 + zero).clamp(low, high)
}

const SIGNED: (i64, i64) = (-128, 127);
const UNSIGNED: (i64, i64) = (0, 255);

/// Readings of whole numbers, some of which lie at the ends of the type.
fn readings(width: usize, limits: (i64, i64), rows: usize) -> Vec<Vec<i64>> {
    let row = |row: usize| {
        let far = if row.is_multiple_of(3) { 1 } else { 3 };
        let middle = (limits.0 + limits.1) / 2;
        let values = wholes(row as u64 + 1, width, limits.0, limits.1);
        values.into_iter().map(|value| middle + (value - middle) / far).collect()
    };
    (0..rows).map(row).collect()
}

fn reals(reading: &[i64], (scale, zero): Scale) -> Vec<f32> {
    reading.iter().map(|&word| ((word - zero) as f64 * f64::from(scale)) as f32).collect()
}

/// Imports with readings, and holds the answers to them against `expected`, which are words.
fn held(
    chain: &Chain,
    words: &[Vec<i64>],
    (input, output): (Scale, Scale),
    expected: impl Fn(&[i64]) -> Vec<i64>,
) -> Model {
    let width = words[0].len();
    let all: Vec<f32> = words.iter().flat_map(|reading| reals(reading, input)).collect();
    let calibration = Readings::new(width, all).unwrap();
    let (model, _) = quantise(chain, &calibration, &Options::default()).unwrap();
    model.validate().unwrap();
    let (mut off, mut count) = (0, 0);
    for reading in words {
        let encoded = model.encode(&reals(reading, input)).unwrap();
        let answer = model.decode(&model.infer(&encoded).unwrap());
        for (answer, expected) in answer.iter().zip(expected(reading)) {
            let steps = f64::from(*answer) / f64::from(output.0) + output.1 as f64;
            assert!((steps - steps.round()).abs() < 0.01, "{steps} is between steps");
            let distance = (steps.round() as i64 - expected).abs();
            assert!(distance <= 1, "{steps} where {expected} is right");
            (off, count) = (off + distance, count + 1);
        }
    }
    // Halves are rounded up here, and away from zero in the files: scales of round numbers have
    // many.
    assert!(off * 4 <= count, "{off} of {count} answers are off by a step");
    model
}

/// Sums of a convolution with padding that keeps the size: rows, columns, channels; `depthwise`
/// with one filter per channel. Weights are filters, rows, columns, depth (or rows, columns,
/// channels).
fn convolved(
    x: &[i64],
    (size, channels, filters): (usize, usize, usize),
    weights: &[i64],
    bias: &[i64],
    depthwise: bool,
) -> Vec<i64> {
    let mut out = Vec::new();
    for pixel in 0..size * size {
        for filter in 0..filters {
            let mut sum = bias[filter];
            for place in 0..9 {
                let (row, column) = (pixel / size + place / 3, pixel % size + place % 3);
                let inside = |at: usize| (1..=size).contains(&at);
                if !inside(row) || !inside(column) {
                    continue;
                }
                let at = ((row - 1) * size + column - 1) * channels;
                if depthwise {
                    sum += x[at + filter] * weights[place * channels + filter];
                } else {
                    for channel in 0..channels {
                        sum += x[at + channel] * weights[(filter * 9 + place) * channels + channel];
                    }
                }
            }
            out.push(sum);
        }
    }
    out
}

/// Padding that keeps the size, steps of one.
fn same(activation: u8, depthwise: bool) -> Vec<(usize, Field)> {
    let fused = if depthwise { 4 } else { 3 };
    let mut options = vec![(0, Field::U8(0)), (1, Field::U32(1)), (2, Field::U32(1))];
    if depthwise {
        options.push((3, Field::U32(1)));
    }
    options.push((fused, Field::U8(activation)));
    options
}

/// Scales of the values of [`image_network`]: input, convolution, depthwise, sum, logits.
const SCALES: [Scale; 5] = [(0.05, -3), (0.04, -128), (0.05, 7), (0.06, 2), (0.1, 5)];
const KERNEL: [f32; 3] = [0.011, 0.004, 0.007];
const DEPTH: [f32; 3] = [0.006, 0.012, 0.009];
const MATRIX: f32 = 0.008;

struct Image {
    table: Table,
    kernel: Vec<i64>,
    depth: Vec<i64>,
    matrix: Vec<i64>,
    bias: [Vec<i64>; 3],
}

/// A convolution with a ReLU, a depthwise one behind it, the sum of both, a mean, a dense layer and
/// a softmax.
fn image_network() -> Image {
    let (kernel, depth) = (wholes(1, 54, -127, 127), wholes(2, 27, -127, 127));
    let (matrix, bias) =
        (wholes(3, 6, -127, 127), [4, 5, 6].map(|seed| wholes(seed, 3, -900, 900)));
    let bias = [bias[0].clone(), bias[1].clone(), bias[2][..2].to_vec()];
    let values = vec![
        Value("x", &[1, 4, 4, 2], 9, vec![]),
        Value("k", &[3, 3, 3, 2], 9, bytes_of(&kernel)),
        Value("kb", &[3], 2, words_of(&bias[0])),
        Value("c", &[1, 4, 4, 3], 9, vec![]),
        Value("d", &[1, 3, 3, 3], 9, bytes_of(&depth)),
        Value("db", &[3], 2, words_of(&bias[1])),
        Value("e", &[1, 4, 4, 3], 9, vec![]),
        Value("s", &[1, 4, 4, 3], 9, vec![]),
        Value("p", &[1, 1, 1, 3], 9, vec![]),
        Value("r", &[1, 3], 9, vec![]),
        Value("m", &[2, 3], 9, bytes_of(&matrix)),
        Value("mb", &[2], 2, words_of(&bias[2])),
        Value("l", &[1, 2], 9, vec![]),
        Value("y", &[1, 2], 9, vec![]),
    ];
    let pool = vec![
        (0, Field::U8(1)),
        (1, Field::U32(4)),
        (2, Field::U32(4)),
        (3, Field::U32(4)),
        (4, Field::U32(4)),
    ];
    let nodes = vec![
        Node(3, &[0, 1, 2], 3, same(1, false)),
        Node(4, &[3, 4, 5], 6, same(0, true)),
        Node(0, &[3, 6], 7, vec![]),
        Node(1, &[7], 8, pool),
        Node(22, &[8], 9, vec![]),
        Node(9, &[9, 10, 11], 12, vec![]),
        Node(25, &[12], 13, vec![]),
    ];
    let mut table = graph(values, nodes);
    for (value, scale) in [(0, 0), (3, 1), (6, 2), (7, 3), (8, 3), (9, 3), (12, 4)] {
        let (scale, zero) = SCALES[scale];
        quantised(&mut table, value, &[scale], &[zero], 0);
    }
    let of_bias = |scales: &[f32], input: Scale| -> Vec<f32> {
        scales.iter().map(|scale| scale * input.0).collect()
    };
    quantised(&mut table, 1, &KERNEL, &[0; 3], 0);
    quantised(&mut table, 2, &of_bias(&KERNEL, SCALES[0]), &[0; 3], 0);
    quantised(&mut table, 4, &DEPTH, &[0; 3], 3);
    quantised(&mut table, 5, &of_bias(&DEPTH, SCALES[1]), &[0; 3], 0);
    quantised(&mut table, 10, &[MATRIX], &[0], 0);
    quantised(&mut table, 11, &[MATRIX * SCALES[3].0], &[0], 0);
    quantised(&mut table, 13, &[1.0 / 256.0], &[-128], 0);
    Image { table, kernel, depth, matrix, bias }
}

/// The logits of [`image_network`], in words.
fn logits(network: &Image, x: &[i64]) -> Vec<i64> {
    let shifted = |x: &[i64], scale: Scale| x.iter().map(|x| x - scale.1).collect::<Vec<i64>>();
    let scaled = |sums: Vec<i64>, scales: &[f32], input: Scale, output: Scale, limits| {
        let real = |(index, sum): (usize, i64)| {
            sum as f64 * f64::from(input.0) * f64::from(scales[index % scales.len()])
        };
        let sums = sums.into_iter().enumerate().map(real);
        sums.map(|real| requantised(real, output, limits)).collect::<Vec<i64>>()
    };
    let [input, first, second, sum, last] = SCALES;
    let [kb, db, mb] = &network.bias;
    let sums = convolved(&shifted(x, input), (4, 2, 3), &network.kernel, kb, false);
    let c = shifted(&scaled(sums, &KERNEL, input, first, SIGNED), first);
    let sums = convolved(&c, (4, 3, 3), &network.depth, db, true);
    let e = shifted(&scaled(sums, &DEPTH, first, second, SIGNED), second);
    let added = c.iter().zip(&e).map(|(c, e)| {
        let real = *c as f64 * f64::from(first.0) + *e as f64 * f64::from(second.0);
        requantised(real, sum, SIGNED)
    });
    let added: Vec<i64> = added.collect();
    let mean = |channel: usize| {
        let words: i64 = added.iter().skip(channel).step_by(3).sum();
        (words as f64 / 16.0).round() as i64 - sum.1
    };
    let p = [mean(0), mean(1), mean(2)];
    let rows = network.matrix.chunks(3).zip(mb);
    let sums = rows.map(|(row, bias)| bias + row.iter().zip(&p).map(|(w, x)| w * x).sum::<i64>());
    scaled(sums.collect(), &[MATRIX], sum, last, SIGNED)
}

#[test]
fn an_image_network_of_int8_gives_the_words_of_its_file() {
    let network = image_network();
    let chain = lower(&tflite::read(&file(&network.table)).unwrap()).unwrap();
    assert_eq!(chain.left_off, ["SOFTMAX"]);
    let words = readings(32, SIGNED, 60);
    let model = held(&chain, &words, (SCALES[0], SCALES[4]), |x| logits(&network, x));
    // The words of a reading end where those of the type do.
    let beyond = [0.05 * 132.0; 32];
    model.encode(&beyond).unwrap_err();
    let calibration = Readings::new(32, beyond.to_vec()).unwrap();
    let error = quantise(&chain, &calibration, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("the network's own input goes from -6.25"), "{error}");
}

/// A dense layer of `kind`.
fn dense(kind: u8, weights: &[i64], bias: &[i64]) -> Table {
    let values = vec![
        Value("x", &[1, 6], kind, vec![]),
        Value("w", &[4, 6], kind, bytes_of(weights)),
        Value("b", &[4], 2, words_of(bias)),
        Value("y", &[1, 4], kind, vec![]),
    ];
    let mut table = graph(values, vec![Node(9, &[0, 1, 2], 3, vec![(0, Field::U8(0))])]);
    quantised(&mut table, 2, &[0.1 * 0.02], &[0], 0);
    table
}

#[test]
fn words_without_a_sign_and_weights_with_a_zero_point() {
    let (weights, bias) = (wholes(1, 24, 0, 255), wholes(2, 4, -2000, 2000));
    let mut table = dense(3, &weights, &bias);
    let (input, output) = ((0.1, 100), (0.5, 131));
    quantised(&mut table, 0, &[input.0], &[input.1], 0);
    quantised(&mut table, 1, &[0.02], &[120], 0);
    quantised(&mut table, 3, &[output.0], &[output.1], 0);
    let chain = lower(&tflite::read(&file(&table)).unwrap()).unwrap();
    held(&chain, &readings(6, UNSIGNED, 60), (input, output), |x| {
        let sum = |(row, bias): (&[i64], &i64)| {
            let products = row.iter().zip(x).map(|(w, x)| (w - 120) * (x - input.1));
            let real = (products.sum::<i64>() + bias) as f64 * f64::from(0.1_f32) * 0.02;
            requantised(real, output, UNSIGNED)
        };
        weights.chunks(6).zip(&bias).map(sum).collect()
    });
}

/// Why a file is refused, and in less than a second.
#[track_caller]
fn refused(table: &Table, part: &str) {
    let begun = Instant::now();
    let error = tflite::read(&file(table)).and_then(|graph| lower(&graph)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1), "{error}");
    assert!(error.to_string().contains(part), "{part}: {error}");
}

#[test]
fn impossible_steps_are_refused_by_name() {
    // A file whose value of this index counts so.
    let with = |value: usize, scales: &[f32], zeros: &[i64], along: u32| {
        let mut table = dense(9, &[1; 24], &[1; 4]);
        for (index, scale) in [(0, 0.1), (1, 0.02), (3, 0.5)] {
            if index != value {
                quantised(&mut table, index, &[scale], &[0], 0);
            }
        }
        quantised(&mut table, value, scales, zeros, along);
        table
    };
    for (value, what) in [(0, "input `x`"), (1, "its matrix"), (3, "its result")] {
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
            let part = format!("{what} has a scale of {:e}, which is no size", f64::from(scale));
            refused(&with(value, &[scale], &[0], 0), &part);
        }
        refused(&with(value, &[0.1], &[128], 0), &format!("{what} has a zero point of 128"));
        refused(&with(value, &[0.1], &[i64::MIN], 0), "which is none of its words");
        refused(&with(value, &[], &[], 0), &format!("{what} is of whole numbers without scales"));
    }
    refused(&with(0, &[1e-9], &[0], 0), "computed are steps from 2^-20 to 1024");
    refused(&with(0, &[1e30], &[0], 0), "computed are steps from 2^-20 to 1024");
    refused(&with(3, &[0.1, 0.1], &[0, 0], 0), "its result has 2 scales where");
    refused(&with(1, &[0.1; 3], &[0; 3], 0), "its matrix has scales that do not fit");
    refused(&with(1, &[0.1; 4], &[0; 3], 0), "its matrix has 4 scales and 3 zero points");
    for along in [2, u32::MAX, 1 << 31] {
        refused(&with(1, &[0.1; 4], &[0; 4], along), "its matrix has scales that do not fit");
    }
    let values = vec![Value("x", &[1, 2], 7, vec![]), Value("y", &[1, 2], 7, vec![])];
    let mut wide = graph(values, vec![Node(19, &[0], 1, vec![])]);
    quantised(&mut wide, 0, &[0.1], &[0], 0);
    refused(&wide, "input `x` is of int16; export with activations of int8");
}

/// Whole numbers of a type, raw.
fn typed(name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type,
        raw_data,
        ..Default::default()
    }
}

/// `QuantizeLinear` and `DequantizeLinear` of a value, with the constants they take.
fn pair(from: &str, to: &str, (scale, zero): Scale) -> (Vec<NodeProto>, Vec<TensorProto>) {
    let [s, z, q] = ["s", "z", "q"].map(|kind| format!("{to}_{kind}"));
    let nodes = vec![
        node("QuantizeLinear", &[from, &s, &z], &q),
        node("DequantizeLinear", &[&q, &s, &z], to),
    ];
    (nodes, vec![tensor(&s, &[], &[scale]), typed(&z, &[], INT8, vec![zero as u8])])
}

/// A file of the set in which scales got an axis.
fn of_set_13(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Vec<u8> {
    let mut file = model(6, nodes, constants);
    file.opset_import[0].version = 13;
    encoded(&file)
}

#[test]
fn rounding_nodes_of_onnx_are_steps() {
    let scales: [Scale; 4] = [(0.05, 3), (0.07, -128), (0.02, -9), (0.06, 4)];
    let (weights, bias) = (wholes(1, 30, -127, 127), wholes(2, 5, -3000, 3000));
    let (back, per_row) = (wholes(3, 30, -127, 127), [0.01_f32, 0.002, 0.005, 0.008, 0.003]);
    let (mut nodes, mut constants) = (Vec::new(), Vec::new());
    let mut add = |(more, numbers): (Vec<NodeProto>, Vec<TensorProto>)| {
        nodes.extend(more);
        constants.extend(numbers);
    };
    let dequantised = |name: &str, axis: i64| {
        let [w, s] = ["w", "s"].map(|kind| format!("{name}_{kind}"));
        let axis = int("axis", axis);
        with(node("DequantizeLinear", &[&w, &s], name), vec![axis])
    };
    let products: Vec<f32> = per_row.iter().map(|scale| scale * scales[0].0).collect();
    add(pair("x", "a", scales[0]));
    add((
        vec![
            dequantised("w", 0),
            dequantised("b", 0),
            with(node("Gemm", &["a", "w", "b"], "g"), vec![int("transB", 1)]),
            node("Relu", &["g"], "h"),
        ],
        vec![
            typed("w_w", &[5, 6], INT8, bytes_of(&weights)),
            tensor("w_s", &[5], &per_row),
            typed("b_w", &[5], INT32, words_of(&bias)),
            tensor("b_s", &[5], &products),
        ],
    ));
    add(pair("h", "c", scales[1]));
    let product = node("MatMul", &["c", "v"], "m");
    let numbers = vec![typed("v_w", &[5, 6], INT8, bytes_of(&back)), tensor("v_s", &[], &[0.004])];
    add((vec![node("DequantizeLinear", &["v_w", "v_s"], "v"), product], numbers));
    add(pair("m", "d", scales[2]));
    add((vec![node("Add", &["a", "d"], "e")], vec![]));
    add(pair("e", "y", scales[3]));
    let chain = lower(&onnx::read(&of_set_13(nodes.clone(), constants.clone()), None).unwrap());
    let real = |word: i64, scale: Scale| (word - scale.1) as f64 * f64::from(scale.0);
    held(&chain.unwrap(), &readings(6, SIGNED, 60), (scales[0], scales[3]), |x| {
        let a: Vec<f64> = x.iter().map(|&x| real(x, scales[0])).collect();
        let hidden = |(row, words): (usize, &[i64])| {
            let scale = f64::from(per_row[row]);
            let sum: f64 = words.iter().zip(&a).map(|(&w, a)| w as f64 * scale * a).sum();
            let sum = sum + bias[row] as f64 * f64::from(products[row]);
            real(requantised(sum.max(0.0), scales[1], SIGNED), scales[1])
        };
        let hidden: Vec<f64> = weights.chunks(6).enumerate().map(hidden).collect();
        let sum = |column: usize| {
            let column = back.iter().skip(column).step_by(6).zip(&hidden);
            column.map(|(&w, h)| w as f64 * f64::from(0.004_f32) * h).sum::<f64>()
        };
        let sums = (0..6).map(|column| requantised(sum(column), scales[2], SIGNED));
        let added = sums.zip(&a).map(|(d, a)| real(d, scales[2]) + a);
        added.map(|real| requantised(real, scales[3], SIGNED)).collect()
    });
    // What cannot be undone, or counts in wider words.
    let with_type = |kind: i32| {
        let mut constants = constants.clone();
        let zero = constants.iter_mut().find(|tensor| tensor.name == "c_z").unwrap();
        (zero.data_type, zero.raw_data) = (kind, vec![0; 2]);
        constants
    };
    let error = |nodes: &[NodeProto], constants| {
        let graph = onnx::read(&of_set_13(nodes.to_vec(), constants), None);
        graph.and_then(|graph| lower(&graph)).unwrap_err().to_string()
    };
    let wide = error(&nodes, with_type(INT16));
    assert!(wide.contains("words of 16 bits; export with activations of 8"), "{wide}");
    let mut crossed = nodes.clone();
    let dequantise = crossed.iter_mut().find(|node| node.output == ["c"]).unwrap();
    dequantise.input[1] = "a_s".into();
    let crossed = error(&crossed, constants.clone());
    assert!(crossed.contains("are not those of the QuantizeLinear before"), "{crossed}");
    let mut zero = constants.clone();
    *zero.iter_mut().find(|tensor| tensor.name == "c_s").unwrap() = tensor("c_s", &[], &[0.0]);
    let zero = error(&nodes, zero);
    assert!(zero.contains("it has a scale of 0e0, which is no size of a step"), "{zero}");
}

/// Conv, steps, max-pool, and a ReLU behind it or none; no steps behind the pool.
fn pooled(relu: bool, zero: i64) -> Vec<u8> {
    let (mut nodes, mut constants) = pair("x", "a", (0.05, 0));
    nodes.push(node("Reshape", &["a", "dims"], "image"));
    nodes.push(node("Conv", &["image", "w", "b"], "c"));
    let (steps, numbers) = pair("c", "d", (0.05, zero));
    nodes.extend(steps);
    let pool = vec![ints("kernel_shape", &[1, 2]), ints("strides", &[1, 2])];
    nodes.push(with(node("MaxPool", &["d"], if relu { "p" } else { "y" }), pool));
    if relu {
        nodes.push(node("Relu", &["p"], "y"));
    }
    constants.extend(numbers);
    constants.extend([
        typed("dims", &[4], INT64, [1_i64, 1, 1, 6].iter().flat_map(|d| d.to_le_bytes()).collect()),
        tensor("w", &[1, 1, 1, 1], &[0.7]),
        tensor("b", &[1], &[-0.4]),
    ]);
    of_set_13(nodes, constants)
}

/// What lies behind the steps of a pool is there, and answers are real numbers.
#[test]
fn a_pool_keeps_the_steps_and_the_activation_around_it() {
    for (relu, zero) in [(false, 0), (true, 0), (true, -20), (false, 11)] {
        let chain = lower(&onnx::read(&pooled(relu, zero), None).unwrap()).unwrap();
        let rows = readings(6, SIGNED, 40);
        let all: Vec<f32> = rows.iter().flat_map(|row| reals(row, (0.05, 0))).collect();
        let (model, report) =
            quantise(&chain, &Readings::new(6, all).unwrap(), &Options::default()).unwrap();
        for row in &rows {
            let row = reals(row, (0.05, 0));
            let answer = model.decode(&model.infer(&model.encode(&row).unwrap()).unwrap());
            let step = |x: &f32| requantised(f64::from(0.7 * x - 0.4), (0.05, zero), SIGNED) - zero;
            let steps: Vec<i64> = row.iter().map(step).collect();
            for (pair, answer) in steps.chunks(2).zip(answer) {
                let largest = pair[0].max(pair[1]);
                let right = 0.05 * if relu { largest.max(0) } else { largest } as f32;
                assert!((answer - right).abs() < 0.051, "{answer}, {right} is right: {report}");
            }
        }
    }
}

/// A zero point behind another name has the type that it has there.
#[test]
fn a_zero_point_of_no_known_type_is_refused() {
    let (mut nodes, mut constants) = pair("x", "a", (0.05, 0));
    nodes.insert(0, node("Identity", &["a_z"], "z"));
    nodes.iter_mut().skip(1).for_each(|node| node.input[2] = "z".into());
    nodes.push(node("MatMul", &["a", "w"], "y"));
    constants.push(tensor("w", &[6, 1], &[1.0; 6]));
    let graph = onnx::read(&of_set_13(nodes, constants), None);
    let refused = graph.and_then(|graph| lower(&graph)).unwrap_err();
    assert!(refused.to_string().contains("type of its zero point is not known"), "{refused}");
}
