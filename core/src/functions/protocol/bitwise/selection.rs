//! `[x >= 0] * v` without tables: the bit that turns the root into a number is also dealt times the
//! values' masks.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::choose::{Chosen, MAX_WIDTH};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::StepError;

/// `[x >= 0] * v`; see [`crate::functions::protocol::choose::Choose`].
#[derive(Clone, Copy, Debug)]
pub struct Selection<R, W> {
    width: u32,
    frame: BitFrame,
    tree: Tree,
    words: u32,
    ring: PhantomData<(R, W)>,
}

impl<R: Ring, W: Ring> Bitwise<Selection<R, W>> {
    /// The protocol for `width` values per element.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] unless `1 <= width <= `[`MAX_WIDTH`].
    pub fn choose(width: usize) -> Result<Self, StepError> {
        let width = checked_size(width, MAX_WIDTH)?;
        let mut layout = Layout::default();
        let mut frame = frame::<R>(&mut layout, false);
        let tree = Tree::new(Question::Less, R::BITS - 1, &mut layout);
        // rho, and of every value its mask and rho times that.
        let (mask, words) = layout.word_and::<R, W, _>(|layout| layout.words::<W>(1 + 2 * width));
        (frame.mask, frame.layout) = (mask, layout);
        Ok(Self(Selection { width, frame, tree, words, ring: PhantomData }))
    }
}

impl<R: Ring, W: Ring> Selection<R, W> {
    /// Place of rho, of the masks of values (1, 3, ..) and of rho times these (2, 4, ..).
    fn place(&self, index: u32) -> u32 {
        self.words + index * word_bytes::<W>()
    }
}

impl<R: Ring, W: Ring> ByBits for Selection<R, W> {
    type Ring = R;
    type Data<'d> = Chosen<'d, R, W>;

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn beside(&self) -> usize {
        self.width as usize
    }

    #[allow(clippy::cast_possible_truncation)]
    fn value_mask(&self, index: usize) -> u32 {
        self.place(1 + 2 * index as u32)
    }

    fn tree(&self, _index: u32) -> Tree {
        self.tree
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Chosen<'_, R, W>,
        root: impl Fn(u32) -> u32,
    ) {
        let Some(&z) = data.x.get(element) else { return };
        // The mask's topmost bit is folded into rho: see the dealer.
        let delta = root(0) ^ z.msb() ^ 1;
        let one = half.party().constant(W::ONE);
        let mut word = |index| half.word::<W>(element, self.place(index));
        let b = turned(delta == 1, one, word(0));
        for (index, value) in (0..).zip(data.values_of(element, self.width as usize)) {
            let (mask, chosen) = (word(1 + 2 * index), word(2 + 2 * index));
            *value = b.mul(*value).add(turned(delta == 1, mask, chosen));
        }
    }

    fn deal_rest<G: CryptoRng>(
        &self,
        mask: R,
        rho: impl Fn(u32) -> u32,
        truth: &mut Truth<'_>,
        rng: &mut G,
    ) {
        let rho = W::from_u64(u64::from(rho(0) ^ mask.msb()));
        truth.set_word(self.place(0), rho);
        for index in 0..self.width {
            let value_mask = W::from_u64(rng.next_u64());
            truth.set_word(self.place(1 + 2 * index), value_mask);
            truth.set_word(self.place(2 + 2 * index), rho.mul(value_mask));
        }
    }

    fn plain(&self, data: &mut Chosen<'_, R, W>) {
        data.choose(self.width as usize);
    }
}
