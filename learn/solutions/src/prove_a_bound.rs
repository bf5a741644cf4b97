//! A domain of a few million words is looked at in a second. What is outside of it is constant.

use sharelet_core::functions::spline::Spline;

/// The largest distance of `spline` from `f` in its domain, in units of the result's last place.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "2^60 steps to a unit are more than a bound needs")]
pub fn largest_error(spline: &Spline, f: impl Fn(f64) -> f64) -> f64 {
    let power = |bits: u8| f64::from(2_u32).powi(i32::from(bits));
    let error = |x: i64| {
        let value = spline.value(x).unwrap_or_default() as f64 / power(spline.value_frac_bits);
        let right = f(x as f64 / power(spline.in_frac_bits));
        ((value - right) * power(spline.out_frac_bits)).abs()
    };
    (spline.low..spline.end()).map(error).fold(0.0, f64::max)
}

/// Whether the table is as near to `f` as it says.
#[must_use]
pub fn claims(spline: &Spline, f: impl Fn(f64) -> f64) -> bool {
    largest_error(spline, f) <= f64::from(spline.bound) + 1e-6
}
