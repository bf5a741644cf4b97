//! Recurrent cells, unrolled: each step of a sequence becomes layers of those that exist.
//!
//! All gates of a step are one sigmoid: `tanh x = 2 sigmoid(2 x) - 1`. Products of gates are
//! squares, as `products` has them; the two of an LSTM's memory are added in one layer. A step of
//! an LSTM is eleven layers in straight pieces, one of a GRU twelve.
//!
//! Definitions: ONNX *Operators*, LSTM, GRU and RNN.

use std::collections::HashMap;
use std::rc::Rc;

use super::cell::{Cell, Kind};
use super::dims::Forms;
use super::form::Form;
use super::function::Function;
use super::graph::{Graph, Node, Op, Tensor, ValueId};
use super::products::Blocks;
use super::rewrite::{self, Made};
use super::rows::Rows;

/// Layers of all steps, at most: as many as a network may have.
const MAX_LAYERS: usize = 250;
/// Weights of all steps, at most.
const MAX_ELEMS: usize = 1 << 24;

/// Why a cell is not computed.
pub(super) const APART: &str = "it is unrolled, and a network has at most 250 layers: 22 steps of \
                                an LSTM, 20 of a GRU, 83 of an RNN, fewer of cells with very many \
                                weights, of a sequence whose dimensions the file states and which \
                                fits the weights; make sequence or cell smaller";

/// The graph with the steps of cells in their place; `None` if there are none.
pub(super) fn unrolled(graph: &Graph, answer: ValueId) -> Option<Graph> {
    let mut sequences = Sequences::default();
    let is_one = |op: &Op| matches!(op, Op::Recurrent(_));
    rewrite::rewritten(graph, answer, is_one, |node, forms, made| sequences.of(node, forms, made))
}

/// Whether a node gives on what it takes, in the same order.
fn moves_nothing(op: &Op) -> bool {
    match op {
        Op::Transpose(order) => order.is_sorted(),
        _ => true,
    }
}

/// What a cell kept.
#[derive(Clone)]
enum Kept {
    Constant(Vec<f64>),
    Value(ValueId),
}

/// Rows `from..from + count` of a matrix, times `factor`.
fn rows(matrix: &Tensor, from: usize, count: usize, factor: f64) -> Rows {
    let columns = matrix.dims.last().copied().unwrap_or(0);
    let values = matrix.values.iter().skip(from * columns).take(count * columns);
    Rows { columns, values: values.map(|value| factor * value).collect() }
}

/// What cells gave so far.
#[derive(Default)]
struct Sequences {
    /// The steps of what cells give, in the order of time.
    results: HashMap<ValueId, Rc<[ValueId]>>,
    /// Weights so far, and layers.
    elems: usize,
    layers: usize,
}

/// A step of the input: a value, and from which of its elements on.
#[derive(Clone, Copy)]
struct Step {
    value: ValueId,
    first: usize,
    width: usize,
}

impl Sequences {
    /// Makes the nodes that stand for a cell, or for what picks a single step.
    fn of(&mut self, node: &Node, forms: &Forms, made: &mut Made) -> Option<()> {
        let input = *node.inputs.first()?;
        let of_steps = self.results.get(&input).cloned();
        match (&node.op, of_steps) {
            (Op::Recurrent(cell), of_steps) => {
                self.unroll(node, cell, forms.get(&input)?, of_steps, made)
            }
            // What follows may take single steps.
            (Op::Identity | Op::Squeeze(_) | Op::Unsqueeze(_) | Op::Transpose(_), Some(steps))
                if moves_nothing(&node.op) =>
            {
                if forms.get(&node.output)?.dims().first() == Some(&steps.len()) {
                    self.results.insert(node.output, steps);
                }
                None
            }
            (Op::Pick { axis: 1, picked }, Some(steps)) => {
                let one = picked.of(steps.len()).filter(|picked| picked.len() == 1)?;
                let dims = forms.get(&node.output)?.dims().iter();
                let dims = dims.map(|&dim| i64::try_from(dim).ok()).collect::<Option<_>>()?;
                made.end(node, Op::Reshape { dims: Some(dims) }, vec![*steps.get(*one.first()?)?]);
                Some(())
            }
            _ => None,
        }
    }

