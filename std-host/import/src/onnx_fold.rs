//! What ONNX nodes make of constants alone: computed at import, and no node of the network.

use std::collections::HashMap;

use super::array::{Array, elems, steps_along};
use super::error::{GraphError, Refused};
use super::graph::Tensor;
use super::onnx_proto::{DOUBLE, FLOAT, INT32, INT64, NodeProto};
use super::onnx_tensor::{Constant, constant};
use super::{onnx_opset, onnx_window, steps};

/// Numbers that may be computed in all.
const MAX_COMPUTED: usize = 1 << 26;

/// Values that do not depend on the input, by name.
#[derive(Default)]
pub(super) struct Constants<'a> {
    known: HashMap<&'a str, Constant>,
    computed: usize,
}

/// Why a constant is not computed.
type Unknown = String;

impl<'a> Constants<'a> {
    pub(super) fn insert(&mut self, name: &'a str, constant: Constant) {
        self.known.insert(name, constant);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Constant> {
        self.known.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Constant integers.
    pub(super) fn integers(&self, name: Option<&str>) -> Option<&[i64]> {
        match name.and_then(|name| self.get(name)) {
            Some(Constant::Whole(array)) => Some(&array.values),
            _ => None,
        }
    }

    /// Axes: an attribute in old operator sets, an input in new ones.
    pub(super) fn axes<'s>(
        &'s self,
        node: &'s NodeProto,
        input: Option<&str>,
    ) -> Option<&'s [i64]> {
        node.integers("axes").or_else(|| self.integers(input))
    }

    /// A constant that must be floating-point numbers.
    pub(super) fn float(&self, name: Option<&str>, what: &str) -> Result<&Tensor, Refused> {
        match name.and_then(|name| self.get(name)) {
            Some(Constant::Float(tensor)) => Ok(tensor),
            Some(Constant::Whole(_)) => {
                Err(format!("{what} is of whole numbers, and not of floating point").into())
            }
            Some(Constant::Opaque(reason)) => Err(format!("{what} {reason}").into()),
            None => Err(format!("{what} is computed from the input or missing").into()),
        }
    }

    /// Keeps what a node makes of constants.
    pub(super) fn fold(&mut self, node: &'a NodeProto, version: i64) -> Result<(), GraphError> {
        let known = match onnx_opset::check(node, version) {
            Err(Refused::File(error)) => return Err(error),
            Err(refused) => Err(refused.to_string()),
            Ok(()) => match self.made(node) {
                Err(Refused::File(error)) => return Err(error),
                Err(Refused::Node(reason)) => {
                    Err(reason.unwrap_or_else(|| "that is not followed".to_owned()))
                }
                Ok(constant) => Ok(constant),
            },
        };
        let known = known.and_then(|constant| self.counted(node, constant));
        let opaque =
            |why| Constant::Opaque(format!("is what {} makes of constants: {why}", node.kind()));
        let known = known.unwrap_or_else(opaque);
        for name in node.output.iter().skip(1).filter(|name| !name.is_empty()) {
            let what = "is a further output of a node that computes constants".to_owned();
            self.known.insert(name, Constant::Opaque(what));
        }
        if let Some(name) = node.output.first().filter(|name| !name.is_empty()) {
            self.known.insert(name, known);
        }
        Ok(())
    }

    /// A file of few bytes must not ask for more memory than there is.
    fn counted(&mut self, node: &NodeProto, constant: Constant) -> Result<Constant, Unknown> {
        if node.op_type != "Identity" {
            self.computed += match &constant {
                Constant::Float(tensor) => tensor.values.len(),
                Constant::Whole(array) => array.values.len(),
                Constant::Opaque(_) => 0,
            };
        }
        if self.computed > MAX_COMPUTED {
            return Err(format!("more than {MAX_COMPUTED} numbers are computed in all"));
        }
        Ok(constant)
    }

    fn input(&self, node: &NodeProto, index: usize) -> Result<&Constant, Refused> {
        match node.given(index).and_then(|name| self.get(name)) {
            Some(Constant::Opaque(reason)) => Err(format!("its input {reason}").into()),
            Some(constant) => Ok(constant),
            None => Err("an input is missing".into()),
        }
    }

