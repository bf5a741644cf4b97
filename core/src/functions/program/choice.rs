//! Choosing between shared values, and the piecewise linear functions that come from it.
//!
//! These run on every kind of comparison (see [`Comparison`]): a comparison takes 2 messages on
//! tables (3 at `k = 64`), 5 on bits, 6 on transfers (7 at `k = 64`). Comparing and choosing are
//! exact, and so is what has integer slopes. What drops bits with [`rescale`] is not: it,
//! [`multiply`] and [`leaky_relu`] give a result that is rounded down or one unit higher, within a
//! domain that they state; where the engine truncates exactly (see [`Truncation`]) they are exact
//! too.
//!
//! Of two shared values that are compared by size the difference must fit the ring:
//! `|x - y| < 2^(k-1)`. Equality and comparisons with public constants have no such condition.

use super::{Need, Scratch, combine, expect, word};
use crate::functions::cut::Folding;
use crate::functions::engine::{Comparison, Engine, Truncation};
use crate::functions::protocol::bitwise::Bitwise;
use crate::functions::protocol::choose::{Choose, Chosen};
use crate::functions::protocol::compare::{Compare, Compared};
use crate::functions::protocol::millionaire::Millionaire;
use crate::functions::protocol::product::{Factors, Multiply};
use crate::functions::protocol::rescale::{Rescale, Rescaled};
use crate::functions::protocol::segments::{Equal, Knot, Segments};
use crate::functions::protocol::shift::Shift;
use crate::gate::GateBits;
use crate::ring::Ring;
use crate::step::StepError;

/// `values[i * width + j]` becomes `[x_i >= 0] values[i * width + j]`; `x` is used up.
///
/// # Errors
/// The engine's; a [`StepError`] for lengths that do not match.
pub async fn choose<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    width: usize,
    x: &mut [R],
    values: &mut [W],
) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables => engine.run(&Choose::new(width)?, Chosen { x, values }).await,
        Comparison::Bits => engine.run(&Bitwise::choose(width)?, Chosen { x, values }).await,
        Comparison::Ot => engine.run(&Millionaire::choose(width)?, Chosen { x, values }).await,
    }
}

/// `bits[i * constants.len() + j] = [x_i >= constants[j]]`; `x` is used up. `folding` trades a
/// message for smaller tables.
///
/// # Errors
/// The engine's; a [`StepError`] for lengths that do not match, or too many constants.
pub async fn compare<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    constants: &[R],
    folding: Folding,
    x: &mut [R],
    bits: &mut [W],
) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables => {
            engine.run(&Compare::new(constants, folding)?, Compared { x, bits }).await
        }
        Comparison::Bits => engine.run(&Bitwise::compare(constants)?, Compared { x, bits }).await,
        Comparison::Ot => engine.run(&Millionaire::compare(constants)?, Compared { x, bits }).await,
    }
}

/// `bits[i] = [x_i = constant]`; `x` is used up.
///
/// # Errors
/// The engine's; a [`StepError`] for lengths that do not match.
pub async fn equal<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    constant: R,
    x: &mut [R],
    bits: &mut [W],
) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables => engine.run(&Equal::new(constant), Compared { x, bits }).await,
        Comparison::Bits => engine.run(&Bitwise::equal(constant), Compared { x, bits }).await,
        Comparison::Ot => engine.run(&Millionaire::equal(constant), Compared { x, bits }).await,
    }
}

/// `bits[i] = [x_i >= y_i]` of two shared vectors; `x` is used up. Differences must fit the ring.
///
/// # Errors
/// As [`compare`].
pub async fn at_least<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    y: &[R],
    bits: &mut [W],
) -> Result<(), E::Error> {
    subtract(x, y)?;
    bits.fill(engine.constant(W::ONE));
    choose(engine, 1, x, bits).await
}

/// `bits[i] = [x_i = y_i]` of two shared vectors, exact whatever the difference; `x` is used up.
///
/// # Errors
/// As [`equal`].
pub async fn equal_to<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    y: &[R],
    bits: &mut [W],
) -> Result<(), E::Error> {
    subtract(x, y)?;
    equal(engine, R::ZERO, x, bits).await
}

fn subtract<R: Ring>(x: &mut [R], y: &[R]) -> Result<(), StepError> {
    expect(y.len(), x.len())?;
    combine(x, y, R::sub);
    Ok(())
}

/// `yes[i]` becomes `[x_i >= 0] ? yes[i] : no[i]`; `x` is used up.
///
/// # Errors
/// As [`choose`].
pub async fn select<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    yes: &mut [W],
    no: &[W],
) -> Result<(), E::Error> {
    expect(yes.len(), x.len())?;
    subtract(yes, no)?;
    choose(engine, 1, x, yes).await?;
    combine(yes, no, W::add);
    Ok(())
}

/// `max(x, 0)`.
///
/// # Errors
/// The engine's.
pub async fn relu<R: Ring, E: Engine>(engine: &mut E, x: &mut [R]) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables => engine.run(&Shift::relu(0)?, x).await,
        Comparison::Bits => engine.run(&Bitwise::relu(), x).await,
        Comparison::Ot => engine.run(&Millionaire::relu(GateBits::whole::<R>(0))?, x).await,
    }
}

