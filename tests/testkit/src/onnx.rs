//! ONNX files made by hand.
#![allow(missing_docs)]

use prost::Message as _;
use sharelet_import::onnx_proto::*;

pub fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        raw_data,
        ..Default::default()
    }
}

pub fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: format!("{op_type}_{output}"),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: ATTRIBUTE_INT, ..Default::default() }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, ..Default::default() }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: ints.to_vec(), ..Default::default() }
}

/// A constant of whole numbers: a shape, or axes.
pub fn shape(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: INT64,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

pub fn with(node: NodeProto, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto { attribute, ..node }
}

pub fn value(name: &str, width: i64) -> ValueInfoProto {
    let batch = DimensionProto { dim_param: Some("batch".into()), dim_value: None };
    let dim = vec![batch, DimensionProto { dim_value: Some(width), dim_param: None }];
    let tensor_type =
        Some(TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A model from `x` of `width` to `y`.
pub fn model(width: i64, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let (input, output) = (vec![value("x", width)], vec![value("y", 0)]);
    ModelProto {
        ir_version: 8,
        graph: Some(GraphProto { node, initializer, input, output, name: "g".into() }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 12 }],
        ..Default::default()
    }
}

pub fn bytes(width: i64, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
    encoded(&model(width, node, initializer))
}

pub fn encoded(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
