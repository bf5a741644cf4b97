//! Piecewise polynomials: any function of one variable that a [`Spline`] holds, with its
//! truncation.
//!
//! * Computes: shares in `Z_2^l` of a piecewise polynomial of degree 2 at a shared `x` in `Z_2^k`,
//!   truncated.
//! * Model: semi-honest parties and dealer; every message is one-time padded.
//! * Reference: masked comparison by digits (see [`super::comparing`]); table lookup by rotation as
//!   in TinyTable (Damgard, Nielsen, Nielsen, Ranellucci, CRYPTO 2017), here of polynomials that
//!   the dealer has moved by the mask.
//! * Consumes: one record per element.
//! * Costs: 2 messages at `k <= 32`, 3 at `k = 64` (within a known domain always 2); a ring
//!   element, 16 bytes, and the bits of three comparisons (one) per element and party, however many
//!   pieces there are.
//! * Error bound: the result is [`Spline::eval`] or one unit more, for every `x`; where the spline
//!   drops bits of the coordinate, of `x` or of the next `x` whose coordinate differs.
//!
//! ```text
//! z = x + 2^(k-1) + r,  y = x - low = (z - low') - r             public: z;  low' = low + 2^(k-1)
//! With h low bits, v = digit of z - low' above them, t = its low bits (without those that are
//! dropped), c = [t's digit < r's]:
//!   piece of y  = v - r_I - c   (mod 2^i)
//! rows v:  the polynomial g_v(t) = P_(v - r_I)(t - r_t), coefficients shared, for all v
//!          "leaves": read without a message
//!   Y_0 = g_v(t)                 is the value if there is no borrow c
//!   Y_1 = g_(v-1)(t + 2^(h-g))   is the value if there is
//! last message:  Y_j + 2^62 + a_j                               public afterwards: n_j
//!   T_j = (n_j >> s) - (a_j >> s) + 2^(64-s) (1 - msb n_j) msb(a_j) - 2^(62-s)
//!                                is Y_j >> s, or one more
//!   T   = T_0 + c (T_1 - T_0)
//! tables of [u < r] for u at the ends of the domain:
//!   times (1, c, c's choice of a_j >> s, (1 - c) msb a_0, c msb a_1)
//! result = [low <= x < end] T + [x < low] below + [x >= end] above
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::compare;
use super::comparing::{Comparing, Frame, Opened, Slices};
use super::write;
use crate::functions::cut::{Cut, Fold, Folding, Leaves};
use crate::functions::record::{Half, Layout, Truth, word_bytes};
use crate::functions::spline::{Above, Spline};
use crate::gate::turned;
use crate::ring::Ring;
use crate::step::{StepError, expect_len};

/// Coefficients of a piece.
const TERMS: u32 = 3;
/// What is added to a value before it is opened, as a power of two: values lie below it in
/// magnitude.
const VALUE_BITS: u32 = 62;

/// A function of one variable: `x` in the ring `R`, the result in the ring `W`.
#[derive(Clone, Copy, Debug)]
pub struct Piecewise<R, W> {
    spline: Spline,
    low: R,
    end: R,
    index_bits: u32,
    domain: Domain,
    frame: Frame,
    rows: u32,
    noise: u32,
    rings: PhantomData<W>,
}

/// Whether `x` may lie outside the domain, and the tables that find out.
#[derive(Clone, Copy, Debug)]
enum Domain {
    /// Any `x`: comparisons with the ends of the domain, and of `z` itself.
    Any { low: Fold, end: Fold, whole: Fold },
    /// `x` is known to lie within: only the borrow matters. Words that depend on it: `a_0 >> s`,
    /// their difference, the signs.
    Within { borrow: Fold, words: u32 },
}

