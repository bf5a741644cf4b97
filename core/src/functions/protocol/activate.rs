//! The positive part, with the bit that decided kept for later: what a network that is trained
//! needs of a ReLU.
//!
//! * Computes: shares in `Z_2^64` of `max(t, 0)` and, where they are kept, of `b = [t >= 0]` and of
//!   a product `a b` with a dealt mask `a`, by which [`super::select`] multiplies one more value by
//!   `b` in one message. `t = y >> s` of a shared `y` in `Z_2^64`, *rounded down or one unit more*;
//!   or `t = y` of a shared `y` in `Z_2^32`, which is exact. Where values of 32 bits are all that
//!   is wanted, shares in `Z_2^32`: smaller tables, and nothing is kept.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Reference: masked comparison by digits (see [`super::comparing`]); the truncation is that of
//!   [`super::rescale`].
//! * Consumes: one record per element: a mask, its leaves, and the tables that fold them.
//! * Costs: 2 messages, 3 if folding is staged; a ring element and the opened bits per element and
//!   party: at most 11 bytes from `Z_2^64`, 7 from `Z_2^32`.
//! * Error bound: `t` is `floor(y / 2^s)` or one more, for `-2^31 <= t < 2^31 - 1`; exact without a
//!   shift, for every `y`.
//!
//! ```text
//! z = y + r
//! Z = (z >> s) mod 2^32,  R = (r >> s) mod 2^32
//! t = Z - R mod 2^32, or one unit less: the carry is left out
//! b = [t >= 0] = 1 xor msb(Z) xor msb(R) xor [Z mod 2^31 < R mod 2^31]
//! max(t, 0) = b Z - b R + 2^32 (1 - msb Z) (b m),  m = msb(R), without `m` modulo 2^32
//! table:  (h, h R, h m, h a)                             b from h, b R from h R and R, ...
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::comparing::{Comparing, Frame, Opened, Slices};
use crate::functions::cut::{Cut, Fold, Folding, Leaves};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// Bits of the words that are compared.
pub(super) const WORD_BITS: u32 = 32;

/// `max(t, 0)` in the ring `W` of `t = y >> shift` with `y` in the ring `R`.
#[derive(Clone, Copy, Debug)]
pub struct Activate<R, W = u64> {
    shift: u32,
    keeps: bool,
    frame: Frame,
    fold: Fold,
    /// Places of `R`, `m` and `a`, which follow each other.
    words: u32,
    rings: PhantomData<(R, W)>,
}

/// What is activated, and the results.
pub struct Activated<'d, R, W = u64> {
    /// `y`; used up.
    pub y: &'d mut [R],
    /// `max(t, 0)`, as long as `y`.
    pub out: &'d mut [W],
    /// What is kept; of no elements where nothing is.
    pub kept: Kept<'d>,
}

/// The bit of every element, and what multiplies one more value by it. As long as the values, all
/// three.
pub struct Kept<'d> {
    /// `b`, 0 or 1.
    pub bit: &'d mut [u64],
    /// `a`.
    pub mask: &'d mut [u64],
    /// `a b`.
    pub product: &'d mut [u64],
}

crate::correlation::redacted!([R, W] Activated<'_, R, W>);
crate::correlation::redacted!(Kept<'_>);

impl<R: Ring, W: Ring> Slices for Activated<'_, R, W> {
    type Ring = R;
    type Value = R;

    fn compared(&mut self) -> &mut [R] {
        self.y
    }

    fn count(&self, kept_each: usize) -> Result<usize, StepError> {
        let elements = self.y.len();
        expect_len(self.out.len(), elements)?;
        for found in [&self.kept.bit, &self.kept.mask, &self.kept.product] {
            expect_len(found.len(), elements.saturating_mul(kept_each))?;
        }
        Ok(elements)
    }
}

impl<R: Ring, W: Ring> Activated<'_, R, W> {
    /// The plaintext twin. What divides without a rest stays exact.
    pub(super) fn activate(&mut self, shift: u32, up: &mut impl FnMut() -> bool) {
        let dropped = R::pow2(shift).sub(R::ONE).to_u64();
        for (element, (y, out)) in self.y.iter().zip(self.out.iter_mut()).enumerate() {
            let unit = u64::from(y.to_u64() & dropped != 0 && up());
            let t = y.shr(shift).to_u64().wrapping_add(unit) & ((1 << WORD_BITS) - 1);
            let bit = 1 ^ (t >> (WORD_BITS - 1));
            *out = W::from_u64(bit.wrapping_mul(t));
            self.kept.keep(element, [bit, 0, 0]);
        }
    }
}

