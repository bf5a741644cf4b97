//! The float baseline: gradients against differences, training against closed forms.
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::assert_matches;
use sharelet_testkit::{Rng, seed};
use sharelet_train::config::{Config, Schedule, Training};
use sharelet_train::float::{self, Baseline, FloatError, Labels, Samples, SamplesError};
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

fn samples(network: &Network, rows: usize, rng: &mut Rng) -> Samples {
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let width = network.input.elems();
    let labels = match network.loss {
        Loss::CrossEntropy => {
            Labels::Classes((0..rows).map(|_| rng.below(outputs) as u32).collect())
        }
        Loss::Logistic | Loss::Hinge => {
            Labels::Classes((0..rows).map(|_| rng.below(2) as u32).collect())
        }
        Loss::SquaredError => Labels::Numbers { width: outputs, values: rng.reals(rows * outputs) },
    };
    Samples::new(width, rng.reals(rows * width), labels).unwrap()
}

/// Every derivative against the difference of two losses.
fn check(network: &Network, rng: &mut Rng) {
    const STEP: f64 = 1e-5;
    let parameters = random(network, rng);
    // More than one task, the last one not full.
    let samples = samples(network, 19, rng);
    let rows: Vec<u32> = (0..19).rev().collect();
    let (tally, gradient) = float::gradient(network, &parameters, &samples, &rows).unwrap();
    let score = float::evaluate(network, &parameters, &samples).unwrap();
    assert!(
        (tally.score().loss - score.loss).abs() < 1e-12 && tally.score().accuracy == score.accuracy
    );
    let mut checked = 0;
    for layer in 0..parameters.layers.len() {
        for biases in [false, true] {
            let values = |of: &Parameters<f64>| {
                if biases {
                    of.layers[layer].biases.clone()
                } else {
                    of.layers[layer].weights.clone()
                }
            };
            for (index, found) in values(&gradient).iter().enumerate() {
                let loss = |change: f64| {
                    let mut moved = parameters.clone();
                    let of = &mut moved.layers[layer];
                    (if biases { &mut of.biases } else { &mut of.weights })[index] += change;
                    float::gradient(network, &moved, &samples, &rows).unwrap().0.loss
                };
                let expected = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
                let apart = (found - expected).abs();
                assert!(
                    apart < 1e-4 * (1.0 + expected.abs()),
                    "{network:?}: layer {layer}, {biases}, {index}: {found} {expected}"
                );
                checked += 1;
            }
        }
    }
    assert_eq!(checked, parameters.count());
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
        check(
            &Network { input: Shape::vector(5), layers: vec![Layer::Dense { outputs }], loss },
            &mut rng,
        );
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
    let stacks = [
        vec![conv(3, (3, 2), (1, 1), (0, 0)), DENSE3],
        vec![conv(2, (3, 3), (2, 1), (1, 2)), Layer::Relu, conv(3, (2, 2), (1, 2), (0, 1)), DENSE3],
        // Windows that overlap, and windows that leave pixels out.
        vec![
            conv(2, (2, 2), (1, 1), (0, 0)),
            Layer::MaxPool(window((3, 2), (1, 2), (0, 0))),
            Layer::Relu,
            DENSE3,
        ],
        vec![
            conv(2, (2, 2), (1, 1), (0, 0)),
            Layer::AveragePool(window((2, 3), (3, 1), (0, 0))),
            Layer::Relu,
            DENSE3,
        ],
        // The first layers have no weights.
        vec![
            Layer::MaxPool(window((2, 2), (2, 2), (0, 0))),
            Layer::Relu,
            Layer::Dense { outputs: 4 },
            Layer::Relu,
            DENSE3,
        ],
        // The last layer is none with weights.
        vec![conv(3, (4, 4), (1, 1), (0, 0)), Layer::AveragePool(window((3, 4), (1, 1), (0, 0)))],
    ];
    for layers in stacks {
        check(
            &Network {
                input: Shape { channels: 2, height: 6, width: 7 },
                layers,
                loss: Loss::CrossEntropy,
            },
            &mut rng,
        );
    }
}

