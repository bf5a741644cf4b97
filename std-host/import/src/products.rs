//! Products of computed values as squares: `a b = ((a + b)^2 - (a - b)^2) / 4`.
//!
//! The sums and differences are one linear map of what `a` is of and what `b` is of; their squares
//! are straight pieces (`pieces`), of which the next layer adds up a quarter. So a product is three
//! layers of those that exist, and its error has a bound.
//!
//! A factor that is one number per channel is spread over the pixels, or one number over all.

use std::collections::HashMap;

use sharelet_core::shape::{Shape, TILE_ELEMS, Window};

use super::dims::{self, Forms};
use super::form::Form;
use super::function::Function;
use super::graph::{self, Graph, Layout, Node, Op, ValueId};
use super::layer::Map;
use super::maps::Maps;

/// Why a product is not computed.
pub(super) const APART: &str = "it multiplies computed values; computed are squares, and products \
                                of two values of the same dimensions which the file states, of at \
                                most 32767 elements, or of an image of at most 256 pixels and one \
                                number for each of its channels";

/// Values of a product, at most: sums and differences are twice as many.
const MAX_ELEMS: usize = u16::MAX as usize / 2;

/// The graph with squares in the place of products and of second powers; `None` if there are none.
pub(super) fn squared(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let needed = graph.needed(answer);
    let needed = || needed.iter().filter_map(|&index| graph.nodes.get(index));
    let is_one = |node: &Node| matches!(node.op, Op::Product | Op::Power(_));
    // A quantised product is rounded, and that is not computed.
    if !needed().any(is_one) || needed().any(|node| matches!(node.op, Op::Round(_))) {
        return None;
    }
    let values = graph.nodes.iter().flat_map(|node| node.inputs.iter().chain([&node.output]));
    let mut products = Products {
        graph,
        forms: dims::known(graph, needed()),
        producers: graph::producers(&graph.nodes),
        uses: HashMap::from([(answer, 1)]),
        bare: HashMap::new(),
        next: values.chain([&graph.input]).max()? + 1,
    };
    for node in needed().filter(|node| gives_on(&node.op)) {
        let before = node.inputs.first().map(|&input| products.bare(input));
        products.bare.extend(before.map(|before| (node.output, before)));
    }
    for node in needed().filter(|node| !gives_on(&node.op)) {
        for &input in &node.inputs {
            *products.uses.entry(products.bare(input)).or_default() += 1;
        }
    }
    let mut nodes = Vec::new();
    for node in needed() {
        match products.of(node) {
            Some(made) => nodes.extend(made),
            None => nodes.push(node.clone()),
        }
    }
    let (name, input_dims) = (graph.name.clone(), graph.input_dims.clone());
    Some(Graph { name, input_dims, output: answer, nodes, ..*graph })
}

/// Whether a node gives the values on that it takes, in the same order.
fn gives_on(op: &Op) -> bool {
    matches!(op, Op::Identity | Op::Reshape { .. } | Op::Unsqueeze(_) | Op::Squeeze(_))
}

/// How a vector is divided: into channels, which have as many pixels each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) channels: usize,
    pub(super) pixels: usize,
}

impl Blocks {
    fn of(form: &Form, layout: Layout) -> Option<Self> {
        let elems = form.width()?;
        if form.dims().len() <= 1 {
            return Some(Self { channels: elems, pixels: 1 });
        }
        match form.image(layout) {
            Some(image) if !image.interleaved => {
                Some(Self { channels: image.channels, pixels: elems.checked_div(image.channels)? })
            }
            _ => Some(Self { channels: 1, pixels: elems }),
        }
    }

    /// Each block, and behind it the same times `sign`.
    fn twice(self, sign: f64) -> Option<Map> {
        let row = (1..=TILE_ELEMS).rev().find(|&row| self.pixels.is_multiple_of(row))?;
        let window = Window {
            channels: self.channels.try_into().ok()?,
            height: (self.pixels / row).try_into().ok()?,
            width: row.try_into().ok()?,
            filters: (2 * self.channels).try_into().ok()?,
            groups: self.channels.try_into().ok()?,
            kernel: (1, 1),
            stride: (1, 1),
            before: (0, 0),
            after: (0, 0),
        };
        let weights = [1.0, sign].repeat(self.channels);
        valid(Map { shape: Shape::Convolution(window), weights })
    }

