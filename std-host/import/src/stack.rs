//! Branches of one value that are computed side by side, as one convolution or dense layer, whose
//! results lie one behind the other.
//!
//! That is what a concatenation of such branches is. A sum of branches that each have an activation
//! is a sum of the parts, by a map of ones.

use std::collections::HashMap;

use sharelet_core::shape::TILE_ELEMS;

use super::dims::{self, Forms};
use super::graph::{self, Graph, Layout, Node, Op, Padding, Tensor, ValueId};
use super::layer::at;

/// A layer of a value, and what follows it.
struct Branch<'g> {
    linear: &'g Node,
    input: ValueId,
    weights: Tensor,
    bias: Vec<f64>,
    activation: Option<&'g Op>,
}

/// The nodes that `answer` depends on, with branches that are added or joined as one; `None` if
/// there are none.
pub(super) fn stacked(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let needed = graph.needed(answer);
    let needed = || needed.iter().filter_map(|&index| graph.nodes.get(index));
    let mut uses = HashMap::from([(answer, 1)]);
    for input in needed().flat_map(|node| &node.inputs) {
        *uses.entry(*input).or_default() += 1;
    }
    let forms = dims::known(graph, needed());
    let stacks = Stacks { graph, producers: graph::producers(&graph.nodes), uses, forms };
    let mut next = graph.next_value();
    let found: Vec<Option<Vec<Node>>> =
        needed().map(|node| stacks.stack(node, &mut next)).collect();
    if found.iter().all(Option::is_none) {
        return None;
    }
    let nodes = needed().zip(found).flat_map(|(node, stack)| stack.unwrap_or(vec![node.clone()]));
    Some(graph.with(nodes.collect(), answer))
}

struct Stacks<'g> {
    graph: &'g Graph,
    producers: HashMap<ValueId, usize>,
    uses: HashMap<ValueId, usize>,
    forms: Forms,
}

