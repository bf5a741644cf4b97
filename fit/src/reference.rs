//! The functions themselves, in double precision.

use core::f64::consts::FRAC_1_SQRT_2;

/// A function of one real variable.
pub type Real = fn(f64) -> f64;

/// `1 / (1 + e^-x)`.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// The hyperbolic tangent.
#[must_use]
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// The error function.
#[must_use]
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// `x P(N <= x)` for a standard normal `N`: the form with the error function.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// `x / (1 + e^-x)`.
#[must_use]
pub fn silu(x: f64) -> f64 {
    x / (1.0 + libm::exp(-x))
}

/// `ln(1 + e^x)`, without cancellation.
#[must_use]
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// `e^x`.
#[must_use]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `e^x / 2^32`.
#[must_use]
pub fn exp_high(x: f64) -> f64 {
    libm::exp(x) / 4_294_967_296.0
}

/// `1 / x`.
#[must_use]
pub fn reciprocal(x: f64) -> f64 {
    1.0 / x
}

/// The square root.
#[must_use]
pub fn sqrt(x: f64) -> f64 {
    libm::sqrt(x)
}

/// `1 / sqrt(x)`.
#[must_use]
pub fn inv_sqrt(x: f64) -> f64 {
    1.0 / libm::sqrt(x)
}

/// The natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
