//! Graphs that are made node by node, and what they compute by the definitions.

#![allow(missing_docs, missing_debug_implementations, clippy::type_complexity)]

use std::collections::HashMap;

use sharelet_import::GraphError;
use sharelet_import::columns::quantise;
use sharelet_import::graph::{Graph, Layout, Node, Op, Padding, Tensor};
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::quantise::Options;
use sharelet_model::readings::Readings;

use crate::Rng;

pub const BARE: Padding = Padding::NONE;
pub const LAYOUTS: [Layout; 2] = [Layout::ChannelsFirst, Layout::ChannelsLast];

/// Channels, rows and columns in the order of a layout.
pub fn ordered(layout: Layout, [channels, height, width]: [usize; 3]) -> [usize; 3] {
    match layout {
        Layout::ChannelsFirst => [channels, height, width],
        Layout::ChannelsLast => [height, width, channels],
    }
}

/// A graph that is built node by node; values are numbered as they are made, the input is 0.
pub struct Builder {
    pub rng: Rng,
    pub graph: Graph,
}

impl Builder {
    pub fn new(dims: &[usize], layout: Layout) -> Self {
        let graph = Graph {
            name: "test".into(),
            input: 0,
            input_dims: Some(dims.to_vec()),
            layout,
            output: 0,
            nodes: Vec::new(),
            labels: HashMap::new(),
        };
        Self { rng: Rng(7), graph }
    }

    /// An image of channels, rows and columns.
    pub fn image(layout: Layout, image: [usize; 3]) -> Self {
        Self::new(&ordered(layout, image), layout)
    }

    pub fn node(&mut self, op: Op, inputs: &[usize]) -> usize {
        let output = self.graph.nodes.len() + 1;
        let name = format!("node {output}");
        let (op_type, inputs) = ("Op".into(), inputs.to_vec());
        self.graph.nodes.push(Node { name, op_type, op, inputs, output });
        self.graph.output = output;
        output
    }

    pub fn reals(&mut self, count: usize) -> Vec<f64> {
        self.rng.reals(count).into_iter().map(f64::from).collect()
    }

    pub fn tensor(&mut self, dims: &[usize]) -> Tensor {
        let values = self.reals(dims.iter().product());
        Tensor::new(dims.to_vec(), values).unwrap()
    }

    pub fn conv(
        &mut self,
        input: usize,
        dims: [usize; 4],
        groups: usize,
        stride: (usize, usize),
        padding: Padding,
    ) -> usize {
        let (weights, bias) = (self.tensor(&dims), Some(self.reals(dims[0])));
        self.node(Op::Convolution { weights, bias, groups, stride, padding }, &[input])
    }

    pub fn same(&mut self, input: usize, filters: usize, depth: usize) -> usize {
        self.conv(input, [filters, depth, 3, 3], 1, (1, 1), Padding::SameUpper)
    }

    pub fn dense(&mut self, input: usize, inputs: usize, outputs: usize) -> usize {
        let (weights, bias) = (self.tensor(&[outputs, inputs]), Some(self.reals(outputs)));
        self.node(Op::Dense { weights, bias }, &[input])
    }

    pub fn reshape(&mut self, input: usize, dims: &[i64]) -> usize {
        self.node(Op::Reshape { dims: Some(dims.to_vec()) }, &[input])
    }

    /// Factors and summands of these dimensions.
    pub fn affine(&mut self, input: usize, dims: &[usize]) -> usize {
        let count = dims.iter().product();
        let (scale, offset) = (self.reals(count), self.reals(count));
        self.node(Op::Elementwise { scale, offset, dims: Some(dims.to_vec()) }, &[input])
    }

    pub fn flat_dense(&mut self, input: usize, inputs: usize) -> usize {
        let flat = self.reshape(input, &[-1]);
        self.dense(flat, inputs, 3)
    }

    pub fn norm(&mut self, input: usize, channels: usize) -> usize {
        let (scale, offset) = (self.reals(channels), self.reals(channels));
        self.node(Op::Elementwise { scale, offset, dims: None }, &[input])
    }
}

/// A tensor of a batch of one: dimensions and values in the order of the file.
pub type Value = (Vec<usize>, Vec<f64>);

/// Where channel, row and column lie among the values.
fn place(layout: Layout, dims: &[usize], [channel, row, column]: [usize; 3]) -> usize {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[_, height, width]) => (channel * height + row) * width + column,
        (Layout::ChannelsFirst, &[_, width]) => channel * width + column,
        (Layout::ChannelsLast, &[_, width, channels]) => {
            (row * width + column) * channels + channel
        }
        (Layout::ChannelsLast, &[_, channels]) => column * channels + channel,
        _ => panic!("no image"),
    }
}

