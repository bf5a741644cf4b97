//! A network that was trained here as an ONNX file, written the way PyTorch does.
//!
//! `Gemm` with transposed weights, `Conv`, `BatchNormalization`, `Relu`, `MaxPool`, `AveragePool`,
//! and `Flatten` or `Reshape` between images and vectors. The input is `input`,
//! `[batch, channels, rows, columns]`, or `[batch, values]` where the network begins with a dense
//! layer on a plain vector; the output is `output`, `[batch, outputs]`: what the last layer gives,
//! without softmax or sigmoid.

use prost::Message as _;

use super::onnx_proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, DimensionProto, FLOAT,
    GraphProto, INT64, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use sharelet_train::network::{Layer, NORM_EPSILON, Network, NetworkError, Shape, Window};
use sharelet_train::parameters::{LayerParameters, Parameters};

/// Why no file is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Layers do not fit each other.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Parameters of another network.
    #[error("the parameters are not those of this network; take both from the same configuration")]
    Parameters,
    /// NaN or an infinity among the parameters of a layer, from 1.
    #[error(
        "layer {0} has a weight or bias that is not a finite number; training has diverged: \
         train again"
    )]
    NotFinite(usize),
}

/// The bytes of the file. `name` is that of the graph.
///
/// # Errors
/// If network and parameters do not fit each other, or a parameter is not finite.
pub fn onnx(
    network: &Network,
    parameters: &Parameters<f32>,
    name: &str,
) -> Result<Vec<u8>, WriteError> {
    let shapes = network.shapes()?;
    if !parameters.fit(network) {
        return Err(WriteError::Parameters);
    }
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let sound = |layer: &LayerParameters<f32>| {
        [&layer.weights, &layer.biases, &layer.statistics].into_iter().all(|values| finite(values))
    };
    if let Some(index) = parameters.layers.iter().position(|layer| !sound(layer)) {
        return Err(WriteError::NotFinite(index + 1));
    }
    let flat =
        !is_image(network.input) && !matches!(first_sized(network), Some(layer) if slides(layer));
    let mut writer = Writer {
        graph: GraphProto { name: name.to_owned(), ..Default::default() },
        current: "input".to_owned(),
        flat,
    };
    for (index, ((layer, shape), values)) in
        network.layers.iter().zip(&shapes).zip(&parameters.layers).enumerate()
    {
        match layer {
            Layer::Dense { outputs } => {
                writer.flatten(index);
                let constants = [
                    tensor(
                        format!("dense{index}.weight"),
                        &[*outputs, shape.elems()],
                        &values.weights,
                    ),
                    tensor(format!("dense{index}.bias"), &[*outputs], &values.biases),
                ];
                let transposed = AttributeProto {
                    name: "transB".to_owned(),
                    i: 1,
                    r#type: ATTRIBUTE_INT,
                    ..Default::default()
                };
                writer.node("Gemm", format!("dense{index}"), constants, vec![transposed]);
            }
            Layer::Convolution { filters, window } => {
                writer.image(index, *shape);
                let dims = [*filters, shape.channels, window.kernel.0, window.kernel.1];
                let constants = [
                    tensor(format!("convolution{index}.weight"), &dims, &values.weights),
                    tensor(format!("convolution{index}.bias"), &[*filters], &values.biases),
                ];
                let mut attributes = sizes(window);
                let (down, across) = window.padding;
                attributes.push(integers("pads", &[down, across, down, across]));
                writer.node("Conv", format!("convolution{index}"), constants, attributes);
            }
            Layer::Relu => writer.node("Relu", format!("relu{index}"), [], Vec::new()),
            Layer::MaxPool(window) => {
                writer.image(index, *shape);
                writer.node("MaxPool", format!("maxpool{index}"), [], sizes(window));
            }
            Layer::AveragePool(window) => {
                writer.image(index, *shape);
                writer.node("AveragePool", format!("averagepool{index}"), [], sizes(window));
            }
            Layer::BatchNorm => {
                let (means, variances) = values.statistics.split_at(shape.channels);
                let constants = [
                    ("weight", &values.weights[..]),
                    ("bias", &values.biases[..]),
                    ("mean", means),
                    ("variance", variances),
                ]
                .map(|(name, values)| {
                    tensor(format!("batchnorm{index}.{name}"), &[shape.channels], values)
                });
                #[allow(clippy::cast_possible_truncation)]
                let epsilon = AttributeProto {
                    name: "epsilon".to_owned(),
                    f: NORM_EPSILON as f32,
                    r#type: ATTRIBUTE_FLOAT,
                    ..Default::default()
                };
                writer.node(
                    "BatchNormalization",
                    format!("batchnorm{index}"),
                    constants,
                    vec![epsilon],
                );
            }
        }
    }
    writer.flatten(network.layers.len());
    let outputs = shapes.last().map_or(0, Shape::elems);
    Ok(writer.finish(network.input, flat, outputs))
}

