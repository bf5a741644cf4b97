//! Softmax in the middle of a network: `e^(x_i - l)` with `l = ln(sum e^x_j)`.
//!
//! The logarithm of a sum of two is `ln(e^a + e^b) = a + softplus(b - a)`; of many it is a tree of
//! such pairs. Both functions are straight pieces of a bounded error, as others are (`pieces`), and
//! nothing overflows, however large values are.

use sharelet_core::shape::Shape;

use super::dims;
use super::form::Form;
use super::function::Function;
use super::graph::{Graph, Node, Op, ValueId};
use super::layer::Map;

/// Values that are computed with, at most; maps of them have as many rows as columns.
const MAX_ELEMS: usize = 2048;

/// Weights of all maps, at most: those of one softmax of as many values, and more of smaller ones.
const MAX_WEIGHTS: usize = 1 << 24;

/// Why a softmax is not computed.
pub(super) const APART: &str = "it is of values of unknown dimensions, or of more than 2048 of \
                                them; state the input's dimensions, or leave it to the recipient \
                                as the network's end";

/// What softplus takes where there is nothing to be added: it is zero there.
const NOTHING: f64 = -128.0;

/// The graph with its layers in the place of softmax; `None` if there is none.
pub(super) fn paired(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let needed = graph.needed(answer);
    let needed = || needed.iter().filter_map(|&index| graph.nodes.get(index));
    if !needed().any(|node| matches!(node.op, Op::Softmax { .. })) {
        return None;
    }
    let forms = dims::known(graph, needed());
    let values = graph.nodes.iter().flat_map(|node| node.inputs.iter().chain([&node.output]));
    let next = values.chain([&graph.input]).max()? + 1;
    let mut made = Made { next, nodes: Vec::new(), left: MAX_WEIGHTS };
    for node in needed() {
        let form = node.inputs.first().and_then(|input| forms.get(input));
        let all = made.nodes.len();
        if form.and_then(|form| made.softmax(node, form)).is_none() {
            made.nodes.truncate(all);
            made.nodes.push(node.clone());
        }
    }
    let (name, input_dims) = (graph.name.clone(), graph.input_dims.clone());
    Some(Graph { name, input_dims, output: answer, nodes: made.nodes, ..*graph })
}

struct Made {
    next: ValueId,
    nodes: Vec<Node>,
    /// Weights that there may still be.
    left: usize,
}

/// A matrix, row after row, and what is added.
struct Rows {
    columns: usize,
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Rows {
    fn new(rows: usize, columns: usize) -> Self {
        Self { columns, weights: vec![0.0; rows * columns], bias: vec![0.0; rows] }
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(weight) = self.weights.get_mut(row * self.columns + column) {
            *weight = value;
        }
    }
}

impl Made {
    fn push(&mut self, node: &Node, op: Op, inputs: Vec<ValueId>) -> ValueId {
        let output = self.next;
        self.next += 1;
        self.nodes.push(Node { op, inputs, output, ..node.clone() });
        output
    }

    fn map(&mut self, node: &Node, rows: Rows, form: Form, value: ValueId) -> Option<ValueId> {
        let (inputs, outputs) = (rows.columns.try_into().ok()?, rows.bias.len().try_into().ok()?);
        self.left = self.left.checked_sub(rows.weights.len())?;
        let map = Map { shape: Shape::Dense { inputs, outputs }, weights: rows.weights };
        Some(self.push(node, Op::Mapped { map, bias: rows.bias, form }, vec![value]))
    }

    /// The nodes of a softmax of a value of this form.
    fn softmax(&mut self, node: &Node, form: &Form) -> Option<()> {
        let Op::Softmax { axis, trailing, log } = node.op else { return None };
        let elems = form.width().filter(|elems| (1..=MAX_ELEMS).contains(elems))?;
        let groups = form.groups(axis, trailing)?;
        let &input = node.inputs.first()?;
        // Where each value of a group lies; first in the input, then in what each level gives.
        let mut open: Vec<Vec<usize>> = groups.clone();
        let (mut value, mut width) = (input, elems);
        while open.iter().any(|group| group.len() > 1) {
            let pairs: Vec<Vec<usize>> =
                open.iter().flat_map(|g| g.chunks(2)).map(<[_]>::to_vec).collect();
            let mut differences = Rows::new(pairs.len(), width);
            let mut firsts = Rows::new(pairs.len(), width);
            for (row, pair) in pairs.iter().enumerate() {
                firsts.set(row, *pair.first()?, 1.0);
                match *pair.as_slice() {
                    [first, second] => {
                        differences.set(row, first, -1.0);
                        differences.set(row, second, 1.0);
                    }
                    _ => *differences.bias.get_mut(row)? = NOTHING,
                }
            }
            let plain = Form::plain(vec![pairs.len()]);
            let differences = self.map(node, differences, plain.clone(), value)?;
            let softplus = Op::Function(Function::Softplus);
            let more = self.push(node, softplus, vec![differences]);
            let firsts = self.map(node, firsts, plain, value)?;
            value = self.push(node, Op::Add, vec![more, firsts]);
            width = pairs.len();
            let mut next = 0..;
            open = open
                .iter()
                .map(|group| next.by_ref().take(group.len().div_ceil(2)).collect())
                .collect();
        }
        let mut less = Rows::new(elems, width);
        for (group, own) in groups.iter().zip(&open) {
            for &place in group {
                less.set(place, *own.first()?, -1.0);
            }
        }
        let less = self.map(node, less, form.clone(), value)?;
        let op = if log { Op::Identity } else { Op::Function(Function::Exponential) };
        let sum = self.push(node, Op::Add, vec![less, input]);
        self.nodes.push(Node { op, inputs: vec![sum], ..node.clone() });
        Some(())
    }
}
