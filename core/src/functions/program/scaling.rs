//! Functions that depend on the order of magnitude: reciprocal, division, square roots, logarithm.
//!
//! A comparison with all powers of two, under one mask, finds the power `2^e <= |x| < 2^(e+1)` as
//! shared bits. Anything that depends on `e` alone is a sum of these bits with public weights,
//! without a message. So `x` is scaled to `y` in `[1, 2)`, a fitted table gives the function there
//! with 28 fraction bits, and a product with a power of two (or of its root) scales the result
//! back.
//!
//! ```text
//! [x >= 2^j], [x > -2^j] for all j          3 messages
//! y = x 2^(30 - e)                          1, at k = 64 one more: y has 30 fraction bits
//! v = 1/y, sqrt(y), 1/sqrt(y), ln y         2
//! result = v * factor(e), truncated         2; for the logarithm v + factor(e), truncated: 1
//! ```
//!
//! All results are rounded down or one unit higher, of a value whose error is told at each
//! function. Where truncations are exact they are rounded down, as `y` and `v` are, in 7 messages
//! more: 2 for `y`, 3 for `v` and 2 for the result. They need tables (see
//! [`crate::functions::engine::Comparison`]).

use super::truncation::{Whole, raise, truncate};
use super::{Need, Scratch, choice, combine, expect, lookup, reduce};
use crate::functions::cut::Folding;
use crate::functions::engine::{Comparison, Engine, Truncation};
use crate::functions::protocol::compare::{Compare, Compared};
use crate::functions::protocol::piecewise::{Applied, Piecewise};
use crate::functions::protocol::product::{Factors, Multiply};
use crate::functions::protocol::rescale::{Rescale, Rescaled};
use crate::functions::protocol::segments::Segments;
use crate::functions::protocol::shift::Shift;
use crate::functions::spline::Spline;
use crate::functions::tables;
use crate::ring::Ring;
use crate::step::StepError;

/// Fraction bits of the table's results.
const VALUE_FRAC_BITS: u32 = 28;
/// Fraction bits of `y`.
const NORMAL_FRAC_BITS: u32 = 30;
/// Room for all constants: both signs of all powers of two.
const MAX_LEVELS: usize = 126;
/// `sqrt(2) 2^62`.
const SQRT_2: u64 = 0x5a82_7999_fcef_3242;
/// `ln(2) 2^62`.
const LN_2: u64 = 0x2c5c_85fd_f473_de6b;

/// The order of magnitude of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Magnitude {
    /// Below all the powers that are compared with (or, where only positive numbers are, not
    /// positive).
    Small,
    /// `2^e <= |x| < 2^(e+1)`, negative or not.
    Power(u32, bool),
    /// Beyond all of them, negative or not.
    Large(bool),
}

impl Magnitude {
    const fn is_negative(self) -> bool {
        matches!(self, Self::Power(_, true) | Self::Large(true))
    }
}

/// The powers of two that a number is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    first: u32,
    last: u32,
    both_signs: bool,
    folding: Folding,
}

/// What a number that depends on the magnitude adds up from: a constant, and a weight per
/// comparison.
pub(super) struct Weights {
    base: u64,
    steps: [u64; MAX_LEVELS],
}

impl Levels {
    /// Magnitudes from `2^first` to below `2^(last+1)`.
    pub(super) const fn new(first: u32, last: u32, both_signs: bool) -> Self {
        Self { first, last, both_signs, folding: Folding::Staged }
    }

    /// The same, with larger tables and a message less: for few powers.
    pub(super) const fn direct(self) -> Self {
        Self { folding: Folding::Direct, ..self }
    }

    /// The power beyond all.
    const fn end(&self) -> u32 {
        self.last + 1
    }

    /// The power of a magnitude: 0 for what is small, the one beyond all for what is large.
    pub(super) const fn power(&self, magnitude: Magnitude) -> u32 {
        match magnitude {
            Magnitude::Small => 0,
            Magnitude::Power(power, _) => power,
            Magnitude::Large(_) => self.end(),
        }
    }

