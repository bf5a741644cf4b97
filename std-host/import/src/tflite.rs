//! TFLite (float) to our own graph.
//!
//! A fused ReLU becomes a node of its own. The dimensions of a `RESHAPE` are those of its result;
//! its shape input is not followed, so the `SHAPE`, `STRIDED_SLICE` and `PACK` that converters emit
//! for an open batch are not needed by the output.

use super::graph::{Graph, Layout, Node, Op, Tensor, ValueId};
use super::tflite_schema::{
    Buffer, FLOAT32, IDENTIFIER, INT32, Operator, OperatorCode, Options, ReducerOptions, SubGraph,
    TensorInfo, WindowOptions, operator_name, root,
};
use crate::error::{GraphError, PAD, Refused};
use crate::tflite_window;

/// What the graph of a file is made of.
struct File<'a> {
    codes: Vec<OperatorCode<'a>>,
    buffers: Vec<Buffer<'a>>,
    tensors: Vec<TensorInfo<'a>>,
}

/// Reads the bytes of a file.
///
/// # Errors
/// [`GraphError`]: the file is damaged, not float, or has not one input and one output.
pub fn read(bytes: &[u8]) -> Result<Graph, GraphError> {
    if bytes.get(4..8) != Some(IDENTIFIER) {
        return Err(corrupt("it does not begin like a TFLite file"));
    }
    let model = root(bytes).map_err(|error| corrupt(error.to_string()))?;
    let subgraph = model
        .subgraphs()?
        .and_then(|graphs| graphs.0.into_iter().next())
        .ok_or_else(|| corrupt("it holds no graph"))?;
    let file = File {
        codes: model.operator_codes()?.map_or_else(Vec::new, |codes| codes.0),
        buffers: model.buffers()?.map_or_else(Vec::new, |buffers| buffers.0),
        tensors: subgraph.tensors()?.map_or_else(Vec::new, |tensors| tensors.0),
    };
    file.graph(subgraph)
}

fn corrupt(what: impl Into<String>) -> GraphError {
    GraphError::Corrupt { format: "TFLite", what: what.into() }
}

