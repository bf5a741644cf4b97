//! Order of rows, learning rates and initial weights: known answers that hold on every machine, and
//! what they are made of.
use std::path::Path;

use sharelet_testkit::assert_matches;
use sharelet_train::config::{Config, HeldOut, Schedule, Training};
use sharelet_train::initial::initial;
use sharelet_train::network::{Layer, Loss, Network, NetworkName, Shape, Window};
use sharelet_train::schedule::{Place, Plan, ScheduleError, Split};

fn training(epochs: usize, batch: usize, schedule: Schedule) -> Training {
    Training {
        epochs,
        batch,
        learning_rate: 0.1,
        momentum: 0.9,
        weight_decay: 0.0001,
        seed: 7,
        schedule,
    }
}

#[test]
fn every_row_is_taken_once_per_epoch_and_every_epoch_has_an_order_of_its_own() {
    let plan = Plan::new(&training(3, 128, Schedule::Constant {}), 7000).unwrap();
    assert_eq!((plan.steps_per_epoch(), plan.steps()), (55, 165));
    let mut orders = Vec::new();
    for epoch in 0..3 {
        let order = plan.order(epoch);
        assert_eq!(order, plan.order(epoch));
        let mut taken = Vec::new();
        for batch in 0..55 {
            let step = plan.step(epoch * 55 + batch).unwrap();
            assert_eq!(step.place, Place { epoch, batch });
            assert_eq!(step.ends_epoch, batch == 54);
            let rows = if batch == 54 { 88 } else { 128 };
            assert_eq!(step.rows.len(), rows);
            assert!((step.mean.to_f64() * rows as f64 - 1.0).abs() < 1.0 / 65_536.0);
            taken.extend_from_slice(&order[step.rows]);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..7000).collect::<Vec<u32>>());
        orders.push(order);
    }
    // Of 7,000 rows in two random orders about one is in the same place.
    let same = |one: &[u32], other: &[u32]| {
        one.iter().zip(other).filter(|(one, other)| one == other).count()
    };
    assert!(same(&orders[0], &orders[1]) < 10 && same(&orders[1], &orders[2]) < 10);
    assert!(plan.step(165).is_none());
}

#[test]
fn batches_of_other_sizes() {
    for (rows, batch, sizes) in [
        (5, 8, vec![5]),
        (8, 8, vec![8]),
        (9, 8, vec![8, 1]),
        (3, 1, vec![1, 1, 1]),
        (65_536, 65_536, vec![65_536]),
    ] {
        let plan = Plan::new(&training(1, batch, Schedule::Constant {}), rows).unwrap();
        assert_eq!(plan.steps(), sizes.len());
        for (index, size) in sizes.into_iter().enumerate() {
            let step = plan.step(index).unwrap();
            assert_eq!(step.rows.len(), size);
            assert!((step.mean.to_f64() * size as f64 - 1.0).abs() < 1.0 / 65_536.0, "{step:?}");
        }
    }
    let plan = |epochs, batch, learning_rate, rows| {
        let plain = training(epochs, batch, Schedule::Constant {});
        Plan::new(&Training { learning_rate, ..plain }, rows)
    };
    assert_eq!(plan(1, 8, 0.1, 0), Err(ScheduleError::Rows(0)));
    assert_eq!(plan(0, 8, 0.1, 5), Err(ScheduleError::Training("epochs")));
    assert_eq!(plan(1, 0, 0.1, 5), Err(ScheduleError::Training("batch")));
    assert_eq!(plan(1, 1, f64::NAN, 5), Err(ScheduleError::Training("learning_rate")));
}

