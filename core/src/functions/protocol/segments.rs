//! Piecewise linear functions with public knots, and equality with a public constant.
//!
//! * Computes: shares of `s x + o + sum_j [x >= c_j] (s_j x + o_j)` for shared `x`, and public
//!   `c_j`, slopes and offsets, in `Z_2^k`; shares of `[x = c]`.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Reference: masked comparison by digits (see [`super::compare`]); the table's entries are
//!   multiplied by the mask.
//! * Consumes: one record per element.
//! * Costs: 2 messages at `k <= 32`, 3 at `k = 64`; a ring element, and `2 n - 1` bits (3 more at
//!   `k = 64`) per knot and one.
//! * Error bound: exact modulo `2^k`, for every `x`.
//!
//! ```text
//! z  = x + 2^(k-1) + r,  u_j = z - 2^(k-1) - c_j     public afterwards
//! tables:  (h, h r)                                  so b_j = [x >= c_j] and b_j r, see `compare`
//! b_j x    = b_j (z - 2^(k-1)) - b_j r
//! [x = c]  = [u - 1 < r] - [u < r] + [u = 0]  with  u = x + r - c
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::compare;
use super::comparing::{Comparing, Frame, Opened};
use crate::functions::cut::{Cut, Fold, Folding, Folds};
use crate::functions::record::{Half, Truth, word_bytes};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::StepError;

/// The most knots that share a mask.
pub const MAX_KNOTS: usize = 64;

/// Where a piecewise linear function bends or jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knot<R> {
    /// First `x` of the new piece.
    pub at: R,
    /// Added to the slope.
    pub slope: R,
    /// Added to the offset.
    pub offset: R,
}

/// A piecewise linear function, in place. Slopes are integers: scale afterwards where they stand
/// for fractions.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'c, R> {
    slope: R,
    offset: R,
    knots: &'c [Knot<R>],
    frame: Frame,
    folds: Folds,
}

impl<'c, R: Ring> Segments<'c, R> {
    /// `slope x + offset` before the first knot; every knot adds to both.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if there is no knot, or more than [`MAX_KNOTS`].
    pub fn new(slope: R, offset: R, knots: &'c [Knot<R>]) -> Result<Self, StepError> {
        let count = super::checked_size(knots.len(), MAX_KNOTS)? + 1;
        let cut = Cut::plan(R::BITS, None, Folding::of::<R>(), 2 * word_bytes::<R>(), count);
        let (frame, folds) = Frame::new::<R, R>(cut, count, 2, true);
        Ok(Self { slope, offset, knots, frame, folds })
    }
}

impl<R: Ring> Comparing for Segments<'_, R> {
    type Ring = R;
    type Data<'d> = &'d mut [R];

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn folds(&self) -> u32 {
        self.folds.count()
    }

    fn fold(&self, index: u32) -> Fold {
        self.folds.get(index)
    }

    fn public(&self, index: u32, z: R) -> R {
        self.knots.get(index as usize).map_or(z, |knot| z.sub(R::pow2(R::BITS - 1)).sub(knot.at))
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        opened: &Opened<'_>,
    ) {
        let Some(x) = data.get_mut(element) else { return };
        let (z, cut) = (*x, &self.frame.cut);
        let one = half.party().constant(R::ONE);
        let mask: R = half.word(element, self.frame.mask);
        let below = |half: &mut H, index: u32| {
            let (delta, fold) = (opened.bits(index), self.folds.get(index));
            let flip = Fold::flip(cut, delta);
            let b = turned(flip, one, fold.word(cut, half, element, delta, 0));
            (b, turned(flip, mask, fold.word(cut, half, element, delta, 1)))
        };
        let (wrapped, wrapped_mask) = below(half, self.folds.count() - 1);
        let public = z.sub(R::pow2(R::BITS - 1));
        let mut sum = one.mul(public).sub(mask).mul(self.slope).add(one.mul(self.offset));
        for (index, knot) in (0..).zip(self.knots) {
            let (b, b_mask) = below(half, index);
            let at_least = compare::at_least(one, z, knot.at, b, wrapped);
            let masked = compare::at_least(mask, z, knot.at, b_mask, wrapped_mask);
            let product = at_least.mul(public).sub(masked);
            sum = sum.add(product.mul(knot.slope)).add(at_least.mul(knot.offset));
        }
        *x = sum;
    }

    fn deal_rest<G: CryptoRng>(&self, mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        for index in 0..self.folds.count() {
            self.folds
                .get(index)
                .deal::<R, _, 2>(&self.frame.cut, truth, rng, 0, |h, _| [h, h.mul(mask)]);
        }
    }

    fn plain(&self, data: &mut &mut [R], _up: &mut impl FnMut() -> bool) {
        for x in data.iter_mut() {
            let (mut slope, mut offset) = (self.slope, self.offset);
            for knot in self.knots.iter().filter(|knot| x.to_i64() >= knot.at.to_i64()) {
                (slope, offset) = (slope.add(knot.slope), offset.add(knot.offset));
            }
            *x = x.mul(slope).add(offset);
        }
    }
}

