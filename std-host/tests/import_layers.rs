//! Convolutions, pools, sums and normalisation become layers that compute what the graph says, in floating point and in the ring.
#![cfg(feature = "import")]
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs
)]

mod support;

use sharelet_core::network::Activation;
use sharelet_core::shape::Shape;
use sharelet_host::import::GraphError;
use sharelet_host::import::graph::{Graph, Layout, Node, Op, Padding, Pool, Tensor};
use sharelet_host::import::layer::Chain;
use sharelet_host::import::lower::lower;
use sharelet_host::import::quantise::{Options, quantise};
use sharelet_host::readings::Readings;
use support::Rng;

/// A graph that is built node by node; values are numbered as they are made, the input is 0.
struct Builder {
    rng: Rng,
    graph: Graph,
}

impl Builder {
    fn new(dims: &[usize], layout: Layout) -> Self {
        let graph =
            Graph { name: "test".into(), input: 0, input_dims: Some(dims.to_vec()), layout, output: 0, nodes: Vec::new() };
        Self { rng: Rng(7), graph }
    }

    fn node(&mut self, op: Op, inputs: &[usize]) -> usize {
        let output = self.graph.nodes.len() + 1;
        let name = format!("node {output}");
        self.graph.nodes.push(Node { name, op_type: "Op".into(), op, inputs: inputs.to_vec(), output });
        self.graph.output = output;
        output
    }

    fn reals(&mut self, count: usize) -> Vec<f64> {
        self.rng.reals(count).into_iter().map(f64::from).collect()
    }

    fn tensor(&mut self, dims: &[usize]) -> Tensor {
        let values = self.reals(dims.iter().product());
        Tensor::new(dims.to_vec(), values).unwrap()
    }

    fn conv(&mut self, input: usize, dims: [usize; 4], groups: usize, stride: (usize, usize), padding: Padding) -> usize {
        let (weights, bias) = (self.tensor(&dims), Some(self.reals(dims[0])));
        self.node(Op::Convolution { weights, bias, groups, stride, padding }, &[input])
    }

    fn same(&mut self, input: usize, filters: usize, depth: usize) -> usize {
        self.conv(input, [filters, depth, 3, 3], 1, (1, 1), Padding::SameUpper)
    }

    fn dense(&mut self, input: usize, inputs: usize, outputs: usize) -> usize {
        let (weights, bias) = (self.tensor(&[outputs, inputs]), Some(self.reals(outputs)));
        self.node(Op::Dense { weights, bias }, &[input])
    }

    fn norm(&mut self, input: usize, channels: usize) -> usize {
        let (scale, offset) = (self.reals(channels), self.reals(channels));
        self.node(Op::Elementwise { scale, offset }, &[input])
    }
}

/// A tensor of a batch of one: dimensions and values in the order of the file.
type Value = (Vec<usize>, Vec<f64>);

/// Where channel, row and column lie among the values.
fn place(layout: Layout, dims: &[usize], [channel, row, column]: [usize; 3]) -> usize {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[_, height, width]) => (channel * height + row) * width + column,
        (Layout::ChannelsFirst, &[_, width]) => channel * width + column,
        (Layout::ChannelsLast, &[_, width, channels]) => (row * width + column) * channels + channel,
        (Layout::ChannelsLast, &[_, channels]) => column * channels + channel,
        _ => panic!("no image"),
    }
}

fn image(layout: Layout, dims: &[usize]) -> [usize; 3] {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[channels, height, width]) | (Layout::ChannelsLast, &[height, width, channels]) => {
            [channels, height, width]
        }
        (Layout::ChannelsFirst, &[channels, width]) | (Layout::ChannelsLast, &[width, channels]) => [channels, 1, width],
        _ => panic!("no image: {dims:?}"),
    }
}

