//! ONNX (float) to our own graph.
//!
//! Constants are followed through `Constant`, `Identity`, `Transpose`, `Reshape` and the like, so
//! that what an exporter computes from weights alone does not appear as a node.

use std::collections::HashMap;
use std::path::Path;

use prost::Message as _;

use super::graph::{Graph, Node, Op, Pool, Tensor, ValueId};
use super::onnx_proto::{
    DOUBLE, EXTERNAL, FLOAT, GraphProto, INT32, INT64, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};
use crate::error::{GraphError, PAD, Refused};
use crate::{onnx_external, onnx_opset, onnx_order, onnx_window};

/// A value that does not depend on the input.
#[derive(Clone)]
enum Constant {
    Float(Tensor),
    /// Shapes and axes.
    Integers(Vec<i64>),
    /// Other integers, or a computation that is not followed; with the reason.
    Opaque(String),
}

/// Reads the bytes of a file; `folder` is where it lies, for weights in files beside it.
///
/// # Errors
/// [`GraphError`]: the file is damaged, keeps its weights elsewhere, or has not one input and one
/// output.
pub fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Graph, GraphError> {
    let model = ModelProto::decode(bytes).map_err(|error| corrupt(error.to_string()))?;
    let mut graph = model.graph.ok_or_else(|| corrupt("it holds no graph"))?;
    let mut sets = model.opset_import.iter();
    let standard = sets.find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let standard = standard.ok_or_else(|| corrupt("it does not state its operator set"))?;
    let version = onnx_opset::known(standard.version).map_err(corrupt)?;
    onnx_external::inline(&mut graph, folder)?;
    Reader { version, ..Reader::default() }.read(&graph)
}

fn corrupt(what: impl Into<String>) -> GraphError {
    GraphError::Corrupt { format: "ONNX", what: what.into() }
}

#[derive(Default)]
struct Reader<'a> {
    /// The operator set.
    version: i64,
    constants: HashMap<&'a str, Constant>,
    values: HashMap<&'a str, ValueId>,
    nodes: Vec<Node>,
}

impl<'a> Reader<'a> {
    fn read(mut self, graph: &'a GraphProto) -> Result<Graph, GraphError> {
        for tensor in &graph.initializer {
            self.constants.insert(&tensor.name, constant(tensor)?);
        }
        let inputs: Vec<&ValueInfoProto> = graph
            .input
            .iter()
            .filter(|input| !self.constants.contains_key(input.name.as_str()))
            .collect();
        let (&[input], [output]) = (inputs.as_slice(), graph.output.as_slice()) else {
            return Err(GraphError::Interface {
                inputs: inputs.len(),
                outputs: graph.output.len(),
            });
        };
        let input_id = self.value(&input.name);
        for node in onnx_order::ordered(graph) {
            self.node(node)?;
        }
        if self.constants.contains_key(output.name.as_str()) {
            return Err(corrupt("the output does not depend on the input"));
        }
        let output = self.value(&output.name);
        let input_dims = dims(input)?;
        Ok(Graph {
            name: graph.name.clone(),
            input: input_id,
            input_dims,
            layout: super::graph::Layout::ChannelsFirst,
            output,
            nodes: self.nodes,
        })
    }

    fn value(&mut self, name: &'a str) -> ValueId {
        let next = self.values.len();
        *self.values.entry(name).or_insert(next)
    }