fn image(layout: Layout, dims: &[usize]) -> [usize; 3] {
    match (layout, dims) {
        (Layout::ChannelsFirst, &[channels, height, width])
        | (Layout::ChannelsLast, &[height, width, channels]) => [channels, height, width],
        (Layout::ChannelsFirst, &[channels, width])
        | (Layout::ChannelsLast, &[width, channels]) => [channels, 1, width],
        _ => panic!("no image: {dims:?}"),
    }
}

/// Rows, columns, and zeros before them.
fn windows(
    length: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    across: bool,
) -> (usize, usize) {
    let pick = |(down, along): (usize, usize)| if across { along } else { down };
    match padding {
        Padding::Explicit { before, after } => {
            ((length + pick(before) + pick(after) - size) / stride + 1, pick(before))
        }
        same => {
            let count = length.div_ceil(stride);
            let zeros = ((count - 1) * stride + size).saturating_sub(length);
            (count, if same == Padding::SameLower { zeros.div_ceil(2) } else { zeros / 2 })
        }
    }
}

/// The indices of all elements, row-major.
fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let dims = dims.to_vec();
    (0..dims.iter().product()).map(move |mut index: usize| {
        let mut at: Vec<usize> =
            dims.iter().rev().map(|dim| (index % dim, index /= dim).0).collect();
        at.reverse();
        at
    })
}

/// Which of some numbers is for a place: of dimensions as NumPy broadcasts them, or one per
/// channel.
fn spread(
    layout: Layout,
    dims: &[usize],
    along: &Option<Vec<usize>>,
    values: &[f64],
    at: &[usize],
) -> f64 {
    let channel = if layout == Layout::ChannelsFirst { 0 } else { dims.len().saturating_sub(1) };
    match along {
        _ if values.len() == 1 => values[0],
        None => values[at[channel]],
        Some(along) => {
            let own = &along[along.len().saturating_sub(dims.len())..];
            let at = own.iter().zip(&at[dims.len() - own.len()..]);
            values[at.fold(0, |place, (&dim, &at)| place * dim + if dim == 1 { 0 } else { at })]
        }
    }
}

/// What a graph computes.
pub fn evaluate(graph: &Graph, reading: &[f32]) -> Vec<f64> {
    evaluate_all(graph, reading)[graph.output].1.clone()
}

/// The same graph with values numbered as the definitions number them, and without nodes that the
/// output does not depend on.
pub fn numbered(graph: &Graph) -> Graph {
    let mut nodes: Vec<Node> =
        graph.needed(graph.output).into_iter().map(|index| graph.nodes[index].clone()).collect();
    let mut numbers = HashMap::from([(graph.input, 0)]);
    for (number, node) in (1..).zip(&mut nodes) {
        node.inputs.iter_mut().for_each(|input| *input = numbers[input]);
        numbers.insert(core::mem::replace(&mut node.output, number), number);
    }
    Graph { input: 0, output: nodes.len(), nodes, ..graph.clone() }
}