/// Rows, columns, and zeros before them.
fn windows(length: usize, size: usize, stride: usize, padding: Padding, across: bool) -> (usize, usize) {
    let pick = |(down, along): (usize, usize)| if across { along } else { down };
    match padding {
        Padding::Explicit { before, after } => ((length + pick(before) + pick(after) - size) / stride + 1, pick(before)),
        same => {
            let count = length.div_ceil(stride);
            let zeros = ((count - 1) * stride + size).saturating_sub(length);
            (count, if same == Padding::SameLower { zeros.div_ceil(2) } else { zeros / 2 })
        }
    }
}

/// What a graph computes, straight from the definitions.
fn evaluate(graph: &Graph, reading: &[f32]) -> Vec<f64> {
    let layout = graph.layout;
    let mut values: Vec<Value> = vec![(graph.input_dims.clone().unwrap(), reading.iter().map(|&x| f64::from(x)).collect())];
    for node in &graph.nodes {
        let (dims, x) = values[node.inputs[0]].clone();
        let slide = |size: (usize, usize),
                     stride: (usize, usize),
                     padding,
                     filters: usize,
                     each: &mut dyn FnMut(usize, &dyn Fn(usize, usize, usize) -> Option<f64>) -> f64|
         -> Value {
            let [channels, height, width] = image(layout, &dims);
            let (rows, top) = windows(height, size.0, stride.0, padding, false);
            let (columns, left) = windows(width, size.1, stride.1, padding, true);
            let out_dims = match (layout, dims.len()) {
                (Layout::ChannelsFirst, 3) => vec![filters, rows, columns],
                (Layout::ChannelsFirst, _) => vec![filters, columns],
                _ => vec![rows, columns, filters],
            };
            let mut out = vec![0.0; filters * rows * columns];
            for filter in 0..filters {
                for row in 0..rows {
                    for column in 0..columns {
                        let at = |channel: usize, y: usize, x_at: usize| {
                            assert!(channel < channels);
                            let y = (row * stride.0 + y).checked_sub(top).filter(|&y| y < height)?;
                            let x_at = (column * stride.1 + x_at).checked_sub(left).filter(|&x| x < width)?;
                            Some(x[place(layout, &dims, [channel, y, x_at])])
                        };
                        out[place(layout, &out_dims, [filter, row, column])] = each(filter, &at);
                    }
                }
            }
            (out_dims, out)
        };
        let next = match &node.op {
            Op::Dense { weights, bias } => {
                let rows = weights.values.chunks(weights.dims[1]).zip(bias.as_ref().unwrap());
                let out =
                    rows.map(|(row, bias)| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + bias).collect::<Vec<f64>>();
                (vec![out.len()], out)
            }
            Op::Elementwise { scale, offset } => {
                let mut out = x.clone();
                for (index, out) in out.iter_mut().enumerate() {
                    let channel = if scale.len() == 1 {
                        0
                    } else if dims.len() == 1 {
                        index
                    } else if layout == Layout::ChannelsLast {
                        index % dims[dims.len() - 1]
                    } else {
                        index / dims[1..].iter().product::<usize>()
                    };
                    *out = *out * scale[channel] + offset[channel];
                }
                (dims, out)
            }
            Op::Convolution { weights, bias, groups, stride, padding } => {
                let &[filters, depth, rows, columns] = weights.dims.as_slice() else { panic!() };
                slide((rows, columns), *stride, *padding, filters, &mut |filter, at| {
                    let first = filter / (filters / groups) * depth;
                    let mut sum = bias.as_ref().unwrap()[filter];
                    for channel in 0..depth {
                        for y in 0..rows {
                            for x in 0..columns {
                                let weight = weights.values[((filter * depth + channel) * rows + y) * columns + x];
                                sum += weight * at(first + channel, y, x).unwrap_or(0.0);
                            }
                        }
                    }
                    sum
                })
            }
            Op::AveragePool(pool) | Op::MaxPool(pool) => {
                let [channels, height, width] = image(layout, &dims);
                let size = pool.size.unwrap_or((height, width));
                let padding = if pool.size.is_some() { pool.padding } else { Padding::NONE };
                let largest = matches!(node.op, Op::MaxPool(_));
                slide(size, pool.stride, padding, channels, &mut |channel, at| {
                    let values: Vec<f64> =
                        (0..size.0 * size.1).map(|i| at(channel, i / size.1, i % size.1).unwrap_or(0.0)).collect();
                    if largest {
                        values.iter().copied().fold(f64::MIN, f64::max)
                    } else {
                        values.iter().sum::<f64>() / values.len() as f64
                    }
                })
            }
            Op::Add => {
                let other = &values[node.inputs[1]].1;
                (dims, x.iter().zip(other).map(|(a, b)| a + b).collect())
            }
            Op::Relu => (dims, x.iter().map(|x| x.max(0.0)).collect()),
            Op::Relu6 => (dims, x.iter().map(|x| x.clamp(0.0, 6.0)).collect()),
            Op::Reshape { .. } => (vec![x.len()], x),
            _ => (dims, x),
        };
        values.push(next);
    }
    values[graph.output].1.clone()
}

