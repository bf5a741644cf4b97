//! How far a model's answers are from those of the float network.

use sharelet_model::Model;
use sharelet_model::readings::Readings;

use super::layer::{Chain, count};
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

/// The answers of a chain to rows of readings.
pub(super) fn answers(chain: &Chain, rows: &[f64]) -> Vec<Vec<f64>> {
    let width = chain.layers.first().map_or(1, |layer| layer.inputs().max(1));
    rows.chunks_exact(width).map(|row| chain.trace(row.to_vec(), |_, _| {})).collect()
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

/// The largest error of an answer, relative to its size, over rows of readings; and the same
/// relative to `least` where that is larger.
pub(super) fn worst(chain: &Chain, model: &Model, rows: &[f64], least: f64) -> (f64, f64) {
    let width = chain.layers.first().map_or(1, |layer| layer.inputs().max(1));
    rows.chunks_exact(width)
        .filter_map(|row| compare(chain, model, row.iter().copied()))
        .map(|pair| {
            let size = size(&pair.0);
            let error = Level::new(0.0, &[pair]).error;
            // Where the answer is zero, the error is that of its values themselves.
            let absolute = if size > 0.0 { error * size } else { error };
            let sized = size.max(least);
            (error, if sized > 0.0 { absolute / sized } else { error })
        })
        .fold((0.0, 0.0), |(all, in_size), (error, sized)| {
            (f64::max(all, error), f64::max(in_size, sized))
        })
}

/// Root mean square of values.
pub(super) fn size(values: &[f64]) -> f64 {
    let squares = values.iter().map(|value| value * value).sum::<f64>();
    (squares / count(values.len())).sqrt()
}
