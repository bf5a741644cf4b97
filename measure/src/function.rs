//! What is measured: the functions, their shapes, and where each is defined.

use sharelet_core::functions::program::unary::Smooth;
use sharelet_core::functions::spline::Spline;
use sharelet_core::functions::tables;

/// Numbers in a row of the functions of rows.
pub const COLUMNS: usize = 10;
/// Fraction bits that functions are measured with.
pub const FRAC_BITS: [u32; 4] = [8, 12, 16, 20];
/// Bounds of the measured clamp, in units.
pub const CLAMP: (i64, i64) = (-1000, 1_000_000);
/// Constants of the measured comparison with several.
pub const CONSTANTS: [i64; 16] = [
    -1 << 30,
    -70_000,
    -4096,
    -500,
    -3,
    -1,
    0,
    1,
    2,
    7,
    100,
    4095,
    4096,
    65_536,
    1 << 29,
    (1 << 31) - 1,
];
/// Slope of the measured leaky ReLU, and its fraction bits.
pub const SLOPE: (u32, u32) = (3, 8);

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Relu,
    ReluShift,
    LeakyRelu,
    Relu6,
    Abs,
    Clamp,
    Compare,
    Compare16,
    AtLeast,
    Equal,
    Select,
    Choose,
    Maximum,
    Minimum,
    Truncate,
    Rescale,
    Multiply,
    Square,
    Max10,
    Min10,
    ArgMax10,
    OneHot10,
    MaxPool,
    MeanPool,
    Smooth(Smooth),
    ExpFull,
    Reciprocal,
    Divide,
    Sqrt,
    InvSqrt,
    Ln,
    Softmax10,
    LogSoftmax10,
    Sum10,
    Mean10,
    Variance10,
    LayerNorm10,
}

/// How many words a function takes and gives, per element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Operands.
    pub operands: usize,
    /// Words of an operand.
    pub columns: usize,
    /// Words of the result.
    pub outputs: usize,
}

/// How a result may differ from the mathematics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not at all: a function of integers.
    Exact,
    /// One rounding at the end: rounded down or up, by chance.
    Rounded,
    /// Several roundings.
    Composed,
}

impl Function {
    /// All of them, in the order of the page.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMED.into_iter().map(|(function, _)| function)
    }

    /// The functions, each with its name.
    const NAMED: [(Self, &'static str); 43] = [
        (Self::Relu, "relu"),
        (Self::ReluShift, "relu_shift"),
        (Self::LeakyRelu, "leaky_relu"),
        (Self::Relu6, "relu6"),
        (Self::Abs, "abs"),
        (Self::Clamp, "clamp"),
        (Self::Compare, "compare"),
        (Self::Compare16, "compare_16"),
        (Self::AtLeast, "at_least"),
        (Self::Equal, "equal"),
        (Self::Select, "select"),
        (Self::Choose, "choose"),
        (Self::Maximum, "maximum"),
        (Self::Minimum, "minimum"),
        (Self::Truncate, "truncate"),
        (Self::Rescale, "rescale"),
        (Self::Multiply, "multiply"),
        (Self::Square, "square"),
        (Self::Max10, "max_10"),
        (Self::Min10, "min_10"),
        (Self::ArgMax10, "arg_max_10"),
        (Self::OneHot10, "one_hot_10"),
        (Self::MaxPool, "max_pool_2x2"),
        (Self::MeanPool, "mean_pool_2x2"),
        (Self::Smooth(Smooth::Sigmoid), "sigmoid"),
        (Self::Smooth(Smooth::Tanh), "tanh"),
        (Self::Smooth(Smooth::Erf), "erf"),
        (Self::Smooth(Smooth::Gelu), "gelu"),
        (Self::Smooth(Smooth::Silu), "silu"),
        (Self::Smooth(Smooth::Softplus), "softplus"),
        (Self::Smooth(Smooth::Exp), "exp"),
        (Self::ExpFull, "exp_full"),
        (Self::Reciprocal, "reciprocal"),
        (Self::Divide, "divide"),
        (Self::Sqrt, "sqrt"),
        (Self::InvSqrt, "inv_sqrt"),
        (Self::Ln, "ln"),
        (Self::Softmax10, "softmax_10"),
        (Self::LogSoftmax10, "log_softmax_10"),
        (Self::Sum10, "sum_10"),
        (Self::Mean10, "mean_10"),
        (Self::Variance10, "variance_10"),
        (Self::LayerNorm10, "layer_norm_10"),
    ];

    /// The name in figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(function, _)| *function == self).map_or("", |(_, name)| name)
    }

    /// Words in and out.
    #[must_use]
    pub const fn shape(self) -> Shape {
        let (operands, columns, outputs) = match self {
            Self::AtLeast | Self::Equal | Self::Multiply | Self::Divide => (2, 1, 1),
            Self::Choose | Self::Maximum | Self::Minimum => (2, 1, 1),
            Self::Select => (3, 1, 1),
            Self::Compare16 => (1, 1, CONSTANTS.len()),
            Self::Max10
            | Self::Min10
            | Self::ArgMax10
            | Self::Sum10
            | Self::Mean10
            | Self::Variance10 => (1, COLUMNS, 1),
            Self::OneHot10 | Self::Softmax10 | Self::LogSoftmax10 | Self::LayerNorm10 => {
                (1, COLUMNS, COLUMNS)
            }
            Self::MaxPool | Self::MeanPool => (1, 4, 1),
            _ => (1, 1, 1),
        };
        Shape { operands, columns, outputs }
    }

    /// How results may differ.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::LeakyRelu | Self::Rescale | Self::Multiply | Self::Square | Self::Smooth(_) => {
                Kind::Rounded
            }
            Self::ExpFull
            | Self::Reciprocal
            | Self::Divide
            | Self::Sqrt
            | Self::InvSqrt
            | Self::Ln => Kind::Composed,
            Self::Softmax10
            | Self::LogSoftmax10
            | Self::Mean10
            | Self::Variance10
            | Self::LayerNorm10 => Kind::Composed,
            _ => Kind::Exact,
        }
    }

    /// Fraction bits that there is a row for: 0 alone for functions of integers.
    #[must_use]
    pub fn frac_bits(self) -> &'static [u32] {
        match self {
            Self::ReluShift | Self::Relu6 | Self::Truncate => &FRAC_BITS,
            Self::LeakyRelu | Self::Mean10 => &[0],
            _ if self.kind() == Kind::Exact => &[0],
            _ => &FRAC_BITS,
        }
    }

    /// The table of a function that has one of its own: it is level (or the identity) outside.
    #[must_use]
    pub fn table(self, ring_bits: u32, frac_bits: u32) -> Option<&'static Spline> {
        match self {
            Self::Smooth(smooth) => smooth.table(frac_bits).ok(),
            Self::ExpFull if ring_bits == 32 => tables::exp_full32(u8::try_from(frac_bits).ok()?),
            _ => None,
        }
    }

    /// The table of a function that normalises its argument to `[2^30, 2^31]`.
    #[must_use]
    pub const fn normalised(self) -> Option<&'static Spline> {
        match self {
            Self::Reciprocal | Self::Divide => Some(tables::reciprocal()),
            Self::Sqrt => Some(tables::sqrt()),
            Self::InvSqrt => Some(tables::inv_sqrt()),
            Self::Ln => Some(tables::ln()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Function::all().map(Function::name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
