//! Nodes that stand for others: what every pass does that puts nodes which are layers in the place
//! of one that is none.

use super::dims::{self, Forms};
use super::graph::{Graph, Node, Op, ValueId};

/// Nodes that were made so far, in order.
pub(super) struct Made {
    next: ValueId,
    pub(super) nodes: Vec<Node>,
}

impl Made {
    /// A node in the place of `node`, or of a part of it; gives its value, which is a new one.
    pub(super) fn push(&mut self, node: &Node, op: Op, inputs: Vec<ValueId>) -> ValueId {
        let output = self.next;
        self.next += 1;
        self.nodes.push(Node { op, inputs, output, ..node.clone() });
        output
    }

    /// The last node in the place of `node`, which gives its value.
    pub(super) fn end(&mut self, node: &Node, op: Op, inputs: Vec<ValueId>) {
        self.nodes.push(Node { op, inputs, ..node.clone() });
    }
}

/// The nodes that `answer` depends on, each with those in its place that `of` makes; a node for
/// which it makes none stays. `None` if no node is one of those that are looked for.
pub(super) fn rewritten(
    graph: &Graph,
    answer: ValueId,
    is_one: impl Fn(&Op) -> bool,
    mut of: impl FnMut(&Node, &Forms, &mut Made) -> Option<()>,
) -> Option<Graph> {
    let needed = graph.needed(answer);
    let needed = || needed.iter().filter_map(|&index| graph.nodes.get(index));
    if !needed().any(|node| is_one(&node.op)) {
        return None;
    }
    let forms = dims::known(graph, needed());
    let mut made = Made { next: graph.next_value(), nodes: Vec::new() };
    for node in needed() {
        let before = made.nodes.len();
        if of(node, &forms, &mut made).is_none() {
            made.nodes.truncate(before);
            made.nodes.push(node.clone());
        }
    }
    Some(graph.with(made.nodes, answer))
}