impl Kept<'_> {
    /// Keeps the bit, the mask and the product of an element, where anything is kept.
    pub(super) fn keep(&mut self, element: usize, words: [u64; 3]) {
        let places = [&mut *self.bit, &mut *self.mask, &mut *self.product];
        for (place, word) in places.into_iter().zip(words) {
            if let Some(place) = place.get_mut(element) {
                *place = word;
            }
        }
    }
}

impl Default for Kept<'_> {
    /// Of no elements.
    fn default() -> Self {
        Self { bit: &mut [], mask: &mut [], product: &mut [] }
    }
}

impl Activate<u64> {
    /// Drops `shift` bits by the cheap truncation; `keeps` says whether the bits are kept.
    ///
    /// # Errors
    /// [`StepError::ShiftOutOfRange`] if `shift` is more than 32: there must be 32 bits to compare.
    pub fn truncating(shift: u32, folding: Folding, keeps: bool) -> Result<Self, StepError> {
        if shift > u64::BITS - WORD_BITS {
            return Err(StepError::shift_out_of_range::<u64>(shift));
        }
        Ok(Self::with_shift(shift, folding, keeps))
    }
}

impl Activate<u32> {
    /// Exact, for values of 32 bits: of a shared word of 64 bits take [`crate::share::reduce`]
    /// first.
    #[must_use]
    pub fn exact(folding: Folding, keeps: bool) -> Self {
        Self::with_shift(0, folding, keeps)
    }
}

impl Activate<u32, u32> {
    /// Exact, for values of 32 bits that stay so.
    #[must_use]
    pub fn narrow(folding: Folding) -> Self {
        Self::with_shift(0, folding, false)
    }
}

impl<R: Ring, W: Ring> Activate<R, W> {
    /// Whether results are in a larger ring than what is compared.
    const LIFTS: bool = W::BITS > WORD_BITS;

    fn with_shift(shift: u32, folding: Folding, keeps: bool) -> Self {
        let entry_words = 2 + u32::from(Self::LIFTS) + u32::from(keeps);
        let cut = Cut::plan(WORD_BITS - 1, None, folding, entry_words * word_bytes::<W>(), 1);
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let fold = Fold::new(&cut, &mut layout);
        let (mask, (words, fold)) = layout.word_and::<R, W, _>(|layout| {
            (layout.words::<W>(entry_words - 1), fold.with_table::<W>(&cut, entry_words, layout))
        });
        Self {
            shift,
            keeps,
            frame: Frame { cut, leaves, layout, mask, offset: false },
            fold,
            words,
            rings: PhantomData,
        }
    }

    /// The bits that are compared, of `z` or of the mask.
    #[inline]
    fn part(&self, word: R) -> u64 {
        word.shr(self.shift).to_u64() & ((1 << WORD_BITS) - 1)
    }
}

impl<R: Ring, W: Ring> Comparing for Activate<R, W> {
    type Ring = R;
    type Data<'d> = Activated<'d, R, W>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn beside(&self) -> usize {
        usize::from(self.keeps)
    }

    fn fold(&self, _index: u32) -> Fold {
        self.fold
    }

    #[inline]
    fn public(&self, _index: u32, z: R) -> R {
        R::from_u64(self.part(z))
    }

    fn compared_mask(&self, mask: R) -> R {
        R::from_u64(self.part(mask))
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Activated<'_, R, W>,
        opened: &Opened<'_>,
    ) {
        let (Some(&z), Some(out)) = (data.y.get(element), data.out.get_mut(element)) else {
            return;
        };
        let (z, delta, cut) = (self.part(z), opened.bits(0), &self.frame.cut);
        let high = z >> (WORD_BITS - 1) == 1;
        let flip = Fold::flip(cut, delta) ^ high;
        let whole = |half: &mut H, index: u32| {
            half.word::<W>(element, self.words + index * word_bytes::<W>())
        };
        let word = |half: &mut H, index| self.fold.word::<W>(cut, half, element, delta, index);
        let b = turned(flip, half.party().constant(W::ONE), word(half, 0));
        let mask = whole(half, 0);
        let b_mask = turned(flip, mask, word(half, 1));
        let mut positive = b.mul(W::from_u64(z)).sub(b_mask);
        if Self::LIFTS && !high {
            let sign = whole(half, 1);
            let weight = W::pow2(WORD_BITS);
            positive = positive.add(turned(flip, sign, word(half, 2)).mul(weight));
        }
        *out = positive;
        if self.keeps {
            let masked = whole(half, 2);
            let product = turned(flip, masked, word(half, 3));
            data.kept.keep(element, [b.to_u64(), masked.to_u64(), product.to_u64()]);
        }
    }

