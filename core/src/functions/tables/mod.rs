//! The fitted tables, each with its proven bound. `cargo xtask fit` makes the other files of this
//! folder.
//!
//! A function of a real argument has a table for 8, 12, 16 and 20 fraction bits, the same for the
//! argument and the result; there is none for any other number. Tables of a [`Spline`] are wide
//! enough that what is outside is a constant or the identity. Of two widths of pieces the wider one
//! is taken if its bound is below half a unit, because a protocol pays for every row, and rounds by
//! up to one unit anyway.
//!
//! The normalised functions take a word `y` of `[2^30, 2^31]` that stands for `y / 2^30`, a value
//! of `[1, 2]`, and give a result of 28 fraction bits with an error below `2^-24`. Below and above
//! the domain they give its end's result.

use super::spline::Spline;

mod erf;
mod exp;
mod exp_full32;
mod exp_high;
mod exp_middle;
mod gelu;
mod inv_sqrt;
mod ln;
mod reciprocal;
mod sigmoid;
mod silu;
mod softplus;
mod sqrt;
mod tanh;

/// The logistic function `1 / (1 + e^-x)`.
#[must_use]
pub const fn sigmoid(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&sigmoid::F8, &sigmoid::F12, &sigmoid::F16, &sigmoid::F20])
}

/// The hyperbolic tangent.
#[must_use]
pub const fn tanh(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&tanh::F8, &tanh::F12, &tanh::F16, &tanh::F20])
}

/// The error function.
#[must_use]
pub const fn erf(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&erf::F8, &erf::F12, &erf::F16, &erf::F20])
}

/// GELU in its form with the error function: `x P(N <= x)` for a standard normal `N`.
#[must_use]
pub const fn gelu(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&gelu::F8, &gelu::F12, &gelu::F16, &gelu::F20])
}

/// SiLU, `x / (1 + e^-x)`.
#[must_use]
pub const fn silu(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&silu::F8, &silu::F12, &silu::F16, &silu::F20])
}

/// Softplus, `ln(1 + e^x)`.
#[must_use]
pub const fn softplus(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&softplus::F8, &softplus::F12, &softplus::F16, &softplus::F20])
}

/// `e^x` for `x < 4`, and `e^4` from there.
///
/// Its error is mostly a fraction of the result, [`Spline::relative_bound`].
#[must_use]
pub const fn exp(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&exp::F8, &exp::F12, &exp::F16, &exp::F20])
}

/// `e^x` as far as the result is a word below `2^31`, and `2^31 - 1` from there.
///
/// A result, even one that is one more than [`Spline::eval`]'s, never reaches `2^31`. Its error is
/// mostly a fraction of the result, [`Spline::relative_bound`], at most `2^-19`. `low` is no
/// multiple of a piece: the last point is given.
#[must_use]
pub const fn exp_full32(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&exp_full32::F8, &exp_full32::F12, &exp_full32::F16, &exp_full32::F20])
}

/// `e^x / 2^16` as far as `e^x` is a word below `2^46`, and about `2^30` from there: for `x` from
/// [`exp_full32`]'s end on, 0 before.
///
/// The bound is one of `Y`, whose bits beyond a unit are bits of `e^x`: a protocol may keep them.
/// `low` is no multiple of a piece.
#[must_use]
pub const fn exp_middle(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&exp_middle::F8, &exp_middle::F12, &exp_middle::F16, &exp_middle::F20])
}

/// `e^x / 2^32` as far as `e^x` is a word below `2^62`, and about `2^30` from there: for `x` from
/// [`exp_middle`]'s end on, 0 before. Otherwise as [`exp_middle`].
#[must_use]
pub const fn exp_high(frac_bits: u8) -> Option<&'static Spline> {
    choose(frac_bits, [&exp_high::F8, &exp_high::F12, &exp_high::F16, &exp_high::F20])
}

/// `1 / y`, normalised.
#[must_use]
pub const fn reciprocal() -> &'static Spline {
    &reciprocal::NORMALISED
}

/// The square root, normalised.
#[must_use]
pub const fn sqrt() -> &'static Spline {
    &sqrt::NORMALISED
}

/// `1 / sqrt(y)`, normalised.
#[must_use]
pub const fn inv_sqrt() -> &'static Spline {
    &inv_sqrt::NORMALISED
}

/// The natural logarithm, normalised.
#[must_use]
pub const fn ln() -> &'static Spline {
    &ln::NORMALISED
}

/// The table for this number of fraction bits, of those for 8, 12, 16 and 20.
const fn choose(
    frac_bits: u8,
    [f8, f12, f16, f20]: [&'static Spline; 4],
) -> Option<&'static Spline> {
    match frac_bits {
        8 => Some(f8),
        12 => Some(f12),
        16 => Some(f16),
        20 => Some(f20),
        _ => None,
    }
}