    /// All magnitudes of numbers that can be scaled to `[1, 2)` in a ring.
    const fn all<R: Ring>(both_signs: bool) -> Self {
        Self::new(0, scaled_bits::<R>(), both_signs)
    }

    /// The constants, least power first: `2^j` as far as the ring goes, then `1 - 2^j`.
    fn constants<R: Ring>(&self) -> impl Iterator<Item = R> {
        let positive = self.powers::<R>(false).map(R::pow2);
        let negative = self.powers::<R>(true).map(|power| R::ONE.sub(R::pow2(power)));
        positive.chain(negative)
    }

    /// The constants, in as much of `room` as they take.
    fn fill<'c, R: Ring>(&self, room: &'c mut [R; MAX_LEVELS]) -> &'c [R] {
        let constants = room.get_mut(..self.count::<R>()).unwrap_or(&mut []);
        for (to, constant) in constants.iter_mut().zip(self.constants()) {
            *to = constant;
        }
        constants
    }

    fn powers<R: Ring>(&self, negative: bool) -> core::ops::Range<u32> {
        if negative && !self.both_signs {
            return 0..0;
        }
        let end = self.last + 2;
        self.first..if negative { end } else { end.min(R::BITS - 1) }
    }

    pub(super) fn count<R: Ring>(&self) -> usize {
        self.powers::<R>(false).len() + self.powers::<R>(true).len()
    }

    /// The weights of `value`, a function of the magnitude, modulo `2^64`.
    pub(super) fn weights<R: Ring>(&self, value: impl Fn(Magnitude) -> u64) -> Weights {
        let base = value(Magnitude::Small);
        let mut weights = Weights { base, steps: [0; MAX_LEVELS] };
        let at = |power, negative| {
            value(if power > self.last {
                Magnitude::Large(negative)
            } else {
                Magnitude::Power(power, negative)
            })
        };
        let mut steps = weights.steps.iter_mut();
        for negative in [false, true] {
            let mut before = base;
            for (power, step) in self.powers::<R>(negative).zip(&mut steps) {
                let here = at(power, negative);
                // A bit is 1 for large numbers, and 0 for large negative ones.
                *step =
                    if negative { before.wrapping_sub(here) } else { here.wrapping_sub(before) };
                if negative {
                    weights.base = weights.base.wrapping_sub(*step);
                }
                before = here;
            }
        }
        weights
    }
}

impl Weights {
    /// The share of the number, from one element's bits.
    pub(super) fn apply(&self, one: u64, bits: &[u64]) -> u64 {
        let base = one.wrapping_mul(self.base);
        bits.iter()
            .zip(&self.steps)
            .fold(base, |sum, (&bit, &step)| sum.wrapping_add(bit.wrapping_mul(step)))
    }
}

/// Bits to which numbers are scaled, less one: 30 at `k = 32`, 60 at `k = 64`.
const fn scaled_bits<R: Ring>() -> u32 {
    if R::BITS <= 32 { NORMAL_FRAC_BITS } else { 60 }
}

/// Finds magnitudes: `bits` gets the comparisons of every element. `copy` is room for `x`.
pub(super) async fn magnitudes<R: Ring, E: Engine>(
    engine: &mut E,
    levels: &Levels,
    x: &[R],
    copy: &mut [R],
    bits: &mut [u64],
) -> Result<(), E::Error> {
    let mut constants = [R::ZERO; MAX_LEVELS];
    expect(copy.len(), x.len())?;
    copy.copy_from_slice(x);
    choice::compare(engine, levels.fill(&mut constants), levels.folding, copy, bits).await
}

/// The weights of `y / x = 2^(30 - e)` (`2^(60 - e)` at `k = 64`), and of what is added so that `y`
/// is 1 where there is no `e`.
pub(super) fn normaliser<R: Ring>(levels: &Levels) -> [Weights; 2] {
    let top = scaled_bits::<R>();
    let factor = |magnitude| match magnitude {
        Magnitude::Power(power, negative) => signed(1 << (top - power), negative),
        _ => 0,
    };
    let rest = |magnitude| if matches!(magnitude, Magnitude::Power(..)) { 0 } else { 1 << top };
    [levels.weights::<R>(factor), levels.weights::<R>(rest)]
}

