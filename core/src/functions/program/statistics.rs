//! Sums, means, variances, and layer normalisation, for rows of numbers.

use super::scaling::{Levels, Room, room_need};
use super::truncation::truncate;
use super::{Need, Scratch, choice, expect, extreme, reduce};
use crate::functions::engine::Engine;
use crate::functions::protocol::product::{Factors, Multiply};
use crate::functions::protocol::rescale::{Rescale, Rescaled};
use crate::functions::tables;
use crate::ring::Ring;
use crate::step::StepError;

/// The most numbers of a row.
pub const MAX_COLUMNS: usize = 1 << 16;

/// The most numbers whose squares [`inv_std`] takes the sum of.
pub const MAX_ELEMS: usize = 1 << 22;

fn check<R>(columns: usize, x: &[R], rows: usize) -> Result<(), StepError> {
    extreme::check(columns, MAX_COLUMNS)?;
    expect(x.len(), rows.saturating_mul(columns))
}

/// The sum of every row, modulo `2^k`: no message.
///
/// # Errors
/// A [`StepError`] if `x` is not `out.len()` rows of `columns` numbers.
pub fn sum<R: Ring>(columns: usize, x: &[R], out: &mut [R]) -> Result<(), StepError> {
    check(columns, x, out.len())?;
    for (out, row) in out.iter_mut().zip(x.chunks_exact(columns)) {
        *out = row.iter().fold(R::ZERO, |sum, &x| sum.add(x));
    }
    Ok(())
}

/// Bits of a number of columns.
const fn size_bits(columns: usize) -> u32 {
    columns.next_power_of_two().trailing_zeros()
}

/// Bits that `1 / columns` has beyond those of `columns`, where words of 64 bits are multiplied
/// with it.
const WEIGHT_BITS: u32 = 20;

/// `1 / columns`, rounded to nearest.
fn weight(columns: usize, frac_bits: u32) -> u64 {
    let columns = columns as u64;
    ((1 << frac_bits) + columns / 2) / columns
}

/// The magnitude at which [`mean`] saturates sums, in units: `2^30` at `k = 32`, `2^41` at
/// `k = 64`, less a fraction of `2^-20`.
#[must_use]
pub const fn mean_limit<R: Ring>() -> u64 {
    limit(if R::BITS <= 32 { 30 } else { 41 })
}

/// Room for [`mean`].
#[must_use]
pub const fn mean_need(rows: usize) -> Need {
    Need { own_elems: rows, narrow_elems: 0, wide_elems: rows }.and(choice::segments_need(rows, 2))
}

/// The mean of every row: rounded down exactly if `columns` is a power of two, otherwise rounded
/// down or one unit higher, of the mean times a rounded `1 / columns`, which is off by at most a
/// fraction of `2^-31` at `k = 32` and of `2^-21` at `k = 64`.
///
/// Where truncations are exact it is rounded down either way.
///
/// For every sum, which is one modulo `2^k` as in [`sum`]; if `columns` is not a power of two, sums
/// saturate at [`mean_limit`]. 4 messages, exactly 6; 2 if `columns` is a power of two, 3 at
/// `k = 64`, none if it is 1, where the mean is the number. (On bits instead of tables a comparison
/// takes more.)
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`mean_need`]; lengths that do not match.
pub async fn mean<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    scratch.check(mean_need(out.len()))?;
    if columns.is_power_of_two() {
        sum(columns, x, out)?;
        return if columns == 1 {
            Ok(())
        } else {
            choice::truncate(engine, columns.trailing_zeros(), out).await
        };
    }
    let rows = out.len();
    let (room, mut rest) =
        scratch.take(Need { own_elems: rows, narrow_elems: 0, wide_elems: rows })?;
    sum(columns, x, room.own)?;
    saturate(engine, mean_limit::<R>(), room.own, &mut rest).await?;
    widen(engine, room.own, room.wide).await?;
    let frac_bits = size_bits(columns) + if R::BITS <= 32 { 30 } else { WEIGHT_BITS };
    scale(room.wide, weight(columns, frac_bits));
    truncate(engine, frac_bits, room.wide, out).await
}

/// The largest magnitude of numbers that saturate at `2^bits`: a little less, so that their squares
/// leave room for roundings.
const fn limit(bits: u32) -> u64 {
    (1 << bits) - 1 - ((1 << bits) >> 20)
}

/// Limits words to `-limit..=limit`.
async fn saturate<R: Ring, E: Engine>(
    engine: &mut E,
    limit: u64,
    words: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let limit = R::from_u64(limit);
    choice::clamp(engine, limit.neg(), limit, words, scratch).await
}

