//! The trained network as an ONNX file, written the way PyTorch does: `Gemm` with transposed
//! weights, `Relu`.

use prost::Message as _;
use sharelet_import::onnx_proto::{
    ATTRIBUTE_INT, AttributeProto, DimensionProto, FLOAT, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

use crate::train::{Network, WIDTHS};

/// The bytes of the file.
#[must_use]
pub fn onnx(network: &Network) -> Vec<u8> {
    let mut graph = GraphProto {
        name: "vibration".to_owned(),
        input: vec![value("features", WIDTHS[0])],
        output: vec![value("states", WIDTHS[3])],
        ..Default::default()
    };
    let mut current = "features".to_owned();
    for (index, layer) in network.layers.iter().enumerate() {
        let last = index + 1 == network.layers.len();
        let (weight, bias) = (format!("dense{index}.weight"), format!("dense{index}.bias"));
        graph.initializer.push(tensor(&weight, &[layer.bias.len(), layer.inputs], &layer.weights));
        graph.initializer.push(tensor(&bias, &[layer.bias.len()], &layer.bias));
        let output = if last { "states".to_owned() } else { format!("dense{index}.output") };
        graph.node.push(NodeProto {
            input: vec![current, weight, bias],
            output: vec![output.clone()],
            name: format!("dense{index}"),
            op_type: "Gemm".to_owned(),
            attribute: vec![AttributeProto {
                name: "transB".to_owned(),
                i: 1,
                r#type: ATTRIBUTE_INT,
                ..Default::default()
            }],
            ..Default::default()
        });
        current = output;
        if !last {
            let output = format!("relu{index}.output");
            graph.node.push(NodeProto {
                input: vec![current],
                output: vec![output.clone()],
                name: format!("relu{index}"),
                op_type: "Relu".to_owned(),
                ..Default::default()
            });
            current = output;
        }
    }
    let model = ModelProto {
        ir_version: 8,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..Default::default()
    };
    model.encode_to_vec()
}

/// A float32 matrix whose first dimension is open.
fn value(name: &str, width: usize) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some("batch".to_owned()) };
    let width = DimensionProto { dim_value: i64::try_from(width).ok(), dim_param: None };
    let shape = Some(TensorShapeProto { dim: vec![batch, width] });
    let tensor_type = Some(TensorTypeProto { elem_type: FLOAT, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

#[allow(clippy::cast_possible_truncation)]
fn tensor(name: &str, dims: &[usize], values: &[f64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.iter().filter_map(|&dim| i64::try_from(dim).ok()).collect(),
        data_type: FLOAT,
        raw_data: values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
        ..Default::default()
    }
}