impl<'g> Stacks<'g> {
    /// The node that gives a value to one other.
    fn inner(&self, value: ValueId) -> Option<&'g Node> {
        let node = self.producers.get(&value).and_then(|&index| self.graph.nodes.get(index));
        node.filter(|_| self.uses.get(&value) == Some(&1))
    }

    fn branch(&self, mut value: ValueId) -> Option<Branch<'g>> {
        let (mut activation, mut factors) = (None, Vec::new());
        loop {
            let node = self.inner(value)?;
            match &node.op {
                Op::Identity => {}
                op @ (Op::Relu | Op::Relu6 | Op::Function(_))
                    if activation.is_none() && factors.is_empty() =>
                {
                    activation = Some(op);
                }
                op @ Op::LeakyRelu { slope, .. }
                    if activation.is_none() && factors.is_empty() && slope.len() == 1 =>
                {
                    activation = Some(op);
                }
                Op::Elementwise { scale, offset, dims }
                    if dims.is_none() || scale.len().max(offset.len()) == 1 =>
                {
                    factors.push((scale, offset));
                }
                Op::Dense { weights, bias } | Op::Convolution { weights, bias, groups: 1, .. } => {
                    // Of no weights there may be any number of rows.
                    let filters = weights.dims.first().copied();
                    let filters = filters.filter(|&filters| filters <= weights.values.len())?;
                    let mut weights = weights.clone();
                    let mut bias = bias.clone().unwrap_or_else(|| vec![0.0; filters]);
                    let each = (weights.values.len() / filters.max(1)).max(1);
                    for (scale, offset) in factors.into_iter().rev() {
                        let fits = |values: &[f64]| values.len() == 1 || values.len() == filters;
                        if !fits(scale) || !fits(offset) || bias.len() != filters {
                            return None;
                        }
                        for (index, row) in weights.values.chunks_exact_mut(each).enumerate() {
                            row.iter_mut().for_each(|weight| *weight *= at(scale, index));
                        }
                        for (index, bias) in bias.iter_mut().enumerate() {
                            *bias = *bias * at(scale, index) + at(offset, index);
                        }
                    }
                    let input = self.bare(*node.inputs.first()?);
                    return Some(Branch { linear: node, input, weights, bias, activation });
                }
                _ => return None,
            }
            value = *node.inputs.first()?;
        }
    }

    /// The value behind nodes that give it on.
    fn bare(&self, mut value: ValueId) -> ValueId {
        for _ in 0..=self.graph.nodes.len() {
            let node = self.producers.get(&value).and_then(|&index| self.graph.nodes.get(index));
            match node.filter(|node| node.op == Op::Identity).and_then(|node| node.inputs.first()) {
                Some(&before) => value = before,
                None => break,
            }
        }
        value
    }

    /// The nodes that stand for one that adds or joins branches.
    fn stack(&self, node: &Node, next: &mut ValueId) -> Option<Vec<Node>> {
        let axis = match node.op {
            Op::Add => None,
            Op::Concat { axis } => Some(axis),
            _ => return None,
        };
        let branches = node.inputs.iter().map(|&input| self.branch(input));
        let branches: Vec<Branch<'_>> = branches.collect::<Option<_>>()?;
        let first = branches.first()?;
        let alike = |branch: &Branch<'_>| {
            branch.input == first.input && branch.activation == first.activation
        };
        if branches.len() < 2 || !branches.iter().all(alike) {
            return None;
        }
        let image = !matches!(first.linear.op, Op::Dense { .. });
        let along_channels = match (self.graph.layout, axis) {
            (_, None) => first.activation.is_some(),
            (Layout::ChannelsLast, Some(axis)) => axis == -1 || axis == if image { 3 } else { 1 },
            (Layout::ChannelsFirst, Some(axis)) => axis == 1 || !image && axis == -1,
        };
        // Rows that are joined along their one dimension.
        let rows = |value: &ValueId| {
            let form = self.forms.get(value);
            form.is_some_and(|form| form.dims().len() == 1 && !form.is_open())
        };
        if !along_channels || !image && axis.is_some() && !node.inputs.iter().all(rows) {
            return None;
        }
        let mut fresh = || {
            *next += 1;
            *next - 1
        };
        let filters = first.weights.dims.first().copied()?;
        let mut nodes = vec![(one(&branches)?, first.linear)];
        nodes.extend(first.activation.map(|op| (op.clone(), node)));
        if axis.is_none() {
            nodes.push((parts(&branches, filters)?, node));
        }
        let (count, mut value) = (nodes.len(), first.input);
        let nodes = nodes.into_iter().enumerate().map(|(index, (op, named))| {
            let output = if index + 1 == count { node.output } else { fresh() };
            let inputs = vec![core::mem::replace(&mut value, output)];
            let (name, op_type) = (named.name.clone(), named.op_type.clone());
            Node { name, op_type, op, inputs, output }
        });
        Some(nodes.collect())
    }
}

