//! Limits of outputs and weights: with them no sum is too large for a word.

use sharelet_train::config::Config;
use sharelet_train::network::Loss;
use sharelet_train::room::{Room, WORD_BITS, ratio};
use sharelet_train::schedule::Plan;
use sharelet_train::sizes::Sizes;

fn config(kind: &str, bits: u32, batch: usize, momentum: f64) -> Config {
    let text = format!(
        "[data]\ntrain = \"d\"\n[model]\nkind = \"{kind}\"\n[training]\nepochs = 1\nbatch = \
         {batch}\nlearning_rate = 0.1\nmomentum = {momentum}\n[arithmetic]\nfrac_bits = \
         {bits}\n[stop]\nlargest_weight = 100\n"
    );
    Config::parse(&text, std::path::Path::new("config.toml")).unwrap()
}

#[test]
fn sums_of_the_largest_values_have_room() {
    let (mut allowed, mut refused) = (0, 0);
    for bits in [16, 20, 24] {
        for batch in [1, 7, 64, 442, 8192] {
            for rows in [1, 20, 442, 569, 100_000, 1 << 20] {
                for (feature_bits, standardised) in [(bits, 0), (31, 0), (32, 0), (0, 4)] {
                    for (momentum, kind) in [
                        (0.0, "linear-regression"),
                        (0.9, "linear-regression"),
                        (0.0, "svm"),
                        (0.9, "svm"),
                    ] {
                        let config = config(kind, bits, batch, momentum);
                        let plan = Plan::new(&config.training, rows).unwrap();
                        let loss = match kind {
                            "svm" => Loss::Hinge,
                            _ => Loss::SquaredError,
                        };
                        let sizes = Sizes {
                            rows,
                            features: 3,
                            targets: 1,
                            standardised,
                            feature_bits,
                            ..Sizes::default()
                        };
                        let room = Room { loss, config: &config, sizes, plan: &plan };
                        let Some(outputs) = room.output_bits() else {
                            refused += 1;
                            continue;
                        };
                        allowed += 1;
                        let gradient = match loss {
                            Loss::SquaredError => 2.0_f64.powi(outputs as i32 + 1),
                            _ => 2.0_f64.powi(bits as i32),
                        };
                        let unit = 2.0_f64.powi(bits as i32);
                        let rows_of_batch = plan.batch_rows() as f64;
                        // All of a batch alike, or one row that has all of the column's squares.
                        let sum = if standardised > 0 {
                            let spread = (rows as f64).sqrt() * rows_of_batch.sqrt();
                            spread.max((rows as f64).sqrt()) * unit * gradient
                        } else {
                            rows_of_batch * 2.0_f64.powi(feature_bits as i32) * gradient
                        };
                        let (factor, shift) = ratio(plan.batch_rows(), rows % batch.max(1));
                        let short = momentum > 0.0 && rows > batch && rows % batch > 0;
                        let ratio = factor as f64 * (rows % batch.max(1)) as f64 / rows_of_batch;
                        let sum =
                            if short { sum * ratio.max(2.0_f64.powi(shift as i32)) } else { sum };
                        let sum = sum / (1.0 - momentum);
                        let what =
                            format!("{kind} {bits} {batch} {rows} {feature_bits} {momentum}");
                        assert!(sum <= 2.0_f64.powi(WORD_BITS as i32), "{what}: {sum:e}");
                        // An output of the first layer, over all features.
                        let weight = 2.0_f64.powi(room.weight_bits() as i32);
                        let output = 3.0 * 2.0_f64.powi(room.feature_bits() as i32) * weight;
                        assert!(output <= 2.0_f64.powi(WORD_BITS as i32), "{what}");
                    }
                }
            }
        }
    }
    assert!(allowed > 400 && refused > 20, "{allowed} and {refused}");
}

/// What is usual is not stopped: outputs of many deviations, and weights of tens.
#[test]
fn usual_runs_have_wide_limits() {
    for (rows, batch) in [(442, 442), (442, 64), (100_000, 128), (1 << 20, 1024)] {
        let config = config("linear-regression", 20, batch, 0.0);
        let plan = Plan::new(&config.training, rows).unwrap();
        let sizes = Sizes { rows, features: 30, targets: 1, standardised: 31, ..Sizes::default() };
        let room = Room { loss: Loss::SquaredError, config: &config, sizes, plan: &plan };
        assert!(room.output_bits().unwrap() >= 20 + 5, "{rows} {batch}");
        assert!(room.weight_bits() >= 20 + 5, "{rows} {batch}");
    }
}