    fn unroll(
        &mut self,
        node: &Node,
        cell: &Cell,
        form: &Form,
        of_steps: Option<Rc<[ValueId]>>,
        made: &mut Made,
    ) -> Option<()> {
        let &[.., width] = cell.weights.dims.as_slice() else { return None };
        let all = form.width().filter(|&all| all <= usize::from(u16::MAX))?;
        let count = all.checked_div(width).filter(|count| count * width == all)?;
        // Layers of a step in straight pieces, and about how many values they have.
        let (layers, gates) = match cell.kind {
            Kind::Lstm => (11, 4),
            Kind::Gru { .. } => (12, 3),
            Kind::Plain(_) => (3, 1),
        };
        let wide = cell.hidden.checked_mul(gates)?;
        // The gates take all steps and what was kept; products take gates and what was kept.
        let elems = wide.checked_mul(all.checked_add(wide.checked_mul(3)?)?)?;
        self.elems = self.elems.checked_add(elems.checked_mul(count)?)?;
        self.layers = self.layers.checked_add(layers * count)?;
        let fits = wide <= usize::from(u16::MAX) / 2
            && self.layers <= MAX_LAYERS
            && self.elems <= MAX_ELEMS;
        if count == 0 || form.along(1) != Some(count) || !fits {
            return None;
        }
        let &input = node.inputs.first()?;
        let of_time = |index: usize| match &of_steps {
            Some(steps) => Some(Step { value: *steps.get(index)?, first: 0, width }),
            None => Some(Step { value: input, first: index * width, width: all }),
        };
        let mut steps = Unrolled { node, cell, made };
        let [output, memory] = &cell.initial;
        let mut kept = [Kept::Constant(output.clone()), Kept::Constant(memory.clone())];
        let mut results = vec![0; count];
        for time in 0..count {
            let index = if cell.reverse { count - 1 - time } else { time };
            let step = of_time(index)?;
            kept = steps.step(step, &kept)?;
            let [Kept::Value(value), _] = kept else { return None };
            *results.get_mut(index)? = value;
        }
        // All of them, for whoever takes more than single ones: `[steps, 1, hidden]`.
        let dims = Some(vec![1, 1, i64::try_from(cell.hidden).ok()?]);
        let parts: Vec<ValueId> = results
            .iter()
            .map(|&value| made.push(node, Op::Reshape { dims: dims.clone() }, vec![value]))
            .collect();
        let op = if parts.len() > 1 { Op::Concat { axis: 1 } } else { Op::Identity };
        made.end(node, op, parts);
        self.results.insert(node.output, results.into());
        Some(())
    }
}

/// A cell whose steps are made.
struct Unrolled<'a> {
    node: &'a Node,
    cell: &'a Cell,
    made: &'a mut Made,
}