#[test]
fn rates_follow_the_schedule() {
    let rates = |schedule| {
        let plan = Plan::new(&training(5, 10, schedule), 20).unwrap();
        (0..10).map(|step| plan.step(step).unwrap().rate.to_f64()).collect::<Vec<_>>()
    };
    let near = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= expected / 65_536.0 + 1e-14, "{found} {expected}");
        }
    };
    near(&rates(Schedule::Constant {}), &[0.1; 10]);
    let steps = [0.1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.004, 0.004];
    near(&rates(Schedule::Step { epochs: 2, factor: 0.2 }), &steps);
    let linear: Vec<f64> = (0..10).map(|step| 0.1 - 0.09 * f64::from(step) / 9.0).collect();
    near(&rates(Schedule::Linear { last: 0.01 }), &linear);
    let cosine: Vec<f64> = (0..10)
        .map(|step| 0.05 * (1.0 + (f64::from(step) * core::f64::consts::PI / 9.0).cos()))
        .collect();
    near(&rates(Schedule::Cosine { last: 0.0 }), &cosine);
    assert!(rates(Schedule::Cosine { last: 0.0 })[9].abs() < f64::EPSILON);
}

/// A single step has the first rate.
#[test]
fn one_step_only() {
    for schedule in [Schedule::Cosine { last: 0.0 }, Schedule::Linear { last: 0.0 }] {
        let plan = Plan::new(&training(1, 10, schedule), 5).unwrap();
        assert_eq!(plan.step(0).unwrap().rate.numerator(), 52_429);
    }
}

#[test]
fn held_out_rows_are_apart_and_chosen_by_the_seed() {
    let split = Split::new(1000, HeldOut::Fraction(0.25), 3).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (750, 250));
    let mut all = [split.train.clone(), split.test.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<u32>>());
    assert!(split.train.is_sorted() && split.test.is_sorted());
    assert_ne!(split.test, (0..250).collect::<Vec<u32>>());
    assert_eq!(split, Split::new(1000, HeldOut::Rows(250), 3).unwrap());
    assert_ne!(split, Split::new(1000, HeldOut::Rows(250), 4).unwrap());
    for wrong in [
        HeldOut::Rows(0),
        HeldOut::Rows(1000),
        HeldOut::Fraction(0.0001),
        HeldOut::Fraction(f64::NAN),
    ] {
        let split = Split::new(1000, wrong, 3);
        assert_matches!(split, Err(ScheduleError::HeldOut { .. }), "{wrong:?}");
    }
}

/// Two servers of different makes start from the same weights: these numbers may only change with a
/// new version.
#[test]
fn known_answers() {
    let order = Plan::new(&training(1, 4, Schedule::Constant {}), 12).unwrap();
    let network = Network::named(NetworkName::A);
    let words = initial(&network, 20, 7).unwrap();
    assert_eq!(order.order(0), ORDERS[0]);
    assert_eq!(order.order(1), ORDERS[1]);
    assert_eq!(words.layers[0].weights[..6], FIRST);
    assert_eq!(words.layers[4].weights[..6], LAST);
}

/// Found by another program: ChaCha20, SHA-256 and the rest as the documentation says, in Python.
const ORDERS: [[u32; 12]; 2] =
    [[3, 1, 2, 9, 4, 5, 0, 11, 6, 7, 10, 8], [2, 6, 3, 0, 8, 11, 1, 4, 10, 7, 9, 5]];
const FIRST: [i64; 6] = [-66950, 22618, 59788, -85070, 88962, 70199];
const LAST: [i64; 6] = [-158_839, 194_250, 172_789, 11872, 165_533, 160_869];

