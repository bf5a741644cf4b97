//! Nodes of ONNX's standard operator set, and what each of them computes.

use super::error::Refused;
use super::function::Function;
use super::graph::{Op, Pool};
use super::onnx_fold::Constants;
use super::onnx_proto::{DOUBLE, FLOAT, NodeProto};
use super::{onnx_opset, onnx_window, pad};

/// What a node computes, and of which values.
pub(super) struct Found<'a> {
    pub(super) op: Op,
    /// Computed inputs; constants are in `op`.
    pub(super) data: Vec<&'a str>,
    /// Whether the second of them is subtracted, and not added.
    pub(super) subtracts: bool,
}

/// A node, or why it cannot be computed.
pub(super) fn read<'a>(
    node: &'a NodeProto,
    constants: &Constants<'a>,
    version: i64,
) -> Result<Found<'a>, Refused> {
    onnx_opset::check(node, version)?;
    let reader = Reader { node, constants, version };
    let first = node.given(0).ok_or("it has no input")?;
    if matches!(node.op_type.as_str(), "Add" | "Sub" | "Mul" | "Div" | "Sum") {
        return reader.pair(first);
    }
    if node.op_type == "Concat" {
        let data: Vec<&str> = node.input.iter().map(String::as_str).collect();
        if data.iter().any(|name| name.is_empty() || constants.has(name)) {
            return Err("it joins computed values with constants".into());
        }
        let axis = node.integer("axis", 1);
        return Ok(Found { op: Op::Concat { axis }, data, subtracts: false });
    }
    let op = reader.op()?;
    if constants.has(first) {
        return Err("its first input is constant and another one is computed".into());
    }
    Ok(Found { op, data: vec![first], subtracts: false })
}

/// Rows and columns of zeros.
type Size = (usize, usize);

/// How many zeros a padding puts above and left of an image, and below and right of it.
pub(super) fn pad(
    node: &NodeProto,
    constants: &Constants<'_>,
    version: i64,
) -> Result<(Size, Size), Refused> {
    onnx_opset::check(node, version)?;
    let is_zero = match node.given(2) {
        Some(_) => {
            let value = constants.float(node.given(2), "what it pads with")?;
            value.values.iter().all(|&value| value == 0.0)
        }
        None => node.real("value", 0.0) == 0.0,
    };
    if node.text("mode", "constant") != "constant" || !is_zero {
        return Err(pad::OTHER.into());
    }
    let pads = node.integers("pads").or_else(|| constants.integers(node.given(1)));
    let pads = pads.ok_or("how much it pads is computed")?;
    let pads: Vec<usize> = pads
        .iter()
        .map(|&pad| usize::try_from(pad).ok())
        .collect::<Option<_>>()
        .ok_or("it cuts the image, and does not pad it")?;
    let (before, after) = pads.split_at(pads.len() / 2);
    let around = |pads: &[usize]| match (node.given(3), pads) {
        (None, &[0, 0, down, across]) => Some((down, across)),
        (None, &[0, 0, across]) => Some((0, across)),
        (None, pads) if pads.iter().all(|&pad| pad == 0) => Some((0, 0)),
        (axes, &[down, across]) if constants.integers(axes) == Some(&[2, 3]) => {
            Some((down, across))
        }
        _ => None,
    };
    let both = around(before).zip(around(after)).filter(|_| before.len() == after.len());
    Ok(both.ok_or("it pads other dimensions than rows and columns")?)
}

/// A function with parameters that are computed with.
fn valid(function: Function) -> Result<Function, Refused> {
    match function.is_valid() {
        true => Ok(function),
        false => Err("it has parameters that are not computed with: those that bend or scale it \
                      are positive, and none is beyond 4096"
            .into()),
    }
}

struct Reader<'r, 'a> {
    node: &'a NodeProto,
    constants: &'r Constants<'a>,
    version: i64,
}

