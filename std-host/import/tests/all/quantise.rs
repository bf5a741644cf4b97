//! Scales and their refusals, and the reference networks.

use sharelet_core::shape::Shape;
use sharelet_import::columns::quantise;
use sharelet_import::layer::{Chain, Layer, Map};
use sharelet_import::quantise::{Options, QuantiseError};
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_model::{Model, largest};
use sharelet_testkit::assert_matches;
use sharelet_testkit::{Rng, shared_data};

fn dense(rng: &mut Rng, inputs: usize, outputs: usize, relu: bool) -> Layer {
    let scale = (3.0 / inputs as f64).sqrt();
    let weights = (0..inputs * outputs).map(|_| f64::from(rng.real()) * scale).collect();
    let bias = (0..outputs).map(|_| f64::from(rng.real())).collect();
    let name = format!("dense {inputs}-{outputs}");
    let shape = Shape::Dense { inputs: inputs as u16, outputs: outputs as u16 };
    Layer { name, map: Map { shape, weights }, skip: None, bias, relu, curve: None }
}

fn chain(seed: u64) -> Chain {
    let mut rng = Rng(seed);
    let layers = vec![
        dense(&mut rng, 12, 20, true),
        dense(&mut rng, 20, 9, false),
        dense(&mut rng, 9, 11, true),
        dense(&mut rng, 11, 4, false),
    ];
    Chain {
        name: "random".into(),
        layers,
        left_off: Vec::new(),
        scores: None,
        labels: Vec::new(),
        steps: Vec::new(),
    }
}

fn readings(seed: u64, width: usize, rows: usize, scale: f32) -> Readings {
    let values = Rng(seed).reals(width * rows).into_iter().map(|value| value * scale);
    Readings::new(width, values.collect()).unwrap()
}

/// The largest relative error of answers to `inputs`.
fn error(chain: &Chain, model: &Model, inputs: &Readings) -> f64 {
    let (mut error, mut size) = (0.0, 0.0);
    for row in inputs.rows() {
        let answer = model.decode(&model.infer(&model.encode(row).unwrap()).unwrap());
        for (float, fixed) in chain.infer(row).iter().zip(answer) {
            error += (float - f64::from(fixed)).powi(2);
            size += float * float;
        }
    }
    (error / size).sqrt()
}

#[test]
fn random_networks_are_close_to_float() {
    for seed in 0..20 {
        let chain = chain(seed);
        for scale in [1e-3, 1.0, 1e3] {
            let mut chain = chain.clone();
            // The same network for readings of another size.
            chain.layers[0].map.weights.iter_mut().for_each(|weight| *weight /= f64::from(scale));
            let calibration = readings(seed + 100, 12, 200, scale);
            let (model, report) = quantise(&chain, &calibration, &Options::default()).unwrap();
            model.validate().unwrap();
            let error = error(&chain, &model, &readings(seed + 200, 12, 100, scale));
            // What a proof and narrow gates may cost, on other readings.
            assert!(error < 4e-3, "seed {seed}, scale {scale}: {error:e}\n{report}");
            assert!(report.error < 4e-3);
        }
    }
}

#[test]
fn the_report_is_what_the_model_computes() {
    let (chain, calibration) = (chain(3), readings(4, 12, 50, 1.0));
    let (model, report) = quantise(&chain, &calibration, &Options::default()).unwrap();
    // The same integers: the report's error is that of the model's own twin.
    let of_model = error(&chain, &model, &calibration);
    // Answers are decoded to f32.
    let off = (of_model - report.error).abs();
    assert!(off < f64::from(f32::EPSILON), "{of_model}, {}", report.error);
    assert_eq!(report.layers.len(), 4);
    for layer in &report.layers {
        assert!(layer.headroom_bits >= 0.99, "{report}");
    }
    assert_eq!(i32::from(model.network.output_frac_bits()), report.layers[3].frac_bits);
    let text = report.to_string();
    assert!(text.contains("12 -> 20") && text.contains("dense 9-11"), "{text}");
}