/// Words of an entry of the comparison with the domain's beginning: five times `h`, and four of
/// them without.
const LOW_WORDS: u32 = 9;
/// Of the comparison with the domain's end: the same five times `h`, and `h r`.
const END_WORDS: u32 = 6;
/// Of the comparison of `z`: `h` and `h r`.
const WHOLE_WORDS: u32 = 2;
/// Of the borrow, in a known domain: `h` times one, the difference of the `a_j >> s`, and the
/// signs.
const BORROW_WORDS: u32 = 4;

/// The argument, and the result.
pub struct Applied<'d, R, W> {
    /// The arguments; used up.
    pub x: &'d mut [R],
    /// The results.
    pub out: &'d mut [W],
}

crate::correlation::redacted!([R, W] Applied<'_, R, W>);

impl<R: Ring, W: Ring> Slices for Applied<'_, R, W> {
    type Ring = R;
    type Value = R;

    fn compared(&mut self) -> &mut [R] {
        self.x
    }

    fn count(&self, _beside: usize) -> Result<usize, StepError> {
        expect_len(self.out.len(), self.x.len())?;
        Ok(self.x.len())
    }
}

impl<R: Ring, W: Ring> Piecewise<R, W> {
    /// The function for every `x` of the ring.
    ///
    /// # Errors
    /// [`StepError::DomainOutOfRange`] if the domain does not lie in the ring, the result below or
    /// above it has no word or needs another ring, or the table is none.
    pub fn new(spline: &Spline) -> Result<Self, StepError> {
        let out_of_range = StepError::DomainOutOfRange { ring_bits: R::BITS };
        let (piece_bits, index_bits) = (u32::from(spline.piece_bits), index_bits::<R>(spline)?);
        let is_word = |value: i64, bits: u32| {
            (-(1_i128 << (bits - 1))..1_i128 << (bits - 1)).contains(&i128::from(value))
        };
        let above = match spline.above {
            Above::Constant(above) => is_word(above, W::BITS),
            Above::Identity => R::BITS == W::BITS,
        };
        // Checked first: the end may not even be a number.
        if piece_bits + index_bits >= R::BITS
            || !is_word(spline.low, R::BITS)
            || !is_word(spline.below, W::BITS)
            || !above
        {
            return Err(out_of_range);
        }
        let end = spline.rows.len() as i128 * (1_i128 << piece_bits) + i128::from(spline.low);
        if end >= 1_i128 << (R::BITS - 1) {
            return Err(out_of_range);
        }
        let entry_bytes = (LOW_WORDS + END_WORDS + WHOLE_WORDS).div_ceil(3) * word_bytes::<W>();
        let cut = Cut::plan(R::BITS, Some(piece_bits), Folding::of::<R>(), entry_bytes, 3);
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let [low, end, whole] = core::array::from_fn(|_| Fold::new(&cut, &mut layout));
        let (mask, domain) = layout.word_and::<R, W, _>(|layout| Domain::Any {
            low: low.with_table::<W>(&cut, LOW_WORDS, layout),
            end: end.with_table::<W>(&cut, END_WORDS, layout),
            whole: whole.with_table::<W>(&cut, WHOLE_WORDS, layout),
        });
        let frame = Frame { cut, leaves, layout, mask, offset: true };
        Ok(Self::with_frame(spline, index_bits, domain, frame))
    }

    /// The function for an `x` that is known to lie in the domain, or at its end where the last
    /// piece covers that. Any other `x` gives garbage: only for arguments that a protocol has
    /// brought there.
    ///
    /// # Errors
    /// [`StepError::DomainOutOfRange`] if the pieces do not fit the ring, or the table is none.
    pub fn within(spline: &Spline) -> Result<Self, StepError> {
        let (piece_bits, index_bits) = (u32::from(spline.piece_bits), index_bits::<R>(spline)?);
        if piece_bits + index_bits > R::BITS {
            return Err(StepError::DomainOutOfRange { ring_bits: R::BITS });
        }
        let cut = Cut::plan(piece_bits, None, Folding::Direct, BORROW_WORDS * word_bytes::<W>(), 1);
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let borrow = Fold::new(&cut, &mut layout);
        let (mask, domain) = layout.word_and::<R, W, _>(|layout| Domain::Within {
            words: layout.words::<W>(BORROW_WORDS),
            borrow: borrow.with_table::<W>(&cut, BORROW_WORDS, layout),
        });
        Ok(Self::with_frame(
            spline,
            index_bits,
            domain,
            Frame { cut, leaves, layout, mask, offset: false },
        ))
    }

