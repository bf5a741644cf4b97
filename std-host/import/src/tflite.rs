//! TFLite to our own graph, in real numbers: what is quantised is rounded to its steps by a node.
//!
//! A fused ReLU becomes a node of its own. The dimensions of a `RESHAPE` are those of its result;
//! its shape input is not followed, so the `SHAPE`, `STRIDED_SLICE` and `PACK` that converters emit
//! for an open batch are not needed by the output.

use std::collections::HashMap;

use super::function::Function;
use super::graph::{self, Graph, Layout, Node, Op, Picked, Tensor, ValueId};
use super::pad::{self, Pads};
use super::steps::Steps;
use super::tflite_options::{fused, sliced, told};
use super::tflite_schema::{
    Buffer, ConcatOptions, FLOAT32, GeluOptions, IDENTIFIER, LeakyOptions, Operator, OperatorCode,
    Options, ReducerOptions, SoftmaxOptions, SubGraph, TensorInfo, operator_name, root,
};
use crate::error::{GraphError, Refused};
use crate::{tflite_steps, tflite_tensor, tflite_window};

/// What the graph of a file is made of.
struct File<'a> {
    codes: Vec<OperatorCode<'a>>,
    buffers: Vec<Buffer<'a>>,
    tensors: Vec<TensorInfo<'a>>,
    /// Constants that are computed from others.
    made: HashMap<ValueId, Tensor>,
}

/// What was read of a graph.
struct Read {
    nodes: Vec<Node>,
    /// Values that are not the file's own get numbers behind those of the file.
    next: ValueId,
    pads: Pads,
}

impl Read {
    fn fresh(&mut self) -> ValueId {
        self.next += 1;
        self.next - 1
    }
}

/// Reads the bytes of a file.
///
/// # Errors
/// [`GraphError`]: the file is damaged, not float, or has not one input and one output.
pub fn read(bytes: &[u8]) -> Result<Graph, GraphError> {
    read_output(bytes, None)
}

/// The same, with the value of this name as the output.
///
/// # Errors
/// The same; [`GraphError::NoSuchOutput`] if there is no such value.
pub fn read_output(bytes: &[u8], output: Option<&str>) -> Result<Graph, GraphError> {
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
        made: HashMap::new(),
    };
    file.graph(subgraph, output)
}

fn corrupt(what: impl Into<String>) -> GraphError {
    GraphError::Corrupt { format: "TFLite", what: what.into() }
}

impl<'a> File<'a> {
    fn graph(mut self, subgraph: SubGraph<'a>, asked: Option<&str>) -> Result<Graph, GraphError> {
        let (next, pads) = (self.tensors.len(), Pads::default());
        let mut read = Read { nodes: Vec::new(), next, pads };
        let operators = subgraph.operators()?.map_or_else(Vec::new, |operators| operators.0);
        for operator in operators {
            self.operator(operator, &mut read)?;
        }
        let (input, output) = self.ends(subgraph, asked, &read.nodes)?;
        let info = self.tensor(input)?;
        let named = || Ok::<_, GraphError>(format!("input `{}`", info.name()?.unwrap_or_default()));
        let source = match tflite_steps::steps(info) {
            Err(Refused::File(error)) => return Err(error),
            Err(refused) => {
                return Err(GraphError::Steps { value: named()?, what: refused.to_string() });
            }
            // A reading in real numbers, which become words.
            Ok(Some(steps)) => {
                let source = read.fresh();
                let (name, op_type) = (named()?, "QUANTIZE".to_owned());
                let (op, inputs, output) = (Op::Round(steps), vec![source], input);
                read.nodes.insert(0, Node { name, op_type, op, inputs, output });
                source
            }
            Ok(None) if info.kind()?.unwrap_or(FLOAT32) != FLOAT32 => {
                return Err(GraphError::NotFloat(named()?));
            }
            Ok(None) => input,
        };
        let dims = dims(info)?;
        let dims = if dims.len() > 1 { dims.get(1..).unwrap_or_default() } else { &dims };
        let input_dims =
            (!dims.is_empty() && dims.iter().all(|&dim| dim > 0)).then(|| dims.to_vec());
        let name = subgraph.name()?.unwrap_or_default().to_owned();
        let nodes = read.nodes;
        let (input, layout) = (source, Layout::ChannelsLast);
        let labels = HashMap::new();
        Ok(Graph { name, input, input_dims, layout, output, nodes, labels })
    }

