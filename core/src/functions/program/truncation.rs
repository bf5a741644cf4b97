//! Where programs drop bits, and apply tables: by chance of a mask, or exactly. See [`Truncation`].
//!
//! With [`Truncation::OneUnit`] a truncation is a [`Rescale`], and a table a [`Piecewise`] that
//! truncates by itself: each may be a unit high. With [`Truncation::Exact`] nothing is left to
//! chance:
//!
//! ```text
//! truncation:  x >> s in the ring of x, then the other ring
//!                                   2 messages, 3 at k = 64 (on bits 5); to a wider ring 1 more
//! table:       Y, whole, in Z_2^64  as the table: 2 messages, 3 at k = 64
//!              Y >> s               3
//! ```
//!
//! Either gives what the twin gives where it rounds down, so one setting's twin is the other's.
//!
//! A table that drops bits of its coordinate rounds these by chance too, so they are truncated
//! first. A table that goes on as the identity does so without the fraction bits of `Y`: a
//! piecewise linear function beside the truncation, in the same messages.

use super::{Need, Scratch, choice, expect, lookup, reduce};
use crate::functions::engine::{Comparison, Engine, Truncation};
use crate::functions::protocol::piecewise::{Applied, Piecewise};
use crate::functions::protocol::rescale::{Rescale, Rescaled};
use crate::functions::protocol::segments::{Knot, Segments};
use crate::functions::protocol::shift::Shift;
use crate::functions::spline::{Above, Spline};
use crate::ring::Ring;
use crate::step::StepError;

/// `out = x >> shift` in the ring `W`, rounded as the engine's [`Truncation`] says; `x` is used up.
///
/// With [`Truncation::OneUnit`] for `|x| < 2^(k-2)`, in one message. With [`Truncation::Exact`] for
/// every `x`, but where no bit is dropped and `W` is wider: that is for `|x| < 2^(k-2)` too. A
/// result is one modulo `2^l` of `W`.
///
/// # Errors
/// The engine's; [`StepError::ShiftOutOfRange`] unless `shift <= k - 2`; lengths that do not match.
pub async fn truncate<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    x: &mut [R],
    out: &mut [W],
) -> Result<(), E::Error> {
    Rescale::<R, W>::new(shift)?;
    expect(out.len(), x.len())?;
    if engine.truncation() == Truncation::OneUnit {
        return choice::rescale_to(engine, shift, Rescaled { x, out }).await;
    }
    if shift > 0 {
        choice::truncate(engine, shift, x).await?;
    }
    if R::BITS >= W::BITS {
        reduce(x, out);
        return Ok(());
    }
    choice::rescale_to(engine, 0, Rescaled { x, out }).await
}

/// A table whose value keeps all its bits, in `Z_2^64`, and what truncates it afterwards.
pub(super) struct Whole<R> {
    pub(super) table: Piecewise<R, u64>,
    /// Results below and above the domain.
    ends: (i64, i64),
    /// Nothing, if values have no more bits than the result.
    pub(super) shift: Option<Shift<u64>>,
}

impl<R: Ring> Whole<R> {
    /// For every `x` of the ring; beyond a domain that ends in the identity it gives 0.
    pub(super) fn new(spline: &Spline) -> Result<Self, StepError> {
        Self::with(spline, Piecewise::new)
    }

    /// For an `x` that is known to lie in the domain: see [`Piecewise::within`].
    pub(super) fn within(spline: &Spline) -> Result<Self, StepError> {
        Self::with(spline, Piecewise::within)
    }

    fn with(
        spline: &Spline,
        table: impl Fn(&Spline) -> Result<Piecewise<R, u64>, StepError>,
    ) -> Result<Self, StepError> {
        let whole = whole(spline).ok_or(StepError::DomainOutOfRange { ring_bits: R::BITS })?;
        let shift = match spline.shift_bits() {
            0 => None,
            bits => Some(Shift::truncate(bits.into())?),
        };
        let above = match whole.above {
            Above::Constant(above) => above,
            Above::Identity => 0,
        };
        Ok(Self { table: table(&whole)?, ends: (whole.below, above), shift })
    }

    /// Truncates the values.
    pub(super) async fn truncate<E: Engine>(
        &self,
        engine: &mut E,
        values: &mut [u64],
    ) -> Result<(), E::Error> {
        match &self.shift {
            Some(shift) => engine.run(shift, values).await,
            None => Ok(()),
        }
    }
}

/// Truncates the values of two tables, in the same messages.
pub(super) async fn truncate_both<R: Ring, E: Engine>(
    engine: &mut E,
    (first, values_1): (&Whole<R>, &mut [u64]),
    (second, values_2): (&Whole<R>, &mut [u64]),
) -> Result<(), E::Error> {
    if let (Some(shift_1), Some(shift_2)) = (&first.shift, &second.shift) {
        return engine.run_both((shift_1, values_1), (shift_2, values_2)).await;
    }
    first.truncate(engine, values_1).await?;
    second.truncate(engine, values_2).await
}