    fn with_frame(spline: &Spline, index_bits: u32, domain: Domain, mut frame: Frame) -> Self {
        let noise = frame.layout.words::<u64>(2);
        let rows = frame.layout.words::<u64>(TERMS << index_bits);
        let low = R::from_u64(spline.low.cast_unsigned());
        let end = low.add(R::from_u64((spline.rows.len() as u64) << spline.piece_bits));
        Self {
            spline: *spline,
            low,
            end,
            index_bits,
            domain,
            frame,
            rows,
            noise,
            rings: PhantomData,
        }
    }

    fn piece_bits(&self) -> u32 {
        u32::from(self.spline.piece_bits)
    }

    /// The number of a piece, modulo the size of the table, and the local coordinate.
    fn digits(&self, word: R) -> (u32, u64) {
        let coordinate = word.to_u64() & ((1 << self.piece_bits()) - 1);
        #[allow(clippy::cast_possible_truncation)]
        let index = word.shr(self.piece_bits()).to_u64() as u32 & ((1 << self.index_bits) - 1);
        (index, coordinate >> self.spline.drop_bits)
    }

    /// `z` without the offset that gives it signed order.
    fn signed(&self, z: R) -> R {
        if self.frame.offset { z.sub(R::pow2(R::BITS - 1)) } else { z }
    }

    /// A party's share of the value in both cases, at a public word.
    #[inline]
    fn values(&self, half: &mut impl Half, element: usize, z: R) -> [u64; 2] {
        let (index, t) = self.digits(self.signed(z).sub(self.low));
        let wider = t.wrapping_add(1 << self.spline.coordinate_bits());
        [(index, t), (index.wrapping_sub(1) & ((1 << self.index_bits) - 1), wider)].map(
            |(row, t)| {
                let mut term =
                    |term: u32| half.word::<u64>(element, self.rows + (row * TERMS + term) * 8);
                term(2).wrapping_mul(t).wrapping_add(term(1)).wrapping_mul(t).wrapping_add(term(0))
            },
        )
    }

    /// The dealer's rows: polynomials moved by the mask's coordinate, rotated by its digit.
    fn deal_rows(&self, mask: R, truth: &mut Truth<'_>) {
        let (index, coordinate) = self.digits(mask);
        let moved = coordinate.wrapping_neg();
        let place = |row: u32, term: u32| self.rows + (row * TERMS + term) * 8;
        for (row, &[c0, c1, c2]) in (0..).zip(self.spline.rows) {
            let [c0, c1, c2] = [c0, c1, c2].map(i64::cast_unsigned);
            // P(t + moved), coefficient by coefficient.
            let m0 = c2.wrapping_mul(moved).wrapping_add(c1).wrapping_mul(moved).wrapping_add(c0);
            let m1 = c2.wrapping_mul(moved).wrapping_mul(2).wrapping_add(c1);
            for (term, word) in (0..).zip([m0, m1, c2]) {
                truth.set_word(place(row, term), word);
            }
        }
        // Row v shall hold piece v - index: rotated bit by bit, so that no address depends on the
        // mask.
        let words = truth.wide_words(self.rows, TERMS << self.index_bits);
        for bit in 0..self.index_bits {
            rotate(
                words,
                (TERMS << bit) as usize,
                core::hint::black_box(u64::from(index >> bit & 1).wrapping_neg()),
            );
        }
    }

