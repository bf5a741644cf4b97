//! Standardising under sharing: `(x - mean) / deviation` for every column, with means and
//! deviations that nobody sees.
//!
//! The owner of a column computes both from its rows, in the clear, and shares them as words beside
//! the rows. The servers subtract and multiply. A deviation may be far from 1 in either direction,
//! and a word has `f` fraction bits; so the reciprocal is shared as two factors, a power of two and
//! a number between a half and 1:
//!
//! ```text
//! 2^k <= deviation < 2^(k+1),   coarse = 2^-k,   fine = 2^k / deviation
//! z = ((x - mean) coarse >> f) fine >> f
//! ```
//!
//! Both shared and secret, so not even the order of magnitude is opened. Rows that the scaling was
//! not computed from, of a test set or of another owner, may lie far outside: where `|x - mean|`
//! reaches `reach`, a bit is opened, and nothing is trained. That is [`REACH`] deviations, or as
//! many as the root of the rows that the scaling was computed from: none of `n` values is further
//! than `sqrt(n)` deviations from their mean, and what lies among them is refused nowhere.

use super::model::Model;
use super::parameters::{LayerParameters, Parameters};
use super::range::beyond_exactly;
use crate::kernel::{Bilinear, Form, Product};
use crate::network::{Layer, Network};
use crate::tensor::{Machine, Masked, Runner, Tensors};
use sharelet_core::functions::protocol::product::{Factors, Multiply};

/// Words that scale a column: mean, coarse, fine, reach, and for the way back the deviation as a
/// product of a power of two without a fraction and of a number with one.
pub const COLUMN_WORDS: usize = 6;
/// Deviations from the mean at which a value is refused, at least.
pub const REACH: f64 = 256.0;
/// Bits of the magnitude of a word that is to be standardised, at most.
pub const INPUT_BITS: u32 = 43;
/// Bits of the magnitude of a word that is taken as it is, at most: what the products of training
/// have room for.
pub const PLAIN_BITS: u32 = 32;
/// Bits of the magnitude of an answer with twice the fraction bits, at most.
pub const ANSWER_BITS: u32 = 62;
/// The most that a coarse factor grows a value by, in bits.
const MOST_GROWN_BITS: i32 = 10;
/// Units of the last place that a deviation has at least: fewer are lost in rounding.
const LEAST_DEVIATION_UNITS: f64 = 64.0;

/// What scales a column, from its values.
pub struct Column {
    /// The words.
    pub words: [u64; COLUMN_WORDS],
    /// Whether the values differ, and by too little for the fraction bits.
    pub narrow: bool,
}

redacted!(Column);

/// What scales a column of these values: all finite, below `2^INPUT_BITS` units. A column that is
/// constant, or nearly so, is only shifted.
pub fn of_column(values: impl ExactSizeIterator<Item = f64> + Clone, frac_bits: u32) -> Column {
    let first = values.clone().next().unwrap_or(0.0);
    #[allow(clippy::float_cmp, reason = "the same number in every row")]
    let constant = values.clone().all(|value| value == first);
    #[allow(clippy::cast_precision_loss)]
    let rows = values.len().max(1) as f64;
    let mean = values.clone().sum::<f64>() / rows;
    let square = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / rows;
    let unit = libm::scalbn(1.0, frac_bits.cast_signed());
    let deviation = square.sqrt();
    let narrow = !constant && deviation * unit < LEAST_DEVIATION_UNITS;
    let mean = if constant { first } else { mean };
    let deviation = if constant || narrow { 1.0 } else { deviation };
    let down = libm::ilogb(deviation).clamp(-MOST_GROWN_BITS, frac_bits.cast_signed());
    // Two values are less than this apart.
    let most = libm::scalbn(1.0, INPUT_BITS.cast_signed() + 1);
    #[allow(clippy::cast_possible_truncation)]
    let word = |value: f64| ((value * unit).clamp(-most, most).round() as i64).cast_unsigned();
    let words = [
        word(mean),
        word(libm::scalbn(1.0, -down)),
        word(libm::scalbn(1.0, down) / deviation),
        // A unit more than the furthest of many rows, whatever is rounded.
        word((deviation * REACH).max(deviation * rows.sqrt() + 2.0 / unit)),
        1 << down.max(0),
        word(libm::scalbn(deviation, -down.max(0))),
    ];
    Column { words, narrow }
}

