//! The way from the input to the output, as steps that become layers.
//!
//! A step is a linear node (or none), the factors and summands behind it, what is added to it, and
//! an activation. Of a sum of two computed values one is the way, and the other is carried over
//! from an earlier step: a value that this step took, perhaps through a linear node of its own.

use std::collections::{HashMap, HashSet};

use sharelet_model::Scores;

use super::function::Function;
use super::graph::{Graph, Node, Op, ValueId};
use super::steps::Steps;
use crate::error::GraphError;

/// What becomes a layer, or a few.
#[derive(Clone, Debug, Default)]
pub struct Step<'g> {
    /// Factors and summands of what it takes, first to last.
    pub before: Vec<&'g Node>,
    /// The linear node; none if the value itself goes on.
    pub linear: Option<&'g Node>,
    /// Factors and summands of what the linear node gives, first to last.
    pub after: Vec<&'g Node>,
    /// What is added: the value that is carried over, its linear node, and what follows that.
    pub skip: Option<(ValueId, Option<&'g Node>, Vec<&'g Node>)>,
    /// The activation.
    pub activation: Option<&'g Node>,
    /// What the result is rounded to.
    pub round: Option<Steps>,
    /// A value that the step takes in the place of `input`, of which nothing is taken.
    pub beside: Option<ValueId>,
    /// The value it takes.
    pub input: ValueId,
    /// The value it gives.
    pub output: ValueId,
    /// For messages.
    pub name: String,
}

impl Step<'_> {
    /// Whether it gives a value that is known already once more.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.beside == Some(self.output)
    }
}

/// What a network computes, without the functions that are left to the recipient.
#[derive(Debug)]
pub struct Answer {
    /// The value.
    pub value: ValueId,
    /// What is applied to it, first to last.
    pub left_off: Vec<String>,
    /// The same, if it is one function of all values that is known by name.
    pub scores: Option<Scores>,
    /// The names of its elements, where the file has some.
    pub labels: Vec<String>,
}

/// A graph, seen from its values.
struct Walker<'g> {
    graph: &'g Graph,
    producers: HashMap<ValueId, &'g Node>,
    /// Where in the file each value is computed.
    places: HashMap<ValueId, usize>,
    uses: HashMap<ValueId, usize>,
    /// Of values that a node gives which changes nothing, the one behind such nodes.
    bare: HashMap<ValueId, ValueId>,
}

/// Finds what is computed, and what is left to the recipient.
///
/// # Errors
/// [`GraphError::NotAChain`] if nodes run in a circle.
pub fn answer(graph: &Graph) -> Result<Answer, GraphError> {
    let walker = Walker::new(graph, graph.output)?;
    let (mut value, mut left_off) = (graph.output, Vec::new());
    while let Some((before, functions)) = walker.functions(value) {
        left_off.extend(functions.into_iter().rev());
        // More functions than there are nodes run in a circle.
        if left_off.len() > graph.nodes.len() {
            return Err(walker.lost(value));
        }
        value = before;
    }
    left_off.reverse();
    let scores = scores(&left_off);
    let labels = labels(graph, value, &left_off);
    let left_off = left_off.into_iter().map(|node| node.op_type.clone()).collect();
    Ok(Answer { value, left_off, scores, labels })
}

/// The names of a value's elements: its own, or those of what is computed of it, as long as that
/// has the same elements in the same order.
fn labels(graph: &Graph, value: ValueId, nodes: &[&Node]) -> Vec<String> {
    let own = graph.labels.get(&value);
    let keeps = |node: &Node| {
        matches!(node.op, Op::Softmax { .. } | Op::Function(_) | Op::Scores(_) | Op::Shares)
    };
    let same = nodes.iter().take_while(|node| keeps(node)).count();
    let mut of_nodes = nodes.iter().take(same + 1).map(|node| graph.labels.get(&node.output));
    own.or_else(|| of_nodes.find_map(|labels| labels)).cloned().unwrap_or_default()
}

