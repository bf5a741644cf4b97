//! The way from the input to the output, as steps that become layers.
//!
//! A step is a linear node (or none), the factors and summands behind it, what is added to it, and
//! an activation. Of a sum of two computed values one is the way, and the other is carried over
//! from an earlier step: a value that this step took, perhaps through a linear node of its own.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, Node, Op, ValueId};
use super::steps::Steps;
use crate::error::GraphError;

/// What becomes a layer, or a few.
#[derive(Clone, Debug)]
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
    /// A value that the linear node takes in the place of `input`, of which nothing is taken.
    pub beside: Option<ValueId>,
    /// The value it takes.
    pub input: ValueId,
    /// The value it gives.
    pub output: ValueId,
    /// For messages.
    pub name: String,
}

/// What a network computes, without the functions that are left to the recipient.
#[derive(Debug)]
pub struct Answer {
    /// The value.
    pub value: ValueId,
    /// What is applied to it, first to last.
    pub left_off: Vec<String>,
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
    while let Some((before, mut functions)) = walker.functions(value) {
        functions.reverse();
        left_off.extend(functions);
        // More functions than there are nodes run in a circle.
        if left_off.len() > graph.nodes.len() {
            return Err(walker.lost(value));
        }
        value = before;
    }
    left_off.reverse();
    Ok(Answer { value, left_off })
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
    fn functions(&self, output: ValueId) -> Option<(ValueId, Vec<String>)> {
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
        Some((taken?, passed.into_iter().map(|node| node.op_type.clone()).collect()))
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

    fn steps(&self, output: ValueId) -> Result<Vec<Step<'g>>, GraphError> {
        let mut steps = Vec::new();
        let mut value = output;
        while value != self.graph.input {
            if steps.len() > self.graph.nodes.len() {
                return Err(self.lost(value));
            }
            let step = self.step(value)?;
            value = step.input;
            steps.push(step);
        }
        steps.reverse();
        let steps = self.with_branches(steps)?;
        let mut known = Vec::new();
        for step in &steps {
            known.push(step.input);
            if step.skip.as_ref().is_some_and(|(from, ..)| !known.contains(from)) {
                return Err(GraphError::NotAChain(step.name.clone()));
            }
        }
        Ok(steps)
    }

    /// The same steps, and before what takes the same value those that give what is carried over
    /// to a later sum: a branch of one rounded layer, of which the next step takes nothing.
    fn with_branches(&self, mut steps: Vec<Step<'g>>) -> Result<Vec<Step<'g>>, GraphError> {
        let carried: Vec<ValueId> =
            steps.iter().filter_map(|step| step.skip.as_ref().map(|(from, ..)| *from)).collect();
        for value in carried {
            let on_the_way = |step: &Step<'_>| step.input == value || step.output == value;
            let Some(input) = self.branch_input(value)?.filter(|_| !steps.iter().any(on_the_way))
            else {
                continue;
            };
            let takes = |step: &Step<'_>| step.input == input || step.beside == Some(input);
            let Some(place) = steps.iter().position(takes) else { continue };
            let Some(next) = steps.get_mut(place) else { continue };
            let free = next.before.is_empty() && next.skip.is_none();
            if !free || !next.linear.is_some_and(|node| node.op.has_weights()) {
                continue;
            }
            let mut branch = self.step(value)?;
            // What was beside another branch before is now beside this one.
            if next.beside.is_some() {
                branch.beside = next.beside;
                branch.input = next.input;
            }
            (next.beside, next.input) = (Some(input), value);
            if branch.before.is_empty() {
                steps.insert(place, branch);
            }
        }
        Ok(steps)
    }

    /// The value that a branch of one rounded layer takes; nothing if `value` is not of such a one.
    fn branch_input(&self, value: ValueId) -> Result<Option<ValueId>, GraphError> {
        let before = |value: ValueId| {
            let node = self.producer(value)?;
            Some((node, self.bare(*node.inputs.first()?)))
        };
        let Some((Node { op: Op::Round(_), .. }, mut inner)) = before(value) else {
            return Ok(None);
        };
        if let Some((Node { op: Op::Relu | Op::Relu6, .. }, activated)) = before(inner) {
            inner = activated;
        }
        let found = before(inner).filter(|(node, _)| node.op.has_weights());
        Ok(found.map(|(_, input)| input))
    }

    /// The step that gives `output`.
    fn step(&self, output: ValueId) -> Result<Step<'g>, GraphError> {
        let mut node = self.producer(output).ok_or_else(|| self.lost(output))?;
        let name = node.name.clone();
        let mut step = Step {
            before: Vec::new(),
            linear: None,
            after: Vec::new(),
            skip: None,
            activation: None,
            round: None,
            beside: None,
            input: output,
            output,
            name,
        };
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
        let short = self.branch_input(main.0)?.filter(|_| !self.is_before(skip.0, main.0));
        let other = self.branch_input(skip.0)?;
        if self.is_before(main.0, skip.0) && (main.0 != skip.0 || main.1.is_none())
            || short.is_some_and(|input| {
                self.is_before(input, skip.0)
                    && other.is_none_or(|other| !self.is_before(other, main.0))
            })
        {
            core::mem::swap(&mut main, &mut skip);
        }
        step.name.clone_from(&main.1.unwrap_or(node).name);
        (step.input, step.linear, step.after) = main;
        step.skip = Some(skip);
        Ok(())
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
