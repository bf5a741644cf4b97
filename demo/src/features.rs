//! A window as 27 numbers: per axis level, peak, crest factor, kurtosis and the level in five
//! bands.

use core::f64::consts::TAU;
use core::fmt::Write as _;

use crate::simulate::{RATE, SAMPLES, Window};

const PER_AXIS: usize = 9;
/// Features of a window.
pub const COUNT: usize = 3 * PER_AXIS;
/// Upper ends of the bands, in Hz.
const BANDS: [f64; 5] = [40.0, 150.0, 500.0, 1000.0, 1600.0];
/// Normalised features are cut off here, so that one odd window does not decide the scale of the
/// input.
const LIMIT: f64 = 6.0;

/// Names, in order.
#[must_use]
pub fn names() -> Vec<String> {
    let axis = |axis: &str| {
        let bands = BANDS.map(|band| format!("{axis} log level to {band} Hz"));
        let mut names = ["log level", "log peak", "crest factor", "log kurtosis"]
            .map(|name| format!("{axis} {name}"))
            .to_vec();
        names.extend(bands);
        names
    };
    ["x", "y", "z"].into_iter().flat_map(axis).collect()
}

/// The features of a window.
#[must_use]
pub fn of(window: &Window) -> [f64; COUNT] {
    let mut row = [0.0; COUNT];
    for (axis, row) in window.iter().zip(row.chunks_exact_mut(PER_AXIS)) {
        row.copy_from_slice(&of_axis(axis));
    }
    row
}

#[allow(clippy::cast_precision_loss)]
fn of_axis(axis: &[f64; SAMPLES]) -> [f64; PER_AXIS] {
    let count = SAMPLES as f64;
    let mean = axis.iter().sum::<f64>() / count;
    let (mut square, mut fourth, mut peak) = (0.0, 0.0, 0.0_f64);
    for value in axis {
        let squared = (value - mean) * (value - mean);
        square += squared / count;
        fourth += squared * squared / count;
        peak = peak.max((value - mean).abs());
    }
    // A constant signal has no shape; a quarter of the sensor's step keeps logarithms finite.
    let square = square.max(1e-6);
    let level = libm::sqrt(square);
    let bands = bands(axis, mean);
    let log = |value: f64| libm::log10(value.max(1e-4));
    let shape = [log(level), log(peak), peak / level, log(fourth / (square * square))];
    let mut row = [0.0; PER_AXIS];
    row.iter_mut().zip(shape.into_iter().chain(bands.map(log))).for_each(|(to, from)| *to = from);
    row
}

/// Root mean square in every band, from a Fourier transform under a Hann window.
#[allow(clippy::cast_precision_loss)]
fn bands(axis: &[f64; SAMPLES], mean: f64) -> [f64; 5] {
    let mut real = [0.0; SAMPLES];
    let mut imaginary = [0.0; SAMPLES];
    for (index, (to, from)) in real.iter_mut().zip(axis).enumerate() {
        let hann = 0.5 - 0.5 * libm::cos(TAU * index as f64 / SAMPLES as f64);
        *to = (from - mean) * hann;
    }
    fourier(&mut real, &mut imaginary);
    let mut power = [0.0; BANDS.len()];
    for bin in 1..SAMPLES / 2 {
        let frequency = bin as f64 * RATE / SAMPLES as f64;
        if let Some(band) = BANDS.iter().position(|&end| frequency < end) {
            power[band] += real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
        }
    }
    // Two sides, and the Hann window keeps 3/8 of the power.
    power.map(|power| libm::sqrt(2.0 * power / (0.375 * SAMPLES as f64 * SAMPLES as f64)))
}

/// Radix-2 transform in place.
#[allow(clippy::cast_precision_loss)]
fn fourier(real: &mut [f64; SAMPLES], imaginary: &mut [f64; SAMPLES]) {
    let bits = SAMPLES.trailing_zeros();
    for index in 0..SAMPLES {
        let reversed = index.reverse_bits() >> (usize::BITS - bits);
        if index < reversed {
            real.swap(index, reversed);
            imaginary.swap(index, reversed);
        }
    }
    let mut half = 1;
    while half < SAMPLES {
        for offset in 0..half {
            let angle = -core::f64::consts::PI * offset as f64 / half as f64;
            let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
            for low in (offset..SAMPLES).step_by(2 * half) {
                let high = low + half;
                let r = real[high] * cosine - imaginary[high] * sine;
                let i = real[high] * sine + imaginary[high] * cosine;
                (real[high], imaginary[high]) = (real[low] - r, imaginary[low] - i);
                (real[low], imaginary[low]) = (real[low] + r, imaginary[low] + i);
            }
        }
        half *= 2;
    }
}

/// Mean and deviation of every feature over the training windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    mean: [f64; COUNT],
    deviation: [f64; COUNT],
}

impl Normalisation {
    /// Over rows of features.
    #[must_use]
    pub fn of<'a>(rows: impl Iterator<Item = &'a [f64; COUNT]> + Clone) -> Self {
        let (mut mean, mut deviation, mut count) = ([0.0; COUNT], [0.0; COUNT], 0.0_f64);
        for row in rows.clone() {
            count += 1.0;
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        for row in rows {
            for ((deviation, mean), value) in deviation.iter_mut().zip(&mean).zip(row) {
                *deviation += (value - mean) * (value - mean) / count.max(1.0);
            }
        }
        deviation.iter_mut().for_each(|deviation| *deviation = libm::sqrt(*deviation).max(1e-9));
        Self { mean, deviation }
    }

    /// `(feature - mean) / deviation`, cut off at 6 deviations.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn apply(&self, row: &[f64; COUNT]) -> [f32; COUNT] {
        let mut out = [0.0; COUNT];
        for (index, out) in out.iter_mut().enumerate() {
            *out = ((row[index] - self.mean[index]) / self.deviation[index]).clamp(-LIMIT, LIMIT)
                as f32;
        }
        out
    }

    /// Name, mean and deviation per feature, as text.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = String::from("feature,mean,deviation\n");
        for ((name, mean), deviation) in names().iter().zip(self.mean).zip(self.deviation) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name},{mean:.6},{deviation:.6}");
        }
        text
    }
}
