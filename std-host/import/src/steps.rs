//! Values that a file counts in steps: whole numbers that stand for `(q - zero) scale`.

use crate::error::Refused;

/// The smallest and the largest step that is computed with.
const RANGE: core::ops::RangeInclusive<f64> = 9.5e-7..=1024.0;

/// What a quantised value is rounded to: `k * scale`, with a whole `k` between two limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// The size of a step.
    pub scale: f64,
    /// The smallest `k`: the smallest word of the type less the zero point; not above zero.
    pub low: f64,
    /// The largest `k`; not below zero.
    pub high: f64,
}

impl Steps {
    /// Whole numbers without limits.
    pub(super) const WHOLE: Self = Self { scale: 1.0, low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// The steps of words from `low` to `high` of which `zero` stands for zero.
    ///
    /// # Errors
    /// [`Refused`] if there are no such steps.
    pub(super) fn new(scale: f64, zero: i64, (low, high): (i64, i64)) -> Result<Self, Refused> {
        check(&[scale], &[zero], (low, high))?;
        if !RANGE.contains(&scale) {
            return Err(format!(
                "has steps of {scale:e}; computed are steps from 2^-20 to 1024: scale the readings \
                 and quantise again"
            )
            .into());
        }
        let from = |word: i64| i32::try_from(word - zero).map(f64::from);
        match (from(low), from(high)) {
            (Ok(low), Ok(high)) => Ok(Self { scale, low, high }),
            _ => Err("has limits that are too far from its zero point".into()),
        }
    }

    /// The nearest step; of two the upper one.
    #[must_use]
    pub fn nearest(&self, value: f64) -> f64 {
        self.scale * (value / self.scale + 0.5).floor().clamp(self.low, self.high)
    }

    /// The same steps, none of which is negative, or above `limit`.
    #[must_use]
    pub(super) fn within(self, limit: f64) -> Self {
        let high = self.high.min((limit / self.scale).round());
        Self { low: self.low.max(0.0), high, ..self }
    }

    /// The largest magnitude of a value.
    #[must_use]
    pub(super) fn largest(&self) -> f64 {
        self.scale * self.high.max(-self.low)
    }
}

/// Whether scales and zero points can be those of words from `low` to `high`.
///
/// # Errors
/// [`Refused`] with the one that cannot be.
pub(super) fn check(scales: &[f64], zeros: &[i64], (low, high): (i64, i64)) -> Result<(), Refused> {
    // A step below the smallest normal number of the file's type has lost its digits.
    let possible = |&&scale: &&f64| !(scale.is_finite() && scale >= f64::from(f32::MIN_POSITIVE));
    if let Some(scale) = scales.iter().find(possible) {
        return Err(format!(
            "has a scale of {scale:e}, which is no size of a step: a positive number is; quantise \
             again"
        )
        .into());
    }
    if let Some(zero) = zeros.iter().find(|zero| !(low..=high).contains(zero)) {
        return Err(format!(
            "has a zero point of {zero}, which is none of its words from {low} to {high}; quantise \
             again"
        )
        .into());
    }
    Ok(())
}
