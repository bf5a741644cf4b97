//! `[x >= c_j]` without tables: all constants under one mask, each with a tree of its own, and one
//! tree for `z`.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::compare::{Compared, MAX_CONSTANTS, at_least};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

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

    fn count(&self, data: &Compared<'_, R, W>) -> Result<usize, StepError> {
        expect_len(data.bits.len(), data.x.len().saturating_mul(self.constants.len()))?;
        Ok(data.x.len())
    }

    fn compared<'a>(&self, data: &'a mut Compared<'_, R, W>) -> &'a mut [R] {
        data.x
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
        let Some(&z) = data.x.get(element) else { return };
        let one = half.party().constant(W::ONE);
        let below = |half: &mut H, index: u32| {
            turned(
                root(index) == 1,
                one,
                half.word::<W>(element, self.rho + index * word_bytes::<W>()),
            )
        };
        let wrapped = below(half, self.trees() - 1);
        let count = self.constants.len();
        let bits = data.bits.get_mut(element * count..(element + 1) * count).unwrap_or(&mut []);
        for ((index, bit), &constant) in (0..).zip(bits).zip(self.constants) {
            *bit = at_least(one, z, constant, below(half, index), wrapped);
        }
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
        for (x, bits) in data.x.iter().zip(data.bits.chunks_exact_mut(self.constants.len().max(1)))
        {
            for (bit, constant) in bits.iter_mut().zip(self.constants) {
                *bit = W::from_u64(u64::from(x.to_i64() >= constant.to_i64()));
            }
        }
    }
}
