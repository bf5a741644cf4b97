//! Cheap truncation, change of ring, or both at once.

use core::marker::PhantomData;

use super::activation::dropped;
use super::{Millionaire, OnShares};
use crate::functions::carries::{Carries, Nodes, Wanted};
use crate::functions::protocol::rescale::Rescaled;
use crate::functions::record::{Half, Layout};
use crate::functions::transfer::{Dual, dual_bits};
use crate::gate::turned;
use crate::ring::Ring;
use crate::share::Party;
use crate::step::{StepError, expect_len};

/// `x >> s` in the ring `W`, rounded down or one unit higher, for `-2^(k-2) <= x < 2^(k-2)`; see
/// [`crate::functions::protocol::rescale`].
///
/// Which of the two it is depends on the shares: see [`super::activation::Activation`].
///
/// Of an `X = x + 2^(k-2)` below `2^(k-1)` the shares wrap around unless both have a topmost bit of
/// zero: one transfer, 3 messages. Where that is a multiple of `2^l` it does not show: no message.
#[derive(Clone, Copy, Debug)]
pub struct Rescaling<R, W> {
    shift: u32,
    layout: Layout,
    carries: Carries,
    /// Whether the shares do not wrap around; nothing where that does not show.
    apart: Option<Dual>,
    rings: PhantomData<(R, W)>,
}

impl<R: Ring, W: Ring> Millionaire<Rescaling<R, W>> {
    /// The protocol that drops `shift` bits.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `shift <= k - 2`.
    pub fn rescale(shift: u32) -> Result<Self, StepError> {
        if shift.saturating_add(2) > R::BITS {
            return Err(StepError::shift_out_of_range::<R>(shift));
        }
        let mut layout = Layout::default();
        let mut carries = Carries::new(1, None, false, Wanted::Carry);
        let apart = (R::BITS - shift < W::BITS).then(|| {
            carries = carries.placed(&mut layout);
            let place = dual_bits(&mut layout, 1);
            Dual::new(Party::P1, place, layout.words::<W>(Dual::words(0)), 0)
        });
        Ok(Self(Rescaling { shift, layout, carries, apart, rings: PhantomData }))
    }
}

/// A party's share of `x + 2^(k-2)`.
fn raised<R: Ring>(party: Party, x: R) -> R {
    x.add(party.constant(R::pow2(R::BITS - 2)))
}

impl<R: Ring, W: Ring> OnShares for Rescaling<R, W> {
    type Ring = R;
    type Value = W;
    type Data<'d> = Rescaled<'d, R, W>;

    fn elements(&self, data: &Rescaled<'_, R, W>) -> Result<usize, StepError> {
        expect_len(data.out.len(), data.x.len())?;
        Ok(data.x.len())
    }

    fn compared<'s>(&self, data: &'s Rescaled<'_, R, W>) -> &'s [R] {
        data.x
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn pairs(&self) -> u32 {
        u32::from(self.apart.is_some())
    }

    fn carries(&self, _index: u32) -> Carries {
        self.carries
    }

    /// One where the topmost bit is zero: both together carry where the shares do not wrap.
    fn word(&self, party: Party, _index: u32, x: R) -> u64 {
        u64::from(1 ^ raised(party, x).msb())
    }

    fn dual(&self, index: u32) -> Option<Dual> {
        self.apart.filter(|_| index == 0)
    }

    fn last_bits(&self) -> u32 {
        self.pairs()
    }

    fn last<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        _data: &mut Rescaled<'_, R, W>,
        nodes: impl Fn(u32) -> Nodes,
        mut bit: impl FnMut(u32),
        _words: &mut [u8],
    ) {
        if let Some(apart) = self.apart {
            bit(self.carries.root(nodes(0)).0 ^ apart.bit(half, element));
        }
    }

    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Rescaled<'_, R, W>,
        _nodes: Nodes,
        mut bit: impl FnMut() -> u32,
        _words: [&[u8]; 2],
    ) {
        let (Some(&x), Some(out)) = (data.x.get(element), data.out.get_mut(element)) else {
            return;
        };
        let (party, weight) = (half.party(), W::pow2(R::BITS - self.shift));
        let one = party.constant(W::ONE);
        let word = W::from_u64(dropped(party, self.shift, raised(party, x)).to_u64());
        let offset = one.mul(W::pow2(R::BITS - 2 - self.shift));
        *out = word.sub(offset);
        if let Some(apart) = self.apart {
            let apart = turned(bit() == 1, one, apart.number::<W>(half, element));
            *out = out.sub(weight.mul(one.sub(apart)));
        }
    }

    /// What divides without a rest stays exact.
    fn plain(&self, data: &mut Rescaled<'_, R, W>, up: &mut impl FnMut() -> bool) {
        data.rescale(self.shift, up);
    }
}