/// Lowers, compares in floating point, quantises, and compares the integers.
fn check(name: &str, graph: &Graph, layers: usize) -> Chain {
    let chain = lower(graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let width: usize = graph.input_dims.as_ref().unwrap().iter().product();
    let readings = Readings::new(width, Rng(11).reals(width * 40)).unwrap();
    for reading in readings.rows() {
        let (found, expected) = (chain.infer(reading), evaluate(graph, reading));
        assert_eq!(found.len(), expected.len(), "{name}");
        let size = expected.iter().fold(1.0_f64, |max, value| max.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-9 * size, "{name}: {found} where {expected} is right");
        }
    }
    assert_eq!(chain.layers.len(), layers, "{name}: {:?}", chain.layers.iter().map(|layer| &layer.name).collect::<Vec<_>>());
    let (model, report) = quantise(&chain, &readings, &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    model.validate().unwrap();
    let (mut error, mut square) = (0.0, 0.0);
    for reading in readings.rows() {
        let answer = model.decode(&model.infer(&model.encode(reading).unwrap()).unwrap());
        for (found, expected) in answer.iter().zip(evaluate(graph, reading)) {
            error += (f64::from(*found) - expected).powi(2);
            square += expected * expected;
        }
    }
    let relative = (error / square).sqrt();
    assert!((relative - report.error).abs() < 1e-4, "{name}: {relative}, {}", report.error);
    assert!(relative < 0.01, "{name}: {relative}\n{report}");
    chain
}

const BARE: Padding = Padding::NONE;

#[test]
fn convolutions_of_every_kind() {
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let dims = |channels, height, width| {
            if layout == Layout::ChannelsFirst { [channels, height, width] } else { [height, width, channels] }
        };
        let around = Padding::Explicit { before: (1, 0), after: (0, 2) };
        for (padding, stride) in [(BARE, (1, 1)), (Padding::SameUpper, (2, 2)), (Padding::SameLower, (2, 3)), (around, (1, 2))] {
            let mut plain = Builder::new(&dims(3, 8, 9), layout);
            let first = plain.conv(0, [4, 3, 3, 3], 1, stride, padding);
            let relu = plain.node(Op::Relu, &[first]);
            let second = plain.conv(relu, [4, 1, 3, 2], 4, (1, 1), Padding::SameUpper);
            let third = plain.conv(second, [6, 2, 1, 1], 2, (1, 1), BARE);
            let relu = plain.node(Op::Relu, &[third]);
            let mean = plain.node(Op::AveragePool(Pool { size: None, stride: (1, 1), padding: BARE }), &[relu]);
            let flat = plain.node(Op::Reshape { dims: Some(vec![-1]) }, &[mean]);
            plain.dense(flat, 6, 3);
            check(&format!("{layout:?} {padding:?}"), &plain.graph, 5);
        }
    }
}

