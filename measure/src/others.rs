//! The methods of other systems, in double precision: how good they are before any fixed-point
//! arithmetic.

/// `(1 + x / 2^squarings)^(2^squarings)`.
#[must_use]
pub fn exp_by_limit(x: f64, squarings: i32) -> f64 {
    (0..squarings).fold(1.0 + x / 2_f64.powi(squarings), |power, _| power * power)
}

/// Newton steps for `1 / x` from `3 e^(1 - 2 x) + 0.003`.
#[must_use]
pub fn reciprocal_by_newton(x: f64, steps: usize) -> f64 {
    (0..steps).fold(3.0 * (1.0 - 2.0 * x).exp() + 0.003, |y, _| 2.0 * y - x * y * y)
}

/// Newton steps for `1 / sqrt(x)` from `2.2 e^-(x/2 + 0.2) + 0.2 - x / 1024`.
#[must_use]
pub fn inv_sqrt_by_newton(x: f64, steps: usize) -> f64 {
    let start = 2.2 * (-(x / 2.0 + 0.2)).exp() + 0.2 - x / 1024.0;
    (0..steps).fold(start, |y, _| y * (3.0 - x * y * y) / 2.0)
}

/// The Taylor series of the error function: the first term and so many more.
#[must_use]
pub fn erf_by_taylor(x: f64, terms: u32) -> f64 {
    let mut factorial = 1.0;
    let mut sum = x;
    for n in 1..=terms {
        factorial *= f64::from(n);
        let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
        sum += sign * x.powi((2 * n + 1).cast_signed()) / (factorial * f64::from(2 * n + 1));
    }
    sum * core::f64::consts::FRAC_2_SQRT_PI
}

/// The largest error of `method` against `exact` on a grid of `[low, high]`.
pub fn largest_error(
    low: f64,
    high: f64,
    method: impl Fn(f64) -> f64,
    exact: impl Fn(f64) -> f64,
) -> f64 {
    let points = 100_000;
    let at = |i: u32| low + (high - low) * f64::from(i) / f64::from(points);
    (0..=points).map(at).map(|x| (method(x) - exact(x)).abs()).fold(0.0, f64::max)
}

/// The end of the stretch from `start` upwards (by `factor`) on which `method` is right to a part
/// `part` of the result.
pub fn valid_up_to(
    start: f64,
    factor: f64,
    part: f64,
    method: impl Fn(f64) -> f64,
    exact: impl Fn(f64) -> f64,
) -> f64 {
    let mut x = start;
    // What is not a number is not right.
    while (method(x * factor) / exact(x * factor) - 1.0).abs() <= part {
        x *= factor;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_converge_where_they_should() {
        assert!((exp_by_limit(0.5, 8) - 0.5_f64.exp()).abs() < 1e-2);
        assert!((reciprocal_by_newton(2.0, 10) - 0.5).abs() < 1e-12);
        assert!((inv_sqrt_by_newton(1.0, 3) - 1.0).abs() < 1e-2);
        assert!((erf_by_taylor(0.5, 8) - sharelet_fit::reference::erf(0.5)).abs() < 1e-9);
    }
}
