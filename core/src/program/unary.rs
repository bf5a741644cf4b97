//! Smooth functions of one variable, from the fitted tables: 2 messages at `k = 32`, 3 at `k = 64`.
//!
//! The result is that of the table's twin or one unit more; the tables state how far that is from the function. Any word of the
//! ring is allowed: outside its domain a table is constant or the identity, which is what these functions are there, or, for
//! the exponential, the largest result that is represented.

use super::{choice, expect};
use crate::engine::Engine;
use crate::function::spline::{Above, Spline};
use crate::function::tables;
use crate::protocol::StepError;
use crate::protocol::piecewise::{Applied, Piecewise};
use crate::ring::Ring;

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
    pub const ALL: [Self; 7] = [Self::Sigmoid, Self::Tanh, Self::Erf, Self::Gelu, Self::Silu, Self::Softplus, Self::Exp];

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
pub(super) fn table(frac_bits: u32, of: impl Fn(u8) -> Option<&'static Spline>) -> Result<&'static Spline, StepError> {
    u8::try_from(frac_bits).ok().and_then(of).ok_or(StepError::NoTable { frac_bits })
}

/// Applies a function; `x` is used up.
///
/// # Errors
/// The engine's; [`StepError::NoTable`]; [`StepError::NeedsTables`]; lengths that do not match.
pub async fn apply<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    function: Smooth,
    frac_bits: u32,
    x: &mut [R],
    out: &mut [W],
) -> Result<(), E::Error> {
    choice::tables(engine)?;
    engine.run(&Piecewise::new(function.table(frac_bits)?)?, Applied { x, out }).await
}

/// `e^x` on the whole ring: 0 where it is below half a unit, and the largest result that is represented beyond it.
///
/// At `k = 32` one table in 2 messages, the largest result being `2^31 - 1`. At `k = 64` the results below `2^31` units, up to
/// `2^46` and up to `2^62` have a table each, in 6 messages; the largest is a little above `2^62`. `out` is as long as `x`,
/// which is used up.
///
/// Error: a fraction of `2^-19` of the result (at 20 fraction bits, beyond `2^31` units, `2^-15`), half a unit, and the
/// truncation.
///
/// # Errors
/// As [`apply`].
pub async fn exp<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &mut [R],
    out: &mut [R],
    scratch: &mut super::Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::tables(engine)?;
    expect(out.len(), x.len())?;
    let low = table(frac_bits, tables::exp_full32)?;
    if R::BITS <= 32 {
        return engine.run(&Piecewise::new(low)?, Applied { x, out }).await;
    }
    let low = Piecewise::new(&Spline { above: Above::Constant(0), ..*low })?;
    let (middle, middle_bits) = finer(table(frac_bits, tables::exp_middle)?, MIDDLE_BITS);
    let middle = Piecewise::new(&Spline { above: Above::Constant(0), ..middle })?;
    let (high, high_bits) = finer(table(frac_bits, tables::exp_high)?, HIGH_BITS);
    let high = Piecewise::new(&high)?;
    let (room, _) = scratch.take(exp_need::<R>(x.len()))?;
    let (copies, part) = room.own.split_at_mut_checked(2 * x.len()).unwrap_or_default();
    let (copy, last_copy) = copies.split_at_mut_checked(x.len()).unwrap_or_default();
    copy.copy_from_slice(x);
    last_copy.copy_from_slice(x);
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

/// The table with as many more bits of its value kept as a unit has, and there are; and the bits of a unit that remain.
fn finer(spline: &Spline, unit_bits: u8) -> (Spline, u32) {
    let kept = spline.shift_bits().min(unit_bits);
    let above = match spline.above {
        Above::Constant(most) => Above::Constant(most << kept),
        Above::Identity => Above::Identity,
    };
    (Spline { out_frac_bits: spline.out_frac_bits + kept, above, ..*spline }, u32::from(unit_bits - kept))
}

fn add_scaled<R: Ring>(out: &mut [R], part: &[R], bits: u32) {
    for (out, &part) in out.iter_mut().zip(part) {
        *out = out.add(part.mul(R::pow2(bits)));
    }
}

/// Room for [`exp`] of `elements` elements.
#[must_use]
pub const fn exp_need<R: Ring>(elements: usize) -> super::Need {
    super::Need { own_elems: if R::BITS <= 32 { 0 } else { elements.saturating_mul(3) }, narrow_elems: 0, wide_elems: 0 }
}