    /// One number for each block, at all of its places, and behind them the same times `sign`.
    fn spread(self, [channels, rows, columns]: [usize; 3], sign: f64) -> Option<Map> {
        let [rows, columns]: [u8; 2] = [rows.try_into().ok()?, columns.try_into().ok()?];
        let around = (rows.checked_sub(1)?, columns.checked_sub(1)?);
        let window = Window {
            channels: channels.try_into().ok()?,
            height: 1,
            width: 1,
            filters: (2 * channels).try_into().ok()?,
            groups: channels.try_into().ok()?,
            kernel: (rows, columns),
            stride: (1, 1),
            before: around,
            after: around,
        };
        let each = |factor| core::iter::repeat_n(factor, window.kernel_elems());
        let weights = (0..channels).flat_map(|_| each(1.0).chain(each(sign))).collect();
        let map = Map { shape: Shape::Convolution(window), weights };
        // Blocks of another size lie otherwise.
        valid(map).filter(|_| channels == self.channels)
    }

    /// A quarter of the squares of sums less those of differences, of `terms` products that are
    /// added: each block has the sums of all terms, and behind them the differences.
    pub(super) fn quarters(self, terms: usize) -> Option<Map> {
        let rows = (2 * terms).try_into().ok()?;
        let window = Window {
            channels: self.channels.try_into().ok()?,
            height: (2 * terms).try_into().ok()?,
            width: self.pixels.try_into().ok()?,
            filters: self.channels.try_into().ok()?,
            groups: self.channels.try_into().ok()?,
            kernel: (rows, 1),
            stride: (rows, 1),
            before: (0, 0),
            after: (0, 0),
        };
        let kernel = [vec![0.25; terms], vec![-0.25; terms]].concat();
        let weights = kernel.repeat(self.channels);
        valid(Map { shape: Shape::Convolution(window), weights })
    }
}

fn valid(map: Map) -> Option<Map> {
    map.shape.is_valid().then_some(map)
}

struct Products<'g> {
    graph: &'g Graph,
    forms: Forms,
    producers: HashMap<ValueId, usize>,
    uses: HashMap<ValueId, usize>,
    /// Of what nodes give that give it on, the value before them.
    bare: HashMap<ValueId, ValueId>,
    next: ValueId,
}

/// A value, and the linear map of it that a factor is.
type Factor = (ValueId, Map, Vec<f64>);

