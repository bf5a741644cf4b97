//! `[x >= 0] * v`: a dual bit with a product for every value.

use core::marker::PhantomData;

use super::{Millionaire, OnShares};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::choose::{Chosen, MAX_WIDTH};
use crate::functions::protocol::comparing::Slices;
use crate::functions::protocol::{read, write};
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::turned;
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `[x >= 0] * v`; see [`crate::functions::protocol::choose::Choose`].
#[derive(Clone, Copy, Debug)]
pub struct Selection<R, W> {
    width: u32,
    layout: Layout,
    carries: Carries,
    sign: Dual,
    ring: PhantomData<(R, W)>,
}

impl<R: Ring, W: Ring> Millionaire<Selection<R, W>> {
    /// The protocol for `width` values per element.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] unless `1 <= width <= `[`MAX_WIDTH`].
    pub fn choose(width: usize) -> Result<Self, StepError> {
        let width = checked_size(width, MAX_WIDTH)?;
        let mut layout = Layout::default();
        let carries = Carries::new(R::BITS - 1, None, false, Wanted::Carry).placed(&mut layout);
        let place = dual_bits(&mut layout, 1);
        let words = layout.words::<W>(Dual::words(width));
        let sign = Dual::new(Party::P0, place, words, width);
        Ok(Self(Selection { width, layout, carries, sign, ring: PhantomData }))
    }
}

impl<R: Ring, W: Ring> OnShares for Selection<R, W> {
    type Ring = R;
    type Value = W;
    type Data<'d> = Chosen<'d, R, W>;

    fn elements(&self, data: &Chosen<'_, R, W>) -> Result<usize, StepError> {
        data.count(self.width as usize)
    }

    fn compared<'s>(&self, data: &'s Chosen<'_, R, W>) -> &'s [R] {
        data.x
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn carries(&self, _index: u32) -> Carries {
        self.carries
    }

    fn word(&self, _party: Party, _index: u32, x: R) -> u64 {
        x.to_u64()
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        (index == 0).then_some(self.sign)
    }

    fn last_bits(&self) -> u32 {
        1
    }

    fn last_bytes(&self) -> usize {
        self.width as usize * W::BYTES
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Chosen<'_, R, W>,
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        words: &mut [u8],
    ) {
        let Some(&x) = data.x.get(element) else { return };
        let one = half.party().constant(1_u32);
        let sign = self.carries.root(nodes(0)).0 ^ x.msb() ^ one;
        bit(sign ^ self.sign.bit(half, element));
        let values = data.values_of(element, self.width as usize);
        for ((index, value), word) in (0..).zip(values).zip(words.chunks_exact_mut(W::BYTES)) {
            write(word, 0, value.sub(self.sign.mask(half, element, index)));
        }
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Chosen<'_, R, W>,
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        [own, peer]: [&[u8]; 2],
    ) {
        let (flip, one) = (bit() == 1, half.party().constant(W::ONE));
        let b = turned(flip, one, self.sign.number(half, element));
        let words = own.chunks_exact(W::BYTES).zip(peer.chunks_exact(W::BYTES));
        let values = data.values_of(element, self.width as usize);
        for ((index, value), (own, peer)) in (0..).zip(values).zip(words) {
            let masked = turned(
                flip,
                self.sign.mask(half, element, index),
                self.sign.product::<W>(half, element, index),
            );
            *value = b.mul(read::<W>(own, 0).add(read(peer, 0))).add(masked);
        }
    }

    fn plain(&self, data: &mut Chosen<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.choose(self.width as usize);
    }
}