    /// The opened values without their masks, as far as that is public: `(n >> s) - 2^(62-s)`, and
    /// `2^(64-s) (1 - msb n)`.
    fn public_value(&self, opened: u64) -> (W, W) {
        let shift = u32::from(self.spline.shift_bits());
        let high = Ring::sub(Ring::shr(opened, shift), u64::pow2(VALUE_BITS - shift));
        (W::from_u64(high), W::pow2(64 - shift).mul(W::from_u64(u64::from(1 ^ opened.msb()))))
    }

    /// The result in any case: see the head of this file.
    #[inline]
    fn finish_any<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        z: R,
        folds: [&Fold; 3],
        opened: &Opened<'_>,
    ) -> W {
        let (cut, one) = (&self.frame.cut, half.party().constant(W::ONE));
        let [low, end, whole] = folds;
        let delta = [opened.bits(0), opened.bits(1), opened.bits(2)];
        let [low_delta, end_delta, whole_delta] = delta;
        let [low_flip, end_flip, whole_flip] = delta.map(|delta| Fold::flip(cut, delta));
        // One, the borrow, the chosen a >> s, and the signs: alone, and times either comparison.
        let alone = |half: &mut H, index: u32| {
            if index == 0 { one } else { low.word(cut, half, element, low_delta, 4 + index) }
        };
        let (mut inside, mut below, mut beyond) = ([W::ZERO; 5], W::ZERO, W::ZERO);
        let in_public = match (self.is_below(z, self.low), self.is_below(z, self.end)) {
            (false, true) => W::ONE,
            (true, false) => W::ONE.neg(),
            _ => W::ZERO,
        };
        for (index, inside) in (0..).zip(&mut inside) {
            let alone: W = alone(half, index);
            let from_low = turned(low_flip, alone, low.word(cut, half, element, low_delta, index));
            let from_end = turned(end_flip, alone, end.word(cut, half, element, end_delta, index));
            // [low <= x < end] = [u_end < r] - [u_low < r] + [z < end'] - [z < low'].
            *inside = from_end.sub(from_low).add(in_public.mul(alone));
            if index == 0 {
                (below, beyond) = (from_low, from_end);
            }
        }
        let wrapped = turned(whole_flip, one, whole.word(cut, half, element, whole_delta, 0));
        let at_end: W = compare::at_least(one, z, self.end, beyond, wrapped);
        let at_low: W = compare::at_least(one, z, self.low, below, wrapped);
        let constant = |value: i64| W::from_u64(value.cast_unsigned());
        let outside = one.sub(at_low).mul(constant(self.spline.below));
        let outside = outside.add(match self.spline.above {
            Above::Constant(above) => at_end.mul(constant(above)),
            Above::Identity => {
                let mask = W::from_u64(half.word::<R>(element, self.frame.mask).to_u64());
                let end_mask = turned(end_flip, mask, end.word(cut, half, element, end_delta, 5));
                let whole_mask =
                    turned(whole_flip, mask, whole.word(cut, half, element, whole_delta, 1));
                let masked: W = compare::at_least(mask, z, self.end, end_mask, whole_mask);
                at_end.mul(W::from_u64(self.signed(z).to_u64())).sub(masked)
            }
        });
        let ([n_0, w_0], [n_1, w_1]) = self.opened_values(opened);
        let [inside, borrow, masks, sign_0, sign_1] = inside;
        outside
            .add(inside.mul(n_0))
            .add(borrow.mul(n_1.sub(n_0)))
            .sub(masks)
            .add(w_0.mul(sign_0))
            .add(w_1.mul(sign_1))
    }

    fn opened_values(&self, opened: &Opened<'_>) -> ([W; 2], [W; 2]) {
        let value = |at| {
            let (n, w) = self.public_value(opened.word(at));
            [n, w]
        };
        (value(0), value(8))
    }

    /// Whether `z` lies below a signed constant in unsigned order.
    fn is_below(&self, z: R, constant: R) -> bool {
        z.to_u64() < constant.add(R::pow2(R::BITS - 1)).to_u64()
    }

    /// The result in a known domain.
    #[inline]
    fn finish_within<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        borrow: &Fold,
        words: u32,
        opened: &Opened<'_>,
    ) -> W {
        let (cut, one, delta) = (&self.frame.cut, half.party().constant(W::ONE), opened.bits(0));
        let flip = Fold::flip(cut, delta);
        let word =
            |half: &mut H, index: u32| half.word::<W>(element, words + index * word_bytes::<W>());
        let times = |half: &mut H, whole: W, index: u32| {
            turned(flip, whole, borrow.word(cut, half, element, delta, index))
        };
        let [first, difference, sign_0, sign_1] = core::array::from_fn(|index| {
            #[allow(clippy::cast_possible_truncation)]
            let index = index as u32;
            word(half, index)
        });
        let c = times(half, one, 0);
        let masks = first.add(times(half, difference, 1));
        let (kept_0, kept_1) = (sign_0.sub(times(half, sign_0, 2)), times(half, sign_1, 3));
        let ([n_0, w_0], [n_1, w_1]) = self.opened_values(opened);
        one.mul(n_0).add(c.mul(n_1.sub(n_0))).sub(masks).add(w_0.mul(kept_0)).add(w_1.mul(kept_1))
    }
}