impl<'a> Reader<'_, 'a> {
    fn op(&self) -> Result<Op, Refused> {
        let (node, constants) = (self.node, self.constants);
        let input = |index| node.given(index);
        Ok(match node.op_type.as_str() {
            "Relu" => Op::Relu,
            "LeakyRelu" => {
                let slope = vec![node.real("alpha", f64::from(0.01_f32))];
                Op::LeakyRelu { slope, dims: None }
            }
            "PRelu" => {
                let slope = constants.float(input(1), "its slope")?;
                Op::LeakyRelu { slope: slope.values.clone(), dims: Some(slope.dims.clone()) }
            }
            "Neg" => Op::Elementwise { scale: vec![-1.0], offset: vec![0.0], dims: None },
            "Flatten" if node.integer("axis", 1) == 1 => Op::Reshape { dims: Some(vec![-1]) },
            "Flatten" => Op::Reshape { dims: None },
            "Reshape" => onnx_window::reshape(constants.integers(input(1))),
            "Squeeze" if input(1).is_some() && constants.integers(input(1)).is_none() => {
                return Err("its axes are computed".into());
            }
            "Squeeze" => Op::Squeeze(constants.axes(node, input(1)).unwrap_or(&[]).to_vec()),
            "Unsqueeze" => {
                let axes = constants.axes(node, input(1)).ok_or("its axes are computed")?;
                Op::Unsqueeze(axes.to_vec())
            }
            "Transpose" => {
                return Err("it turns the order of all dimensions, the batch among them".into());
            }
            "Conv" => {
                let bias = input(2).map(|bias| constants.float(Some(bias), "the bias"));
                let kernel = constants.float(input(1), "the kernel")?;
                onnx_window::convolution(node, kernel, bias.transpose()?)?
            }
            "AveragePool" => onnx_window::pool(node, true)?,
            "MaxPool" => onnx_window::pool(node, false)?,
            "GlobalAveragePool" => Op::AveragePool(Pool::WHOLE),
            "ReduceMean" => onnx_window::mean(node, constants.axes(node, input(1)).unwrap_or(&[]))?,
            "Clip" => self.clip(input(1), input(2))?,
            // Functions of an answer that whoever gets it can compute.
            "Softmax" | "LogSoftmax" => {
                let trailing = self.version < 13;
                let axis = node.integer("axis", if trailing { 1 } else { -1 });
                Op::Softmax { axis, trailing, log: node.op_type == "LogSoftmax" }
            }
            "ArgMax" => Op::Last,
            "Pow" => {
                let power = constants.float(input(1), "its exponent")?;
                match power.values.as_slice() {
                    &[power] => Op::Power(power),
                    _ => return Err("its exponent is not one number".into()),
                }
            }
            "Identity" => Op::Identity,
            "Dropout" if input(2).is_none() => Op::Identity,
            "Cast" if [FLOAT, DOUBLE].map(i64::from).contains(&node.integer("to", 0)) => {
                Op::Identity
            }
            "Cast" => Op::Last,
            "Gemm" => self.gemm(input(1), input(2))?,
            "MatMul" => {
                let weights = constants.float(input(1), "the right-hand matrix")?;
                let weights = weights.transposed().ok_or("the right-hand side is not a matrix")?;
                Op::Dense { weights, bias: None }
            }
            "BatchNormalization" => self.batch_normalization()?,
            _ => Op::Function(self.function()?),
        })
    }

    /// An activation function that is no ReLU.
    fn function(&self) -> Result<Function, Refused> {
        let node = self.node;
        // Defaults are in single precision, as attributes are.
        let real = |name: &str, default: f32| node.real(name, f64::from(default));
        let elu = |alpha, gamma, width| Function::Elu { alpha, gamma, width };
        let function = match node.op_type.as_str() {
            "Sigmoid" => Function::Sigmoid,
            "Tanh" => Function::Tanh,
            "Erf" => Function::Erf,
            "Gelu" => match node.text("approximate", "none") {
                "none" => Function::Gelu,
                "tanh" => Function::GeluTanh,
                _ => return Err("its approximation is not known".into()),
            },
            "Swish" => Function::Silu { beta: real("alpha", 1.0) },
            "HardSwish" => Function::HardSwish,
            "HardSigmoid" => {
                Function::HardSigmoid { alpha: real("alpha", 0.2), beta: real("beta", 0.5) }
            }
            "Elu" => elu(real("alpha", 1.0), 1.0, 1.0),
            "Selu" => elu(real("alpha", 1.673_263_2), real("gamma", 1.050_701), 1.0),
            "Celu" => {
                let alpha = real("alpha", 1.0);
                elu(alpha, 1.0, alpha)
            }
            "Softplus" => Function::Softplus,
            "Softsign" => Function::Softsign,
            "Mish" => Function::Mish,
            _ => return Err(Refused::Node(None)),
        };
        valid(function)
    }

    /// Of two values, of which one may be constant.
    fn pair(&self, first: &'a str) -> Result<Found<'a>, Refused> {
        let kind = match self.node.op_type.as_str() {
            "Sum" if self.node.input.len() != 2 => return Err("it is not of two values".into()),
            "Sum" => "Add",
            kind => kind,
        };
        let second = self.node.given(1).ok_or("it has one input")?;
        let both = [first, second].iter().all(|name| !self.constants.has(name));
        if both && matches!(kind, "Add" | "Sub" | "Mul") {
            let op = if kind == "Mul" { Op::Product } else { Op::Add };
            let subtracts = kind == "Sub";
            return Ok(Found { op, data: vec![first, second], subtracts });
        }
        let constant_first = self.constants.has(first);
        let (data, operand) = if constant_first { (second, first) } else { (first, second) };
        let operand = self.constants.float(Some(operand), "one of the two operands")?;
        let op = Op::elementwise(kind, operand, constant_first)?;
        Ok(Found { op, data: vec![data], subtracts: false })
    }

    /// Limits: attributes in old operator sets, inputs in new ones.
    fn clip(&self, low: Option<&str>, high: Option<&str>) -> Result<Op, Refused> {
        let limit = |name: Option<&str>, attribute: &str, none: f64| match name {
            Some(name) => self
                .constants
                .float(Some(name), "a limit")
                .map(|tensor| tensor.values.first().copied().unwrap_or(none)),
            None => Ok(self.node.real(attribute, none)),
        };
        match (limit(low, "min", f64::MIN)?, limit(high, "max", f64::MAX)?) {
            (low, high) if low == 0.0 && high == 6.0 => Ok(Op::Relu6),
            (low, high) if low == 0.0 && high >= f64::from(f32::MAX) => Ok(Op::Relu),
            (low, high) => {
                let clip = Function::Clip { low, high };
                let refused = "it has one limit that is not 0, or limits beyond 4096";
                if clip.is_valid() { Ok(Op::Function(clip)) } else { Err(refused.into()) }
            }
        }
    }

    fn gemm(&self, weights: Option<&str>, bias: Option<&str>) -> Result<Op, Refused> {
        let node = self.node;
        let (alpha, beta) = (node.real("alpha", 1.0), node.real("beta", 1.0));
        if node.integer("transA", 0) != 0 {
            return Err("it transposes the computed matrix".into());
        }
        let weights = self.constants.float(weights, "matrix B")?;
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
                let bias = self.constants.float(Some(bias), "the summand C")?.vector();
                let bias = bias.ok_or("C is not a vector")?;
                let bias: Vec<f64> = bias.into_iter().map(|value| beta * value).collect();
                Some(if let [one] = *bias { vec![one; outputs] } else { bias })
            }
        };
        Ok(Op::Dense { weights, bias })
    }

    fn batch_normalization(&self) -> Result<Op, Refused> {
        let node = self.node;
        let vector = |index: usize, what: &str| {
            self.constants.float(node.given(index), what).map(|tensor| tensor.values.clone())
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
}
