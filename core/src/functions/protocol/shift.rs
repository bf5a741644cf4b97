//! Exact truncation, alone or of the positive part: `y >> s` or `max(y, 0) >> s`.
//!
//! * Computes: shares of `y >> s` (rounding down) or of `max(y, 0) >> s`, in `Z_2^k`, for every
//!   `y`.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Formula: [`crate::gate`].
//! * Reference: as [`crate::session::gate`], here for any ring and without a session.
//! * Consumes: one record per element: a mask, its leaves, and the tables that fold them.
//! * Costs: 2 messages at `k <= 32`, 3 at `k = 64`; a ring element, `2 n - 1` bits for `n` digits,
//!   and 3 bits more where there is a third message, per element and party.
//! * Error bound: exact.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::comparing::{Comparing, Frame, Opened};
use crate::functions::cut::{Cut, Fold, Folding, Leaves};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::gate::{self, GateBits, GateKind};
use crate::ring::Ring;
use crate::step::StepError;

/// Exact truncation by a public number of bits, in place. The other kind of truncation, `Rescale`,
/// is cheaper and at most one unit high.
#[derive(Clone, Copy, Debug)]
pub struct Shift<R> {
    kind: GateKind,
    shift: u32,
    frame: Frame,
    fold: Fold,
    sign: u32,
    ring: PhantomData<R>,
}

impl<R: Ring> Shift<R> {
    /// `y >> shift`, rounding down.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `0 < shift < k - 1`.
    pub fn truncate(shift: u32) -> Result<Self, StepError> {
        if shift == 0 {
            Err(StepError::shift_out_of_range::<R>(shift))
        } else {
            Self::new(GateKind::Truncate, shift)
        }
    }

    /// `max(y, 0) >> shift`.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `shift < k - 1`.
    pub fn relu(shift: u32) -> Result<Self, StepError> {
        Self::new(GateKind::Relu, shift)
    }

    fn new(kind: GateKind, shift: u32) -> Result<Self, StepError> {
        if shift.saturating_add(1) >= R::BITS {
            return Err(StepError::shift_out_of_range::<R>(shift));
        }
        let (words, offset) = (kind.entry_words_u32(), kind == GateKind::Truncate);
        let cut = Cut::plan(
            kind.compared_bits(R::BITS),
            (shift > 0).then_some(shift),
            Folding::of::<R>(),
            words * word_bytes::<R>(),
            1,
        );
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let fold = Fold::new(&cut, &mut layout);
        let mask = layout.words::<R>(1);
        let sign = layout.words::<R>(1);
        let fold = fold.with_table::<R>(&cut, words, &mut layout);
        Ok(Self {
            kind,
            shift,
            frame: Frame { cut, leaves, layout, mask, offset },
            fold,
            sign,
            ring: PhantomData,
        })
    }
}

impl<R: Ring> Comparing for Shift<R> {
    type Ring = R;
    type Data<'d> = &'d mut [R];

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn fold(&self, _index: u32) -> Fold {
        self.fold
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        opened: &Opened<'_>,
    ) {
        let Some(y) = data.get_mut(element) else { return };
        let (z, delta, cut, party) = (*y, opened.bits(0), &self.frame.cut, half.party());
        let word = |half: &mut H, index| self.fold.word::<R>(cut, half, element, delta, index);
        let flip = Fold::flip(cut, delta);
        *y = match self.kind {
            GateKind::Relu => {
                let entry = [0, 1, 2, 3].map(|index| word(half, index));
                let sign = half.word::<R>(element, self.sign);
                gate::relu(
                    party,
                    GateBits::whole::<R>(self.shift),
                    (z, flip ^ (z.msb() == 1)),
                    entry,
                    sign,
                )
            }
            GateKind::Truncate => {
                let entry = [0, 1].map(|index| word(half, index));
                gate::truncate(party, GateBits::whole::<R>(self.shift), (z, flip), entry)
            }
        };
    }

    fn deal_rest<G: CryptoRng>(&self, mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        let (high, sign) = (mask.shr(self.shift), R::from_u64(u64::from(mask.msb())));
        // Without a shift there is nothing below the cut; the folds are then split wherever it
        // suits them.
        let carry = if self.shift == 0 { R::ZERO } else { R::ONE };
        truth.set_word(self.sign, sign);
        match self.kind {
            GateKind::Relu => {
                self.fold.deal::<R, _, 4>(&self.frame.cut, truth, rng, 1 ^ mask.msb(), |h, c| {
                    let q = high.add(c.mul(carry));
                    [h, h.mul(q), h.mul(sign), q]
                })
            }
            GateKind::Truncate => {
                self.fold.deal::<R, _, 2>(&self.frame.cut, truth, rng, 0, |h, c| [h, high.add(c)])
            }
        }
    }

    fn plain(&self, data: &mut &mut [R], _up: &mut impl FnMut() -> bool) {
        for y in data.iter_mut() {
            *y = gate::twin(self.kind, GateBits::whole::<R>(self.shift), *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check::{self, in_place};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// Every value of small rings, each under many masks.
    fn every_value<const K: u32>() {
        for shift in 0..K - 1 {
            for seed in 0..20 {
                in_place(&Shift::relu(shift).expect("in range"), &check::all::<K>(), seed);
                if shift > 0 {
                    in_place(&Shift::truncate(shift).expect("in range"), &check::all::<K>(), seed);
                }
            }
        }
    }

    #[test]
    fn small_rings_are_in_place() {
        every_value::<2>();
        every_value::<3>();
        every_value::<5>();
        every_value::<8>();
    }

    fn edges<R: Ring>() {
        let words = check::words::<R>(300, &mut ChaCha20Rng::from_seed([3; 32]));
        for shift in (0..R::BITS - 1).step_by(3) {
            in_place(&Shift::<R>::relu(shift).expect("in range"), &words, 1);
            if shift > 0 {
                in_place(&Shift::<R>::truncate(shift).expect("in range"), &words, 2);
            }
        }
    }

    #[test]
    fn wide_rings_are_in_place() {
        edges::<u32>();
        edges::<u64>();
    }

    #[test]
    fn shifts_out_of_range_are_refused() {
        assert!(Shift::<u32>::truncate(0).is_err());
        assert!(Shift::<u32>::relu(31).is_err());
        assert!(Shift::<u64>::relu(63).is_err());
    }
}
