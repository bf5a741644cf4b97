//! In which steps an ONNX file counts a value: `QuantizeLinear`, and `DequantizeLinear` behind it.

use std::collections::HashMap;

use super::error::Refused;
use super::onnx_fold::Constants;
use super::onnx_proto::{GraphProto, INT8, INT16, NodeProto, UINT8, UINT16};
use super::steps::Steps;

/// Quantised values of a graph, and the types of its constants, by name.
#[derive(Default)]
pub(super) struct Quantised<'a> {
    kinds: HashMap<&'a str, i32>,
    counted: HashMap<&'a str, (Steps, i64)>,
}

impl<'a> Quantised<'a> {
    /// Notes the types of a graph's constants and inputs.
    pub(super) fn new(graph: &'a GraphProto) -> Self {
        let constants = graph.initializer.iter().map(|tensor| (&*tensor.name, tensor.data_type));
        let made = graph.node.iter().filter_map(|node| {
            let tensor = node.find("value").and_then(|attribute| attribute.t.as_ref())?;
            Some((&**node.output.first()?, tensor.data_type))
        });
        Self { kinds: constants.chain(made).collect(), counted: HashMap::new() }
    }

    /// The steps of a node's scale and zero point.
    fn told(&self, node: &NodeProto, constants: &Constants<'_>) -> Result<(Steps, i64), Refused> {
        if node.integer("block_size", 0) != 0 {
            return Err("it has scales for blocks".into());
        }
        let scale = constants.float(node.given(1), "its scale")?;
        let [scale] = scale.values.as_slice() else {
            let count = scale.values.len();
            return Err(format!("it has {count} scales where a computed value has one").into());
        };
        let zero = match node.given(2) {
            None => 0,
            Some(name) => match constants.integers(Some(name)) {
                Some(&[zero]) => zero,
                _ => return Err("its zero point is not one whole number".into()),
            },
        };
        let kind = node.given(2).and_then(|name| self.kinds.get(name)).copied();
        if node.given(2).is_some() && kind.is_none() {
            return Err("the type of its zero point is not known: export it as a constant".into());
        }
        let told = i32::try_from(node.integer("output_dtype", 0)).unwrap_or(0);
        let words = match kind.unwrap_or(if told == 0 { UINT8 } else { told }) {
            UINT8 => (0, u8::MAX.into()),
            INT8 => (i8::MIN.into(), i8::MAX.into()),
            INT16 | UINT16 => {
                return Err("it counts in words of 16 bits; export with activations of 8".into());
            }
            _ => return Err("it counts in words that are neither int8 nor uint8".into()),
        };
        let steps = Steps::new(*scale, zero, words).map_err(|refused| match refused {
            Refused::Node(Some(reason)) => format!("it {reason}").into(),
            refused => refused,
        })?;
        Ok((steps, zero))
    }

    /// What `QuantizeLinear` of a computed value rounds it to.
    ///
    /// # Errors
    /// [`Refused`] if there are no such steps.
    pub(super) fn round(
        &mut self,
        node: &'a NodeProto,
        constants: &Constants<'_>,
    ) -> Result<Steps, Refused> {
        let told = self.told(node, constants)?;
        if let Some(output) = node.output.first() {
            self.counted.insert(output, told);
        }
        Ok(told.0)
    }

    /// Checks that `DequantizeLinear` of a computed value undoes what was done before.
    ///
    /// # Errors
    /// [`Refused`] if it does not.
    pub(super) fn undone(
        &self,
        node: &NodeProto,
        constants: &Constants<'_>,
    ) -> Result<(), Refused> {
        let told = self.told(node, constants)?;
        match node.given(0).and_then(|name| self.counted.get(name)) {
            Some(counted) if *counted == told => Ok(()),
            Some(_) => Err("its scale and zero point are not those of the QuantizeLinear before \
                            it; export again"
                .into()),
            None => Err("what it takes does not come from QuantizeLinear; export in the form of \
                         QuantizeLinear and DequantizeLinear around operators of floating point"
                .into()),
        }
    }
}