/// All branches' weights, one behind the other.
fn one(branches: &[Branch<'_>]) -> Option<Op> {
    let first = branches.first()?;
    let bias = Some(branches.iter().flat_map(|branch| branch.bias.iter().copied()).collect());
    match &first.linear.op {
        Op::Dense { .. } => {
            let same = |branch: &Branch<'_>| matches!(branch.linear.op, Op::Dense { .. });
            let parts: Vec<&Tensor> = branches.iter().map(|branch| &branch.weights).collect();
            let weights = Tensor::joined(&parts, 0)?;
            branches.iter().all(same).then_some(Op::Dense { weights, bias })
        }
        Op::Convolution { stride, .. } => {
            let (kernels, padding) = same_windows(branches, *stride)?;
            let weights = Tensor::joined(&kernels.iter().collect::<Vec<_>>(), 0)?;
            Some(Op::Convolution { weights, bias, groups: 1, stride: *stride, padding })
        }
        _ => None,
    }
}

/// Weights of a sum of branches, at most.
const MAX_SUM_ELEMS: usize = 1 << 24;

/// The sum of equal parts of what lies one behind the other.
fn parts(branches: &[Branch<'_>], filters: usize) -> Option<Op> {
    let same = |branch: &Branch<'_>| branch.weights.dims.first() == Some(&filters);
    if !branches.iter().all(same) {
        return None;
    }
    let all = filters.checked_mul(branches.len())?;
    filters.checked_mul(all).filter(|elems| *elems <= MAX_SUM_ELEMS)?;
    let unit = |index: usize| if index / all == index % all % filters { 1.0 } else { 0.0 };
    let values = (0..filters.checked_mul(all)?).map(unit).collect();
    Some(match branches.first()?.linear.op {
        Op::Dense { .. } => {
            Op::Dense { weights: Tensor::new(vec![filters, all], values)?, bias: None }
        }
        _ => Op::Convolution {
            weights: Tensor::new(vec![filters, all, 1, 1], values)?,
            bias: None,
            groups: 1,
            stride: (1, 1),
            padding: Padding::NONE,
        },
    })
}

/// Rows or columns: size, zeros before and after.
type Side = (usize, usize, usize);

/// The kernels of all branches in one size, with zeros around smaller ones, and their padding.
fn same_windows(branches: &[Branch<'_>], stride: (usize, usize)) -> Option<(Vec<Tensor>, Padding)> {
    let padding = |branch: &Branch<'_>| match branch.linear.op {
        Op::Convolution { padding, stride: own, .. } if own == stride => Some(padding),
        _ => None,
    };
    let paddings: Vec<Padding> = branches.iter().map(padding).collect::<Option<_>>()?;
    let first = branches.first()?;
    let sizes = |branch: &Branch<'_>| branch.weights.dims.get(2..).map(<[usize]>::to_vec);
    let alike = branches.iter().all(|branch| sizes(branch) == sizes(first))
        && paddings.iter().all(|padding| Some(padding) == paddings.first());
    if alike {
        let kernels = branches.iter().map(|branch| branch.weights.clone()).collect();
        return Some((kernels, *paddings.first()?));
    }
    if stride != (1, 1) {
        return None;
    }
    let sides = |which: usize| {
        let sides = branches.iter().zip(&paddings).map(|(branch, padding)| {
            let size = *branch.weights.dims.get(which + 2)?;
            let pick = |pair: (usize, usize)| if which == 0 { pair.0 } else { pair.1 };
            let (half, rest) = (size.checked_sub(1)? / 2, size.checked_sub(1)?.div_ceil(2));
            Some(match padding {
                Padding::Explicit { before, after } => (size, pick(*before), pick(*after)),
                Padding::SameUpper => (size, half, rest),
                Padding::SameLower => (size, rest, half),
            })
        });
        sides.collect::<Option<Vec<Side>>>()
    };
    let whole = |sides: &[Side]| {
        let before = sides.iter().map(|side| side.1).max()?;
        let after = sides.iter().map(|side| side.2).max()?;
        let around = |side: &Side| (before - side.1).checked_add(after - side.2);
        let size = |side: &Side| side.0.checked_add(around(side)?);
        let first = size(sides.first()?)?;
        // Else they give other numbers of outputs.
        sides.iter().all(|side| size(side) == Some(first)).then_some((first, before, after))
    };
    let (rows, columns) = (sides(0)?, sides(1)?);
    let (height, width) = (whole(&rows)?, whole(&columns)?);
    let kernels = branches.iter().zip(rows.iter().zip(&columns)).map(|(branch, (row, column))| {
        let place = (height.1 - row.1, width.1 - column.1);
        around(&branch.weights, (height.0, width.0), place)
    });
    let padding = Padding::Explicit { before: (height.1, width.1), after: (height.2, width.2) };
    Some((kernels.collect::<Option<_>>()?, padding))
}

/// Kernels at a place of larger ones that are zero elsewhere.
fn around(weights: &Tensor, size: (usize, usize), place: (usize, usize)) -> Option<Tensor> {
    let &[filters, depth, rows, columns] = weights.dims.as_slice() else { return None };
    let elems = size.0.checked_mul(size.1).filter(|&elems| elems <= TILE_ELEMS)?;
    if weights.values.is_empty() {
        return None;
    }
    let mut values = vec![0.0; filters.checked_mul(depth)?.checked_mul(elems)?];
    let kernels = weights.values.chunks_exact((rows * columns).max(1));
    for (from, to) in kernels.zip(values.chunks_exact_mut(elems.max(1))) {
        for (index, &weight) in from.iter().enumerate() {
            let (row, column) = (index / columns.max(1), index % columns.max(1));
            *to.get_mut((place.0 + row) * size.1 + place.1 + column)? = weight;
        }
    }
    Tensor::new(vec![filters, depth, size.0, size.1], values)
}