    fn constant(&self, name: &str) -> Option<&Constant> {
        self.constants.get(name)
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), GraphError> {
        let Some(output) = node.output.iter().find(|name| !name.is_empty()) else { return Ok(()) };
        let given: Vec<&'a str> =
            node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        if given.iter().all(|name| self.constants.contains_key(name)) {
            let constant = self.fold(node, &given)?;
            self.constants.insert(output, constant);
            return Ok(());
        }
        // A node without a name is found by what it computes.
        let name = if node.name.is_empty() { output.clone() } else { node.name.clone() };
        let (op, data) = match self.op(node) {
            Ok(found) => found,
            Err(refused) => {
                let data = given.into_iter().filter(|name| self.constant(name).is_none());
                (Op::refused(refused)?, data.collect())
            }
        };
        let op_type = match node.domain.as_str() {
            "" | "ai.onnx" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        let inputs = data.into_iter().map(|name| self.value(name)).collect();
        let output = self.value(output);
        self.nodes.push(Node { name, op_type, op, inputs, output });
        Ok(())
    }

    /// The operation and its computed inputs, or why there is none.
    fn op(&self, node: &'a NodeProto) -> Result<(Op, Vec<&'a str>), Refused> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err("operators outside the standard set are not known".into());
        }
        onnx_opset::check(node, self.version)?;
        let input = |index: usize| {
            node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
        };
        let first = input(0).ok_or("it has no input")?;
        let op = match node.op_type.as_str() {
            "Relu" => Op::Relu,
            "Flatten" if node.integer("axis", 1) == 1 => Op::Reshape { dims: Some(vec![-1]) },
            "Flatten" => Op::Reshape { dims: None },
            "Reshape" => onnx_window::reshape(self.integers(input(1))),
            "Squeeze" if input(1).is_some() && self.integers(input(1)).is_none() => {
                return Err("its axes are computed".into());
            }
            "Squeeze" => Op::Squeeze(self.axes(node, input(1)).unwrap_or(&[]).to_vec()),
            "Unsqueeze" => {
                let axes = self.axes(node, input(1)).ok_or("its axes are computed")?;
                Op::Unsqueeze(axes.to_vec())
            }
            "Transpose" => onnx_window::transpose(node)?,
            "Conv" => {
                let bias = input(2).map(|bias| self.float(Some(bias), "the bias")).transpose()?;
                onnx_window::convolution(node, self.float(input(1), "the kernel")?, bias)?
            }
            "AveragePool" => onnx_window::pool(node, true)?,
            "MaxPool" => onnx_window::pool(node, false)?,
            "GlobalAveragePool" => Op::AveragePool(Pool::WHOLE),
            "ReduceMean" => onnx_window::mean(node, self.axes(node, input(1)).unwrap_or(&[]))?,
            "Pad" => return Err(PAD.into()),
            "Clip" => self.clip(node, input(1), input(2))?,
            "Softmax" | "LogSoftmax" | "Sigmoid" | "Tanh" => Op::Last,
            "Identity" => Op::Identity,
            "Dropout" if input(2).is_none() => Op::Identity,
            "Cast" if node.integer("to", 0) == i64::from(FLOAT) => Op::Identity,
            "Gemm" => self.gemm(node, input(1), input(2))?,
            "MatMul" => {
                let weights = self.float(input(1), "the right-hand matrix")?;
                let weights = weights.transposed().ok_or("the right-hand side is not a matrix")?;
                Op::Dense { weights, bias: None }
            }
            "BatchNormalization" => self.batch_normalization(node)?,
            "Add" | "Sub" | "Mul" | "Div" => {
                let second = input(1).ok_or("it has one input")?;
                if node.op_type == "Add"
                    && [first, second].iter().all(|name| !self.constants.contains_key(name))
                {
                    return Ok((Op::Add, vec![first, second]));
                }
                let constant_first = self.constants.contains_key(first);
                let (data, operand) =
                    if constant_first { (second, first) } else { (first, second) };
                let operand = self.float(Some(operand), "one of the two operands")?;
                return Ok((Op::elementwise(&node.op_type, operand, constant_first)?, vec![data]));
            }
            _ => return Err(Refused::Node(None)),
        };
        if self.constants.contains_key(first) {
            return Err("its first input is constant and another one is computed".into());
        }
        Ok((op, vec![first]))
    }

    /// Constant integers.
    fn integers(&self, name: Option<&str>) -> Option<&[i64]> {
        match name.and_then(|name| self.constant(name)) {
            Some(Constant::Integers(values)) => Some(values),
            _ => None,
        }
    }

    /// Axes: an attribute in old operator sets, an input in new ones.
    fn axes<'s>(&'s self, node: &'s NodeProto, input: Option<&str>) -> Option<&'s [i64]> {
        node.integers("axes").or_else(|| self.integers(input))
    }

    /// Limits: attributes in old operator sets, inputs in new ones.
    fn clip(&self, node: &NodeProto, low: Option<&str>, high: Option<&str>) -> Result<Op, Refused> {
        let limit = |name: Option<&str>, attribute: &str, none: f64| match name {
            Some(name) => self
                .float(Some(name), "a limit")
                .map(|tensor| tensor.values.first().copied().unwrap_or(none)),
            None => Ok(node.real(attribute, none)),
        };
        match (limit(low, "min", f64::MIN)?, limit(high, "max", f64::MAX)?) {
            (low, high) if low == 0.0 && high == 6.0 => Ok(Op::Relu6),
            (low, high) if low == 0.0 && high >= f64::from(f32::MAX) => Ok(Op::Relu),
            _ => Err("it limits to other values than 0 and 6".into()),
        }
    }

    fn gemm(
        &self,
        node: &NodeProto,
        weights: Option<&str>,
        bias: Option<&str>,
    ) -> Result<Op, Refused> {
        let (alpha, beta) = (node.real("alpha", 1.0), node.real("beta", 1.0));
        if node.integer("transA", 0) != 0 {
            return Err("it transposes the computed matrix".into());
        }
        let weights = self.float(weights, "matrix B")?;
        let weights = if node.integer("transB", 0) == 0 {
            weights.transposed()
        } else {
            Some(weights.clone())
        };
        let mut weights = weights.ok_or("B is not a matrix")?;
        let (outputs, _) = weights.matrix().ok_or("B is not a matrix")?;
        weights.values.iter_mut().for_each(|weight| *weight *= alpha);
        let bias = match bias {
            None => None,
            Some(bias) => {
                let bias = self.float(Some(bias), "the summand C")?.vector();
                let bias = bias.ok_or("C is not a vector")?;
                let bias: Vec<f64> = bias.into_iter().map(|value| beta * value).collect();
                Some(if let [one] = *bias { vec![one; outputs] } else { bias })
            }
        };
        Ok(Op::Dense { weights, bias })
    }

    fn batch_normalization(&self, node: &NodeProto) -> Result<Op, Refused> {
        let input = |index: usize| node.input.get(index).map(String::as_str);
        let vector = |index: usize, what: &str| {
            self.float(input(index), what).map(|tensor| tensor.values.clone())
        };
        let (gamma, beta) = (vector(1, "the scale")?, vector(2, "the bias")?);
        let (mean, variance) = (vector(3, "the mean")?, vector(4, "the variance")?);
        if [&beta, &mean, &variance].iter().any(|vector| vector.len() != gamma.len()) {
            return Err("its vectors differ in length".into());
        }
        let epsilon = node.real("epsilon", 1e-5);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
            .collect();
        let offset = beta
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((beta, mean), scale)| beta - mean * scale)
            .collect();
        Ok(Op::Elementwise { scale, offset, dims: None })
    }

    /// A constant that must be floating-point numbers.
    fn float(&self, name: Option<&str>, what: &str) -> Result<&Tensor, Refused> {
        match name.and_then(|name| self.constant(name)) {
            Some(Constant::Float(tensor)) => Ok(tensor),
            Some(Constant::Integers(_)) => Err(format!("{what} is not float32 or float64").into()),
            Some(Constant::Opaque(reason)) => Err(format!("{what} {reason}").into()),
            None => Err(format!("{what} is computed from the input or missing").into()),
        }
    }

    /// What a node makes of constants.
    fn fold(&self, node: &NodeProto, given: &[&str]) -> Result<Constant, GraphError> {
        match onnx_opset::check(node, self.version) {
            Ok(()) => {}
            Err(Refused::File(error)) => return Err(error),
            Err(refused) => return Ok(Constant::Opaque(format!("is computed: {refused}"))),
        }
        let first = given.first().and_then(|name| self.constant(name));
        Ok(match (node.op_type.as_str(), first) {
            ("Constant", _) => {
                if let Some(tensor) = node.find("value").and_then(|attribute| attribute.t.as_ref())
                {
                    return constant(tensor);
                }
                if let Some(values) = node.find("value_ints") {
                    return Ok(Constant::Integers(values.ints.clone()));
                }
                if let Some(value) = node.find("value_int") {
                    return Ok(Constant::Integers(vec![value.i]));
                }
                let floats = match (node.find("value_float"), node.find("value_floats")) {
                    (Some(value), _) => Some((vec![], vec![value.f])),
                    (_, Some(values)) => Some((vec![values.floats.len()], values.floats.clone())),
                    _ => None,
                };
                let tensor = floats.and_then(|(dims, values)| Tensor::new(dims, wide(&values)));
                tensor.map_or_else(
                    || Constant::Opaque("is not floating-point".to_owned()),
                    Constant::Float,
                )
            }
            ("Identity", Some(constant)) => constant.clone(),
            ("Cast", Some(constant)) if node.integer("to", 0) == i64::from(FLOAT) => {
                constant.clone()
            }
            ("Transpose", Some(Constant::Float(tensor))) => {
                match (node.integers("perm"), tensor.transposed()) {
                    (Some([0, 1]), _) => Constant::Float(tensor.clone()),
                    (None | Some([1, 0]), Some(transposed)) => Constant::Float(transposed),
                    _ => Constant::Opaque("is transposed in more than two dimensions".to_owned()),
                }
            }
            ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze", Some(Constant::Float(tensor))) => {
                let second = node.input.get(1).map(String::as_str);
                let numbers = if node.op_type == "Reshape" {
                    self.integers(second)
                } else {
                    self.axes(node, second)
                };
                let tensor = onnx_window::constant(node, tensor, numbers);
                tensor.map_or_else(
                    || Constant::Opaque("is reshaped to dimensions that are not known".to_owned()),
                    Constant::Float,
                )
            }
            (op_type, _) => Constant::Opaque(format!("is computed by {op_type} from constants")),
        })
    }
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

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The numbers of a tensor, from whichever field holds them.
fn constant(tensor: &TensorProto) -> Result<Constant, GraphError> {
    if tensor.data_location == EXTERNAL {
        return Err(GraphError::ExternalData(tensor.name.clone()));
    }
    if let (INT32 | INT64, 0..=1) = (tensor.data_type, tensor.dims.len()) {
        return Ok(Constant::Integers(shape_values(tensor)));
    }
    let (raw_f32, left_f32) = tensor.raw_data.as_chunks();
    let (raw_f64, left_f64) = tensor.raw_data.as_chunks();
    let values = match (tensor.data_type, tensor.raw_data.is_empty()) {
        (FLOAT, false) if left_f32.is_empty() => {
            raw_f32.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect()
        }
        (FLOAT, true) => wide(&tensor.float_data),
        (DOUBLE, false) if left_f64.is_empty() => {
            raw_f64.iter().map(|&word| f64::from_le_bytes(word)).collect()
        }
        (DOUBLE, true) => tensor.double_data.clone(),
        (FLOAT | DOUBLE, _) => Vec::new(),
        _ => return Ok(Constant::Opaque("is not float32 or float64".to_owned())),
    };
    let dims =
        tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<usize>>>();
    match dims.and_then(|dims| Tensor::new(dims, values)) {
        Some(tensor) => Ok(Constant::Float(tensor)),
        None => Err(corrupt(format!(
            "tensor `{}` does not hold as many values as its dimensions say",
            tensor.name
        ))),
    }
}

/// The numbers of a shape or of axes.
fn shape_values(tensor: &TensorProto) -> Vec<i64> {
    let (raw_i64, _) = tensor.raw_data.as_chunks();
    let (raw_i32, _) = tensor.raw_data.as_chunks();
    match (tensor.data_type, tensor.raw_data.is_empty()) {
        (INT64, true) => tensor.int64_data.clone(),
        (INT64, false) => raw_i64.iter().map(|&word| i64::from_le_bytes(word)).collect(),
        (_, true) => tensor.int32_data.iter().map(|&value| i64::from(value)).collect(),
        (_, false) => raw_i32.iter().map(|&word| i64::from(i32::from_le_bytes(word))).collect(),
    }
}
