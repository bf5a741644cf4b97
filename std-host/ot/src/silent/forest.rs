//! Trees with a place of noise: one party has all leaves `v`, the other `w`, the same but for one
//! place, where it is `v ^ D`.
//!
//! Child `b` of a node `x` is `pi_b(x) ^ x`, with AES under two public keys as `pi_0` and `pi_1`:
//! one-way where AES is an ideal cipher. Node `x` of a level of `n` nodes has children `x` and
//! `x + n`, so that nothing moves.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

use super::shape::{Keys, LEVELS, TREE_BYTES};
use crate::block::{BYTES, Block, Bytes, equal, mask, read, word, write};

/// Nodes at a time.
const BATCH: usize = 128;

/// Makes trees under the keys of a call, with room for that; wiped.
pub struct Forest {
    sides: [Aes128Enc; 2],
    /// Children of the node zero.
    of_zero: [Block; 2],
    nodes: [Bytes; BATCH],
    images: [Bytes; BATCH],
}

impl Drop for Forest {
    fn drop(&mut self) {
        self.nodes.iter_mut().chain(&mut self.images).for_each(|block| block.0.zeroize());
    }
}

impl Forest {
    /// Under the keys of a call.
    pub fn new(keys: Keys) -> Self {
        let side = |usage| Aes128Enc::new(&keys.of(usage).to_le_bytes().into());
        let sides = [side("sharelet-ot silent left"), side("sharelet-ot silent right")];
        let of_zero = core::array::from_fn(|b| {
            let mut zero = Bytes::default();
            sides[b].encrypt_block(&mut zero);
            word(&zero)
        });
        let empty = [Bytes::default(); BATCH];
        Self { sides, of_zero, nodes: empty, images: empty }
    }

    /// The children of a level, left ones in place and right ones behind them; and the sum of
    /// either side.
    fn grow(&mut self, level: &mut [Block], children: &mut [Block]) -> [Block; 2] {
        let [left, right] = &self.sides;
        let mut sums = [0; 2];
        for (level, children) in level.chunks_mut(BATCH).zip(children.chunks_mut(BATCH)) {
            let len = level.len();
            let (nodes, images) = (&mut self.nodes[..len], &mut self.images[..len]);
            for (to, from) in nodes.iter_mut().zip(level.iter()) {
                *to = from.to_le_bytes().into();
            }
            // Both slices are of one length.
            let _ = right.encrypt_blocks_b2b(nodes, images);
            for ((child, node), image) in children.iter_mut().zip(level.iter()).zip(&*images) {
                *child = node ^ word(image);
                sums[1] ^= *child;
            }
            let _ = left.encrypt_blocks_b2b(nodes, images);
            for (node, image) in level.iter_mut().zip(&*images) {
                *node ^= word(image);
                sums[0] ^= *node;
            }
        }
        sums
    }

    /// The sender's side: leaves, and the message. `pairs` are of an OT per level.
    pub fn own(
        &mut self,
        pairs: &[[Block; 2]; LEVELS],
        delta: Block,
        leaves: &mut [Block],
        message: &mut [u8],
    ) {
        let ([first, pairs @ ..], mut len) = (pairs, 2);
        leaves[..2].copy_from_slice(first);
        let mut messages = message.chunks_exact_mut(2 * BYTES);
        for pair in pairs {
            let (level, rest) = leaves.split_at_mut(len);
            let [left, right] = self.grow(level, rest);
            if let Some(message) = messages.next() {
                write(message, [left ^ pair[0], right ^ pair[1]]);
            }
            len *= 2;
        }
        let sum = leaves.iter().fold(delta, |sum, leaf| sum ^ leaf);
        write(messages.into_remainder(), [sum]);
    }

    /// The receiver's side: leaves, and the noise, a bit for each leaf. `choices` and `blocks` are
    /// of an OT per level.
    pub fn hold(
        &mut self,
        choices: &[u8],
        blocks: &[Block; LEVELS],
        message: &[u8],
        leaves: &mut [Block],
        noise: &mut [u8],
    ) {
        let mut steps = choices.iter().zip(blocks);
        let (sums, last) = message.split_at(TREE_BYTES - BYTES);
        let (mut path, mut len) = (0, 2);
        if let Some((choice, block)) = steps.next() {
            leaves[0] = block & mask(1 ^ choice);
            leaves[1] = block & mask(*choice);
            path = usize::from(1 ^ choice);
        }
        for ((choice, block), theirs) in steps.zip(sums.chunks_exact(2 * BYTES)) {
            let (level, children) = leaves.split_at_mut(len);
            let sums = self.grow(level, children);
            let (left, right) = (mask(1 ^ choice), mask(*choice));
            let pick = |values: [Block; 2]| (values[0] & left) | (values[1] & right);
            let (low, high) = theirs.split_at(BYTES);
            // What grew from the path's node, which is zero, is not in the tree.
            let sibling = block ^ pick([read(low), read(high)]) ^ pick(sums) ^ pick(self.of_zero);
            let mend = [self.of_zero[0] ^ (sibling & left), self.of_zero[1] ^ (sibling & right)];
            for (place, (a, b)) in level.iter_mut().zip(children.iter_mut()).enumerate() {
                let on_path = equal(place, path);
                *a ^= mend[0] & on_path;
                *b ^= mend[1] & on_path;
            }
            path += len * usize::from(1 ^ choice);
            len *= 2;
        }
        let missing = leaves.iter().fold(read(last), |sum, leaf| sum ^ leaf);
        for (place, (leaf, noise)) in leaves.iter_mut().zip(noise).enumerate() {
            let on_path = equal(place, path);
            *leaf ^= missing & on_path;
            *noise = on_path.to_le_bytes()[0] & 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::silent::shape::LEAVES;

    #[test]
    fn both_sides_differ_in_one_place() {
        let pairs: [[Block; 2]; LEVELS] =
            core::array::from_fn(|level| [3 + (level as Block), 99 + ((level as Block) << 77)]);
        let mut forest = Forest::new(Keys::new(5));
        let (delta, mut message) = (12345 << 80, [0; TREE_BYTES]);
        let mut own = [0; LEAVES];
        forest.own(&pairs, delta, &mut own, &mut message);
        for path in [0, 1, 2, 255, 256, 300, LEAVES / 2, LEAVES - 1] {
            let choices: [u8; LEVELS] =
                core::array::from_fn(|level| u8::from((path >> level) & 1 == 0));
            let blocks = core::array::from_fn(|level| pairs[level][usize::from(choices[level])]);
            let (mut held, mut noise) = ([0; LEAVES], [0; LEAVES]);
            forest.hold(&choices, &blocks, &message, &mut held, &mut noise);
            for place in 0..LEAVES {
                let here = place == path;
                assert_eq!(noise[place], u8::from(here), "{path} {place}");
                assert_eq!(own[place] ^ held[place], if here { delta } else { 0 });
            }
        }
    }
}
