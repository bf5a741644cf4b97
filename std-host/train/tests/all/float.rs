//! The float baseline: gradients against differences, training against closed forms.
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::assert_matches;
use sharelet_testkit::{Rng, seed};
use sharelet_train::config::{Config, Schedule, Training};
use sharelet_train::curve::Curve;
use sharelet_train::float::{self, Baseline, FloatError, Samples, SamplesError};
use sharelet_train::initial::initial;
use sharelet_train::network::{Layer, Loss, Network, Shape, Window};
use sharelet_train::parameters::Parameters;
use sharelet_train::schedule::Plan;

const DENSE3: Layer = Layer::Dense { outputs: 3 };

fn window(kernel: (usize, usize), stride: (usize, usize), padding: (usize, usize)) -> Window {
    Window { kernel, stride, padding }
}

fn random(network: &Network, rng: &mut Rng) -> Parameters<f64> {
    Parameters::filled(network, 0.0).unwrap().map(|_| f64::from(rng.real()))
}

/// One layer, and its loss.
fn linear(inputs: usize, outputs: usize, loss: Loss) -> Network {
    Network { input: Shape::vector(inputs), layers: vec![Layer::Dense { outputs }], loss }
}

/// A rate that stays, without momentum and decay.
fn training(epochs: usize, batch: usize, learning_rate: f64) -> Training {
    Training {
        epochs,
        batch,
        learning_rate,
        momentum: 0.0,
        weight_decay: 0.0,
        seed: 5,
        schedule: Schedule::Constant {},
    }
}

fn samples(network: &Network, rows: usize, rng: &mut Rng) -> Samples {
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let width = network.input.elems();
    let inputs = rng.reals(rows * width);
    if network.loss == Loss::SquaredError {
        return Samples::new(width, inputs, outputs, rng.reals(rows * outputs)).unwrap();
    }
    let classes: Vec<usize> = (0..rows).map(|_| rng.below(outputs.max(2))).collect();
    Samples::of_classes(width, inputs, outputs, &classes).unwrap()
}

