//! Trains in the clear what a CONFIG.toml describes, and prints loss and accuracy per epoch: the
//! baseline of private training.
//!
//! ```console
//! $ cargo run --release --example train_float -- \
//!       CONFIG.toml TRAIN-ROWS TRAIN-LABELS [TEST-ROWS TEST-LABELS]
//! ```
//! Rows and labels are files that `sharelet` reads (`.npy`, `.csv`, `idx.gz`). Labels are classes,
//! or numbers for a squared error.
#![allow(clippy::print_stdout)]

use core::error::Error;
use std::path::Path;
use std::time::Instant;

use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_train::config::Config;
use sharelet_train::float::{self, Labels, Samples};
use sharelet_train::initial::initial;
use sharelet_train::network::Loss;
use sharelet_train::schedule::{Plan, Split};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (config, rows, labels, test) = match arguments.as_slice() {
        [config, rows, labels] => (config, rows, labels, None),
        [config, rows, labels, test_rows, test_labels] => {
            (config, rows, labels, Some((test_rows, test_labels)))
        }
        _ => {
            return Err("give CONFIG.toml, rows and labels, and if you like rows and labels of a \
                        test"
                .into());
        }
    };
    let config = Config::load(Path::new(config))?;
    let mut train = samples(&config, rows, labels)?;
    let mut test = test.map(|(rows, labels)| samples(&config, rows, labels)).transpose()?;
    if let Some(held_out) = config.data.held_out {
        let split = Split::new(train.len(), held_out, config.training.seed)?;
        test = Some(train.subset(&split.test)?);
        train = train.subset(&split.train)?;
    }
    let network = config.network(train.width())?;
    let plan = Plan::new(&config.training, train.len())?;
    let bits = config.arithmetic.frac_bits;
    let start = initial(&network, bits, config.training.seed)?.to_f64(bits);
    let (began, percent) =
        (Instant::now(), |accuracy: Option<f64>| accuracy.map_or(f64::NAN, |part| 100.0 * part));
    println!("epoch  train loss  train %    test loss   test %  seconds");
    float::train(&network, start, &plan, &train, test.as_ref(), |epoch| {
        let test =
            epoch.test.map_or((f64::NAN, f64::NAN), |test| (test.loss, percent(test.accuracy)));
        let (train, seconds) =
            ((epoch.train.loss, percent(epoch.train.accuracy)), began.elapsed().as_secs_f64());
        println!(
            "{:5}  {:10.4}  {:7.2}  {:11.4}  {:7.2}  {seconds:7.1}",
            epoch.epoch, train.0, train.1, test.0, test.1
        );
    })?;
    Ok(())
}

fn samples(config: &Config, rows: &str, labels: &str) -> Result<Samples, Box<dyn Error>> {
    let rows = Readings::load(Path::new(rows), ReadOptions::default())?;
    let labels = Readings::load(Path::new(labels), ReadOptions { divide: Some(1.0), width: None })?;
    let network = config.network(rows.width())?;
    let outputs = network.shapes()?.last().map_or(0, |shape| shape.elems());
    let labels = if network.loss == Loss::SquaredError && (labels.width() > 1 || outputs == 1) {
        Labels::Numbers { width: labels.width(), values: labels.values().to_vec() }
    } else {
        Labels::classes(&labels)?
    };
    Ok(Samples::new(rows.width(), rows.values().to_vec(), labels)?)
}
