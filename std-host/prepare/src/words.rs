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

    /// Word `index` of a block: of its bits, as far as they go, and of a hash of it beyond.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn of(self, block: Block, index: usize) -> u64 {
        let each = 8 * self.record_bytes();
        if (index + 1) * each <= 128 {
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