/// What a column's words say, in floating point: the mean, and what a difference from it is
/// multiplied by.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn numbers([mean, coarse, fine, ..]: [u64; COLUMN_WORDS], frac_bits: u32) -> (f64, f64) {
    let number = |word: u64| libm::scalbn(word.cast_signed() as f64, -frac_bits.cast_signed());
    (number(mean), number(coarse) * number(fine))
}

/// Standardises rows of as many words as there are columns in `scaling`. With `checks` also leaves
/// a share of how many values are beyond reach.
///
/// # Errors
/// The engine's.
pub async fn standardise<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    rows: &mut [u64],
    scaling: &[[u64; COLUMN_WORDS]],
    frac_bits: u32,
    checks: bool,
) -> Result<u64, E::Error> {
    if scaling.is_empty() {
        return Ok(0);
    }
    let repeated = |which: fn(&[u64; COLUMN_WORDS]) -> u64, elems: usize| -> Vec<u64> {
        scaling.iter().map(which).cycle().take(elems).collect()
    };
    let elems = rows.len();
    let mut words: Vec<u64> = rows.to_vec();
    for (word, mean) in words.iter_mut().zip(repeated(|[mean, ..]| *mean, elems)) {
        *word = word.wrapping_sub(mean);
    }
    let beyond = if checks {
        beyond_exactly(machine, &words, &repeated(|[_, _, _, reach, ..]| *reach, elems)).await?
    } else {
        0
    };
    for factors in
        [repeated(|[_, coarse, ..]| *coarse, elems), repeated(|[_, _, fine, ..]| *fine, elems)]
    {
        words = scaled(machine, &words, &factors, Some(frac_bits)).await?;
    }
    rows.copy_from_slice(&words);
    Ok(beyond)
}

/// The part of a row's scaling that is not folded into a model, for [`coarsen`].
pub struct Coarse {
    /// Shares of means.
    means: Vec<u64>,
    /// Powers of two, opened under masks.
    factors: Masked,
}

redacted!(Coarse);

impl Coarse {
    /// Opens the powers of two; `None` where no column is standardised.
    ///
    /// # Errors
    /// The engine's.
    pub async fn open<E: Runner, T: Tensors>(
        machine: &mut Machine<E, T>,
        of_features: &[[u64; COLUMN_WORDS]],
    ) -> Result<Option<Self>, E::Error> {
        if of_features.is_empty() {
            return Ok(None);
        }
        let means = of_features.iter().map(|[mean, ..]| *mean).collect();
        let factors = of_features.iter().map(|[_, coarse, ..]| *coarse).collect();
        Ok(Some(Self { means, factors: machine.open_one(factors).await? }))
    }
}

/// A row for a model that was changed by [`fold_shared`]: less the means, times the powers of two.
///
/// # Errors
/// The engine's.
pub async fn coarsen<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    mut row: Vec<u64>,
    Coarse { means, factors }: &Coarse,
    frac_bits: u32,
) -> Result<Vec<u64>, E::Error> {
    for (word, mean) in row.iter_mut().zip(means) {
        *word = word.wrapping_sub(*mean);
    }
    let opened = machine.open_one(row).await?;
    let map = Bilinear::Product(Product { form: Form::Plain, rows: 1, inner: 1, columns: 1 });
    let mut words = Vec::with_capacity(means.len());
    for column in 0..means.len() {
        let [value, factor] = [&opened, factors].map(|words| words.rows(1, &[column]));
        words.extend(machine.product(&map, &value, &factor)?);
    }
    machine.truncate(words, frac_bits).await
}