    /// The output that is asked for, or the only one; and the input that it depends on.
    fn ends(
        &self,
        subgraph: SubGraph<'a>,
        asked: Option<&str>,
        nodes: &[Node],
    ) -> Result<(ValueId, ValueId), GraphError> {
        let indices = |vector: Option<planus::Vector<'_, i32>>| {
            let indices = vector.into_iter().flat_map(|vector| vector.iter());
            indices.map(|index| self.index(index)).collect::<Result<Vec<_>, _>>()
        };
        let names = |indices: &[ValueId]| {
            let name =
                |&index: &ValueId| Ok(self.tensor(index)?.name()?.unwrap_or_default().into());
            indices.iter().map(name).collect::<Result<Vec<String>, GraphError>>()
        };
        let (inputs, outputs) = (indices(subgraph.inputs()?)?, indices(subgraph.outputs()?)?);
        let output = match asked {
            None => match *outputs {
                [output] => output,
                _ => return Err(GraphError::Outputs(names(&outputs)?)),
            },
            Some(asked) => {
                let mut computed = nodes.iter().map(|node| node.output);
                let is_it = |value: &ValueId| {
                    let info = self.tensors.get(*value);
                    info.is_some_and(|info| info.name().is_ok_and(|name| name == Some(asked)))
                };
                computed.find(is_it).ok_or(GraphError::NoSuchOutput {
                    asked: asked.to_owned(),
                    outputs: names(&outputs)?,
                })?
            }
        };
        let seen = graph::ancestors(nodes, output);
        let used: Vec<ValueId> =
            inputs.iter().copied().filter(|input| seen.contains(input)).collect();
        match (used.as_slice(), inputs.as_slice()) {
            (&[input], _) | ([], &[input]) => Ok((input, output)),
            _ => Err(GraphError::Inputs(names(if used.is_empty() { &inputs } else { &used })?)),
        }
    }

    fn operator(&mut self, operator: Operator<'a>, read: &mut Read) -> Result<(), GraphError> {
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
        let outputs: Vec<i32> =
            operator.outputs()?.map_or_else(Vec::new, |outputs| outputs.iter().collect());
        let Some((&output, further)) = outputs.split_first() else { return Ok(()) };
        let output = self.index(output)?;
        let name = self.tensor(output)?.name()?.unwrap_or_default().to_owned();
        let node = |op, inputs, output| {
            let (name, op_type) = (name.clone(), op_type.clone());
            Node { name, op_type, op, inputs, output }
        };
        if op_type == "SPLIT"
            && let Some((axis, input)) = self.split(&inputs)?
        {
            for (part, &output) in outputs.iter().enumerate() {
                let picked = Picked::Part { part, count: outputs.len() };
                let (output, op) = (self.index(output)?, Op::Pick { axis, picked });
                read.nodes.push(node(op, vec![input], output));
            }
            return Ok(());
        }
        let (op, mut data) = match self.read(&op_type, operator, (&inputs, output), read) {
            Ok(Some(found)) => found,
            // A constant.
            Ok(None) => return Ok(()),
            Err(refused) => {
                let mut data = Vec::new();
                for &input in inputs.iter().filter(|&&input| input >= 0) {
                    let input = self.index(input)?;
                    if !self.is_constant(input)? {
                        data.push(input);
                    }
                }
                (Op::refused(refused)?, data)
            }
        };
        for &output in further {
            let reason = Some("only its first output is computed".to_owned());
            let output = self.index(output)?;
            read.nodes.push(node(Op::Unsupported { reason }, data.clone(), output));
        }
        let (op, rounded) = match self.rounded(&op, output, data.first().copied()) {
            Ok(rounded) => (op, rounded),
            Err(refused) => (Op::refused(refused)?, None),
        };
        let supported = !matches!(op, Op::Unsupported { .. });
        if op_type == "SUB"
            && op == Op::Add
            && let Some(second) = data.last_mut()
        {
            let value = read.fresh();
            let taken = core::mem::replace(second, value);
            read.nodes.push(node(Op::negative(), vec![taken], value));
        }
        let fused = if supported { fused(&op_type, operator)?.unwrap_or(None) } else { None };
        let mut ops = vec![op];
        ops.extend(fused);
        ops.extend(rounded.map(Op::Round));
        let last = ops.len() - 1;
        for (index, op) in ops.into_iter().enumerate() {
            let value = if index < last { read.fresh() } else { output };
            read.nodes.push(node(op, core::mem::replace(&mut data, vec![value]), value));
        }
        Ok(())
    }

    /// The operation and its computed inputs; nothing if it computes a constant, which is kept.
    fn read(
        &mut self,
        op_type: &str,
        operator: Operator<'a>,
        (inputs, output): (&[i32], ValueId),
        read: &mut Read,
    ) -> Result<Option<(Op, Vec<ValueId>)>, Refused> {
        let first = inputs.first().filter(|&&first| first >= 0);
        let first = first.map(|&first| self.index(first)).transpose()?;
        if let Some(first) = first.filter(|_| op_type == "DEQUANTIZE") {
            if !self.is_constant(first)? {
                // It stands for real numbers already.
                return Ok(Some((Op::Identity, vec![first])));
            }
            let tensor = self.number(first, "what it takes")?;
            self.made.insert(output, tensor);
            return Ok(None);
        }
        if let Some(first) = first.filter(|_| matches!(op_type, "PAD" | "PADV2" | "MIRROR_PAD")) {
            let (before, after) = self.pad(op_type, inputs)?;
            if (before, after) == ((0, 0), (0, 0)) {
                return Ok(Some((Op::Identity, vec![first])));
            }
            read.pads.note(output, first, before, after);
            return Err(pad::ALONE.into());
        }
        let (mut op, mut data) = self.op(op_type, operator, inputs, output)?;
        read.pads.fold(&mut op, &mut data);
        Ok(Some((op, data)))
    }

    /// What an operator's result is rounded to; nothing if it is of floating point, or left to the
    /// recipient, or what the operator takes is rounded so already.
    fn rounded(
        &self,
        op: &Op,
        output: ValueId,
        input: Option<ValueId>,
    ) -> Result<Option<Steps>, Refused> {
        let of = |value: ValueId, what: &str| match tflite_steps::steps(self.tensor(value)?) {
            Err(Refused::Node(Some(reason))) => Err(Refused::from(format!("{what} {reason}"))),
            steps => steps,
        };
        if op.is_left_off() || matches!(op, Op::Unsupported { .. }) {
            return Ok(None);
        }
        let steps = of(output, "its result")?;
        let taken = input.map(|input| of(input, "what it takes")).transpose()?.flatten();
        let passes = matches!(
            op,
            Op::Identity | Op::Reshape { .. } | Op::Transpose(_) | Op::MaxPool(_) | Op::Pick { .. }
        );
        Ok(steps.filter(|_| !(passes && steps == taken)))
    }

    /// How many zeros a padding puts above and left of an image, and below and right of it.
    fn pad(&self, op_type: &str, inputs: &[i32]) -> Result<(Size, Size), Refused> {
        let operand = |index: usize| {
            let given = inputs.get(index).filter(|&&input| input >= 0);
            given.map(|&input| self.index(input)).transpose()
        };
        let is_zero = match operand(2)? {
            Some(value) => {
                let value = self.number(value, "what it pads with")?;
                value.values.iter().all(|&value| value == 0.0)
            }
            None => true,
        };
        if op_type == "MIRROR_PAD" || !is_zero {
            return Err(pad::OTHER.into());
        }
        let pads = operand(1)?.map(|pads| self.integers(pads)).transpose()?.flatten();
        let pads = pads.ok_or("how much it pads is computed")?;
        let size = |value: i64| usize::try_from(value).map_err(|_| "it cuts the image");
        match *pads {
            [0, 0, top, bottom, left, right, 0, 0] => {
                Ok(((size(top)?, size(left)?), (size(bottom)?, size(right)?)))
            }
            _ => Err("it pads other dimensions than rows and columns".into()),
        }
    }

    /// Along which dimension a value is divided into equal parts, and the value, if it is of real
    /// numbers and the dimension is told.
    fn split(&self, inputs: &[i32]) -> Result<Option<(i64, ValueId)>, GraphError> {
        let &[axis, input] = inputs else { return Ok(None) };
        let (axis, input) = (self.index(axis)?, self.index(input)?);
        let real = self.tensor(input)?.kind()?.unwrap_or(FLOAT32) == FLOAT32;
        let computed = !self.is_constant(input)?;
        let axis = self.integers(axis)?.filter(|_| real && computed);
        Ok(axis.and_then(|axis| Some((*axis.first()?, input))))
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
            return Err(
                "its fused activation is none of ReLU, ReLU6, and limits of -1 and 1".into()
            );
        }
        let bias = || {
            let bias = operand(2)?.map(|bias| self.number(bias, "its bias")).transpose()?;
            Ok::<_, Refused>(bias.map(|bias| bias.values))
        };
        let weights = |what: &str| {
            let weights = operand(1)?.ok_or_else(|| Refused::from("it has no weights"))?;
            self.number(weights, what)
        };
        let constants = |index: usize| {
            operand(index)?.map(|value| self.integers(value)).transpose().map(Option::flatten)
        };
        let op = match op_type {
            "RELU" => Op::Relu,
            "RELU6" => Op::Relu6,
            "LEAKY_RELU" => {
                let slope = told(operator.leaky_options()?, LeakyOptions::alpha)?.unwrap_or(0.0);
                Op::LeakyRelu { slope: vec![slope.into()], dims: None }
            }
            "PRELU" => {
                let slope = weights("its slope")?;
                Op::LeakyRelu { slope: slope.values, dims: Some(slope.dims) }
            }
            "CONCATENATION" => {
                let data = inputs.iter().map(|&input| self.index(input));
                let data = data.collect::<Result<Vec<ValueId>, _>>()?;
                for &value in &data {
                    if self.is_constant(value)? {
                        return Err("it joins computed values with constants".into());
                    }
                }
                let axis = told(operator.concat_options()?, ConcatOptions::axis)?.unwrap_or(0);
                return Ok((Op::Concat { axis: axis.into() }, data));
            }
            // Its result is rounded, as all results are that are whole numbers.
            "QUANTIZE" => Op::Identity,
            "NEG" => Op::negative(),
            // Functions of an answer that whoever gets it can compute.
            "SOFTMAX" | "LOG_SOFTMAX" => {
                // With another factor, or none, it is left to the recipient.
                let beta = told(operator.softmax_options()?, SoftmaxOptions::beta)?;
                let log = op_type == "LOG_SOFTMAX";
                match log || beta == Some(1.0) {
                    true => Op::Softmax { axis: -1, trailing: false, log },
                    false => Op::Last,
                }
            }
            "ARG_MAX" => Op::Last,
            "LOGISTIC" => Op::Function(Function::Sigmoid),
            "TANH" => Op::Function(Function::Tanh),
            "HARD_SWISH" => Op::Function(Function::HardSwish),
            "ELU" => Op::Function(Function::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 }),
            "GELU" => match told(operator.gelu_options()?, GeluOptions::approximate)? {
                Some(true) => Op::Function(Function::GeluTanh),
                _ => Op::Function(Function::Gelu),
            },
            "RELU_N1_TO_1" => Op::Function(Function::Clip { low: -1.0, high: 1.0 }),
            "RELU_0_TO_1" => Op::Function(Function::Clip { low: 0.0, high: 1.0 }),
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
            "STRIDED_SLICE" => {
                let computed = "where it begins, ends, or goes is computed";
                let told = [constants(1)?, constants(2)?, constants(3)?];
                let [Some(begins), Some(ends), Some(steps)] = told else {
                    return Err(computed.into());
                };
                match sliced(operator, &dims(self.tensor(first)?)?, [&begins, &ends, &steps])? {
                    Some((axis, picked)) => Op::Pick { axis, picked },
                    None => Op::Identity,
                }
            }
            "MEAN" => {
                let keep = told(operator.reducer_options()?, ReducerOptions::keep_dims)?;
                let axes = constants(1)?.filter(|axes| !axes.is_empty());
                let axes = axes.ok_or("it is a mean over all dimensions, or over computed ones")?;
                Op::Mean { axes, keep: keep.unwrap_or(false) }
            }
            "CONV_2D" | "DEPTHWISE_CONV_2D" => {
                let weights = weights("its kernel")?;
                let image = dims(self.tensor(first)?)?;
                let depthwise = op_type != "CONV_2D";
                tflite_window::convolution(operator, weights, bias()?, depthwise, &image)?
            }
            "AVERAGE_POOL_2D" | "MAX_POOL_2D" => {
                let image = dims(self.tensor(first)?)?;
                tflite_window::pool(operator, &image, op_type == "AVERAGE_POOL_2D")?
            }
            "FULLY_CONNECTED" => {
                if told(operator.options()?, Options::weights_format)?.unwrap_or(0) != 0 {
                    return Err("its weights are shuffled".into());
                }
                let weights = weights("its matrix")?;
                if weights.matrix().is_none() {
                    return Err("its weights are not a matrix".into());
                }
                let keeps = told(operator.options()?, Options::keep_num_dims)?.unwrap_or(false);
                if keeps && dims(self.tensor(output)?)?.len() > 2 {
                    return Err("it keeps dimensions before the last one; flatten before it".into());
                }
                Op::Dense { weights, bias: bias()? }
            }
            "ADD" | "SUB" | "MUL" | "DIV" => {
                let second = operand(1)?.ok_or("it has one input")?;
                let (data, constant, constant_first) =
                    match (self.is_constant(first)?, self.is_constant(second)?) {
                        (false, false) if matches!(op_type, "ADD" | "SUB") => {
                            return Ok((Op::Add, vec![first, second]));
                        }
                        (false, false) if op_type == "MUL" => {
                            return Ok((Op::Product, vec![first, second]));
                        }
                        (true, false) => (second, first, true),
                        (false, true) => (first, second, false),
                        _ => return Err("both operands are computed".into()),
                    };
                let constant = self.number(constant, "one of its operands")?;
                return Ok((Op::elementwise(op_type, &constant, constant_first)?, vec![data]));
            }
            _ => return Err(Refused::Node(None)),
        };
        if self.is_constant(first)? {
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
        let Some(data) = self.data(index)? else { return Ok(None) };
        Ok(tflite_tensor::wholes(self.tensor(index)?.kind()?.unwrap_or(FLOAT32), data))
    }

    fn index(&self, index: i32) -> Result<ValueId, GraphError> {
        let index = usize::try_from(index).ok().filter(|&index| index < self.tensors.len());
        index.ok_or_else(|| corrupt("an operator refers to an undeclared value"))
    }

    fn tensor(&self, index: ValueId) -> Result<TensorInfo<'a>, GraphError> {
        let tensor = self.tensors.get(index).copied();
        tensor.ok_or_else(|| corrupt("an operator refers to an undeclared value"))
    }

    /// The bytes of a constant; nothing if it is computed.
    fn data(&self, index: ValueId) -> Result<Option<&'a [u8]>, GraphError> {
        let info = self.tensor(index)?;
        let buffer = usize::try_from(info.buffer()?.unwrap_or(0)).unwrap_or(usize::MAX);
        if buffer == 0 {
            return Ok(None);
        }
        let name = info.name()?.unwrap_or_default();
        let buffer = self
            .buffers
            .get(buffer)
            .ok_or_else(|| corrupt(format!("tensor `{name}` refers to an undeclared buffer")))?;
        if buffer.offset()?.unwrap_or(0) > 1 {
            return Err(GraphError::ExternalData(name.to_owned()));
        }
        Ok(buffer.data()?.filter(|data| !data.is_empty()))
    }

    fn is_constant(&self, index: ValueId) -> Result<bool, GraphError> {
        Ok(self.made.contains_key(&index) || self.data(index)?.is_some())
    }

    /// The numbers of a constant; `what` is it to the operator.
    fn number(&self, index: ValueId, what: &str) -> Result<Tensor, Refused> {
        if let Some(tensor) = self.made.get(&index) {
            return Ok(tensor.clone());
        }
        let data = self.data(index)?.ok_or_else(|| format!("{what} is computed"))?;
        let info = self.tensor(index)?;
        match tflite_tensor::numbers(info, dims(info)?, data) {
            Err(Refused::Node(Some(reason))) => Err(format!("{what} {reason}").into()),
            numbers => numbers,
        }
    }
}

/// Rows and columns of zeros.
type Size = (usize, usize);

fn dims(info: TensorInfo<'_>) -> Result<Vec<usize>, GraphError> {
    let dims = info.shape()?.map_or_else(Vec::new, |shape| shape.iter().collect::<Vec<i32>>());
    // A scalar has no dimensions; an open batch is -1 in `shape_signature` and 1 here.
    dims.into_iter()
        .map(|dim| usize::try_from(dim).map_err(|_| corrupt("a tensor has a negative dimension")))
        .collect()
}
