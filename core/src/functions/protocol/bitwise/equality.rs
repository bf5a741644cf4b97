//! `[x = c]` without tables: a tree of ANDs alone.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::protocol::compare::Compared;
use crate::functions::record::{Half, Layout, Truth};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;

/// `[x = c]`; see [`crate::functions::protocol::segments::Equal`].
#[derive(Clone, Copy, Debug)]
pub struct Equality<R, W> {
    constant: R,
    frame: BitFrame,
    tree: Tree,
    rho: u32,
    ring: PhantomData<W>,
}

impl<R: Ring, W: Ring> Bitwise<Equality<R, W>> {
    /// The protocol for this constant.
    #[must_use]
    pub fn equal(constant: R) -> Self {
        let mut layout = Layout::default();
        let mut frame = frame::<R>(&mut layout, false);
        let tree = Tree::new(Question::Equal, R::BITS, &mut layout);
        let (mask, rho) = layout.word_and::<R, W, _>(|layout| layout.words::<W>(1));
        (frame.mask, frame.layout) = (mask, layout);
        Self(Equality { constant, frame, tree, rho, ring: PhantomData })
    }
}

impl<R: Ring, W: Ring> ByBits for Equality<R, W> {
    type Ring = R;
    type Data<'d> = Compared<'d, R, W>;

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn tree(&self, _index: u32) -> Tree {
        self.tree
    }

    fn public(&self, _index: u32, z: R) -> R {
        z.sub(self.constant)
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Compared<'_, R, W>,
        root: impl Fn(u32) -> u32,
    ) {
        let one = half.party().constant(W::ONE);
        if let Some(bit) = data.bits.get_mut(element) {
            *bit = turned(root(0) == 1, one, half.word(element, self.rho));
        }
    }

    fn deal_rest<G: CryptoRng>(
        &self,
        _mask: R,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        _rng: &mut G,
    ) {
        truth.set_word(self.rho, W::from_u64(u64::from(rho(0))));
    }

    fn plain(&self, data: &mut Compared<'_, R, W>) {
        data.equal(self.constant);
    }
}