/// Words as words of 64 bits: a message at `k = 32`.
async fn widen<R: Ring, E: Engine>(
    engine: &mut E,
    words: &[R],
    out: &mut [u64],
) -> Result<(), E::Error> {
    if R::BITS == 64 {
        reduce(words, out);
        return Ok(());
    }
    choice::rescale_to(engine, 0, Rescaled { x: words, out }).await
}

fn scale(words: &mut [u64], factor: u64) {
    for word in words {
        *word = word.wrapping_mul(factor);
    }
}

/// Room for [`variance`].
#[must_use]
pub const fn variance_need(rows: usize, columns: usize) -> Need {
    deviations_need(rows, columns).and(choice::segments_need(rows.saturating_mul(columns), 2))
}

/// Room for numbers, deviations and their squares, and two words per row.
const fn deviations_need(rows: usize, columns: usize) -> Need {
    let elements = rows.saturating_mul(columns);
    Need {
        own_elems: elements,
        narrow_elems: 0,
        wide_elems: elements.saturating_add(rows).saturating_mul(2),
    }
}

/// The magnitude at which [`layer_norm`] saturates numbers, in units: `2^b` for
/// `b = (61 - ceil(log2 columns)) / 2` rounded down, less a fraction of `2^-20`. The sum of a row's
/// squares stays below `2^61`.
#[must_use]
pub const fn layer_norm_limit(columns: usize) -> u64 {
    limit(square_bits(columns))
}

/// The magnitude at which [`variance`] saturates numbers, in units: `2^b` for `b` the least of
/// `(31 + f) / 2` (at `k = 32` alone), `(41 + f - c) / 2` and `(61 - c) / 2`, rounded down, less a
/// fraction of `2^-20`; `f` is `frac_bits` and `c = ceil(log2 columns)`. The variance stays in the
/// ring, and has room for its weight.
#[must_use]
pub fn variance_limit<R: Ring>(columns: usize, frac_bits: u32) -> u64 {
    limit(variance_bits::<R>(columns, frac_bits))
}

const fn square_bits(columns: usize) -> u32 {
    61_u32.saturating_sub(size_bits(columns)) / 2
}

fn variance_bits<R: Ring>(columns: usize, frac_bits: u32) -> u32 {
    let of_result = if R::BITS <= 32 { 31_u32.saturating_add(frac_bits) / 2 } else { u32::MAX };
    let of_weight =
        (61 - WEIGHT_BITS).saturating_add(frac_bits).saturating_sub(size_bits(columns)) / 2;
    of_result.min(of_weight).min(square_bits(columns))
}

/// The variance of every row (divided by `columns`), with `frac_bits` fraction bits, of values with
/// as many.
///
/// For every row; numbers saturate at [`variance_limit`]. Error: below 2 units, `2^-21` of the
/// result, and the square of the mean's, which is one unit. 7 messages; exactly 13. (On bits
/// instead of tables a comparison takes more.)
///
/// # Errors
/// As [`mean`]; scratch: [`variance_need`].
pub async fn variance<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    check(columns, x, out.len())?;
    let rows = out.len();
    let weight_bits = size_bits(columns) + WEIGHT_BITS;
    // Refused before anything is sent.
    Rescale::<u64, u64>::new(frac_bits)?;
    scratch.check(variance_need(rows, columns))?;
    let (room, mut rest) = scratch.take(deviations_need(rows, columns))?;
    let (squares, wide) = room.wide.split_at_mut_checked(2 * x.len()).unwrap_or_default();
    let (sums, totals) = wide.split_at_mut_checked(rows).unwrap_or_default();
    let (deviations, squares) = squares.split_at_mut_checked(x.len()).unwrap_or_default();
    room.own.copy_from_slice(x);
    let bits = variance_bits::<R>(columns, frac_bits);
    deviate(engine, (columns, bits), room.own, deviations, (sums, totals), &mut rest).await?;
    sum_of_squares(engine, columns, deviations, squares, sums).await?;
    truncate(engine, frac_bits, sums, totals).await?;
    scale(totals, weight(columns, weight_bits));
    truncate(engine, weight_bits, totals, out).await
}

/// `deviations = x - mean` as words of 64 bits, of numbers that saturate at `2^bits`; `x` is used
/// up.
async fn deviate<R: Ring, E: Engine>(
    engine: &mut E,
    (columns, bits): (usize, u32),
    x: &mut [R],
    deviations: &mut [u64],
    (sums, means): (&mut [u64], &mut [u64]),
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    saturate(engine, limit(bits), x, scratch).await?;
    widen(engine, x, deviations).await?;
    sum(columns, deviations, sums)?;
    // A mean is below 2^bits, so that its product with 1 has room for this many fraction bits.
    let frac_bits =
        if columns.is_power_of_two() { size_bits(columns) } else { (61 - bits).min(40) };
    scale(sums, weight(columns, frac_bits));
    truncate(engine, frac_bits, sums, means).await?;
    for (deviations, &mean) in deviations.chunks_exact_mut(columns).zip(means.iter()) {
        for deviation in deviations {
            *deviation = deviation.wrapping_sub(mean);
        }
    }
    Ok(())
}

