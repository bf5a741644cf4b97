//! Softmax and its logarithm, for rows of scores.
//!
//! ```text
//! m = max_j x_j                                  2 ceil(log2 n) messages
//! e_j = exp(x_j - m),  s = sum_j e_j             2
//! softmax:       e_j / s                         9: the power of two of s, 1/s there, two products
//! log-softmax:   x_j - m - ln s                  6
//! ```
//!
//! Scores of a row must not differ by `2^31` units or more. Both run in the same messages at
//! `k = 32` and `k = 64`; exactly the exponentials take 5, the division 18, and the logarithm 13.

use super::scaling::{Levels, Magnitude, Room, check_frac_bits, room_need};
use super::truncation::{self, apply, truncate};
use super::unary::Smooth;
use super::{Need, Scratch, choice, expect, extreme, reduce};
use crate::functions::engine::Engine;
use crate::functions::protocol::product::{Factors, Multiply};
use crate::functions::tables;
use crate::ring::Ring;
use crate::step::StepError;

/// The most scores of a row: their exponentials' sum must be a word.
pub const MAX_COLUMNS: usize = 1024;
/// Fraction bits of `1 / s`.
const INVERSE_FRAC_BITS: u32 = 28;

/// Magnitudes of `s`, between about 1 and `columns`.
fn levels(columns: usize, frac_bits: u32) -> Levels {
    Levels::new(frac_bits - 1, frac_bits + columns.next_power_of_two().trailing_zeros(), false)
        .direct()
}

/// Room for [`softmax`] and [`log_softmax`] of `rows` rows of `columns` scores.
#[must_use]
pub fn need(rows: usize, columns: usize) -> Need {
    // The fewest fraction bits have the most levels: none lies beyond the ring.
    let inner = exponentials_need(rows, columns, 1);
    let search = Need { own_elems: rows.saturating_mul(columns), ..Need::default() }
        .and(extreme::need(rows, columns));
    Need { own_elems: rows, ..Need::default() }.and(inner.or(search))
}

/// Room for exponentials, their sums, factors, and the magnitudes of the sums.
fn exponentials_need(rows: usize, columns: usize, frac_bits: u32) -> Need {
    let scores = rows.saturating_mul(columns);
    let inner = room_need::<u32>(&levels(columns.min(MAX_COLUMNS), frac_bits), rows);
    let magnitudes = Need {
        own_elems: 0,
        narrow_elems: inner.own_elems.saturating_add(inner.narrow_elems),
        wide_elems: inner.wide_elems,
    };
    let sums = Need { own_elems: 0, narrow_elems: rows, wide_elems: 0 };
    let looked_up = truncation::apply_need(scores);
    let looked_up =
        Need { own_elems: 0, narrow_elems: looked_up.own_elems, wide_elems: looked_up.wide_elems };
    Need { own_elems: 0, narrow_elems: scores, wide_elems: scores.saturating_mul(2) }
        .and(looked_up)
        .and(sums)
        .and(magnitudes)
}

/// The exponentials of a batch, and what follows from their sums.
struct Exponentials<'s> {
    /// `e_j`.
    powers: &'s mut [u64],
    /// `s`.
    sums: &'s mut [u32],
    /// Factors, one per score.
    factors: &'s mut [u64],
    /// What is left for the sums.
    scratch: Scratch<'s, u32>,
}

/// Checks everything, before anything is sent; the number of rows.
fn check<R: Ring, E: Engine>(
    engine: &E,
    columns: usize,
    frac_bits: u32,
    (x, out): (&[R], &[R]),
    scratch: &Scratch<'_, R>,
) -> Result<usize, StepError> {
    choice::looks_up(engine)?;
    check_frac_bits(frac_bits)?;
    extreme::check(columns, MAX_COLUMNS)?;
    expect(out.len(), x.len())?;
    let rows = x.len() / columns;
    expect(x.len(), rows * columns)?;
    Smooth::Exp.table(frac_bits)?;
    scratch.check(need(rows, columns))?;
    Ok(rows)
}

