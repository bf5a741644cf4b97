//! Activation functions that a file computes with several nodes: products of a value and a function
//! of it, as exporters write SiLU, GELU, hard-swish and Mish.
//!
//! However it is written, what a product computes of one value is a function of one variable. If
//! that is one of those that are known, at all places where both are looked at, it is that one.

use std::collections::HashMap;

use super::function::Function;
use super::graph::{self, Graph, Node, Op, ValueId};

/// The most products that are looked at: there are far fewer in a network that is served.
const MAX_PRODUCTS: usize = 1024;

/// The most nodes that a function is written with.
const MAX_NODES: usize = 24;

/// What the definition and a file's own may differ by: constants are rounded to single precision.
const SAME: f64 = 2e-6;

/// The graph with functions in the place of products that are such; `None` if there are none.
pub(super) fn fused(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let needed = graph.needed(answer);
    let is_product = |node: &&Node| node.op == Op::Product;
    let nodes = needed.iter().filter_map(|&index| graph.nodes.get(index));
    if !(1..=MAX_PRODUCTS).contains(&nodes.filter(is_product).count()) {
        return None;
    }
    let search = Search { graph, producers: graph::producers(&graph.nodes) };
    let mut next = graph.next_value();
    let (mut nodes, mut found) = (Vec::new(), false);
    for (index, node) in graph.nodes.iter().enumerate() {
        let function =
            Some(node).filter(is_product).filter(|_| needed.binary_search(&index).is_ok());
        let Some((input, function, factor)) = function.and_then(|node| search.function(node))
        else {
            nodes.push(node.clone());
            continue;
        };
        found = true;
        let output = if factor == 1.0 { node.output } else { next };
        let of = |op, input, output| Node { op, inputs: vec![input], output, ..node.clone() };
        nodes.push(of(Op::Function(function), input, output));
        if factor != 1.0 {
            next += 1;
            let scale = Op::Elementwise { scale: vec![factor], offset: vec![0.0], dims: None };
            nodes.push(of(scale, output, node.output));
        }
    }
    found.then(|| graph.with(nodes, graph.output))
}

struct Search<'g> {
    graph: &'g Graph,
    producers: HashMap<ValueId, usize>,
}

impl Search<'_> {
    fn node(&self, value: ValueId) -> Option<(usize, &Node)> {
        let index = *self.producers.get(&value)?;
        Some((index, self.graph.nodes.get(index)?))
    }

    /// The value, the function and the factor that a product is.
    fn function(&self, product: &Node) -> Option<(ValueId, Function, f64)> {
        // Values that it is computed of, and the nodes between them and it.
        let (mut open, mut inside) = (product.inputs.clone(), Vec::new());
        loop {
            open.sort_unstable_by_key(|value| self.producers.get(value));
            open.dedup();
            if let &[input] = open.as_slice()
                && let Some((function, factor)) = self.known(input, &inside, product)
            {
                return Some((input, function, factor));
            }
            // The last one in the file's order is computed of none of the others.
            let (index, node) = self.node(open.pop()?)?;
            value_of(&node.op, &vec![0.0; node.inputs.len()])?;
            inside.push(index);
            open.extend(&node.inputs);
            if inside.len() > MAX_NODES {
                return None;
            }
        }
    }

    /// The known function, and a factor, that a product is of a value; `inside` are the nodes
    /// between them, last to first.
    fn known(&self, input: ValueId, inside: &[usize], product: &Node) -> Option<(Function, f64)> {
        let at = |x: f64| {
            let mut values = HashMap::from([(input, x)]);
            let nodes = inside.iter().rev().filter_map(|&index| self.graph.nodes.get(index));
            for node in nodes.chain([product]) {
                let taken = node.inputs.iter().map(|input| values.get(input).copied());
                let value = value_of(&node.op, &taken.collect::<Option<Vec<f64>>>()?)?;
                values.insert(node.output, value);
            }
            values.get(&product.output).copied()
        };
        // One bend at most, as hard-swish has it: so it cannot hide between two places.
        let nodes = inside.iter().filter_map(|&index| self.graph.nodes.get(index));
        if nodes.filter(|node| bends(&node.op)).count() > 1 {
            return None;
        }
        let places = (-600..=600).map(|place| f64::from(place) / 50.0);
        // As far out as any limit may lie, and further.
        let far = (0..60).flat_map(|power| {
            let place = 1.37 * 2.0_f64.powi(power);
            [-place, place]
        });
        let places: Vec<f64> =
            places.chain([-50.0, -30.0, -20.0, 20.0, 30.0, 50.0]).chain(far).collect();
        // Of `x / (1 + e^(-beta x))` the value at 1 tells beta.
        let beta = at(1.0).map_or(1.0, |value| libm::log(value / (1.0 - value)));
        let known = [
            Function::Silu { beta: 1.0 },
            Function::Gelu,
            Function::GeluTanh,
            Function::HardSwish,
            Function::Mish,
            Function::Silu { beta },
        ];
        known.into_iter().filter(|function| function.is_valid()).find_map(|function| {
            let factor = at(8.0)? / function.at(8.0);
            let factor = if (factor - 1.0).abs() < SAME { 1.0 } else { factor };
            let same = |&x: &f64| {
                let room = SAME * factor.abs() * x.abs().max(1.0);
                at(x).is_some_and(|value| (value - factor * function.at(x)).abs() <= room)
            };
            let usual = (1e-3..=1e3).contains(&factor.abs());
            (usual && places.iter().all(same)).then_some((function, factor))
        })
    }
}

/// Whether a node has a slope that changes at once.
fn bends(op: &Op) -> bool {
    match op {
        Op::Relu | Op::Relu6 => true,
        Op::Function(function) => !function.breaks().is_empty(),
        _ => false,
    }
}

/// What a node computes of single numbers; nothing if it does not work element by element.
fn value_of(op: &Op, taken: &[f64]) -> Option<f64> {
    match (op, taken) {
        (Op::Identity, &[x]) => Some(x),
        (Op::Relu, &[x]) => Some(x.max(0.0)),
        (Op::Relu6, &[x]) => Some(x.clamp(0.0, 6.0)),
        (Op::Function(function), &[x]) => Some(function.at(x)),
        (&Op::Power(power), &[x]) => Some(libm::pow(x, power)),
        (Op::Product, &[x, y]) => Some(x * y),
        (Op::Add, &[x, y]) => Some(x + y),
        (Op::Elementwise { scale, offset, .. }, &[x]) => match (&scale[..], &offset[..]) {
            (&[scale], &[offset]) => Some(scale * x + offset),
            _ => None,
        },
        _ => None,
    }
}
