//! `[x >= c_j]`: a pair of words per constant, and one for the wrap-around of the shares.

use core::marker::PhantomData;

use super::{Millionaire, OnShares};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::checked_size;
use crate::functions::protocol::compare::{Compared, MAX_CONSTANTS};
use crate::functions::protocol::comparing::Slices;
use crate::functions::record::{Half, Layout, word_bytes};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::turned;
use crate::ring::Ring;
use crate::share::Party;
use crate::step::StepError;

/// `[x >= c_j]`: `x` in the ring `R`, bits in the ring `W`; see
/// [`crate::functions::protocol::compare::Compare`].
#[derive(Clone, Copy, Debug)]
pub struct Thresholds<'c, R, W> {
    constants: &'c [R],
    count: u32,
    layout: Layout,
    /// Of the first pair; others follow it.
    carries: Carries,
    duals: u32,
    words: u32,
    ring: PhantomData<W>,
}

impl<'c, R: Ring, W: Ring> Millionaire<Thresholds<'c, R, W>> {
    /// The protocol for these constants.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if there are none, or more than [`MAX_CONSTANTS`].
    pub fn compare(constants: &'c [R]) -> Result<Self, StepError> {
        let count = checked_size(constants.len(), MAX_CONSTANTS)?;
        let mut layout = Layout::default();
        let carries = Carries::new(R::BITS, None, false, Wanted::Carry).placed(&mut layout);
        for _ in 0..count {
            let _ = carries.placed(&mut layout);
        }
        let duals = dual_bits(&mut layout, count);
        let words = layout.words::<W>(count * Dual::words(0));
        let ring = PhantomData;
        Ok(Self(Thresholds { constants, count, layout, carries, duals, words, ring }))
    }
}

impl<R: Ring, W: Ring> Thresholds<'_, R, W> {
    fn lifted(&self, index: u32) -> Dual {
        let sender = if index.is_multiple_of(2) { Party::P0 } else { Party::P1 };
        Dual::new(sender, self.duals + index, self.words + index * word_bytes::<W>(), 0)
    }
}

impl<R: Ring, W: Ring> OnShares for Thresholds<'_, R, W> {
    type Ring = R;
    type Value = W;
    type Data<'d> = Compared<'d, R, W>;

    fn elements(&self, data: &Compared<'_, R, W>) -> Result<usize, StepError> {
        data.count(self.constants.len())
    }

    fn compared<'s>(&self, data: &'s Compared<'_, R, W>) -> &'s [R] {
        data.x
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn pairs(&self) -> u32 {
        self.count + 1
    }

    fn carries(&self, index: u32) -> Carries {
        self.carries.nth(index)
    }

    /// The last pair is that of the shares themselves.
    fn word(&self, party: Party, index: u32, x: R) -> u64 {
        let offset = party.constant(R::pow2(R::BITS - 1));
        let constant = self
            .constants
            .get(index as usize)
            .map_or(offset.neg(), |&constant| party.constant(constant));
        x.sub(constant).to_u64()
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        (index < self.count).then(|| self.lifted(index))
    }

    fn last_bits(&self) -> u32 {
        self.count
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Compared<'_, R, W>,
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        _words: &mut [u8],
    ) {
        let Some(&x) = data.x.get(element) else { return };
        let party = half.party();
        let root = |index| self.carries.root(nodes(index)).0;
        let (wrapped, word) = (root(self.count), self.word(party, self.count, x));
        for (index, constant) in (0..).zip(self.constants) {
            let unsigned = constant.add(R::pow2(R::BITS - 1)).to_u64();
            let borrowed = party.constant(1 ^ u32::from(word < unsigned));
            bit(root(index) ^ wrapped ^ borrowed ^ self.lifted(index).bit(half, element));
        }
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
        let (one, count) = (half.party().constant(W::ONE), self.constants.len());
        let bits = data.bits.get_mut(element * count..(element + 1) * count).unwrap_or_default();
        for (index, out) in (0..).zip(bits) {
            *out = turned(bit() == 1, one, self.lifted(index).number(half, element));
        }
    }

    fn plain(&self, data: &mut Compared<'_, R, W>, _up: &mut impl FnMut() -> bool) {
        data.compare(self.constants);
    }
}
