//! The largest of several shared numbers, and where it is.
//!
//! A tournament: in each of `ceil(log2 n)` levels the larger of two neighbours goes on. A level is
//! one choice by the sign of a difference, 2 messages (on tables), at `k = 64` too: **differences
//! must stay below `2^31` units**, so they are compared in `Z_2^32`. Everything is exact; of equal
//! numbers the first wins.

use super::{Need, Scratch, choice, expect, reduce};
use crate::functions::cut::Folding;
use crate::functions::engine::Engine;
use crate::ring::Ring;
use crate::step::StepError;

/// The most numbers among which the largest is sought.
pub const MAX_COLUMNS: usize = 1 << 16;

/// Room for the programs here, for `rows` rows of `columns` numbers.
#[must_use]
pub const fn need(rows: usize, columns: usize) -> Need {
    let (numbers, pairs) = (rows.saturating_mul(columns), rows.saturating_mul(columns / 2));
    Need {
        own_elems: numbers.saturating_add(pairs).saturating_mul(2),
        narrow_elems: pairs,
        wide_elems: 0,
    }
}

pub(super) fn check(columns: usize, limit_elems: usize) -> Result<(), StepError> {
    let fits = (1..=limit_elems).contains(&columns);
    if fits { Ok(()) } else { Err(StepError::SizeOutOfRange { found_elems: columns, limit_elems }) }
}

/// The largest number of every row: `x` is `rows x columns`, row-major, and used up; `out` has
/// `rows` elements.
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`need`]; no columns, or more than
/// [`MAX_COLUMNS`].
pub async fn max<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &mut [R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    check(columns, MAX_COLUMNS)?;
    expect(x.len(), out.len().saturating_mul(columns))?;
    tournament::<1, R, E>(engine, columns, x, scratch).await?;
    for (out, row) in out.iter_mut().zip(x.chunks(columns)) {
        *out = row.first().copied().unwrap_or(R::ZERO);
    }
    Ok(())
}

/// The number of the column with the largest number of every row, counted from 0: only this is to
/// be opened where an answer shall reveal the class and no score.
///
/// `x` is `rows x columns`, row-major, and used up; `out` has `rows` elements.
///
/// # Errors
/// As [`max`].
pub async fn arg_max<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &mut [R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    check(columns, MAX_COLUMNS)?;
    expect(x.len(), out.len().saturating_mul(columns))?;
    let (room, mut rest) = scratch.take(Need { own_elems: 2 * x.len(), ..Need::default() })?;
    let numbers = (0_u64..).take(columns).map(|column| engine.constant(R::from_u64(column)));
    for (row, pairs) in x.chunks(columns).zip(room.own.chunks_mut(2 * columns)) {
        for ((pair, &x), number) in pairs.chunks_exact_mut(2).zip(row).zip(numbers.clone()) {
            pair.copy_from_slice(&[x, number]);
        }
    }
    tournament::<2, R, E>(engine, columns, room.own, &mut rest).await?;
    for (out, row) in out.iter_mut().zip(room.own.chunks(2 * columns)) {
        *out = row.get(1).copied().unwrap_or(R::ZERO);
    }
    Ok(())
}

/// A row of bits for every row, 1 at the largest number's column: [`arg_max`] and a comparison of
/// its result with every column's number, 2 messages more.
///
/// `x` is `rows x columns`, row-major, and is replaced by the bits, as integers.
///
/// # Errors
/// As [`max`]; at most [`crate::functions::protocol::compare::MAX_CONSTANTS`] columns. Scratch:
/// [`one_hot_need`].
pub async fn one_hot<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    const LIMIT: usize = crate::functions::protocol::compare::MAX_CONSTANTS;
    check(columns, LIMIT)?;
    let rows = x.len() / columns;
    expect(x.len(), rows * columns)?;
    if columns == 1 {
        x.fill(engine.constant(R::ONE));
        return Ok(());
    }
    let (room, mut rest) =
        scratch.take(Need { own_elems: rows, narrow_elems: rows, ..Need::default() })?;
    arg_max(engine, columns, x, room.own, &mut rest).await?;
    reduce(room.own, room.narrow);
    let mut numbers = [0_u32; LIMIT];
    for (number, column) in numbers.iter_mut().zip(1..) {
        *number = column;
    }
    let numbers = numbers.get(..columns - 1).unwrap_or(&[]);
    let (bits, _) = rest.take(Need { own_elems: rows * (columns - 1), ..Need::default() })?;
    choice::compare(engine, numbers, Folding::Direct, room.narrow, bits.own).await?;
    let one = engine.constant(R::ONE);
    for (row, bits) in x.chunks_exact_mut(columns).zip(bits.own.chunks_exact(columns - 1)) {
        // [i >= j] - [i >= j + 1]
        let mut from = one;
        for (x, next) in row.iter_mut().zip(bits.iter().copied().chain([R::ZERO])) {
            *x = from.sub(next);
            from = next;
        }
    }
    Ok(())
}

/// Room for [`one_hot`].
#[must_use]
pub const fn one_hot_need(rows: usize, columns: usize) -> Need {
    need(rows, columns).and(Need { own_elems: rows, narrow_elems: rows, wide_elems: 0 })
}

/// The smallest number of every row; as [`max`].
///
/// # Errors
/// As [`max`].
pub async fn min<R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &mut [R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    negate(x);
    max(engine, columns, x, out, scratch).await?;
    negate(out);
    Ok(())
}

fn negate<R: Ring>(words: &mut [R]) {
    for word in words {
        *word = word.neg();
    }
}

/// The tournament: of every row's `columns` tuples of `WIDTH` numbers, the one whose first number
/// is largest ends up first.
async fn tournament<const WIDTH: usize, R: Ring, E: Engine>(
    engine: &mut E,
    columns: usize,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let rows = x.len() / (columns * WIDTH);
    let mut left = columns;
    while left > 1 {
        let pairs = rows * (left / 2);
        let (room, _) = scratch.take(Need {
            own_elems: pairs * WIDTH,
            narrow_elems: pairs,
            ..Need::default()
        })?;
        // Of neighbours a and b: a - b, whose sign decides, and with it a - b of everything.
        let mut differences = room.own.chunks_exact_mut(WIDTH).zip(room.narrow.iter_mut());
        for row in x.chunks_exact(columns * WIDTH) {
            for pair in row.chunks_exact(2 * WIDTH).take(left / 2) {
                let (Some((to, sign)), (a, b)) =
                    (differences.next(), pair.split_at_checked(WIDTH).unwrap_or_default())
                else {
                    break;
                };
                for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                    *to = a.sub(*b);
                }
                *sign = to.first().map_or(0, |word| u32::from_u64(word.to_u64()));
            }
        }
        choice::choose(engine, WIDTH, room.narrow, room.own).await?;
        // b + [a >= b] (a - b), packed to the row's front; an odd one goes on as it is.
        let mut chosen = room.own.chunks_exact(WIDTH);
        for row in x.chunks_exact_mut(columns * WIDTH) {
            for pair in 0..left / 2 {
                for (index, &chosen) in chosen.next().unwrap_or(&[]).iter().enumerate() {
                    let b = row.get((2 * pair + 1) * WIDTH + index).copied().unwrap_or(R::ZERO);
                    if let Some(to) = row.get_mut(pair * WIDTH + index) {
                        *to = b.add(chosen);
                    }
                }
            }
            if left % 2 == 1 {
                row.copy_within((left - 1) * WIDTH..left * WIDTH, left / 2 * WIDTH);
            }
        }
        left = left.div_ceil(2);
    }
    Ok(())
}
