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

/// `e^x / 2^16`.
#[must_use]
pub fn exp_middle(x: f64) -> f64 {
    libm::exp(x) / 65_536.0
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with more digits than these 16.
    #[test]
    fn known_values() {
        let known: [(&str, Real, f64, f64); 15] = [
            ("sigmoid", sigmoid, 1.0, 0.731_058_578_630_004_9),
            ("sigmoid", sigmoid, -30.0, 9.357_622_968_839_299e-14),
            ("tanh", tanh, 0.5, 0.462_117_157_260_009_76),
            ("erf", erf, 0.5, 0.520_499_877_813_046_5),
            ("gelu", gelu, 1.0, 0.841_344_746_068_542_9),
            ("gelu", gelu, -4.0, -1.266_849_673_324_797e-4),
            ("silu", silu, -1.0, -0.268_941_421_369_995_1),
            ("softplus", softplus, 1.0, 1.313_261_687_518_222_8),
            ("softplus", softplus, -20.0, 2.061_153_620_314_381e-9),
            ("exp", exp, 2.0, 7.389_056_098_930_65),
            ("exp_middle", exp_middle, 0.0, 1.525_878_906_25e-5),
            ("exp_high", exp_high, 0.0, 2.328_306_436_538_696_3e-10),
            ("reciprocal", reciprocal, 1.6, 0.625),
            ("inv_sqrt", inv_sqrt, 1.5, 0.816_496_580_927_726),
            ("ln", ln, 3.0, 1.098_612_288_668_109_8),
        ];
        for (name, function, x, expected) in known {
            let error = (function(x) / expected - 1.0).abs();
            assert!(error < 1e-14, "{name}({x}) is off by {error:e}");
        }
    }
}