/// `max(x, 0) >> shift`, rounding down, exactly. On tables in the messages of [`relu`] alone; on
/// bits a [`truncate`] follows.
///
/// # Errors
/// The engine's; a shift that the ring does not allow.
pub async fn relu_shift<R: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    x: &mut [R],
) -> Result<(), E::Error> {
    let protocol = Shift::relu(shift)?;
    match engine.comparison() {
        Comparison::Tables => engine.run(&protocol, x).await,
        Comparison::Bits if shift == 0 => relu(engine, x).await,
        Comparison::Bits => {
            relu(engine, x).await?;
            truncate(engine, shift, x).await
        }
        Comparison::Ot => engine.run(&Millionaire::relu(GateBits::whole::<R>(shift))?, x).await,
    }
}

/// `x >> shift`, rounding down, exactly.
///
/// # Errors
/// As [`relu_shift`].
pub async fn truncate<R: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    x: &mut [R],
) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables => engine.run(&Shift::truncate(shift)?, x).await,
        Comparison::Bits => engine.run(&Bitwise::truncate(shift)?, x).await,
        Comparison::Ot => engine.run(&Millionaire::truncate(GateBits::whole::<R>(shift))?, x).await,
    }
}

/// Refuses an engine that has neither tables nor transfers to look something up.
pub(super) fn looks_up<E: Engine>(engine: &E) -> Result<(), StepError> {
    if engine.comparison() == Comparison::Bits { Err(StepError::NeedsTables) } else { Ok(()) }
}

/// Refuses an engine that has no tables.
pub(super) fn tables<E: Engine>(engine: &E) -> Result<(), StepError> {
    if engine.comparison() == Comparison::Tables { Ok(()) } else { Err(StepError::NeedsTables) }
}

/// Room for [`multiply`] and [`rescale`] of `elements` elements.
#[must_use]
pub const fn need(elements: usize) -> Need {
    Need { own_elems: elements, narrow_elems: 0, wide_elems: 0 }
}

/// `x * y` with as many fraction bits less as `shift` says: one message for the product, and
/// [`rescale`]. `|x y| < 2^(k-2)`, exactly `2^(k-1)`.
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`need`]; a shift that the ring does not
/// allow.
pub async fn multiply<R: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    x: &mut [R],
    y: &[R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    check_rescale(shift, x.len(), scratch)?;
    engine.run(&Multiply::new(), Factors { x, y }).await?;
    rescale(engine, shift, x, scratch).await
}

/// Refuses what [`rescale`] would refuse, for programs that send something before.
fn check_rescale<R: Ring>(
    shift: u32,
    elements: usize,
    scratch: &Scratch<'_, R>,
) -> Result<(), StepError> {
    if shift == 0 {
        return Ok(());
    }
    Rescale::<R, R>::new(shift)?;
    scratch.check(need(elements))
}

/// `x >> shift`, or one unit more, in place, in one message. `|x| < 2^(k-2)`. Where the engine
/// truncates exactly this is [`truncate`]: for every `x`, and never a unit more.
///
/// # Errors
/// As [`multiply`].
pub async fn rescale<R: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    if shift == 0 {
        return Ok(());
    }
    let (room, _) = scratch.take(need(x.len()))?;
    Rescale::<R, R>::new(shift)?;
    if engine.truncation() == Truncation::Exact {
        return truncate(engine, shift, x).await;
    }
    rescale_to(engine, shift, Rescaled { x, out: room.own }).await?;
    x.copy_from_slice(room.own);
    Ok(())
}

/// `x >> shift` in another ring, rounded down or a unit higher: see [`Rescale`]. One message, three
/// by transfers.
///
/// # Errors
/// The engine's; a shift that the ring does not allow; lengths that do not match.
pub async fn rescale_to<R: Ring, W: Ring, E: Engine>(
    engine: &mut E,
    shift: u32,
    words: Rescaled<'_, R, W>,
) -> Result<(), E::Error> {
    match engine.comparison() {
        Comparison::Tables | Comparison::Bits => engine.run(&Rescale::new(shift)?, words).await,
        Comparison::Ot => engine.run(&Millionaire::rescale(shift)?, words).await,
    }
}

/// `x` becomes the larger of `x` and `y`.
///
/// # Errors
/// As [`relu`].
pub async fn maximum<R: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    y: &[R],
) -> Result<(), E::Error> {
    subtract(x, y)?;
    relu(engine, x).await?;
    combine(x, y, R::add);
    Ok(())
}

/// `x` becomes the smaller of `x` and `y`.
///
/// # Errors
/// As [`relu`].
pub async fn minimum<R: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    y: &[R],
) -> Result<(), E::Error> {
    // min(x, y) = y - max(y - x, 0)
    expect(y.len(), x.len())?;
    combine(x, y, |x, y| y.sub(x));
    relu(engine, x).await?;
    combine(x, y, |x, y| y.sub(x));
    Ok(())
}

