//! ReLU with truncation, and truncation alone: one round trip, exact.
//!
//! * Computes: shares of `max(y, 0) >> s`, or of `y >> s` (rounding down), for shared `y` in
//!   `Z_2^k` of which a public width of `w <= 32` bits is known to be enough.
//! * Model: semi-honest parties and dealer; every message of `P0` is one-time padded whatever `P1`
//!   does.
//! * Reference: masked comparison by digits with dealt tables, after the mask-and-compare approach
//!   of Ge, Zhou, Guo, Li (arXiv 2104.04709) and the table correlations of TinyTable (Damgard,
//!   Nielsen, Nielsen, Ranellucci, CRYPTO 2017).
//! * Consumes: one correlation per element.
//! * Costs: 2 messages; `w + 2 n - 1` bits per element and party for `n` digits. See [`cost`].
//! * Error bound: exact, for every `y` of `w` bits; another is taken modulo `2^w`.
//!
//! ```text
//! message 1:  z = y + r mod 2^w               public afterwards      (truncation: y + 2^(w-1) + r)
//! leaves:     u = (t, e, l, ...) at the digits of z,   t ^= 1 - ... msb(z)
//! message 2:  delta = u xor rho               public afterwards
//! table:      (h, h q, h m, q) at delta,      turned where delta's t-bit is 1
//! ```
//!
//! and then the formula of [`crate::gate`].
//!
//! In a session `P1` sends both its messages at once: it has `P0`'s message 1 beforehand, so it
//! knows `z` first.

mod branchless;
mod correlation;
mod deal;
pub mod digits;
#[cfg(feature = "inside")]
pub mod inside;
mod pieces;
mod plans;

use crate::cost::{Cost, Traffic};
use crate::gate::{self, GateKind};
use crate::keystream::{Rounds, words_per_block};
use crate::opened::opened;
use crate::ring::Ring;
use crate::session::packed::{add_bits, bits_at, packed_bytes};
use crate::session::piece::PIECE_ELEMS;
use crate::share::Party;
use crate::step::{StepError, expect_len};
use correlation::Half;
pub use correlation::{Received, correction_bytes};
pub use deal::deal;
use digits::Digits;
pub use pieces::{MaskPiece, Masks, TablePiece, Tables};

/// Bytes of the opened leaf bits of `elements` gates, packed.
#[must_use]
pub const fn opened_bytes(digits: &Digits, elements: usize) -> usize {
    (elements * digits.opened_bits() as usize).div_ceil(8)
}

/// Most bytes that the opened leaf bits of a piece take.
pub const MAX_PIECE_OPENED_BYTES: usize = PIECE_ELEMS * (2 * digits::MAX_DIGITS - 1) / 8;

/// `P0`'s message 1 for a piece: `y_0 + r_0`, in place; the gate's width of it is sent.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `y_0` is not as long as the piece.
pub fn mask<R: Ring, C: Rounds>(piece: MaskPiece<'_, C>, y_0: &mut [R]) -> Result<(), StepError> {
    expect_len(y_0.len(), piece.len())?;
    piece.add_to(y_0);
    Ok(())
}

/// `P0` for a piece, when `z` and `P1`'s message 2 are there: writes its own message 2 to
/// `own_bits`, and replaces `z` by its share of the result.
///
/// # Errors
/// [`StepError::LengthMismatch`] if `z` is not as long as the piece, or the bits are not
/// [`opened_bytes`] long.
pub fn finish_p0<R: Ring, C: Rounds>(
    piece: TablePiece<'_, C>,
    peer_bits: &[u8],
    own_bits: &mut [u8],
    z: &mut [R],
) -> Result<(), StepError> {
    let digits = *piece.digits();
    expect_len(z.len(), piece.len())?;
    expect_len(peer_bits.len(), opened_bytes(&digits, piece.len()))?;
    expect_len(own_bits.len(), opened_bytes(&digits, piece.len()))?;
    own_bits.fill(0);
    piece.spend(|index, half| {
        let Some(z) = z.get_mut(index) else { return };
        // Under `rho`, and about to be sent.
        let own = opened(half.masked_leaves(*z));
        add_bits(own_bits, digits.opened_bits(), index, own);
        let delta = own ^ bits_at(peer_bits, digits.opened_bits(), index);
        *z = finish(&half, &digits, Party::P0, *z, delta);
    });
    Ok(())
}