/// The function of an answer to which these nodes come, but for what picks a class, or names it.
fn scores(nodes: &[&Node]) -> Option<Scores> {
    const PICKS: [&str; 6] =
        ["ArgMax", "ARG_MAX", "ZipMap", "ArrayFeatureExtractor", "LabelEncoder", "Cast"];
    let (first, rest) = nodes.split_first()?;
    let scores = match first.op {
        // Of a row: the first dimension is the batch.
        Op::Softmax { axis: 1 | -1, log, .. } => {
            if log {
                Scores::LogSoftmax
            } else {
                Scores::Softmax
            }
        }
        Op::Function(Function::Sigmoid) => Scores::Sigmoid,
        Op::Function(Function::Tanh) => Scores::Tanh,
        Op::Scores(scores) => scores,
        _ => return None,
    };
    let (scores, rest) = match (scores, rest.split_first()) {
        // The sum is one already.
        (Scores::Softmax, Some((next, rest))) if matches!(next.op, Op::Shares) => (scores, rest),
        (Scores::Sigmoid, Some((next, rest))) if matches!(next.op, Op::Shares) => {
            (Scores::OneVsRest, rest)
        }
        _ => (scores, rest),
    };
    let picks = |node: &&Node| {
        let name = node.op_type.rsplit('.').next().unwrap_or_default();
        matches!(node.op, Op::Last) && PICKS.contains(&name)
    };
    rest.iter().all(picks).then_some(scores)
}

/// Finds the way to a value: its steps, first to last.
///
/// # Errors
/// [`GraphError::NotAChain`] where there is none.
pub fn walk(graph: &Graph, answer: ValueId) -> Result<Vec<Step<'_>>, GraphError> {
    let mut walker = Walker::new(graph, answer)?;
    let nodes: Vec<&Node> = walker.producers.values().copied().collect();
    for node in nodes.iter().filter(|node| !is_free(&node.op)) {
        for &input in &node.inputs {
            *walker.uses.entry(walker.bare(input)).or_default() += 1;
        }
    }
    walker.steps(walker.bare(answer))
}

/// Whether a node changes no value and no order that matters here.
fn is_free(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity | Op::Reshape { .. } | Op::Unsqueeze(_) | Op::Squeeze(_) | Op::Transpose(_)
    )
}

impl<'g> Walker<'g> {
    /// Of the nodes that a value depends on.
    fn new(graph: &'g Graph, value: ValueId) -> Result<Self, GraphError> {
        let needed = graph.needed(value);
        let nodes = || needed.iter().filter_map(|&index| Some((index, graph.nodes.get(index)?)));
        let producers = nodes().map(|(_, node)| (node.output, node)).collect();
        let places = nodes().map(|(index, node)| (node.output, index)).collect();
        let (uses, bare) = (HashMap::new(), HashMap::new());
        let mut walker = Self { graph, producers, places, uses, bare };
        let free: Vec<&Node> =
            walker.producers.values().copied().filter(|node| is_free(&node.op)).collect();
        for node in free {
            let (mut trail, mut value) = (Vec::new(), node.output);
            while let Some(node) = walker.producer(value).filter(|node| is_free(&node.op)) {
                if let Some(&known) = walker.bare.get(&value) {
                    value = known;
                    break;
                }
                trail.push(value);
                // A longer way than there are nodes runs in a circle.
                if trail.len() > graph.nodes.len() {
                    return Err(walker.lost(value));
                }
                value = walker.input(node)?;
            }
            walker.bare.extend(trail.into_iter().map(|passed| (passed, value)));
        }
        Ok(walker)
    }

