//! Comparison of a shared word with many public constants, under one mask.
//!
//! * Computes: shares of `[x >= c_j]` in `Z_2^l`, for shared `x` in `Z_2^k` and public constants
//!   `c_j`, in signed order.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Reference: masked comparison by digits (see [`super::comparing`]); one mask and one set of
//!   leaves serve all constants.
//! * Consumes: one record per element.
//! * Costs: 2 messages ([`Folding::Direct`]) or 3; a ring element, and `2 n - 1` bits (and up to 3
//!   more) per constant and one.
//! * Error bound: exact, for every `x` and every constant, also where `x - c` leaves the ring.
//!
//! ```text
//! x' = x + 2^(k-1),  c' = c + 2^(k-1)               signed order is unsigned order now
//! z  = x' + r                                       public afterwards
//! u_j = z - c'_j                                    public
//! [x < c_j] = [u_j < r] + [z < c'_j] - [z < r]      one comparison per constant, and one for all
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::comparing::{Comparing, Frame, Opened, Slices};
use crate::functions::cut::{Cut, Fold, Folding, Folds};
use crate::functions::record::{Half, Truth, word_bytes};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// The most constants that share a mask.
pub const MAX_CONSTANTS: usize = 256;

/// `[x >= c_j]`: `x` in the ring `R`, bits in the ring `W`.
#[derive(Clone, Copy, Debug)]
pub struct Compare<'c, R, W> {
    constants: &'c [R],
    frame: Frame,
    folds: Folds,
    rings: PhantomData<W>,
}

/// What is compared, and the bits.
pub struct Compared<'d, R, W> {
    /// The compared words; used up.
    pub x: &'d mut [R],
    /// One bit per constant and element, element after element.
    pub bits: &'d mut [W],
}

crate::correlation::redacted!([R, W] Compared<'_, R, W>);

impl<R: Ring, W: Ring> Compared<'_, R, W> {
    /// A party's shares of `[x >= c_j]` of an element, from its shares of `[u_j < r]`, after which
    /// `below` gives `[z < r]`.
    #[inline]
    pub(super) fn finish(
        &mut self,
        element: usize,
        constants: &[R],
        one: W,
        mut below: impl FnMut(u32) -> W,
    ) {
        let Some(&z) = self.x.get(element) else { return };
        let count = constants.len();
        let bits = self.bits.get_mut(element * count..(element + 1) * count).unwrap_or(&mut []);
        #[allow(clippy::cast_possible_truncation)]
        let wrapped = below(count as u32);
        for ((index, bit), &constant) in (0..).zip(bits).zip(constants) {
            *bit = at_least(one, z, constant, below(index), wrapped);
        }
    }

    /// The twin of a comparison with constants.
    pub(super) fn compare(&mut self, constants: &[R]) {
        for (x, bits) in self.x.iter().zip(self.bits.chunks_exact_mut(constants.len().max(1))) {
            for (bit, constant) in bits.iter_mut().zip(constants) {
                *bit = W::from_u64(u64::from(x.to_i64() >= constant.to_i64()));
            }
        }
    }

    /// The twin of a comparison for equality.
    pub(super) fn equal(&mut self, constant: R) {
        for (x, bit) in self.x.iter().zip(self.bits.iter_mut()) {
            *bit = W::from_u64(u64::from(*x == constant));
        }
    }
}

impl<R: Ring, W: Ring> Slices for Compared<'_, R, W> {
    type Ring = R;
    type Value = R;

    fn compared(&mut self) -> &mut [R] {
        self.x
    }

    fn count(&self, constants: usize) -> Result<usize, StepError> {
        expect_len(self.bits.len(), self.x.len().saturating_mul(constants))?;
        Ok(self.x.len())
    }
}

