//! A shared value, or nothing, by the sign of another: `[x >= 0] * v`.
//!
//! * Computes: shares of `b v_j`, `b = [x >= 0]`, for shared `x` in `Z_2^k` and `width` shared
//!   values `v_j` in `Z_2^l` each.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Reference: masked comparison by digits (see [`super::comparing`]); the product as a Beaver
//!   triple of which the dealer knows one factor's mask beforehand and looks the other up.
//! * Consumes: one record per element.
//! * Costs: 2 messages at `k <= 32`, 3 at `k = 64`; a ring element and `2 n - 1` bits for `n`
//!   digits, and the `v_j` once.
//! * Error bound: exact, for every `x`.
//!
//! ```text
//! z = x + r,  d_j = v_j - a_j                       public afterwards
//! table:  (h, h a_1, .., h a_w)                     b from h,  b a_j from h a_j and a_j
//! b v_j  = b d_j + b a_j
//! ```
//!
//! With `v = x - y`, `y + b v` is the larger of two numbers; with `v = y - x`, `x + b v` is `y`
//! where `x >= 0`, `x` elsewhere.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::comparing::{Comparing, Frame, Opened, Slices};
use crate::functions::cut::{Cut, Fold, Folding, Leaves};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// The most values that are chosen at once.
pub const MAX_WIDTH: usize = 16;

/// `[x >= 0] * v`: `x` in the ring `R`, values in the ring `W`.
#[derive(Clone, Copy, Debug)]
pub struct Choose<R, W> {
    width: u32,
    frame: Frame,
    fold: Fold,
    masks: u32,
    rings: PhantomData<(R, W)>,
}

/// What decides, and what is chosen.
pub struct Chosen<'d, R, W> {
    /// The deciding words; used up.
    pub x: &'d mut [R],
    /// `width` values per element, element after element; multiplied by `[x >= 0]`.
    pub values: &'d mut [W],
}

crate::correlation::redacted!([R, W] Chosen<'_, R, W>);

impl<R: Ring, W: Ring> Chosen<'_, R, W> {
    /// The `width` values of an element.
    pub(super) fn values_of(&mut self, element: usize, width: usize) -> &mut [W] {
        self.values.get_mut(element * width..(element + 1) * width).unwrap_or(&mut [])
    }

    /// The plaintext twin.
    pub(super) fn choose(&mut self, width: usize) {
        for (x, values) in self.x.iter().zip(self.values.chunks_exact_mut(width.max(1))) {
            if x.msb() == 1 {
                values.fill(W::ZERO);
            }
        }
    }
}

impl<R: Ring, W: Ring> Slices for Chosen<'_, R, W> {
    type Ring = R;
    type Value = W;
    const VALUE_BYTES: usize = W::BYTES;

    fn compared(&mut self) -> &mut [R] {
        self.x
    }

    fn values(&mut self) -> &mut [W] {
        self.values
    }

    fn count(&self, width: usize) -> Result<usize, StepError> {
        expect_len(self.values.len(), self.x.len().saturating_mul(width))?;
        Ok(self.x.len())
    }
}

impl<R: Ring, W: Ring> Choose<R, W> {
    /// The protocol for `width` values per element.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] unless `1 <= width <= `[`MAX_WIDTH`].
    pub fn new(width: usize) -> Result<Self, StepError> {
        let words = super::checked_size(width, MAX_WIDTH)? + 1;
        let cut = Cut::plan(R::BITS - 1, None, Folding::of::<R>(), words * word_bytes::<W>(), 1);
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let fold = Fold::new(&cut, &mut layout);
        let (mask, (masks, fold)) = layout.word_and::<R, W, _>(|layout| {
            (layout.words::<W>(words - 1), fold.with_table::<W>(&cut, words, layout))
        });
        let frame = Frame { cut, leaves, layout, mask, offset: false };
        Ok(Self { width: words - 1, frame, fold, masks, rings: PhantomData })
    }
}

impl<R: Ring, W: Ring> Comparing for Choose<R, W> {
    type Ring = R;
    type Data<'d> = Chosen<'d, R, W>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn beside(&self) -> usize {
        self.width as usize
    }

    #[allow(clippy::cast_possible_truncation)]
    fn value_mask(&self, index: usize) -> u32 {
        self.masks + index as u32 * word_bytes::<W>()
    }

    fn fold(&self, _index: u32) -> Fold {
        self.fold
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Chosen<'_, R, W>,
        opened: &Opened<'_>,
    ) {
        let Some(&z) = data.x.get(element) else { return };
        let (delta, cut) = (opened.bits(0), &self.frame.cut);
        let flip = Fold::flip(cut, delta) ^ (z.msb() == 1);
        let b = turned(
            flip,
            half.party().constant(W::ONE),
            self.fold.word(cut, half, element, delta, 0),
        );
        for (index, value) in (0..).zip(data.values_of(element, self.width as usize)) {
            let mask = half.word(element, self.masks + index * word_bytes::<W>());
            let chosen = turned(flip, mask, self.fold.word(cut, half, element, delta, index + 1));
            *value = b.mul(*value).add(chosen);
        }
    }

    fn deal_rest<G: CryptoRng>(&self, mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        let mut masks = [W::ZERO; MAX_WIDTH];
        let masks = masks.get_mut(..self.width as usize).unwrap_or(&mut []);
        for (index, value_mask) in (0..).zip(masks.iter_mut()) {
            *value_mask = W::from_u64(rng.next_u64());
            truth.set_word(self.masks + index * word_bytes::<W>(), *value_mask);
        }
        self.fold.deal::<W, _, { MAX_WIDTH + 1 }>(
            &self.frame.cut,
            truth,
            rng,
            1 ^ mask.msb(),
            |h, _| {
                let mut entry = [h; MAX_WIDTH + 1];
                for (word, &mask) in entry.iter_mut().skip(1).zip(masks.iter()) {
                    *word = h.mul(mask);
                }
                entry
            },
        );
    }

    fn plain(&self, data: &mut Chosen<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.choose(self.width as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check;
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn exact<R: Ring, W: Ring>(width: usize, x: &[R], seed: u8) {
        check::chosen(&Choose::<R, W>::new(width).expect("in range"), width, x, seed);
    }

    #[test]
    fn every_value_of_small_rings_chooses_rightly() {
        for seed in 0..20 {
            exact::<_, u32>(1, &check::all::<7>(), seed);
            exact::<_, Small<5>>(3, &check::all::<7>(), seed);
            exact::<_, u64>(2, &check::all::<2>(), seed);
        }
    }

    #[test]
    fn wide_rings_choose_rightly() {
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let (narrow, wide) =
            (check::words::<u32>(500, &mut rng), check::words::<u64>(500, &mut rng));
        exact::<u32, u32>(1, &narrow, 1);
        exact::<u32, u64>(2, &narrow, 2);
        exact::<u64, u64>(1, &wide, 3);
        exact::<u64, u32>(MAX_WIDTH, &wide, 4);
        assert!(
            Choose::<u32, u32>::new(0).is_err() && Choose::<u32, u32>::new(MAX_WIDTH + 1).is_err()
        );
    }
}
