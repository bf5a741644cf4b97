//! # 9: prove a table's bound
//!
//! A sigmoid on shares is a table of parabolas with a bound of its error. A bound is proved, not
//! sampled: there are finitely many words, so look at all of them.
//!
//! Write [`largest_error`]. For each word `x` of the domain, from `spline.low` to `spline.end()`
//! (not included): the table's value is `spline.value(x)`, an integer with
//! `spline.value_frac_bits` fraction bits; the argument stands for `x / 2^in_frac_bits`. The error
//! is the distance of that value from `f` of that argument, in *units*: multiples of
//! `2^-out_frac_bits`. (`value` is `None` outside of the domain alone.)
//!
//! Then [`claims`]: whether a table keeps the bound that it says, `spline.bound`, in `f32`. Allow
//! `1e-6` units for your own arithmetic in `f64`.
//!
//! The test proves the core's sigmoid, tanh and error function, and shows you a table that lies.
//!
//! To read: chapter 5; `core/src/functions/spline.rs`.

use sharelet_core::functions::spline::Spline;

/// The largest distance of `spline` from `f` in its domain, in units of the result's last place.
#[must_use]
pub fn largest_error(spline: &Spline, f: impl Fn(f64) -> f64) -> f64 {
    todo!("every word of the domain")
}

/// Whether the table is as near to `f` as it says.
#[must_use]
pub fn claims(spline: &Spline, f: impl Fn(f64) -> f64) -> bool {
    todo!("compare with spline.bound")
}
