//! The dealer's view of the gate's correlation: both halves, of which `P1`'s is written down.
//!
//! Every part is written as it is, and then `P0`'s keystream is taken off it.

use core::hint::black_box;
use core::ops::Range;

use rand_core::CryptoRng;

use super::branchless::{leaf_word, moved};
use super::correlation::{below_top, correction_bytes, nested, record};
use super::digits::Digits;
use super::pieces::{Derive, WordShares};
use crate::correlation::{LengthError, Position};
use crate::gate::GateKind;
use crate::keystream::{BLOCK_BYTES, Keystream, Kind, Rounds, words_per_block};
use crate::ring::Ring;

/// **Deal**: writes `P1`'s half of the gates `elements` of a layer to `out`.
///
/// `P0`'s half lies under `keystream` at `position`; what neither half determines is drawn from
/// `rng`.
///
/// # Errors
/// [`LengthError`] if `out` is not [`correction_bytes`] per element long.
pub fn deal<R: Ring, C: Rounds>(
    keystream: &Keystream<C>,
    position: Position,
    digits: &Digits,
    elements: Range<u16>,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) -> Result<(), LengthError> {
    let each = correction_bytes::<R>(digits);
    let expected_bytes = elements.len() * each;
    if out.len() != expected_bytes {
        return Err(LengthError { expected_bytes, found_bytes: out.len() });
    }
    let derive = Derive { keystream, position };
    let truths = TableTruths::new(digits);
    let mut shares: Option<WordShares<R>> = None;
    for (element, out) in elements.map(u32::from).zip(out.chunks_exact_mut(each)) {
        let of = shares
            .take()
            .filter(|shares| shares.covers(element))
            .unwrap_or_else(|| WordShares::derive(&derive, element));
        deal_element::<R, C>(&derive, digits, &truths, &of, element, rng, out);
        shares = Some(of);
    }
    Ok(())
}

/// What an arithmetic table holds for all values `u` of the lower leaf bits: one bit each, a public
/// function of the cut.
struct TableTruths {
    below_top: u64,
    low: u64,
}

impl TableTruths {
    fn new(digits: &Digits) -> Self {
        let collect = |bit: &dyn Fn(u32) -> u32| {
            (0..digits.table_entries()).fold(0, |bits, u| bits | u64::from(bit(u) & 1) << u)
        };
        Self {
            below_top: collect(&|u| below_top(u, digits.count())),
            low: collect(&|u| nested(u, digits.low())),
        }
    }
}

fn deal_element<R: Ring, C: Rounds>(
    derive: &Derive<'_, C>,
    digits: &Digits,
    truths: &TableTruths,
    shares: &WordShares<R>,
    element: u32,
    rng: &mut impl CryptoRng,
    out: &mut [u8],
) {
    let record = record::<R>(digits);
    let mask_1 = R::from_u64(rng.next_u64());
    let mask = digits.bits().low(shares.mask(element).add(mask_1));
    let sign = digits.bits().msb(mask);
    let opened_mask = (1 << digits.opened_bits()) - 1;
    let rho_1 = rng.next_u32() & opened_mask;
    let rho = (shares.opening(element) & opened_mask) ^ rho_1;

    let Some((head, rest)) = out.split_at_mut_checked(record.leaves) else { return };
    let Some((leaves, table)) = rest.split_at_mut_checked(record.table - record.leaves) else {
        return;
    };
    mask_1.write_le(head);
    if let Some(opening) = head.get_mut(record.opening) {
        *opening = rho_1.to_le_bytes()[0];
    }
    let flip = match digits.kind() {
        GateKind::Relu => {
            let sign_1 = R::from_u64(u64::from(sign)).sub(shares.sign(element));
            sign_1.write_le(head.get_mut(record.sign..record.opening).unwrap_or_default());
            1 ^ sign
        }
        GateKind::Truncate => 0,
    };
    deal_leaves(derive, digits, element, mask.to_u64(), flip, leaves);
    deal_table::<R, C>(derive, digits, truths, element, mask, rho, table);
}

/// The leaf tables of one element, in whole keystream blocks. `flip` is xored to every `t`.
fn deal_leaves<C: Rounds>(
    derive: &Derive<'_, C>,
    digits: &Digits,
    element: u32,
    mask: u64,
    flip: u32,
    out: &mut [u8],
) {
    out.fill(0);
    for j in 0..digits.count() {
        let digit = digits.digit(j, mask);
        let top = j + 1 == digits.count();
        let entry_bits = digits.entry_bits(j);
        let entries = 1_u32 << digits.widths().get(j).copied().unwrap_or(0);
        let per_word = (32 / entry_bits).min(entries);
        let place = digits.table_start(j);
        for word in 0..entries / per_word {
            let truth = leaf_word(digit, word * per_word, per_word, entry_bits, top, flip);
            let bit = place + word * 32;
            let at = (bit / 32 * 4) as usize;
            if let Some(bytes) = out.get_mut(at..at + 4) {
                let old = <u32 as Ring>::read_le(bytes);
                (old | truth << (bit % 32)).write_le(bytes);
            }
        }
    }
    let domain = derive.position.domain(Kind::GateLeaves);
    let first = element * digits.leaf_blocks();
    let mut blocks = out.chunks_exact_mut(BLOCK_BYTES);
    derive.keystream.for_each_block(domain, first, digits.leaf_blocks(), |block| {
        for (bytes, &share) in
            blocks.next().unwrap_or_default().chunks_exact_mut(4).zip(block.words())
        {
            let truth = <u32 as Ring>::read_le(bytes);
            (truth ^ share).write_le(bytes);
        }
    });
}

/// The arithmetic table of one element.
fn deal_table<R: Ring, C: Rounds>(
    derive: &Derive<'_, C>,
    digits: &Digits,
    truths: &TableTruths,
    element: u32,
    mask: R,
    rho: u32,
    out: &mut [u8],
) {
    let top_mask = rho >> (digits.opened_bits() - 1);
    let rho = rho & (digits.table_entries() - 1);
    let truths = [truths.below_top, truths.low].map(|truths| moved(truths, rho));
    // Hidden from the compiler, which would otherwise make two loops and branch on the secret bit.
    let sign = black_box(R::from_u64(u64::from(digits.bits().msb(mask))));
    let high = mask.shr(digits.shift());
    let entry_bytes = digits.kind().entry_words() * R::BYTES;
    let blocks = digits.table_blocks(R::BITS.div_ceil(32));
    let domain = derive.position.domain(Kind::GateTable);
    let mut delta = 0_u32;
    let mut pieces = out.chunks_mut(words_per_block::<R>() * R::BYTES);
    derive.keystream.for_each_block(domain, element * blocks, blocks, |share| {
        let mut shares = share.ring_words::<R>();
        for out in pieces.next().unwrap_or_default().chunks_exact_mut(entry_bytes.max(1)) {
            let [below_top, low] = truths.map(|truths| truths >> delta & 1);
            let h = R::from_u64(below_top ^ u64::from(top_mask));
            let q = high.add(R::from_u64(low));
            let truth = match digits.kind() {
                GateKind::Relu => [h, h.mul(q), h.mul(sign), q],
                GateKind::Truncate => [h, q, R::ZERO, R::ZERO],
            };
            for ((out, truth), share) in out.chunks_exact_mut(R::BYTES).zip(truth).zip(&mut shares)
            {
                truth.sub(share).write_le(out);
            }
            delta += 1;
        }
    });
}
