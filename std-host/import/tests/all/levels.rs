//! Readings that are louder, quieter and elsewhere than the calibration ones: what is accepted is
//! answered as well as the report says.

use std::path::Path;

use sharelet_core::shape::Shape;
use sharelet_import::columns::quantise;
use sharelet_import::layer::{Chain, Layer, Map};
use sharelet_import::quantise::Options;
use sharelet_import::report::Report;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::{Rng, printed_seed, shared_data};

fn load(path: &Path) -> Readings {
    Readings::load(path, ReadOptions::default()).unwrap()
}

fn import(network: &Path, calibration: &Readings) -> (Chain, Model, Report) {
    let chain = sharelet_import::read(network).unwrap();
    let (model, report) = quantise(&chain, calibration, &Options::default()).unwrap();
    println!("{report}");
    (chain, model, report)
}

/// The error of answers relative to their size, over the readings that are accepted; how many are.
fn error(chain: &Chain, model: &Model, readings: impl Iterator<Item = Vec<f32>>) -> (f64, usize) {
    let (mut error, mut size, mut accepted) = (0.0, 0.0, 0);
    for row in readings {
        let Ok(input) = model.encode(&row) else { continue };
        accepted += 1;
        let answer = model.decode(&model.infer(&input).unwrap());
        for (float, fixed) in chain.infer(&row).iter().zip(answer) {
            error += (float - f64::from(fixed)).powi(2);
            size += float * float;
        }
    }
    ((error / f64::max(size, 1e-30)).sqrt(), accepted)
}

fn printed(report: &Report) -> f64 {
    report.levels.iter().map(|level| level.error).fold(report.error.max(report.unlike), f64::max)
}

#[test]
fn ad01_is_right_from_silence_to_thirty_decibels_more() {
    let Some(data) = shared_data() else { return };
    let windows = load(&data.join("mlperf-tiny/ad01_windows.npy"));
    let (chain, model, report) = import(&data.join("mlperf-tiny/ad01.onnx"), &windows);
    let some = || windows.rows().step_by(4);
    let check = |what: &str, change: &dyn Fn(f32) -> f32| {
        let rows = some().map(|row| row.iter().map(|&value| change(value)).collect());
        let (error, accepted) = error(&chain, &model, rows);
        println!("{what}: error {error:.6}, {accepted} accepted");
        assert!(error <= printed(&report), "{what}: {error}, printed {}", printed(&report));
        accepted
    };
    for level in [0.0, 0.25, 0.5, 1.0, 1.25, 1.5, 1.75, 2.0] {
        assert_eq!(check(&format!("level {level}"), &|value| level * value), some().len());
    }
    assert_eq!(check("level 3", &|value| 3.0 * value), 0, "refused");
    for decibels in [-60.0, -30.0, -10.0, 10.0, 20.0, 30.0] {
        assert!(check(&format!("{decibels} dB"), &|value| value + decibels) > 0);
    }
}

#[test]
fn the_faults_network_is_right_at_the_end_of_its_range() {
    let Some(data) = shared_data() else { return };
    let faults = data.join("faults");
    let calibration = load(&faults.join("digits_calibration.npy"));
    let (chain, model, report) = import(&faults.join("torch_cnn_res.onnx"), &calibration);
    let readings = load(&faults.join("digits_x1.9.npy"));
    let (error, accepted) = error(&chain, &model, readings.rows().map(<[f32]>::to_vec));
    assert_eq!(accepted, readings.len());
    assert!(error <= printed(&report), "{error}, printed {}", printed(&report));
    for row in readings.rows() {
        let class = |values: &[f64]| (0..10).max_by(|&a, &b| values[a].total_cmp(&values[b]));
        let answer = model.decode(&model.infer(&model.encode(row).unwrap()).unwrap());
        let answer: Vec<f64> = answer.into_iter().map(f64::from).collect();
        assert_eq!(class(&answer), class(&chain.infer(row)));
    }
}

fn dense(rng: &mut Rng, inputs: usize, outputs: usize, gain: f64) -> Layer {
    let weights = (0..inputs * outputs).map(|_| f64::from(rng.real()) * gain).collect();
    let shape = Shape::Dense { inputs: inputs as u16, outputs: outputs as u16 };
    let bias = (0..outputs).map(|_| f64::from(rng.real()) * gain).collect();
    Layer {
        name: "dense".into(),
        map: Map { shape, weights },
        skip: None,
        bias,
        relu: true,
        curve: None,
    }
}

/// What is said to be proved is: a reading at the corner that makes one accumulator as large as it
/// can be is answered as in float.
#[test]
fn no_reading_that_is_accepted_wraps_a_network_that_is_proved() {
    let mut rng = Rng(printed_seed());
    let (mut proved, mut total) = (0, 0);
    for case in 0..60 {
        let width = 3 + case % 20;
        let gain = f64::from(rng.real()).abs() + 0.1;
        let layers = (0..1 + case % 4).map(|_| dense(&mut rng, width, width, gain)).collect();
        let chain = Chain {
            name: "proof".into(),
            layers,
            left_off: Vec::new(),
            scores: None,
            labels: Vec::new(),
            steps: Vec::new(),
        };
        let readings = rng.reals(20 * width).into_iter().map(|value| value * 0.5 + 0.5).collect();
        let readings = Readings::new(width, readings).unwrap();
        let (model, report) = quantise(&chain, &readings, &Options::default()).unwrap();
        total += 1;
        if !report.is_proved() {
            continue;
        }
        proved += 1;
        let limit = (report.input_limit * 0.9999) as f32;
        for row in 0..width {
            let weights = &chain.layers[0].map.weights[row * width..][..width];
            let corner: Vec<f32> =
                weights.iter().map(|weight| if *weight < 0.0 { -limit } else { limit }).collect();
            let answer = model.decode(&model.infer(&model.encode(&corner).unwrap()).unwrap());
            let float = chain.infer(&corner);
            // An answer may be small beside the sums that it is made of; a wrap is not.
            let last = report.layers.last().unwrap();
            let sums = last.high.max(-last.low);
            let size = float.iter().fold(sums, |max, value| max.max(value.abs()));
            for (float, fixed) in float.iter().zip(answer) {
                assert!((float - f64::from(fixed)).abs() < 0.05 * size, "case {case}: {report}");
            }
        }
    }
    println!("{proved} of {total} proved");
    assert!(proved > total / 2, "{proved} of {total}");
}