/// `out = exp(x_j) / sum_j exp(x_j)` for every row of `columns` scores, with `frac_bits` fraction
/// bits (8, 12, 16 or 20).
///
/// Error: that of the exponentials' table times `columns` at most, and the truncation.
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`need`]; [`StepError::NoTable`];
/// [`StepError::NeedsTables`]; no columns or more than [`MAX_COLUMNS`].
pub async fn softmax<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let rows = check(engine, columns, frac_bits, (x, out), scratch)?;
    let (outer, mut rest) = scratch.take(Need { own_elems: rows, ..Need::default() })?;
    let found = exponentials(engine, columns, frac_bits, (x, outer.own), &mut rest).await?;
    let Exponentials { powers, sums, factors, mut scratch } = found;
    let mut room = Room::new(levels(columns, frac_bits), rows, &mut scratch)?;
    room.apply(engine, tables::reciprocal(), sums).await?;
    // 1/s = v 2^(f - e), with 28 fraction bits.
    let top = frac_bits + columns.next_power_of_two().trailing_zeros() + 1;
    room.weigh(engine, |magnitude| match magnitude {
        Magnitude::Power(power, _) => 1 << (top - power),
        Magnitude::Small => 1 << (top - frac_bits),
        Magnitude::Large(_) => 1,
    });
    engine.run(&Multiply::new(), Factors { x: room.value, y: room.factor }).await?;
    truncate(engine, top - frac_bits, room.value, room.factor).await?;
    for (factors, &inverse) in factors.chunks_exact_mut(columns).zip(room.factor.iter()) {
        factors.fill(inverse);
    }
    engine.run(&Multiply::new(), Factors { x: powers, y: factors }).await?;
    truncate(engine, INVERSE_FRAC_BITS, powers, out).await
}

/// `out = x_j - ln(sum_j exp(x_j))` for every row of `columns` scores, with `frac_bits` fraction
/// bits (8, 12, 16 or 20).
///
/// Error: that of the exponentials' table, and the truncation.
///
/// # Errors
/// As [`softmax`].
pub async fn log_softmax<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let rows = check(engine, columns, frac_bits, (x, out), scratch)?;
    let (outer, mut rest) = scratch.take(Need { own_elems: rows, ..Need::default() })?;
    let found = exponentials(engine, columns, frac_bits, (x, outer.own), &mut rest).await?;
    let Exponentials { sums, mut scratch, .. } = found;
    let mut room = Room::new(levels(columns, frac_bits), rows, &mut scratch)?;
    room.apply(engine, tables::ln(), sums).await?;
    room.add_logarithm(engine, frac_bits);
    truncate(engine, INVERSE_FRAC_BITS - frac_bits, room.value, room.factor).await?;
    let per_row = out
        .chunks_exact_mut(columns)
        .zip(x.chunks_exact(columns))
        .zip(outer.own.iter())
        .zip(room.factor.iter());
    for (((out, x), &largest), &logarithm) in per_row {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x.sub(largest).sub(R::from_u64(logarithm));
        }
    }
    Ok(())
}

/// Exponentials of the scores less the row's largest, which is left in `largest`, and their sums.
async fn exponentials<'s, R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    frac_bits: u32,
    (x, largest): (&[R], &mut [R]),
    scratch: &'s mut Scratch<'_, R>,
) -> Result<Exponentials<'s>, E::Error> {
    let rows = largest.len();
    {
        let (room, mut rest) = scratch.take(Need { own_elems: x.len(), ..Need::default() })?;
        room.own.copy_from_slice(x);
        extreme::max(engine, columns, room.own, largest, &mut rest).await?;
    }
    let inner = room_need::<u32>(&levels(columns, frac_bits), rows);
    let (room, _) = scratch.take(exponentials_need(rows, columns, frac_bits))?;
    let (differences, narrow) = room.narrow.split_at_mut_checked(x.len()).unwrap_or_default();
    let (sums, narrow) = narrow.split_at_mut_checked(rows).unwrap_or_default();
    let (own, narrow) = narrow.split_at_mut_checked(inner.own_elems).unwrap_or_default();
    let (powers, wide) = room.wide.split_at_mut_checked(x.len()).unwrap_or_default();
    let (factors, wide) = wide.split_at_mut_checked(x.len()).unwrap_or_default();
    for ((differences, x), &largest) in
        differences.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).zip(largest.iter())
    {
        for (difference, &x) in differences.iter_mut().zip(x) {
            *difference = u32::from_u64(x.sub(largest).to_u64());
        }
    }
    let looked_up = truncation::apply_need(x.len());
    let (own_rest, narrow) = narrow.split_at_mut_checked(looked_up.own_elems).unwrap_or_default();
    let (wide_rest, wide) = wide.split_at_mut_checked(looked_up.wide_elems).unwrap_or_default();
    let values = &mut Scratch { own: own_rest, narrow: &mut [], wide: wide_rest };
    apply(engine, Smooth::Exp.table(frac_bits)?, differences, powers, values).await?;
    for (sum, powers) in sums.iter_mut().zip(powers.chunks_exact(columns)) {
        let mut total = [0];
        reduce(&[powers.iter().fold(0_u64, |sum, &power| sum.wrapping_add(power))], &mut total);
        [*sum] = total;
    }
    Ok(Exponentials { powers, sums, factors, scratch: Scratch { own, narrow, wide } })
}