/// Every derivative against the difference of two losses.
fn check(network: &Network, rng: &mut Rng) {
    const STEP: f64 = 1e-5;
    let parameters = random(network, rng);
    // More than one task, the last one not full.
    let samples = samples(network, 19, rng);
    let rows: Vec<u32> = (0..19).rev().collect();
    let (tally, gradient) = float::gradient(network, &parameters, &samples, &rows).unwrap();
    if !network.layers.contains(&Layer::BatchNorm) {
        let all = float::evaluate(network, &parameters, &samples).unwrap();
        assert!((tally.loss - all.loss).abs() < 1e-10, "{tally:?} {all:?}");
        assert_eq!((tally.rows, tally.right), (all.rows, all.right));
    }
    let mut checked = 0;
    for layer in 0..parameters.layers.len() {
        for (index, found) in gradient.layers[layer].trained().enumerate() {
            let loss = |change: f64| {
                let mut moved = parameters.clone();
                *moved.layers[layer].trained_mut().nth(index).unwrap() += change;
                float::gradient(network, &moved, &samples, &rows).unwrap().0.loss
            };
            let expected = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            assert!(
                (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                "{network:?}: layer {layer}, {index}: {found} {expected}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, parameters.layers.iter().flat_map(|layer| layer.trained()).count());
}

#[test]
fn gradients_of_losses_are_differences() {
    let mut rng = Rng(seed());
    for (loss, outputs) in [
        (Loss::CrossEntropy, 3),
        (Loss::SquaredError, 3),
        (Loss::SquaredError, 1),
        (Loss::Logistic, 1),
        (Loss::Hinge, 1),
    ] {
        check(&linear(5, outputs, loss), &mut rng);
        let layers = vec![Layer::Dense { outputs: 6 }, Layer::Relu, Layer::Dense { outputs }];
        check(&Network { input: Shape::vector(5), layers, loss }, &mut rng);
    }
}

#[test]
fn gradients_of_layers_are_differences() {
    let mut rng = Rng(seed());
    let conv = |filters, kernel, stride, padding| Layer::Convolution {
        filters,
        window: window(kernel, stride, padding),
    };
    let max = |kernel, stride| Layer::MaxPool(window(kernel, stride, (0, 0)));
    let average = |kernel, stride| Layer::AveragePool(window(kernel, stride, (0, 0)));
    let stacks = [
        vec![conv(3, (3, 2), (1, 1), (0, 0)), DENSE3],
        vec![conv(2, (3, 3), (2, 1), (1, 2)), Layer::Relu, conv(3, (2, 2), (1, 2), (0, 1)), DENSE3],
        // Windows that overlap, and windows that leave pixels out.
        vec![conv(2, (2, 2), (1, 1), (0, 0)), max((3, 2), (1, 2)), Layer::Relu, DENSE3],
        vec![conv(2, (2, 2), (1, 1), (0, 0)), average((2, 3), (3, 1)), Layer::Relu, DENSE3],
        // The first layers have no weights.
        vec![max((2, 2), (2, 2)), Layer::Relu, Layer::Dense { outputs: 4 }, Layer::Relu, DENSE3],
        vec![conv(3, (3, 2), (1, 1), (0, 0)), Layer::BatchNorm, Layer::Relu, DENSE3],
        vec![
            conv(2, (3, 3), (2, 2), (1, 1)),
            max((2, 2), (2, 2)),
            Layer::BatchNorm,
            Layer::Dense { outputs: 5 },
            Layer::BatchNorm,
            Layer::Relu,
            DENSE3,
        ],
        // The last layer is none with weights.
        vec![conv(3, (4, 4), (1, 1), (0, 0)), average((3, 4), (1, 1))],
    ];
    let input = Shape { channels: 2, height: 6, width: 7 };
    for layers in stacks {
        check(&Network { input, layers, loss: Loss::CrossEntropy }, &mut rng);
    }
}

/// Dimensions beyond a block of the product.
#[test]
fn wide_layers_are_sums_of_products() {
    let mut rng = Rng(seed());
    let network = linear(303, 37, Loss::SquaredError);
    let (parameters, samples) = (random(&network, &mut rng), samples(&network, 21, &mut rng));
    let found = float::outputs(&network, &parameters, &samples).unwrap();
    for (row, found) in samples.inputs().chunks(303).zip(found.chunks(37)) {
        for (output, found) in found.iter().enumerate() {
            let weights = &parameters.layers[0].weights[output * 303..][..303];
            let sum: f64 =
                weights.iter().zip(row).map(|(weight, value)| weight * f64::from(*value)).sum();
            assert!((sum + parameters.layers[0].biases[output] - found).abs() < 1e-10);
        }
    }
}

/// Pools by hand.
#[test]
fn pools() {
    let image: Vec<f32> = vec![1.0, 5.0, 2.0, 4.0, 3.0, 0.0, -1.0, -2.0, -3.0];
    for (layer, expected) in [
        (Layer::MaxPool(window((2, 2), (1, 1), (0, 0))), [5.0, 5.0, 4.0, 3.0]),
        (Layer::AveragePool(window((2, 2), (1, 1), (0, 0))), [3.25, 2.5, 1.0, -0.5]),
    ] {
        let network = Network {
            input: Shape { channels: 1, height: 3, width: 3 },
            layers: vec![layer, Layer::Dense { outputs: 4 }],
            loss: Loss::CrossEntropy,
        };
        let mut parameters = Parameters::filled(&network, 0.0).unwrap();
        (0..4).for_each(|place| parameters.layers[1].weights[place * 5] = 1.0);
        let samples = Samples::of_classes(9, image.clone(), 4, &[0]).unwrap();
        assert_eq!(float::outputs(&network, &parameters, &samples).unwrap(), expected);
    }
}

/// Two steps by hand: momentum on the second, decay on the weight and not on the bias.
#[test]
fn steps_of_momentum_and_decay() {
    let network = linear(1, 1, Loss::SquaredError);
    let samples = Samples::new(1, vec![2.0, 1.0], 1, vec![3.0, 1.0]).unwrap();
    let training = Training { momentum: 0.5, weight_decay: 0.25, ..training(2, 2, 0.125) };
    let plan = Plan::new(&training, 2).unwrap();
    let mut start = Parameters::filled(&network, 0.0).unwrap();
    (start.layers[0].weights[0], start.layers[0].biases[0]) = (1.0, 0.5);
    let mut baseline = Baseline::new(&network, start).unwrap();
    let (mut weight, mut bias, mut v, mut u) = (1.0, 0.5, 0.0, 0.0);
    for step in 0..2 {
        let errors = [2.0 * weight + bias - 3.0, weight + bias - 1.0];
        let loss = (errors[0] * errors[0] + errors[1] * errors[1]) / 4.0;
        v = 0.5 * v + ((2.0 * errors[0] + errors[1]) / 2.0 + 0.25 * weight);
        u = 0.5 * u + (errors[0] + errors[1]) / 2.0;
        weight -= 0.125 * v;
        bias -= 0.125 * u;
        let step = plan.step(step).unwrap();
        let tally = baseline.step(&plan, &step, &plan.order(step.place.epoch), &samples).unwrap();
        assert!((tally.means().0 - loss).abs() < 1e-12);
        let now = &baseline.parameters().layers[0];
        assert!(
            (now.weights[0] - weight).abs() < 1e-12 && (now.biases[0] - bias).abs() < 1e-12,
            "{step:?}"
        );
    }
}

fn train(
    network: &Network,
    samples: &Samples,
    test: &Samples,
    epochs: usize,
    rate: f64,
) -> (Parameters<f64>, Curve) {
    let schedule = Schedule::Cosine { last: 0.0 };
    let training = Training { momentum: 0.9, schedule, ..training(epochs, 16, rate) };
    let plan = Plan::new(&training, samples.len()).unwrap();
    let start = initial(network, 20, 5).unwrap().to_f64(20);
    let mut seen = 0;
    let result = float::train(network, start, &plan, samples, Some(test), |epoch| {
        seen += 1;
        assert_eq!(epoch.epoch, seen);
    });
    result.unwrap()
}

/// Linear regression finds the line that the labels were made with.
#[test]
fn linear_regression_finds_the_line() {
    let mut rng = Rng(seed());
    let network = linear(3, 1, Loss::SquaredError);
    let inputs = rng.reals(600);
    let values = inputs.chunks(3).map(|x| 0.5 * x[0] - 2.0 * x[1] + 0.25 * x[2] + 1.5).collect();
    let samples = Samples::new(3, inputs, 1, values).unwrap();
    let (parameters, curve) = train(&network, &samples, &samples, 60, 0.1);
    let layer = &parameters.layers[0];
    for (found, expected) in layer.weights.iter().chain(&layer.biases).zip([0.5, -2.0, 0.25, 1.5]) {
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
    let last = curve.0.last().unwrap();
    assert!(last.test_loss.unwrap() < 1e-6);
    assert_eq!((last.train_accuracy, last.test_accuracy), (None, None));
}

#[test]
fn classifiers_learn_what_can_be_told_apart() {
    let mut rng = Rng(seed());
    let inputs = rng.reals(800);
    let line = |x: &[f32]| usize::from(x[0] + 0.5 * x[1] > 0.1);
    let ring = |x: &[f32]| usize::from(x[0] * x[0] + x[1] * x[1] > 0.5);
    let dense = |outputs| Layer::Dense { outputs };
    let cases = [
        (Loss::Logistic, vec![dense(1)], inputs.chunks(2).map(line).collect::<Vec<_>>(), 0.97),
        (Loss::Hinge, vec![dense(1)], inputs.chunks(2).map(line).collect(), 0.97),
        (
            Loss::CrossEntropy,
            vec![dense(16), Layer::Relu, dense(2)],
            inputs.chunks(2).map(ring).collect(),
            0.95,
        ),
        (
            Loss::SquaredError,
            vec![dense(16), Layer::Relu, dense(2)],
            inputs.chunks(2).map(ring).collect(),
            0.9,
        ),
    ];
    for (loss, layers, classes, least) in cases {
        let network = Network { input: Shape::vector(2), layers, loss };
        let outputs = network.shapes().unwrap().last().unwrap().elems();
        let all = Samples::of_classes(2, inputs.clone(), outputs, &classes).unwrap();
        let [train_set, test_set] =
            [0..300, 300..400].map(|rows| all.subset(&rows.collect::<Vec<u32>>()).unwrap());
        let (parameters, curve) = train(&network, &train_set, &test_set, 80, 0.1);
        let last = curve.0.last().unwrap();
        println!("{loss:?}: {last:?}");
        assert!(last.test_accuracy.unwrap() >= least, "{loss:?} {last:?}");
        assert!(last.train_loss < curve.0[0].train_loss);
        // Again, on the same cores or others: the same bits.
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = one.install(|| train(&network, &train_set, &test_set, 80, 0.1));
        assert!(again.0 == parameters && again.1 == curve);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let network =
        Network { input: Shape::vector(2), layers: vec![DENSE3], loss: Loss::CrossEntropy };
    let parameters = Parameters::filled(&network, 0.0).unwrap();
    let samples = |width, columns| {
        Samples::new(width, vec![0.0; width], columns, vec![0.0; columns]).unwrap()
    };
    let refused = |samples: &Samples, network: &Network| {
        float::evaluate(network, &parameters, samples).unwrap_err()
    };
    assert_matches!(
        refused(&samples(3, 3), &network),
        FloatError::Samples(SamplesError::Width { what: "rows", expected: 2, found: 3 })
    );
    assert_matches!(
        refused(&samples(2, 1), &network),
        FloatError::Samples(SamplesError::Width { what: "labels", expected: 3, found: 1 })
    );
    let other = Network { layers: vec![Layer::Dense { outputs: 4 }], ..network.clone() };
    assert_matches!(refused(&samples(2, 4), &other), FloatError::Parameters);
    let missing = float::gradient(&network, &parameters, &samples(2, 3), &[1]).unwrap_err();
    assert_matches!(missing, FloatError::Samples(SamplesError::NoRow(1)));
    let new = |width, values: usize, columns, labels: usize| {
        Samples::new(width, vec![0.0; values], columns, vec![0.0; labels]).unwrap_err()
    };
    assert_eq!(new(2, 4, 1, 1), SamplesError::Count { rows: 2, labels: 1 });
    assert_eq!(new(2, 3, 1, 1), SamplesError::Rows { values: 3, width: 2 });
    assert_eq!(new(2, 2, 2, 3), SamplesError::Rows { values: 3, width: 2 });
    assert_eq!(new(0, 0, 1, 0), SamplesError::Rows { values: 0, width: 0 });
    // A secret of the data is not printed.
    assert_eq!(format!("{:?}", samples(2, 1)), "Samples(1 rows of 2, <redacted>)");
}

#[test]
fn a_rate_that_is_too_large_is_told() {
    let mut rng = Rng(seed());
    let network = linear(3, 1, Loss::SquaredError);
    let samples = samples(&network, 64, &mut rng);
    let plan = Plan::new(&training(100, 8, 1000.0), 64).unwrap();
    let start = initial(&network, 20, 5).unwrap().to_f64(20);
    let error = float::train(&network, start, &plan, &samples, None, |_| {}).unwrap_err();
    assert!(matches!(error, FloatError::Diverged { .. }), "{error}");
    assert!(error.to_string().contains("take a smaller `training.learning_rate`"));
}

/// Trains one of the committed configurations on the shared images, for so many epochs; `None`
/// without them.
fn digits(file: &str, epochs: usize) -> Option<Curve> {
    let folder = sharelet_testkit::shared_data()?.join("mnist");
    if !folder.exists() {
        println!("skipped: no images in {}", folder.display());
        return None;
    }
    let read = |name: &str, divide| {
        Readings::load(&folder.join(name), ReadOptions { width: None, divide }).unwrap()
    };
    let set = |name: &str| {
        let images = read(&format!("{name}-images-idx3-ubyte.gz"), None);
        let labels = read(&format!("{name}-labels-idx1-ubyte.gz"), Some(1.0));
        let classes: Vec<usize> = labels.values().iter().map(|&label| label as usize).collect();
        Samples::of_classes(images.width(), images.values().to_vec(), 10, &classes).unwrap()
    };
    let (samples, test) = (set("train"), set("test"));
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
    let mut config = Config::load(&path).unwrap();
    config.training.epochs = epochs;
    let network = config.network(784).unwrap();
    let plan = Plan::new(&config.training, samples.len()).unwrap();
    let bits = config.arithmetic.frac_bits;
    let start = initial(&network, bits, config.training.seed).unwrap().to_f64(bits);
    let (_, curve) =
        float::train(&network, start, &plan, &samples, Some(&test), |epoch| println!("{epoch:?}"))
            .unwrap();
    Some(curve)
}

#[test]
fn network_a_begins_to_read_digits() {
    let Some(curve) = digits("mnist-a.toml", 1) else { return };
    let epoch = curve.0[0];
    assert!(epoch.test_accuracy.unwrap() > 0.88 && epoch.test_loss.unwrap() < 0.4, "{curve:?}");
    assert!(epoch.train_accuracy.unwrap() > 0.7, "{curve:?}");
}