fn signed(value: u64, negative: bool) -> u64 {
    if negative { value.wrapping_neg() } else { value }
}

/// `2^(half_exponent / 2)`, rounded to nearest; 0 for what is below a half.
fn root_of_power(half_exponent: i64) -> u64 {
    let whole = half_exponent.div_euclid(2);
    let root = if half_exponent.rem_euclid(2) == 0 { 1 << 62 } else { SQRT_2 };
    let shift = 62 - whole;
    match shift {
        ..=0 => root,
        1..=63 => (root >> (shift - 1)).div_ceil(2),
        _ => 0,
    }
}

/// Everything a function of the magnitude works with: slices of the scratch, one element per
/// number.
pub(super) struct Room<'s, R> {
    levels: Levels,
    count: usize,
    own: &'s mut [R],
    normal: &'s mut [u32],
    /// For tables that are looked up by transfers.
    spare: (&'s mut [u32], &'s mut [u64]),
    bits: &'s mut [u64],
    /// `v`, of every number.
    pub(super) value: &'s mut [u64],
    /// Words of a factor.
    pub(super) factor: &'s mut [u64],
}

impl<'s, R: Ring> Room<'s, R> {
    pub(super) fn new(
        levels: Levels,
        elements: usize,
        scratch: &'s mut Scratch<'_, R>,
    ) -> Result<Self, StepError> {
        let count = levels.count::<R>();
        let (room, _) = scratch.take(room_need::<R>(&levels, elements))?;
        let (bits, rest) = room.wide.split_at_mut_checked(elements * count).unwrap_or_default();
        let (value, rest) = rest.split_at_mut_checked(elements).unwrap_or_default();
        let (factor, wide) = rest.split_at_mut_checked(elements).unwrap_or_default();
        let (normal, narrow) = room.narrow.split_at_mut_checked(elements).unwrap_or_default();
        let spare = (narrow, wide);
        Ok(Self { levels, count, own: room.own, normal, spare, bits, value, factor })
    }

    /// Checks what a function of one variable is given, then finds `v` of every number.
    async fn of<E: Engine>(
        engine: &mut E,
        (levels, table): (Levels, &Spline),
        frac_bits: u32,
        (x, out): (&[R], &[R]),
        scratch: &'s mut Scratch<'_, R>,
    ) -> Result<Self, E::Error> {
        choice::looks_up(engine)?;
        check_frac_bits(frac_bits)?;
        expect(out.len(), x.len())?;
        let mut room = Self::new(levels, x.len(), scratch)?;
        room.apply(engine, table, x).await?;
        Ok(room)
    }