impl Unrolled<'_> {
    /// A step: what the cell keeps after it.
    fn step(&mut self, step: Step, kept: &[Kept; 2]) -> Option<[Kept; 2]> {
        match self.cell.kind {
            Kind::Lstm => self.lstm(step, kept),
            Kind::Gru { linear_before_reset } => self.gru(step, kept, linear_before_reset),
            Kind::Plain(activation) => {
                let terms = self.gates(step, kept, (0, self.cell.hidden, 1.0));
                let sum = self.sum(terms)?;
                let activation = activation.map_or(Op::Relu, Op::Function);
                let value = self.made.push(self.node, activation, vec![sum]);
                Some([Kept::Value(value), Kept::Constant(Vec::new())])
            }
        }
    }

    /// `factor (W x + R h + b)` of `count` gate values from `from` on.
    fn gates(
        &self,
        step: Step,
        kept: &[Kept; 2],
        (from, count, factor): (usize, usize, f64),
    ) -> Terms {
        let mut terms = self.of_step(step, (from, count, factor));
        terms.add(&kept[0], rows(&self.cell.recurrent, from, count, factor));
        terms.offset(self.cell.bias[1].iter().skip(from).map(|bias| factor * bias));
        terms
    }

    /// The same without what is of the output before.
    fn of_step(&self, step: Step, (from, count, factor): (usize, usize, f64)) -> Terms {
        let own = rows(&self.cell.weights, from, count, factor);
        let mut wide = Rows::new(count, step.width);
        for (row, own) in own.values.chunks_exact(own.columns.max(1)).enumerate() {
            for (column, &weight) in own.iter().enumerate() {
                wide.set(row, step.first + column, weight);
            }
        }
        let mut terms = Terms { parts: vec![(step.value, wide)], bias: vec![0.0; count] };
        terms.offset(self.cell.bias[0].iter().skip(from).map(|bias| factor * bias));
        terms
    }

    /// The sum of at most two maps and a constant.
    fn sum(&mut self, terms: Terms) -> Option<ValueId> {
        let Terms { parts, bias } = terms;
        let mut bias = Some(bias);
        let mut sum = None;
        for (value, rows) in parts {
            let outputs = rows.values.len().checked_div(rows.columns)?;
            let weights = Tensor::new(vec![outputs, rows.columns], rows.values)?;
            let part =
                self.made.push(self.node, Op::Dense { weights, bias: bias.take() }, vec![value]);
            sum = Some(match sum {
                None => part,
                Some(before) => self.made.push(self.node, Op::Add, vec![before, part]),
            });
        }
        sum
    }

    /// Products of which `factors` has, for each of `hidden` values and each of `terms` products,
    /// the sum of two factors, and behind all of these their differences; `more` is added.
    fn products(
        &mut self,
        (hidden, terms): (usize, usize),
        factors: Terms,
        more: Option<Terms>,
    ) -> Option<ValueId> {
        let sums = self.sum(factors)?;
        let square = Op::Function(Function::SQUARE);
        let squares = self.made.push(self.node, square, vec![sums]);
        let map = Blocks { channels: hidden, pixels: 1 }.quarters(terms)?;
        let form = Form::plain(vec![hidden]);
        let quarters = self.made.push(
            self.node,
            Op::Mapped { map, bias: vec![0.0; hidden], form },
            vec![squares],
        );
        match more {
            None => Some(quarters),
            Some(more) => {
                let more = self.sum(more)?;
                Some(self.made.push(self.node, Op::Add, vec![quarters, more]))
            }
        }
    }

    fn lstm(&mut self, step: Step, kept: &[Kept; 2]) -> Option<[Kept; 2]> {
        let hidden = self.cell.hidden;
        let mut gates = self.gates(step, kept, (0, 4 * hidden, 1.0));
        // The last gate is a hyperbolic tangent.
        gates.scale(3 * hidden, 2.0);
        let gates = self.sum(gates)?;
        let gates = self.made.push(self.node, Op::Function(Function::Sigmoid), vec![gates]);
        let (input, output, forget, fresh) = (0, hidden, 2 * hidden, 3 * hidden);
        let two = matches!(kept[1], Kept::Value(_));
        let terms = if two { 2 } else { 1 };
        let mut own = Rows::new(2 * terms * hidden, 4 * hidden);
        let mut before = Rows::new(2 * terms * hidden, hidden);
        let mut bias = vec![0.0; 2 * terms * hidden];
        let mut constant = Rows::new(hidden, 4 * hidden);
        for unit in 0..hidden {
            let row = 2 * terms * unit;
            for (row, sign) in [(row, 1.0), (row + terms, -1.0)] {
                own.set(row, input + unit, 1.0);
                own.set(row, fresh + unit, 2.0 * sign);
                *bias.get_mut(row)? -= sign;
                if two {
                    own.set(row + 1, forget + unit, 1.0);
                    before.set(row + 1, unit, sign);
                }
            }
            if let Kept::Constant(memory) = &kept[1] {
                constant.set(unit, forget + unit, memory.get(unit).copied().unwrap_or(0.0));
            }
        }
        let mut factors = Terms { parts: vec![(gates, own)], bias };
        let mut more = None;
        match &kept[1] {
            Kept::Value(memory) => factors.parts.push((*memory, before)),
            Kept::Constant(memory) if memory.iter().any(|&value| value != 0.0) => {
                let parts = vec![(gates, constant)];
                more = Some(Terms { parts, bias: vec![0.0; hidden] });
            }
            Kept::Constant(_) => {}
        }
        let memory = self.products((hidden, terms), factors, more)?;
        let tanh = self.made.push(self.node, Op::Function(Function::Tanh), vec![memory]);
        let factors = pairs(hidden, (tanh, hidden, 0), (gates, 4 * hidden, output));
        let result = self.products((hidden, 1), factors, None)?;
        Some([Kept::Value(result), Kept::Value(memory)])
    }

    fn gru(
        &mut self,
        step: Step,
        kept: &[Kept; 2],
        linear_before_reset: bool,
    ) -> Option<[Kept; 2]> {
        let hidden = self.cell.hidden;
        let gates = self.gates(step, kept, (0, 2 * hidden, 1.0));
        let gates = self.sum(gates)?;
        let gates = self.made.push(self.node, Op::Function(Function::Sigmoid), vec![gates]);
        let (update, reset) = (0, hidden);
        // What the reset gate lets through.
        let matrix = || rows(&self.cell.recurrent, 2 * hidden, hidden, 1.0);
        let bias: Vec<f64> = self.cell.bias[1].iter().skip(2 * hidden).copied().collect();
        let mut fresh = self.of_step(step, (2 * hidden, hidden, 1.0));
        let sum = match (&kept[0], linear_before_reset) {
            (Kept::Constant(before), true) => {
                let taken: Vec<f64> =
                    matrix().times(before).iter().zip(&bias).map(|(a, b)| a + b).collect();
                let mut through = Rows::new(hidden, 2 * hidden);
                for (unit, value) in taken.into_iter().enumerate() {
                    through.set(unit, reset + unit, value);
                }
                fresh.parts.push((gates, through));
                self.sum(fresh)?
            }
            (Kept::Constant(before), false) => {
                // The matrix times what each gate lets through of a constant.
                let matrix = matrix();
                let mut through = Rows::new(hidden, 2 * hidden);
                for (row, weights) in matrix.values.chunks_exact(hidden.max(1)).enumerate() {
                    for (unit, (weight, value)) in weights.iter().zip(before).enumerate() {
                        through.set(row, reset + unit, weight * value);
                    }
                }
                fresh.parts.push((gates, through));
                fresh.offset(bias.into_iter());
                self.sum(fresh)?
            }
            (&Kept::Value(before), true) => {
                let mut factors = pairs(hidden, (before, hidden, 0), (gates, 2 * hidden, reset));
                let matrix = matrix();
                let mut both = Rows::new(2 * hidden, hidden);
                for (unit, weights) in matrix.values.chunks_exact(hidden.max(1)).enumerate() {
                    for (column, &weight) in weights.iter().enumerate() {
                        both.set(2 * unit, column, weight);
                        both.set(2 * unit + 1, column, -weight);
                    }
                }
                factors.parts.first_mut()?.1 = both;
                factors.bias = bias.iter().flat_map(|&bias| [bias, -bias]).collect();
                self.products((hidden, 1), factors, Some(fresh))?
            }
            (&Kept::Value(before), false) => {
                let factors = pairs(hidden, (before, hidden, 0), (gates, 2 * hidden, reset));
                let through = self.products((hidden, 1), factors, None)?;
                fresh.parts.insert(0, (through, matrix()));
                fresh.offset(bias.into_iter());
                self.sum(fresh)?
            }
        };
        let fresh = self.made.push(self.node, Op::Function(Function::Tanh), vec![sum]);
        // h' = n + z (h - n).
        let mut own = Rows::new(hidden, hidden);
        let mut one = Rows::new(hidden, hidden);
        for unit in 0..hidden {
            own.set(unit, unit, -1.0);
            one.set(unit, unit, 1.0);
        }
        let mut difference = Terms { parts: vec![(fresh, own)], bias: vec![0.0; hidden] };
        difference.add(&kept[0], one);
        let difference = self.sum(difference)?;
        let factors = pairs(hidden, (difference, hidden, 0), (gates, 2 * hidden, update));
        let mut one = Rows::new(hidden, hidden);
        (0..hidden).for_each(|unit| one.set(unit, unit, 1.0));
        let more = Terms { parts: vec![(fresh, one)], bias: vec![0.0; hidden] };
        let result = self.products((hidden, 1), factors, Some(more))?;
        Some([Kept::Value(result), Kept::Constant(Vec::new())])
    }
}

