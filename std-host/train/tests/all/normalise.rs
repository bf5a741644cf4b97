//! Batch normalisation: the twin against the formulas in floating point, from the least deviation
//! to the largest values; whole runs against the float baseline; and what is refused.

use std::path::Path;
use std::sync::Arc;

use sharelet_core::functions::engine::Truncation;
use sharelet_testkit::{Rng, seed};
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::float::{self, Samples};
use sharelet_train::labels::Labels;
use sharelet_train::network::{NORM_EPSILON, NetworkName, Shape};
use sharelet_train::normalise::{self, Normalised};
use sharelet_train::parameters::LayerParameters;
use sharelet_train::plain;
use sharelet_train::serving::Serving;
use sharelet_train::state::Data;
use sharelet_train::tensor::offline::block_on;
use sharelet_train::tensor::{self, offline};
use sharelet_train::value::Value;

fn words(values: &[f64], frac_bits: u32) -> Vec<u64> {
    let unit = f64::from(1_u32 << frac_bits);
    values.iter().map(|value| ((value * unit).round() as i64).cast_unsigned()).collect()
}

fn numbers(words: &[u64], frac_bits: u32) -> Vec<f64> {
    let unit = 2.0_f64.powi(frac_bits as i32);
    words.iter().map(|word| word.cast_signed() as f64 / unit).collect()
}

/// `x` with `2 f` fraction bits, as a product gives it, through the twin's batch normalisation.
fn forward(
    (batch, shape, f): (usize, Shape, u32),
    x: &[f64],
    parameters: &LayerParameters<u64>,
) -> (Vec<f64>, Normalised) {
    let value =
        Value { words: words(x, f).iter().map(|word| word << f).collect(), frac_bits: 2 * f };
    let mut machine = tensor::twin(Truncation::Exact);
    let found =
        block_on(normalise::forward(&mut machine, (batch, shape), value, f, parameters)).unwrap();
    (numbers(&found.0.words, found.0.frac_bits), found.1)
}

/// Mean, variance over `n`, and normalised values of a channel.
fn moments(x: &[f64]) -> (f64, f64, Vec<f64>) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let inverse = 1.0 / (variance + NORM_EPSILON).sqrt();
    (mean, variance, x.iter().map(|x| (x - mean) * inverse).collect())
}

/// Fraction bits of a deviation, as the module says.
fn deviation_bits(values: usize, f: u32) -> u32 {
    ((62 - 24 - values.next_power_of_two().trailing_zeros()) / 2).min(f)
}