    /// Every element's comparisons.
    fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.bits.chunks_exact(self.count)
    }

    /// `y`, and `v` of it: 3 messages, at `k = 64` one more.
    pub(super) async fn apply<E: Engine>(
        &mut self,
        engine: &mut E,
        table: &Spline,
        x: &[R],
    ) -> Result<(), E::Error> {
        magnitudes(engine, &self.levels, x, self.own, self.bits).await?;
        self.scale(engine);
        engine.run(&Multiply::new(), Factors { x: self.own, y: x }).await?;
        self.complete(engine);
        let table = inside::<R>(table)?;
        if engine.comparison() == Comparison::Ot {
            if R::BITS <= 32 {
                reduce(self.own, self.normal);
            } else {
                let dropped = scaled_bits::<R>() - NORMAL_FRAC_BITS;
                truncate(engine, dropped, self.own, self.normal).await?;
            }
            let spare = (&mut *self.spare.0, &mut *self.spare.1);
            return lookup::within(engine, &table, self.normal, self.value, spare).await;
        }
        if engine.truncation() == Truncation::OneUnit {
            self.round(engine).await?;
            return engine
                .run(&Piecewise::within(&table)?, Applied { x: self.normal, out: self.value })
                .await;
        }
        if R::BITS <= 32 {
            reduce(self.own, self.normal);
            choice::truncate(engine, table.drop_bits.into(), self.normal).await?;
        } else {
            choice::truncate(engine, dropped_bits::<R>(&table), self.own).await?;
            reduce(self.own, self.normal);
        }
        raise(table.drop_bits.into(), self.normal);
        let whole = Whole::within(&table)?;
        engine.run(&whole.table, Applied { x: self.normal, out: &mut *self.value }).await?;
        whole.truncate(engine, self.value).await
    }

    /// What `x` is to be multiplied with to be `y`.
    fn scale<E: Engine>(&mut self, engine: &E) {
        let one = engine.constant(1_u64);
        let [factor, _] = normaliser::<R>(&self.levels);
        for (own, bits) in self.own.iter_mut().zip(self.bits.chunks_exact(self.count)) {
            *own = R::from_u64(factor.apply(one, bits));
        }
    }

    /// Adds 1 to the products that are 0 because there is no magnitude.
    fn complete<E: Engine>(&mut self, engine: &E) {
        let one = engine.constant(1_u64);
        let [_, rest] = normaliser::<R>(&self.levels);
        for (own, bits) in self.own.iter_mut().zip(self.bits.chunks_exact(self.count)) {
            *own = own.add(R::from_u64(rest.apply(one, bits)));
        }
    }

    /// `y` with 30 fraction bits, or one unit more.
    async fn round<E: Engine>(&mut self, engine: &mut E) -> Result<(), E::Error> {
        if R::BITS <= 32 {
            reduce(self.own, self.normal);
            return Ok(());
        }
        let drop = Rescale::<R, u32>::new(scaled_bits::<R>() - NORMAL_FRAC_BITS)?;
        engine.run(&drop, Rescaled { x: self.own, out: self.normal }).await
    }

    /// A function of every number's magnitude, in `factor`.
    pub(super) fn weigh<E: Engine>(&mut self, engine: &E, value: impl Fn(Magnitude) -> u64) {
        let (one, weights) = (engine.constant(1_u64), self.levels.weights::<R>(value));
        for (to, bits) in self.factor.iter_mut().zip(self.bits.chunks_exact(self.count)) {
            *to = weights.apply(one, bits);
        }
    }

    /// Adds the logarithm of every number's power of two to `v`, that of the rest.
    pub(super) fn add_logarithm<E: Engine>(&mut self, engine: &E, frac_bits: u32) {
        let levels = self.levels;
        self.weigh(engine, |magnitude| logarithm(levels.power(magnitude), frac_bits));
        combine(self.value, self.factor, u64::wrapping_add);
    }

    /// `out = v factor >> shift`, with what `fixed` says added.
    async fn scale_back<E: Engine>(
        &mut self,
        engine: &mut E,
        factor: impl Fn(Magnitude) -> u64,
        shift: u32,
        fixed: impl Fn(Magnitude) -> u64,
        out: &mut [R],
    ) -> Result<(), E::Error> {
        self.weigh(engine, factor);
        let (one, fixed) = (engine.constant(1_u64), self.levels.weights::<R>(fixed));
        engine.run(&Multiply::new(), Factors { x: self.value, y: self.factor }).await?;
        truncate(engine, shift, self.value, out).await?;
        for (out, bits) in out.iter_mut().zip(self.rows()) {
            *out = out.add(R::from_u64(fixed.apply(one, bits)));
        }
        Ok(())
    }
}

/// A table for `y`; at `k = 32` `y` is exact and never 2, so the last row is not needed.
fn inside<R: Ring>(table: &Spline) -> Result<Spline, StepError> {
    let (_, rows) =
        table.rows.split_last().ok_or(StepError::DomainOutOfRange { ring_bits: R::BITS })?;
    Ok(if R::BITS <= 32 { Spline { rows, ..*table } } else { *table })
}

/// Bits of `x` scaled to `[1, 2)` that a table's coordinate has not.
fn dropped_bits<R: Ring>(table: &Spline) -> u32 {
    scaled_bits::<R>() - NORMAL_FRAC_BITS + u32::from(table.drop_bits)
}