/// Dimensions beyond a block of the product.
#[test]
fn wide_layers_are_sums_of_products() {
    let mut rng = Rng(seed());
    let network = Network {
        input: Shape::vector(203),
        layers: vec![Layer::Dense { outputs: 37 }],
        loss: Loss::SquaredError,
    };
    let (parameters, samples) = (random(&network, &mut rng), samples(&network, 21, &mut rng));
    let found = float::outputs(&network, &parameters, &samples).unwrap();
    for (row, found) in samples.inputs().chunks(203).zip(found.chunks(37)) {
        for (output, found) in found.iter().enumerate() {
            let weights = &parameters.layers[0].weights[output * 203..][..203];
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
        let samples = Samples::new(9, image.clone(), Labels::Classes(vec![0])).unwrap();
        assert_eq!(float::outputs(&network, &parameters, &samples).unwrap(), expected);
    }
}

/// Two steps by hand: momentum on the second, decay on the weight and not on the bias.
#[test]
fn steps_of_momentum_and_decay() {
    let network = Network {
        input: Shape::vector(1),
        layers: vec![Layer::Dense { outputs: 1 }],
        loss: Loss::SquaredError,
    };
    let samples =
        Samples::new(1, vec![2.0, 1.0], Labels::Numbers { width: 1, values: vec![3.0, 1.0] })
            .unwrap();
    let training = Training {
        epochs: 2,
        batch: 2,
        learning_rate: 0.125,
        momentum: 0.5,
        weight_decay: 0.25,
        seed: 1,
        schedule: Schedule::Constant {},
    };
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
        assert!((tally.score().loss - loss).abs() < 1e-12 && tally.right.is_none());
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
) -> (Parameters<f64>, float::Curve) {
    let schedule = Schedule::Cosine { last: 0.0 };
    let training = Training {
        epochs,
        batch: 16,
        learning_rate: rate,
        momentum: 0.9,
        weight_decay: 0.0,
        seed: 5,
        schedule,
    };
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
    let network = Network {
        input: Shape::vector(3),
        layers: vec![Layer::Dense { outputs: 1 }],
        loss: Loss::SquaredError,
    };
    let inputs = rng.reals(600);
    let values = inputs.chunks(3).map(|x| 0.5 * x[0] - 2.0 * x[1] + 0.25 * x[2] + 1.5).collect();
    let samples = Samples::new(3, inputs, Labels::Numbers { width: 1, values }).unwrap();
    let (parameters, curve) = train(&network, &samples, &samples, 60, 0.1);
    let layer = &parameters.layers[0];
    for (found, expected) in layer.weights.iter().chain(&layer.biases).zip([0.5, -2.0, 0.25, 1.5]) {
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
    let test = curve.epochs.last().unwrap().test.unwrap();
    assert!(test.loss < 1e-6 && test.accuracy.is_none());
}

#[test]
fn classifiers_learn_what_can_be_told_apart() {
    let mut rng = Rng(seed());
    let inputs = rng.reals(800);
    let line = |x: &[f32]| u32::from(x[0] + 0.5 * x[1] > 0.1);
    let ring = |x: &[f32]| u32::from(x[0] * x[0] + x[1] * x[1] > 0.5);
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
        let all = Samples::new(2, inputs.clone(), Labels::Classes(classes)).unwrap();
        let (train_rows, test_rows): (Vec<u32>, Vec<u32>) =
            ((0..300).collect(), (300..400).collect());
        let (train_set, test_set) =
            (all.subset(&train_rows).unwrap(), all.subset(&test_rows).unwrap());
        let (parameters, curve) = train(&network, &train_set, &test_set, 80, 0.1);
        let last = curve.epochs.last().unwrap();
        println!("{loss:?}: {last:?}");
        assert!(last.test.unwrap().accuracy.unwrap() >= least, "{loss:?} {last:?}");
        assert!(last.train.loss < curve.epochs[0].train.loss);
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
    let rows = |classes: Vec<u32>| {
        Samples::new(2, vec![0.0; 2 * classes.len()], Labels::Classes(classes)).unwrap()
    };
    let evaluate = |samples: &Samples, network: &Network| {
        float::evaluate(network, &parameters, samples).unwrap_err()
    };
    let class = evaluate(&rows(vec![0, 2, 3]), &network);
    assert_matches!(class, FloatError::Samples(SamplesError::Class { row: 3, most: 2 }));
    let wide = Samples::new(3, vec![0.0; 3], Labels::Classes(vec![0])).unwrap();
    assert_matches!(
        evaluate(&wide, &network),
        FloatError::Samples(SamplesError::Width { expected: 2, found: 3 })
    );
    let numbers =
        Samples::new(2, vec![0.0; 2], Labels::Numbers { width: 1, values: vec![0.5] }).unwrap();
    assert!(matches!(evaluate(&numbers, &network), FloatError::Samples(SamplesError::Kind { .. })));
    let other = Network { layers: vec![Layer::Dense { outputs: 4 }], ..network.clone() };
    assert!(matches!(evaluate(&rows(vec![0]), &other), FloatError::Parameters));
    let missing = float::gradient(&network, &parameters, &rows(vec![0]), &[1]).unwrap_err();
    assert!(matches!(missing, FloatError::Samples(SamplesError::NoRow { row: 1 })));
    assert_eq!(
        Samples::new(2, vec![0.0; 4], Labels::Classes(vec![0])).unwrap_err(),
        SamplesError::Count { rows: 2, labels: 1 }
    );
    assert_eq!(
        Samples::new(2, vec![0.0; 3], Labels::Classes(vec![0])).unwrap_err(),
        SamplesError::Rows { values: 3, width: 2 }
    );
    assert!(Samples::new(0, vec![], Labels::Classes(vec![])).is_err());
    // A secret of the data is not printed.
    assert_eq!(format!("{:?}", rows(vec![1, 2])), "Samples(2 rows of 2, <redacted>)");
}

#[test]
fn a_rate_that_is_too_large_is_told() {
    let mut rng = Rng(seed());
    let network = Network {
        input: Shape::vector(3),
        layers: vec![Layer::Dense { outputs: 1 }],
        loss: Loss::SquaredError,
    };
    let samples = samples(&network, 64, &mut rng);
    let training = Training {
        epochs: 100,
        batch: 8,
        learning_rate: 1000.0,
        momentum: 0.0,
        weight_decay: 0.0,
        seed: 5,
        schedule: Schedule::Constant {},
    };
    let plan = Plan::new(&training, 64).unwrap();
    let start = initial(&network, 20, 5).unwrap().to_f64(20);
    let error = float::train(&network, start, &plan, &samples, None, |_| {}).unwrap_err();
    assert!(matches!(error, FloatError::Diverged { .. }), "{error}");
    assert!(error.to_string().contains("take a smaller `training.learning_rate`"));
}

/// Trains one of the committed configurations on the shared images, for so many epochs; `None`
/// without them.
fn digits(file: &str, epochs: usize) -> Option<float::Curve> {
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
        let labels =
            Labels::classes(&read(&format!("{name}-labels-idx1-ubyte.gz"), Some(1.0))).unwrap();
        Samples::new(images.width(), images.values().to_vec(), labels).unwrap()
    };
    let (samples, test) = (set("train"), set("test"));
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
    let mut config = Config::load(&path).unwrap();
    config.training.epochs = epochs;
    let network = config.network(samples.width()).unwrap();
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
    let (train, test) = (curve.epochs[0].train, curve.epochs[0].test.unwrap());
    assert!(
        test.accuracy.unwrap() > 0.88 && test.loss < 0.4 && train.accuracy.unwrap() > 0.7,
        "{curve:?}"
    );
}