/// `[x = c]` as a bit in the ring `W`.
#[derive(Clone, Copy, Debug)]
pub struct Equal<R, W> {
    constant: R,
    frame: Frame,
    folds: Folds,
    ring: PhantomData<W>,
}

impl<R: Ring, W: Ring> Equal<R, W> {
    /// The protocol for this constant.
    #[must_use]
    pub fn new(constant: R) -> Self {
        let cut = Cut::plan(R::BITS, None, Folding::of::<R>(), word_bytes::<W>(), 2);
        let (frame, folds) = Frame::new::<R, W>(cut, 2, 1, false);
        Self { constant, frame, folds, ring: PhantomData }
    }
}

impl<R: Ring, W: Ring> Comparing for Equal<R, W> {
    type Ring = R;
    type Data<'d> = compare::Compared<'d, R, W>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn folds(&self) -> u32 {
        2
    }

    fn fold(&self, index: u32) -> Fold {
        self.folds.get(index)
    }

    /// `u`, then `u - 1`.
    fn public(&self, index: u32, z: R) -> R {
        z.sub(self.constant).sub(if index == 0 { R::ZERO } else { R::ONE })
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut compare::Compared<'_, R, W>,
        opened: &Opened<'_>,
    ) {
        let Some(&z) = data.x.get(element) else { return };
        let (cut, one) = (&self.frame.cut, half.party().constant(W::ONE));
        let mut below = |index: u32| {
            let delta = opened.bits(index);
            turned(
                Fold::flip(cut, delta),
                one,
                self.folds.get(index).word::<W>(cut, half, element, delta, 0),
            )
        };
        let zero = if z == self.constant { one } else { W::ZERO };
        let equal = below(1).sub(below(0)).add(zero);
        if let Some(bit) = data.bits.get_mut(element) {
            *bit = equal;
        }
    }

    fn deal_rest<G: CryptoRng>(&self, _mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        for index in 0..2 {
            self.folds.get(index).deal::<W, _, 1>(&self.frame.cut, truth, rng, 0, |h, _| [h]);
        }
    }

    fn plain(&self, data: &mut compare::Compared<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.equal(self.constant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::Protocol;
    use crate::functions::protocol::check::{self, all, in_place};
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    extern crate std;
    use std::vec;

    #[test]
    fn every_value_of_a_small_ring() {
        let word = |value: i64| Small::<6>::from_u64(value.cast_unsigned());
        let knots = [(-32, 1, 5), (-7, -3, 2), (0, 9, 0), (31, 2, -4)];
        let knots = knots.map(|(at, slope, offset)| Knot {
            at: word(at),
            slope: word(slope),
            offset: word(offset),
        });
        for seed in 0..30 {
            in_place(&Segments::new(word(2), word(-1), &knots).expect("in range"), &all(), seed);
            in_place(
                &Segments::new(word(0), word(3), &knots[2..3]).expect("in range"),
                &all(),
                seed,
            );
        }
    }

    fn absolute_value<R: Ring>() {
        let words = check::words::<R>(300, &mut ChaCha20Rng::from_seed([3; 32]));
        let knot = [Knot { at: R::ZERO, slope: R::ONE.add(R::ONE), offset: R::ZERO }];
        let absolute = Segments::new(R::ONE.neg(), R::ZERO, &knot).expect("in range");
        in_place(&absolute, &words, 4);
        let mut twin = [R::from_u64(5).neg(), R::from_u64(7)];
        absolute.twin(&mut &mut twin[..]);
        assert_eq!(twin, [R::from_u64(5), R::from_u64(7)]);
    }

    #[test]
    fn wide_rings() {
        absolute_value::<u32>();
        absolute_value::<u64>();
        assert!(Segments::<u32>::new(1, 0, &[]).is_err());
    }

    fn equal<R: Ring, W: Ring>(constant: R, x: &[R], seed: u8) {
        check::compared(&Equal::<R, W>::new(constant), 1, x, seed);
    }

    #[test]
    fn equality_is_in_place() {
        for (seed, constant) in (0..).zip(all::<4>().into_iter().cycle().take(200)) {
            equal::<_, u32>(constant, &all(), seed);
        }
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        equal::<u32, u32>(7, &[check::words::<u32>(50, &mut rng), vec![7, 7, 6, 8]].concat(), 1);
        equal::<u64, u64>(u64::MAX, &check::words::<u64>(50, &mut rng), 2);
    }
}