/// Room for [`segments`] of `elements` elements and `knots` knots.
#[must_use]
pub const fn segments_need(elements: usize, knots: usize) -> Need {
    Need {
        own_elems: elements.saturating_mul(knots.saturating_mul(2).saturating_add(1)),
        narrow_elems: 0,
        wide_elems: 0,
    }
}

/// A piecewise linear function with integer slopes, in place: see [`Segments`].
///
/// # Errors
/// The engine's; [`StepError::ScratchTooSmall`], see [`segments_need`] (tables need none).
pub async fn segments<R: Ring, E: Engine>(
    engine: &mut E,
    (slope, offset): (R, R),
    knots: &[Knot<R>],
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let protocol = Segments::new(slope, offset, knots)?;
    if engine.comparison() == Comparison::Tables {
        return engine.run(&protocol, x).await;
    }
    let mut constants = [R::ZERO; crate::functions::protocol::segments::MAX_KNOTS];
    let constants = constants.get_mut(..knots.len()).unwrap_or(&mut []);
    for (constant, knot) in constants.iter_mut().zip(knots) {
        *constant = knot.at;
    }
    let (room, _) = scratch.take(segments_need(x.len(), knots.len()))?;
    let (used, rest) = room.own.split_at_mut_checked(x.len()).unwrap_or_default();
    let (bits, products) = rest.split_at_mut_checked(x.len() * knots.len()).unwrap_or_default();
    used.copy_from_slice(x);
    compare(engine, constants, Folding::Direct, used, bits).await?;
    for (products, &mut x) in products.chunks_exact_mut(knots.len()).zip(x.iter_mut()) {
        products.fill(x);
    }
    engine.run(&Multiply::new(), Factors { x: products, y: bits }).await?;
    let one = engine.constant(R::ONE);
    for ((x, bits), products) in
        x.iter_mut().zip(bits.chunks_exact(knots.len())).zip(products.chunks_exact(knots.len()))
    {
        *x = x.mul(slope).add(one.mul(offset));
        for ((bit, product), knot) in bits.iter().zip(products).zip(knots) {
            *x = x.add(product.mul(knot.slope)).add(bit.mul(knot.offset));
        }
    }
    Ok(())
}

/// `|x|`; the least word of the ring stays as it is.
///
/// # Errors
/// As [`segments`], with one knot.
pub async fn abs<R: Ring, E: Engine>(
    engine: &mut E,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let knot = Knot { at: R::ZERO, slope: word(2), offset: R::ZERO };
    segments(engine, (word(-1), R::ZERO), &[knot], x, scratch).await
}

/// `x` limited to `low..=high`, words of the ring read as signed numbers.
///
/// # Errors
/// As [`segments`], with two knots; [`StepError::DomainOutOfRange`] if `low > high`.
pub async fn clamp<R: Ring, E: Engine>(
    engine: &mut E,
    low: R,
    high: R,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    if low.to_i64() > high.to_i64() {
        return Err(StepError::DomainOutOfRange { ring_bits: R::BITS }.into());
    }
    segments(engine, (R::ZERO, low), &clamp_knots(low, high), x, scratch).await
}

/// Where a number limited to `low..=high` bends, beginning with a slope of 0 and `low`.
pub(super) fn clamp_knots<R: Ring>(low: R, high: R) -> [Knot<R>; 2] {
    [
        Knot { at: low, slope: R::ONE, offset: low.neg() },
        Knot { at: high, slope: word(-1), offset: high },
    ]
}

/// ReLU6: `x` limited to `[0, 6]`, with `frac_bits` fraction bits.
///
/// # Errors
/// As [`clamp`]; [`StepError::DomainOutOfRange`] if 6 has no word.
pub async fn relu6<R: Ring, E: Engine>(
    engine: &mut E,
    frac_bits: u32,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    if frac_bits.saturating_add(4) > R::BITS {
        return Err(StepError::DomainOutOfRange { ring_bits: R::BITS }.into());
    }
    clamp(engine, R::ZERO, word(6 << frac_bits), x, scratch).await
}

/// Leaky ReLU: `x` where it is not negative, `x * slope / 2^slope_frac_bits` elsewhere, rounded as
/// [`rescale`] rounds. `|x| 2^slope_frac_bits < 2^(k-2)`, exactly `2^(k-1)`.
///
/// # Errors
/// As [`segments`], with one knot, and as [`rescale`]; [`StepError::DomainOutOfRange`] if the slope
/// is above 1.
pub async fn leaky_relu<R: Ring, E: Engine>(
    engine: &mut E,
    slope: u32,
    slope_frac_bits: u32,
    x: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    if slope_frac_bits.saturating_add(2) > R::BITS || u64::from(slope) > 1 << slope_frac_bits {
        return Err(StepError::DomainOutOfRange { ring_bits: R::BITS }.into());
    }
    check_rescale(slope_frac_bits, x.len(), scratch)?;
    let (slope, whole) = (R::from_u64(u64::from(slope)), R::pow2(slope_frac_bits));
    let knot = Knot { at: R::ZERO, slope: whole.sub(slope), offset: R::ZERO };
    segments(engine, (slope, R::ZERO), &[knot], x, scratch).await?;
    rescale(engine, slope_frac_bits, x, scratch).await
}
