//! `[x = c]`: shares of `x - c` are each other's negative.

use core::marker::PhantomData;

use super::{Millionaire, OnShares};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::compare::Compared;
use crate::functions::protocol::comparing::Slices;
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::turned;
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `[x = c]`: `x` in the ring `R`, the bit in the ring `W`; see
/// [`crate::functions::protocol::segments::Equal`].
#[derive(Clone, Copy, Debug)]
pub struct Equality<R, W> {
    constant: R,
    layout: Layout,
    carries: Carries,
    lifted: Dual,
    ring: PhantomData<W>,
}

impl<R: Ring, W: Ring> Millionaire<Equality<R, W>> {
    /// The protocol for this constant.
    #[must_use]
    pub fn equal(constant: R) -> Self {
        let mut layout = Layout::default();
        let carries = Carries::new(R::BITS, None, false, Wanted::Handed).placed(&mut layout);
        let place = dual_bits(&mut layout, 1);
        let lifted = Dual::new(Party::P0, place, layout.words::<W>(Dual::words(0)), 0);
        Self(Equality { constant, layout, carries, lifted, ring: PhantomData })
    }
}

impl<R: Ring, W: Ring> OnShares for Equality<R, W> {
    type Ring = R;
    type Value = W;
    type Data<'d> = Compared<'d, R, W>;

    fn elements(&self, data: &Compared<'_, R, W>) -> Result<usize, StepError> {
        data.count(1)
    }

    fn compared<'s>(&self, data: &'s Compared<'_, R, W>) -> &'s [R] {
        data.x
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn carries(&self, _index: u32) -> Carries {
        self.carries
    }

    /// Words that add up to `x - c - 1`: to all ones, without a carry, if it is zero.
    fn word(&self, party: Party, _index: u32, x: R) -> u64 {
        x.sub(party.constant(self.constant.add(R::ONE))).to_u64()
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        (index == 0).then_some(self.lifted)
    }

    fn last_bits(&self) -> u32 {
        1
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        _data: &mut Compared<'_, R, W>,
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        _words: &mut [u8],
    ) {
        bit(self.carries.root(nodes(0)).1 ^ self.lifted.bit(half, element));
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Compared<'_, R, W>,
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        _words: [&[u8]; 2],
    ) {
        let Some(out) = data.bits.get_mut(element) else { return };
        let one = half.party().constant(W::ONE);
        *out = turned(bit() == 1, one, self.lifted.number(half, element));
    }

    fn plain(&self, data: &mut Compared<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.equal(self.constant);
    }
}
