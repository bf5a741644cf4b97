//! Words of a ring whose width is a value, and where they lie in records and messages.

use sha2::{Digest as _, Sha256};
use sharelet_ot::Block;

/// Words of `bits` bits, 1 to 64.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    bits: u32,
}

impl Words {
    pub(crate) const fn new(bits: u32) -> Self {
        Self { bits }
    }

    /// Bytes of a word in a record.
    const fn record_bytes(self) -> usize {
        if self.bits > 32 { 8 } else { 4 }
    }

    /// Bytes of a word in a message.
    pub(crate) const fn message_bytes(self) -> usize {
        self.bits.div_ceil(8) as usize
    }

    const fn low(self, word: u64) -> u64 {
        word & (u64::MAX >> (64 - self.bits))
    }

    /// Place of word `index` behind byte `first` of a record.
    pub(crate) const fn place(self, first: u32, index: usize) -> usize {
        first as usize + index * self.record_bytes()
    }

    pub(crate) fn get(self, record: &[u8], place: usize) -> u64 {
        get(record, place, self.record_bytes())
    }

    pub(crate) fn set(self, record: &mut [u8], place: usize, word: u64) {
        let bytes = self.low(word).to_le_bytes();
        let to = record.get_mut(place..place + self.record_bytes()).unwrap_or_default();
        to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    }

    /// Word `index` of `count` that are made of a block: of its bits where these suffice for all,
    /// else all of them of a hash. Who comes to know some of them learns nothing of the others, and
    /// bits of the block would give them all away.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn of(self, block: Block, index: usize, count: usize) -> u64 {
        let each = 8 * self.record_bytes();
        if count * each <= 128 {
            return self.low((block >> (index * each)) as u64);
        }
        let digest = Sha256::new()
            .chain_update("sharelet prepare word")
            .chain_update(block.to_le_bytes())
            .chain_update((index as u64).to_le_bytes())
            .finalize();
        self.low(get(&digest, 0, 8))
    }

    /// Appends a word to a message.
    pub(crate) fn push(self, message: &mut Vec<u8>, word: u64) {
        let bytes = self.low(word).to_le_bytes();
        message.extend(bytes.iter().take(self.message_bytes()));
    }

    /// The next word of a message.
    pub(crate) fn pop(self, message: &mut &[u8]) -> u64 {
        let (word, rest) = message.split_at_checked(self.message_bytes()).unwrap_or((message, &[]));
        *message = rest;
        get(word, 0, word.len())
    }
}

fn get(bytes: &[u8], place: usize, count: usize) -> u64 {
    let bytes = bytes.get(place..place + count).unwrap_or_default();
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The bit at `place` of a record.
pub(crate) fn bit(record: &[u8], place: u32) -> u64 {
    u64::from(record.get(place as usize / 8).copied().unwrap_or(0) >> (place % 8) & 1)
}

/// Sets bits that are zero so far, from bit `place` on; they lie in one word of 32 bits.
pub(crate) fn set_bits(record: &mut [u8], place: u32, bits: u32) {
    let word = place as usize / 32;
    if let Some(to) = record.as_chunks_mut::<4>().0.get_mut(word) {
        *to = (u32::from_le_bytes(*to) | bits << (place % 32)).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a hash is needed no word shows bits of the block.
    #[test]
    #[allow(clippy::cast_possible_truncation)]
    fn bits_of_a_block_and_its_hash_are_never_both_used() {
        let block: Block = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        for (bits, most) in [(32, 4), (64, 2), (20, 4)] {
            let words = Words::new(bits);
            for count in 1..12 {
                for index in 0..count {
                    let raw = index < most
                        && words.of(block, index, count)
                            == words.low((block >> (index * 8 * words.record_bytes())) as u64);
                    assert_eq!(raw, count <= most, "{index} of {count} words of {bits} bits");
                }
            }
        }
    }

    #[test]
    fn words_come_back() {
        for bits in [1, 7, 8, 31, 32, 33, 64] {
            let (words, mut message) = (Words::new(bits), Vec::new());
            for index in 0..10_u64 {
                words.push(&mut message, index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
            let mut rest = message.as_slice();
            for index in 0..10_u64 {
                let expected = words.low(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                assert_eq!(words.pop(&mut rest), expected);
            }
            assert!(rest.is_empty());
        }
    }
}
