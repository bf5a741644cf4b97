//! Cheap truncation, change of ring, or both at once.
//!
//! * Computes: shares in `Z_2^l` of `x >> s`, *rounded down or one unit more*, for shared `x` in
//!   `Z_2^k`, `-2^(k-2) <= x < 2^(k-2)`. `l` may be smaller than `k` (the result is then modulo
//!   `2^l`), the same, or larger.
//! * Model: semi-honest parties and dealer; the message is one-time padded.
//! * Reference: masked truncation with a dealt `[r >> s]` and the mask's top bit, as in `ABY3` (CCS
//!   '18) and Escudero et al. (CRYPTO '20), with an offset that makes the top bit tell when the
//!   opening wraps.
//! * Consumes: one record per element: the mask, `r >> s` and, where its weight lies in the ring of
//!   the result, `msb(r)`.
//! * Costs: 1 message; a ring element of `Z_2^k` per element and party.
//! * Error bound: `result - floor(x / 2^s)` is 0 or 1; 0 if `s = 0`. Never more: the mask does not
//!   change that.
//!
//! ```text
//! z = x + 2^(k-2) + r                                             public afterwards
//! [x + 2^(k-2) + r >= 2^k] = msb(r) (1 - msb z)                   since 0 <= x + 2^(k-2) < 2^(k-1)
//! x >> s  ~  (z >> s) - (r >> s) + 2^(k-s) msb(r) (1 - msb z) - 2^(k-2-s)
//! ```
//!
//! The carry `[z mod 2^s < r mod 2^s]` is left out: that is the one unit. The exact truncation,
//! [`super::shift::Shift`], compares in order to find it.
//!
//! **Outside of the range** the top bits do not tell the wrap, and the result may be off by
//! `2^(k-s)` (and the unit), depending on the mask: it is right modulo `2^(k-s)`, and only so.
//! Where `k - s >= l` that is enough: right modulo `2^l` for *every* `x`.

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::{Messages, Protocol, write};
use crate::functions::record::{Half, Layout, Truth};
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// Drops `shift` bits, rounding to floor or floor + 1, and changes from ring `R` to ring `W`.
///
/// A truncation of another type than the exact [`super::shift::Shift`]: whoever takes this one
/// accepts the unit.
#[derive(Clone, Copy, Debug)]
pub struct Rescale<R, W> {
    shift: u32,
    layout: Layout,
    mask: u32,
    high: u32,
    sign: Option<u32>,
    rings: PhantomData<(R, W)>,
}

/// What is rescaled, and the result.
pub struct Rescaled<'d, R, W> {
    /// `x`, with `-2^(k-2) <= x < 2^(k-2)`.
    pub x: &'d [R],
    /// The result, as long as `x`.
    pub out: &'d mut [W],
}

crate::correlation::redacted!([R, W] Rescaled<'_, R, W>);

impl<R: Ring, W: Ring> Rescaled<'_, R, W> {
    /// The plaintext twin. What divides without a rest stays exact.
    pub(super) fn rescale(&mut self, shift: u32, up: &mut impl FnMut() -> bool) {
        let dropped = R::pow2(shift).sub(R::ONE).to_u64();
        for (out, x) in self.out.iter_mut().zip(self.x) {
            let unit = i64::from(x.to_u64() & dropped != 0 && up());
            *out = W::from_u64((x.sar(shift).to_i64() + unit).cast_unsigned());
        }
    }
}

impl<R: Ring, W: Ring> Rescale<R, W> {
    /// The protocol that drops `shift` bits; 0 only changes the ring, which is exact. (From 64 to
    /// 32 bits, without dropping bits, [`crate::share::reduce`] does it without a message.)
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] unless `shift <= k - 2`.
    pub fn new(shift: u32) -> Result<Self, StepError> {
        if shift.saturating_add(2) > R::BITS {
            return Err(StepError::shift_out_of_range::<R>(shift));
        }
        let mut layout = Layout::default();
        let (mask, (high, sign)) = layout.word_and::<R, W, _>(|layout| {
            let high = layout.words::<W>(1);
            // A wrap that is a multiple of 2^l does not show.
            (high, (R::BITS - shift < W::BITS).then(|| layout.words::<W>(1)))
        });
        Ok(Self { shift, layout, mask, high, sign, rings: PhantomData })
    }
}

impl<R: Ring, W: Ring> Protocol for Rescale<R, W> {
    type Data<'d> = Rescaled<'d, R, W>;