pub(super) fn room_need<R: Ring>(levels: &Levels, elements: usize) -> Need {
    let wide_elems = elements.saturating_mul(levels.count::<R>() + 2);
    Need { own_elems: elements, narrow_elems: elements, wide_elems }
        .and(lookup::within_need(elements))
}

/// Room for [`reciprocal`] of `elements` elements.
#[must_use]
pub fn reciprocal_need<R: Ring>(elements: usize) -> Need {
    room_need::<R>(&Levels::all::<R>(true), elements)
}

pub(super) fn check_frac_bits(frac_bits: u32) -> Result<(), StepError> {
    if (1..=20).contains(&frac_bits) { Ok(()) } else { Err(StepError::NoTable { frac_bits }) }
}

/// `1 / x`, with `frac_bits` fraction bits.
///
/// Domain: `|x| >= 2^m` units, where `m = max(2 f + 2 - k, 2 f - 32, 0)` for `f` fraction bits.
/// Nearer to zero, and at zero, the result is that of `2^m` units, of `x`'s sign (positive for
/// zero). Error: a fraction of `2^-24` of the result, half a unit, and the truncation. 8 messages
/// at `k = 32`, 9 at `k = 64`; exactly 15 and 16. At most 20 fraction bits.
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`reciprocal_need`]; [`StepError::NoTable`];
/// [`StepError::NeedsTables`].
pub async fn reciprocal<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let by = (Levels::all::<R>(true), tables::reciprocal());
    let mut room = Room::of(engine, by, frac_bits, (x, out), scratch).await?;
    // 1/x = v 2^(2 f - e - 28); nothing is left of it where e > 2 f + 1.
    let top = 2 * frac_bits + 1;
    let least = reciprocal_least::<R>(frac_bits);
    let saturated = 1_u64 << (2 * frac_bits - least);
    let end = room.levels.end();
    let factor = |magnitude| match magnitude {
        Magnitude::Power(power, negative) if (least..=top).contains(&power) => {
            signed(1 << (top - power), negative)
        }
        _ => 0,
    };
    let fixed = |magnitude| match magnitude {
        Magnitude::Small => saturated,
        Magnitude::Power(power, negative) if power < least => signed(saturated, negative),
        // At k = 32 only the least word, -2^31.
        Magnitude::Large(negative) if end <= 2 * frac_bits => {
            signed(1 << (2 * frac_bits - end), negative)
        }
        _ => 0,
    };
    room.scale_back(engine, factor, VALUE_FRAC_BITS + 1, fixed, out).await
}

/// The least power of two whose reciprocal is represented, as an exponent.
fn reciprocal_least<R: Ring>(frac_bits: u32) -> u32 {
    (2 * frac_bits + 2).saturating_sub(R::BITS).max((2 * frac_bits).saturating_sub(32))
}

/// Room for [`sqrt`], [`inv_sqrt`] and [`ln`] of `elements` elements.
#[must_use]
pub fn root_need<R: Ring>(elements: usize) -> Need {
    room_need::<R>(&Levels::all::<R>(false), elements)
}

/// `sqrt(x)`, with `frac_bits` fraction bits.
///
/// Domain: all `x >= 0`; at `k = 64`, `x < 2^(61 - f)` units. The result is 0 for negative numbers,
/// and that of the domain's end beyond it. Error: a fraction of `2^-24` of the result, 1/4 unit,
/// and the truncation. 8 messages at `k = 32`, 9 at `k = 64`; exactly 15 and 16.
///
/// # Errors
/// As [`reciprocal`]; scratch: [`root_need`].
pub async fn sqrt<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    check_frac_bits(frac_bits)?;
    let (last, guard) = if R::BITS <= 32 { (NORMAL_FRAC_BITS, 7) } else { (60 - frac_bits, 2) };
    let by = (Levels::new(0, last, false), tables::sqrt());
    let mut room = Room::of(engine, by, frac_bits, (x, out), scratch).await?;
    // sqrt(x) = v 2^((e + f) / 2 - 28)
    let root = |power: u32, guard: u32| root_of_power(i64::from(power + frac_bits + 2 * guard));
    let factor = |magnitude| match magnitude {
        Magnitude::Power(power, _) => root(power, guard),
        _ => 0,
    };
    let fixed =
        |magnitude| if matches!(magnitude, Magnitude::Large(_)) { root(last + 1, 0) } else { 0 };
    room.scale_back(engine, factor, VALUE_FRAC_BITS + guard, fixed, out).await
}