/// The most bits that number the rows of a table.
const MAX_INDEX_BITS: u32 = 12;

/// Bits that number the rows of a table, of which all shifts are checked.
fn index_bits<R: Ring>(spline: &Spline) -> Result<u32, StepError> {
    let pieces = (1..R::BITS.min(63)).contains(&u32::from(spline.piece_bits))
        && spline.drop_bits < spline.piece_bits;
    let values = spline
        .value_frac_bits
        .checked_sub(spline.out_frac_bits)
        .is_some_and(|shift| u32::from(shift) <= VALUE_BITS);
    if !pieces || !values || !(1..=1 << MAX_INDEX_BITS).contains(&spline.rows.len()) {
        return Err(StepError::DomainOutOfRange { ring_bits: R::BITS });
    }
    Ok(spline.rows.len().next_power_of_two().trailing_zeros())
}

impl<R: Ring, W: Ring> Comparing for Piecewise<R, W> {
    type Ring = R;
    type Data<'d> = Applied<'d, R, W>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn folds(&self) -> u32 {
        match self.domain {
            Domain::Any { .. } => 3,
            Domain::Within { .. } => 1,
        }
    }

    fn fold(&self, index: u32) -> Fold {
        match self.domain {
            Domain::Any { low, end, whole } => {
                [low, end].get(index as usize).copied().unwrap_or(whole)
            }
            Domain::Within { borrow, .. } => borrow,
        }
    }

    fn public(&self, index: u32, z: R) -> R {
        match (self.domain, index) {
            (Domain::Within { .. }, _) => z.sub(self.low),
            (_, 0) => self.signed(z).sub(self.low),
            (_, 1) => self.signed(z).sub(self.end),
            _ => z,
        }
    }

    fn last_bytes(&self) -> usize {
        16
    }

    fn last<H: Half>(&self, half: &mut H, element: usize, z: R, out: &mut [u8]) {
        let offset = half.party().constant(u64::pow2(VALUE_BITS));
        let values = self.values(half, element, z);
        for (index, value) in (0..).zip(values) {
            let noise: u64 = half.word(element, self.noise + 8 * index);
            write(out, 8 * index as usize, Ring::add(Ring::add(value, noise), offset));
        }
    }