/// One channel with deviations from 2^-7 to 2^9, and means beside them: each value is off by what a
/// unit of a deviation is, over the deviation, and by a fraction of itself. The gradient likewise.
#[test]
fn channels_of_all_sizes_are_those_of_floats() {
    let mut rng = Rng(seed());
    for (batch, places, f) in [(6, 1, 20), (32, 1, 20), (5, 25, 16), (128, 16, 20), (32, 64, 24)] {
        let shape = Shape { channels: 1, height: places, width: 1 };
        let n = batch * places;
        let unit = 2.0_f64.powi(-(deviation_bits(n, f) as i32));
        for power in -7..=9 {
            let (size, mean) = (2.0_f64.powi(power), 40.0 * f64::from(rng.real()));
            let x: Vec<f64> = (0..n).map(|_| mean + size * f64::from(rng.real())).collect();
            let (gamma, beta) = (f64::from(rng.real()) * 3.0, f64::from(rng.real()));
            let parameters = LayerParameters {
                weights: words(&[gamma], f),
                biases: words(&[beta], f),
                statistics: vec![0, 0],
            };
            let (found, normalised) = forward((batch, shape, f), &x, &parameters);
            let (_, variance, exact) = moments(&x);
            let inverse = 1.0 / (variance + NORM_EPSILON).sqrt();
            // Two roundings of a deviation; the scale's units and the deviations of one another.
            let off = 2.0 * unit * inverse;
            let scale = 2.0_f64.powi(-((40 - f).min(24) as i32)) / inverse * 4.0;
            let bound = |size: f64| off * (1.0 + size) + size * scale + 2.0_f64.powi(-12);
            let about = format!("{batch} x {places}, f {f}, 2^{power}, {gamma} {beta}");
            for (found, exact) in found.iter().zip(&exact) {
                let apart = (found - (gamma * exact + beta)).abs();
                let bound = (gamma.abs() + 1e-3) * bound(exact.abs());
                assert!(apart <= bound, "{about}: {found}, not {exact}: {apart} > {bound}");
            }

            let g: Vec<f64> = (0..n).map(|_| f64::from(rng.real()) / 16.0).collect();
            let value = Value { words: words(&g, f), frac_bits: f };
            let mut machine = tensor::twin(Truncation::Exact);
            let sizes = (batch, shape);
            let back = normalise::backward(&mut machine, sizes, value, f, normalised);
            let (gradient, below) = block_on(back).unwrap();
            let along: f64 = g.iter().zip(&exact).map(|(g, x)| g * x).sum();
            let sum: f64 = g.iter().sum();
            let close = |found: f64, expected: f64, bound: f64, what: &str| {
                let apart = (found - expected).abs();
                assert!(
                    apart <= bound,
                    "{about}: {what} {found}, not {expected}: {apart} > {bound}"
                );
            };
            let loose = bound(1.0) + 2.0_f64.powi(-(f as i32)) * n as f64;
            let total: f64 = g.iter().map(|g| g.abs()).sum();
            close(numbers(&gradient.weights, 2 * f)[0], along, loose * (1.0 + total), "weight");
            close(
                numbers(&gradient.biases, f)[0],
                sum,
                2.0_f64.powi(-(f as i32)) * n as f64,
                "bias",
            );
            let found = numbers(&below.words, below.frac_bits);
            for ((found, g), exact) in found.iter().zip(&g).zip(&exact) {
                let rest = (sum + exact * along) / n as f64;
                let bound = (gamma.abs() + 1e-3) * inverse * bound(exact.abs()) * 0.25;
                // Three roundings of what a deviation is multiplied by.
                let slope = 3.0 * 2.0_f64.powi(-23) * exact.abs() / inverse;
                let bound = bound + 1e-4 * inverse + slope;
                close(*found, gamma * inverse * (g - rest), bound, "below");
            }
        }
    }
}

/// The largest values that a gate takes, half of them negative, in as many rows as a channel may
/// have of them in a batch here: nothing wraps, and they come out as 1 and -1. A channel without a
/// deviation comes out as its bias.
#[test]
fn the_largest_values_do_not_wrap() {
    for (batch, places) in [(2, 1), (128, 784), (1024, 1024)] {
        let shape = Shape { channels: 3, height: places, width: 1 };
        let f = 20;
        let most = 2047.999;
        let x: Vec<f64> = (0..batch)
            .flat_map(|row| {
                let large = if row % 2 == 0 { most } else { -most };
                [large, -large, most].into_iter().flat_map(move |x| (0..places).map(move |_| x))
            })
            .collect();
        let parameters = LayerParameters {
            weights: words(&[1.0, -1.0, 1.0], f),
            biases: words(&[0.0, 0.0, 0.5], f),
            statistics: vec![0; 6],
        };
        let (found, _) = forward((batch, shape, f), &x, &parameters);
        for (at, found) in found.iter().enumerate() {
            let (row, channel) = (at / places / 3, at / places % 3);
            let expected = match channel {
                2 => 0.5,
                _ if row % 2 == 0 => 1.0,
                _ => -1.0,
            };
            let allowed = if channel == 2 { 0.2 } else { 0.01 };
            assert!((found - expected).abs() < allowed, "{batch} x {places}: {found} {expected}");
        }
    }
}

const CONFIG: &str = include_str!("normalise.toml");

fn config(bits: u32) -> Config {
    Config::parse(&CONFIG.replace("BITS", &bits.to_string()), Path::new("config.toml")).unwrap()
}