    fn producer(&self, value: ValueId) -> Option<&'g Node> {
        self.producers.get(&value).copied()
    }

    /// The value that a function is applied to which is left to the recipient, and all that makes
    /// `output` of it, by kind, first to last: that function, factors and summands, and what joins
    /// such values.
    fn functions(&self, output: ValueId) -> Option<(ValueId, Vec<&'g Node>)> {
        let (mut open, mut seen, mut passed) = (vec![output], HashSet::new(), Vec::new());
        let mut taken = None;
        while let Some(value) = open.pop() {
            let node = self.producer(value)?;
            if !seen.insert(value) {
                continue;
            }
            match &node.op {
                op if op.is_left_off() => {
                    let before = *node.inputs.first()?;
                    if *taken.get_or_insert(before) != before {
                        return None;
                    }
                    passed.push(node);
                }
                op if is_free(op)
                    || matches!(op, Op::Elementwise { .. } | Op::Concat { .. } | Op::Round(_)) =>
                {
                    // Other dimensions of the same values in the same order need no function.
                    if !is_free(op) || matches!(op, Op::Transpose(_)) {
                        passed.push(node);
                    }
                    open.extend(&node.inputs);
                }
                _ => return None,
            }
        }
        passed.sort_unstable_by_key(|node| self.places.get(&node.output));
        Some((taken?, passed))
    }

    fn lost(&self, at: ValueId) -> GraphError {
        let name =
            self.producer(at).map_or_else(|| "the output".to_owned(), |node| node.name.clone());
        GraphError::NotAChain(name)
    }

    fn input(&self, node: &Node) -> Result<ValueId, GraphError> {
        node.inputs.first().copied().ok_or_else(|| node.misplaced())
    }

    /// The value behind nodes that change nothing.
    fn bare(&self, value: ValueId) -> ValueId {
        self.bare.get(&value).copied().unwrap_or(value)
    }

    /// Whether `value` is computed on the way to `output`, or is it.
    fn is_before(&self, value: ValueId, output: ValueId) -> bool {
        let (mut open, mut seen) = (vec![output], HashSet::new());
        while let Some(next) = open.pop() {
            if next == value {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.producer(next).into_iter().flat_map(|node| &node.inputs));
            }
        }
        false
    }

    /// Whether a value is used once, so that it need not be a layer's result.
    fn is_inner(&self, value: ValueId) -> bool {
        value != self.graph.input && self.uses.get(&value).is_none_or(|&uses| uses < 2)
    }

    /// Factors and summands before `value`, first to last, and the value before them; no further
    /// than what is used once.
    fn affine(&self, mut value: ValueId) -> Result<(Vec<&'g Node>, ValueId), GraphError> {
        let mut nodes = Vec::new();
        while let Some(node) =
            self.producer(value).filter(|node| matches!(node.op, Op::Elementwise { .. }))
        {
            nodes.push(node);
            value = self.bare(self.input(node)?);
            if nodes.len() > self.graph.nodes.len() {
                return Err(self.lost(value));
            }
            if !self.is_inner(value) {
                break;
            }
        }
        nodes.reverse();
        Ok((nodes, value))
    }

    /// A linear node that gives `value` and what follows it; `None` if the value is another one's.
    fn linear(&self, value: ValueId) -> Result<Option<(&'g Node, Vec<&'g Node>)>, GraphError> {
        if !self.is_inner(value) {
            return Ok(None);
        }
        let (after, before) = self.affine(value)?;
        let node = self.producer(before).filter(|node| node.op.has_weights());
        Ok(node.filter(|_| self.is_inner(before)).map(|node| (node, after)))
    }

    /// The steps to a value, each behind those that give what it takes. One that takes another
    /// value than the step before gives has that beside it.
    fn steps(&self, output: ValueId) -> Result<Vec<Step<'g>>, GraphError> {
        let mut order = Order { steps: Vec::new(), known: HashSet::from([self.graph.input]) };
        let (mut open, mut begun) = (vec![output], HashMap::new());
        while let Some(&value) = open.last() {
            if order.known.contains(&value) {
                open.pop();
                continue;
            }
            let step = match begun.remove(&value) {
                Some(step) => step,
                None => self.step(value)?,
            };
            let carried = step.skip.as_ref().map(|(from, ..)| *from);
            // What is carried over comes first, so that the way goes on with what is not.
            let missing = [Some(step.input), carried].into_iter().flatten();
            let missing: Vec<_> = missing.filter(|value| !order.known.contains(value)).collect();
            if missing.is_empty() {
                order.push(step, self.graph.input);
                open.pop();
                continue;
            }
            if missing.iter().any(|value| begun.contains_key(value)) || missing.contains(&value) {
                return Err(self.lost(value));
            }
            begun.insert(value, step);
            open.extend(missing);
        }
        Ok(order.steps)
    }

    /// The step that gives `output`.
    fn step(&self, output: ValueId) -> Result<Step<'g>, GraphError> {
        let mut node = self.producer(output).ok_or_else(|| self.lost(output))?;
        let name = node.name.clone();
        let mut step = Step { input: output, output, name, ..Step::default() };
        let mut value = output;
        if let Op::Round(steps) = node.op {
            step.round = Some(steps);
            value = self.bare(self.input(node)?);
            step.input = value;
            match self.producer(value).filter(|_| self.is_inner(value)) {
                Some(before) => node = before,
                None => return Ok(step),
            }
        }
        if matches!(node.op, Op::Relu | Op::Relu6 | Op::LeakyRelu { .. } | Op::Function(_)) {
            step.activation = Some(node);
            value = self.bare(self.input(node)?);
            step.input = value;
            if !self.is_inner(value) {
                return Ok(step);
            }
        }
        let (after, value) = self.affine(value)?;
        step.after = after;
        step.input = value;
        if !step.after.is_empty() && !self.is_inner(value) {
            return Ok(step);
        }
        let Some(node) = self.producer(value) else { return Ok(step) };
        match &node.op {
            op if op.has_weights() => self.begin(&mut step, node)?,
            // A pool's own values are results.
            Op::AveragePool(_) | Op::Mean { .. } | Op::MaxPool(_)
                if step.after.is_empty() && step.activation.is_none() =>
            {
                step.linear = Some(node);
                step.input = self.bare(self.input(node)?);
            }
            Op::Add if step.after.is_empty() => self.sum(&mut step, node)?,
            _ if step.after.is_empty() && step.activation.is_none() && step.round.is_none() => {
                return Err(self.lost(value));
            }
            _ => {}
        }
        Ok(step)
    }

    /// Begins a step with a linear node, and takes what lies before that into it if it can.
    fn begin(&self, step: &mut Step<'g>, node: &'g Node) -> Result<(), GraphError> {
        step.linear = Some(node);
        step.name.clone_from(&node.name);
        step.input = self.bare(self.input(node)?);
        let (before, value) = self.affine(step.input)?;
        let folds = self.is_inner(step.input) && before.iter().all(|before| folds(before, node));
        // Behind another linear node it is that one's.
        let others = self.producer(value).is_some_and(|node| node.op.has_weights());
        if folds && !(others && self.is_inner(value)) {
            (step.before, step.input) = (before, value);
        }
        Ok(())
    }

    /// A sum: the longer way is the way.
    fn sum(&self, step: &mut Step<'g>, node: &'g Node) -> Result<(), GraphError> {
        let [first, second] = *node.inputs else { return Err(node.misplaced()) };
        let (first, second) = (self.bare(first), self.bare(second));
        let base = |value: ValueId| match self.linear(value)? {
            Some((linear, after)) => {
                Ok::<_, GraphError>((self.bare(self.input(linear)?), Some(linear), after))
            }
            None if self.is_inner(value) => {
                let (after, before) = self.affine(value)?;
                Ok((before, None, after))
            }
            None => Ok((value, None, Vec::new())),
        };
        let (mut main, mut skip) = (base(first)?, base(second)?);
        if self.is_before(main.0, skip.0) && (main.0 != skip.0 || main.1.is_none()) {
            core::mem::swap(&mut main, &mut skip);
        }
        step.name.clone_from(&main.1.unwrap_or(node).name);
        (step.input, step.linear, step.after) = main;
        step.skip = Some(skip);
        Ok(())
    }
}