impl Products<'_> {
    fn producer(&self, value: ValueId) -> Option<&Node> {
        self.producers.get(&value).and_then(|&index| self.graph.nodes.get(index))
    }

    /// The value behind nodes that give it on.
    fn bare(&self, value: ValueId) -> ValueId {
        self.bare.get(&value).copied().unwrap_or(value)
    }

    fn is_inner(&self, value: ValueId) -> bool {
        value != self.graph.input && self.uses.get(&value) == Some(&1)
    }

    /// The nodes that stand for a product or a second power; none if it is not computed.
    fn of(&mut self, node: &Node) -> Option<Vec<Node>> {
        let square = Op::Function(Function::SQUARE);
        match (&node.op, node.inputs.as_slice()) {
            (&Op::Power(2.0), &[input]) => {
                Some(vec![Node { op: square, inputs: vec![input], ..node.clone() }])
            }
            (Op::Product, &[first, second]) if first == second => {
                Some(vec![Node { op: square, inputs: vec![first], ..node.clone() }])
            }
            (Op::Product, &[first, second]) => {
                let width = |value| self.forms.get(&value).and_then(Form::width);
                match width(second) > width(first) {
                    true => self.product(node, second, first),
                    false => self.product(node, first, second),
                }
            }
            _ => None,
        }
    }

    /// `second` has no more elements than `first`.
    fn product(&mut self, node: &Node, first: ValueId, second: ValueId) -> Option<Vec<Node>> {
        let form = self.forms.get(&first)?.clone();
        let elems = form.width().filter(|elems| *elems <= MAX_ELEMS)?;
        let blocks = Blocks::of(&form, self.graph.layout)?;
        let sums = Form::plain(vec![elems.checked_mul(2)?]);
        let same = self.forms.get(&second)?.lies_as(&form);
        if same && self.bare(first) == self.bare(second) {
            let square = Op::Function(Function::SQUARE);
            return Some(vec![Node { op: square, inputs: vec![first], ..node.clone() }]);
        }
        let mut made = Made { node, next: self.next, nodes: Vec::new() };
        let mapped = |map, bias, form: &Form| Op::Mapped { map, bias, form: form.clone() };
        let first = self.factor(first, blocks, 1.0)?;
        let second = match same {
            true => self.factor(second, blocks, -1.0)?,
            false => {
                let spread = self.spread(&form, second, blocks)?;
                (self.bare(second), spread, vec![0.0; 2 * elems])
            }
        };
        let parts = [first, second]
            .map(|(value, map, bias)| made.push(mapped(map, bias, &sums), vec![value]));
        let sum = made.push(Op::Add, parts.to_vec());
        let square = Op::Function(Function::SQUARE);
        let squares = made.push(square, vec![sum]);
        let quarters = mapped(blocks.quarters(1)?, vec![0.0; elems], &form);
        let last = Node { op: quarters, inputs: vec![squares], ..node.clone() };
        self.next = made.next;
        Some(made.nodes.into_iter().chain([last]).collect())
    }

    /// What gives both a factor and the same times `sign`: of the value itself, or of what the
    /// linear node before it takes.
    fn factor(&self, value: ValueId, blocks: Blocks, sign: f64) -> Option<Factor> {
        let value = self.bare(value);
        let folded = self.producer(value).filter(|_| self.is_inner(value)).and_then(|node| {
            let linear = matches!(node.op, Op::Dense { .. } | Op::Convolution { .. });
            let maps = Maps { forms: &self.forms, layout: self.graph.layout };
            let (map, bias) = maps.linear(node).ok().filter(|_| linear)?;
            let (map, bias) = doubled(&map, &bias, blocks, sign)?;
            Some((*node.inputs.first()?, map, bias))
        });
        let elems = 2 * blocks.channels * blocks.pixels;
        folded.or_else(|| Some((value, blocks.twice(sign)?, vec![0.0; elems])))
    }

    /// A factor that is one number for each channel of an image, or one for all.
    fn spread(&self, form: &Form, factor: ValueId, blocks: Blocks) -> Option<Map> {
        let own = self.forms.get(&factor)?;
        let dims = form.dims();
        let missing = dims.len().checked_sub(own.dims().len())?;
        let aligned: Vec<usize> =
            core::iter::repeat_n(1, missing).chain(own.dims().iter().copied()).collect();
        if own.width()? == 1 {
            let Blocks { channels, pixels } = blocks;
            let outputs = (2 * channels * pixels).try_into().ok()?;
            let both = [vec![1.0; pixels], vec![-1.0; pixels]].concat();
            let shape = Shape::Dense { inputs: 1, outputs };
            return valid(Map { shape, weights: both.repeat(channels) });
        }
        let image = form.image(self.graph.layout).filter(|image| !image.interleaved)?;
        let channel = if self.graph.layout == Layout::ChannelsFirst { 0 } else { dims.len() - 1 };
        // Elements that lie otherwise are no channels.
        let per_channel = own.is_in_order()
            && aligned
                .iter()
                .enumerate()
                .all(|(place, &dim)| dim == if place == channel { image.channels } else { 1 });
        let sizes = [image.channels, image.height, image.width];
        blocks.spread(sizes, -1.0).filter(|_| per_channel)
    }
}

/// The rows or kernels of a map that give a block each, and behind each the same times `sign`.
fn doubled(map: &Map, bias: &[f64], blocks: Blocks, sign: f64) -> Option<(Map, Vec<f64>)> {
    let Blocks { channels, pixels } = blocks;
    let (shape, each) = match map.shape {
        Shape::Dense { inputs, outputs } => {
            let twice = outputs.checked_mul(2)?;
            (Shape::Dense { inputs, outputs: twice }, usize::from(inputs) * pixels)
        }
        Shape::Convolution(window) if usize::from(window.filters) == channels => {
            let filters = window.filters.checked_mul(2)?;
            let each = window.depth() * window.kernel_elems();
            (Shape::Convolution(Window { filters, ..window }), each)
        }
        _ => return None,
    };
    let twice = |values: &[f64], each: usize| -> Vec<f64> {
        let part = |part: &[f64]| {
            let other: Vec<f64> = part.iter().map(|value| sign * value).collect();
            [part.to_vec(), other].concat()
        };
        values.chunks(each.max(1)).flat_map(part).collect()
    };
    let (weights, bias) = (twice(&map.weights, each), twice(bias, pixels));
    let whole = usize::from(shape.outputs()) == 2 * channels * pixels;
    Some((valid(Map { shape, weights })?, bias)).filter(|_| whole)
}

/// Nodes that stand for one.
struct Made<'n> {
    node: &'n Node,
    next: ValueId,
    nodes: Vec<Node>,
}

impl Made<'_> {
    fn push(&mut self, op: Op, inputs: Vec<ValueId>) -> ValueId {
        let output = self.next;
        self.next += 1;
        self.nodes.push(Node { op, inputs, output, ..self.node.clone() });
        output
    }
}