/// `1 / sqrt(x)`, with `frac_bits` fraction bits.
///
/// Domain: all `x > 0`; at `k = 64`, `x < 2^61` units. The result is that of one unit for zero and
/// negative numbers, 0 beyond. Error: a fraction of `2^-24` of the result, one unit, and the
/// truncation. 8 messages at `k = 32`, 9 at `k = 64`; exactly 15 and 16.
///
/// # Errors
/// As [`reciprocal`]; scratch: [`root_need`].
pub async fn inv_sqrt<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let by = (Levels::all::<R>(false), tables::inv_sqrt());
    let mut room = Room::of(engine, by, frac_bits, (x, out), scratch).await?;
    // 1/sqrt(x) = v 2^((3 f - e) / 2 - 28)
    let guard = 12.min(33 - (3 * frac_bits).div_ceil(2));
    let factor = |magnitude| {
        let power = match magnitude {
            Magnitude::Small => 0,
            Magnitude::Power(power, _) => power,
            Magnitude::Large(_) => return 0,
        };
        root_of_power(i64::from(3 * frac_bits + 2 * guard) - i64::from(power))
    };
    room.scale_back(engine, factor, VALUE_FRAC_BITS + guard, |_| 0, out).await
}

/// The natural logarithm of `x`, with `frac_bits` fraction bits.
///
/// Domain: all `x > 0`; at `k = 64`, `x < 2^61` units. The result is that of one unit for zero and
/// negative numbers, that of the domain's end beyond it. Error: `2^-24`, and the truncation. 7
/// messages at `k = 32`, 8 at `k = 64`; exactly 14 and 15.
///
/// # Errors
/// As [`reciprocal`]; scratch: [`root_need`].
pub async fn ln<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let by = (Levels::all::<R>(false), tables::ln());
    let mut room = Room::of(engine, by, frac_bits, (x, out), scratch).await?;
    room.add_logarithm(engine, frac_bits);
    truncate(engine, VALUE_FRAC_BITS - frac_bits, room.value, out).await
}

/// `(e - f) ln 2` with 28 fraction bits.
fn logarithm(power: u32, frac_bits: u32) -> u64 {
    let scaled = i128::from(LN_2) * (i128::from(power) - i128::from(frac_bits));
    #[allow(clippy::cast_possible_truncation)]
    let rounded = (((scaled >> (62 - VALUE_FRAC_BITS - 1)) + 1) >> 1) as i64;
    rounded.cast_unsigned()
}

/// Bits below which quotients stay in magnitude.
const fn quotient_bits<R: Ring>() -> u32 {
    if R::BITS <= 32 { 31 } else { 33 }
}

/// Magnitudes of divisors, so that nothing leaves 62 bits.
fn divisor_levels<R: Ring>(frac_bits: u32) -> Levels {
    Levels::new(0, if R::BITS <= 32 { NORMAL_FRAC_BITS } else { 40.min(28 + frac_bits) }, true)
}

/// Room for [`divide`] of `elements` elements.
#[must_use]
pub fn divide_need<R: Ring>(elements: usize) -> Need {
    room_need::<R>(&divisor_levels::<R>(20), elements).and(quotient_need(elements))
}

/// Room for limits, and numerators before and after they are clamped.
const fn quotient_need(elements: usize) -> Need {
    Need { own_elems: elements.saturating_mul(4), narrow_elems: 0, wide_elems: elements }
}