impl From<planus::Error> for Refused {
    fn from(error: planus::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<planus::Error> for GraphError {
    fn from(error: planus::Error) -> Self {
        corrupt(error.to_string())
    }
}

impl<'a> File<'a> {
    fn graph(&self, subgraph: SubGraph<'a>) -> Result<Graph, GraphError> {
        let indices = |vector: Option<planus::Vector<'_, i32>>| -> Vec<i32> {
            vector.map_or_else(Vec::new, |v| v.iter().collect())
        };
        let (inputs, outputs) = (indices(subgraph.inputs()?), indices(subgraph.outputs()?));
        let (&[input], &[output]) = (inputs.as_slice(), outputs.as_slice()) else {
            return Err(GraphError::Interface { inputs: inputs.len(), outputs: outputs.len() });
        };
        let (input, output) = (self.index(input)?, self.index(output)?);
        let info = self.tensor(input)?;
        if info.kind()?.unwrap_or(FLOAT32) != FLOAT32 {
            return Err(GraphError::NotFloat(format!(
                "input `{}`",
                info.name()?.unwrap_or_default()
            )));
        }
        let mut nodes = Vec::new();
        // Values before a fused activation get numbers behind those of the file.
        let mut next = self.tensors.len();
        let operators = subgraph.operators()?.map_or_else(Vec::new, |operators| operators.0);
        for operator in operators {
            self.operator(operator, &mut nodes, &mut next)?;
        }
        let dims = dims(info)?;
        let dims = if dims.len() > 1 { dims.get(1..).unwrap_or_default() } else { &dims };
        let input_dims =
            (!dims.is_empty() && dims.iter().all(|&dim| dim > 0)).then(|| dims.to_vec());
        let name = subgraph.name()?.unwrap_or_default().to_owned();
        Ok(Graph { name, input, input_dims, layout: Layout::ChannelsLast, output, nodes })
    }

    fn operator(
        &self,
        operator: Operator<'a>,
        nodes: &mut Vec<Node>,
        next: &mut ValueId,
    ) -> Result<(), GraphError> {
        let code = usize::try_from(operator.opcode_index()?.unwrap_or(0))
            .ok()
            .and_then(|index| self.codes.get(index));
        let code = code.ok_or_else(|| corrupt("an operator is of an undeclared kind"))?;
        // Old files have the kind in the narrow field only, new ones in both.
        let kind = code
            .builtin_code()?
            .unwrap_or(0)
            .max(i32::from(code.deprecated_builtin_code()?.unwrap_or(0)));
        let op_type = match code.custom_code()? {
            Some(custom) if kind == 32 => format!("CUSTOM {custom}"),
            _ => operator_name(kind),
        };
        let inputs: Vec<i32> =
            operator.inputs()?.map_or_else(Vec::new, |inputs| inputs.iter().collect());
        let output = operator.outputs()?.and_then(|outputs| outputs.iter().next());
        let Some(output) = output else { return Ok(()) };
        let output = self.index(output)?;
        let name = self.tensor(output)?.name()?.unwrap_or_default().to_owned();
        let (op, data) = match self.op(&op_type, operator, &inputs, output) {
            Ok(found) => found,
            Err(refused) => {
                let mut data = Vec::new();
                for &input in inputs.iter().filter(|&&input| input >= 0) {
                    let input = self.index(input)?;
                    if self.constant(input)?.is_none() {
                        data.push(input);
                    }
                }
                (Op::refused(refused)?, data)
            }
        };
        let supported = !matches!(op, Op::Unsupported { .. });
        let fused = if supported { fused(&op_type, operator)?.unwrap_or(None) } else { None };
        let value = if fused.is_some() { *next } else { output };
        nodes.push(Node {
            name: name.clone(),
            op_type: op_type.clone(),
            op,
            inputs: data,
            output: value,
        });
        if let Some(op) = fused {
            *next += 1;
            nodes.push(Node { name, op_type, op, inputs: vec![value], output });
        }
        Ok(())
    }

    /// The operation and its computed inputs.
    fn op(
        &self,
        op_type: &str,
        operator: Operator<'a>,
        inputs: &[i32],
        output: ValueId,
    ) -> Result<(Op, Vec<ValueId>), Refused> {
        let operand = |index: usize| {
            inputs
                .get(index)
                .filter(|&&input| input >= 0)
                .map(|&input| self.index(input))
                .transpose()
        };
        let first = operand(0)?.ok_or("it has no input")?;
        if fused(op_type, operator)?.is_err() {
            return Err("its fused activation is neither ReLU nor ReLU6".into());
        }
        let bias = || match operand(2)?.map(|bias| self.constant(bias)).transpose()? {
            None => Ok(None),
            Some(Some(bias)) => Ok(Some(bias.values)),
            Some(None) => Err(Refused::from("its bias is computed or not float32")),
        };
        let constants = |index: usize| {
            operand(index)?.map(|value| self.integers(value)).transpose().map(Option::flatten)
        };
        let op = match op_type {
            "RELU" => Op::Relu,
            "RELU6" => Op::Relu6,
            "SOFTMAX" | "LOG_SOFTMAX" | "LOGISTIC" | "TANH" => Op::Last,
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                Op::Reshape { dims: self.same_size(first, output)? }
            }
            "TRANSPOSE" => match constants(1)?.as_deref() {
                Some([0, order @ ..]) => {
                    let places = order.iter().map(|&place| usize::try_from(place - 1).ok());
                    Op::Transpose(places.collect::<Option<_>>().ok_or("it moves the batch")?)
                }
                _ => return Err("it moves the batch".into()),
            },
            "MEAN" => {
                let keep = told(operator.reducer_options()?, ReducerOptions::keep_dims)?;
                let axes = constants(1)?.filter(|axes| !axes.is_empty());
                let axes = axes.ok_or("it is a mean over all dimensions, or over computed ones")?;
                Op::Mean { axes, keep: keep.unwrap_or(false) }
            }
            "CONV_2D" | "DEPTHWISE_CONV_2D" => {
                let weights = operand(1)?.map(|value| self.constant(value)).transpose()?.flatten();
                let weights = weights.ok_or("its kernel is computed or not float32")?;
                let image = dims(self.tensor(first)?)?;
                let depthwise = op_type != "CONV_2D";
                tflite_window::convolution(operator, weights, bias()?, depthwise, &image)?
            }
            "PAD" | "PADV2" | "MIRROR_PAD" => return Err(PAD.into()),
            "AVERAGE_POOL_2D" | "MAX_POOL_2D" => {
                let image = dims(self.tensor(first)?)?;
                tflite_window::pool(operator, &image, op_type == "AVERAGE_POOL_2D")?
            }
            "FULLY_CONNECTED" => {
                if told(operator.options()?, Options::weights_format)?.unwrap_or(0) != 0 {
                    return Err("its weights are shuffled".into());
                }
                let weights = operand(1)?.ok_or("it has no weights")?;
                let weights =
                    self.constant(weights)?.ok_or("its weights are computed or not float32")?;
                if weights.matrix().is_none() {
                    return Err("its weights are not a matrix".into());
                }
                Op::Dense { weights, bias: bias()? }
            }
            "ADD" | "SUB" | "MUL" | "DIV" => {
                let second = operand(1)?.ok_or("it has one input")?;
                let (data, constant, constant_first) =
                    match (self.constant(first)?, self.constant(second)?) {
                        (None, None) if op_type == "ADD" => {
                            return Ok((Op::Add, vec![first, second]));
                        }
                        (Some(constant), None) => (second, constant, true),
                        (None, Some(constant)) => (first, constant, false),
                        _ => return Err("both operands are computed".into()),
                    };
                return Ok((Op::elementwise(op_type, &constant, constant_first)?, vec![data]));
            }
            _ => return Err(Refused::Node(None)),
        };
        if self.constant(first)?.is_some() {
            return Err("its first input is constant".into());
        }
        Ok((op, vec![first]))
    }

