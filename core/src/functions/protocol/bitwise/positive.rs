//! `max(x, 0)` without tables.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;

/// `max(x, 0)`: choosing `x` itself, whose mask is the record's.
#[derive(Clone, Copy, Debug)]
pub struct Positive<R> {
    frame: BitFrame,
    tree: Tree,
    words: u32,
    ring: PhantomData<R>,
}

impl<R: Ring> Bitwise<Positive<R>> {
    /// The protocol; it has no parameters.
    #[must_use]
    pub fn relu() -> Self {
        let mut layout = Layout::default();
        let mut frame = frame::<R>(&mut layout, false);
        let tree = Tree::new(Question::Less, R::BITS - 1, &mut layout);
        frame.mask = layout.words::<R>(1);
        // rho, and rho times the mask.
        let words = layout.words::<R>(2);
        frame.layout = layout;
        Self(Positive { frame, tree, words, ring: PhantomData })
    }
}

impl<R: Ring> ByBits for Positive<R> {
    type Ring = R;
    type Data<'d> = &'d mut [R];

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn tree(&self, _index: u32) -> Tree {
        self.tree
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        root: impl Fn(u32) -> u32,
    ) {
        let Some(x) = data.get_mut(element) else { return };
        let delta = root(0) ^ x.msb() ^ 1;
        let b =
            turned(delta == 1, half.party().constant(R::ONE), half.word::<R>(element, self.words));
        let mask: R = half.word(element, self.frame.mask);
        let masked = turned(delta == 1, mask, half.word(element, self.words + word_bytes::<R>()));
        *x = b.mul(*x).sub(masked);
    }

    fn deal_rest<G: CryptoRng>(
        &self,
        mask: R,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        _rng: &mut G,
    ) {
        let rho = R::from_u64(u64::from(rho(0) ^ mask.msb()));
        truth.set_word(self.words, rho);
        truth.set_word(self.words + word_bytes::<R>(), rho.mul(mask));
    }

    fn plain(&self, data: &mut &mut [R]) {
        for x in data.iter_mut().filter(|x| x.msb() == 1) {
            *x = R::ZERO;
        }
    }
}
