//! `[x >= c_j]` without tables: all constants under one mask, each with a tree of its own, and one
//! tree for `z`.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::compare::{Compared, MAX_CONSTANTS};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::StepError;

/// `[x >= c_j]`: `x` in the ring `R`, bits in the ring `W`; see
/// [`crate::functions::protocol::compare::Compare`].
#[derive(Clone, Copy, Debug)]
pub struct Thresholds<'c, R, W> {
    constants: &'c [R],
    frame: BitFrame,
    tree: Tree,
    rho: u32,
    ring: PhantomData<W>,
}

impl<'c, R: Ring, W: Ring> Bitwise<Thresholds<'c, R, W>> {
    /// The protocol for these constants.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if there are none, or more than [`MAX_CONSTANTS`].
    pub fn compare(constants: &'c [R]) -> Result<Self, StepError> {
        let count = checked_size(constants.len(), MAX_CONSTANTS)? + 1;
        let mut layout = Layout::default();
        let mut frame = frame::<R>(&mut layout, true);
        let tree = Tree::new(Question::Less, R::BITS, &mut layout);
        for _ in 1..count {
            let _ = Tree::new(Question::Less, R::BITS, &mut layout);
        }
        let (mask, rho) = layout.word_and::<R, W, _>(|layout| layout.words::<W>(count));
        (frame.mask, frame.layout) = (mask, layout);
        Ok(Self(Thresholds { constants, frame, tree, rho, ring: PhantomData }))
    }
}

impl<R: Ring, W: Ring> ByBits for Thresholds<'_, R, W> {
    type Ring = R;
    type Data<'d> = Compared<'d, R, W>;

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn beside(&self) -> usize {
        self.constants.len()
    }

    fn trees(&self) -> u32 {
        u32::try_from(self.constants.len()).unwrap_or(0) + 1
    }

    fn tree(&self, index: u32) -> Tree {
        self.tree.nth(index)
    }

    fn public(&self, index: u32, z: R) -> R {
        self.constants
            .get(index as usize)
            .map_or(z, |&constant| z.sub(constant.add(R::pow2(R::BITS - 1))))
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Compared<'_, R, W>,
        root: impl Fn(u32) -> u32,
    ) {
        let one = half.party().constant(W::ONE);
        data.finish(element, self.constants, one, |index| {
            turned(root(index) == 1, one, half.word(element, self.rho + index * word_bytes::<W>()))
        });
    }

    fn deal_rest<G: CryptoRng>(
        &self,
        _mask: R,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        _rng: &mut G,
    ) {
        for index in 0..self.trees() {
            truth
                .set_word(self.rho + index * word_bytes::<W>(), W::from_u64(u64::from(rho(index))));
        }
    }

    fn plain(&self, data: &mut Compared<'_, R, W>) {
        data.compare(self.constants);
    }
}