    fn deal_rest<G: CryptoRng>(&self, mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        let mask = W::from_u64(self.part(mask));
        let sign = mask.to_u64() >> (WORD_BITS - 1) & 1;
        let later = W::from_u64(if self.keeps { rng.next_u64() } else { 0 });
        #[allow(clippy::cast_possible_truncation)]
        let turn = 1 ^ sign as u32;
        let sign = W::from_u64(sign);
        // Of a ring that is not larger there is no `m`, and without what is kept no `a`.
        let count = 1 + u32::from(Self::LIFTS) + u32::from(self.keeps);
        for (index, word) in (0..count).zip([mask, sign, later]) {
            truth.set_word(self.words + index * word_bytes::<W>(), word);
        }
        // An entry ends before the first word that it lacks.
        self.fold.deal::<W, _, 4>(&self.frame.cut, truth, rng, turn, |h, _| {
            [h, h.mul(mask), h.mul(sign), h.mul(later)]
        });
    }

    fn plain(&self, data: &mut Activated<'_, R, W>, up: &mut impl FnMut() -> bool) {
        data.activate(self.shift, up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::Protocol;
    use crate::functions::protocol::check;
    use crate::functions::protocol::millionaire::Millionaire;
    use crate::functions::protocol::millionaire::activation::Activation;
    use crate::functions::protocol::select::{Select, Selected};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    /// A party's data, owned.
    struct Owned<R> {
        y: Vec<R>,
        out: Vec<u64>,
        kept: [Vec<u64>; 3],
    }

    impl<R: Ring> Owned<R> {
        fn new(y: Vec<R>, keeps: bool) -> Self {
            let (out, kept) = (vec![7; y.len()], if keeps { y.len() } else { 0 });
            Self { y, out, kept: core::array::from_fn(|_| vec![7; kept]) }
        }

        fn data(&mut self) -> Activated<'_, R> {
            let [bit, mask, product] = &mut self.kept;
            Activated { y: &mut self.y, out: &mut self.out, kept: Kept { bit, mask, product } }
        }
    }

    /// Runs the protocol, and a selection with what it kept: the results, the bits, and the
    /// selected values.
    fn activated<R: Ring>(
        gate: &impl for<'d> Protocol<Data<'d> = Activated<'d, R>>,
        keeps: bool,
        y: &[R],
        values: &[u64],
        seed: u8,
    ) -> [Vec<u64>; 3] {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let (y_0, y_1) = check::share(y, &mut rng);
        let (mut p_0, mut p_1) = (Owned::new(y_0, keeps), Owned::new(y_1, keeps));
        check::run(gate, &mut rng, p_0.data(), p_1.data());
        let out = check::open(&p_0.out, &p_1.out);
        let bits = check::open(&p_0.kept[0], &p_1.kept[0]);
        let (mut v_0, mut v_1) = check::share(values, &mut rng);
        if keeps {
            let [data_0, data_1] = [(&mut v_0, &p_0.kept), (&mut v_1, &p_1.kept)]
                .map(|(values, [bit, mask, product])| Selected { values, bit, mask, product });
            check::run(&Select::new(), &mut rng, data_0, data_1);
        }
        [out, bits, check::open(&v_0, &v_1)]
    }

    fn twin<R: Ring>(
        gate: &impl for<'d> Protocol<Data<'d> = Activated<'d, R>>,
        keeps: bool,
        y: &[R],
        values: &[u64],
        up: bool,
    ) -> [Vec<u64>; 3] {
        let mut plain = Owned::new(y.to_vec(), keeps);
        gate.twin_rounded(&mut plain.data(), &mut || up);
        let mut selected = values.to_vec();
        if keeps {
            let [bit, mask, product] = &plain.kept;
            Select::new().twin(&mut Selected { values: &mut selected, bit, mask, product });
        }
        [plain.out, plain.kept[0].clone(), selected]
    }

    #[test]
    fn words_of_32_bits_are_exact() {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let y = check::words::<u32>(500, &mut rng);
        let values: Vec<u64> = y.iter().map(|_| rng.next_u64()).collect();
        for folding in [Folding::Direct, Folding::Staged] {
            for keeps in [false, true] {
                let gate = Activate::exact(folding, keeps);
                let alone = Millionaire::<Activation<u32>>::exact(keeps);
                for seed in 0..4 {
                    let found = activated(&gate, keeps, &y, &values, seed);
                    let expected = twin(&gate, keeps, &y, &values, false);
                    assert_eq!(found, expected, "{folding:?} {keeps} {seed}");
                    let found = activated(&alone, keeps, &y, &values, seed);
                    assert_eq!(found, expected, "by transfers, {keeps} {seed}");
                    for ((y, out), selected) in
                        y.iter().zip(&found[0]).zip(&found[2]).take(if keeps { y.len() } else { 0 })
                    {
                        assert_eq!(i64::from(y.cast_signed()).max(0), out.cast_signed());
                        assert!(*selected == 0 || y.msb() == 0);
                    }
                }
            }
        }
    }

    fn data<'d>(y: &'d mut [u32], out: &'d mut [u32]) -> Activated<'d, u32, u32> {
        Activated { y, out, kept: Kept::default() }
    }

    /// A result in the ring of what is compared needs no lift, and its tables take less.
    #[test]
    fn narrow_results_are_exact_and_small() {
        let mut rng = ChaCha20Rng::from_seed([8; 32]);
        let y = check::words::<u32>(500, &mut rng);
        for folding in [Folding::Direct, Folding::Staged] {
            let gate = Activate::narrow(folding);
            let (y_0, y_1) = check::share(&y, &mut rng);
            let [mut y_0, mut y_1] = [y_0, y_1];
            let [mut out_0, mut out_1] = [(); 2].map(|()| vec![7_u32; y.len()]);
            check::run(&gate, &mut rng, data(&mut y_0, &mut out_0), data(&mut y_1, &mut out_1));
            let (mut plain, mut expected) = (y.clone(), vec![7; y.len()]);
            gate.twin(&mut data(&mut plain, &mut expected));
            assert_eq!(check::open(&out_0, &out_1), expected, "{folding:?}");
            let alone = Millionaire::<Activation<u32, u32>>::narrow();
            let (mut y_0, mut y_1) = check::share(&y, &mut rng);
            check::run(&alone, &mut rng, data(&mut y_0, &mut out_0), data(&mut y_1, &mut out_1));
            assert_eq!(check::open(&out_0, &out_1), expected, "by transfers");
            for (y, out) in y.iter().zip(&expected) {
                assert_eq!(y.cast_signed().max(0), out.cast_signed());
            }
        }
        let wide = Activate::exact(Folding::Staged, false).layout().bytes();
        assert!(10 * Activate::narrow(Folding::Staged).layout().bytes() < 6 * wide);
    }

    /// Results are those of rounding down or up, for `t` of 32 bits; what divides without a rest is
    /// exact.
    #[test]
    fn words_of_64_bits_are_one_unit_high_at_most() {
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        for shift in [0_u32, 1, 13, 20, 32] {
            let limit = 1_i128 << (31 + shift);
            let edges = check::words::<u64>(600, &mut rng)
                .into_iter()
                .filter(|y| (-limit..limit - (1 << shift)).contains(&i128::from(y.to_i64())));
            let y: Vec<u64> = edges.collect();
            let values: Vec<u64> = y.iter().map(|_| rng.next_u64()).collect();
            let mut highs = 0;
            for folding in [Folding::Direct, Folding::Staged] {
                for keeps in [false, true] {
                    let gate = Activate::truncating(shift, folding, keeps).expect("in range");
                    let alone = Millionaire::<Activation<u64>>::truncating(shift, keeps);
                    let both = [
                        activated(&gate, keeps, &y, &values, 6),
                        activated(&alone.expect("in range"), keeps, &y, &values, 6),
                    ];
                    let [down, up] = [false, true].map(|up| twin(&gate, keeps, &y, &values, up));
                    for (found, index) in
                        both.iter().flat_map(|found| (0..y.len()).map(move |index| (found, index)))
                    {
                        let of = |[out, bits, selected]: &[Vec<u64>; 3]| {
                            (
                                out[index],
                                bits.get(index).copied(),
                                if keeps { selected[index] } else { 0 },
                            )
                        };
                        assert!(
                            of(found) == of(&down) || of(found) == of(&up),
                            "{:#x} >> {shift}",
                            y[index]
                        );
                        highs += usize::from(of(found) != of(&down));
                    }
                }
            }
            assert_eq!(highs > 0, shift > 0, "both roundings occur");
        }
    }

    #[test]
    fn messages_are_small() {
        let bytes =
            |gate: &dyn Fn(usize) -> usize, rounds: usize| (0..rounds).map(gate).sum::<usize>();
        let wide = Activate::truncating(20, Folding::Staged, true).expect("in range");
        let narrow = Activate::exact(Folding::Staged, true);
        assert!(bytes(&|round| wide.message_bytes(round, 1000), wide.rounds()) <= 11_000);
        assert!(bytes(&|round| narrow.message_bytes(round, 1000), narrow.rounds()) <= 7_000);
        assert_eq!((wide.rounds(), Activate::exact(Folding::Direct, false).rounds()), (3, 2));
    }

    #[test]
    fn lengths_and_shifts_are_checked() {
        assert!(Activate::truncating(33, Folding::Direct, false).is_err());
        let gate = Activate::exact(Folding::Direct, true);
        let mut data = Owned::<u32>::new(vec![0; 3], false);
        assert!(gate.elements(&data.data()).is_err());
        let mut data = Owned::<u32>::new(vec![0; 3], true);
        assert_eq!(gate.elements(&data.data()), Ok(3));
    }
}