/// Changes a shared model to one that takes rows from [`coarsen`], and gives answers as they came.
/// `scaling` is that of all features, then of those targets that are standardised. What is lost is
/// a unit of the last place of each weight: a power of two, which may be far from 1, stays with the
/// rows.
///
/// # Errors
/// The engine's.
pub async fn fold_shared<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    model: &mut Model,
    features: usize,
    scaling: &[[u64; COLUMN_WORDS]],
    frac_bits: u32,
) -> Result<(), E::Error> {
    let (of_features, of_targets) = scaling.split_at(features.min(scaling.len()));
    if let Some(LayerParameters { weights, .. }) = model.parameters.first_mut()
        && !of_features.is_empty()
    {
        let fine = of_features.iter().map(|[_, _, fine, ..]| *fine);
        let fine: Vec<u64> = fine.cycle().take(weights.len()).collect();
        *weights = scaled(machine, weights, &fine, Some(frac_bits)).await?;
    }
    if let Some(LayerParameters { weights, biases, .. }) = model.parameters.last_mut()
        && !of_targets.is_empty()
    {
        let width = weights.len() / of_targets.len();
        let outputs = |which: fn(&[u64; COLUMN_WORDS]) -> u64| -> Vec<u64> {
            let each = of_targets.iter().map(which);
            each.clone().flat_map(|word| core::iter::repeat_n(word, width)).chain(each).collect()
        };
        let [fine, coarse] = [outputs(|[.., fine]| *fine), outputs(|[.., coarse, _]| *coarse)];
        let words = [core::mem::take(weights), core::mem::take(biases)].concat();
        let words = scaled(machine, &words, &fine, Some(frac_bits)).await?;
        let mut words = scaled(machine, &words, &coarse, None).await?;
        *biases = words.split_off(width * of_targets.len());
        *weights = words;
        for (bias, [mean, ..]) in biases.iter_mut().zip(of_targets) {
            *bias = bias.wrapping_add(*mean);
        }
    }
    Ok(())
}

/// Products word by word, truncated if it is said by how much.
async fn scaled<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: &[u64],
    factors: &[u64],
    shift: Option<u32>,
) -> Result<Vec<u64>, E::Error> {
    let mut words = words.to_vec();
    machine.engine().run(&Multiply::new(), Factors { x: &mut words, y: factors }).await?;
    match shift {
        Some(shift) => machine.truncate(words, shift).await,
        None => Ok(words),
    }
}

/// The model that takes values as they came and gives answers as they came: the scaling folded into
/// the first layer and out of the last one, where they are dense. `None` where they are not.
#[must_use]
pub fn fold(
    network: &Network,
    parameters: &Parameters<f64>,
    features: &[(f64, f64)],
    targets: &[(f64, f64)],
) -> Option<Parameters<f64>> {
    let mut folded = Parameters { layers: parameters.layers.clone() };
    let dense = |layer: Option<&Layer>| matches!(layer, Some(Layer::Dense { .. }));
    if !features.is_empty() {
        dense(network.layers.first()).then_some(())?;
        let LayerParameters { weights, biases, .. } = folded.layers.first_mut()?;
        for (weights, bias) in weights.chunks_exact_mut(features.len()).zip(biases) {
            for (weight, (mean, factor)) in weights.iter_mut().zip(features) {
                *weight *= factor;
                *bias -= *weight * mean;
            }
        }
    }
    if !targets.is_empty() {
        dense(network.layers.last()).then_some(())?;
        let LayerParameters { weights, biases, .. } = folded.layers.last_mut()?;
        let width = weights.len().checked_div(biases.len())?;
        for ((weights, bias), (mean, factor)) in
            weights.chunks_exact_mut(width.max(1)).zip(biases).zip(targets)
        {
            weights.iter_mut().for_each(|weight| *weight /= factor);
            *bias = *bias / factor + mean;
        }
    }
    Some(folded)
}