/// Images whose left half is brighter than the right, or the other way round, with values of a size
/// that wants normalising.
fn images(rows: usize, rng: &mut Rng, bits: u32) -> Data {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = rng.below(2);
        for place in 0..36 {
            let bright = (place % 6 < 3) == (class == 0);
            inputs.push(f64::from(rng.real()) * 3.0 + if bright { 7.0 } else { 5.0 });
        }
        targets.extend([class == 0, class == 1].map(|is| f64::from(u8::from(is))));
    }
    Data { inputs: words(&inputs, bits), targets: words(&targets, bits), ..Data::default() }
}

/// A run of the twin ends where the float baseline ends, kept statistics included, and learns; and
/// the model answers like the baseline's, by what was kept.
#[test]
fn runs_end_where_floats_do() {
    for bits in [16, 20] {
        let mut rng = Rng(seed());
        let (train, test) = (images(201, &mut rng, bits), images(60, &mut rng, bits));
        let sizes = Sizes {
            rows: 201,
            features: 36,
            targets: 2,
            test_rows: 60,
            feature_bits: bits + 4,
            ..Sizes::default()
        };
        let course = Arc::new(Course::new(config(bits), sizes).unwrap());
        let labels = Labels::Classes { classes: 2 };
        let (baseline, float) =
            plain::baseline(&course, (&train, &test), labels, &mut |_| {}).unwrap();
        let copy = |data: &Data| Data {
            inputs: data.inputs.clone(),
            targets: data.targets.clone(),
            ..Data::default()
        };
        let (model, curve) = plain::twin(&course, copy(&train), copy(&test), &mut |_| {}).unwrap();
        let found = plain::numbers(&model, bits);
        let mut largest = 0.0_f64;
        for (layer, (found, expected)) in found.layers.iter().zip(&baseline.layers).enumerate() {
            for (found, expected) in found.words().zip(expected.words()) {
                largest = largest.max((found - expected).abs() / (1.0 + expected.abs()));
            }
            // With 16 bits 42 steps of rounding move weights; answers below do not move.
            assert!(bits == 16 || largest < 0.02, "f {bits}, layer {layer}: {largest} away");
        }
        let (last, last_float) = (curve.0.last().unwrap(), float.0.last().unwrap());
        println!("f {bits}: {largest} away; {last:?} {last_float:?}");
        assert!(last.test_accuracy.unwrap() > 0.9);
        assert!((last.test_loss.unwrap() - last_float.test_loss.unwrap()).abs() < 0.02);

        let network = course.network();
        let serving = Serving::new(network.clone(), course.config().arithmetic, 0).unwrap();
        let mut open = serving.open(&model, &[]);
        let opened = offline::run(&mut open, tensor::twin(Truncation::Exact)).unwrap().0;
        let inputs = numbers(&test.inputs, bits).iter().map(|value| *value as f32).collect();
        let samples = Samples::new(36, inputs, 2, vec![0.0; 120]).unwrap();
        let expected = float::outputs(network, &found, &samples).unwrap();
        for (row, expected) in test.inputs.chunks(36).zip(expected.chunks(2)) {
            let mut answer = serving.evaluate(&opened, row.to_vec()).unwrap();
            let answer = offline::run(&mut answer, tensor::twin(Truncation::Exact)).unwrap().0;
            for (found, expected) in numbers(&answer.words, answer.frac_bits).iter().zip(expected) {
                let allowed = 2.0_f64.powi(4 - bits as i32) * 8.0 * (1.0 + expected.abs());
                assert!((found - expected).abs() < allowed, "f {bits}: {found} {expected}");
            }
        }
    }
}