fn is_image(shape: Shape) -> bool {
    (shape.height, shape.width) != (1, 1)
}

fn slides(layer: &Layer) -> bool {
    matches!(layer, Layer::Convolution { .. } | Layer::MaxPool(_) | Layer::AveragePool(_))
}

/// The first layer that cares how its input is laid out.
fn first_sized(network: &Network) -> Option<&Layer> {
    network.layers.iter().find(|layer| !matches!(layer, Layer::Relu | Layer::BatchNorm))
}

struct Writer {
    graph: GraphProto,
    /// The value that the next node takes.
    current: String,
    /// Whether it has two dimensions, and not four.
    flat: bool,
}

impl Writer {
    fn node<const N: usize>(
        &mut self,
        op_type: &str,
        name: String,
        constants: [TensorProto; N],
        attribute: Vec<AttributeProto>,
    ) {
        let output = format!("{name}.output");
        let mut input = vec![core::mem::replace(&mut self.current, output.clone())];
        input.extend(constants.iter().map(|constant| constant.name.clone()));
        self.graph.initializer.extend(constants);
        let op_type = op_type.to_owned();
        self.graph.node.push(NodeProto {
            input,
            output: vec![output],
            name,
            op_type,
            attribute,
            ..Default::default()
        });
    }

    fn flatten(&mut self, index: usize) {
        if !core::mem::replace(&mut self.flat, true) {
            self.node("Flatten", format!("flatten{index}"), [], Vec::new());
        }
    }

    /// Four dimensions for a layer that slides a window; 0 keeps the number of samples.
    fn image(&mut self, index: usize, shape: Shape) {
        if core::mem::replace(&mut self.flat, false) {
            let dims = [0, shape.channels, shape.height, shape.width];
            let constant = TensorProto {
                name: format!("reshape{index}.shape"),
                dims: vec![4],
                data_type: INT64,
                raw_data: dims.iter().flat_map(|&dim| whole(dim).to_le_bytes()).collect(),
                ..Default::default()
            };
            self.node("Reshape", format!("reshape{index}"), [constant], Vec::new());
        }
    }

    fn finish(mut self, input: Shape, flat: bool, outputs: usize) -> Vec<u8> {
        let dims = if flat {
            vec![input.elems()]
        } else {
            vec![input.channels, input.height, input.width]
        };
        self.graph.input = vec![value("input", &dims)];
        self.graph.output = vec![value("output", &[outputs])];
        if let Some(last) = self.graph.node.last_mut() {
            last.output = vec!["output".to_owned()];
        }
        let model = ModelProto {
            ir_version: 8,
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        };
        model.encode_to_vec()
    }
}

/// Sizes are at most [`sharelet_train::network::MAX_ELEMS`].
fn whole(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn integers(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| whole(value)).collect();
    AttributeProto { name: name.to_owned(), ints, r#type: ATTRIBUTE_INTS, ..Default::default() }
}

fn sizes(window: &Window) -> Vec<AttributeProto> {
    let pair = |name, (down, across)| integers(name, &[down, across]);
    vec![pair("kernel_shape", window.kernel), pair("strides", window.stride)]
}

/// A float32 tensor whose first dimension is open.
fn value(name: &str, dims: &[usize]) -> ValueInfoProto {
    let open = DimensionProto { dim_value: None, dim_param: Some("batch".to_owned()) };
    let sized =
        dims.iter().map(|&dim| DimensionProto { dim_value: Some(whole(dim)), dim_param: None });
    let shape = Some(TensorShapeProto { dim: core::iter::once(open).chain(sized).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: FLOAT, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

fn tensor(name: String, dims: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name,
        dims: dims.iter().map(|&dim| whole(dim)).collect(),
        data_type: FLOAT,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}
