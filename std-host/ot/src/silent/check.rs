//! Sums under a key over `GF(2^128)`, as POLYVAL has it: bit `i` of a block stands for `X^i`.
//!
//! The receiver's check: with `f` the sum of the noise, the sum of `v` is that of `w` plus `f D`.
//! The receiver does not show `f` but `f ^ x`, with `x` the choices of 128 OTs: then the sender has
//! `sum of v + sum of X^i (y_i ^ bit i of (f ^ x) D)`, and the receiver the same as `sum of w + sum
//! of X^i z_i`.

use crate::block::{Block, mask};

/// `X^128` below 128.
const REDUCED: Block = (1 << 127) | (1 << 126) | (1 << 121) | 1;

/// `sum of X^i rows_i`.
pub fn packed(rows: impl DoubleEndedIterator<Item = Block>) -> Block {
    rows.rev().fold(0, |sum, row| {
        let top = mask((sum >> 127).to_le_bytes()[0]);
        (sum << 1) ^ (REDUCED & top) ^ row
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universal::sum_of_blocks;

    /// A product with `X^i` is that of the universal hash.
    #[test]
    fn both_know_the_same_field() {
        let (a, key) = (0x1234_5678_9abc_def0_0fed_cba9_8765_4321 << 2, 99 << 64);
        let power = |i: u32| packed((0..=i).map(|j| Block::from(j == i)));
        for i in [0, 1, 5, 127] {
            let rows = (0..=i).map(|j| if j == i { a } else { 0 });
            // Linear over the field: X^i times the sum is the sum of X^i times the block.
            let product = packed((0..128).map(|bit| {
                if (power(i) >> bit) & 1 == 1 { sum_of_blocks(key, [a].into_iter()) } else { 0 }
            }));
            assert_eq!(sum_of_blocks(key, [packed(rows)].into_iter()), product, "{i}");
        }
    }
}
