//! Which networks are imported, and how near their answers are: a table in Markdown.
//!
//! ```text
//! cargo run --release -p sharelet-import --example networks -- FILE.onnx FILE.tflite ...
//! ```
//!
//! Readings are drawn: a file has none of its own. Networks of floats get numbers from -1 to 1,
//! those that were quantised what their input goes from and to. Of 32 the scales are chosen, and 50
//! others are answered: by the model as a device and a host do, bit for bit, and in double
//! precision.
//! *Largest error* is that of an element of an answer, relative to the largest element of all.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::env;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_import::columns::quantise;
use sharelet_import::layer::Chain;
use sharelet_import::quantise::{Options, QuantiseError};
use sharelet_model::readings::Readings;

const SEED: [u8; 32] = [42; 32];
const CALIBRATED: usize = 32;
const ANSWERED: usize = 50;

/// What is told of a network that is imported.
struct Answers {
    layers: usize,
    same_largest: usize,
    largest_error: f64,
}

fn readings(width: usize, (low, high): (f64, f64)) -> Vec<f32> {
    let mut rng = ChaCha20Rng::from_seed(SEED);
    let mut part = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    let draw = |_| (low + (high - low) * part()) as f32;
    (0..(CALIBRATED + ANSWERED) * width).map(draw).collect()
}

/// What the input of a network goes from and to.
fn domain(chain: &Chain, width: usize) -> Result<(f64, f64), Box<dyn core::error::Error>> {
    let beyond = Readings::new(width, vec![1e9; width]).ok_or("no readings")?;
    Ok(match quantise(chain, &beyond, &Options::default()) {
        Err(QuantiseError::Domain { low, high, .. }) => (low, high),
        _ => (-1.0, 1.0),
    })
}

fn largest(values: &[f64]) -> Option<usize> {
    let places = values.iter().enumerate();
    places.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
}

fn answers(path: &Path) -> Result<Answers, Box<dyn core::error::Error>> {
    let chain = sharelet_import::read(path)?;
    let width = chain.layers.first().ok_or("nothing is computed")?.inputs();
    let values = readings(width, domain(&chain, width)?);
    let (calibration, rest) = values.split_at(CALIBRATED * width);
    let calibration = Readings::new(width, calibration.to_vec()).ok_or("no readings")?;
    let (model, _) = quantise(&chain, &calibration, &Options::default())?;
    let (mut same_largest, mut off, mut size) = (0, 0.0_f64, f64::MIN_POSITIVE);
    for reading in rest.chunks(width) {
        let expected = chain.infer(reading);
        let found = model.decode(&model.infer(&model.encode(reading)?)?);
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        same_largest += usize::from(largest(&found) == largest(&expected));
        for (found, expected) in found.iter().zip(&expected) {
            off = off.max((found - expected).abs());
            size = size.max(expected.abs());
        }
    }
    Ok(Answers { layers: chain.layers.len(), same_largest, largest_error: off / size })
}

fn main() {
    println!("| network | verdict | layers | same largest | largest error |");
    println!("|---|---|---:|---:|---:|");
    let (mut imported, mut all) = (0, 0);
    for path in env::args().skip(1) {
        all += 1;
        let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match answers(Path::new(&path)) {
            Ok(Answers { layers, same_largest, largest_error }) => {
                imported += 1;
                println!(
                    "| {name} | imported | {layers} | {same_largest} of {ANSWERED} | {:.3} % |",
                    100.0 * largest_error
                );
            }
            Err(refused) => {
                let text = refused.to_string().replace(&format!("{path}: "), "");
                println!("| {name} | refused: {} | | | |", text.replace(['\n', '|'], " "));
            }
        }
    }
    println!("\n{imported} of {all} imported");
}