    fn elements(&self, data: &Rescaled<'_, R, W>) -> Result<usize, StepError> {
        expect_len(data.out.len(), data.x.len())?;
        Ok(data.x.len())
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        R::BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        let mask = R::from_u64(rng.next_u64());
        truth.set_word(self.mask, mask);
        truth.set_word(self.high, W::from_u64(mask.shr(self.shift).to_u64()));
        if let Some(sign) = self.sign {
            truth.set_word(sign, W::from_u64(u64::from(mask.msb())));
        }
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut Rescaled<'_, R, W>,
        messages: &mut Messages<'_>,
    ) {
        let party = half.party();
        if round == 0 {
            let offset = party.constant(R::pow2(R::BITS - 2));
            for (element, &x) in data.x.iter().enumerate() {
                write(
                    messages.own,
                    element * R::BYTES,
                    x.add(offset).add(half.word(element, self.mask)),
                );
            }
            return;
        }
        let offset = W::pow2(R::BITS - 2 - self.shift);
        let weight = W::pow2(R::BITS - self.shift);
        for (element, out) in data.out.iter_mut().enumerate() {
            let z: R = messages.opened(element * R::BYTES);
            let public = party.constant(W::from_u64(z.shr(self.shift).to_u64()).sub(offset));
            *out = public.sub(half.word(element, self.high));
            if let Some(sign) = self.sign {
                let may_wrap = W::from_u64(u64::from(1 ^ z.msb()));
                *out = out.add(half.word::<W>(element, sign).mul(may_wrap.mul(weight)));
            }
        }
    }