/// `a / b`, both shared, with `frac_bits` fraction bits.
///
/// For all words; `a` saturates at `2^(k-2)` units, `b` at `k = 64` at `2^min(41, 29 + f)`, and
/// quotients at `2^29` units in magnitude at `k = 32`, `2^31` at `k = 64`: larger ones have the
/// right sign and lie between that bound and twice it. Division by zero is division by one unit, so
/// it saturates but for small `a`. Error: a fraction of `2^-24` of the result, a quarter of a unit
/// at `k = 32` and one at `k = 64`, and the truncation. 11 messages; exactly 16 at `k = 32`, 18 at
/// `k = 64`.
///
/// # Errors
/// As [`reciprocal`]; scratch: [`divide_need`].
pub async fn divide<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    a: &[R],
    b: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    choice::tables(engine)?;
    check_frac_bits(frac_bits)?;
    expect(b.len(), a.len())?;
    expect(out.len(), a.len())?;
    let (elements, levels) = (a.len(), divisor_levels::<R>(frac_bits));
    let (extra, mut rest) = scratch.take(quotient_need(elements))?;
    let mut room = Room::new(levels, elements, &mut rest)?;
    let (clamped, limits) = extra.own.split_at_mut_checked(2 * elements).unwrap_or_default();
    let (limits, fitting) = limits.split_at_mut_checked(elements).unwrap_or_default();
    let numerator = extra.wide;
    room.own.copy_from_slice(b);
    fitting.copy_from_slice(a);
    let mut constants = [R::ZERO; MAX_LEVELS];
    let compare = Compare::new(levels.fill(&mut constants), levels.folding)?;
    // So that neither sum with a limit wraps.
    let largest = R::pow2(R::BITS - 2).sub(R::ONE);
    let knots = choice::clamp_knots(largest.neg(), largest);
    let fit = Segments::new(R::ZERO, largest.neg(), &knots)?;
    engine
        .run_both(
            (&compare, Compared { x: &mut *room.own, bits: &mut *room.bits }),
            (&fit, &mut *fitting),
        )
        .await?;

    // The numerator that keeps the quotient below its bound: min(max(a, -t), t) = max(a + t, 0) -
    // max(a - t, 0) - t.
    let one = engine.constant(1_u64);
    let bits = quotient_bits::<R>();
    let weights = levels.weights::<R>(|m| {
        1 << (levels.power(m) + bits - 1).saturating_sub(frac_bits).min(R::BITS - 2)
    });
    for (limit, bits) in limits.iter_mut().zip(room.bits.chunks_exact(room.count)) {
        *limit = R::from_u64(weights.apply(one, bits));
    }
    for ((pair, &a), &limit) in clamped.chunks_exact_mut(2).zip(fitting.iter()).zip(limits.iter()) {
        pair.copy_from_slice(&[a.add(limit), a.sub(limit)]);
    }
    room.scale(engine);
    engine
        .run_both(
            (&Shift::relu(0)?, &mut *clamped),
            (&Multiply::new(), Factors { x: room.own, y: b }),
        )
        .await?;
    room.complete(engine);
    for (limit, pair) in limits.iter_mut().zip(clamped.chunks_exact(2)) {
        let [above, below] =
            [pair.first(), pair.get(1)].map(|word| word.copied().unwrap_or(R::ZERO));
        *limit = above.sub(below).sub(*limit);
    }

    // a 2^(G - e), of which 33 bits are kept.
    let top = levels.end();
    room.weigh(engine, |magnitude| {
        signed(1 << (top - levels.power(magnitude)), magnitude.is_negative())
    });
    let table = inside::<R>(tables::reciprocal())?;
    let dropped = bits + top - frac_bits - 33;
    let shift = VALUE_FRAC_BITS + top - frac_bits - dropped;
    if engine.truncation() == Truncation::Exact {
        quotient_exactly(engine, &mut room, &table, (limits, numerator), dropped).await?;
        return truncate(engine, shift, room.value, out).await;
    }
    let table = Piecewise::<u32, u64>::within(&table)?;
    let drop = Rescale::<u64, u64>::new(dropped)?;
    if R::BITS <= 32 {
        room.round(engine).await?;
        let lift = Rescale::<R, u64>::new(0)?;
        let lift = (&lift, Rescaled { x: limits, out: numerator });
        engine.run_both((&table, Applied { x: room.normal, out: room.value }), lift).await?;
        engine.run(&Multiply::new(), Factors { x: numerator, y: room.factor }).await?;
        engine.run(&drop, Rescaled { x: numerator, out: room.factor }).await?;
    } else {
        reduce(limits, numerator);
        let round = Rescale::<R, u32>::new(scaled_bits::<R>() - NORMAL_FRAC_BITS)?;
        let round = (&round, Rescaled { x: room.own, out: room.normal });
        engine
            .run_both((&Multiply::new(), Factors { x: numerator, y: room.factor }), round)
            .await?;
        let drop = (&drop, Rescaled { x: numerator, out: room.factor });
        engine.run_both((&table, Applied { x: room.normal, out: room.value }), drop).await?;
    }
    engine.run(&Multiply::new(), Factors { x: room.value, y: room.factor }).await?;
    engine.run(&Rescale::<u64, R>::new(shift)?, Rescaled { x: room.value, out }).await
}