/// The table with all bits of its value; `None` if a result outside its domain has too many.
fn whole(spline: &Spline) -> Option<Spline> {
    let scaled = |result: i64| result.checked_mul(1_i64.checked_shl(spline.shift_bits().into())?);
    let above = match spline.above {
        Above::Constant(above) => scaled(above)?,
        Above::Identity => 0,
    };
    let below = scaled(spline.below)?;
    Some(Spline {
        out_frac_bits: spline.value_frac_bits,
        below,
        above: Above::Constant(above),
        ..*spline
    })
}

/// Room for [`apply`] of `elements` elements, whatever comparisons are made of: on tables a copy of
/// the arguments, and the values; by transfers some of each.
#[must_use]
pub const fn apply_need(elements: usize) -> Need {
    lookup::need(elements)
}

/// Room for a table; one that ends in a constant needs no copy. [`Truncation::OneUnit`] needs none
/// at all.
const fn table_need(spline: &Spline, elements: usize) -> Need {
    let own_elems = if matches!(spline.above, Above::Identity) { elements } else { 0 };
    Need { own_elems, narrow_elems: 0, wide_elems: elements }
}

/// Applies a table for every `x` of the ring; `x` is used up.
///
/// With [`Truncation::OneUnit`] the result is [`Spline::eval`] or one unit more (see
/// [`Piecewise`]), in 2 messages, 3 at `k = 64`. With [`Truncation::Exact`] it is [`Spline::eval`],
/// in 5, 6 at `k = 64`; 2 and 3 more where the table drops bits of its coordinate.
///
/// # Errors
/// The engine's; [`StepError::NeedsTables`]; [`StepError::ScratchTooSmall`], see [`apply_need`];
/// lengths that do not match; [`StepError::DomainOutOfRange`] as [`Piecewise::new`] does, and if a
/// result outside the domain has no word of 63 bits with the bits of the table's value, or (exactly
/// alone) if the domain begins at no multiple of what is dropped of a coordinate.
pub async fn apply<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    spline: &Spline,
    x: &mut [R],
    out: &mut [W],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::looks_up(engine)?;
    let rounded = Piecewise::<R, W>::new(spline)?;
    expect(out.len(), x.len())?;
    if engine.comparison() == Comparison::Ot {
        let whole = Whole::<R>::new(spline)?;
        let (room, _) = scratch.take(apply_need(x.len()))?;
        return lookup::apply(engine, spline, whole.ends, x, out, room).await;
    }
    let need = table_need(spline, x.len());
    scratch.check(need)?;
    if engine.truncation() == Truncation::OneUnit {
        return engine.run(&rounded, Applied { x, out }).await;
    }
    let exact = Whole::<R>::new(spline)?;
    let (drop_bits, end) = (u32::from(spline.drop_bits), R::from_u64(spline.end().cast_unsigned()));
    if spline.low.trailing_zeros() < drop_bits {
        return Err(StepError::DomainOutOfRange { ring_bits: R::BITS }.into());
    }
    let (room, _) = scratch.take(need)?;
    let (copy, values) = (room.own, room.wide);
    copy.copy_from_slice(x.get(..copy.len()).unwrap_or(&[]));
    if drop_bits > 0 {
        choice::truncate(engine, drop_bits, x).await?;
        raise(drop_bits, x);
    }
    // x from the domain's end on, where the table goes on as the identity.
    let knots = [Knot { at: end, slope: R::ONE, offset: R::ZERO }];
    let beyond = Segments::new(R::ZERO, R::ZERO, &knots)?;
    engine
        .run_both((&exact.table, Applied { x, out: &mut *values }), (&beyond, &mut *copy))
        .await?;
    exact.truncate(engine, values).await?;
    reduce(values, out);
    for (out, &beyond) in out.iter_mut().zip(copy.iter()) {
        *out = out.add(W::from_u64(beyond.to_u64()));
    }
    Ok(())
}

