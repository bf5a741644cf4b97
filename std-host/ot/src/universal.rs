//! Linear sums of blocks under a key: POLYVAL (RFC 8452), a polynomial over `GF(2^128)`.
//!
//! For columns it is the universal hash of SoftSpokenOT's check (eprint 2022/192, section 4). It is
//! linear over bits, and of `n` blocks that are not all zero the sum is zero for at most `n` keys
//! of `2^128`: with [`crate::extension::MOST_OTS`], that is `n = 2^17`, a chance of `2^-111`; for
//! the `2^21` rows of silent OTs `2^-107`.

use polyval::Polyval;
use polyval::universal_hash::UniversalHash;

use crate::block::{Block, Bytes, read, word};

/// Sums under one key.
pub struct Sums(Polyval);

impl Sums {
    /// Under a key.
    pub fn new(key: Block) -> Self {
        Self(Polyval::new(&key.to_le_bytes().into()))
    }

    /// Goes on with a sum, which is zero at its beginning. `blocks` are changed: the sum so far is
    /// added to the first, which is what the polynomial's next step does.
    pub fn add(&self, sum: &mut Block, blocks: &mut [Bytes]) {
        if let Some(first) = blocks.first_mut() {
            *first = (word(first) ^ *sum).to_le_bytes().into();
            *sum = self.of(blocks);
        }
    }

    /// The sum of blocks.
    fn of(&self, blocks: &[Bytes]) -> Block {
        let mut sum = self.0.clone();
        sum.update(blocks);
        word(&sum.finalize())
    }
}

/// The sum of blocks.
pub fn sum_of_blocks(key: Block, blocks: impl Iterator<Item = Block>) -> Block {
    let (sums, mut sum) = (Sums::new(key), 0);
    let mut part = [Bytes::default(); 64];
    let mut len = 0;
    for block in blocks {
        part[len] = block.to_le_bytes().into();
        len += 1;
        if len == part.len() {
            sums.add(&mut sum, &mut part);
            len = 0;
        }
    }
    sums.add(&mut sum, &mut part[..len]);
    sum
}

/// The sum of bytes, whose length both sides know: the rest of the last block is zeros.
pub fn sum_of_bytes(key: Block, bytes: &[u8]) -> Block {
    let (blocks, rest) = bytes.as_chunks();
    let mut sum = Polyval::new(&key.to_le_bytes().into());
    sum.update(Bytes::cast_slice_from_core(blocks));
    if !rest.is_empty() {
        sum.update(&[read(rest).to_le_bytes().into()]);
    }
    word(&sum.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(key: Block, blocks: &[Block]) -> Block {
        let bytes: Vec<_> = blocks.iter().flat_map(|block| block.to_le_bytes()).collect();
        sum_of_bytes(key, &bytes)
    }

    /// RFC 8452, appendix A.
    #[test]
    fn known_answer() {
        let [key, x1, x2, result] = [
            0x2562_9347_5892_4276_1d31_f826_ba4b_757b_u128,
            0x4f4f_9566_8c83_dfb6_4017_62bb_2d01_a262,
            0xd1a2_4ddd_2721_d006_bbe4_5f20_d3c9_f362,
            0xf7a3_b47b_8461_19fa_e5b7_866c_f5e5_b77e,
        ]
        .map(u128::swap_bytes);
        assert_eq!(sum(key, &[x1, x2]), result);
    }

    #[test]
    fn sums_are_linear() {
        let [a, b] = [[3_u128 << 90, 5, 7, 11, 13 << 100], [17, 19 << 77, 23, 29, 31]];
        let both: Vec<_> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
        assert_eq!(sum(99, &a) ^ sum(99, &b), sum(99, &both));
        assert_eq!(sum(99, &[]), 0);
    }

    #[test]
    fn parts_are_parts_of_a_sum() {
        let blocks: Vec<Block> = (1..=9).map(|n| n << (3 * n)).collect();
        let sums = Sums::new(99);
        let mut parts = 0;
        for part in blocks.chunks(4) {
            let mut bytes: Vec<_> = part.iter().map(|b| Bytes::from(b.to_le_bytes())).collect();
            sums.add(&mut parts, &mut bytes);
        }
        assert_eq!(parts, sum(99, &blocks));
        assert_eq!(
            sum_of_bytes(99, &[5; 17]),
            sum_of_bytes(99, &[&[5; 17][..], &[0; 15]].concat())
        );
    }
}