    /// The dimensions of a value without the batch, if it has as many elements as another one.
    fn same_size(&self, input: ValueId, output: ValueId) -> Result<Option<Vec<i64>>, GraphError> {
        let (from, to) = (dims(self.tensor(input)?)?, dims(self.tensor(output)?)?);
        let count =
            |dims: &[usize]| dims.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim));
        let [_, rest @ ..] = to.as_slice() else { return Ok(None) };
        let rest: Option<Vec<i64>> = rest.iter().map(|&dim| i64::try_from(dim).ok()).collect();
        Ok(rest.filter(|_| count(&from).is_some() && count(&from) == count(&to)))
    }

    /// The numbers of a constant of integers; `None` if it is computed or of another type.
    fn integers(&self, index: ValueId) -> Result<Option<Vec<i64>>, GraphError> {
        let info = self.tensor(index)?;
        let buffer = usize::try_from(info.buffer()?.unwrap_or(0)).unwrap_or(usize::MAX);
        let Some(buffer) = self.buffers.get(buffer) else { return Ok(None) };
        let Some(data) = buffer.data()?.filter(|data| !data.is_empty()) else { return Ok(None) };
        let (words, _) = data.as_chunks();
        let values = words.iter().map(|&word| i64::from(i32::from_le_bytes(word))).collect();
        Ok((info.kind()? == Some(INT32)).then_some(values))
    }

    fn index(&self, index: i32) -> Result<ValueId, GraphError> {
        let index = usize::try_from(index).ok().filter(|&index| index < self.tensors.len());
        index.ok_or_else(|| corrupt("an operator refers to an undeclared value"))
    }

    fn tensor(&self, index: ValueId) -> Result<TensorInfo<'a>, GraphError> {
        let tensor = self.tensors.get(index).copied();
        tensor.ok_or_else(|| corrupt("an operator refers to an undeclared value"))
    }

    /// The numbers of a constant float tensor; `None` if it is computed or of another type.
    fn constant(&self, index: ValueId) -> Result<Option<Tensor>, GraphError> {
        let info = self.tensor(index)?;
        let name = info.name()?.unwrap_or_default();
        let buffer = usize::try_from(info.buffer()?.unwrap_or(0)).unwrap_or(usize::MAX);
        if buffer == 0 {
            return Ok(None);
        }
        let buffer = self
            .buffers
            .get(buffer)
            .ok_or_else(|| corrupt(format!("tensor `{name}` refers to an undeclared buffer")))?;
        if buffer.offset()?.unwrap_or(0) > 1 {
            return Err(GraphError::ExternalData(name.to_owned()));
        }
        let Some(data) = buffer.data()? else { return Ok(None) };
        if data.is_empty() || info.kind()?.unwrap_or(FLOAT32) != FLOAT32 {
            return Ok(None);
        }
        let (words, rest) = data.as_chunks();
        let values = words.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect();
        let tensor = Tensor::new(dims(info)?, values).filter(|_| rest.is_empty());
        tensor.map(Some).ok_or_else(|| {
            corrupt(format!("tensor `{name}` does not hold as many values as its dimensions say"))
        })
    }
}

/// An option; `None` if it is not told.
fn told<O, T>(
    options: Option<O>,
    option: fn(&O) -> planus::Result<Option<T>>,
) -> planus::Result<Option<T>> {
    options.map_or(Ok(None), |options| option(&options))
}

/// The activation that is fused into an operator, if it has one; an error if it is another than
/// ReLU and ReLU6.
fn fused(op_type: &str, operator: Operator<'_>) -> Result<Result<Option<Op>, ()>, GraphError> {
    let windows = |of| told(operator.window_options()?, of);
    let code = match op_type {
        "FULLY_CONNECTED" | "ADD" | "SUB" | "MUL" | "DIV" => {
            told(operator.options()?, Options::fused_activation)?
        }
        "CONV_2D" => windows(WindowOptions::conv_fused)?,
        "DEPTHWISE_CONV_2D" => windows(WindowOptions::depthwise_fused)?,
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => windows(WindowOptions::pool_fused)?,
        _ => None,
    };
    // `ActivationFunctionType`
    Ok(match code.unwrap_or(0) {
        0 => Ok(None),
        1 => Ok(Some(Op::Relu)),
        3 => Ok(Some(Op::Relu6)),
        _ => Err(()),
    })
}

fn dims(info: TensorInfo<'_>) -> Result<Vec<usize>, GraphError> {
    let dims = info.shape()?.map_or_else(Vec::new, |shape| shape.iter().collect::<Vec<i32>>());
    // A scalar has no dimensions; an open batch is -1 in `shape_signature` and 1 here.
    dims.into_iter()
        .map(|dim| usize::try_from(dim).map_err(|_| corrupt("a tensor has a negative dimension")))
        .collect()
}
