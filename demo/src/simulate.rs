//! Synthetic readings: windows of a three-axis accelerometer on a simulated rotating machine, in g.
//!
//! A shaft turns at 22 to 30 Hz. The sensor sits on the bearing housing: x and y are radial (x
//! across, y up), z lies along the shaft. Severities are drawn over ranges that overlap the
//! neighbouring state, so that no classifier gets all of them right.
//!
//! | state | what is added |
//! |---|---|
//! | idle | sensor noise, hum at 50 Hz and its double, other machines through the floor |
//! | normal | harmonics of the rotation, broadband noise of the drive |
//! | imbalance | a large first harmonic, turning through x and y |
//! | bearing-fault | an impulse per ball that passes the fault, at the housing's resonance |

use core::f64::consts::{FRAC_PI_2, TAU};

use crate::rng::Rng;

/// Samples per second.
pub const RATE: f64 = 3200.0;
/// Samples per window and axis, a power of two.
pub const SAMPLES: usize = 1024;
/// Passes of a ball over a fault of the outer ring, per turn (8 balls).
const PASSES: f64 = 3.05;

/// What the machine does; by number, the network's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It stands.
    Idle,
    /// It runs.
    Normal,
    /// It runs with a rotor out of balance.
    Imbalance,
    /// It runs with a damaged bearing.
    BearingFault,
}

impl State {
    /// All states, in the order of the network's outputs.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Normal, Self::Imbalance, Self::BearingFault];

    /// Name in the model file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Normal => "normal",
            Self::Imbalance => "imbalance",
            Self::BearingFault => "bearing-fault",
        }
    }
}

/// One window: x, y, z.
pub type Window = [[f64; SAMPLES]; 3];

/// Draws a window of a state.
#[must_use]
pub fn window(state: State, rng: &mut Rng) -> Window {
    let mut window = [[0.0; SAMPLES]; 3];
    floor(&mut window, rng);
    if state != State::Idle {
        let turns = rng.between(22.0, 30.0);
        running(&mut window, turns, rng);
        match state {
            State::Imbalance => {
                let amplitude = rng.log_between(0.08, 0.7);
                rotating(&mut window, turns, amplitude, rng);
            }
            State::BearingFault => impulses(&mut window, turns, rng),
            State::Idle | State::Normal => {}
        }
    }
    sensor(&mut window, rng);
    window
}

#[allow(clippy::cast_precision_loss)]
fn time(sample: usize) -> f64 {
    sample as f64 / RATE
}

fn tone(axis: &mut [f64], frequency: f64, amplitude: f64, phase: f64) {
    for (sample, value) in axis.iter_mut().enumerate() {
        *value += amplitude * libm::sin(TAU * frequency * time(sample) + phase);
    }
}

fn noise(axis: &mut [f64], deviation: f64, rng: &mut Rng) {
    axis.iter_mut().for_each(|value| *value += deviation * rng.normal());
}

/// What reaches the sensor when the machine stands: hum, and other machines, sometimes strongly.
fn floor(window: &mut Window, rng: &mut Rng) {
    let neighbour = rng.between(10.0, 50.0);
    let strength = rng.log_between(0.0005, 0.02);
    for axis in window {
        tone(axis, 50.0, rng.log_between(0.0005, 0.004), rng.phase());
        tone(axis, 100.0, rng.log_between(0.0003, 0.003), rng.phase());
        tone(axis, neighbour, strength * rng.between(0.5, 1.0), rng.phase());
    }
}

/// The sound machine: five harmonics that fall off, a light residual imbalance, broadband noise
/// that depends on the load.
fn running(window: &mut Window, turns: f64, rng: &mut Rng) {
    let residual = rng.log_between(0.01, 0.07);
    rotating(window, turns, residual, rng);
    let load = rng.log_between(0.01, 0.05);
    for (axis, share) in window.iter_mut().zip([1.0, 0.9, 0.5]) {
        for harmonic in 2..=5_u32 {
            let order = f64::from(harmonic);
            tone(axis, order * turns, share * rng.log_between(0.005, 0.03) / order, rng.phase());
        }
        noise(axis, share * load, rng);
    }
}

/// A force that turns with the shaft: x and y a quarter turn apart, stiffer upwards, little along
/// the shaft.
fn rotating(window: &mut Window, turns: f64, amplitude: f64, rng: &mut Rng) {
    let phase = rng.phase();
    let [x, y, z] = window;
    tone(x, turns, amplitude, phase);
    tone(y, turns, amplitude * rng.between(0.7, 0.95), phase + FRAC_PI_2);
    tone(z, turns, amplitude * rng.between(0.05, 0.2), phase);
}

/// Impulses at the pass frequency, with slip, modulated by the turning load, ringing down within
/// milliseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn impulses(window: &mut Window, turns: f64, rng: &mut Rng) {
    let severity = rng.log_between(0.07, 0.8);
    let resonance = rng.between(850.0, 1350.0);
    let decay = rng.between(250.0, 600.0);
    let shares = [1.0, rng.between(0.6, 1.0), rng.between(0.3, 0.6)];
    let phase = rng.phase();
    let mut start = rng.unit() / (PASSES * turns);
    while start < time(SAMPLES) {
        let force =
            severity * (1.0 + 0.4 * libm::sin(TAU * turns * start + phase)) * rng.between(0.7, 1.3);
        let first = libm::ceil(start * RATE) as usize;
        for (axis, share) in window.iter_mut().zip(shares) {
            for (sample, value) in axis.iter_mut().enumerate().skip(first) {
                let since = time(sample) - start;
                let ring = libm::exp(-decay * since);
                if ring < 1e-4 {
                    break;
                }
                *value += share * force * ring * libm::sin(TAU * resonance * since);
            }
        }
        // The balls slip: the interval varies by a percent.
        start += (1.0 + 0.01 * rng.normal()) / (PASSES * turns);
    }
}

/// The sensor: mounted with a small tilt, gravity, gain error, offset, noise, 13 bits over +-16 g.
fn sensor(window: &mut Window, rng: &mut Rng) {
    let (tilt_x, tilt_z) = (0.06 * rng.normal(), 0.06 * rng.normal());
    let gravity = [tilt_x, 1.0, tilt_z];
    for (axis, gravity) in window.iter_mut().zip(gravity) {
        let (gain, offset) = (1.0 + 0.02 * rng.normal(), 0.03 * rng.normal());
        noise(axis, 0.004, rng);
        axis.iter_mut().for_each(|value| {
            let reading = gain * (*value + gravity) + offset;
            *value = libm::round(reading * 256.0).clamp(-4096.0, 4095.0) / 256.0;
        });
    }
}
