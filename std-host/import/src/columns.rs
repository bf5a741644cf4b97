//! Inputs that differ in size, each at a scale of its own.
//!
//! One scale, and so one limit, for a column of hundredths and one of thousands leaves nothing of
//! the first, or no room for the second. So a column may be multiplied with a power of two, by
//! which its weights are divided: the same network, for inputs that are about as large as each
//! other. What a reading's owner multiplies with is public, and travels with the description.

use sharelet_core::session::network::{MAX_COLUMNS, MAX_EXPONENT};
use sharelet_core::shape::Shape;
use sharelet_model::Model;
use sharelet_model::readings::Readings;

use super::choose;
use super::error::QuantiseError;
use super::layer::{Chain, Map, at};
use super::quantise::{InputScale, Options};
use super::report::Report;
use super::scales::pow2;

/// Columns that differ by less than this in bits have one scale, if nobody asks for more.
const SPREAD_BITS: i8 = 3;

/// Chooses scales, quantises, and compares with the float network over the calibration readings.
///
/// Inputs have one scale; or one each, where answers are off otherwise and nearer then, at all
/// levels and with no ranges unproved that were proved, or where that is asked for.
///
/// # Errors
/// [`QuantiseError`] names the layer and its range where a range does not fit.
pub fn quantise(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
) -> Result<(Model, Report), QuantiseError> {
    let one = match options.input_scale {
        InputScale::Each => None,
        _ => Some(choose::quantise(chain, calibration, options)),
    };
    let is_good = |report: &Report| report.is_good() && report.warnings().is_empty();
    let done = match (&one, options.input_scale) {
        (Some(Ok((_, report))), InputScale::Auto) => is_good(report),
        (Some(_), _) => options.input_scale == InputScale::One,
        (None, _) => false,
    };
    let asked = options.input_scale == InputScale::Each;
    let exponents = if done { Ok(None) } else { exponents(chain, calibration, asked) };
    let exponents = match (exponents, one) {
        (Ok(Some(exponents)), one) => (exponents, one),
        (Ok(None) | Err(_), Some(one)) => return one,
        (Ok(None), None) => return Err(QuantiseError::NoColumns),
        (Err(error), None) => return Err(error),
    };
    let (exponents, one) = exponents;
    let each = at_scales(chain, calibration, options, exponents);
    match (one, each) {
        (Some(Ok(one)), Ok(each)) if !is_better(&each.1, &one.1) => Ok(one),
        (Some(Ok(one)), Err(_)) => Ok(one),
        (_, Ok(each)) => Ok(each),
        (Some(Err(error)), Err(_)) | (None, Err(error)) => Err(error),
    }
}

/// Whether a scale each is worth having: on no account worse, on some better.
fn is_better(each: &Report, one: &Report) -> bool {
    let better = !one.is_as_good_as(each) || one.warnings().len() > each.warnings().len();
    better && each.is_as_good_as(one) && (each.is_proved() || !one.is_proved())
}

/// The chain for inputs times powers of two.
fn at_scales(
    chain: &Chain,
    calibration: &Readings,
    options: &Options,
    exponents: Vec<i8>,
) -> Result<(Model, Report), QuantiseError> {
    let mut scaled = chain.clone();
    for (index, layer) in scaled.layers.iter_mut().enumerate() {
        if index == 0 {
            divide(&mut layer.map, &exponents);
        }
        if let Some(skip) = layer.skip.as_mut().filter(|skip| skip.from == 0) {
            divide(&mut skip.map, &exponents);
        }
    }
    let factors: Vec<f32> = exponents.iter().map(|&exponent| factor(exponent)).collect();
    let values = calibration.rows().flat_map(|row| row.iter().zip(&factors).map(|(x, f)| x * f));
    let values: Vec<f32> = values.collect();
    let calibration = Readings::new(calibration.width(), values).ok_or(QuantiseError::NoColumns)?;
    let (mut model, mut report) = choose::quantise(&scaled, &calibration, options)?;
    model.network = model.network.with_exponents(&exponents).map_err(QuantiseError::Description)?;
    report.input_exponents = exponents;
    Ok((model, report))
}

/// `2^exponent`; exact, as [`MAX_EXPONENT`] is small.
#[allow(clippy::cast_possible_truncation)]
fn factor(exponent: i8) -> f32 {
    pow2(exponent.into()) as f32
}

/// Makes the map one of inputs times powers of two.
fn divide(map: &mut Map, exponents: &[i8]) {
    for row in map.weights.chunks_exact_mut(exponents.len().max(1)) {
        row.iter_mut().zip(exponents).for_each(|(weight, &e)| *weight *= pow2(-i32::from(e)));
    }
}

/// The powers of two by which columns become about as large as each other; `None` where they are
/// already.
///
/// # Errors
/// Why columns cannot be multiplied.
fn exponents(
    chain: &Chain,
    calibration: &Readings,
    asked: bool,
) -> Result<Option<Vec<i8>>, QuantiseError> {
    let first = chain.layers.first().ok_or(QuantiseError::NoColumns)?;
    let is_dense = |map: &Map| matches!(map.shape, Shape::Dense { .. });
    let carried = chain.layers.iter().filter_map(|layer| layer.skip.as_ref());
    let mut taken = carried.filter(|skip| skip.from == 0).map(|skip| &skip.map);
    let width = first.inputs();
    if calibration.width() != width {
        return Err(QuantiseError::Width { expected: width, found: calibration.width() });
    }
    let fits = (2..=MAX_COLUMNS).contains(&width) && is_dense(&first.map) && !chain.is_counted();
    if !fits {
        return Err(QuantiseError::NoColumns);
    }
    if !taken.all(is_dense) {
        return Err(QuantiseError::CarriedColumns);
    }
    let mut largest = vec![0.0_f64; width];
    for row in calibration.rows() {
        for (largest, &value) in largest.iter_mut().zip(row) {
            *largest = largest.max(f64::from(value.abs()));
        }
    }
    // A column that is always zero becomes as large as the one in the middle: a weight for values
    // as large as the largest would leave the answer fewer bits.
    let mut sizes: Vec<f64> = largest.iter().copied().filter(|&largest| largest > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let middle = *sizes.get(sizes.len() / 2).ok_or(QuantiseError::AllZero)?;
    let size = |column: usize| match at(&largest, column) {
        0.0 => middle,
        largest => largest,
    };
    let exponents: Vec<i8> = (0..width).map(|column| exponent(size(column))).collect();
    let (least, most) = (exponents.iter().min(), exponents.iter().max());
    let apart = most.zip(least).map_or(0, |(most, least)| most - least);
    Ok((asked || apart >= SPREAD_BITS).then_some(exponents))
}

/// The power of two that brings a number to above a half and at most one, or the nearest that there
/// is.
fn exponent(largest: f64) -> i8 {
    let brings = |exponent: &i8| largest * pow2((*exponent).into()) <= 1.0;
    (-MAX_EXPONENT..=MAX_EXPONENT).rev().find(brings).unwrap_or(-MAX_EXPONENT)
}
