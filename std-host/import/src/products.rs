//! Products of computed values as squares: `a b = ((a + b)^2 - (a - b)^2) / 4`.
//!
//! The sums and differences are one linear map of what `a` is of and what `b` is of; their squares
//! are straight pieces (`pieces`), of which the next layer adds up a quarter. So a product is three
//! layers of those that exist, and its error has a bound.
//!
//! A factor that is one number per channel is spread over the pixels, or one number over all.

use std::collections::HashMap;

use sharelet_core::shape::{Shape, TILE_ELEMS, Window};

use super::dims::Forms;
use super::form::Form;
use super::function::Function;
use super::graph::{self, Graph, Layout, Node, Op, ValueId};
use super::layer::Map;
use super::maps::Maps;
use super::rewrite::{self, Made};

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
    // A quantised product is rounded, and that is not computed.
    if needed().any(|node| matches!(node.op, Op::Round(_))) {
        return None;
    }
    let mut uses = Uses { counts: HashMap::from([(answer, 1)]), bare: HashMap::new() };
    for node in needed().filter(|node| gives_on(&node.op)) {
        let before = node.inputs.first().map(|&input| uses.bare(input));
        uses.bare.extend(before.map(|before| (node.output, before)));
    }
    for node in needed().filter(|node| !gives_on(&node.op)) {
        for &input in &node.inputs {
            *uses.counts.entry(uses.bare(input)).or_default() += 1;
        }
    }
    let producers = graph::producers(&graph.nodes);
    let is_one = |op: &Op| matches!(op, Op::Product | Op::Power(_));
    rewrite::rewritten(graph, answer, is_one, |node, forms, made| {
        Products { graph, forms, producers: &producers, uses: &uses }.of(node, made)
    })
}

/// What takes each value.
struct Uses {
    counts: HashMap<ValueId, usize>,
    /// Of what nodes give that give it on, the value before them.
    bare: HashMap<ValueId, ValueId>,
}

impl Uses {
    /// The value behind nodes that give it on.
    fn bare(&self, value: ValueId) -> ValueId {
        self.bare.get(&value).copied().unwrap_or(value)
    }
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
    forms: &'g Forms,
    producers: &'g HashMap<ValueId, usize>,
    uses: &'g Uses,
}

/// A value, and the linear map of it that a factor is.
type Factor = (ValueId, Map, Vec<f64>);

impl Products<'_> {
    fn producer(&self, value: ValueId) -> Option<&Node> {
        self.producers.get(&value).and_then(|&index| self.graph.nodes.get(index))
    }

    fn is_inner(&self, value: ValueId) -> bool {
        value != self.graph.input && self.uses.counts.get(&value) == Some(&1)
    }

    /// Makes the nodes that stand for a product or a second power; none if it is not computed.
    fn of(&self, node: &Node, made: &mut Made) -> Option<()> {
        let (first, second) = match (&node.op, node.inputs.as_slice()) {
            (&Op::Power(2.0), &[input]) => (input, input),
            (Op::Product, &[first, second]) => (first, second),
            _ => return None,
        };
        let form = |value: ValueId| self.forms.get(&value);
        let alike = || form(first).zip(form(second)).is_some_and(|(a, b)| a.lies_as(b));
        // Other dimensions of one value are no square of it.
        if first == second || alike() && self.uses.bare(first) == self.uses.bare(second) {
            made.end(node, Op::Function(Function::SQUARE), vec![first]);
            return Some(());
        }
        let width = |value| form(value).and_then(Form::width);
        match width(second) > width(first) {
            true => self.product(node, second, first, made),
            false => self.product(node, first, second, made),
        }
    }

    /// `second` has no more elements than `first`.
    fn product(&self, node: &Node, first: ValueId, second: ValueId, made: &mut Made) -> Option<()> {
        let form = self.forms.get(&first)?.clone();
        let elems = form.width().filter(|elems| *elems <= MAX_ELEMS)?;
        let blocks = Blocks::of(&form, self.graph.layout)?;
        let sums = Form::plain(vec![elems.checked_mul(2)?]);
        let mapped = |map, bias, form: &Form| Op::Mapped { map, bias, form: form.clone() };
        let second = match self.forms.get(&second)?.lies_as(&form) {
            true => self.factor(second, blocks, -1.0)?,
            false => {
                let spread = self.spread(&form, second, blocks)?;
                (self.uses.bare(second), spread, vec![0.0; 2 * elems])
            }
        };
        let parts = [self.factor(first, blocks, 1.0)?, second]
            .map(|(value, map, bias)| made.push(node, mapped(map, bias, &sums), vec![value]));
        let sum = made.push(node, Op::Add, parts.to_vec());
        let squares = made.push(node, Op::Function(Function::SQUARE), vec![sum]);
        made.end(node, mapped(blocks.quarters(1)?, vec![0.0; elems], &form), vec![squares]);
        Some(())
    }

    /// What gives both a factor and the same times `sign`: of the value itself, or of what the
    /// linear node before it takes.
    fn factor(&self, value: ValueId, blocks: Blocks, sign: f64) -> Option<Factor> {
        let value = self.uses.bare(value);
        let folded = self.producer(value).filter(|_| self.is_inner(value)).and_then(|node| {
            let linear = matches!(node.op, Op::Dense { .. } | Op::Convolution { .. });
            let maps = Maps { forms: self.forms, layout: self.graph.layout };
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
