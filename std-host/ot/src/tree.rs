//! Trees of seeds: one party knows all leaves, the other all but one.
//!
//! The punctured pseudorandom function of Goldreich, Goldwasser and Micali, from one OT per level,
//! with the check of a malicious owner: both from SoftSpokenOT (L. Roy, CRYPTO 2022, eprint
//! 2022/192). Node `x` of a level has children `2x` and `2x + 1`.
//!
//! ```text
//! owner:   nodes of level 1 are the two seeds of the first OT
//!          further levels:  sum of all left children ^ seed_0, sum of all right ones ^ seed_1  ->
//!          t = sum of all checks of leaves,  s = hash of all checks                            ->
//! holder:  has of each level one sum, that of the side which its path does not take: so it
//!          learns the sibling of its path, and at the end all leaves but that of its path
//!          has of t the check that it misses, and compares s
//! ```
//!
//! Without `t` and `s` an owner could send sums of no tree, and so leaves that depend on the
//! holder's path in ways that no owner of a tree could.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::block::{BYTES, Block, equal, mask, read, write};
use crate::digest::{block, digest, two_blocks};

/// Bytes of a leaf's check.
const CHECK: usize = 32;

/// Bytes of a tree's message; a tree of one level needs none.
pub const fn message_bytes(levels: usize) -> usize {
    if levels == 1 { 0 } else { (levels - 1) * 2 * BYTES + 2 * CHECK }
}

/// A node's children.
fn children(node: Block) -> [Block; 2] {
    two_blocks("sharelet-ot tree node", &[&node.to_le_bytes()])
}

/// The seed of a leaf's stream.
fn leaf(node: Block) -> Block {
    block("sharelet-ot tree leaf", &[&node.to_le_bytes()])
}

/// A leaf's check.
fn check(node: Block) -> Zeroizing<[u8; CHECK]> {
    digest("sharelet-ot tree check", &[&node.to_le_bytes()])
}

/// `sum ^= bytes & chosen`.
fn add(sum: &mut [u8; CHECK], bytes: &[u8], chosen: Block) {
    let [chosen, ..] = chosen.to_le_bytes();
    sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte & chosen);
}

/// Leaves of a tree; wiped.
pub type Leaves = Zeroizing<Vec<Block>>;

/// The owner's side of a tree: its leaves, and the message. `pairs` are the seeds of an OT per
/// level.
pub fn own(pairs: &[[Block; 2]]) -> (Leaves, Vec<u8>) {
    let mut message = Vec::with_capacity(message_bytes(pairs.len()));
    let (first, rest) = pairs.split_first().unwrap_or((&[0; 2], &[]));
    let mut nodes: Leaves = Zeroizing::new(first.to_vec());
    for pair in rest {
        let below: Leaves = Zeroizing::new(nodes.iter().flat_map(|node| children(*node)).collect());
        let mut sums = *pair;
        for [left, right] in below.as_chunks().0 {
            sums[0] ^= left;
            sums[1] ^= right;
        }
        let place = message.len();
        message.resize(place + 2 * BYTES, 0);
        write(&mut message[place..], sums);
        nodes = below;
    }
    if !rest.is_empty() {
        let mut sum = [0; CHECK];
        let checks: Zeroizing<Vec<_>> =
            Zeroizing::new(nodes.iter().map(|node| *check(*node)).collect());
        checks.iter().for_each(|check| add(&mut sum, check, Block::MAX));
        message.extend(sum);
        message.extend(hash_of(&checks).as_slice());
    }
    nodes.iter_mut().for_each(|node| *node = leaf(*node));
    (nodes, message)
}

/// The hash of all checks.
fn hash_of(checks: &[[u8; CHECK]]) -> Zeroizing<[u8; CHECK]> {
    digest("sharelet-ot tree checks", &[checks.as_flattened()])
}

/// The holder's side: leaves in the order of their distance `y` from the path, so that leaf
/// `path ^ y` is at `y`, and at 0 there is nothing; and whether the owner's check holds, all ones
/// or zero. `choices` and `seeds` are of an OT per level, and the path goes where the choices do
/// not.
pub fn hold(choices: &[u8], seeds: &[Block], message: &[u8]) -> (Leaves, Block) {
    let (sums, checks) = message.split_at(message.len().saturating_sub(2 * CHECK));
    let mut sums = sums.chunks_exact(2 * BYTES);
    let mut nodes: Leaves = Zeroizing::new(vec![0]);
    let mut path = 0;
    for (level, (choice, seed)) in choices.iter().zip(seeds).enumerate() {
        let (own, other) = (mask(*choice), mask(1 ^ choice));
        let mut below: Leaves = Zeroizing::new(Vec::with_capacity(2 * nodes.len()));
        let mut sibling = *seed;
        if level > 0 {
            let (left, right) =
                sums.next().unwrap_or_default().split_at_checked(BYTES).unwrap_or_default();
            sibling ^= (read(left) & other) | (read(right) & own);
        }
        for (place, node) in nodes.iter().enumerate() {
            // What grows from the path's node is not in the tree.
            let off_path = !equal(place, path);
            let [left, right] = children(*node).map(|child| child & off_path);
            sibling ^= (left & other) | (right & own);
            below.extend([left, right]);
        }
        for (place, pair) in below.as_chunks_mut().0.iter_mut().enumerate() {
            let [left, right]: &mut [Block; 2] = pair;
            let on_path = equal(place, path);
            *left |= sibling & on_path & other;
            *right |= sibling & on_path & own;
        }
        nodes = below;
        path = 2 * path + usize::from(1 ^ (choice & 1));
    }
    let holds = if choices.len() < 2 { Block::MAX } else { verify(&nodes, path, checks) };
    nodes.iter_mut().for_each(|node| *node = leaf(*node));
    arrange(&mut nodes, path);
    (nodes, holds)
}