#[test]
fn signals_of_one_dimension() {
    let mut signal = Builder::new(&[2, 40], Layout::ChannelsFirst);
    let first = signal.conv(0, [4, 2, 1, 5], 1, (1, 2), Padding::Explicit { before: (0, 2), after: (0, 2) });
    let relu = signal.node(Op::Relu, &[first]);
    let second = signal.conv(relu, [4, 1, 1, 3], 4, (1, 1), BARE);
    let flat = signal.node(Op::Reshape { dims: None }, &[second]);
    signal.dense(flat, 4 * 18, 5);
    let chain = check("signal", &signal.graph, 3);
    assert!(matches!(chain.layers[0].map.shape, Shape::Convolution(window) if window.height == 1));
}

#[test]
fn what_is_flattened_is_put_in_order() {
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let dims = if layout == Layout::ChannelsFirst { [2, 5, 6] } else { [5, 6, 2] };
        let mut graph = Builder::new(&dims, layout);
        let first = graph.conv(0, [3, 2, 2, 2], 1, (1, 1), BARE);
        let relu = graph.node(Op::Relu, &[first]);
        let flat = graph.node(Op::Reshape { dims: Some(vec![60]) }, &[relu]);
        graph.dense(flat, 60, 4);
        check(&format!("{layout:?}"), &graph.graph, 2);
    }
}

#[test]
fn normalisation_is_folded_where_it_can_be() {
    let mut graph = Builder::new(&[2, 6, 6], Layout::ChannelsFirst);
    // Of the input, before a convolution without padding; behind a convolution; behind a ReLU, with padding.
    let input = graph.norm(0, 2);
    let first = graph.conv(input, [3, 2, 3, 3], 1, (1, 1), BARE);
    let norm = graph.norm(first, 3);
    let relu = graph.node(Op::Relu, &[norm]);
    let norm = graph.norm(relu, 3);
    let second = graph.same(norm, 3, 3);
    let flat = graph.node(Op::Reshape { dims: None }, &[second]);
    let norm = graph.norm(flat, 1);
    graph.dense(norm, 48, 4);
    check("norms", &graph.graph, 4);
}

#[test]
fn residual_connections() {
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let dims = if layout == Layout::ChannelsFirst { [2, 8, 8] } else { [8, 8, 2] };
        let mut graph = Builder::new(&dims, layout);
        let stem = graph.same(0, 4, 2);
        let stem = graph.node(Op::Relu, &[stem]);
        // As in ResNet: a block with an identity, one with a projection, each with normalisation.
        let first = graph.same(stem, 4, 4);
        let first = graph.norm(first, 4);
        let first = graph.node(Op::Relu, &[first]);
        let second = graph.same(first, 4, 4);
        let second = graph.norm(second, 4);
        let sum = graph.node(Op::Add, &[stem, second]);
        let block = graph.node(Op::Relu, &[sum]);
        let first = graph.conv(block, [6, 4, 3, 3], 1, (2, 2), Padding::SameUpper);
        let first = graph.node(Op::Relu, &[first]);
        let second = graph.same(first, 6, 6);
        let shortcut = graph.conv(block, [6, 4, 1, 1], 1, (2, 2), BARE);
        let shortcut = graph.norm(shortcut, 6);
        let sum = graph.node(Op::Add, &[second, shortcut]);
        let block = graph.node(Op::Relu, &[sum]);
        // As in MobileNet: no activation behind the sum.
        let narrow = graph.conv(block, [6, 6, 1, 1], 1, (1, 1), BARE);
        let sum = graph.node(Op::Add, &[block, narrow]);
        let mean = graph.node(Op::AveragePool(Pool { size: Some((2, 2)), stride: (2, 2), padding: BARE }), &[sum]);
        let flat = graph.node(Op::Reshape { dims: Some(vec![24]) }, &[mean]);
        graph.dense(flat, 24, 3);
        let chain = check(&format!("{layout:?}"), &graph.graph, 8);
        let skips: Vec<_> = chain.layers.iter().map(|layer| layer.skip.as_ref().map(|skip| skip.from)).collect();
        assert_eq!(skips, [None, None, Some(1), None, Some(3), Some(5), None, None]);
    }
}