    #[inline]
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Applied<'_, R, W>,
        opened: &Opened<'_>,
    ) {
        let (Some(&z), Some(out)) = (data.x.get(element), data.out.get_mut(element)) else {
            return;
        };
        *out = match &self.domain {
            Domain::Any { low, end, whole } => {
                self.finish_any(half, element, z, [low, end, whole], opened)
            }
            Domain::Within { borrow, words } => {
                self.finish_within(half, element, borrow, *words, opened)
            }
        };
    }

    fn deal_rest<G: CryptoRng>(&self, mask: R, truth: &mut Truth<'_>, rng: &mut G) {
        self.deal_rows(mask, truth);
        let noise = [rng.next_u64(), rng.next_u64()];
        for (index, word) in (0..).zip(noise) {
            truth.set_word(self.noise + 8 * index, word);
        }
        let shift = u32::from(self.spline.shift_bits());
        let [a_0, a_1] = noise.map(|noise| W::from_u64(Ring::shr(noise, shift)));
        let [sign_0, sign_1] = noise.map(|noise| W::from_u64(u64::from(noise.msb())));
        let difference = a_1.sub(a_0);
        let mask = W::from_u64(mask.to_u64());
        let cut = &self.frame.cut;
        match &self.domain {
            Domain::Any { low, end, whole } => {
                let chosen = |c: W| {
                    [
                        W::ONE,
                        c,
                        a_0.add(c.mul(difference)),
                        sign_0.sub(c.mul(sign_0)),
                        c.mul(sign_1),
                    ]
                };
                low.deal::<W, _, 9>(cut, truth, rng, 0, |h, c| {
                    let [one, borrow, masks, kept_0, kept_1] = chosen(c);
                    let [a, b, d, e, f] =
                        [one, borrow, masks, kept_0, kept_1].map(|word| h.mul(word));
                    [a, b, d, e, f, borrow, masks, kept_0, kept_1]
                });
                end.deal::<W, _, 6>(cut, truth, rng, 0, |h, c| {
                    let [a, b, d, e, f] = chosen(c).map(|word| h.mul(word));
                    [a, b, d, e, f, h.mul(mask)]
                });
                whole.deal::<W, _, 2>(cut, truth, rng, 0, |h, _| [h, h.mul(mask)]);
            }
            Domain::Within { borrow, words } => {
                for (index, word) in (0..).zip([a_0, difference, sign_0, sign_1]) {
                    truth.set_word(words + index * word_bytes::<W>(), word);
                }
                let entry = |h: W| [h, h.mul(difference), h.mul(sign_0), h.mul(sign_1)];
                borrow.deal::<W, _, 4>(cut, truth, rng, 0, |h, _| entry(h));
            }
        }
    }

    fn plain(&self, data: &mut Applied<'_, R, W>, up: &mut impl FnMut() -> bool) {
        for (x, out) in data.x.iter().zip(data.out.iter_mut()) {
            let x = if matches!(self.domain, Domain::Any { .. }) {
                x.to_i64()
            } else {
                x.to_u64().cast_signed()
            };
            *out = W::from_u64(self.spline.eval_rounded(x, up).cast_unsigned());
        }
    }
}

