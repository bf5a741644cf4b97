//! Networks that were trained, written as ONNX and read by the importer: the same answers.
use prost::Message as _;
use sharelet_import::layer::Chain;
use sharelet_import::onnx_proto::ModelProto;
use sharelet_import::write::{WriteError, onnx};
use sharelet_import::{lower, onnx as reader};
use sharelet_testkit::{Rng, seed};
use sharelet_train::float::{self, Samples};
use sharelet_train::network::{Layer, Loss, Network, NetworkName, Shape, Window};
use sharelet_train::parameters::Parameters;

fn window(kernel: (usize, usize), stride: (usize, usize), padding: (usize, usize)) -> Window {
    Window { kernel, stride, padding }
}

/// Not the initial parameters: biases that are not zero count as well. Variances are positive.
fn parameters(network: &Network, rng: &mut Rng) -> Parameters<f32> {
    let mut values = Parameters::filled(network, 0.0).unwrap().map(|_| rng.real() / 8.0);
    for layer in &mut values.layers {
        let means = layer.statistics.len() / 2;
        layer.statistics.iter_mut().skip(means).for_each(|variance| *variance += 0.5);
    }
    values
}

fn read(bytes: &[u8]) -> Chain {
    lower::lower(&reader::read(bytes, None).unwrap()).unwrap()
}

fn same_answers(network: &Network, rng: &mut Rng) {
    const ROWS: usize = 5;
    let values = parameters(network, rng);
    let bytes = onnx(network, &values, "net").unwrap();
    let chain = read(&bytes);
    assert_eq!(chain.name, "net");
    let width = network.input.elems();
    let columns = network.shapes().unwrap().last().unwrap().elems();
    let targets = vec![0.0; ROWS * columns];
    let samples = Samples::new(width, rng.reals(ROWS * width), columns, targets).unwrap();
    let expected =
        float::outputs(network, &values.map(|&value| f64::from(value)), &samples).unwrap();
    let found: Vec<f64> = samples.inputs().chunks(width).flat_map(|row| chain.infer(row)).collect();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert!(largest > 1e-3, "{network:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() < 1e-9 * (1.0 + largest),
            "{network:?}: {found} {expected}"
        );
    }
}

#[test]
fn named_networks_answer_as_before() {
    let mut rng = Rng(seed());
    for name in [NetworkName::A, NetworkName::B, NetworkName::C, NetworkName::D] {
        same_answers(&Network::named(name), &mut rng);
    }
}

#[test]
fn other_networks_answer_as_before() {
    let mut rng = Rng(seed());
    let image = Shape { channels: 2, height: 7, width: 6 };
    let dense = |outputs| Layer::Dense { outputs };
    let conv = |filters, kernel, stride, padding| Layer::Convolution {
        filters,
        window: window(kernel, stride, padding),
    };
    let average = Layer::AveragePool(window((2, 3), (1, 2), (0, 0)));
    let cases = [
        (Shape::vector(9), vec![dense(1)]),
        (Shape::vector(9), vec![dense(4), Layer::Relu, dense(3)]),
        (image, vec![dense(4), Layer::Relu, dense(3)]),
        (image, vec![conv(3, (3, 2), (2, 1), (1, 1)), Layer::Relu, average, dense(5)]),
        // Images of one pixel, and a vector that becomes one.
        (Shape::vector(3), vec![conv(2, (1, 1), (1, 1), (0, 0)), Layer::Relu, dense(2)]),
        (Shape::vector(3), vec![dense(4), Layer::Relu, conv(2, (1, 1), (1, 1), (0, 0))]),
        (Shape::vector(3), vec![dense(4), Layer::BatchNorm, Layer::Relu, dense(2)]),
        (image, vec![conv(3, (3, 3), (1, 1), (1, 1)), Layer::BatchNorm, Layer::Relu, dense(2)]),
        (
            image,
            vec![
                conv(3, (3, 3), (1, 1), (0, 0)),
                Layer::Relu,
                Layer::BatchNorm,
                conv(2, (2, 2), (1, 1), (1, 1)),
                Layer::BatchNorm,
            ],
        ),
        // Ends in one pixel per channel, without a dense layer.
        (image, vec![conv(3, (7, 6), (1, 1), (0, 0))]),
    ];
    for (input, layers) in cases {
        same_answers(&Network { input, layers, loss: Loss::CrossEntropy }, &mut rng);
    }
}

#[test]
fn files_say_what_goes_in_and_out() {
    let mut rng = Rng(seed());
    let mut dims = |network: &Network| {
        let bytes = onnx(network, &parameters(network, &mut rng), "net").unwrap();
        let graph = ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap();
        let dims = |value: &sharelet_import::onnx_proto::ValueInfoProto| {
            let shape = value.r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
            let dims = shape.dim.iter().map(|dim| dim.dim_value.unwrap_or(-1));
            (value.name.clone(), dims.collect::<Vec<_>>())
        };
        let operators: Vec<String> = graph.node.iter().map(|node| node.op_type.clone()).collect();
        (dims(&graph.input[0]), dims(&graph.output[0]), operators.join(" "))
    };
    let (input, output, operators) = dims(&Network::named(NetworkName::A));
    assert_eq!((input.0.as_str(), output.0.as_str()), ("input", "output"));
    assert_eq!((input.1, output.1), (vec![-1, 1, 28, 28], vec![-1, 10]));
    assert_eq!(operators, "Flatten Gemm Relu Gemm Relu Gemm");
    let (.., operators) = dims(&Network::named(NetworkName::B));
    assert_eq!(operators, "Conv MaxPool Relu Conv MaxPool Relu Flatten Gemm Relu Gemm");
    let layers = vec![Layer::Dense { outputs: 1 }];
    let linear = Network { input: Shape::vector(9), layers, loss: Loss::Hinge };
    let (input, output, operators) = dims(&linear);
    assert_eq!((input.1, output.1, operators.as_str()), (vec![-1, 9], vec![-1, 1], "Gemm"));
}

#[test]
fn what_is_not_a_network_is_refused() {
    let network = Network::named(NetworkName::A);
    let mut values = Parameters::filled(&network, 0.0).unwrap();
    values.layers[2].biases[0] = f32::NAN;
    assert_eq!(onnx(&network, &values, "net"), Err(WriteError::NotFinite(3)));
    values.layers.pop();
    assert_eq!(onnx(&network, &values, "net"), Err(WriteError::Parameters));
    let none = Network { layers: vec![], ..network };
    assert!(matches!(onnx(&none, &values, "net"), Err(WriteError::Network(_))));
}
