//! Linear sums of blocks under a key: POLYVAL (RFC 8452), a polynomial over `GF(2^128)`.
//!
//! For columns it is the universal hash of SoftSpokenOT's check (eprint 2022/192, section 4). It is
//! linear over bits, and of `n` blocks that are not all zero the sum is zero for at most `n` keys
//! of `2^128`: with [`crate::extension::MOST_OTS`], that is `n = 2^17`, a chance of `2^-111`.

use polyval::Polyval;
use polyval::universal_hash::UniversalHash;

use crate::block::{BYTES, Block, Bytes, read};

/// A sum under way.
#[derive(Clone)]
pub struct Sum(Polyval);

impl Sum {
    /// The sum of nothing, under a key.
    pub fn new(key: Block) -> Self {
        Self(Polyval::new(&key.to_le_bytes().into()))
    }

    /// Goes on with blocks.
    pub fn add(&mut self, blocks: &[Bytes]) {
        self.0.update(blocks);
    }

    /// The sum.
    pub fn finish(self) -> Block {
        read(&self.0.finalize())
    }
}

/// The sum of bytes, whose length both sides know: the rest of the last block is zeros.
pub fn sum_of_bytes(key: Block, bytes: &[u8]) -> Block {
    let mut sum = Sum::new(key);
    let mut blocks = [Bytes::default(); 64];
    for part in bytes.chunks(BYTES * blocks.len()) {
        let len = part.len().div_ceil(BYTES);
        for (to, from) in blocks.iter_mut().zip(part.chunks(BYTES)) {
            *to = read(from).to_le_bytes().into();
        }
        sum.add(&blocks[..len]);
    }
    sum.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(key: Block, blocks: &[Block]) -> Block {
        let mut bytes = vec![0; BYTES * blocks.len()];
        crate::block::write(&mut bytes, blocks.iter().copied());
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
}
