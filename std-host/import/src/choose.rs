//! Which scales are taken: how much room they leave, whether that is proved, and how wide the gates
//! are.
//!
//! Readings up to `2^head-room` times the largest calibration value are accepted; no accumulator
//! may wrap around for any of them. Where interval arithmetic (`ranges.rs`) proves that at scales
//! that cost little accuracy, these scales are taken; else where it proves it for a narrower range,
//! that range. Else scales leave room for what calibration readings give at all levels and offsets,
//! and for noise (`stress.rs`): tried, not proved, and said so.
//!
//! With so much room, the narrowest gates are taken with which answers are as good as with whole
//! words, or off by no more than the user allows.

use core::f64::consts::SQRT_2;

use sharelet_core::session::network::{MIN_GATE_BITS, NetworkError, RING_BITS};

use super::error::QuantiseError;
use super::knots::{self, InPieces};
use super::layer::{Chain, Layer};
use super::pool_first::pool_first;
use super::quantise::{
    MAX_FRAC_BITS, MAX_HEADROOM_BITS, Options, Room, attempt, layer_width, sampled,
};
use super::report::Report;
use super::scales::pow2;
use super::steps::Steps;
use super::{compare, counted, stress};
use sharelet_model::readings::Readings;
use sharelet_model::{MAX_LAYERS, Model};

/// Widths of gates that are tried.
const WIDTHS: core::ops::Range<u8> = 12..RING_BITS;
/// Readings that widths are tried on; the one that is taken is tried on all.
const SAMPLES: usize = 256;

/// Chooses scales, quantises, and compares with the float network over the calibration readings.
///
/// # Errors
/// [`QuantiseError`] names the layer and its range where a range does not fit.
pub(super) fn quantise(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
) -> Result<(Model, Report), QuantiseError> {
    // Where sums have no room for their differences, the ReLU stays before the pool.
    let pooled = Some(chain).filter(|chain| !chain.is_counted()).and_then(pool_first);
    let pooled = pooled.and_then(|chain| scaled(&chain, calibration, options).ok());
    match pooled {
        Some(pooled) if pooled.1.is_good() => Ok(pooled),
        Some(pooled) => match scaled(chain, calibration, options) {
            Ok(plain) if !pooled.1.is_as_good_as(&plain.1) => Ok(plain),
            _ => Ok(pooled),
        },
        None => scaled(chain, calibration, options),
    }
}

/// The scales of a chain as it is.
fn scaled(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
) -> Result<(Model, Report), QuantiseError> {
    check(chain, calibration, options)?;
    let largest_input =
        calibration.values().iter().fold(0.0_f64, |max, &value| max.max(f64::from(value.abs())));
    if largest_input == 0.0 {
        return Err(QuantiseError::AllZero);
    }
    let InSteps { reading, chain: counted, untried } =
        in_steps(chain, calibration, options, largest_input)?;
    let pieced = knots::in_pieces(chain, calibration, options, largest_input)?;
    // Errors are those against the file, however it is computed.
    let chains = [chain, counted.as_ref().or(pieced.as_ref().map(|p| &p.chain)).unwrap_or(chain)];
    let [_, chain] = chains;
    check_layers(chain)?;
    let chosen = chosen(chains, calibration, options, (largest_input, reading))?;
    let max_error = options.max_error;
    // What a file counts in steps is to be within a step of it: no bit is given away.
    let narrow = options.gate_bits.is_none() && max_error > 0.0 && !chain.is_counted();
    let (_, model, mut report) = match narrow {
        true => narrowest(chosen, calibration, max_error, |calibration, room| {
            tried(chains, calibration, options, (largest_input, room))
        }),
        false => chosen,
    };
    if let Some(InPieces { made, coarse, .. }) = pieced {
        (report.pieces, report.coarse_pieces) = (made, coarse);
    }
    report.untried_limits = untried;
    report.steps_unused =
        reading.map(|steps| steps.largest()).filter(|largest| largest_input < largest / 8.0);
    Ok((model, report))
}

/// The largest reading that is accepted, in units of the largest calibration value, and scales with
/// room for it: proved if that costs little.
fn chosen(
    chains: [&Chain; 2],
    calibration: &Readings,
    options: &Options,
    (largest_input, reading): (f64, Option<Steps>),
) -> Result<Tried, QuantiseError> {
    let gate_bits = options.gate_bits.unwrap_or(RING_BITS).max(MIN_GATE_BITS);
    let at = |level, proved| {
        let room = Room { level, proved, gate_bits, reading };
        tried(chains, calibration, options, (largest_input, room))
    };
    let calibrated = 2.0_f64.powi(i32::from(options.headroom_bits));
    // What a file counts in steps has the range of its type.
    let widest = reading.map_or(calibrated, |steps| (steps.largest() / largest_input).max(1.0));
    // Readings somewhat beyond the calibration ones are accepted where that is possible.
    let is_level = |&level: &f64| level == widest || level < widest && reading.is_none();
    let levels = || [widest, SQRT_2, 1.0].into_iter().filter(is_level);
    let mut tried = at(widest, false);
    for level in levels().skip(1) {
        if tried.is_err() {
            tried = at(level, false).or(tried);
        }
    }
    let tried = tried?;
    let wide = levels().filter(|&level| level > 1.0 || level == widest);
    let proved = wide.filter_map(|level| at(level, true).ok());
    let as_good = |(_, _, report): &Tried| report.is_as_good_as(&tried.2);
    match proved.into_iter().find(as_good) {
        Some(proved) => Ok(proved),
        None => Ok(tried),
    }
}