    fn twin_rounded(&self, data: &mut Rescaled<'_, R, W>, up: &mut impl FnMut() -> bool) {
        data.rescale(self.shift, up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check;
    use crate::functions::protocol::millionaire::Millionaire;
    use crate::functions::protocol::millionaire::rescaling::Rescaling;
    use crate::ring::Small;
    use crate::share;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    /// The results, less the twin's.
    fn errors<R: Ring, W: Ring>(
        protocol: &impl for<'d> Protocol<Data<'d> = Rescaled<'d, R, W>>,
        x: &[R],
        masks: &mut impl CryptoRng,
    ) -> Vec<W> {
        let (x_0, x_1) = check::share(x, &mut ChaCha20Rng::from_seed([9; 32]));
        let [mut out_0, mut out_1, mut twin] = core::array::from_fn(|_| vec![W::ONE; x.len()]);
        check::run(
            protocol,
            masks,
            Rescaled { x: &x_0, out: &mut out_0 },
            Rescaled { x: &x_1, out: &mut out_1 },
        );
        protocol.twin(&mut Rescaled { x, out: &mut twin });
        check::open(&out_0, &out_1).iter().zip(twin).map(|(out, twin)| out.sub(twin)).collect()
    }

    fn in_range<R: Ring>(x: &R) -> bool {
        let limit = 1 << (R::BITS - 2);
        (-limit..limit).contains(&x.to_i64())
    }

    /// Every value of a ring of 8 bits under every mask, to smaller, equal and larger rings.
    fn every_value_under_every_mask<W: Ring>() {
        let all: Vec<Small<8>> = (0..1 << 16).map(|i| Small::from_u64(i & 0xff)).collect();
        for shift in 0..=6 {
            let mut draws = 0;
            let mut masks = check::Draws(|| {
                draws += 1;
                (draws - 1) >> 8
            });
            let rescale = Rescale::<_, W>::new(shift).expect("in range");
            let errors = errors(&rescale, &all, &mut masks);
            let mut highs = 0;
            for (index, (x, error)) in all.iter().zip(errors).enumerate() {
                let mask = index >> 8;
                let carry = ((x.to_u64() + 64 + mask as u64) & ((1 << shift) - 1))
                    < (mask as u64 & ((1 << shift) - 1));
                let unit = W::from_u64(u64::from(carry));
                if in_range(x) || 8 - shift >= W::BITS {
                    assert_eq!(error, unit, "{x:?} >> {shift} under mask {mask}");
                    let mut rounded = [W::ZERO; 2];
                    for (up, out) in [false, true].into_iter().zip(rounded.each_mut()) {
                        let data = &mut Rescaled { x: &[*x], out: core::slice::from_mut(out) };
                        Rescale::new(shift).expect("in range").twin_rounded(data, &mut || up);
                    }
                    let [down, up] = rounded;
                    assert!(
                        error == W::ZERO || up.sub(down) == error,
                        "{x:?} >> {shift} under mask {mask}"
                    );
                    highs += usize::from(carry);
                } else {
                    // The documented failure: off by a multiple of 2^(k-s), and by nothing else.
                    let weight = (1_u64 << (8 - shift)) - 1;
                    assert_eq!(
                        error.sub(unit).to_u64() & weight,
                        0,
                        "{x:?} >> {shift} under mask {mask}"
                    );
                }
            }
            // The unit is real: a twin that expects floor everywhere would be wrong.
            assert_eq!(highs > 0, shift > 0);
        }
    }

    #[test]
    fn no_mask_costs_more_than_a_unit() {
        every_value_under_every_mask::<Small<3>>();
        every_value_under_every_mask::<Small<8>>();
        every_value_under_every_mask::<Small<13>>();
        every_value_under_every_mask::<u32>();
        every_value_under_every_mask::<u64>();
    }

    fn ends_and_random<R: Ring, W: Ring>(seed: u8) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let words: Vec<R> =
            check::words::<R>(2000, &mut rng).into_iter().filter(in_range).collect();
        for shift in 0..=R::BITS - 2 {
            let dealt = Rescale::<R, W>::new(shift).expect("in range");
            let alone = Millionaire::<Rescaling<R, W>>::rescale(shift).expect("in range");
            let all = [errors(&dealt, &words, &mut rng), errors(&alone, &words, &mut rng)];
            for (x, error) in all.into_iter().flat_map(|errors| words.iter().zip(errors)) {
                let whole = x.to_u64() & (R::pow2(shift).to_u64() - 1) == 0;
                let right = error == W::ZERO || (!whole && error == W::ONE);
                assert!(right, "{x:?} >> {shift} is off by {error:?}, seed {seed}");
            }
        }
    }

    /// Every value of a ring of 6 bits, in many shares, both roundings.
    #[test]
    fn by_transfers_every_value_is_a_unit_high_at_most() {
        let all: Vec<Small<6>> =
            (0..1 << 12).map(|i| Small::from_u64(i & 0x3f)).filter(in_range).collect();
        for shift in 0..=4 {
            let alone = Millionaire::<Rescaling<_, u32>>::rescale(shift).expect("in range");
            let errors = errors(&alone, &all, &mut ChaCha20Rng::from_seed([8; 32]));
            let high = errors.iter().filter(|error| **error == 1).count();
            assert!(errors.iter().all(|error| *error <= 1), "{shift}");
            assert_eq!(high > 0, shift > 0);
            for (x, error) in all.iter().zip(errors) {
                assert!(error == 0 || x.to_u64() & ((1 << shift) - 1) != 0, "{x:?} >> {shift}");
            }
        }
    }

    #[test]
    fn wide_rings_at_their_ends() {
        ends_and_random::<Small<16>, Small<16>>(1);
        ends_and_random::<u32, u32>(2);
        ends_and_random::<u64, u64>(3);
        ends_and_random::<u64, u32>(4);
        ends_and_random::<u32, u64>(5);
        ends_and_random::<Small<2>, u32>(6);
    }

    #[test]
    fn the_way_down_and_back_is_exact() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let wide: Vec<u64> = check::words::<u32>(500, &mut rng)
            .iter()
            .map(|x| x.sar(2).to_i64().cast_unsigned())
            .collect();
        let (wide_0, wide_1) = check::share(&wide, &mut rng);
        let [mut narrow_0, mut narrow_1] = [vec![0_u32; wide.len()], vec![0_u32; wide.len()]];
        share::reduce(&wide_0, &mut narrow_0);
        share::reduce(&wide_1, &mut narrow_1);
        let lift = Rescale::<u32, u64>::new(0).expect("in range");
        let [mut out_0, mut out_1] = [vec![0; wide.len()], vec![0; wide.len()]];
        let data = (
            Rescaled { x: &narrow_0, out: &mut out_0 },
            Rescaled { x: &narrow_1, out: &mut out_1 },
        );
        check::run(&lift, &mut rng, data.0, data.1);
        assert_eq!(check::open(&out_0, &out_1), wide);
    }

    #[test]
    fn records_hold_no_more_than_is_needed() {
        let bytes = |layout: Layout| layout.bytes();
        assert_eq!(bytes(Rescale::<u32, u32>::new(12).expect("in range").layout()), 12);
        assert_eq!(bytes(Rescale::<u64, u64>::new(20).expect("in range").layout()), 24);
        assert_eq!(bytes(Rescale::<u32, u64>::new(0).expect("in range").layout()), 24);
        assert_eq!(bytes(Rescale::<u64, u32>::new(40).expect("in range").layout()), 16);
        // No wrap shows: r and r >> s.
        assert_eq!(bytes(Rescale::<u64, u32>::new(20).expect("in range").layout()), 16);
    }

    #[test]
    fn shifts_and_lengths_are_checked() {
        assert!(matches!(
            Rescale::<u32, u64>::new(31),
            Err(StepError::ShiftOutOfRange { shift_bits: 31, ring_bits: 32 })
        ));
        assert!(Rescale::<u64, u32>::new(62).is_ok() && Rescale::<u64, u32>::new(63).is_err());
        let protocol = Rescale::<u32, u32>::new(3).expect("in range");
        assert!(protocol.elements(&Rescaled { x: &[1, 2], out: &mut [0] }).is_err());
    }
}
