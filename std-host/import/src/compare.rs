//! How far a model's answers are from those of the float network.

use sharelet_model::Model;
use sharelet_model::readings::Readings;

use super::layer::Chain;
use super::report::Level;

/// Readings that are compared at each level.
const COMPARED: usize = 64;

/// Errors of answers to readings at half, once and twice the calibrated level, as far as that is
/// accepted.
pub(super) fn at_levels(
    chain: &Chain,
    model: &Model,
    calibration: &Readings,
    most: f64,
) -> Vec<Level> {
    let step = calibration.len().div_ceil(COMPARED).max(1);
    let accepted = [0.5, 1.0, 2.0_f64.min(most)].into_iter().filter(|&level| level <= most);
    let mut levels: Vec<f64> = accepted.collect();
    levels.dedup();
    let at = |level: f64| {
        let rows = calibration.rows().step_by(step);
        let compared = rows.filter_map(|row| {
            compare(chain, model, row.iter().map(|&value| f64::from(value) * level))
        });
        Level::new(level, &compared.collect::<Vec<_>>())
    };
    levels.into_iter().map(at).collect()
}

/// The float answer to a reading, and the model's; nothing if the reading is refused.
#[allow(clippy::cast_possible_truncation)]
fn compare(
    chain: &Chain,
    model: &Model,
    reading: impl Iterator<Item = f64>,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let reading: Vec<f32> = reading.map(|value| value as f32).collect();
    let answer = model.infer(&model.encode(&reading).ok()?).ok()?;
    Some((chain.infer(&reading), model.decode(&answer).into_iter().map(f64::from).collect()))
}

/// The largest error of an answer, relative to its size, over rows of readings.
pub(super) fn worst(chain: &Chain, model: &Model, rows: &[f64]) -> f64 {
    let width = chain.layers.first().map_or(1, |layer| layer.inputs().max(1));
    rows.chunks_exact(width)
        .filter_map(|row| compare(chain, model, row.iter().copied()))
        .map(|pair| Level::new(0.0, &[pair]).error)
        .fold(0.0, f64::max)
}
