//! 128 bits, and the bytes that stand for them.

use core::hint::black_box;

/// 128 random bits; as bytes the lowest first.
pub type Block = u128;

/// Bytes of a block.
pub const BYTES: usize = 16;

/// A block as the ciphers take it.
pub type Bytes = aes::Block;

/// A block from its bytes; of fewer bytes the rest are zeros.
pub fn read(bytes: &[u8]) -> Block {
    let mut block = [0; BYTES];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Block::from_le_bytes(block)
}

/// A block of the ciphers as a word.
#[inline]
pub fn word(bytes: &Bytes) -> Block {
    Block::from_le_bytes(bytes.0)
}

/// Writes blocks one after another, as many as both sides have.
pub fn write(to: &mut [u8], blocks: impl IntoIterator<Item = Block>) {
    for (to, block) in to.chunks_exact_mut(BYTES).zip(blocks) {
        to.copy_from_slice(&block.to_le_bytes());
    }
}

/// All ones for 1, zero for 0: for a choice without a branch. The compiler is not told that it is
/// one or the other, or it makes a branch of what is masked.
pub const fn mask(bit: u8) -> Block {
    black_box(((bit & 1) as Block).wrapping_neg())
}

/// [`mask`] of whether two small numbers are equal.
pub const fn equal(a: usize, b: usize) -> Block {
    let differs = (a ^ b) as Block;
    // The top bit of `differs | -differs` is set unless it is zero.
    black_box(((differs | differs.wrapping_neg()) >> 127).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_all_or_nothing() {
        assert_eq!([mask(0), mask(1)], [0, Block::MAX]);
        for (a, b) in [(0, 0), (3, 3), (0, 1), (5, 4), (usize::MAX, 0)] {
            assert_eq!(equal(a, b), if a == b { Block::MAX } else { 0 });
        }
    }

    #[test]
    fn bytes_of_a_block_begin_with_the_lowest() {
        let mut bytes = [0; 33];
        write(&mut bytes, [1, 2 << 120, 3]);
        assert_eq!((bytes[0], bytes[31], bytes[32]), (1, 2, 0));
        assert_eq!([read(&bytes[..16]), read(&bytes[16..])], [1, 2 << 120]);
    }
}