    fn made(&self, node: &NodeProto) -> Result<Constant, Refused> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(Refused::Node(None));
        }
        match node.op_type.as_str() {
            "Constant" => Ok(told(node)?),
            "Identity" => Ok(self.input(node, 0)?.clone()),
            "Cast" => cast(self.input(node, 0)?, node.integer("to", 0)),
            "Add" | "Sub" | "Mul" | "Div" => {
                pairs(&node.op_type, self.input(node, 0)?, self.input(node, 1)?)
            }
            "Neg" | "Sqrt" | "Reciprocal" | "Exp" => each(&node.op_type, self.input(node, 0)?),
            "Shape" => {
                let dims = match self.input(node, 0)? {
                    Constant::Float(tensor) => &tensor.dims,
                    Constant::Whole(array) => &array.dims,
                    Constant::Opaque(_) => return Err(Refused::Node(None)),
                };
                if node.find("start").is_some() || node.find("end").is_some() {
                    return Err("only some dimensions are asked for".into());
                }
                let dims = dims.iter().map(|&dim| i64::try_from(dim).ok());
                whole(dims.collect::<Option<Vec<i64>>>().ok_or("a dimension is too large")?)
            }
            "ConstantOfShape" => self.filled(node),
            "DequantizeLinear" => self.dequantised(node),
            "Concat" if node.find("axis").is_none() => Err("it does not say its axis".into()),
            "Concat" => {
                let inputs = (0..node.input.len()).map(|index| self.input(node, index));
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                joined(&inputs, node.integer("axis", 0))
            }
            _ => match self.input(node, 0)? {
                Constant::Float(tensor) => Ok(self.moved(node, tensor)?.into()),
                Constant::Whole(array) => Ok(self.moved(node, array)?.into()),
                Constant::Opaque(_) => Err(Refused::Node(None)),
            },
        }
    }

    /// The same numbers in other places or dimensions.
    fn moved<T: Copy>(&self, node: &NodeProto, array: &Array<T>) -> Result<Array<T>, Refused> {
        let (rank, second) = (array.dims.len(), node.given(1));
        let moved = match node.op_type.as_str() {
            "Transpose" => {
                let reversed: Vec<usize> = (0..rank).rev().collect();
                let told = node.integers("perm").map(|perm| {
                    perm.iter().map(|&place| usize::try_from(place).ok()).collect::<Option<_>>()
                });
                array.reordered(&told.unwrap_or(Some(reversed)).ok_or("an axis is negative")?)
            }
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                let reshape = node.op_type == "Reshape";
                let numbers = if reshape { self.integers(second) } else { self.axes(node, second) };
                if second.is_some() && numbers.is_none() {
                    return Err("its dimensions are not known".into());
                }
                let dims = onnx_window::constant(node, &array.dims, array.values.len(), numbers);
                dims.and_then(|dims| Array::new(dims, array.values.clone()))
            }
            "Gather" => {
                let Constant::Whole(places) = self.input(node, 1)? else {
                    return Err("its places are not whole numbers".into());
                };
                gathered(array, node.integer("axis", 0), places)
            }
            "Slice" => self.sliced(node, array),
            "Expand" => {
                let dims = self.integers(second).ok_or("its dimensions are not known")?;
                let dims = dims.iter().map(|&dim| usize::try_from(dim).ok());
                dims.collect::<Option<Vec<usize>>>().and_then(|dims| array.spread(&dims))
            }
            _ => return Err("that operator is not computed for constants".into()),
        };
        Ok(moved.ok_or("its dimensions do not fit, or are too many")?)
    }

    fn sliced<T: Copy>(&self, node: &NodeProto, array: &Array<T>) -> Option<Array<T>> {
        let told = |name, index| node.integers(name).or_else(|| self.integers(node.given(index)));
        let (starts, ends) = (told("starts", 1)?, told("ends", 2)?);
        let all: Vec<i64> = (0..i64::try_from(starts.len()).ok()?).collect();
        let axes = match (node.given(3).is_some(), told("axes", 3)) {
            (_, Some(axes)) => axes,
            (true, None) => return None,
            (false, None) => &all,
        };
        let ones = vec![1; starts.len()];
        let steps = match (node.given(4), self.integers(node.given(4))) {
            (_, Some(steps)) => steps,
            (Some(_), None) => return None,
            (None, None) => &ones,
        };
        if [ends.len(), axes.len(), steps.len()].iter().any(|&len| len != starts.len()) {
            return None;
        }
        let mut array = array.clone();
        for (((&start, &end), &axis), &step) in starts.iter().zip(ends).zip(axes).zip(steps) {
            let axis = place(axis, array.dims.len())?;
            let places = steps_along(*array.dims.get(axis)?, start, end, step)?;
            array = array.picked(axis, &places)?;
        }
        Some(array)
    }

    /// One number everywhere.
    fn filled(&self, node: &NodeProto) -> Result<Constant, Refused> {
        let Constant::Whole(dims) = self.input(node, 0)? else {
            return Err("its dimensions are not whole numbers".into());
        };
        let dims = dims.values.iter().map(|&dim| usize::try_from(dim).ok());
        let dims = dims.collect::<Option<Vec<usize>>>().ok_or("a dimension is negative")?;
        let count = elems(&dims).ok_or("its dimensions are too large")?;
        let value = node.find("value").and_then(|attribute| attribute.t.as_ref());
        match value.map(constant).transpose()? {
            None => Ok(Tensor { dims, values: vec![0.0; count] }.into()),
            Some(Constant::Float(one)) if one.values.len() == 1 => {
                let value = one.values.first().copied().unwrap_or(0.0);
                Ok(Tensor { dims, values: vec![value; count] }.into())
            }
            Some(Constant::Whole(one)) if one.values.len() == 1 => {
                let value = one.values.first().copied().unwrap_or(0);
                Ok(Array { dims, values: vec![value; count] }.into())
            }
            Some(_) => Err("its value is not one number".into()),
        }
    }

    /// `(x - zero) scale`, along one axis if there are several scales.
    fn dequantised(&self, node: &NodeProto) -> Result<Constant, Refused> {
        if node.integer("block_size", 0) != 0 {
            return Err("it has scales for blocks".into());
        }
        let Constant::Whole(words) = self.input(node, 0)? else {
            return Err("what it takes is not of whole numbers".into());
        };
        let scale = self.float(node.given(1), "its scale")?;
        let zero = match node.given(2) {
            None => Array { dims: vec![], values: vec![0] },
            Some(_) => match self.input(node, 2)? {
                Constant::Whole(zero) => zero.as_ref().clone(),
                _ => return Err("its zero point is not a whole number".into()),
            },
        };
        steps::check(&scale.values, &zero.values, (i32::MIN.into(), i32::MAX.into())).map_err(
            |refused| match refused {
                Refused::Node(Some(reason)) => format!("it {reason}").into(),
                refused => refused,
            },
        )?;
        let rank = words.dims.len();
        let along = |count: usize| {
            let mut dims = vec![1; rank];
            if count != 1 {
                let axis = place(node.integer("axis", 1), rank)?;
                *dims.get_mut(axis)? = count;
            }
            Some(dims)
        };
        let real = |values: &[i64], dims| {
            #[allow(clippy::cast_precision_loss)]
            let values = values.iter().map(|&value| value as f64).collect();
            Tensor::new(dims, values)
        };
        let computed = || {
            let zero = real(&zero.values, along(zero.values.len())?)?;
            let scale = Tensor::new(along(scale.values.len())?, scale.values.clone())?;
            let words = real(&words.values, words.dims.clone())?;
            let shifted = words.zipped(&zero, |word, zero| Some(word - zero))?;
            let product = shifted.zipped(&scale, |word, scale| Some(word * scale))?;
            (product.dims == words.dims).then_some(product)
        };
        Ok(computed().ok_or("its scales do not fit its values")?.into())
    }
}