#[test]
fn initial_weights_are_uniform_within_their_bounds() {
    for name in [NetworkName::A, NetworkName::B, NetworkName::C, NetworkName::D] {
        let network = Network::named(name);
        for frac_bits in [16, 20, 24] {
            let words = initial(&network, frac_bits, 1).unwrap();
            assert!(words.fit(&network));
            let float = words.to_f64(frac_bits);
            let shapes = network.shapes().unwrap();
            for (index, (layer, words)) in float.layers.iter().zip(&words.layers).enumerate() {
                let (fan_in, fan_out) = match network.layers[index] {
                    Layer::Dense { outputs } => (shapes[index].elems(), outputs),
                    Layer::Convolution { filters, window: Window { kernel, .. } } => (
                        shapes[index].channels * kernel.0 * kernel.1,
                        filters * kernel.0 * kernel.1,
                    ),
                    _ => {
                        assert!(layer.weights.is_empty() && layer.biases.is_empty());
                        continue;
                    }
                };
                // All but the last layer stand before a ReLU.
                let last = index + 1 == network.layers.len();
                let bound = (6.0 / (fan_in + if last { fan_out } else { 0 }) as f64).sqrt();
                let unit = 1.0 / f64::from(1 << frac_bits);
                assert!(layer.biases.iter().all(|bias| *bias == 0.0));
                let mut pairs = layer.weights.iter().zip(&words.weights);
                assert!(pairs.all(|(float, word)| float / unit == *word as f64));
                assert!(layer.weights.iter().all(|weight| weight.abs() <= bound));
                let count = layer.weights.len() as f64;
                let mean = layer.weights.iter().sum::<f64>() / count;
                let variance = layer.weights.iter().map(|w| w * w).sum::<f64>() / count;
                // Five standard deviations of the mean of uniform numbers, and of their squares.
                assert!(mean.abs() < 5.0 * bound / (3.0 * count).sqrt(), "{name:?} {index} {mean}");
                let spread = 5.0 * bound * bound * (4.0 / (45.0 * count)).sqrt();
                assert!(
                    (variance - bound * bound / 3.0).abs() < spread + bound * unit,
                    "{name:?} {index} {variance}"
                );
            }
        }
    }
    // Fewer bits round the same weights.
    let network = Network::named(NetworkName::A);
    let [coarse, fine] = [16, 24].map(|bits| initial(&network, bits, 1).unwrap().to_f64(bits));
    let layers = coarse.layers.iter().zip(&fine.layers);
    for (coarse, fine) in layers.flat_map(|(coarse, fine)| coarse.words().zip(fine.words())) {
        assert!((coarse - fine).abs() < 2.0 / 65_536.0, "{coarse} {fine}");
    }
    let first = |seed| {
        initial(&Network::named(NetworkName::D), 20, seed).unwrap().layers[0].weights.clone()
    };
    assert_ne!(first(1), first(2));
}

#[test]
fn linear_models_start_at_zero_and_others_do_not() {
    let dense = |outputs| Layer::Dense { outputs };
    let network = |layers| Network { input: Shape::vector(5), layers, loss: Loss::SquaredError };
    let first = |network: Network| initial(&network, 20, 1).unwrap().layers[0].clone();
    assert!(first(network(vec![dense(1)])).weights.iter().all(|word| *word == 0));
    assert!(first(network(vec![dense(1), Layer::Relu])).weights.iter().any(|word| *word != 0));
    // Pools between a layer and its ReLU change nothing.
    let window = |kernel, stride| Window {
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: (0, 0),
    };
    let conv = Layer::Convolution { filters: 2, window: window(3, 1) };
    let image = |layers| Network {
        input: Shape { channels: 1, height: 8, width: 8 },
        layers,
        loss: Loss::SquaredError,
    };
    let (max, average) = (Layer::MaxPool(window(2, 2)), Layer::AveragePool(window(1, 1)));
    let pools = image(vec![conv, max, average, Layer::Relu, dense(2)]);
    assert!(first(pools) == first(image(vec![conv, Layer::Relu, dense(2)])));
}

#[test]
fn a_configuration_gives_a_plan() {
    let text = "[data]\ntrain = \"x\"\n[model]\nkind = \"svm\"\n[training]\nepochs = 2\nbatch = \
                32\nlearning_rate = 0.05\nmomentum = 0.5\n";
    let config = Config::parse(text, Path::new("CONFIG.toml")).unwrap();
    let plan = Plan::new(&config.training, 100).unwrap();
    assert_eq!((plan.steps(), plan.rows()), (8, 100));
    assert_eq!((plan.momentum().numerator(), plan.momentum().shift()), (1, 1));
    assert_eq!((plan.weight_decay().numerator(), plan.weight_decay().shift()), (0, 0));
}
