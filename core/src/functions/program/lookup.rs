//! Tables without a dealer: the pieces of a polynomial looked up by oblivious transfer.
//!
//! ```text
//! y = x - low;  piece = y >> p,  t = y - 2^p piece          an exact truncation
//! [c0, c1, c2] = the row of the piece                       2 messages
//! Y = (c2 t + c1) t + c0                                    2
//! everywhere: [low <= x < end] Y + [x < low] below + [x >= end] above     a comparison, and 1
//! result = Y >> s                                           as programs truncate
//! ```
//!
//! Nothing is left to chance but the last truncation: a coordinate that loses bits is rounded down.

use super::{Need, Scratch, choice, combine, reduce, word};
use crate::functions::cut::Folding;
use crate::functions::engine::{Engine, Truncation};
use crate::functions::protocol::lookup::{LookedUp, Lookup};
use crate::functions::protocol::product::{Factors, Multiply};
use crate::functions::protocol::rescale::Rescaled;
use crate::functions::spline::{Above, Spline};
use crate::ring::Ring;

/// Words of a row.
const TERMS: usize = 3;

/// Room for [`apply`] of `elements` elements: three vectors of the ring, and of `Z_2^64` values,
/// coordinates, rows and comparisons.
pub(super) const fn need(elements: usize) -> Need {
    Need {
        own_elems: elements.saturating_mul(3),
        narrow_elems: 0,
        wide_elems: elements.saturating_mul(7),
    }
}

/// Room for [`within`].
pub(super) const fn within_need(elements: usize) -> Need {
    Need { own_elems: 0, narrow_elems: elements, wide_elems: elements.saturating_mul(4) }
}

/// Applies a table for every `x` of the ring, of which `below` and `above` are the results outside
/// its domain, with all bits of its value; `x` is used up. `scratch` has what [`need`] says.
pub(super) async fn apply<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    spline: &Spline,
    (below, above): (i64, i64),
    x: &mut [R],
    out: &mut [W],
    scratch: Scratch<'_, R>,
) -> Result<(), E::Error> {
    let elements = x.len();
    let (offset, own) = scratch.own.split_at_mut_checked(elements).unwrap_or_default();
    let (pieces, own) = own.split_at_mut_checked(elements).unwrap_or_default();
    let beyond = own.get_mut(..elements).unwrap_or_default();
    let (values, wide) = scratch.wide.split_at_mut_checked(elements).unwrap_or_default();
    let (bits, wide) = wide.split_at_mut_checked(2 * elements).unwrap_or_default();

    let ends = [spline.low, spline.end()].map(word::<R>);
    offset.copy_from_slice(x);
    choice::compare(engine, &ends, Folding::Staged, offset, bits).await?;
    let low = engine.constant(word::<R>(spline.low));
    combine(offset, x, |_, x| x.sub(low));
    polynomial(engine, spline, offset, values, (&mut *pieces, wide)).await?;

    let (one, below, above) =
        (engine.constant(1_u64), below.cast_unsigned(), above.cast_unsigned());
    let inside = wide.get_mut(..elements).unwrap_or_default();
    let (pairs, _) = bits.as_chunks::<2>();
    for (inside, [from_low, from_end]) in inside.iter_mut().zip(pairs) {
        *inside = from_low.wrapping_sub(*from_end);
    }
    engine.run(&Multiply::new(), Factors { x: &mut *values, y: inside }).await?;
    for (value, [from_low, from_end]) in values.iter_mut().zip(pairs) {
        let outside = one.wrapping_sub(*from_low).wrapping_mul(below);
        *value = value.wrapping_add(outside).wrapping_add(from_end.wrapping_mul(above));
    }
    match (u32::from(spline.shift_bits()), engine.truncation()) {
        (0, _) => reduce(values, out),
        (shift, Truncation::OneUnit) => {
            choice::rescale_to(engine, shift, Rescaled { x: values, out: &mut *out }).await?;
        }
        (shift, Truncation::Exact) => {
            choice::truncate(engine, shift, values).await?;
            reduce(values, out);
        }
    }
    if spline.above == Above::Identity {
        for (beyond, [_, from_end]) in beyond.iter_mut().zip(pairs) {
            *beyond = R::from_u64(*from_end);
        }
        engine.run(&Multiply::new(), Factors { x: &mut *beyond, y: x }).await?;
        for (out, beyond) in out.iter_mut().zip(beyond.iter()) {
            *out = out.add(W::from_u64(beyond.to_u64()));
        }
    }
    Ok(())
}

/// Applies a table to arguments of its domain, which are used up; `out` is truncated. `scratch` has
/// what [`within_need`] says.
pub(super) async fn within<E: Engine>(
    engine: &mut E,
    spline: &Spline,
    x: &mut [u32],
    out: &mut [u64],
    (pieces, wide): (&mut [u32], &mut [u64]),
) -> Result<(), E::Error> {
    let low = engine.constant(word::<u32>(spline.low));
    x.iter_mut().for_each(|x| *x = x.wrapping_sub(low));
    polynomial(engine, spline, x, out, (pieces, &mut *wide)).await?;
    let shift = u32::from(spline.shift_bits());
    match (shift, engine.truncation()) {
        (0, _) => Ok(()),
        (_, Truncation::Exact) => choice::truncate(engine, shift, out).await,
        (_, Truncation::OneUnit) => {
            let values = wide.get_mut(..out.len()).unwrap_or_default();
            values.copy_from_slice(out);
            choice::rescale_to(engine, shift, Rescaled { x: values, out }).await
        }
    }
}

/// `Y` of the piece of every `y = x - low`, which are used up; where there is no piece, anything.
/// `wide` has four vectors.
async fn polynomial<R: Ring, E: Engine>(
    engine: &mut E,
    spline: &Spline,
    y: &mut [R],
    out: &mut [u64],
    (pieces, wide): (&mut [R], &mut [u64]),
) -> Result<(), E::Error> {
    let (t, rows) = wide.split_at_mut_checked(y.len()).unwrap_or_default();
    let rows = rows.get_mut(..TERMS * y.len()).unwrap_or_default();
    let coordinate_bits = u32::from(spline.coordinate_bits());
    if spline.drop_bits > 0 {
        choice::truncate(engine, spline.drop_bits.into(), y).await?;
    }
    pieces.copy_from_slice(y);
    choice::truncate(engine, coordinate_bits, pieces).await?;
    combine(y, pieces, |y, piece| y.sub(piece.mul(R::pow2(coordinate_bits))));
    if R::BITS < u64::BITS {
        choice::rescale_to(engine, 0, Rescaled { x: y, out: &mut *t }).await?;
    } else {
        reduce(y, t);
    }
    let found = LookedUp { index: pieces, out: &mut *rows };
    engine.run(&Lookup::new(spline.rows)?, found).await?;
    let (rows, _) = rows.as_chunks::<TERMS>();
    out.iter_mut().zip(rows).for_each(|(out, [_, _, second])| *out = *second);
    engine.run(&Multiply::new(), Factors { x: &mut *out, y: t }).await?;
    out.iter_mut().zip(rows).for_each(|(out, [_, first, _])| *out = out.wrapping_add(*first));
    engine.run(&Multiply::new(), Factors { x: &mut *out, y: t }).await?;
    out.iter_mut().zip(rows).for_each(|(out, [constant, ..])| *out = out.wrapping_add(*constant));
    Ok(())
}
