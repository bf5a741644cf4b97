//! Dimensions that a file computes, as far as they say no more than the batch's own: those that a
//! value is reshaped to, and those of constants whose numbers are all the same.

use std::collections::HashMap;

use super::graph::ValueId;
use super::onnx_fold::Constants;
use super::onnx_proto::NodeProto;
use super::onnx_tensor::{self, Constant};

/// A list of dimensions that begins with the batch of a value.
#[derive(Clone)]
pub(super) struct List {
    /// The value.
    pub(super) of: ValueId,
    /// The dimensions, of which zero is the batch.
    pub(super) dims: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Sizes<'a> {
    /// Dimensions of values.
    shapes: HashMap<&'a str, ValueId>,
    lists: HashMap<&'a str, List>,
    /// Numbers that values are made of which nobody knows how many there are.
    uniform: HashMap<&'a str, f64>,
}

impl<'a> Sizes<'a> {
    /// Notes what a node tells of sizes; `taken` is the value that it takes.
    pub(super) fn note(&mut self, node: &'a NodeProto, constants: &Constants<'a>, taken: ValueId) {
        let Some(output) = node.output.first().map(String::as_str) else { return };
        if node.op_type == "Shape" && node.attribute.is_empty() {
            self.shapes.insert(output, taken);
        }
        let list = self.list(node, constants);
        self.lists.extend(list.map(|list| (output, list)));
        let value = self.same(node, constants);
        self.uniform.extend(value.map(|value| (output, value)));
    }

    /// The dimensions of this name, as `view(x.size(0), -1)` is written.
    pub(super) fn of(&self, name: Option<&str>) -> Option<&List> {
        self.lists.get(name?)
    }

    /// The number that a value is made of, however large it is: what recurrent cells begin with,
    /// for any batch.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.uniform.get(name).copied()
    }

    fn list(&self, node: &NodeProto, constants: &Constants<'a>) -> Option<List> {
        let first = node.given(0)?;
        match node.op_type.as_str() {
            "Gather" => {
                let &of = self.shapes.get(first)?;
                let places = constants.integers(node.given(1))?;
                (places == [0]).then(|| List { of, dims: vec![0] })
            }
            "Unsqueeze" | "Squeeze" | "Cast" | "Identity" => self.lists.get(first).cloned(),
            "Concat" => {
                let List { of, dims } = self.lists.get(first).filter(|list| list.dims == [0])?;
                let rest = node.input.iter().skip(1);
                let rest = rest.map(|name| constants.integers(Some(name)));
                let rest = rest.collect::<Option<Vec<&[i64]>>>()?.concat();
                Some(List { of: *of, dims: [dims.clone(), rest].concat() })
            }
            _ => None,
        }
    }

    fn same(&self, node: &NodeProto, constants: &Constants<'a>) -> Option<f64> {
        let first = node.given(0)?;
        let of = |constant: &Constant| match constant {
            Constant::Float(tensor) => {
                let (first, rest) = tensor.values.split_first()?;
                rest.iter().all(|value| value == first).then_some(*first)
            }
            _ => None,
        };
        match node.op_type.as_str() {
            "ConstantOfShape" => {
                let value = node.find("value").and_then(|attribute| attribute.t.as_ref());
                value.map_or(Some(0.0), |value| of(&onnx_tensor::constant(value).ok()?))
            }
            "Expand" | "Identity" | "Slice" | "Squeeze" | "Unsqueeze" | "Reshape" | "Transpose" => {
                let known = constants.get(first).and_then(of);
                known.or_else(|| self.number(first))
            }
            _ => None,
        }
    }
}
