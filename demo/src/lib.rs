//! The built-in model: a classifier of vibration windows, trained on synthetic readings.
//!
//! `simulate` makes windows of a three-axis accelerometer on a simulated machine, `features`
//! reduces a window to a row of numbers, `train` fits a small network, `export` writes it as ONNX.
//! Everything follows from one seed, and the functions beyond arithmetic come from `libm`, so that
//! every machine writes the same files.
//!
//! `tabular` draws tables for regressions and a support vector machine, apart from all that.

pub mod export;
pub mod features;
pub mod rng;
pub mod simulate;
pub mod tabular;
pub mod train;

use std::fs;
use std::path::Path;

use features::{COUNT, Normalisation};
use rng::Rng;
use sharelet_cli::import::{self, ImportArgs};
use sharelet_import::ImportError;
use sharelet_model::readings::Readings;
use sharelet_model::{Model, ModelError, largest};
use simulate::State;
use train::{Network, Sample};

/// Everything follows from it.
pub const SEED: u64 = 2024;
/// Windows per state to train on, to calibrate with, and held out.
const TRAINING: usize = 800;
const CALIBRATION: usize = 100;
const HELD_OUT: usize = 500;
/// Held-out windows per state that are kept as readings for the demonstration.
const SHOWN: usize = 3;

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

/// Why the files are not made.
#[derive(Debug)]
pub enum DemoError {
    /// A file cannot be written.
    Io(std::io::Error),
    /// The import refuses what was trained.
    Import(ImportError),
    /// The model refuses a reading.
    Model(ModelError),
    /// Readings cannot be made or written.
    Readings(String),
}

impl core::fmt::Display for DemoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}; check the folder and its permissions"),
            Self::Import(error) => error.fmt(f),
            Self::Model(error) => error.fmt(f),
            Self::Readings(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for DemoError {}

/// Simulates, trains, and writes all files into a folder.
///
/// # Errors
/// [`DemoError`]; files written before the error stay.
pub fn make(folder: &Path) -> Result<Outcome, DemoError> {
    let mut rng = Rng::new(SEED);
    let training = windows(&mut rng, TRAINING);
    let held_out = windows(&mut rng, HELD_OUT);
    let normalisation = Normalisation::of(training.iter().map(|(_, row)| row));
    let normalise = |windows: &[(State, [f64; COUNT])]| -> Vec<Sample> {
        windows
            .iter()
            .map(|(state, row)| Sample { input: normalisation.apply(row), class: state.index() })
            .collect()
    };
    let (training, held_out) = (normalise(&training), normalise(&held_out));
    let network = Network::train(&training, &mut rng);

    fs::write(folder.join("features.csv"), normalisation.to_csv()).map_err(DemoError::Io)?;
    fs::write(folder.join("vibration.onnx"), export::onnx(&network)).map_err(DemoError::Io)?;
    save(&training[..CALIBRATION * State::ALL.len()], &folder.join("calibration.npy"))?;
    let shown = &held_out[..SHOWN * State::ALL.len()];
    save(shown, &folder.join("windows.npy"))?;
    let truth: String =
        shown.iter().map(|sample| format!("{}\n", State::ALL[sample.class].name())).collect();
    fs::write(folder.join("windows.txt"), truth).map_err(DemoError::Io)?;
    let output = folder.join("vibration.slt");
    import::run(ImportArgs {
        model: folder.join("vibration.onnx"),
        calibrate: folder.join("calibration.npy"),
        output: output.clone(),
        headroom_bits: 1,
        input_frac_bits: None,
        frac_bits: None,
        divide: None,
        labels: State::ALL.map(|state| state.name().to_owned()).to_vec(),
        name: None,
    })
    .map_err(DemoError::Import)?;
    evaluate(&network, &Model::load(&output).map_err(DemoError::Model)?, &held_out)
}

/// `per_state` windows of every state, the states in turn.
fn windows(rng: &mut Rng, per_state: usize) -> Vec<(State, [f64; COUNT])> {
    let states = (0..per_state).flat_map(|_| State::ALL);
    states.map(|state| (state, features::of(&simulate::window(state, rng)))).collect()
}

fn save(samples: &[Sample], path: &Path) -> Result<(), DemoError> {
    let values = samples.iter().flat_map(|sample| sample.input).collect();
    let readings = Readings::new(COUNT, values)
        .ok_or_else(|| DemoError::Readings("a feature is not finite".to_owned()))?;
    readings.save_npy(path).map_err(|error| DemoError::Readings(error.to_string()))
}

fn evaluate(network: &Network, model: &Model, held_out: &[Sample]) -> Result<Outcome, DemoError> {
    let mut outcome = Outcome {
        windows: held_out.len(),
        float_correct: 0,
        fixed_correct: 0,
        confusion: [[0; 4]; 4],
    };
    for sample in held_out {
        outcome.float_correct += usize::from(network.classify(&sample.input) == sample.class);
        let words = model
            .encode(&sample.input)
            .and_then(|input| model.infer(&input))
            .map_err(DemoError::Model)?;
        let class = largest(&words).unwrap_or(0);
        outcome.fixed_correct += usize::from(class == sample.class);
        outcome.confusion[sample.class][class] += 1;
    }
    Ok(outcome)
}