/// `P1`'s gates between its messages and `P0`'s answer.
#[derive(Debug)]
pub struct Opened<'a>(Received<'a>);

/// `P1`, when `P0`'s message 1 is there: replaces its own `y_1` by the public `z`, and writes its
/// message 2 to `own_bits`.
///
/// # Errors
/// [`StepError::LengthMismatch`] if a slice is not as long as the correlation.
pub fn open_p1<'a, R: Ring>(
    received: Received<'a>,
    peer_masked: &[R],
    own_bits: &mut [u8],
    y_1: &mut [R],
) -> Result<Opened<'a>, StepError> {
    let digits = *received.digits();
    expect_len(peer_masked.len(), y_1.len())?;
    expect_len(received.gates::<R>().count(), y_1.len())?;
    expect_len(own_bits.len(), opened_bytes(&digits, y_1.len()))?;
    own_bits.fill(0);
    let offset = match digits.kind() {
        GateKind::Relu => R::ZERO,
        GateKind::Truncate => R::pow2(digits.width_bits() - 1),
    };
    for (index, ((half, y), &masked)) in received.gates::<R>().zip(y_1).zip(peer_masked).enumerate()
    {
        // Under `r`, and about to be sent.
        let z = opened(digits.bits().low(y.add(half.mask()).add(masked).add(offset)));
        // The public part of t: one party adds it.
        let public = match digits.kind() {
            GateKind::Relu => digits.bits().msb(z) << (digits.opened_bits() - 1),
            GateKind::Truncate => 0,
        };
        // Under `rho`, and about to be sent.
        let own = opened(Half::<R>::masked_leaves(&half, z) ^ public);
        add_bits(own_bits, digits.opened_bits(), index, own);
        *y = z;
    }
    Ok(Opened(received))
}

/// `P1`, when `P0`'s message 2 is there: replaces `z` by its share of the result.
///
/// # Errors
/// [`StepError::LengthMismatch`] if a slice is not as long as the correlation.
pub fn finish_p1<R: Ring>(
    opened: Opened<'_>,
    own_bits: &[u8],
    peer_bits: &[u8],
    z: &mut [R],
) -> Result<(), StepError> {
    let digits = *opened.0.digits();
    expect_len(opened.0.gates::<R>().count(), z.len())?;
    expect_len(own_bits.len(), opened_bytes(&digits, z.len()))?;
    expect_len(peer_bits.len(), opened_bytes(&digits, z.len()))?;
    for (index, (half, z)) in opened.0.gates::<R>().zip(z).enumerate() {
        let bits = |of| bits_at(of, digits.opened_bits(), index);
        let delta = bits(own_bits) ^ bits(peer_bits);
        *z = finish(&half, &digits, Party::P1, *z, delta);
    }
    Ok(())
}

/// A party's share of the result, from the public `z` and `delta` and its half of the correlation.
#[inline]
fn finish<R: Ring>(half: &impl Half<R>, digits: &Digits, party: Party, z: R, delta: u32) -> R {
    let entry = half.entry(delta & (digits.table_entries() - 1));
    let flip = delta >> (digits.opened_bits() - 1) & 1 == 1;
    match digits.kind() {
        GateKind::Relu => gate::relu(party, digits.bits(), (z, flip), entry, half.sign()),
        GateKind::Truncate => {
            let [h, q, ..] = entry;
            gate::truncate(party, digits.bits(), (z, flip), [h, q])
        }
    }
}