/// Rotates words `step` places up where `turn` is all ones, and leaves them where it is zero: the
/// last `step` words change places with all that are before them. `step` divides their number.
pub(super) fn rotate(words: &mut [[u8; 8]], step: usize, turn: u64) {
    let mut rest = words;
    while rest.len() > step {
        let (before, last) = rest.split_at_mut(rest.len() - step);
        let places = before.len().saturating_sub(step)..;
        for (a, b) in before.get_mut(places).unwrap_or_default().iter_mut().zip(last) {
            let [word_a, word_b] = [*a, *b].map(u64::from_le_bytes);
            let change = (word_a ^ word_b) & turn;
            (*a, *b) = ((word_a ^ change).to_le_bytes(), (word_b ^ change).to_le_bytes());
        }
        rest = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::Protocol;
    use crate::functions::protocol::check::{self, all};
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    /// `(x + 5)^2`-like pieces, 8 words wide, from -20 on; two fraction bits more than the result.
    const SQUARES: Spline = Spline {
        in_frac_bits: 0,
        out_frac_bits: 0,
        low: -20,
        piece_bits: 3,
        drop_bits: 0,
        value_frac_bits: 2,
        rows: &[[900, -120, 4], [196, -56, 5], [5, 8, 4], [-400, 9, -7], [3, 0, 1]],
        below: -7,
        above: Above::Constant(11),
        bound: 0.0,
        relative_bound: 0.0,
        coordinate_bound: 0.0,
    };
    const RAMP: Spline = Spline {
        above: Above::Identity,
        value_frac_bits: 0,
        rows: &[[-9, 1, 0], [3, -1, 2]],
        ..SQUARES
    };

    fn check<R: Ring, W: Ring>(gate: &Piecewise<R, W>, x: &[R], exact: bool, seed: u8) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let (mut x_0, mut x_1) = check::share(x, &mut rng);
        let [mut out_0, mut out_1, mut twin] = core::array::from_fn(|_| vec![W::ZERO; x.len()]);
        let (data_0, data_1) =
            (Applied { x: &mut x_0, out: &mut out_0 }, Applied { x: &mut x_1, out: &mut out_1 });
        check::run(gate, &mut rng, data_0, data_1);
        gate.twin(&mut Applied { x: &mut x.to_vec(), out: &mut twin });
        let mut up = twin.clone();
        gate.twin_rounded(&mut Applied { x: &mut x.to_vec(), out: &mut up }, &mut || true);
        for (((x, private), twin), up) in
            x.iter().zip(check::open(&out_0, &out_1)).zip(twin).zip(up)
        {
            let high = private.sub(twin).to_u64();
            let inside = gate.spline.locate(x.to_i64()).is_some();
            assert!(
                high <= u64::from(inside && !exact),
                "x = {x:?}: {private:?}, twin {twin:?}, seed {seed}"
            );
            assert!(
                high == 0 || private == up,
                "x = {x:?}: {private:?}, rounded up {up:?}, seed {seed}"
            );
        }
    }

    #[test]
    fn every_value_of_small_rings() {
        for seed in 0..40 {
            check(&Piecewise::<Small<7>, u32>::new(&SQUARES).expect("fits"), &all(), false, seed);
            check(
                &Piecewise::<Small<9>, Small<16>>::new(&SQUARES).expect("fits"),
                &all(),
                false,
                seed,
            );
            check(&Piecewise::<Small<8>, Small<8>>::new(&RAMP).expect("fits"), &all(), true, seed);
        }
    }

    #[test]
    fn wide_rings() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let near = |value: i64| value.cast_unsigned();
        let narrow: Vec<u32> = (-60..60)
            .map(|x| u32::from_u64(near(x)))
            .chain(check::words::<u32>(200, &mut rng))
            .collect();
        let wide: Vec<u64> =
            (-60..60).map(near).chain(check::words::<u64>(200, &mut rng)).collect();
        for seed in 0..4 {
            check(&Piecewise::<u32, u32>::new(&SQUARES).expect("fits"), &narrow, false, seed);
            check(&Piecewise::<u32, u64>::new(&SQUARES).expect("fits"), &narrow, false, seed);
            check(&Piecewise::<u64, u64>::new(&SQUARES).expect("fits"), &wide, false, seed);
            check(&Piecewise::<u64, u64>::new(&RAMP).expect("fits"), &wide, true, seed);
            check(&Piecewise::<u64, u32>::new(&SQUARES).expect("fits"), &wide, false, seed);
        }
    }

    #[test]
    fn a_known_domain() {
        const KNOWN: Spline = Spline { low: 100, ..SQUARES };
        let inside: Vec<u64> = (100..140).collect();
        for seed in 0..40 {
            check(&Piecewise::<u64, u64>::within(&KNOWN).expect("fits"), &inside, false, seed);
            let inside: Vec<u32> = (100..140).collect();
            check(&Piecewise::<u32, u64>::within(&KNOWN).expect("fits"), &inside, false, seed);
        }
    }

    #[test]
    fn domains_out_of_the_ring_are_refused() {
        assert!(Piecewise::<Small<5>, u32>::new(&SQUARES).is_err());
        assert!(Piecewise::<u64, u32>::new(&RAMP).is_err());
    }
}