/// A last batch of one row has no variance, in a layer of single values; a whole image has.
#[test]
fn what_cannot_be_normalised_is_refused() {
    let sizes = |rows| Sizes {
        rows,
        features: 36,
        targets: 2,
        test_rows: 9,
        feature_bits: 24,
        ..Sizes::default()
    };
    for (rows, fits) in [(1, false), (2, true), (33, false), (34, true), (64, true)] {
        let mut config = config(20);
        (config.open.accuracy, config.open.loss) = (false, false);
        let course = Course::new(config, sizes(rows));
        assert_eq!(course.is_ok(), fits, "{rows} rows");
        if let Err(refused) = course {
            let text = refused.to_string();
            assert!(text.contains("layer 6") && text.contains("training.batch"), "{text}");
        }
    }
    let refused = |from: &str, to: &str, field: &str| {
        assert!(CONFIG.contains(from));
        let text = CONFIG.replace("BITS", "20").replace(from, to);
        let error = Config::parse(&text, Path::new("config.toml")).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    };
    refused("[open]", "[stop]\nlargest_weight = 1025\n[open]", "stop.largest_weight");
    let first = "[[model.layer]]\nkind = \"convolution\"";
    let norm = format!("[[model.layer]]\nkind = \"batch-norm\"\n{first}");
    refused(first, &norm, "model.layer[1]");
    refused("kind = \"batch-norm\"", "kind = \"batch-norm\"\nepsilon = 0.1", "epsilon");
}

/// Layers, weights and sizes as their papers and FALCON's have them.
#[test]
fn networks_of_colour_images() {
    use sharelet_train::network::Network;
    let words = |network: &Network| -> usize {
        network.parameters().unwrap().iter().map(|counts| counts.weights + counts.biases).sum()
    };
    let alexnet = Network::named(NetworkName::AlexNet);
    let shapes = alexnet.shapes().unwrap();
    let sides: Vec<usize> = shapes.iter().map(|shape| shape.height).collect();
    assert_eq!(sides[..9], [32, 11, 5, 5, 5, 3, 1, 1, 1]);
    assert_eq!(shapes.last().unwrap().elems(), 10);
    assert_eq!(words(&alexnet), 3_882_058);
    let vgg = Network::named(NetworkName::Vgg16);
    let sides: Vec<usize> = vgg.shapes().unwrap().iter().map(|shape| shape.height).collect();
    assert_eq!((sides[0], sides[7], sides[sides.len() - 6]), (32, 16, 1));
    assert_eq!(words(&vgg), 33_646_666);
}

/// What `docs/training.md` says of a step: messages and openings, whatever the batch is.
#[test]
fn a_step_costs_what_the_page_says() {
    use sharelet_train::loss::Wanted;
    use sharelet_train::model::Model;
    use sharelet_train::network::{Layer, Loss, Network, Window};
    use sharelet_train::step::{OpenData, Step};
    use sharelet_train::update::Rates;
    let window = Window { kernel: (3, 3), stride: (1, 1), padding: (1, 1) };
    let convolution = Layer::Convolution { filters: 4, window };
    let plan = |norm: bool, batch: usize| {
        let norm = norm.then_some(Layer::BatchNorm);
        let layers =
            [Some(convolution), norm, Some(Layer::Relu), Some(Layer::Dense { outputs: 2 })];
        let network = Network {
            input: Shape { channels: 1, height: 6, width: 6 },
            layers: layers.into_iter().flatten().collect(),
            loss: Loss::SquaredError,
        };
        let mut open = OpenData { inputs: vec![0; batch * 36] };
        let opened = offline::run(&mut open, tensor::twin(Truncation::OneUnit)).unwrap().0;
        let mut model = Model::zeros(&network, false).unwrap();
        let data = (opened, vec![0; batch * 2]);
        let (rates, wanted) = (Rates::default(), Wanted::default());
        let mut step = Step::new(&network, 20, &mut model, data, rates, wanted).unwrap();
        offline::Plan::of(&mut step, Truncation::OneUnit).unwrap()
    };
    for batch in [8, 100] {
        let (with, without) = (plan(true, batch), plan(false, batch));
        let messages = with.usage.messages - without.usage.messages;
        println!("{batch}: {messages} messages, {} masks", with.mask_elems - without.mask_elems);
        assert_eq!(messages, 17 + 12 + 1);
        // Two openings per value, and two per channel: the factors of both ways.
        assert_eq!(with.mask_elems - without.mask_elems, 2 * batch * 4 * 36 + 2 * 4);
        // Products with those three times, and two sums of products.
        assert_eq!(with.product_elems - without.product_elems, 3 * batch * 4 * 36 + 2 * 4);
    }
}
