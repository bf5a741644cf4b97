//! Exact truncation without tables: one tree tells whether `z` has wrapped, one whether the lower
//! bits borrow.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::StepError;

/// `y >> s`, rounding down; see [`crate::functions::protocol::shift::Shift`].
#[derive(Clone, Copy, Debug)]
pub struct Floor<R> {
    shift: u32,
    frame: BitFrame,
    whole: Tree,
    low: Tree,
    words: u32,
    ring: PhantomData<R>,
}

impl<R: Ring> Bitwise<Floor<R>> {
    /// The protocol that drops `shift` bits.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `0 < shift < k - 1`.
    pub fn truncate(shift: u32) -> Result<Self, StepError> {
        if shift == 0 || shift >= R::BITS - 1 {
            return Err(StepError::shift_out_of_range::<R>(shift));
        }
        let mut layout = Layout::default();
        let mut frame = frame::<R>(&mut layout, true);
        let whole = Tree::new(Question::Less, R::BITS, &mut layout);
        let low = Tree::new(Question::Less, shift, &mut layout);
        frame.mask = layout.words::<R>(1);
        // The two bits, and the mask's upper part.
        let words = layout.words::<R>(3);
        frame.layout = layout;
        Ok(Self(Floor { shift, frame, whole, low, words, ring: PhantomData }))
    }
}

impl<R: Ring> ByBits for Floor<R> {
    type Ring = R;
    type Data<'d> = &'d mut [R];

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn trees(&self) -> u32 {
        2
    }

    fn tree(&self, index: u32) -> Tree {
        if index == 0 { self.whole } else { self.low }
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        root: impl Fn(u32) -> u32,
    ) {
        let Some(y) = data.get_mut(element) else { return };
        let one = half.party().constant(R::ONE);
        let mut word = |index: u32| half.word::<R>(element, self.words + index * word_bytes::<R>());
        let (wrapped, carry, upper) =
            (turned(root(0) == 1, one, word(0)), turned(root(1) == 1, one, word(1)), word(2));
        let public = one.mul(y.shr(self.shift).sub(R::pow2(R::BITS - 1 - self.shift)));
        *y = public.sub(upper).sub(carry).add(wrapped.mul(R::pow2(R::BITS - self.shift)));
    }

    fn deal_rest<G: CryptoRng>(
        &self,
        mask: R,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        _rng: &mut G,
    ) {
        let words =
            [R::from_u64(u64::from(rho(0))), R::from_u64(u64::from(rho(1))), mask.shr(self.shift)];
        for (index, word) in (0..).zip(words) {
            truth.set_word(self.words + index * word_bytes::<R>(), word);
        }
    }

    fn plain(&self, data: &mut &mut [R]) {
        for y in data.iter_mut() {
            *y = R::from_u64(y.sar(self.shift).to_i64().cast_unsigned());
        }
    }
}