/// What the gates of a layer cost.
#[must_use]
pub fn cost<R: Ring>(digits: &Digits, elements: u16) -> Cost {
    let n = u64::from(elements);
    let words = packed_bytes(usize::from(elements), digits.width_bits()) as u64;
    let bits = opened_bytes(digits, usize::from(elements)) as u64;
    let word_blocks = n.div_ceil(words_per_block::<R>() as u64);
    let sign_blocks = if digits.kind() == GateKind::Relu { word_blocks } else { 0 };
    let opening_blocks = n.div_ceil(PIECE_ELEMS as u64);
    Cost {
        prepare: Traffic { messages: 1, bytes: words },
        up: Traffic { messages: 1, bytes: bits },
        down: Traffic { messages: 1, bytes: words + bits },
        dealer_bytes: n * correction_bytes::<R>(digits) as u64,
        prepare_blocks: word_blocks,
        online_blocks: n * u64::from(digits.device_blocks()) + sign_blocks + opening_blocks,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::convert::Infallible;
    use std::{eprintln, vec, vec::Vec};

    use rand_chacha::ChaCha12Rng;
    use rand_core::{CryptoRng, Rng, SeedableRng, TryCryptoRng, TryRng};

    use super::*;
    use crate::correlation::{Position, SessionToken};
    use crate::keystream::{ChaCha8, Key, Keystream};
    use crate::ring::Small;
    use crate::session::gate::deal;
    use crate::session::phases::{FirstMasks, Follows, Offline};
    use crate::shape::Shape;

    fn gate_masks<C: Rounds>(masks: FirstMasks<'_, C>) -> Masks<'_, C> {
        match masks {
            FirstMasks::Gate(masks) => masks,
            _ => panic!("gated"),
        }
    }

    /// Runs the gate on all `y`, both parties and the dealer, and compares with the twin.
    fn check<R: Ring>(digits: Digits, ys: &[R], rng: &mut ChaCha12Rng, seed: u64) {
        let key = Keystream::new(&Key::generate(rng));
        check_dealt(&key, digits, ys, |rng| rng, rng, seed);
    }

    /// The same under a key; the dealer draws from `dealer`'s.
    fn check_dealt<'r, R: Ring, D: CryptoRng>(
        key: &Keystream<ChaCha8>,
        digits: Digits,
        ys: &[R],
        dealer: impl FnOnce(&'r mut ChaCha12Rng) -> D,
        rng: &'r mut ChaCha12Rng,
        seed: u64,
    ) {
        let elements = u16::try_from(ys.len()).expect("few");
        let session = rng.next_u64();
        let shares_0: Vec<R> = ys.iter().map(|_| R::from_u64(rng.next_u64())).collect();
        let position = Position { session, layer: 0 };
        let mut correction = vec![0; ys.len() * correction_bytes::<R>(&digits)];
        deal::<R, _>(key, position, &digits, 0..elements, &mut dealer(rng), &mut correction)
            .expect("sized");

        let mut word_1: Vec<R> = ys.iter().zip(&shares_0).map(|(y, share)| y.sub(*share)).collect();
        let parts = Shape::Dense { inputs: 1, outputs: elements }.alone(0);
        let mut offline = Offline::new(key, SessionToken::consumed(session));
        let mut masked = shares_0;
        let masks = gate_masks(offline.layer(key, parts, Follows::Gate).1);
        for (piece, words) in masks.zip(masked.chunks_mut(PIECE_ELEMS)) {
            mask(piece, words).expect("sized");
        }

        let bytes = opened_bytes(&digits, ys.len());
        let (mut bits_0, mut bits_1) = (vec![0; bytes], vec![0; bytes]);
        let received = Received::new::<R>(digits, elements, &correction).expect("sized");
        let opened = open_p1(received, &masked, &mut bits_1, &mut word_1).expect("sized");
        let mut word_0 = word_1.clone();
        let piece_bytes = opened_bytes(&digits, PIECE_ELEMS);
        let (_, tables) = offline.finish().layer((Some(1), elements), Some(digits));
        for (i, piece) in tables.expect("gated").enumerate() {
            let words = i * PIECE_ELEMS..i * PIECE_ELEMS + piece.len();
            let bits = i * piece_bytes..bytes.min((i + 1) * piece_bytes);
            finish_p0(piece, &bits_1[bits.clone()], &mut bits_0[bits], &mut word_0[words])
                .expect("sized");
        }
        finish_p1(opened, &bits_1, &bits_0, &mut word_1).expect("sized");

        for ((&y, &a), &b) in ys.iter().zip(&word_0).zip(&word_1) {
            assert_eq!(
                a.add(b),
                gate::twin(digits.kind(), digits.bits(), y),
                "seed {seed}, {digits:?}, y = {y:?}"
            );
        }
    }

    /// Draws a chosen mask share, and everything else at random.
    struct ChosenMask<'r> {
        mask: u64,
        rng: &'r mut ChaCha12Rng,
    }

    impl TryRng for ChosenMask<'_> {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.rng.next_u32())
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.mask)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            self.rng.fill_bytes(bytes);
            Ok(())
        }
    }
    impl TryCryptoRng for ChosenMask<'_> {}

    /// Every `y` under every mask, every shift, both kinds, for gates of 2 to 10 bits in a ring of
    /// as many bits, and in wider ones.
    #[test]
    fn exhaustive_for_narrow_gates() {
        fn ring<const K: u32>(width_bits: u32) {
            let mut rng = ChaCha12Rng::seed_from_u64(width_bits.into());
            let key = Keystream::<ChaCha8>::new(&Key::from_bytes([9; 32]));
            // As the ring has them: with the sign in the bits above.
            let half = 1_i64 << (width_bits - 1);
            let ys = (-half..half).map(|y| Small::<K>::from_u64(y.cast_unsigned()));
            let ys: Vec<_> = ys.collect();
            for kind in [GateKind::Relu, GateKind::Truncate] {
                for shift in 0..width_bits - 1 {
                    let digits = Digits::plan(width_bits, shift, kind).expect("in range");
                    // The session is the same, and so all shares of a mask give all masks.
                    let session = rng.clone();
                    for mask in 0..1 << width_bits {
                        let dealer = |rng| ChosenMask { mask, rng };
                        check_dealt(&key, digits, &ys, dealer, &mut session.clone(), mask);
                    }
                    rng.next_u64();
                }
            }
        }
        ring::<2>(2);
        ring::<3>(3);
        ring::<4>(4);
        ring::<5>(5);
        ring::<6>(6);
        ring::<7>(7);
        ring::<8>(8);
        ring::<9>(9);
        ring::<10>(10);
        for width_bits in 2..8 {
            ring::<8>(width_bits);
        }
        for width_bits in [2, 5, 8, 9, 10] {
            ring::<16>(width_bits);
        }
    }

    /// The extremes of the ring and both sides of every power of two, and random values, at every
    /// shift.
    #[test]
    fn extremes_and_random_values_at_32_bits() {
        let seed = rand_seed();
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut ys: Vec<u32> =
            vec![0, 1, u32::MAX, i32::MIN.cast_unsigned(), i32::MAX.cast_unsigned()];
        for power in 0..32 {
            let power = 1_u32 << power;
            ys.extend([power.wrapping_sub(1), power, power.wrapping_add(1), power.wrapping_neg()]);
        }
        for kind in [GateKind::Relu, GateKind::Truncate] {
            for shift in 0..31 {
                // A word beyond a narrow gate is taken modulo its width, as the twin takes it.
                let width_bits = shift + 2 + rng.next_u32() % (31 - shift);
                for width_bits in [width_bits, 32] {
                    let digits = Digits::plan(width_bits, shift, kind).expect("in range");
                    let mut ys = ys.clone();
                    ys.extend((0..100).map(|_| rng.next_u32()));
                    ys.extend((0..100).map(|_| rng.next_u32() >> (rng.next_u32() % 32)));
                    check(digits, &ys, &mut rng, seed);
                }
            }
        }
    }

    /// A seed that differs from run to run and is printed.
    fn rand_seed() -> u64 {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        let seed = u64::try_from(now % u128::from(u64::MAX)).expect("reduced");
        eprintln!("seed {seed}");
        seed
    }

    #[test]
    fn rings_of_other_widths() {
        let seed = rand_seed();
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        for shift in 0..15 {
            for kind in [GateKind::Relu, GateKind::Truncate] {
                let ys: Vec<Small<16>> =
                    (0..200).map(|_| Small::from_u64(rng.next_u64())).collect();
                check(Digits::plan(16, shift, kind).expect("in range"), &ys, &mut rng, seed);
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused_before_anything_is_computed() {
        let digits = Digits::plan(32, 12, GateKind::Relu).expect("in range");
        assert!(Received::new::<u32>(digits, 3, &[0; 10]).is_err());
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let key = Keystream::<ChaCha8>::new(&Key::generate(&mut rng));
        let position = Position { session: 0, layer: 0 };
        assert!(deal::<u32, _>(&key, position, &digits, 0..2, &mut rng, &mut [0; 3]).is_err());
        let mut offline = Offline::new(&key, SessionToken::consumed(0));
        let parts = Shape::Dense { inputs: 1, outputs: 3 }.alone(0);
        let mut masks = gate_masks(offline.layer(&key, parts, Follows::Gate).1);
        let piece = masks.next().expect("one piece");
        let expected = StepError::LengthMismatch { expected_elems: 3, found_elems: 2 };
        assert_eq!(mask(piece, &mut [0_u32; 2]), Err(expected));
        assert!(masks.next().is_none());
    }
}
