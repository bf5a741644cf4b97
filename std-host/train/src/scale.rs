//! Public factors as integers: the same rational number for fixed point and for floating point.

/// The largest shift. Factors below 2^-31 lose significant bits, and below 2^-47 they are zero.
pub const MAX_SHIFT: u32 = 46;

/// `numerator / 2^shift`, not negative: at most 2^-16 of itself away from what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    numerator: u32,
    shift: u32,
}

impl Scale {
    /// Nothing.
    pub const ZERO: Self = Self { numerator: 0, shift: 0 };

    /// The nearest scale, ties away from zero, with an odd numerator or no shift: a power of two is
    /// a shift alone. `None` for what is negative, not finite, or `2^16 - 1/2` and more.
    ///
    /// The same on every machine: it takes powers of two and one rounding to an integer.
    #[must_use]
    pub fn nearest(value: f64) -> Option<Self> {
        if !(0.0..65_535.5).contains(&value) {
            return None;
        }
        if value == 0.0 {
            return Some(Self::ZERO);
        }
        // 0..=MAX_SHIFT, however small or large the value.
        let wanted = 15_i32.saturating_sub(libm::ilogb(value));
        let mut shift = u32::try_from(wanted.max(0)).unwrap_or(0).min(MAX_SHIFT);
        // At most 2^16, by the choice of the shift and the check above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mut numerator = libm::scalbn(value, shift.cast_signed()).round() as u32;
        if numerator == 0 {
            return Some(Self::ZERO);
        }
        let zeros = numerator.trailing_zeros().min(shift);
        numerator >>= zeros;
        shift -= zeros;
        Some(Self { numerator, shift })
    }

    /// `0..=2^16`.
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// In bits, `0..=46`.
    #[must_use]
    pub const fn shift(self) -> u32 {
        self.shift
    }

    /// Exactly this number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        libm::scalbn(f64::from(self.numerator), -self.shift.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scales() {
        let parts = |value| Scale::nearest(value).map(|scale| (scale.numerator(), scale.shift()));
        assert_eq!(parts(0.0), Some((0, 0)));
        assert_eq!(parts(1.0), Some((1, 0)));
        assert_eq!(parts(0.125), Some((1, 3)));
        assert_eq!(parts(6.0), Some((6, 0)));
        // 0.1 * 2^19 = 52428.8
        assert_eq!(parts(0.1), Some((52_429, 19)));
        // 0.9 * 2^16 = 58982.4
        assert_eq!(parts(0.9), Some((29_491, 15)));
        // Rounds up to a power of two.
        assert_eq!(parts(0.999_999_9), Some((1, 0)));
        assert_eq!(parts(65_535.0), Some((65_535, 0)));
        assert_eq!(parts(1e-300), Some((0, 0)));
        for refused in [65_535.5, -1e-9, f64::NAN, f64::INFINITY] {
            assert_eq!(parts(refused), None, "{refused}");
        }
    }

    #[test]
    fn scales_are_near() {
        let mut value = 65_000.0;
        while value > 2e-9 {
            let scale = Scale::nearest(value).unwrap();
            let apart = (scale.to_f64() - value).abs() / value;
            assert!(apart <= 1.0 / 65_536.0, "{value}: {scale:?}");
            assert!(scale.numerator() % 2 == 1 || scale.shift() == 0);
            value *= 0.977;
        }
    }
}
