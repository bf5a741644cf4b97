//! Means over more values than one window has: means of means; and over other dimensions than rows
//! and columns, as a map.

use sharelet_core::shape::{Shape, TILE_ELEMS};

use super::dims::Forms;
use super::form::Form;
use super::graph::{Graph, Layout, Node, Op, Padding, Pool, ValueId};
use super::layer::{Map, count};
use super::rewrite::{self, Made};

/// Weights of all maps, at most.
const MAX_ELEMS: usize = 1 << 23;

/// The graph with means that are layers; `None` if there are none.
pub(super) fn divided(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let is_one = |op: &Op| matches!(op, Op::Mean { .. } | Op::AveragePool(Pool::WHOLE));
    let mut left = MAX_ELEMS;
    rewrite::rewritten(graph, answer, is_one, |node, forms, made| {
        mean(node, (forms, graph.layout), made, &mut left)
    })
}

/// Makes the nodes that stand for a mean; none if it is a layer as it is, or cannot be one.
fn mean(
    node: &Node,
    (forms, layout): (&Forms, Layout),
    made: &mut Made,
    left: &mut usize,
) -> Option<()> {
    let form = forms.get(node.inputs.first()?)?;
    let whole = form.image(layout);
    let size = match &node.op {
        Op::Mean { axes, .. } => form.averaged(axes, layout),
        Op::AveragePool(Pool::WHOLE) => whole.map(|image| (image.height, image.width)),
        _ => return None,
    };
    let axes = match &node.op {
        Op::Mean { axes, keep } => (axes.clone(), *keep),
        // All but the channels, which stay.
        _ => {
            let rank = i64::try_from(form.dims().len()).ok()?;
            let first = layout == Layout::ChannelsFirst;
            ((1..=rank).filter(|&axis| axis != if first { 1 } else { rank }).collect(), true)
        }
    };
    let (Some(size), Some(image)) = (size, whole) else {
        made.end(node, mapped(form, &axes, left)?, node.inputs.clone());
        return Some(());
    };
    // A row of pixels of several channels is one of single words.
    let words = if image.interleaved { image.channels } else { 1 };
    let side = usize::from(u8::MAX);
    let fits = |(rows, columns): (usize, usize)| {
        let columns = columns.saturating_mul(words);
        rows <= side && columns <= side && rows * columns <= TILE_ELEMS
    };
    if fits(size) {
        return None;
    }
    // Windows that cover the image once, as large as they may be, and the rest of that.
    let divides = |all: usize, most: usize| {
        (1..=most.min(side)).rev().find(|&part| all.is_multiple_of(part)).unwrap_or(1)
    };
    let (rows, columns) = size;
    let across = divides(columns, TILE_ELEMS.min(side) / words.max(1));
    let part = (divides(rows, TILE_ELEMS / (across * words).max(1)), across);
    // What is left lies channel after channel.
    let rest = (rows / part.0, columns / part.1);
    let small = rest.0 <= side && rest.1 <= side && rest.0 * rest.1 <= TILE_ELEMS;
    if part == (1, 1) || !fits(part) || !small {
        made.end(node, mapped(form, &axes, left)?, node.inputs.clone());
        return Some(());
    }
    let pool = Pool { size: Some(part), stride: part, padding: Padding::NONE, ..Pool::WHOLE };
    let parts = made.push(node, Op::AveragePool(pool), node.inputs.clone());
    made.end(node, node.op.clone(), vec![parts]);
    Some(())
}

/// A mean over any dimensions.
fn mapped(form: &Form, (axes, keep): &(Vec<i64>, bool), left: &mut usize) -> Option<Op> {
    let (result, groups) = form.along_axes(axes, *keep)?;
    let (outputs, inputs) = (groups.len(), form.width()?);
    let elems = outputs.checked_mul(inputs)?;
    *left = left.checked_sub(elems)?;
    let mut weights = vec![0.0; elems];
    for (row, group) in groups.iter().enumerate() {
        for &place in group {
            *weights.get_mut(row * inputs + place)? = 1.0 / count(group.len());
        }
    }
    let shape = Shape::Dense { inputs: inputs.try_into().ok()?, outputs: outputs.try_into().ok()? };
    let bias = vec![0.0; outputs];
    shape.is_valid().then_some(Op::Mapped { map: Map { shape, weights }, bias, form: result })
}