fn whole(values: Vec<i64>) -> Result<Constant, Refused> {
    Ok(Array { dims: vec![values.len()], values }.into())
}

/// What a node of the kind `Constant` says.
fn told(node: &NodeProto) -> Result<Constant, Refused> {
    if let Some(tensor) = node.find("value").and_then(|attribute| attribute.t.as_ref()) {
        return Ok(constant(tensor)?);
    }
    if let Some(values) = node.integers("value_ints") {
        return whole(values.to_vec());
    }
    if let Some(value) = node.find("value_int") {
        return Ok(Array { dims: vec![], values: vec![value.i] }.into());
    }
    if let Some(values) = node.reals("value_floats") {
        return Ok(Tensor { dims: vec![values.len()], values }.into());
    }
    match node.find("value_float") {
        Some(value) => Ok(Tensor { dims: vec![], values: vec![value.f.into()] }.into()),
        None => Err("it is not of numbers".into()),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn cast(constant: &Constant, to: i64) -> Result<Constant, Refused> {
    let is = |kinds: &[i32]| kinds.iter().any(|&kind| to == i64::from(kind));
    match constant {
        Constant::Float(tensor) if is(&[DOUBLE]) => Ok(Constant::Float(tensor.clone())),
        Constant::Float(tensor) if is(&[FLOAT]) => {
            let values = tensor.values.iter().map(|&value| f64::from(value as f32)).collect();
            Ok(Tensor { dims: tensor.dims.clone(), values }.into())
        }
        Constant::Whole(array) if is(&[FLOAT, DOUBLE]) => {
            let values = array.values.iter().map(|&value| value as f64).collect();
            Ok(Tensor { dims: array.dims.clone(), values }.into())
        }
        Constant::Whole(array) if is(&[INT64]) => Ok(Constant::Whole(array.clone())),
        Constant::Whole(array)
            if is(&[INT32]) && array.values.iter().all(|&value| i32::try_from(value).is_ok()) =>
        {
            Ok(Constant::Whole(array.clone()))
        }
        _ => Err("it is cast to a type that is not computed".into()),
    }
}

fn pairs(kind: &str, first: &Constant, second: &Constant) -> Result<Constant, Refused> {
    let computed = match (first, second) {
        (Constant::Float(first), Constant::Float(second)) => {
            let f = match kind {
                "Add" => |a: f64, b: f64| Some(a + b),
                "Sub" => |a: f64, b: f64| Some(a - b),
                "Mul" => |a: f64, b: f64| Some(a * b),
                _ => |a: f64, b: f64| Some(a / b),
            };
            first.zipped(second, f).map(Constant::from)
        }
        (Constant::Whole(first), Constant::Whole(second)) => {
            let f = match kind {
                "Add" => i64::checked_add,
                "Sub" => i64::checked_sub,
                "Mul" => i64::checked_mul,
                _ => i64::checked_div,
            };
            first.zipped(second, f).map(Constant::from)
        }
        _ => None,
    };
    Ok(computed.ok_or("its operands do not fit each other")?)
}

fn each(kind: &str, constant: &Constant) -> Result<Constant, Refused> {
    let f: fn(f64) -> f64 = match kind {
        "Neg" => |value| -value,
        "Sqrt" => f64::sqrt,
        "Exp" => f64::exp,
        _ => |value| 1.0 / value,
    };
    match constant {
        Constant::Float(tensor) => {
            let values = tensor.values.iter().copied().map(f).collect();
            Ok(Tensor { dims: tensor.dims.clone(), values }.into())
        }
        _ => Err("it is not of floating point".into()),
    }
}

fn joined(inputs: &[&Constant], axis: i64) -> Result<Constant, Refused> {
    let first = inputs.first().ok_or("it has no input")?;
    let rank = match first {
        Constant::Float(tensor) => tensor.dims.len(),
        Constant::Whole(array) => array.dims.len(),
        Constant::Opaque(_) => 0,
    };
    let axis = place(axis, rank).ok_or("its axis is none")?;
    let floats: Vec<&Tensor> = inputs
        .iter()
        .filter_map(|input| if let Constant::Float(part) = input { Some(&**part) } else { None })
        .collect();
    let wholes: Vec<&Array<i64>> = inputs
        .iter()
        .filter_map(|input| if let Constant::Whole(part) = input { Some(&**part) } else { None })
        .collect();
    let joined = if floats.len() == inputs.len() {
        Array::joined(&floats, axis).map(Constant::from)
    } else if wholes.len() == inputs.len() {
        Array::joined(&wholes, axis).map(Constant::from)
    } else {
        None
    };
    Ok(joined.ok_or("its parts do not fit each other")?)
}

fn gathered<T: Copy>(array: &Array<T>, axis: i64, places: &Array<i64>) -> Option<Array<T>> {
    let axis = place(axis, array.dims.len())?;
    let length = *array.dims.get(axis)?;
    let found: Vec<usize> =
        places.values.iter().map(|&at| place(at, length)).collect::<Option<_>>()?;
    let picked = array.picked(axis, &found)?;
    let (outer, inner) = (array.dims.get(..axis)?, array.dims.get(axis + 1..)?);
    Array::new([outer, &places.dims, inner].concat(), picked.values)
}

/// A place that may be counted from the end.
fn place(place: i64, length: usize) -> Option<usize> {
    let count = i64::try_from(length).ok()?;
    let from_start = if place < 0 { place.checked_add(count)? } else { place };
    usize::try_from(from_start).ok().filter(|&place| place < length)
}
