//! Smooth functions of one variable, from the fitted tables: 2 messages at `k = 32`, 3 at `k = 64`;
//! exactly 5 and 6.
//!
//! The result is that of the table's twin, or one unit more unless the engine truncates exactly
//! (see [`Truncation`]); the tables state how far that is from the function. Any
//! word of the ring is allowed: outside its domain a table is constant or the identity, which is
//! what these functions are there, or, for the exponential, the largest result that is represented.

use super::truncation::{self, Whole};
use super::{Need, Scratch, choice, combine, expect, reduce};
use crate::functions::engine::{Engine, Truncation};
use crate::functions::protocol::piecewise::{Applied, Piecewise};
use crate::functions::spline::{Above, Spline};
use crate::functions::tables;
use crate::ring::Ring;
use crate::step::StepError;

/// A function that has fitted tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Smooth {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// `x P(N <= x)` for a standard normal `N`.
    Gelu,
    /// `x / (1 + e^-x)`.
    Silu,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `e^x` for `x < 4`; `e^4` beyond.
    Exp,
}

impl Smooth {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Sigmoid, Self::Tanh, Self::Erf, Self::Gelu, Self::Silu, Self::Softplus, Self::Exp];

    /// The table for `frac_bits` fraction bits of argument and result.
    ///
    /// # Errors
    /// [`StepError::NoTable`] unless `frac_bits` is 8, 12, 16 or 20.
    pub fn table(self, frac_bits: u32) -> Result<&'static Spline, StepError> {
        let of = match self {
            Self::Sigmoid => tables::sigmoid,
            Self::Tanh => tables::tanh,
            Self::Erf => tables::erf,
            Self::Gelu => tables::gelu,
            Self::Silu => tables::silu,
            Self::Softplus => tables::softplus,
            Self::Exp => tables::exp,
        };
        table(frac_bits, of)
    }
}

/// A table by its number of fraction bits.
pub(super) fn table(
    frac_bits: u32,
    of: impl Fn(u8) -> Option<&'static Spline>,
) -> Result<&'static Spline, StepError> {
    u8::try_from(frac_bits).ok().and_then(of).ok_or(StepError::NoTable { frac_bits })
}

/// Room for [`apply`] of `elements` elements.
#[must_use]
pub const fn need(elements: usize) -> Need {
    truncation::apply_need(elements)
}

/// Applies a function; `x` is used up.
///
/// # Errors
/// The engine's; [`StepError::NoTable`]; [`StepError::NeedsTables`];
/// [`StepError::ScratchTooSmall`], see [`need`]; lengths that do not match.
pub async fn apply<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    function: Smooth,
    frac_bits: u32,
    x: &mut [R],
    out: &mut [W],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::looks_up(engine)?;
    let table = function.table(frac_bits)?;
    scratch.check(need(x.len()))?;
    truncation::apply(engine, table, x, out, scratch).await
}

/// `e^x` on the whole ring: 0 where it is below half a unit, and the largest result that is
/// represented beyond it.
///
/// At `k = 32` one table in 2 messages (exactly 5), the largest result being `2^31 - 1`. At
/// `k = 64` the results below `2^31` units, up to `2^46` and up to `2^62` have a table each, in 6
/// messages (exactly 9); the largest is a little above `2^62`. `out` is as long as `x`, which is
/// used up.
///
/// Error: a fraction of `2^-19` of the result (at 20 fraction bits, beyond `2^31` units, `2^-15`),
/// half a unit, and the truncation.
///
/// # Errors
/// As [`apply`]; scratch: [`exp_need`].
pub async fn exp<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &mut [R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::tables(engine)?;
    expect(out.len(), x.len())?;
    let low = table(frac_bits, tables::exp_full32)?;
    scratch.check(exp_need::<R>(x.len()))?;
    if R::BITS <= 32 {
        return truncation::apply(engine, low, x, out, scratch).await;
    }
    let low = Spline { above: Above::Constant(0), ..*low };
    let (middle, middle_bits) = finer(table(frac_bits, tables::exp_middle)?, MIDDLE_BITS);
    let middle = Spline { above: Above::Constant(0), ..middle };
    let (high, high_bits) = finer(table(frac_bits, tables::exp_high)?, HIGH_BITS);
    let (room, _) = scratch.take(exp_need::<R>(x.len()))?;
    let (copies, part) = room.own.split_at_mut_checked(2 * x.len()).unwrap_or_default();
    let (copy, last_copy) = copies.split_at_mut_checked(x.len()).unwrap_or_default();
    copy.copy_from_slice(x);
    last_copy.copy_from_slice(x);
    if engine.truncation() == Truncation::Exact {
        let [low, middle, high] = [Whole::new(&low)?, Whole::new(&middle)?, Whole::new(&high)?];
        let (lows, wide) = room.wide.split_at_mut_checked(x.len()).unwrap_or_default();
        let (middles, highs) = wide.split_at_mut_checked(x.len()).unwrap_or_default();
        let first = (&low.table, Applied { x, out: &mut *lows });
        engine.run_both(first, (&middle.table, Applied { x: copy, out: &mut *middles })).await?;
        engine.run(&high.table, Applied { x: last_copy, out: &mut *highs }).await?;
        truncation::truncate_both(engine, (&low, &mut *lows), (&middle, &mut *middles)).await?;
        high.truncate(engine, highs).await?;
        add_scaled(lows, middles, middle_bits);
        add_scaled(lows, highs, high_bits);
        reduce(lows, out);
        return Ok(());
    }
    let (low, middle, high) =
        (Piecewise::new(&low)?, Piecewise::new(&middle)?, Piecewise::new(&high)?);
    engine.run_both((&low, Applied { x, out }), (&middle, Applied { x: copy, out: part })).await?;
    add_scaled(out, part, middle_bits);
    engine.run(&high, Applied { x: last_copy, out: part }).await?;
    add_scaled(out, part, high_bits);
    Ok(())
}

/// Bits of a unit of [`tables::exp_middle`].
const MIDDLE_BITS: u8 = 16;
/// Bits of a unit of [`tables::exp_high`].
const HIGH_BITS: u8 = 32;

/// The table with as many more bits of its value kept as a unit has, and there are; and the bits of
/// a unit that remain.
fn finer(spline: &Spline, unit_bits: u8) -> (Spline, u32) {
    let kept = spline.shift_bits().min(unit_bits);
    let above = match spline.above {
        Above::Constant(most) => Above::Constant(most << kept),
        Above::Identity => Above::Identity,
    };
    (
        Spline { out_frac_bits: spline.out_frac_bits + kept, above, ..*spline },
        u32::from(unit_bits - kept),
    )
}

fn add_scaled<R: Ring>(out: &mut [R], part: &[R], bits: u32) {
    combine(out, part, |out, part| out.add(part.mul(R::pow2(bits))));
}

/// Room for [`exp`] of `elements` elements.
#[must_use]
pub const fn exp_need<R: Ring>(elements: usize) -> Need {
    let three = elements.saturating_mul(3);
    let (own_elems, wide_elems) = if R::BITS <= 32 { (0, elements) } else { (three, three) };
    Need { own_elems, narrow_elems: 0, wide_elems }
}
