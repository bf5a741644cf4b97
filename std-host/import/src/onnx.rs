//! ONNX to our own graph.
//!
//! What an exporter computes from constants alone is computed here, and does not appear as a node.
//! What an answer depends on is read, and nothing else.

use std::collections::HashMap;
use std::path::Path;

use prost::Message as _;

use super::graph::{self, Graph, Layout, Node, Op, ValueId};
use super::onnx_fold::Constants;
use super::onnx_ml::DOMAIN;
use super::onnx_node::Found;
use super::onnx_proto::{DOUBLE, FLOAT, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::onnx_steps::Quantised;
use super::pad::{self, Pads};
use crate::error::{GraphError, Refused};
use crate::{onnx_external, onnx_ml, onnx_node, onnx_opset, onnx_order, onnx_tensor};

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
}

impl<'a> Reader<'a> {
    fn read(mut self, graph: &'a GraphProto, asked: Option<&str>) -> Result<Graph, GraphError> {
        for tensor in &graph.initializer {
            self.constants.insert(&tensor.name, onnx_tensor::constant(tensor)?);
        }
        let mut inputs = Vec::new();
        for input in &graph.input {
            if !self.constants.has(&input.name) {
                inputs.push((self.value(&input.name), input));
            }
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
        let (op, inputs, functions) = match self.read_node(node) {
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
        for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let output = self.value(name);
            let (op, inputs) = match (computed, functions.get(index)) {
                (None, Some(_)) => (op.take().unwrap_or(Op::Identity), inputs.clone()),
                (Some(mut value), Some(functions)) => {
                    for function in functions {
                        let next = self.fresh();
                        self.push(node, function, Op::Last, vec![value], next);
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
                return Ok((op, vec![self.value(data)], functions));
            }
            _ => return Err("operators of this domain are not known".into()),
        }
        if node.op_type == "Pad" {
            return self.pad(node);
        }
        if let "QuantizeLinear" | "DequantizeLinear" = node.op_type.as_str() {
            return self.quantised(node);
        }
        let found = onnx_node::read(node, &self.constants, self.version)?;
        let Found { mut op, data, subtracts } = found;
        let mut inputs: Vec<ValueId> = data.into_iter().map(|name| self.value(name)).collect();
        if let Some(second) = inputs.last_mut().filter(|_| subtracts) {
            let value = self.next;
            self.next += 1;
            let taken = core::mem::replace(second, value);
            self.push(node, &node.kind(), Op::negative(), vec![taken], value);
        }
        self.pads.fold(&mut op, &mut inputs);
        Ok((op, inputs, vec![vec![]]))
    }

    /// A value that is rounded to steps, or one that stands for real numbers again.
    fn quantised(&mut self, node: &'a NodeProto) -> Result<Read, Refused> {
        onnx_opset::check(node, self.version)?;
        let input = node.given(0).filter(|name| !self.constants.has(name));
        let input = self.value(input.ok_or("its scale is computed")?);
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
