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
/// Inputs have one scale; or one each, where answers are off otherwise and are not then, or where
/// that is asked for.
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
    let exponents = match done {
        true => None,
        false => exponents(chain, calibration, options.input_scale == InputScale::Each),
    };
    let Some(exponents) = exponents else { return one.unwrap_or(Err(QuantiseError::NoColumns)) };
    let each = at_scales(chain, calibration, options, exponents);
    match (one, each) {
        (Some(Ok(one)), Ok(each)) if one.1.is_as_good_as(&each.1) => Ok(one),
        (Some(Ok(one)), Err(_)) => Ok(one),
        (_, Ok(each)) => Ok(each),
        (Some(Err(error)), Err(_)) | (None, Err(error)) => Err(error),
    }
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

/// The powers of two by which columns become about as large as each other; `None` where they are,
/// or cannot be multiplied.
fn exponents(chain: &Chain, calibration: &Readings, asked: bool) -> Option<Vec<i8>> {
    let first = chain.layers.first()?;
    let is_dense = |map: &Map| matches!(map.shape, Shape::Dense { .. });
    let carried = chain.layers.iter().filter_map(|layer| layer.skip.as_ref());
    let mut taken = carried.filter(|skip| skip.from == 0).map(|skip| &skip.map);
    let width = first.inputs();
    let fits = (2..=MAX_COLUMNS).contains(&width)
        && is_dense(&first.map)
        && taken.all(is_dense)
        && !chain.is_counted()
        && calibration.width() == width;
    if !fits {
        return None;
    }
    let mut largest = vec![0.0_f64; width];
    for row in calibration.rows() {
        for (largest, &value) in largest.iter_mut().zip(row) {
            *largest = largest.max(f64::from(value.abs()));
        }
    }
    // A column that is always zero may become as large as any.
    let all = largest.iter().fold(0.0_f64, |all, &largest| all.max(largest));
    let size = |column: usize| match at(&largest, column) {
        0.0 => all,
        largest => largest,
    };
    let exponents = (0..width).map(|column| exponent(size(column)));
    let exponents = exponents.collect::<Option<Vec<i8>>>()?;
    let (least, most) = (exponents.iter().min()?, exponents.iter().max()?);
    (asked || most - least >= SPREAD_BITS).then_some(exponents)
}

/// The power of two that brings a number to above a half and at most one.
fn exponent(largest: f64) -> Option<i8> {
    (-MAX_EXPONENT..=MAX_EXPONENT).find(|&exponent| {
        let scaled = largest * pow2(exponent.into());
        scaled > 0.5 && scaled <= 1.0
    })
}