#[test]
fn head_room_and_scales_are_obeyed() {
    let (chain, calibration) = (chain(5), readings(6, 12, 50, 1.0));
    for headroom_bits in 0..=4 {
        let options = Options {
            headroom_bits,
            input_frac_bits: Some(8),
            frac_bits: Some(12),
            ..Options::default()
        };
        let (model, report) = quantise(&chain, &calibration, &options).unwrap();
        assert_eq!(model.network.input_frac_bits(), 8);
        assert!(
            report.layers.iter().all(|layer| layer.headroom_bits > f64::from(headroom_bits) - 0.01),
            "{report}"
        );
        let mut frac_bits = 8;
        for (index, layer) in model.network.layers().iter().enumerate() {
            frac_bits = frac_bits + layer.weight_frac_bits - layer.shift;
            assert!(index == 3 || frac_bits == 12);
        }
        let limit = calibration.values().iter().fold(0.0_f32, |max, value| max.max(value.abs()))
            * f32::from(1_u16 << headroom_bits);
        assert!(
            (f64::from(model.network.input_limit()) / 256.0 - f64::from(limit)).abs() < 1.0 / 128.0
        );
    }
}

#[test]
fn ranges_that_do_not_fit_are_named() {
    let (chain, calibration) = (chain(7), readings(8, 12, 50, 1.0));
    let refused = |chain: &Chain, calibration: &Readings, options| {
        quantise(chain, calibration, &options).unwrap_err()
    };
    let auto = Options::default();
    // An answer of a billion leaves one fraction bit.
    let mut large = chain.clone();
    large.layers[2].map.weights.iter_mut().for_each(|weight| *weight *= 3e11);
    let error = refused(&large, &calibration, auto);
    let QuantiseError::Range { layer: 2, low, high, .. } = error else { panic!("{error}") };
    assert!(low < -1e9 && high > 1e9, "{error}");
    assert!(error.to_string().contains("layer 2 (`dense 9-11`): accumulators from -"), "{error}");
    // Activations with more bits than the accumulator has.
    let mut large = chain.clone();
    large.layers[0].map.weights.iter_mut().for_each(|weight| *weight *= 1e6);
    let error = refused(&large, &calibration, Options { frac_bits: Some(12), ..auto });
    assert_matches!(error, QuantiseError::Range { layer: 0, what: "outputs", frac_bits: 12, .. });
    let error = refused(&chain, &readings(8, 12, 50, 1e9), auto);
    assert_matches!(error, QuantiseError::Range { layer: 0, .. });
    let fine = Options { input_frac_bits: Some(24), ..auto };
    let error = refused(&chain, &readings(8, 12, 50, 1e4), fine);
    assert_matches!(error, QuantiseError::InputRange { frac_bits: 24, .. });
    // A bias so large that no bits are left for the weights.
    let mut biased = chain.clone();
    biased.layers[1].bias[0] = 1e9;
    biased.layers[1].map.weights.iter_mut().for_each(|weight| *weight *= 1e-3);
    let error = refused(&biased, &calibration, auto);
    assert_matches!(
        error,
        QuantiseError::Vanished { layer: 1, .. } | QuantiseError::Range { layer: 1, .. }
    );
}

#[test]
fn other_refusals() {
    let (chain, calibration) = (chain(7), readings(8, 12, 50, 1.0));
    let auto = Options::default();
    let refused =
        |readings: &Readings, options: &Options| quantise(&chain, readings, options).unwrap_err();
    let narrow = refused(&readings(1, 11, 2, 1.0), &auto);
    assert_matches!(narrow, QuantiseError::Width { expected: 12, found: 11 });
    assert_matches!(refused(&readings(1, 12, 2, 0.0), &auto), QuantiseError::AllZero);
    let wild = Options { headroom_bits: 99, ..auto };
    assert_matches!(refused(&calibration, &wild), QuantiseError::OptionOutOfRange { .. });
    let mut deep = chain.clone();
    let mut rng = Rng(1);
    deep.layers.extend((0..260).map(|_| dense(&mut rng, 4, 4, true)));
    assert!(matches!(quantise(&deep, &calibration, &auto), Err(QuantiseError::Description(_))));
}

#[test]
fn weights_that_vanish_are_reported() {
    let report =
        |chain: &Chain| quantise(chain, &readings(1, 12, 50, 1.0), &Options::default()).unwrap().1;
    let mut chain = chain(9);
    assert!(report(&chain).warnings().is_empty());
    chain.layers[3].map.weights[..11].fill(1e-9);
    let report = report(&chain);
    assert_eq!((report.layers[3].zeroed, report.layers[3].dead_outputs), (11, 1));
    let expected = "layer 3 (`dense 11-4`): all weights of 1 output(s) become zero";
    assert!(report.warnings()[0].contains(expected), "{report}");
}