/// `x 2^bits`.
pub(super) fn raise<R: Ring>(bits: u32, x: &mut [R]) {
    for x in x {
        *x = x.mul(R::pow2(bits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::engine::Settings;
    use crate::functions::engine::twin::{Rounding, Twin};
    use crate::functions::program::unary::Smooth;
    use crate::functions::tables;
    use embassy_futures::block_on;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    const EXACT: Settings =
        Settings { comparison: Comparison::Tables, truncation: Truncation::Exact };

    fn all_tables() -> Vec<&'static Spline> {
        let mut all = vec![tables::reciprocal(), tables::sqrt(), tables::inv_sqrt(), tables::ln()];
        for frac_bits in [8, 12, 16, 20] {
            all.extend(
                Smooth::ALL.map(|function| function.table(frac_bits.into()).expect("a table")),
            );
            all.extend(
                [tables::exp_full32, tables::exp_middle, tables::exp_high]
                    .map(|of| of(frac_bits).expect("a table")),
            );
        }
        all
    }

    /// The largest `|Y|` of a row: at its ends, or where its slope is zero.
    fn largest([c0, c1, c2]: [i64; 3], last: i64) -> i128 {
        let [c0, c1, c2, last] = [c0, c1, c2, last].map(i128::from);
        let turn = if c2 == 0 { 0 } else { (-c1).div_euclid(2 * c2) };
        let places = [0, last, turn.clamp(0, last), (turn + 1).clamp(0, last)];
        places.map(|t| ((c2 * t + c1) * t + c0).abs()).into_iter().max().expect("four")
    }

    /// Whole values are opened under an offset of `2^62`, and scaled results outside the domain are
    /// words.
    #[test]
    fn values_of_all_tables_fit() {
        let all = all_tables();
        assert_eq!(all.len(), 44);
        for spline in all {
            let last = 1 << spline.coordinate_bits();
            let most = spline.rows.iter().map(|&row| largest(row, last)).max().expect("rows");
            assert!(most < 1 << 62, "{most} of {} fraction bits", spline.out_frac_bits);
            let whole = whole(spline).expect("fits");
            let Above::Constant(above) = whole.above else { panic!("no identity") };
            assert!(above.unsigned_abs() < 1 << 62 && whole.below.unsigned_abs() < 1 << 62);
            assert!(
                spline.drop_bits == 0 || spline.low.trailing_zeros() >= spline.drop_bits.into()
            );
        }
    }

    /// Coordinates with dropped bits, the identity beyond, and negative values.
    const TOY: Spline = Spline {
        in_frac_bits: 2,
        out_frac_bits: 2,
        low: -16,
        piece_bits: 4,
        drop_bits: 2,
        value_frac_bits: 7,
        rows: &[[70, -100, 9], [-9, 30, 2], [80, -3, 1]],
        below: -5,
        above: Above::Identity,
        bound: 0.0,
        relative_bound: 0.0,
        coordinate_bound: 0.0,
    };

    fn applied<R: Ring>(engine: &mut impl Engine, spline: &Spline, x: &[R]) -> Vec<i64> {
        let (mut own, mut wide, mut out) =
            (vec![R::ONE; x.len()], vec![7; x.len()], vec![R::ONE; x.len()]);
        let scratch = &mut Scratch { own: &mut own, narrow: &mut [], wide: &mut wide };
        assert!(block_on(apply(engine, spline, &mut x.to_vec(), &mut out, scratch)).is_ok());
        out.into_iter().map(Ring::to_i64).collect()
    }

    fn no_choice<R: Ring>() {
        let least = R::pow2(R::BITS - 1).to_i64();
        let near = |at: i64| (-70..70).map(move |step| at.wrapping_add(step));
        let x: Vec<R> =
            near(0).chain(near(least)).map(|x| R::from_u64(x.cast_unsigned())).collect();
        for spline in
            [TOY, Spline { above: Above::Constant(9), ..TOY }, Spline { value_frac_bits: 2, ..TOY }]
        {
            let expected: Vec<i64> = x.iter().map(|x| spline.eval(x.to_i64())).collect();
            assert_eq!(applied(&mut Twin { settings: EXACT }, &spline, &x), expected);
            assert_eq!(applied(&mut Rounding::new(|| true, EXACT), &spline, &x), expected);
            assert_ne!(
                applied(&mut Rounding::new(|| true, Settings::default()), &spline, &x),
                expected
            );
        }
    }

    #[test]
    fn tables_leave_no_choice() {
        no_choice::<u32>();
        no_choice::<u64>();
    }

    #[test]
    fn what_cannot_be_exact_is_refused() {
        let run = |settings, spline: &Spline| {
            let (mut own, mut wide) = ([0_u32; 1], [0; 1]);
            let scratch = &mut Scratch { own: &mut own, narrow: &mut [], wide: &mut wide };
            block_on(apply(&mut Twin { settings }, spline, &mut [0], &mut [0_u32], scratch)).is_ok()
        };
        let unaligned = Spline { low: -17, ..TOY };
        assert!(
            run(Settings::default(), &unaligned) && !run(EXACT, &unaligned) && run(EXACT, &TOY)
        );
        let large = Spline { value_frac_bits: 60, below: i32::MIN.into(), ..TOY };
        assert!(run(Settings::default(), &large) && !run(EXACT, &large));
    }
}
