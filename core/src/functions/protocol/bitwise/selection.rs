//! `[x >= 0] * v` without tables: the bit that turns the root into a number is also dealt times the
//! values' masks.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{BitFrame, Bitwise, ByBits, frame};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::choose::{Chosen, MAX_WIDTH};
use crate::functions::protocol::{read, write};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::tree::{Question, Tree};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

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
    fn word(&self, half: &mut impl Half, element: usize, index: u32) -> W {
        half.word(element, self.words + index * word_bytes::<W>())
    }

    fn values<'a>(&self, data: &'a mut Chosen<'_, R, W>, element: usize) -> &'a mut [W] {
        let width = self.width as usize;
        data.values.get_mut(element * width..(element + 1) * width).unwrap_or(&mut [])
    }
}

impl<R: Ring, W: Ring> ByBits for Selection<R, W> {
    type Ring = R;
    type Data<'d> = Chosen<'d, R, W>;

    fn frame(&self) -> &BitFrame {
        &self.frame
    }

    fn count(&self, data: &Chosen<'_, R, W>) -> Result<usize, StepError> {
        expect_len(data.values.len(), data.x.len().saturating_mul(self.width as usize))?;
        Ok(data.x.len())
    }

    fn compared<'a>(&self, data: &'a mut Chosen<'_, R, W>) -> &'a mut [R] {
        data.x
    }

    fn trees(&self) -> u32 {
        1
    }

    fn tree(&self, _index: u32) -> Tree {
        self.tree
    }

    fn public(&self, _index: u32, z: R) -> R {
        z
    }

    fn first_bytes(&self) -> usize {
        self.width as usize * W::BYTES
    }

    fn first<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Chosen<'_, R, W>,
        out: &mut [u8],
    ) {
        for ((index, &mut value), out) in
            (0..).zip(self.values(data, element)).zip(out.chunks_exact_mut(W::BYTES))
        {
            write(out, 0, value.sub(self.word(half, element, 1 + 2 * index)));
        }
    }

    fn opened_first(&self, element: usize, data: &mut Chosen<'_, R, W>, own: &[u8], peer: &[u8]) {
        for (index, value) in self.values(data, element).iter_mut().enumerate() {
            *value = read::<W>(own, index * W::BYTES).add(read(peer, index * W::BYTES));
        }
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
        let b = turned(delta == 1, half.party().constant(W::ONE), self.word(half, element, 0));
        for (index, value) in (0..).zip(self.values(data, element)) {
            let (mask, chosen) =
                (self.word(half, element, 1 + 2 * index), self.word(half, element, 2 + 2 * index));
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
        truth.set_word(self.words, rho);
        for index in 0..self.width {
            let value_mask = W::from_u64(rng.next_u64());
            truth.set_word(self.words + (1 + 2 * index) * word_bytes::<W>(), value_mask);
            truth.set_word(self.words + (2 + 2 * index) * word_bytes::<W>(), rho.mul(value_mask));
        }
    }

    fn plain(&self, data: &mut Chosen<'_, R, W>) {
        for element in 0..data.x.len() {
            let chosen = data.x.get(element).is_some_and(|x| x.msb() == 0);
            for value in self.values(data, element) {
                *value = if chosen { *value } else { W::ZERO };
            }
        }
    }
}