#[test]
fn pools() {
    for (size, stride, layers) in
        [((2, 2), (2, 2), 2), ((3, 3), (2, 2), 4), ((2, 3), (1, 1), 3), ((1, 4), (3, 2), 3), ((5, 1), (1, 1), 3)]
    {
        let mut graph = Builder::new(&[2, 7, 8], Layout::ChannelsFirst);
        let first = graph.same(0, 3, 2);
        let pooled = graph.node(Op::MaxPool(Pool { size: Some(size), stride, padding: BARE }), &[first]);
        let relu = graph.node(Op::Relu, &[pooled]);
        let flat = graph.node(Op::Reshape { dims: None }, &[relu]);
        let (rows, columns) = ((7 - size.0) / stride.0 + 1, (8 - size.1) / stride.1 + 1);
        graph.dense(flat, 3 * rows * columns, 4);
        // The ReLU moves before the pool.
        check(&format!("{size:?} {stride:?}"), &graph.graph, 2 + layers);
        // But not if what lies between is asked for again.
        let mut graph = Builder::new(&[3, 8, 8], Layout::ChannelsFirst);
        let pooled = graph.node(Op::MaxPool(Pool { size: Some((2, 2)), stride: (2, 2), padding: BARE }), &[0]);
        let relu = graph.node(Op::Relu, &[pooled]);
        let second = graph.same(relu, 3, 3);
        let sum = graph.node(Op::Add, &[pooled, second]);
        let flat = graph.node(Op::Reshape { dims: None }, &[sum]);
        graph.dense(flat, 48, 4);
        check("kept", &graph.graph, 5);
    }
}

#[test]
fn relu6_is_two_layers() {
    let mut graph = Builder::new(&[1, 6, 6], Layout::ChannelsFirst);
    let first = graph.conv(0, [4, 1, 3, 3], 1, (1, 1), BARE);
    // Far beyond 6.
    let first = graph.node(Op::Elementwise { scale: vec![20.0], offset: vec![1.0] }, &[first]);
    let clamped = graph.node(Op::Relu6, &[first]);
    let second = graph.same(clamped, 4, 4);
    let sum = graph.node(Op::Add, &[clamped, second]);
    let clamped = graph.node(Op::Relu6, &[sum]);
    let flat = graph.node(Op::Reshape { dims: None }, &[clamped]);
    graph.dense(flat, 64, 3);
    check("relu6", &graph.graph, 2 + 3 + 1);
}

#[test]
fn a_softmax_at_the_end_is_left_to_the_recipient() {
    let mut graph = Builder::new(&[5], Layout::ChannelsFirst);
    let first = graph.dense(0, 5, 4);
    graph.node(Op::Last, &[first]);
    let chain = check("softmax", &graph.graph, 1);
    assert_eq!(chain.left_off, ["Op"]);
    let last = graph.graph.output;
    graph.dense(last, 4, 2);
    let error = lower(&graph.graph).unwrap_err().to_string();
    assert!(error.contains("it may only be last"), "{error}");
}

#[test]
fn a_last_layer_with_a_relu_and_one_without_weights() {
    let mut graph = Builder::new(&[2, 4, 4], Layout::ChannelsFirst);
    let first = graph.same(0, 3, 2);
    let relu = graph.node(Op::Relu, &[first]);
    graph.node(Op::AveragePool(Pool { size: None, stride: (1, 1), padding: BARE }), &[relu]);
    let chain = check("mean", &graph.graph, 2);
    assert!(matches!(chain.layers[1].map.shape, Shape::Mean(_)));
    let mut graph = Builder::new(&[6], Layout::ChannelsFirst);
    let first = graph.dense(0, 6, 4);
    graph.node(Op::Relu, &[first]);
    let (model, _) =
        quantise(&lower(&graph.graph).unwrap(), &Readings::new(6, Rng(1).reals(60)).unwrap(), &Options::default()).unwrap();
    assert_eq!(model.network.layers()[0].activation, Activation::Relu);
}