#[test]
fn a_dead_network_is_imported() {
    // All accumulators zero: any scale will do.
    let mut chain = chain(9);
    chain.layers.iter_mut().for_each(|dense| {
        dense.map.weights.fill(0.0);
        dense.bias.fill(0.0);
    });
    let (model, _) = quantise(&chain, &readings(1, 12, 5, 1.0), &Options::default()).unwrap();
    assert_eq!(model.infer(&[1; 12]).unwrap(), vec![0; 4]);
}

#[test]
fn ad01_is_close_to_float() {
    let Some(data) = shared_data() else { return };
    let [windows, outputs] = ["windows", "outputs"].map(|what| {
        let file = data.join(format!("mlperf-tiny/ad01_{what}.npy"));
        Readings::load(&file, ReadOptions::default()).unwrap()
    });
    let from = |file: &str| {
        let mut chain = sharelet_import::read(&data.join("mlperf-tiny").join(file)).unwrap();
        chain.name = "ad01".into();
        quantise(&chain, &windows, &Options::default()).unwrap().0
    };
    let model = from("ad01.onnx");
    assert_eq!(model, from("ad01_fp32.tflite"), "both formats give the same model");
    let score = |input: &[f32], output: &[f32]| {
        input.iter().zip(output).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>()
            / input.len() as f64
    };
    let (mut worst, mut sum) = (0.0_f64, 0.0);
    for (input, reference) in windows.rows().zip(outputs.rows()) {
        let answer = model.decode(&model.infer(&model.encode(input).unwrap()).unwrap());
        let reference = score(input, reference);
        let error = (score(input, &answer) - reference).abs() / reference;
        worst = worst.max(error);
        sum += error;
    }
    let shifts: Vec<u8> = model.network.layers().iter().map(|layer| layer.shift).collect();
    println!(
        "ad01: score off by {:.4} % on average, {:.4} % at worst over {} windows; input bits {}, \
         shifts {shifts:?}",
        100.0 * sum / windows.len() as f64,
        100.0 * worst,
        windows.len(),
        model.network.input_frac_bits()
    );
    assert_eq!(windows.len(), 196);
    // All of them, and what is louder and quieter, fit: the quietest window pays for it.
    let mean = sum / windows.len() as f64;
    assert!(mean < 3e-3 && worst < 0.06, "{mean}, {worst}");
}

/// All test images on a network: how many are recognised, and how many as in float.
fn recognised(name: &str) -> Option<(usize, usize)> {
    let data = shared_data()?;
    let load = |file: &str, divide| {
        Readings::load(&data.join(file), ReadOptions { width: None, divide }).unwrap()
    };
    let chain = sharelet_import::read(&data.join(format!("networks/{name}.onnx"))).unwrap();
    let (model, _) =
        quantise(&chain, &load("mnist/train-images-idx3-ubyte.gz", None), &Options::default())
            .unwrap();
    let (images, labels) = (
        load("mnist/test-images-idx3-ubyte.gz", None),
        load("mnist/test-labels-idx1-ubyte.gz", Some(1.0)),
    );
    let logits = load(&format!("networks/{name}_test_logits.npy"), None);
    let (mut correct, mut same) = (0, 0);
    for ((image, label), logits) in images.rows().zip(labels.values()).zip(logits.rows()) {
        let answer = largest(&model.infer(&model.encode(image).unwrap()).unwrap()).unwrap();
        let float = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        correct += usize::from((answer as f32 - label).abs() < 0.5);
        same += usize::from(answer == float);
    }
    println!("{name}: {correct} of {} correct, {same} as in float", images.len());
    assert_eq!(images.len(), 1000);
    Some((correct, same))
}

#[test]
fn networks_a_and_b_keep_their_accuracy() {
    for name in ["network_a", "network_b"] {
        let Some((correct, same)) = recognised(name) else { return };
        assert!((987..=991).contains(&correct), "{name}: {correct}");
        assert!(same >= 999, "{name}: {same}");
    }
}
