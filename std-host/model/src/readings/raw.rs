//! What a format reader gives.

impl<T> core::fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Raw({} values in rows of {}, <redacted>)", self.values.len(), self.width)
    }
}

/// A float that values of a file are read as.
pub trait Real {
    /// The nearest; beyond the range of the type it is infinite.
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    #[allow(clippy::cast_possible_truncation)]
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

/// What a format reader gives: values before division and checks.
pub struct Raw<T> {
    /// Values per row.
    pub width: usize,
    /// Row by row.
    pub values: Vec<T>,
    /// What to divide by if the caller does not say.
    pub divide: f32,
}

/// The bytes of an array as numbers.
pub(super) fn convert<T: Real, const N: usize>(
    data: &[u8],
    value: impl Fn([u8; N]) -> f64,
) -> Vec<T> {
    data.as_chunks().0.iter().map(|&bytes| T::of(value(bytes))).collect()
}

/// The product of dimensions after the first, and of all; `None` on overflow.
pub(super) fn shape(dims: &[usize]) -> Option<(usize, usize)> {
    let product =
        |dims: &[usize]| dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    Some((product(dims.get(1..)?)?, product(dims)?))
}
