//! `max(t, 0)` of `t = y >> s`, with the bit that decided kept for later.

use core::marker::PhantomData;

use super::{Millionaire, OnShares, early};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::activate::{Activated, WORD_BITS};
use crate::functions::protocol::comparing::Slices as _;
use crate::functions::protocol::{read, write};
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::turned;
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `max(t, 0)` in the ring `W` of `t = y >> shift` with `y` in the ring `R`; see
/// [`crate::functions::protocol::activate`].
///
/// Shares of `t` need no message: they are those of `y` without the bits that are dropped, and
/// what these carry is left out. That is the unit: for `t < 2^31 - 1`, as with a dealer. Where a
/// dealer's mask decides about it, which nobody knows, it is the shares here: whoever comes to know
/// a result learns from the unit about the dropped bits of the other's share. What is opened is
/// truncated exactly.
#[derive(Clone, Copy, Debug)]
pub struct Activation<R, W = u64> {
    shift: u32,
    keeps: bool,
    layout: Layout,
    carries: Carries,
    wrap: Dual,
    sign: Dual,
    rings: PhantomData<(R, W)>,
}

impl Millionaire<Activation<u64>> {
    /// Drops `shift` bits, rounding down or one unit higher; `keeps` says whether the bits are
    /// kept.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] if `shift` is more than 32: there must be 32 bits to compare.
    pub fn truncating(shift: u32, keeps: bool) -> Result<Self, StepError> {
        if shift > u64::BITS - WORD_BITS {
            return Err(StepError::shift_out_of_range::<u64>(shift));
        }
        Ok(Self(Activation::with_shift(shift, keeps)))
    }
}

impl Millionaire<Activation<u32>> {
    /// Exact, for values of 32 bits.
    #[must_use]
    pub fn exact(keeps: bool) -> Self {
        Self(Activation::with_shift(0, keeps))
    }
}

impl Millionaire<Activation<u32, u32>> {
    /// Exact, for values of 32 bits that stay so.
    #[must_use]
    pub fn narrow() -> Self {
        Self(Activation::with_shift(0, false))
    }
}

impl<R: Ring, W: Ring> Activation<R, W> {
    /// Whether results are in a larger ring than what is compared: the wrap-around shows.
    const LIFTS: bool = W::BITS > WORD_BITS;

    fn with_shift(shift: u32, keeps: bool) -> Self {
        let mut layout = Layout::default();
        let carries =
            Carries::new(WORD_BITS - 1, None, Self::LIFTS, Wanted::Carry).placed(&mut layout);
        let place = dual_bits(&mut layout, 2);
        let lifted = if Self::LIFTS { Dual::words(0) } else { 0 };
        let wrap = Dual::new(Party::P1, place, layout.words::<W>(lifted), 0);
        let values = 1 + u32::from(keeps);
        let words = layout.words::<W>(Dual::words(values));
        let sign = Dual::new(Party::P0, place + 1, words, values);
        Self { shift, keeps, layout, carries, wrap, sign, rings: PhantomData }
    }
}

/// A party's share of `y >> shift`: of both together, rounded down or a unit higher; exactly where
/// nothing is left over.
pub(super) fn dropped<R: Ring>(party: Party, shift: u32, y: R) -> R {
    // One party rounds up, so that what the dropped bits carry is at most missing.
    let dropped = R::pow2(shift).sub(R::ONE);
    let low = R::from_u64(y.to_u64() & dropped.to_u64());
    y.shr(shift).add(party.constant(low.add(dropped).shr(shift)))
}

impl<R: Ring, W: Ring> OnShares for Activation<R, W> {
    type Ring = R;
    type Value = W;
    type Data<'d> = Activated<'d, R, W>;

    fn elements(&self, data: &Activated<'_, R, W>) -> Result<usize, StepError> {
        data.count(usize::from(self.keeps))
    }

    fn compared<'s>(&self, data: &'s Activated<'_, R, W>) -> &'s [R] {
        data.y
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn carries(&self, _index: u32) -> Carries {
        self.carries
    }

    fn word(&self, party: Party, _index: u32, y: R) -> u64 {
        let offset = party.constant(1 << (WORD_BITS - 1));
        dropped(party, self.shift, y).to_u64().wrapping_add(offset) & ((1 << WORD_BITS) - 1)
    }

    fn early(&self) -> u32 {
        u32::from(Self::LIFTS)
    }

    fn early_bits<H: Half>(&self, half: &mut H, element: usize, nodes: Nodes) -> u32 {
        self.carries.top(nodes).0 ^ self.wrap.bit(half, element)
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        let skipped = u32::from(!Self::LIFTS);
        [self.wrap, self.sign].get((index + skipped) as usize).copied()
    }

    fn last_bits(&self) -> u32 {
        1
    }

    fn last_bytes(&self) -> usize {
        W::BYTES
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Activated<'_, R, W>,
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        words: &mut [u8],
    ) {
        let Some(&y) = data.y.get(element) else { return };
        let (nodes, party) = (nodes(0), half.party());
        let (word, one) = (self.word(party, 0, y), party.constant(W::ONE));
        #[allow(clippy::cast_possible_truncation)]
        let top = (word >> (WORD_BITS - 1)) as u32;
        bit(self.carries.root(nodes).0 ^ top ^ self.sign.bit(half, element));
        let mut value = W::from_u64(word).sub(one.mul(W::pow2(WORD_BITS - 1)));
        if Self::LIFTS {
            let wrap = turned(early(nodes, 0) == 1, one, self.wrap.number(half, element));
            value = value.sub(W::pow2(WORD_BITS).mul(wrap));
        }
        write(words, 0, value.sub(self.sign.mask(half, element, 0)));
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Activated<'_, R, W>,
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        [own, peer]: [&[u8]; 2],
    ) {
        let Some(out) = data.out.get_mut(element) else { return };
        let (flip, one) = (bit() == 1, half.party().constant(W::ONE));
        let b: W = turned(flip, one, self.sign.number(half, element));
        let mut masked = |index: u32| {
            let mask: W = self.sign.mask(half, element, index);
            (mask, turned(flip, mask, self.sign.product(half, element, index)))
        };
        *out = b.mul(read::<W>(own, 0).add(read(peer, 0))).add(masked(0).1);
        if self.keeps {
            let (mask, product) = masked(1);
            data.kept.keep(element, [b.to_u64(), mask.to_u64(), product.to_u64()]);
        }
    }

    fn plain(&self, data: &mut Activated<'_, R, W>, up: &mut impl FnMut() -> bool) {
        data.activate(self.shift, up);
    }
}
