//! Readings that a model accepts and that calibration readings are unlike: other levels, other
//! offsets, silence, noise, and the corners of what is accepted.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Calibration readings that are changed.
const SAMPLES: usize = 24;
/// Readings of noise, and of corners.
const NOISE: usize = 24;

/// Rows of `width` values within `limit`; `calibration` has rows of that width, whose largest
/// magnitude is `largest`. The same for the same numbers.
pub(super) fn rows(calibration: &[f64], width: usize, largest: f64, limit: f64) -> Vec<f64> {
    let samples = calibration.len() / width.max(1);
    let sampled: Vec<&[f64]> =
        calibration.chunks_exact(width).step_by(samples.div_ceil(SAMPLES).max(1)).collect();
    let mut rows = Vec::new();
    let level = limit / largest;
    for factor in [-level, -1.0, 0.5, level.sqrt(), level] {
        rows.extend(sampled.iter().copied().flatten().map(|value| factor * value));
    }
    for offset in [-1.0, -0.5, 0.5, 1.0] {
        let shifted = |value: &f64| (value + offset * limit).clamp(-limit, limit);
        rows.extend(sampled.iter().copied().flatten().map(shifted));
    }
    for value in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        rows.extend(core::iter::repeat_n(value * limit, width));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..NOISE * width {
        rows.push(limit * (f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0));
    }
    for _ in 0..NOISE * width {
        rows.push(if rng.next_u32() & 1 == 0 { -limit } else { limit });
    }
    rows
}
