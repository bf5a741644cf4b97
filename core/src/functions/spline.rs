//! Piecewise polynomials of degree 2 over the integers: what the tables hold, and the plaintext
//! twin of their protocol.

/// A piecewise polynomial of degree 2 on pieces of equal width `2^piece_bits` over `[low, low +
/// rows.len() * 2^piece_bits)`, constant below, and constant or the identity above. Integers
/// throughout.
///
/// An argument is a word `x` that stands for `x / 2^in_frac_bits`; a result is a word that stands
/// for `result / 2^out_frac_bits`. Errors are in units of the result's last place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spline {
    /// Fraction bits of the argument.
    pub in_frac_bits: u8,
    /// Fraction bits of the result.
    pub out_frac_bits: u8,
    /// First point of the domain, as a word. A multiple of `2^piece_bits`, but in tables whose
    /// *last* point is given.
    pub low: i64,
    /// A piece is `2^piece_bits` words wide; at most 62.
    pub piece_bits: u8,
    /// Low bits of the local coordinate that are dropped:
    /// `t = ((x - low) mod 2^piece_bits) >> drop_bits`.
    pub drop_bits: u8,
    /// Fraction bits of the polynomial's value `Y`; the result is `Y >> shift`, see
    /// [`Spline::shift_bits`].
    pub value_frac_bits: u8,
    /// One row `[c0, c1, c2]` per piece: `Y = c0 + c1 t + c2 t^2`, with no term or sum outside
    /// `i64`, and `|Y| < 2^60`, also at the `t` that is one too large.
    pub rows: &'static [[i64; 3]],
    /// Result for `x < low`.
    pub below: i64,
    /// Result at and after the end of the domain.
    pub above: Above,
    /// Proven for every word of the domain, in units of the result's last place:
    /// `|Y / 2^shift - f(x)| <= bound + relative_bound * |f(x)|`. Where `drop_bits > 0` it holds
    /// for the exact `t` and for the `t` that is one too large, so that nothing is to be added for
    /// a coordinate that is one too large.
    ///
    /// Outside the domain `below` and `above` are as near, or within 1/2 unit, where they do not
    /// stand for saturation. A result that is `Y >> shift` or one more is thus within
    /// `1 + bound + relative_bound * |f(x)|` everywhere.
    pub bound: f32,
    /// The part of the bound that grows with the result, as a fraction of it; 0 but for
    /// exponentials.
    pub relative_bound: f32,
    /// Largest change of `Y / 2^shift` when `t` is one too large, in units of the result's last
    /// place; 0 if `drop_bits` is 0.
    pub coordinate_bound: f32,
}

/// The result of a [`Spline`] at and after the end of its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Above {
    /// This result, in units of the result's last place.
    Constant(i64),
    /// The argument itself; argument and result have the same fraction bits.
    Identity,
}

impl Spline {
    /// Bits of the value that the result has no place for: `value_frac_bits - out_frac_bits`.
    #[must_use]
    pub const fn shift_bits(&self) -> u8 {
        self.value_frac_bits.saturating_sub(self.out_frac_bits)
    }

    /// Bits of the local coordinate `t`: `piece_bits - drop_bits`.
    #[must_use]
    pub const fn coordinate_bits(&self) -> u8 {
        self.piece_bits.saturating_sub(self.drop_bits)
    }

    /// First word after the domain, `low + rows.len() * 2^piece_bits`.
    #[must_use]
    // A table has a few hundred rows.
    #[allow(clippy::cast_possible_wrap)]
    pub const fn end(&self) -> i64 {
        self.low + ((self.rows.len() as i64) << self.piece_bits)
    }

    /// The row's number and the local coordinate `t` of `x`; `None` outside the domain.
    #[must_use]
    pub fn locate(&self, x: i64) -> Option<(usize, i64)> {
        let offset = x.checked_sub(self.low).filter(|offset| *offset >= 0)?;
        let row =
            usize::try_from(offset >> self.piece_bits).ok().filter(|row| *row < self.rows.len())?;
        Some((row, (offset & ((1 << self.piece_bits) - 1)) >> self.drop_bits))
    }