/// Whether the owner's check holds.
fn verify(nodes: &[Block], path: usize, message: &[u8]) -> Block {
    let (sum, hash) = message.split_at(CHECK.min(message.len()));
    let mut missing = Zeroizing::new([0; CHECK]);
    add(&mut missing, sum, Block::MAX);
    let mut checks = Zeroizing::new(Vec::with_capacity(nodes.len()));
    for (place, node) in nodes.iter().enumerate() {
        let mut known = [0; CHECK];
        add(&mut known, check(*node).as_slice(), !equal(place, path));
        add(&mut missing, &known, Block::MAX);
        checks.push(known);
    }
    for (place, check) in checks.iter_mut().enumerate() {
        add(check, missing.as_slice(), equal(place, path));
    }
    let same = hash_of(&checks).as_slice().ct_eq(hash);
    checks.zeroize();
    mask(same.unwrap_u8())
}

/// Moves leaf `path ^ y` to `y`, for all `y`, by swaps that are all made or all not.
fn arrange(leaves: &mut [Block], path: usize) {
    let mut width = 1;
    while width < leaves.len() {
        let swap = !equal(path & width, 0);
        for pair in leaves.chunks_exact_mut(2 * width) {
            let (low, high) = pair.split_at_mut(width);
            for (low, high) in low.iter_mut().zip(high) {
                let differs = (*low ^ *high) & swap;
                *low ^= differs;
                *high ^= differs;
            }
        }
        width *= 2;
    }
    if let Some(first) = leaves.first_mut() {
        *first = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::chi_square::{BOUND, of};

    const LEVELS: [usize; 4] = [1, 2, 3, 4];

    fn pairs(levels: usize) -> Vec<[Block; 2]> {
        (0..levels as u128).map(|level| [3 + (level << 99), 7 + (level << 55)]).collect()
    }

    /// Choices of a path, and the seeds that they choose.
    fn chosen(pairs: &[[Block; 2]], path: usize) -> (Vec<u8>, Vec<Block>) {
        let levels = pairs.len();
        let bit = |level: usize| 1 ^ ((path >> (levels - 1 - level)) & 1);
        (
            (0..levels).map(|level| u8::from(bit(level) == 1)).collect(),
            pairs.iter().enumerate().map(|(level, pair)| pair[bit(level)]).collect(),
        )
    }

    #[test]
    fn the_holder_has_all_leaves_but_one() {
        for levels in LEVELS {
            let pairs = pairs(levels);
            let (all, message) = own(&pairs);
            assert_eq!((all.len(), message.len()), (1 << levels, message_bytes(levels)));
            for path in 0..1 << levels {
                let (choices, seeds) = chosen(&pairs, path);
                let (leaves, holds) = hold(&choices, &seeds, &message);
                assert_eq!(holds, Block::MAX);
                assert_eq!(leaves[0], 0);
                for y in 1..1 << levels {
                    assert_eq!(leaves[y], all[path ^ y], "{levels} {path} {y}");
                }
            }
        }
    }

    /// A sum that is of no tree is found by those whom it reaches; the others have a tree.
    #[test]
    fn sums_of_no_tree_are_found() {
        let pairs = pairs(4);
        let (all, message) = own(&pairs);
        for place in 0..message.len() {
            let mut message = message.clone();
            message[place] ^= 4;
            let mut found = 0;
            for path in 0..16 {
                let (choices, seeds) = chosen(&pairs, path);
                let (leaves, holds) = hold(&choices, &seeds, &message);
                found += usize::from(holds == 0);
                let right = (1..16).all(|y| leaves[y] == all[path ^ y]);
                assert!(holds == 0 || right, "{place} {path}");
            }
            assert_eq!(found, if place < 96 { 8 } else { 16 }, "{place}");
        }
    }

    /// What the sums of many trees show to who knows all nodes but those of one side, and guesses
    /// these: a seed, or without one that the guess is right. The checks are hashes of leaves.
    fn sums(masked: bool) -> f64 {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut block = || Block::from(rng.next_u64()) << 64 | Block::from(rng.next_u64());
        let mut seen = Vec::new();
        for _ in 0..100 {
            let mut pairs = [0; 4].map(|_| [block(), block()]);
            if !masked {
                pairs[1..].fill([0; 2]);
            }
            let (_, message) = own(&pairs);
            let mut nodes = pairs[0].to_vec();
            for sums in message[..96].chunks_exact(2 * BYTES) {
                nodes = nodes.iter().flat_map(|node| children(*node)).collect();
                for side in [0, 1] {
                    let guess = nodes.iter().skip(side).step_by(2).fold(0, |sum, node| sum ^ node);
                    let difference = read(&sums[side * BYTES..][..BYTES]) ^ guess;
                    seen.extend(difference.to_le_bytes());
                }
            }
        }
        of(seen)
    }

    #[test]
    fn sums_do_not_show_nodes() {
        let [masked, bare] = [true, false].map(sums);
        assert!(masked < BOUND && bare > 100.0 * BOUND, "{masked} {bare}");
    }
}
