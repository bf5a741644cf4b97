//! `max(y, 0) >> s`.

use core::marker::PhantomData;

use super::{Millionaire, OnShares, early};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::{read, write};
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::{self, GateBits, GateKind, turned};
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `max(y, 0) >> s`, rounding down, exactly: `b (y >> s)` for `b = [y >= 0]`, where `y >> s` is
/// shared after one carry, that of the bits below `s`.
#[derive(Clone, Copy, Debug)]
pub struct Positive<R> {
    bits: GateBits,
    layout: Layout,
    carries: Carries,
    /// The wrap-around, and the carry of what is dropped.
    lifted: [Dual; 2],
    sign: Dual,
    ring: PhantomData<R>,
}

impl<R: Ring> Millionaire<Positive<R>> {
    /// The protocol for values of a gate's width.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `shift < width - 1` and `1 < width <= k`.
    pub fn relu(bits: GateBits) -> Result<Self, StepError> {
        bits.check::<R>()?;
        let split = (bits.shift > 0).then_some(bits.shift);
        let mut layout = Layout::default();
        let carries =
            Carries::new(bits.width_bits - 1, split, true, Wanted::Carry).placed(&mut layout);
        let place = dual_bits(&mut layout, 3);
        let mut dual = |sender, index, values| {
            Dual::new(sender, place + index, layout.words::<R>(Dual::words(values)), values)
        };
        let lifted = [dual(Party::P1, 0, 0), dual(Party::P0, 1, 0)];
        let sign = dual(Party::P1, 2, 1);
        Ok(Self(Positive { bits, layout, carries, lifted, sign, ring: PhantomData }))
    }
}

impl<R: Ring> Positive<R> {
    /// A party's share of `y >> s`, if `y` is not negative.
    fn shifted(&self, half: &mut impl Half, element: usize, x: R, nodes: Nodes) -> R {
        let (GateBits { width_bits, shift }, party) = (self.bits, half.party());
        let one = party.constant(R::ONE);
        let mut lifted = |index: u32, dual: Dual| {
            turned(early(nodes, index) == 1, one, dual.number::<R>(half, element))
        };
        let [wrap, carry] = self.lifted;
        let word = R::from_u64(self.word(party, 0, x)).shr(shift);
        let word = word.sub(one.mul(R::pow2(width_bits - 1 - shift)));
        let word = word.sub(R::pow2(width_bits - shift).mul(lifted(0, wrap)));
        if shift > 0 { word.add(lifted(1, carry)) } else { word }
    }
}

impl<R: Ring> OnShares for Positive<R> {
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

    fn early(&self) -> u32 {
        1 + u32::from(self.bits.shift > 0)
    }

    fn early_bits<H: Half>(&self, half: &mut H, element: usize, nodes: Nodes) -> u32 {
        let [wrap, carry] = self.lifted.map(|dual| dual.bit(half, element));
        (self.carries.top(nodes).0 ^ wrap) | (self.carries.split(nodes) ^ carry) << 1
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        let [wrap, carry] = self.lifted;
        let duals = [Some(wrap), Some(self.sign), (self.bits.shift > 0).then_some(carry)];
        duals.get(index as usize).copied().flatten()
    }

    fn last_bits(&self) -> u32 {
        1
    }

    fn last_bytes(&self) -> usize {
        R::BYTES
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        words: &mut [u8],
    ) {
        let Some(&x) = data.get(element) else { return };
        let nodes = nodes(0);
        let positive = self.carries.root(nodes).0 ^ self.carries.top(nodes).1;
        bit(positive ^ self.sign.bit(half, element));
        let shifted = self.shifted(half, element, x, nodes);
        write(words, 0, shifted.sub(self.sign.mask(half, element, 0)));
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut &mut [R],
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        [own, peer]: [&[u8]; 2],
    ) {
        let Some(x) = data.get_mut(element) else { return };
        let (flip, one) = (bit() == 1, half.party().constant(R::ONE));
        let opened = read::<R>(own, 0).add(read(peer, 0));
        let b = turned(flip, one, self.sign.number(half, element));
        let masked = turned(
            flip,
            self.sign.mask(half, element, 0),
            self.sign.product::<R>(half, element, 0),
        );
        *x = b.mul(opened).add(masked);
    }

    fn plain(&self, data: &mut &mut [R], _up: &mut impl FnMut() -> bool) {
        for y in data.iter_mut() {
            *y = gate::twin(GateKind::Relu, self.bits, *y);
        }
    }
}