    /// `Y` of row `row` at the local coordinate `t`, with `value_frac_bits` fraction bits; `None`
    /// if there is no such row.
    ///
    /// Exact for `t` up to `2^coordinate_bits`, and modulo `2^64` for any other.
    #[must_use]
    pub fn row_value(&self, row: usize, t: i64) -> Option<i64> {
        let [c0, c1, c2] = *self.rows.get(row)?;
        Some(c2.wrapping_mul(t).wrapping_add(c1).wrapping_mul(t).wrapping_add(c0))
    }

    /// `Y` at `x`, with `value_frac_bits` fraction bits; `None` outside the domain.
    #[must_use]
    pub fn value(&self, x: i64) -> Option<i64> {
        let (row, t) = self.locate(x)?;
        self.row_value(row, t)
    }

    /// The result for the word `x`, rounded down in the domain. A protocol gives this or one more.
    #[must_use]
    pub fn eval(&self, x: i64) -> i64 {
        self.eval_rounded(x, &mut || false)
    }

    /// The result for the word `x`, where `up` decides about what a protocol leaves to chance: a
    /// coordinate with dropped bits, and a value between two results, may go up. What has no rest
    /// is exact.
    pub fn eval_rounded(&self, x: i64, up: &mut impl FnMut() -> bool) -> i64 {
        let Some((row, t)) = self.locate(x) else {
            return match self.above {
                _ if x < self.low => self.below,
                Above::Constant(result) => result,
                Above::Identity => x,
            };
        };
        let rest = |word: i64, bits: u8| word & ((1 << bits) - 1) != 0;
        let t = t + i64::from(rest(x.wrapping_sub(self.low), self.drop_bits) && up());
        let (value, shift) = (self.row_value(row, t).unwrap_or(0), self.shift_bits());
        (value >> shift) + i64::from(rest(value, shift) && up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of 8 words from -16 to 8, four points of `t` in each, values with 3 bits more than
    /// the result.
    const TOY: Spline = Spline {
        in_frac_bits: 2,
        out_frac_bits: 2,
        low: -16,
        piece_bits: 3,
        drop_bits: 1,
        value_frac_bits: 5,
        rows: &[[7, 1, 0], [-9, 0, 2], [80, -3, 1]],
        below: -5,
        above: Above::Constant(11),
        bound: 0.0,
        relative_bound: 0.0,
        coordinate_bound: 0.0,
    };

    #[test]
    fn rows_and_coordinates_of_every_word() {
        assert_eq!((TOY.shift_bits(), TOY.coordinate_bits(), TOY.end()), (3, 2, 8));
        for x in -16..8 {
            let row = (x + 16) / 8;
            let t = (x + 16) % 8 / 2;
            assert_eq!(TOY.locate(x), Some((usize::try_from(row).unwrap(), t)), "x = {x}");
        }
        for x in [i64::MIN, -17, 8, 9, i64::MAX] {
            assert_eq!((TOY.locate(x), TOY.value(x)), (None, None), "x = {x}");
        }
        assert_eq!(TOY.row_value(3, 0), None);
    }

    #[test]
    fn values_are_rounded_down() {
        let results: [i64; 12] =
            core::array::from_fn(|cell| TOY.eval(-16 + 2 * i64::try_from(cell).unwrap()));
        assert_eq!(results, [0, 1, 1, 1, -2, -1, -1, 1, 10, 9, 9, 10]);
        assert_eq!((TOY.value(-8), TOY.eval(-8)), (Some(-9), -2));
        // -9/8 between -2 and -1; 80/8 is a whole number.
        assert_eq!([-8, 0].map(|x| TOY.eval_rounded(x, &mut || true)), [-1, 10]);
    }

    #[test]
    fn outside_the_domain() {
        assert_eq!([i64::MIN, -17].map(|x| TOY.eval(x)), [-5; 2]);
        assert_eq!([8, i64::MAX].map(|x| TOY.eval(x)), [11; 2]);
        let identity = Spline { above: Above::Identity, ..TOY };
        assert_eq!([-17, 8, i64::MAX].map(|x| identity.eval(x)), [-5, 8, i64::MAX]);
    }
}