async fn sum_of_squares<E: Engine>(
    engine: &mut E,
    columns: usize,
    deviations: &[u64],
    squares: &mut [u64],
    sums: &mut [u64],
) -> Result<(), E::Error> {
    squares.copy_from_slice(deviations);
    engine.run(&Multiply::new(), Factors { x: squares, y: deviations }).await?;
    sum(columns, squares, sums)?;
    Ok(())
}

/// Bits of a deviation over its row's scale.
const RATIO_BITS: u32 = 26;
/// Bits to spare while deviations are scaled.
const GUARD_BITS: u32 = 20;
/// Fraction bits of the table's results.
const VALUE_FRAC_BITS: u32 = 28;

/// Magnitudes of sums of squares.
const fn levels() -> Levels {
    Levels::new(0, 60, false)
}

/// Room for [`layer_norm`].
#[must_use]
pub fn layer_norm_need(rows: usize, columns: usize) -> Need {
    let inner = room_need::<u64>(&levels(), rows);
    let wide_elems = inner.own_elems.saturating_add(inner.wide_elems);
    let after = Need { own_elems: 0, narrow_elems: inner.narrow_elems, wide_elems };
    let before = choice::segments_need(rows.saturating_mul(columns), 2);
    deviations_need(rows, columns).and(before.or(after))
}

/// Layer normalisation: `(x - mean) / sqrt(variance + epsilon)` of every row, with `frac_bits`
/// fraction bits, then times `gain` (with `frac_bits` fraction bits) and plus `offset`, both public
/// and as long as a row, if they are given.
///
/// `epsilon` counts in units of `2^-2f`, and `columns` times it must stay below `2^61`. For every
/// row; numbers saturate at [`layer_norm_limit`]. `gain` times a result must fit `2^(k-2)`, or it
/// is off as a [`Rescale`] is (exactly it is right modulo `2^k` before the truncation). A row of
/// equal numbers with `epsilon = 0` gives zeros if `columns` is a power of two; otherwise what the
/// mean is off is all that there is to be divided, so give an `epsilon`. Error: a fraction of about
/// `2^-21` of the result, the mean's unit over the deviation, and the truncation. 16 messages, and
/// one for `gain`; exactly 27, and 2 for `gain`, 3 at `k = 64`.
///
/// # Errors
/// As [`mean`]; scratch: [`layer_norm_need`]; [`StepError::NeedsTables`];
/// [`StepError::DomainOutOfRange`] for an `epsilon` that is too large.
pub async fn layer_norm<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    (frac_bits, epsilon): (u32, u64),
    affine: Option<(&[R], &[R])>,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::looks_up(engine)?;
    super::scaling::check_frac_bits(frac_bits)?;
    let rows = x.len() / columns.max(1);
    check(columns, x, rows)?;
    expect(out.len(), x.len())?;
    for row in affine.iter().flat_map(|(gain, offset)| [gain, offset]) {
        expect(row.len(), columns)?;
    }
    let floor = epsilon.checked_mul(columns as u64).filter(|&floor| floor < 1 << 61);
    let floor = floor.ok_or(StepError::DomainOutOfRange { ring_bits: u64::BITS })?;
    let elements = x.len();
    scratch.check(layer_norm_need(rows, columns))?;
    let (outer, mut rest) = scratch.take(deviations_need(rows, columns))?;
    let (deviations, wide) = outer.wide.split_at_mut_checked(elements).unwrap_or_default();
    let (factors, sums) = wide.split_at_mut_checked(elements).unwrap_or_default();
    let (sums, means) = sums.split_at_mut_checked(rows).unwrap_or_default();
    outer.own.copy_from_slice(x);
    deviate(
        engine,
        (columns, square_bits(columns)),
        outer.own,
        deviations,
        (sums, means),
        &mut rest,
    )
    .await?;
    sum_of_squares(engine, columns, deviations, factors, sums).await?;
    let floor = engine.constant(floor);
    for sum in sums.iter_mut() {
        *sum = sum.wrapping_add(floor);
    }

    // sqrt(n) / sqrt(q) = v sqrt(n 2^-e), v = 1 / sqrt(q 2^-e).
    let (own, wide) = rest
        .wide
        .split_at_mut_checked(room_need::<u64>(&levels(), rows).own_elems)
        .unwrap_or_default();
    let mut inner = Scratch { own, narrow: rest.narrow, wide };
    let mut room = Room::new(levels(), rows, &mut inner)?;
    room.apply(engine, tables::inv_sqrt(), sums).await?;
    room.weigh(engine, |magnitude| {
        let power = levels().power(magnitude);
        let square = (columns as u128) << (2 * (RATIO_BITS + GUARD_BITS) - power);
        #[allow(clippy::cast_possible_truncation)]
        let root = square.isqrt() as u64;
        root
    });
    spread(columns, room.factor, factors);
    engine.run(&Multiply::new(), Factors { x: deviations, y: factors }).await?;
    truncate(engine, GUARD_BITS, deviations, factors).await?;
    spread(columns, room.value, deviations);
    engine.run(&Multiply::new(), Factors { x: factors, y: deviations }).await?;
    let shift = RATIO_BITS + VALUE_FRAC_BITS - frac_bits;
    truncate(engine, shift, factors, out).await?;

    let Some((gain, offset)) = affine else { return Ok(()) };
    let products = outer.own.get_mut(..elements).unwrap_or(&mut []);
    for (products, out) in products.chunks_exact_mut(columns).zip(out.chunks_exact(columns)) {
        for ((product, &out), &gain) in products.iter_mut().zip(out).zip(gain) {
            *product = out.mul(gain);
        }
    }
    truncate(engine, frac_bits, products, out).await?;
    for row in out.chunks_exact_mut(columns) {
        for (out, &offset) in row.iter_mut().zip(offset) {
            *out = out.add(engine.constant(offset));
        }
    }
    Ok(())
}