/// [`divide`] without chance, from `y` in `own` on: `room.value` becomes
/// `v (a 2^(G - e) >> dropped)`.
async fn quotient_exactly<R: Ring, E: Engine>(
    engine: &mut E,
    room: &mut Room<'_, R>,
    table: &Spline,
    (limits, numerator): (&[R], &mut [u64]),
    dropped: u32,
) -> Result<(), E::Error> {
    let (whole, drop) = (Whole::within(table)?, Shift::<u64>::truncate(dropped)?);
    let drop_bits = u32::from(table.drop_bits);
    if R::BITS <= 32 {
        reduce(room.own, room.normal);
        let lift = (&Rescale::<R, u64>::new(0)?, Rescaled { x: limits, out: &mut *numerator });
        engine.run_both(lift, (&Shift::truncate(drop_bits)?, &mut *room.normal)).await?;
        raise(drop_bits, room.normal);
        let scale = (&Multiply::new(), Factors { x: &mut *numerator, y: &*room.factor });
        engine
            .run_both(
                (&whole.table, Applied { x: &mut *room.normal, out: &mut *room.value }),
                scale,
            )
            .await?;
    } else {
        reduce(limits, numerator);
        let scale = (&Multiply::new(), Factors { x: &mut *numerator, y: &*room.factor });
        engine
            .run_both(scale, (&Shift::<R>::truncate(dropped_bits::<R>(table))?, &mut *room.own))
            .await?;
        reduce(room.own, room.normal);
        raise(drop_bits, room.normal);
        engine.run(&whole.table, Applied { x: &mut *room.normal, out: &mut *room.value }).await?;
    }
    match &whole.shift {
        Some(shift) => engine.run_both((shift, &mut *room.value), (&drop, &mut *numerator)).await?,
        None => engine.run(&drop, &mut *numerator).await?,
    }
    engine.run(&Multiply::new(), Factors { x: room.value, y: numerator }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_powers_are_rounded() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3, 10].map(root_of_power), [0, 1, 1, 1, 1, 2, 3, 32]);
        assert_eq!(root_of_power(41), 1_482_910);
        assert_eq!(root_of_power(-200), 0);
        assert_eq!([20, 21].map(|power| logarithm(power, 20)), [0, 186_065_279]);
        assert_eq!(logarithm(0, 20).cast_signed(), -3_721_305_590);
    }

    #[test]
    fn weights_add_up_to_the_function() {
        let levels = Levels::new(2, 6, true);
        let value = |magnitude| match magnitude {
            Magnitude::Small => 5,
            Magnitude::Power(power, negative) => signed(100 + u64::from(power), negative),
            Magnitude::Large(negative) => signed(1000, negative),
        };
        let weights = levels.weights::<u32>(value);
        for x in -600_i64..600 {
            let bits: [u64; 12] = {
                let mut constants = levels.constants::<u32>();
                core::array::from_fn(|_| u64::from(x >= constants.next().map_or(0, Ring::to_i64)))
            };
            assert_eq!(levels.count::<u32>(), 12);
            let magnitude = match x.unsigned_abs() {
                ..4 => Magnitude::Small,
                128.. => Magnitude::Large(x < 0),
                size => Magnitude::Power(size.ilog2(), x < 0),
            };
            assert_eq!(weights.apply(1, &bits), value(magnitude), "{x}");
        }
    }
}
