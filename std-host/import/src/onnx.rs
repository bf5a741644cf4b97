//! ONNX to our own graph.
//!
//! What an exporter computes from constants alone is computed here, and does not appear as a node.
//! What an answer depends on is read, and nothing else.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message as _;

use super::cell::Cell;
use super::graph::{self, Graph, Layout, Node, Op, Picked, ValueId};
use super::onnx_batch::{Batch, Batches, ELSEWHERE};
use super::onnx_fold::Constants;
use super::onnx_ml::DOMAIN;
use super::onnx_node::Found;
use super::onnx_proto::{DOUBLE, FLOAT, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::onnx_sizes::{List, Sizes};
use super::onnx_steps::Quantised;
use super::pad::{self, Pads};
use crate::error::{GraphError, Refused};
use crate::onnx_tensor::{self, Constant};
use crate::{onnx_external, onnx_ml, onnx_node, onnx_opset, onnx_order, onnx_pick, onnx_recurrent};

/// Reads the bytes of a file; `folder` is where it lies, for weights in files beside it.
///
/// # Errors
/// [`GraphError`]: the file is damaged, keeps its weights elsewhere, or has not one input and one
/// output.
pub fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Graph, GraphError> {
    read_output(bytes, folder, None)
}

/// The same, with the value of this name as the output.
///
/// # Errors
/// The same; [`GraphError::NoSuchOutput`] if there is no such value.
pub fn read_output(
    bytes: &[u8],
    folder: Option<&Path>,
    output: Option<&str>,
) -> Result<Graph, GraphError> {
    let model = ModelProto::decode(bytes).map_err(|error| corrupt(error.to_string()))?;
    let mut graph = model.graph.ok_or_else(|| corrupt("it holds no graph"))?;
    let set = |is: fn(&str) -> bool| model.opset_import.iter().find(|set| is(&set.domain));
    let standard = set(|domain| matches!(domain, "" | "ai.onnx"));
    let standard = standard.ok_or_else(|| corrupt("it does not state its operator set"))?;
    let version = onnx_opset::known(standard.version).map_err(corrupt)?;
    if let Some(set) = set(|domain| domain == DOMAIN) {
        onnx_opset::known_ml(set.version).map_err(corrupt)?;
    }
    onnx_external::inline(&mut graph, folder)?;
    let quantised = Quantised::new(&graph);
    Reader { version, quantised, ..Reader::default() }.read(&graph, output)
}

fn corrupt(what: impl Into<String>) -> GraphError {
    GraphError::Corrupt { format: "ONNX", what: what.into() }
}

/// Weights of all recurrent cells, at most.
const MAX_CELL_ELEMS: usize = 1 << 22;

#[derive(Default)]
struct Reader<'a> {
    /// The operator set.
    version: i64,
    constants: Constants<'a>,
    values: HashMap<&'a str, ValueId>,
    /// The number of the next value.
    next: ValueId,
    nodes: Vec<Node>,
    pads: Pads,
    quantised: Quantised<'a>,
    batches: Batches,
    /// The size of the batch, where the file states it.
    batch: Option<i64>,
    sizes: Sizes<'a>,
    /// Inputs with a batch.
    batched: HashSet<ValueId>,
    /// Weights of cells so far.
    cells_elems: usize,
    labels: HashMap<ValueId, Vec<String>>,
}

impl<'a> Reader<'a> {
    fn read(mut self, graph: &'a GraphProto, asked: Option<&str>) -> Result<Graph, GraphError> {
        for tensor in &graph.initializer {
            self.constants.insert(&tensor.name, onnx_tensor::constant(tensor)?);
        }
        let mut inputs = Vec::new();
        for input in &graph.input {
            if !self.constants.has(&input.name) {
                let value = self.value(&input.name);
                inputs.push((value, input));
                // What has one dimension has no batch: axes of what is made of it are not known.
                self.batched.extend(rank(input).filter(|&rank| rank > 1).map(|_| value));
                if rank(input) == Some(1) {
                    let reading = self.fresh();
                    self.values.insert(&input.name, reading);
                    let (name, op_type) = (input.name.clone(), "Identity".to_owned());
                    let op = Op::Reshape { dims: None };
                    let (inputs, output) = (vec![value], reading);
                    self.nodes.push(Node { name, op_type, op, inputs, output });
                }
            }
        }
        if let [(_, input)] = inputs.as_slice() {
            self.batch = batch(input);
        }
        for node in onnx_order::ordered(graph) {
            self.node(node)?;
        }
        let output = self.output(graph, asked)?;
        let (input, told) = self.input(&inputs, output)?;
        Ok(Graph {
            name: graph.name.clone(),
            input,
            input_dims: dims(told)?,
            layout: Layout::ChannelsFirst,
            output,
            nodes: self.nodes,
            labels: self.labels,
        })
    }