/// What every node computes, straight from the definitions; the input is first.
pub fn evaluate_all(graph: &Graph, reading: &[f32]) -> Vec<Value> {
    let layout = graph.layout;
    let mut values: Vec<Value> =
        vec![(graph.input_dims.clone().unwrap(), reading.iter().map(|&x| f64::from(x)).collect())];
    for node in &graph.nodes {
        let (dims, x) = values[node.inputs[0]].clone();
        let slide = |size: (usize, usize),
                     stride: (usize, usize),
                     padding,
                     filters: usize,
                     each: &mut dyn FnMut(
            usize,
            &dyn Fn(usize, usize, usize) -> Option<f64>,
        ) -> f64|
         -> Value {
            let [channels, height, width] = image(layout, &dims);
            let (rows, top) = windows(height, size.0, stride.0, padding, false);
            let (columns, left) = windows(width, size.1, stride.1, padding, true);
            let out_dims = match (layout, dims.len()) {
                (Layout::ChannelsFirst, 3) => vec![filters, rows, columns],
                (Layout::ChannelsFirst, _) => vec![filters, columns],
                (_, 2) => vec![columns, filters],
                _ => vec![rows, columns, filters],
            };
            let mut out = vec![0.0; filters * rows * columns];
            for filter in 0..filters {
                for row in 0..rows {
                    for column in 0..columns {
                        let at = |channel: usize, y: usize, x_at: usize| {
                            assert!(channel < channels);
                            let y =
                                (row * stride.0 + y).checked_sub(top).filter(|&y| y < height)?;
                            let x_at = (column * stride.1 + x_at)
                                .checked_sub(left)
                                .filter(|&x| x < width)?;
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
                let rows = weights.values.chunks(weights.dims[1]).enumerate();
                let bias = |at: usize| bias.as_ref().map_or(0.0, |bias| bias[at]);
                let product = |row: &[f64]| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
                let out = rows.map(|(at, row)| product(row) + bias(at)).collect::<Vec<f64>>();
                (vec![out.len()], out)
            }
            Op::Elementwise { scale, offset, dims: along } => {
                let of = |values: &[f64], at: &[usize]| spread(layout, &dims, along, values, at);
                let out = x
                    .iter()
                    .zip(indices(&dims))
                    .map(|(x, at)| x * of(scale, &at) + of(offset, &at))
                    .collect();
                (dims, out)
            }
            Op::LeakyRelu { slope, dims: along } => {
                let of = |at: &[usize]| spread(layout, &dims, along, slope, at);
                let out = x
                    .iter()
                    .zip(indices(&dims))
                    .map(|(x, at)| if *x < 0.0 { x * of(&at) } else { *x })
                    .collect();
                (dims, out)
            }
            Op::Mean { axes, keep } => {
                let rank = dims.len() as i64 + 1;
                let axes: Vec<usize> =
                    axes.iter().map(|axis| (axis.rem_euclid(rank) - 1) as usize).collect();
                let kept: Vec<usize> = (0..dims.len())
                    .map(|at| if axes.contains(&at) { 1 } else { dims[at] })
                    .collect();
                let mut out = vec![0.0; kept.iter().product()];
                let count = (x.len() / out.len()) as f64;
                for (x, at) in x.iter().zip(indices(&dims)) {
                    let place = at
                        .iter()
                        .zip(&kept)
                        .fold(0, |place, (&at, &dim)| place * dim + if dim == 1 { 0 } else { at });
                    out[place] += x / count;
                }
                let left = (0..dims.len())
                    .filter(|at| *keep || !axes.contains(at))
                    .map(|at| kept[at])
                    .collect();
                (left, out)
            }
            Op::Convolution { weights, bias, groups, stride, padding } => {
                let &[filters, depth, rows, columns] = weights.dims.as_slice() else { panic!() };
                slide((rows, columns), *stride, *padding, filters, &mut |filter, at| {
                    let first = filter / (filters / groups) * depth;
                    let mut sum = bias.as_ref().map_or(0.0, |bias| bias[filter]);
                    for channel in 0..depth {
                        for y in 0..rows {
                            for x in 0..columns {
                                let weight = weights.values
                                    [((filter * depth + channel) * rows + y) * columns + x];
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
                    let values: Vec<f64> = (0..size.0 * size.1)
                        .map(|i| at(channel, i / size.1, i % size.1).unwrap_or(0.0))
                        .collect();
                    if largest {
                        values.iter().copied().fold(f64::MIN, f64::max)
                    } else {
                        values.iter().sum::<f64>() / values.len() as f64
                    }
                })
            }
            Op::Add => {
                let (other_dims, other) = &values[node.inputs[1]];
                assert_eq!(&dims, other_dims);
                (dims, x.iter().zip(other).map(|(a, b)| a + b).collect())
            }
            Op::Concat { axis } => {
                let at = (axis.rem_euclid(dims.len() as i64 + 1) - 1) as usize;
                let inner: usize = dims[at + 1..].iter().product();
                let (mut dims, mut out) = (dims, Vec::new());
                let parts: Vec<&Value> = node.inputs.iter().map(|&from| &values[from]).collect();
                dims[at] = parts.iter().map(|part| part.0[at]).sum();
                for outer in 0..dims[..at].iter().product() {
                    for (own, values) in &parts {
                        let length = own[at] * inner;
                        out.extend_from_slice(&values[outer * length..][..length]);
                    }
                }
                (dims, out)
            }
            Op::Pick { axis, picked } => {
                let at = (axis.rem_euclid(dims.len() as i64 + 1) - 1) as usize;
                let numbers = picked.of(dims[at]).unwrap();
                let mut to = dims.clone();
                to[at] = numbers.len();
                let from = |mut place: Vec<usize>| {
                    place[at] = numbers[place[at]];
                    place.iter().zip(&dims).fold(0, |sum, (at, dim)| sum * dim + at)
                };
                let out = indices(&to).map(|at| x[from(at)]).collect();
                if picked.drops() {
                    to.remove(at);
                }
                (to, out)
            }
            Op::Relu => (dims, x.iter().map(|x| x.max(0.0)).collect()),
            Op::Relu6 => (dims, x.iter().map(|x| x.clamp(0.0, 6.0)).collect()),
            Op::Function(function) => (dims, x.iter().map(|&x| function.at(x)).collect()),
            Op::Softmax { axis, trailing, log } => {
                let at = (axis.rem_euclid(dims.len() as i64 + 1) - 1) as usize;
                let same = |a: &[usize], b: &[usize]| {
                    a[..at] == b[..at] && (*trailing || a[at + 1..] == b[at + 1..])
                };
                let places: Vec<_> = indices(&dims).collect();
                let of = |index: usize| {
                    let own = places.iter().zip(&x).filter(|(at, _)| same(at, &places[index]));
                    let sum: f64 = own.map(|(_, other)| (other - x[index]).exp()).sum();
                    if *log { -sum.ln() } else { 1.0 / sum }
                };
                let out = (0..x.len()).map(of).collect();
                (dims, out)
            }
            Op::Power(power) => (dims, x.iter().map(|x| x.powf(*power)).collect()),
            Op::Product => {
                let first = (dims, x);
                let second = values[node.inputs[1]].clone();
                let (long, short) =
                    if second.1.len() > first.1.len() { (second, first) } else { (first, second) };
                let along = Some(short.0);
                let of = |at: &[usize]| spread(layout, &long.0, &along, &short.1, at);
                let out = long.1.iter().zip(indices(&long.0)).map(|(x, at)| x * of(&at));
                (long.0.clone(), out.collect())
            }
            Op::Reshape { dims: Some(to) } => {
                let known: i64 = to.iter().filter(|&&dim| dim > 0).product();
                (
                    to.iter()
                        .map(|&dim| if dim < 0 { x.len() / known as usize } else { dim as usize })
                        .collect(),
                    x,
                )
            }
            Op::Reshape { dims: None } => (vec![x.len()], x),
            Op::Squeeze(axes) => (
                dims.iter()
                    .enumerate()
                    .filter(|(at, _)| !axes.contains(&(*at as i64 + 1)))
                    .map(|(_, dim)| *dim)
                    .collect(),
                x,
            ),
            Op::Unsqueeze(axes) => {
                let mut dims = dims;
                axes.iter().for_each(|&axis| dims.insert(axis as usize - 1, 1));
                (dims, x)
            }
            Op::Transpose(order) => {
                let to: Vec<usize> = order.iter().map(|&from| dims[from]).collect();
                let from = |at: Vec<usize>| {
                    let mut place = vec![0; at.len()];
                    order.iter().zip(at).for_each(|(&from, at)| place[from] = at);
                    place.iter().zip(&dims).fold(0, |sum, (at, dim)| sum * dim + at)
                };
                let out = indices(&to).map(|at| x[from(at)]).collect();
                (to, out)
            }
            _ => (dims, x),
        };
        values.push(next);
    }
    values
}

/// Lowers, compares in floating point, quantises, and compares the integers.
pub fn check(name: &str, graph: &Graph, layers: usize) -> Chain {
    let chain = lower(graph).unwrap_or_else(|error| panic!("{name}: {error}"));
    let width: usize = graph.input_dims.as_ref().unwrap().iter().product();
    let readings = Readings::new(width, Rng(11).reals(width * 40)).unwrap();
    for reading in readings.rows() {
        let (found, expected) = (chain.infer(reading), evaluate(graph, reading));
        assert_eq!(found.len(), expected.len(), "{name}");
        let size = expected.iter().fold(1.0_f64, |max, value| max.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let off = (found - expected).abs();
            assert!(off < 1e-9 * size, "{name}: {found} where {expected} is right");
        }
    }
    let names: Vec<_> = chain.layers.iter().map(|layer| &layer.name).collect();
    assert_eq!(names.len(), layers, "{name}: {names:?}");
    let (model, report) = quantise(&chain, &readings, &Options::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
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

/// Fails if a graph is not refused for this.
#[track_caller]
pub fn refuses(graph: &Builder, what: &str) {
    let error = match lower(&graph.graph) {
        Err(GraphError::Image { node, what }) => format!("{node} {what}"),
        Err(error) => error.to_string(),
        Ok(_) => panic!("is not refused"),
    };
    assert!(error.contains(what), "{error}");
}
