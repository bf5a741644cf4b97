//! `y >> s`, rounding down.

use core::marker::PhantomData;

use super::{Millionaire, OnShares};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::{self, GateBits, GateKind, turned};
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `y >> s`, exactly: two carries, of what is dropped and of all.
#[derive(Clone, Copy, Debug)]
pub struct Floor<R> {
    bits: GateBits,
    layout: Layout,
    carries: Carries,
    lifted: [Dual; 2],
    ring: PhantomData<R>,
}

impl<R: Ring> Millionaire<Floor<R>> {
    /// The protocol for values of a gate's width.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `0 < shift < width - 1` and `1 < width <= k`.
    pub fn truncate(bits: GateBits) -> Result<Self, StepError> {
        bits.check::<R>()?;
        if bits.shift == 0 {
            return Err(StepError::shift_out_of_range::<R>(bits.shift));
        }
        let mut layout = Layout::default();
        let carries = Carries::new(bits.width_bits, Some(bits.shift), false, Wanted::Carry)
            .placed(&mut layout);
        let place = dual_bits(&mut layout, 2);
        let mut dual =
            |sender, index| Dual::new(sender, place + index, layout.words::<R>(Dual::words(0)), 0);
        let lifted = [dual(Party::P0, 0), dual(Party::P1, 1)];
        Ok(Self(Floor { bits, layout, carries, lifted, ring: PhantomData }))
    }
}

impl<R: Ring> OnShares for Floor<R> {
    type Ring = R;
    type Value = R;
    type Data<'d> = &'d mut [R];

    fn elements(&self, data: &&mut [R]) -> Result<usize, StepError> {
        Ok(data.len())
    }

    fn compared<'s>(&self, data: &'s &mut [R]) -> &'s [R] {
        data
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn carries(&self, _index: u32) -> Carries {
        self.carries
    }

    fn word(&self, party: Party, _index: u32, x: R) -> u64 {
        let offset = party.constant(R::pow2(self.bits.width_bits - 1));
        self.bits.low(x.add(offset)).to_u64()
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        self.lifted.get(index as usize).copied()
    }

    fn last_bits(&self) -> u32 {
        2
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        _data: &mut &mut [R],
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        _words: &mut [u8],
    ) {
        let nodes = nodes(0);
        let [carry, wrap] = self.lifted.map(|dual| dual.bit(half, element));
        bit(self.carries.split(nodes) ^ carry);
        bit(self.carries.root(nodes).0 ^ wrap);
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        _words: [&[u8]; 2],
    ) {
        let Some(x) = data.get_mut(element) else { return };
        let (GateBits { width_bits, shift }, one) = (self.bits, half.party().constant(R::ONE));
        let [carry, wrap] =
            self.lifted.map(|dual| turned(bit() == 1, one, dual.number::<R>(half, element)));
        let word = R::from_u64(self.word(half.party(), 0, *x)).shr(shift);
        let whole =
            one.mul(R::pow2(width_bits - 1 - shift)).add(R::pow2(width_bits - shift).mul(wrap));
        *x = word.add(carry).sub(whole);
    }

    fn plain(&self, data: &mut &mut [R], _up: &mut impl FnMut() -> bool) {
        for y in data.iter_mut() {
            *y = gate::twin(GateKind::Truncate, self.bits, *y);
        }
    }
}
