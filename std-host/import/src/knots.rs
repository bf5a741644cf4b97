//! How many straight pieces activation functions get: as few as bring answers near enough to those
//! of the file, in floating point.

use core::f64::consts::SQRT_2;

use super::error::QuantiseError;
use super::function::Function;
use super::layer::{Chain, Curve};
use super::pieces::{self, Pieced, TooWide};
use super::quantise::{Options, layer_width, sampled};
use super::report::Level;
use super::scales::pow2;
use super::{compare, stress};
use sharelet_model::readings::Readings;

/// What pieces may be off by, as powers of the root of two.
const BOUNDS: core::ops::RangeInclusive<i32> = -24..=-8;
/// The share that pieces have of the error that narrow gates and they may bring about.
const SHARE: f64 = 0.5;
/// How much larger it may be at other levels than the calibrated one, and with other readings.
const OTHER_LEVELS: f64 = 5.0;
/// Readings that pieces are tried on.
const TRIED: usize = 48;

/// A chain with straight pieces in the place of functions.
pub(super) struct InPieces {
    pub(super) chain: Chain,
    /// What was made of each function.
    pub(super) made: Vec<Pieced>,
    /// Whether more of them were wanted than there is room for.
    pub(super) coarse: bool,
}

/// Readings, and the error that is allowed for answers to them.
struct Trial {
    rows: Vec<f64>,
    allowed: f64,
    right: Vec<Vec<f64>>,
}

impl Trial {
    /// Whether a chain's answers are near enough.
    fn passes(&self, chain: &Chain) -> bool {
        let answers = compare::answers(chain, &self.rows);
        let pairs: Vec<_> = self.right.iter().cloned().zip(answers).collect();
        Level::new(0.0, &pairs).error <= self.allowed
    }
}

/// The chain in straight pieces; nothing if it has no functions. `largest` is the largest magnitude
/// of a calibration reading.
///
/// # Errors
/// [`QuantiseError::Pieces`] if there is no room for the coarsest ones.
pub(super) fn in_pieces(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
    largest: f64,
) -> Result<Option<InPieces>, QuantiseError> {
    if chain.layers.iter().all(|layer| layer.function().is_none()) {
        return Ok(None);
    }
    let few = sampled(chain, &calibration.sampled(TRIED));
    let level = pow2(i32::from(options.headroom_bits));
    let at = |level: f64| few.iter().map(|value| level * value).collect::<Vec<f64>>();
    let width = layer_width(chain, 0);
    let unlike = stress::rows(&few, width, largest, largest * level);
    let allowed = SHARE * options.max_error;
    let other = OTHER_LEVELS * allowed;
    let trials = [(at(1.0), allowed), (at(0.5), other), (at(level), other), (unlike, other)];
    let trials = trials.map(|(rows, allowed)| {
        let right = compare::answers(chain, &rows);
        Trial { rows, allowed, right }
    });
    let chain = &limited(chain, calibration, largest, level);
    let near = |pieced: &Chain| trials.iter().all(|trial| trial.passes(pieced));
    let (mut fine, mut coarse, mut best) = (*BOUNDS.start(), *BOUNDS.end(), None);
    // The finest for which there is room.
    while best.is_none() {
        match pieces::pieced(chain, SQRT_2.powi(fine)) {
            Ok(pieced) => best = Some(pieced),
            Err(wide) if fine == coarse => return Err(refused(chain, wide)),
            Err(_) => fine += 1,
        }
    }
    // Errors fall with the pieces' own: half of the bounds that are left are left after each.
    let finest = fine;
    while fine < coarse {
        let middle = fine + (coarse - fine + 1) / 2;
        match pieces::pieced(chain, SQRT_2.powi(middle)) {
            Ok(pieced) if near(&pieced.0) => (fine, best) = (middle, Some(pieced)),
            _ => coarse = middle - 1,
        }
    }
    Ok(best.map(|(chain, made)| {
        let full = options.max_error > 0.0 || finest > *BOUNDS.start();
        let coarse = full && fine == finest && !near(&chain);
        InPieces { chain, made, coarse }
    }))
}

/// How much further than what was tried values are squared.
const MARGIN: f64 = 1.125;

/// The chain with a limit for each value that is squared: of what all readings gave that are tried
/// later on, of calibration and others.
fn limited(chain: &Chain, calibration: &Readings, largest: f64, level: f64) -> Chain {
    let is_square = |index: usize| {
        let function = chain.layers.get(index).and_then(|layer| layer.function());
        matches!(function, Some(Function::Square { .. }))
    };
    // What is usual, and what is not.
    let mut limits = vec![[0.0_f64; 2]; chain.layers.len()];
    let mut chain = chain.clone();
    if !(0..limits.len()).any(is_square) {
        return chain;
    }
    let (all, width) = (sampled(&chain, calibration), layer_width(&chain, 0));
    let further = stress::rows(&all, width, largest, largest * level);
    let mut tried = |readings: &[f64], factor: f64, usual: bool| {
        for reading in readings.chunks_exact(width) {
            let reading = reading.iter().map(|value| factor * value).collect();
            chain.trace(reading, |index, accumulators| {
                if let Some([own, all]) = limits.get_mut(index).filter(|_| is_square(index)) {
                    *all = accumulators.iter().fold(*all, |most, value| most.max(value.abs()));
                    *own = if usual { *all } else { *own };
                }
            });
        }
    };
    [0.5, 1.0].into_iter().for_each(|level| tried(&all, level, true));
    tried(&all, level, false);
    tried(&further, 1.0, false);
    for (layer, [own, all]) in chain.layers.iter_mut().zip(limits) {
        if let Some(Curve::Whole(Function::Square { limit, usual })) = &mut layer.curve {
            (*limit, *usual) = ((MARGIN * all).max(LEAST), own.max(LEAST));
        }
    }
    chain
}

/// The least limit: of values that are nothing but zeros.
const LEAST: f64 = 1.0 / 256.0;

fn refused(chain: &Chain, wide: TooWide) -> QuantiseError {
    let TooWide { layer, function, values } = wide;
    let name = chain.layers.get(layer).map_or_else(String::new, |layer| layer.name.clone());
    QuantiseError::Pieces { layer, name, function, values }
}