/// Scales that have so much room, and what comes of them.
type Tried = (Room, Model, Report);

/// Scales with so much room for the second chain, and how far they are from the first one, which
/// says what is right: at other levels, too, and for readings that are unlike the calibration ones.
fn tried(
    [file, chain]: [&Chain; 2],
    calibration: &Readings,
    options: &Options,
    (largest_input, room): (f64, Room),
) -> Result<Tried, QuantiseError> {
    let pieced = chain.layers.iter().any(Layer::adds_pieces);
    let rows = sampled(chain, calibration);
    let right = pieced.then(|| compare::answers(file, &rows).concat());
    let right = right.as_deref();
    let (model, mut report) = attempt(chain, calibration, options, (largest_input, room), right)?;
    report.levels = compare::at_levels(file, &model, calibration, room.level);
    if chain.is_counted() {
        report.error = report.worst_level().max(report.error);
    }
    let limit = largest_input * room.level;
    // Of the calibration readings, not of those that are unlike them.
    let least = match right {
        Some(right) => compare::size(right),
        None => compare::size(&compare::answers(file, &rows).concat()),
    };
    let rows = stress::rows(&rows, layer_width(chain, 0), largest_input, limit);
    (report.unlike, report.unlike_in_size) = compare::worst(file, &model, &rows, least);
    Ok((room, model, report))
}

/// `whole`, or as much room with the narrowest gates that are as good, as `attempt` finds.
fn narrowest(
    whole: Tried,
    calibration: &Readings,
    max_error: f64,
    attempt: impl Fn(&Readings, Room) -> Result<Tried, QuantiseError>,
) -> Tried {
    let at =
        |readings: &Readings, gate_bits: u8| attempt(readings, Room { gate_bits, ..whole.0 }).ok();
    let few = calibration.sampled(SAMPLES);
    let Some((_, _, reference)) = at(&few, RING_BITS) else { return whole };
    let good = |gate_bits: u8| {
        at(&few, gate_bits).is_some_and(|(_, _, report)| report.costs_little(&reference, max_error))
    };
    // Errors fall with the width: half the widths are left after each.
    let (mut narrow, mut wide) = (WIDTHS.start, WIDTHS.end);
    while narrow < wide {
        let middle = narrow.midpoint(wide);
        if good(middle) {
            wide = middle;
        } else {
            narrow = middle + 1;
        }
    }
    (wide..WIDTHS.end)
        .take(2)
        .filter_map(|gate_bits| at(calibration, gate_bits))
        .find(|(_, _, report)| report.costs_little(&whole.2, max_error))
        .unwrap_or(whole)
}

fn check(chain: &Chain, calibration: &Readings, options: &Options) -> Result<(), QuantiseError> {
    for (option, given, limit) in [
        ("headroom-bits", Some(options.headroom_bits), MAX_HEADROOM_BITS),
        ("input-frac-bits", options.input_frac_bits, MAX_FRAC_BITS),
        ("frac-bits", options.frac_bits, MAX_FRAC_BITS),
        ("gate-bits", options.gate_bits, RING_BITS),
    ] {
        if let Some(given) = given
            && given > limit
        {
            return Err(QuantiseError::OptionOutOfRange { option, given, limit });
        }
    }
    let expected = chain.layers.first().map_or(0, Layer::inputs);
    if calibration.width() != expected {
        return Err(QuantiseError::Width { expected, found: calibration.width() });
    }
    Ok(())
}

fn check_layers(chain: &Chain) -> Result<(), QuantiseError> {
    if chain.layers.len() > MAX_LAYERS {
        return Err(QuantiseError::Description(NetworkError::TooManyLayers { limit: MAX_LAYERS }));
    }
    Ok(())
}

/// A chain in steps, and what is to be said of it.
#[derive(Default)]
struct InSteps {
    /// The steps of a reading.
    reading: Option<Steps>,
    /// The chain; none if its values are not counted in steps.
    chain: Option<Chain>,
    /// Layers of which a limit is left out without a proof.
    untried: Vec<String>,
}

/// The chain in steps, if its values are counted so.
fn in_steps(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
    largest: f64,
) -> Result<InSteps, QuantiseError> {
    if !chain.is_counted() {
        return Ok(InSteps::default());
    }
    let reading = counted::of_reading(chain);
    let accepted = largest * pow2(i32::from(options.headroom_bits));
    let limit = reading.map_or(accepted, |steps| steps.largest());
    // Half a step beyond the last one is rounded to it.
    if let Some(steps) = reading.filter(|steps| limit + steps.scale / 2.0 < largest) {
        return Err(QuantiseError::Domain {
            largest,
            low: steps.scale * steps.low,
            high: steps.scale * steps.high,
        });
    }
    let (chain, untried) =
        counted::counted(chain, &sampled(chain, calibration), limit.max(largest));
    Ok(InSteps { reading, chain: Some(chain), untried })
}
