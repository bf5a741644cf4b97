//! Activation functions that are no ReLU, as files define them: ONNX *Operators*, TFLite's schema.
//!
//! Each but the square is constant far to the left and a straight line far to the right, or comes
//! as near to these as one likes. `spline` makes straight pieces of it.

use core::f64::consts::{FRAC_1_SQRT_2, PI};
use core::fmt;

/// A function of one real variable.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `x P(N <= x)` for a standard normal `N`.
    Gelu,
    /// The same with `(1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2` in the place of `P`.
    GeluTanh,
    /// `x / (1 + e^(-beta x))`; SiLU, or Swish, with a positive `beta`.
    Silu {
        /// 1 for SiLU.
        beta: f64,
    },
    /// `x max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `max(0, min(1, alpha x + beta))`, with a positive `alpha`.
    HardSigmoid {
        /// The slope.
        alpha: f64,
        /// The value at zero.
        beta: f64,
    },
    /// `gamma x`, or `gamma alpha (e^(x / width) - 1)` where `x` is negative: ELU, SELU and CELU.
    Elu {
        /// Minus the limit to the left, over `gamma`.
        alpha: f64,
        /// The slope to the right.
        gamma: f64,
        /// How wide the bend is; positive.
        width: f64,
    },
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x tanh(ln(1 + e^x))`.
    Mish,
    /// `e^x` up to zero, and one from there on.
    Exponential,
    /// `x^2`, and beyond `limit` on either side the line that touches it there.
    Square {
        /// The largest magnitude that is squared; infinite until readings were tried.
        limit: f64,
        /// The largest that is usual.
        usual: f64,
    },
    /// `max(low, min(high, x))`, with `low` below `high`.
    Clip {
        /// The lower limit.
        low: f64,
        /// The upper one.
        high: f64,
    },
}

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) offset: f64,
}

impl Line {
    pub(super) fn at(self, x: f64) -> f64 {
        // A slope of zero stays zero where `x` is infinite.
        if self.slope == 0.0 { self.offset } else { self.slope * x + self.offset }
    }
}

impl Function {
    /// The value at `x`, in double precision.
    #[must_use]
    pub fn at(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => libm::tanh(x),
            Self::Erf => libm::erf(x),
            Self::Gelu => 0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2),
            // (1 + tanh y) / 2 is a sigmoid of 2 y.
            Self::GeluTanh => x * sigmoid(libm::sqrt(8.0 / PI) * (x + 0.044_715 * x * x * x)),
            Self::Silu { beta } => x * sigmoid(beta * x),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::Elu { alpha, gamma, width } if x < 0.0 => gamma * alpha * libm::expm1(x / width),
            Self::Elu { gamma, .. } => gamma * x,
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Exponential => libm::exp(x.min(0.0)),
            Self::Square { limit, .. } if x.abs() > limit => limit * (2.0 * x.abs() - limit),
            Self::Square { .. } => x * x,
            Self::Clip { low, high } => x.max(low).min(high),
        }
    }

    /// A square of values that nothing is known of yet.
    pub(super) const SQUARE: Self = Self::Square { limit: f64::INFINITY, usual: f64::INFINITY };

    /// Whether it is left to the recipient of the answer where it is last: the others are computed.
    #[must_use]
    pub fn is_left_off(self) -> bool {
        matches!(self, Self::Sigmoid | Self::Tanh)
    }

    /// Whether it never falls: then the larger of two has the larger value.
    pub(super) fn rises(self) -> bool {
        match self {
            Self::Elu { alpha, .. } => alpha >= 0.0,
            Self::Gelu
            | Self::GeluTanh
            | Self::Silu { .. }
            | Self::HardSwish
            | Self::Mish
            | Self::Square { .. } => false,
            _ => true,
        }
    }

    /// What it comes near to on the left, with a slope of zero, and on the right. A square has no
    /// such line on the left.
    pub(super) fn ends(self) -> (Line, Line) {
        let level = |offset| Line { slope: 0.0, offset };
        let rising = |slope| Line { slope, offset: 0.0 };
        match self {
            Self::Sigmoid | Self::HardSigmoid { .. } | Self::Exponential => {
                (level(0.0), level(1.0))
            }
            Self::Tanh | Self::Erf | Self::Softsign => (level(-1.0), level(1.0)),
            Self::Gelu
            | Self::GeluTanh
            | Self::Silu { .. }
            | Self::HardSwish
            | Self::Softplus
            | Self::Mish
            | Self::Square { .. } => (level(0.0), rising(1.0)),
            Self::Elu { alpha, gamma, .. } => (level(-gamma * alpha), rising(gamma)),
            Self::Clip { low, high } => (level(low), level(high)),
        }
    }

    /// Places, in rising order, between which it has a continuous second derivative.
    pub(super) fn breaks(self) -> Vec<f64> {
        match self {
            Self::HardSwish => vec![-3.0, 3.0],
            Self::HardSigmoid { alpha, beta } => vec![-beta / alpha, (1.0 - beta) / alpha],
            Self::Elu { .. } | Self::Softsign | Self::Exponential => vec![0.0],
            Self::Clip { low, high } => vec![low, high],
            _ => Vec::new(),
        }
    }

    /// Whether it is straight between its breaks, and beyond them.
    pub(super) fn is_straight(self) -> bool {
        matches!(self, Self::HardSigmoid { .. } | Self::Clip { .. })
    }

    /// How wide its bend is, about; for the functions without a parameter one.
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Silu { beta } => 1.0 / beta,
            Self::Elu { width, .. } => width,
            _ => 1.0,
        }
    }

    /// Whether its parameters are such as above, and of a size that is computed with.
    #[must_use]
    pub fn is_valid(self) -> bool {
        let sized = |value: f64| value.is_finite() && value.abs() <= LARGEST;
        let positive = |value: f64| (1.0 / LARGEST..=LARGEST).contains(&value);
        match self {
            Self::Silu { beta } => positive(beta),
            Self::HardSigmoid { alpha, beta } => positive(alpha) && sized(beta),
            Self::Elu { alpha, gamma, width } => sized(alpha) && positive(gamma) && positive(width),
            Self::Clip { low, high } => sized(low) && sized(high) && low < high,
            _ => true,
        }
    }
}

/// The largest parameter that is computed with.
const LARGEST: f64 = 4096.0;

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Erf => "erf",
            Self::Gelu | Self::GeluTanh => "GELU",
            Self::Silu { beta: 1.0 } => "SiLU",
            Self::Silu { .. } => "Swish",
            Self::HardSwish => "hard-swish",
            Self::HardSigmoid { .. } => "hard-sigmoid",
            Self::Elu { .. } => "ELU",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::Mish => "Mish",
            Self::Exponential => "exponential",
            Self::Square { .. } => "square",
            Self::Clip { .. } => "limits",
        };
        f.write_str(name)
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// Without cancellation.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}