/// Room for [`inv_std`] of `rows` rows.
#[must_use]
pub fn inv_std_need(rows: usize) -> Need {
    room_need::<u64>(&levels(), rows)
}

/// `sqrt(columns / (q + floor))` with `out_frac_bits` fraction bits, of the sums `q` of the squares
/// of `columns` deviations each: one over a standard deviation, as batch normalisation has it
/// (Ioffe and Szegedy 2015, algorithm 1). `q` and `floor` have `square_frac_bits` fraction bits,
/// and `floor` is `columns` times an epsilon.
///
/// For `0 <= q < 2^61 - floor`, where `q + floor` is at most `2^61`; beyond, the result is that of
/// `2^61`, and for negative ones that of `floor`. Error: a fraction of about `2^-23` of the result,
/// and two units. 9 messages; exactly 16.
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`inv_std_need`]; [`StepError::NeedsTables`];
/// [`StepError::DomainOutOfRange`] without a `floor`, or with one for which the largest result has
/// more than 33 bits, or of `2^61` and more; lengths that do not match.
pub async fn inv_std<E: Engine>(
    engine: &mut E,
    (columns, square_frac_bits, out_frac_bits): (usize, u32, u32),
    floor: u64,
    sums: &mut [u64],
    out: &mut [u64],
    scratch: &mut Scratch<'_, u64>,
) -> Result<(), E::Error> {
    choice::looks_up(engine)?;
    expect(out.len(), sums.len())?;
    extreme::check(columns, MAX_ELEMS)?;
    let wrong = StepError::DomainOutOfRange { ring_bits: u64::BITS };
    let least = floor.checked_ilog2().filter(|&power| power < 61).ok_or(wrong)?;
    // sqrt(n) 2^(b / 2 + out) / sqrt(q) = v sqrt(n 2^(b + 2 out - e)), v = 1 / sqrt(q 2^-e).
    let top = square_frac_bits.saturating_add(2 * out_frac_bits.min(u64::BITS));
    let root = |power: u32| -> Option<u64> {
        let (columns, power) = (columns as u128, power.max(least));
        let square = match top.checked_sub(power) {
            Some(shift) if shift < 128 - size_bits(MAX_ELEMS) - 1 => columns << shift,
            Some(_) => return None,
            None => columns.checked_shr(power - top).unwrap_or(0),
        };
        u64::try_from(square.isqrt()).ok().filter(|root| *root <= 1 << 33)
    };
    root(least).ok_or(wrong)?;
    let floor = engine.constant(floor);
    for sum in sums.iter_mut() {
        *sum = sum.wrapping_add(floor);
    }
    let mut room = Room::new(levels(), sums.len(), scratch)?;
    room.apply(engine, tables::inv_sqrt(), sums).await?;
    room.weigh(engine, |magnitude| root(levels().power(magnitude)).unwrap_or(0));
    engine.run(&Multiply::new(), Factors { x: room.value, y: room.factor }).await?;
    truncate(engine, VALUE_FRAC_BITS, room.value, out).await
}

/// A word per row as a word per element.
fn spread(columns: usize, rows: &[u64], out: &mut [u64]) {
    for (out, &word) in out.chunks_exact_mut(columns).zip(rows) {
        out.fill(word);
    }
}