impl<'c, R: Ring, W: Ring> Compare<'c, R, W> {
    /// The protocol for these constants.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if there are none, or more than [`MAX_CONSTANTS`].
    pub fn new(constants: &'c [R], folding: Folding) -> Result<Self, StepError> {
        let count = super::checked_size(constants.len(), MAX_CONSTANTS)? + 1;
        let folding = if R::BITS > 32 { Folding::Staged } else { folding };
        let cut = Cut::plan(R::BITS, None, folding, word_bytes::<W>(), count);
        let (frame, folds) = Frame::new::<R, W>(cut, count, 1, true);
        Ok(Self { constants, frame, folds, rings: PhantomData })
    }
}

/// `c + 2^(k-1)`: a signed constant in unsigned order.
fn unsigned<R: Ring>(constant: R) -> R {
    constant.add(R::pow2(R::BITS - 1))
}

/// A party's share of `[x >= c]`, from its shares of `[u < r]` and `[z < r]`.
#[inline]
pub(super) fn at_least<R: Ring, W: Ring>(one: W, z: R, constant: R, below: W, wrapped: W) -> W {
    let public = if z.to_u64() < unsigned(constant).to_u64() { W::ZERO } else { one };
    public.sub(below).add(wrapped)
}

impl<R: Ring, W: Ring> Comparing for Compare<'_, R, W> {
    type Ring = R;
    type Data<'d> = Compared<'d, R, W>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn beside(&self) -> usize {
        self.constants.len()
    }

    fn folds(&self) -> u32 {
        self.folds.count()
    }

    fn fold(&self, index: u32) -> Fold {
        self.folds.get(index)
    }

    /// `u_j` for constant `j`, and at last `z`.
    fn public(&self, index: u32, z: R) -> R {
        self.constants.get(index as usize).map_or(z, |&constant| z.sub(unsigned(constant)))
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Compared<'_, R, W>,
        opened: &Opened<'_>,
    ) {
        let (cut, one) = (&self.frame.cut, half.party().constant(W::ONE));
        data.finish(element, self.constants, one, |index| {
            let (delta, fold) = (opened.bits(index), self.folds.get(index));
            turned(Fold::flip(cut, delta), one, fold.word(cut, half, element, delta, 0))
        });
    }

    fn deal_rest<G: CryptoRng>(&self, _mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        for index in 0..self.folds.count() {
            self.folds.get(index).deal::<W, _, 1>(&self.frame.cut, truth, rng, 0, |h, _| [h]);
        }
    }

    fn plain(&self, data: &mut Compared<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.compare(self.constants);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check;
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn exact<R: Ring, W: Ring>(constants: &[R], folding: Folding, x: &[R], seed: u8) {
        let gate = Compare::<R, W>::new(constants, folding).expect("in range");
        check::compared(&gate, constants.len(), x, seed);
    }

    #[test]
    fn every_value_against_every_constant() {
        let all = check::all::<6>();
        for folding in [Folding::Direct, Folding::Staged] {
            for seed in 0..30 {
                exact::<_, u32>(&all, folding, &all, seed);
                exact::<_, Small<3>>(&all[..1], folding, &all, seed);
            }
        }
    }

    #[test]
    fn wide_rings_against_the_ends_and_the_middle() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let (narrow, wide) =
            (check::words::<u32>(100, &mut rng), check::words::<u64>(100, &mut rng));
        exact::<u32, u32>(&narrow[..200], Folding::Direct, &narrow, 5);
        exact::<u32, u64>(&narrow[90..290], Folding::Staged, &narrow, 6);
        exact::<u64, u64>(&wide[..200], Folding::Staged, &wide, 7);
        exact::<u64, u32>(&wide[200..400], Folding::Direct, &wide, 8);
    }

    #[test]
    fn no_constant_and_too_many_are_refused() {
        assert!(Compare::<u32, u32>::new(&[], Folding::Direct).is_err());
        assert!(Compare::<u32, u32>::new(&[0; MAX_CONSTANTS + 1], Folding::Direct).is_err());
    }
}