/// Maps of values, and a constant, that are added.
struct Terms {
    parts: Vec<(ValueId, Rows)>,
    bias: Vec<f64>,
}

impl Terms {
    fn offset(&mut self, more: impl Iterator<Item = f64>) {
        self.bias.iter_mut().zip(more).for_each(|(bias, more)| *bias += more);
    }

    /// Adds a map of what a cell kept.
    fn add(&mut self, kept: &Kept, rows: Rows) {
        match kept {
            Kept::Constant(values) => self.offset(rows.times(values).into_iter()),
            // The way goes on with it.
            Kept::Value(value) => self.parts.insert(0, (*value, rows)),
        }
    }

    /// Multiplies rows from `from` on.
    fn scale(&mut self, from: usize, factor: f64) {
        for (_, rows) in &mut self.parts {
            let first = from * rows.columns;
            rows.values.iter_mut().skip(first).for_each(|weight| *weight *= factor);
        }
        self.bias.iter_mut().skip(from).for_each(|bias| *bias *= factor);
    }
}

/// For each of `hidden` values the sum of two factors, and their difference; each factor is so many
/// values of one, from one of them on.
fn pairs(
    hidden: usize,
    (first, first_width, first_from): (ValueId, usize, usize),
    (second, second_width, second_from): (ValueId, usize, usize),
) -> Terms {
    let (mut own, mut other) =
        (Rows::new(2 * hidden, first_width), Rows::new(2 * hidden, second_width));
    for unit in 0..hidden {
        for (row, sign) in [(2 * unit, 1.0), (2 * unit + 1, -1.0)] {
            own.set(row, first_from + unit, sign);
            other.set(row, second_from + unit, 1.0);
        }
    }
    Terms { parts: vec![(first, own), (second, other)], bias: vec![0.0; 2 * hidden] }
}
