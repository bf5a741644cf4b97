//! A window of three axes as 27 numbers, as `demo/src/features.rs` computes them for the built-in
//! model, in `f32`.
//!
//! Per axis: level, peak, crest factor, kurtosis, and the level in five bands; then normalised with
//! the means and deviations of `demo/features.csv`, which `build.rs` turns into a table.

use core::f32::consts::{PI, TAU};

use libm::{cosf, log10f, sinf, sqrtf};

include!(concat!(env!("OUT_DIR"), "/normalisation.rs"));

/// Samples per second.
pub const RATE: f32 = 3200.0;
/// Samples per window and axis, a power of two.
pub const SAMPLES: usize = 1024;
/// Axes of the sensor.
pub const AXES: usize = 3;
/// Features of a window.
pub const COUNT: usize = AXES * PER_AXIS;

const PER_AXIS: usize = 9;
/// Upper ends of the bands, in Hz.
const BANDS: [f32; 5] = [40.0, 150.0, 500.0, 1000.0, 1600.0];
/// Normalised features are cut off here.
const LIMIT: f32 = 6.0;

/// Room for a window and for its Fourier transform.
pub struct Window {
    /// The samples, in g.
    pub axes: [[f32; SAMPLES]; AXES],
    real: [f32; SAMPLES],
    imaginary: [f32; SAMPLES],
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { axes: [[0.0; SAMPLES]; AXES], real: [0.0; SAMPLES], imaginary: [0.0; SAMPLES] }
    }

    /// Writes the normalised features to `out`.
    pub fn features(&mut self, out: &mut [f32]) {
        let Self { axes, real, imaginary } = self;
        for ((axis, out), table) in
            axes.iter().zip(out.chunks_mut(PER_AXIS)).zip(NORMALISATION.chunks(PER_AXIS))
        {
            for ((out, feature), (mean, deviation)) in
                out.iter_mut().zip(of_axis(axis, real, imaginary)).zip(table)
            {
                *out = ((feature - mean) / deviation).clamp(-LIMIT, LIMIT);
            }
        }
    }
}

fn of_axis(
    axis: &[f32; SAMPLES],
    real: &mut [f32; SAMPLES],
    imaginary: &mut [f32; SAMPLES],
) -> [f32; PER_AXIS] {
    let count = SAMPLES as f32;
    let mean = axis.iter().sum::<f32>() / count;
    let (mut square, mut fourth, mut peak) = (0.0, 0.0, 0.0_f32);
    for value in axis {
        let squared = (value - mean) * (value - mean);
        square += squared / count;
        fourth += squared * squared / count;
        peak = peak.max((value - mean).abs());
    }
    // A constant signal has no shape; a quarter of the sensor's step keeps logarithms finite.
    let square = square.max(1e-6);
    let level = sqrtf(square);
    let log = |value: f32| log10f(value.max(1e-4));
    let [b0, b1, b2, b3, b4] = bands(axis, mean, real, imaginary).map(log);
    [log(level), log(peak), peak / level, log(fourth / (square * square)), b0, b1, b2, b3, b4]
}

/// Root mean square in every band, from a Fourier transform under a Hann window.
fn bands(
    axis: &[f32; SAMPLES],
    mean: f32,
    real: &mut [f32; SAMPLES],
    imaginary: &mut [f32; SAMPLES],
) -> [f32; 5] {
    for (index, (to, from)) in real.iter_mut().zip(axis).enumerate() {
        *to = (from - mean) * (0.5 - 0.5 * cosf(TAU * index as f32 / SAMPLES as f32));
    }
    imaginary.fill(0.0);
    fourier(real, imaginary);
    let mut power = [0.0; BANDS.len()];
    for bin in 1..SAMPLES / 2 {
        let frequency = bin as f32 * RATE / SAMPLES as f32;
        if let Some(band) = BANDS.iter().position(|&end| frequency < end) {
            power[band] += real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
        }
    }
    // Two sides, and the Hann window keeps 3/8 of the power.
    power.map(|power| sqrtf(2.0 * power / (0.375 * SAMPLES as f32 * SAMPLES as f32)))
}

/// Radix-2 transform in place.
fn fourier(real: &mut [f32; SAMPLES], imaginary: &mut [f32; SAMPLES]) {
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
            let angle = -PI * offset as f32 / half as f32;
            let (sine, cosine) = (sinf(angle), cosf(angle));
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
