//! Softmax in the middle of a network: `e^(x_i - l)` with `l = ln(sum e^x_j)`.
//!
//! The logarithm of a sum of two is `ln(e^a + e^b) = a + softplus(b - a)`; of many it is a tree of
//! such pairs. Both functions are straight pieces of a bounded error, as others are (`pieces`), and
//! nothing overflows, however large values are.

use sharelet_core::shape::Shape;

use super::form::Form;
use super::function::Function;
use super::graph::{Graph, Node, Op, ValueId};
use super::layer::Map;
use super::rewrite::{self, Made};
use super::rows::Rows;

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
    let is_one = |op: &Op| matches!(op, Op::Softmax { .. });
    let mut left = MAX_WEIGHTS;
    rewrite::rewritten(graph, answer, is_one, |node, forms, made| {
        let form = forms.get(node.inputs.first()?)?;
        softmax(node, form, made, &mut left)
    })
}

/// A map of a value, and what is added.
struct Linear {
    rows: Rows,
    bias: Vec<f64>,
}

impl Linear {
    fn new(rows: usize, columns: usize) -> Self {
        Self { rows: Rows::new(rows, columns), bias: vec![0.0; rows] }
    }

    fn push(
        self,
        node: &Node,
        form: Form,
        value: ValueId,
        (made, left): (&mut Made, &mut usize),
    ) -> Option<ValueId> {
        let Self { rows, bias } = self;
        let (inputs, outputs) = (rows.columns.try_into().ok()?, bias.len().try_into().ok()?);
        *left = left.checked_sub(rows.values.len())?;
        let map = Map { shape: Shape::Dense { inputs, outputs }, weights: rows.values };
        Some(made.push(node, Op::Mapped { map, bias, form }, vec![value]))
    }
}

/// Makes the nodes of a softmax of a value of this form.
fn softmax(node: &Node, form: &Form, made: &mut Made, left: &mut usize) -> Option<()> {
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
        let mut differences = Linear::new(pairs.len(), width);
        let mut firsts = Linear::new(pairs.len(), width);
        for (row, pair) in pairs.iter().enumerate() {
            firsts.rows.set(row, *pair.first()?, 1.0);
            match *pair.as_slice() {
                [first, second] => {
                    differences.rows.set(row, first, -1.0);
                    differences.rows.set(row, second, 1.0);
                }
                _ => *differences.bias.get_mut(row)? = NOTHING,
            }
        }
        let plain = Form::plain(vec![pairs.len()]);
        let differences = differences.push(node, plain.clone(), value, (made, left))?;
        let softplus = Op::Function(Function::Softplus);
        let more = made.push(node, softplus, vec![differences]);
        let firsts = firsts.push(node, plain, value, (made, left))?;
        value = made.push(node, Op::Add, vec![more, firsts]);
        width = pairs.len();
        let mut next = 0..;
        open = open
            .iter()
            .map(|group| next.by_ref().take(group.len().div_ceil(2)).collect())
            .collect();
    }
    let mut less = Linear::new(elems, width);
    for (group, own) in groups.iter().zip(&open) {
        for &place in group {
            less.rows.set(place, *own.first()?, -1.0);
        }
    }
    let less = less.push(node, form.clone(), value, (made, left))?;
    let op = if log { Op::Identity } else { Op::Function(Function::Exponential) };
    let sum = made.push(node, Op::Add, vec![less, input]);
    made.end(node, op, vec![sum]);
    Some(())
}