/// Steps in an order in which each finds what it takes.
struct Order<'g> {
    steps: Vec<Step<'g>>,
    /// What they give, and the input.
    known: HashSet<ValueId>,
}

impl<'g> Order<'g> {
    /// Adds a step of which all is known that it takes.
    fn push(&mut self, mut step: Step<'g>, input: ValueId) {
        let last = self.steps.last().map_or(input, |step| step.output);
        if step.input != last {
            let has_weights = step.linear.is_some_and(|node| node.op.has_weights());
            match &mut step.skip {
                Some(skip) if skip.0 == last => {
                    core::mem::swap(&mut step.input, &mut skip.0);
                    core::mem::swap(&mut step.linear, &mut skip.1);
                    core::mem::swap(&mut step.after, &mut skip.2);
                }
                None if has_weights => {
                    step.beside = Some(core::mem::replace(&mut step.input, last));
                }
                _ => {
                    // Once more, as the last one.
                    let copied = Step {
                        beside: Some(step.input),
                        input: last,
                        output: step.input,
                        name: step.name.clone(),
                        ..Step::default()
                    };
                    self.steps.push(copied);
                }
            }
        }
        self.known.insert(step.output);
        self.steps.push(step);
    }
}

/// Whether factors and summands can be folded into the linear node behind them.
fn folds(elementwise: &Node, linear: &Node) -> bool {
    match (&elementwise.op, &linear.op) {
        (Op::Elementwise { .. }, Op::Dense { .. }) => true,
        // A summand would have to be added to the padding, too.
        (Op::Elementwise { offset, .. }, Op::Convolution { padding, .. }) => {
            *padding == super::graph::Padding::NONE || offset.iter().all(|&offset| offset == 0.0)
        }
        _ => false,
    }
}
