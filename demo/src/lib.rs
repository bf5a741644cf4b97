//! The built-in model: a classifier of vibration windows, trained on synthetic readings.
//!
//! `simulate` makes windows of a three-axis accelerometer on a simulated machine, `features`
//! reduces a window to a row of numbers, `train` fits a small network.
//! Everything follows from one seed, and the functions beyond arithmetic come from `libm`, so that
//! every machine writes the same files.
//!
//! `tabular` draws tables for regressions and a support vector machine, apart from all that.

pub mod features;
pub mod rng;
pub mod simulate;
pub mod tabular;
pub mod train;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Error, Result};
use features::{COUNT, Normalisation};
use rng::Rng;
use sharelet_cli::answers::Labels;
use sharelet_cli::import::{self, ImportArgs};
use sharelet_import::write;
use sharelet_model::readings::Readings;
use sharelet_model::{Model, largest};
use sharelet_train::float::{self, Samples};
use simulate::State;

/// Everything follows from it.
pub const SEED: u64 = 2024;
/// Windows per state to train on, to calibrate with, and held out.
const TRAINING: usize = 800;
const CALIBRATION: usize = 100;
const HELD_OUT: usize = 500;
/// Held-out windows per state that are kept as readings for the demonstration.
const SHOWN: usize = 3;

/// A row of normalised features, and what the machine did.
struct Sample {
    input: [f32; COUNT],
    state: State,
}

/// What the held-out windows say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Held-out windows.
    pub windows: usize,
    /// Of these, recognised by the float network.
    pub float_correct: usize,
    /// Of these, recognised by the model file, in fixed point.
    pub fixed_correct: usize,
    /// How often a state (row) was taken for another (column), in fixed point.
    pub confusion: [[usize; 4]; 4],
}

/// Simulates, trains, and writes all files into a folder.
///
/// # Errors
/// A file cannot be written, or the import refuses what was trained; files written before the error
/// stay.
pub fn make(folder: &Path) -> Result<Outcome> {
    let mut rng = Rng::new(SEED);
    let training = windows(&mut rng, TRAINING);
    let held_out = windows(&mut rng, HELD_OUT);
    let normalisation = Normalisation::of(training.iter().map(|(_, row)| row));
    let normalise = |windows: &[(State, [f64; COUNT])]| -> Vec<Sample> {
        let sample = |(state, row): &_| Sample { input: normalisation.apply(row), state: *state };
        windows.iter().map(sample).collect()
    };
    let (training, held_out) = (normalise(&training), normalise(&held_out));
    let network = train::network();
    let parameters = train::train(&network, &samples(&training)?, &mut rng)?;

    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let hint = || format!("{}: check the folder and its permissions", path.display());
        fs::write(&path, bytes).with_context(hint)
    };
    write("features.csv", normalisation.to_csv().as_bytes())?;
    write("vibration.onnx", &write::onnx(&network, &parameters, "vibration")?)?;
    save(&training[..CALIBRATION * State::ALL.len()], &folder.join("calibration.npy"))?;
    let shown = &held_out[..SHOWN * State::ALL.len()];
    save(shown, &folder.join("windows.npy"))?;
    let truth: String = shown.iter().map(|sample| format!("{}\n", sample.state.name())).collect();
    write("windows.txt", truth.as_bytes())?;
    let output = folder.join("vibration.slt");
    let labels = Labels::parse(&State::ALL.map(State::name).join(",")).map_err(Error::msg)?;
    import::run(ImportArgs {
        model: folder.join("vibration.onnx"),
        calibrate: folder.join("calibration.npy"),
        out: output.clone(),
        output: None,
        force: true,
        headroom_bits: 1,
        input_frac_bits: None,
        input_scale: import::Scale::default(),
        frac_bits: None,
        gate_bits: None,
        max_error: 0.2,
        divide: None,
        labels: Some(labels),
        name: None,
    })?;
    let parameters = parameters.map(|&value| f64::from(value));
    let float = float::evaluate(&network, &parameters, &samples(&held_out)?)?;
    evaluate(float.right, &Model::load(&output)?, &held_out)
}

/// `per_state` windows of every state, the states in turn.
fn windows(rng: &mut Rng, per_state: usize) -> Vec<(State, [f64; COUNT])> {
    let states = (0..per_state).flat_map(|_| State::ALL);
    states.map(|state| (state, features::of(&simulate::window(state, rng)))).collect()
}

fn inputs(samples: &[Sample]) -> Vec<f32> {
    samples.iter().flat_map(|sample| sample.input).collect()
}

/// The samples as the trainer takes them.
fn samples(samples: &[Sample]) -> Result<Samples> {
    let states: Vec<usize> = samples.iter().map(|sample| sample.state as usize).collect();
    Ok(Samples::of_classes(COUNT, inputs(samples), State::ALL.len(), &states)?)
}

fn save(samples: &[Sample], path: &Path) -> Result<()> {
    let readings = Readings::new(COUNT, inputs(samples)).context("a feature is not finite")?;
    Ok(readings.save_npy(path)?)
}

fn evaluate(float_correct: usize, model: &Model, held_out: &[Sample]) -> Result<Outcome> {
    let mut outcome = Outcome {
        windows: held_out.len(),
        float_correct,
        fixed_correct: 0,
        confusion: [[0; 4]; 4],
    };
    for sample in held_out {
        let words = model.infer(&model.encode(&sample.input)?)?;
        let (state, found) = (sample.state as usize, largest(&words).unwrap_or(0));
        outcome.fixed_correct += usize::from(found == state);
        outcome.confusion[state][found] += 1;
    }
    Ok(outcome)
}