/// A max-pool compares differences, which must have a place in the ring.
#[test]
fn a_range_beyond_a_functions_domain_is_refused_with_layer_range_and_domain() {
    let mut graph = Builder::new(&[1, 4, 4], Layout::ChannelsFirst);
    let (weights, bias) = (Tensor::new(vec![1, 1, 1, 1], vec![1.5e5]).unwrap(), None);
    let first = graph.node(Op::Convolution { weights, bias, groups: 1, stride: (1, 1), padding: BARE }, &[0]);
    graph.node(Op::MaxPool(Pool { size: Some((2, 2)), stride: (2, 2), padding: BARE }), &[first]);
    graph.graph.nodes[1].name = "pool".into();
    let mut values = vec![1.0; 32];
    values[1] = -1.0;
    let readings = Readings::new(16, values).unwrap();
    let options = Options { headroom_bits: 0, input_frac_bits: Some(0), frac_bits: Some(13) };
    let error = quantise(&lower(&graph.graph).unwrap(), &readings, &options).unwrap_err().to_string();
    let parts = ["layer 1 (`pool`)", "from 0.000000 to 300000.000000", "32 bits", "13 fraction bits", "--frac-bits"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

fn refused(graph: &Builder) -> String {
    match lower(&graph.graph) {
        Err(GraphError::Image { node, what }) => format!("{node} {what}"),
        Err(error) => error.to_string(),
        Ok(_) => panic!("is not refused"),
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let start = || Builder::new(&[2, 8, 8], Layout::ChannelsFirst);
    let says = |graph: &Builder, what: &str| assert!(refused(graph).contains(what), "{}", refused(graph));
    let mut graph = start();
    graph.conv(0, [3, 2, 17, 17], 1, (1, 1), Padding::Explicit { before: (8, 8), after: (8, 8) });
    says(&graph, "kernels of 256 words");
    let mut graph = start();
    graph.conv(0, [3, 2, 9, 9], 1, (1, 1), BARE);
    says(&graph, "does not fit its image");
    let mut graph = start();
    graph.conv(0, [3, 3, 3, 3], 1, (1, 1), BARE);
    says(&graph, "takes 3 values and gets 2");
    let mut graph = start();
    graph.conv(0, [2000, 2, 1, 1], 1, (1, 1), BARE);
    says(&graph, "at most 65535 values");
    let mut graph = start();
    graph.node(Op::MaxPool(Pool { size: Some((3, 3)), stride: (1, 1), padding: Padding::SameUpper }), &[0]);
    says(&graph, "pads its image");
    let mut graph = Builder::new(&[8, 8, 2], Layout::ChannelsLast);
    graph.same(0, 3, 2);
    says(&graph, "several pixels of several channels");
    let mut graph = Builder::new(&[8, 8, 2], Layout::ChannelsLast);
    graph.conv(0, [2, 1, 3, 3], 2, (1, 1), BARE);
    graph.dense(1, 72, 2);
    says(&graph, "takes the input's channels apart");
    let mut graph = start();
    let first = graph.same(0, 3, 2);
    let other = graph.same(0, 4, 2);
    graph.node(Op::Add, &[first, other]);
    says(&graph, "takes 192 values and gets 256");
    let mut graph = start();
    graph.graph.input_dims = None;
    graph.same(0, 3, 2);
    says(&graph, "unknown size");
    let mut graph = start();
    graph.node(Op::Transpose(vec![1, 2, 0]), &[0]);
    graph.dense(1, 128, 2);
    says(&graph, "another order");
}