    /// The value that is asked for, or the only output.
    fn output(
        &mut self,
        graph: &'a GraphProto,
        asked: Option<&str>,
    ) -> Result<ValueId, GraphError> {
        let names = || graph.output.iter().map(|output| output.name.clone()).collect();
        let Some(asked) = asked else {
            let [output] = graph.output.as_slice() else {
                return Err(GraphError::Outputs(names()));
            };
            if self.constants.has(&output.name) {
                return Err(corrupt("the output does not depend on the input"));
            }
            return Ok(self.value(&output.name));
        };
        match self.values.get(asked) {
            Some(&value) => Ok(value),
            None => {
                let (asked, outputs) = (asked.to_owned(), names());
                Err(GraphError::NoSuchOutput { asked, outputs })
            }
        }
    }

    /// The input that the output depends on. That of a graph with one input is that one, whatever
    /// is wrong between them.
    fn input(
        &self,
        inputs: &[(ValueId, &'a ValueInfoProto)],
        output: ValueId,
    ) -> Result<(ValueId, &'a ValueInfoProto), GraphError> {
        let producers = graph::producers(&self.nodes);
        let seen = graph::ancestors(&self.nodes, output);
        let used = inputs.iter().filter(|(value, _)| seen.contains(value));
        let used: Vec<_> = used.copied().collect();
        // A value that is neither an input nor computed.
        let is_known = |value: &ValueId| {
            producers.contains_key(value) || inputs.iter().any(|(input, _)| input == value)
        };
        let lost = self.values.iter().filter(|(_, value)| seen.contains(value) && !is_known(value));
        if let Some(name) = lost.map(|(name, _)| *name).min() {
            return Err(corrupt(format!("it does not say how `{name}` is computed")));
        }
        match (used.as_slice(), inputs) {
            (&[input], _) | ([], &[input]) => Ok(input),
            _ => {
                let inputs = if used.is_empty() { inputs } else { &used };
                let names = inputs.iter().map(|(_, input)| input.name.clone());
                Err(GraphError::Inputs(names.collect()))
            }
        }
    }

    fn value(&mut self, name: &'a str) -> ValueId {
        let next = self.next;
        let value = *self.values.entry(name).or_insert(next);
        self.next = next.max(value + 1);
        value
    }

    /// A value without a name.
    fn fresh(&mut self) -> ValueId {
        self.next += 1;
        self.next - 1
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), GraphError> {
        let given = || node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
        if given().all(|name| self.constants.has(name)) {
            return self.constants.fold(node, self.version);
        }
        let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        if let Some(first) = Some(node).filter(|_| standard).and_then(|node| node.given(0)) {
            // A constant is not a value, and none is made of it.
            let taken = self.values.get(first).copied().unwrap_or(ValueId::MAX);
            self.sizes.note(node, &self.constants, taken);
        }
        let several = match node.op_type.as_str() {
            "Slice" | "Gather" | "Split" if standard => Some(self.pick(node)),
            "LSTM" | "GRU" | "RNN" if standard => Some(self.recurrent(node)),
            _ => None,
        };
        let read = match several {
            Some(Ok(())) => return Ok(()),
            Some(Err(refused)) => Err(refused),
            None => self.read_node(node),
        };
        let (op, inputs, functions) = match read {
            Ok(read) => read,
            Err(refused) => {
                let names: Vec<&str> = given().filter(|name| !self.constants.has(name)).collect();
                let inputs = names.into_iter().map(|name| self.value(name)).collect();
                (Op::refused(refused)?, inputs, vec![vec![]])
            }
        };
        let unread = match &op {
            Op::Unsupported { reason } => reason.clone(),
            _ => Some("only its first output is computed".to_owned()),
        };
        let kind = node.kind();
        let (mut op, mut computed) = (Some(op), None);
        if functions.iter().any(|functions| !functions.is_empty()) {
            let value = self.fresh();
            self.push(node, &kind, op.take().unwrap_or(Op::Identity), inputs.clone(), value);
            computed = Some(value);
        }
        let labels = if node.domain == DOMAIN { onnx_ml::labels(node) } else { Vec::new() };
        if !labels.is_empty() {
            let named = computed.or_else(|| Some(self.value(node.output.first()?)));
            self.labels.extend(named.map(|value| (value, labels)));
        }
        for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let output = self.value(name);
            let (op, inputs) = match (computed, functions.get(index)) {
                (None, Some(_)) => (op.take().unwrap_or(Op::Identity), inputs.clone()),
                (Some(mut value), Some(functions)) => {
                    for function in functions {
                        let next = self.fresh();
                        self.push(node, function, onnx_ml::function(function), vec![value], next);
                        value = next;
                    }
                    (Op::Identity, vec![value])
                }
                (_, None) => (Op::Unsupported { reason: unread.clone() }, inputs.clone()),
            };
            self.push(node, &kind, op, inputs, output);
        }
        Ok(())
    }

    fn push(
        &mut self,
        node: &NodeProto,
        kind: &str,
        op: Op,
        inputs: Vec<ValueId>,
        output: ValueId,
    ) {
        // A node without a name is found by what it computes.
        let first = || node.output.iter().find(|name| !name.is_empty()).cloned();
        let name =
            if node.name.is_empty() { first().unwrap_or_default() } else { node.name.clone() };
        self.nodes.push(Node { name, op_type: kind.to_owned(), op, inputs, output });
    }

    /// What a node computes, of which values, and the functions that each output is of that.
    fn read_node(&mut self, node: &'a NodeProto) -> Result<Read, Refused> {
        let computed = node.input.iter().map(String::as_str);
        let mut computed = computed.filter(|name| !name.is_empty() && !self.constants.has(name));
        match node.domain.as_str() {
            "" | "ai.onnx" => {}
            DOMAIN => {
                let (op, functions) = onnx_ml::read(node)?;
                let (Some(data), None) = (computed.next(), computed.next()) else {
                    return Err("it takes several computed values".into());
                };
                let data = self.value(data);
                if self.batches.of(data).is_some() {
                    return Err(ELSEWHERE.into());
                }
                return Ok((op, vec![data], functions));
            }
            _ => return Err("operators of this domain are not known".into()),
        }
        if node.op_type == "Pad" {
            return self.pad(node);
        }
        if let "QuantizeLinear" | "DequantizeLinear" = node.op_type.as_str() {
            return self.quantised(node);
        }
        if let ("Transpose", Some(order)) = (node.op_type.as_str(), node.integers("perm")) {
            onnx_opset::check(node, self.version)?;
            let input = node.given(0).map(|name| self.value(name)).ok_or("it has no input")?;
            let (op, batch) = self.batches.transposed(input, order)?;
            self.note(node, 0, batch);
            return Ok((op, vec![input], vec![vec![]]));
        }
        let data = node.given(0).filter(|name| !self.constants.has(name));
        let shape = self.constants.integers(node.given(1)).map(<[i64]>::to_vec);
        let shape = shape.or_else(|| self.listed(node));
        if let ("Reshape", Some(input), Some(shape)) = (node.op_type.as_str(), data, shape) {
            onnx_opset::check(node, self.version)?;
            let input = self.value(input);
            let (op, batch) = self.batches.reshaped(input, &shape, self.batch)?;
            self.note(node, 0, batch);
            return Ok((op, vec![input], vec![vec![]]));
        }
        let found = onnx_node::read(node, &self.constants, self.version)?;
        let Found { op, data, subtracts } = found;
        let mut inputs: Vec<ValueId> = data.into_iter().map(|name| self.value(name)).collect();
        let constants = node.input.iter().filter_map(|name| self.constants.get(name));
        let sizes: Vec<&[usize]> = constants.map(Constant::dims).collect();
        let (mut op, batch) = self.batches.put(op, &inputs, &sizes)?;
        self.note(node, 0, batch);
        if let Some(second) = inputs.last_mut().filter(|_| subtracts) {
            let value = self.next;
            self.next += 1;
            let taken = core::mem::replace(second, value);
            self.push(node, &node.kind(), Op::negative(), vec![taken], value);
        }
        self.pads.fold(&mut op, &mut inputs);
        Ok((op, inputs, vec![vec![]]))
    }

    /// The dimensions that a node reshapes to, if they begin with the batch: the value's own, which
    /// has it first, or that of an input. Another value's first dimension may be no batch.
    fn listed(&self, node: &NodeProto) -> Option<Vec<i64>> {
        let List { of, dims } = self.sizes.of(node.given(1))?;
        let input = *self.values.get(node.given(0)?)?;
        let own = *of == input || self.batched.contains(of);
        (own && self.batches.of(input).is_none()).then(|| dims.clone())
    }

    /// Notes where the batch of an output is.
    fn note(&mut self, node: &'a NodeProto, output: usize, batch: Option<Batch>) {
        if let (Some(name), Some(batch)) = (node.output.get(output), batch) {
            let value = self.value(name);
            self.batches.note(value, batch);
        }
    }

    /// A node for each output that picks a part.
    fn pick(&mut self, node: &'a NodeProto) -> Result<(), Refused> {
        let picks = onnx_pick::read(node, &self.constants, self.version)?;
        let input = self.value(node.given(0).ok_or("it has no input")?);
        let mut made = Vec::new();
        for picks in picks {
            let (mut value, mut steps) = (input, Vec::new());
            for (axis, picked) in picks {
                let (op, batch) = self.batches.put(Op::Pick { axis, picked }, &[value], &[])?;
                let next = self.fresh();
                if let Some(batch) = batch {
                    self.batches.note(next, batch);
                }
                steps.push((op, value, next));
                value = next;
            }
            made.push((steps, value));
        }
        for (name, (steps, last)) in node.output.iter().zip(made) {
            for (op, input, output) in steps {
                self.push(node, &node.kind(), op, vec![input], output);
            }
            let output = self.value(name);
            if let Some(batch) = self.batches.of(last) {
                self.batches.note(output, batch);
            }
            self.push(node, &node.kind(), Op::Identity, vec![last], output);
        }
        Ok(())
    }

    /// A cell for each direction, and what it gives: of all steps, and of the last one.
    fn recurrent(&mut self, node: &'a NodeProto) -> Result<(), Refused> {
        let uniform = |name: &str| self.sizes.number(name);
        let (cells, first) = onnx_recurrent::read(node, &self.constants, uniform, self.version)?;
        let elems = |cell: &Cell| cell.weights.values.len() + cell.recurrent.values.len();
        self.cells_elems += cells.iter().map(elems).sum::<usize>();
        if self.cells_elems > MAX_CELL_ELEMS {
            return Err("its weights and those of the cells before are too many".into());
        }
        let input = node.given(0).filter(|name| !self.constants.has(name));
        let input = self.value(input.ok_or("its sequence is constant")?);
        if self.batches.of(input) != (!first).then_some(Batch { place: 1, rank: 3 }) {
            return Err("its sequence has not the batch where it is to be; export with the batch \
                        first (`batch_first=True`)"
                .into());
        }
        let kind = node.kind();
        let (mut all, mut last) = (Vec::new(), Vec::new());
        for cell in cells {
            // The last step in time.
            let end = if cell.reverse { 0 } else { -1 };
            let (steps, one) = (self.fresh(), self.fresh());
            self.push(node, &kind, Op::Recurrent(Box::new(cell)), vec![input], steps);
            let pick = Op::Pick { axis: 1, picked: Picked::One(end) };
            self.push(node, &kind, pick, vec![steps], one);
            all.push(steps);
            last.push(one);
        }
        let places = match first {
            true => [None, None],
            false => [Some(Batch { place: 2, rank: 4 }), Some(Batch { place: 1, rank: 3 })],
        };
        for (index, (values, axis)) in [(all, 2), (last, 1)].into_iter().enumerate() {
            let Some(name) = node.output.get(index).filter(|name| !name.is_empty()) else {
                continue;
            };
            let output = self.value(name);
            self.note(node, index, places.get(index).copied().flatten());
            let op = if values.len() == 1 { Op::Identity } else { Op::Concat { axis } };
            self.push(node, &kind, op, values, output);
        }
        for name in node.output.iter().skip(2).filter(|name| !name.is_empty()) {
            let output = self.value(name);
            let reason = Some("its memory is not given out".to_owned());
            self.push(node, &kind, Op::Unsupported { reason }, vec![input], output);
        }
        Ok(())
    }

    /// A value that is rounded to steps, or one that stands for real numbers again.
    fn quantised(&mut self, node: &'a NodeProto) -> Result<Read, Refused> {
        onnx_opset::check(node, self.version)?;
        let input = node.given(0).filter(|name| !self.constants.has(name));
        let input = self.value(input.ok_or("its scale is computed")?);
        if self.batches.of(input).is_some() {
            return Err(ELSEWHERE.into());
        }
        let op = match node.op_type.as_str() {
            "QuantizeLinear" => Op::Round(self.quantised.round(node, &self.constants)?),
            _ => {
                self.quantised.undone(node, &self.constants)?;
                Op::Identity
            }
        };
        Ok((op, vec![input], vec![vec![]]))
    }

    /// Zeros around an image, for the node behind it.
    fn pad(&mut self, node: &'a NodeProto) -> Result<Read, Refused> {
        let (before, after) = onnx_node::pad(node, &self.constants, self.version)?;
        let input = node.given(0).filter(|name| !self.constants.has(name));
        let input = self.value(input.ok_or("what it pads is constant")?);
        if self.batches.of(input).is_some() {
            return Err(ELSEWHERE.into());
        }
        if (before, after) == ((0, 0), (0, 0)) {
            return Ok((Op::Identity, vec![input], vec![vec![]]));
        }
        if let Some(output) = node.output.first() {
            let output = self.value(output);
            self.pads.note(output, input, before, after);
        }
        Err(pad::ALONE.into())
    }
}

/// An operation, what it is computed of, and for each output the functions that follow.
type Read = (Op, Vec<ValueId>, Vec<Vec<String>>);

/// How many dimensions an input has, if that is stated.
fn rank(input: &ValueInfoProto) -> Option<usize> {
    let tensor = input.r#type.as_ref()?.tensor_type.as_ref()?;
    Some(tensor.shape.as_ref()?.dim.len())
}

/// The size of the batch of an input, if it is stated.
fn batch(input: &ValueInfoProto) -> Option<i64> {
    let tensor = input.r#type.as_ref()?.tensor_type.as_ref()?;
    tensor.shape.as_ref()?.dim.first()?.dim_value.filter(|&value| value > 0)
}

/// Dimensions of a reading, after the batch; `None` if one of them is open.
fn dims(input: &ValueInfoProto) -> Result<Option<Vec<usize>>, GraphError> {
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let Some(tensor) = tensor else { return Ok(None) };
    if !matches!(tensor.elem_type, 0 | FLOAT | DOUBLE) {
        return Err(GraphError::NotFloat(format!("input `{}`", input.name)));
    }
    let Some(shape) = &tensor.shape else { return Ok(None) };
    let dims = match shape.dim.as_slice() {
        [_, rest @ ..] if !rest.is_empty() => rest,
        dims => dims,
    };
    let dims = dims.iter().map(|dim| {
        dim.dim_value.and_then(|value| usize::try_from(value).ok()).filter(|&value| value > 0)
    });
    Ok(dims.collect())
}
