//! Words of fewer bits than the ring's, side by side on the wire: whole slices of any width, or one
//! by one up to a byte.

use crate::ring::{read_le_slice, write_le_slice};

/// Bits of a word that are pushed or taken at once: with a byte's rest they fit 32.
const STEP_BITS: u32 = 16;

/// Bytes of `elements` words of `width_bits`. A whole piece has no rest.
#[must_use]
pub const fn packed_bytes(elements: usize, width_bits: u32) -> usize {
    (elements * width_bits as usize).div_ceil(8)
}

/// Writes the lowest `width_bits` of every word, lowest bit first, and zeros behind the last.
///
/// Nothing is written beyond the end of `bytes`, which [`packed_bytes`] sizes.
pub(crate) fn pack(words: &[u32], width_bits: u32, bytes: &mut [u8]) {
    if width_bits == u32::BITS {
        return write_le_slice(words, bytes);
    }
    let (mut held, mut held_bits) = (0_u32, 0);
    let mut out = bytes.iter_mut();
    let mut put = |byte: u32| {
        if let Some(out) = out.next() {
            *out = byte.to_le_bytes()[0];
        }
    };
    for &word in words {
        for (from, bits) in steps(width_bits) {
            held |= (word >> from & ((1 << bits) - 1)) << held_bits;
            held_bits += bits;
            while held_bits >= 8 {
                put(held);
                (held, held_bits) = (held >> 8, held_bits - 8);
            }
        }
    }
    if held_bits > 0 {
        put(held);
    }
}

/// Reads words of `width_bits`; missing bytes count as 0.
pub(crate) fn unpack(bytes: &[u8], width_bits: u32, words: &mut [u32]) {
    if width_bits == u32::BITS {
        return read_le_slice(bytes, words);
    }
    let (mut held, mut held_bits) = (0_u32, 0);
    let mut bytes = bytes.iter();
    for word in words {
        *word = 0;
        for (to, bits) in steps(width_bits) {
            while held_bits < bits {
                held |= bytes.next().copied().map_or(0, u32::from) << held_bits;
                held_bits += 8;
            }
            *word |= (held & ((1 << bits) - 1)) << to;
            (held, held_bits) = (held >> bits, held_bits - bits);
        }
    }
}

/// Adds word `index` of `width_bits <= 8` to zeroed bytes, lowest bit first.
#[inline]
pub(crate) fn add_bits(bytes: &mut [u8], width_bits: u32, index: usize, bits: u32) {
    let bit = index * width_bits as usize;
    let [low, high, ..] = (bits << (bit % 8)).to_le_bytes();
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte |= low;
    }
    if let Some(byte) = bytes.get_mut(bit / 8 + 1) {
        *byte |= high;
    }
}

/// Reads word `index` of `width_bits <= 8`.
#[inline]
pub(crate) fn bits_at(bytes: &[u8], width_bits: u32, index: usize) -> u32 {
    let bit = index * width_bits as usize;
    let byte = |at: usize| bytes.get(at).copied().map_or(0, u32::from);
    ((byte(bit / 8) | byte(bit / 8 + 1) << 8) >> (bit % 8)) & ((1 << width_bits) - 1)
}

/// Where the steps of a word begin, and how many bits they have.
fn steps(width_bits: u32) -> impl Iterator<Item = (u32, u32)> {
    let low = width_bits.min(STEP_BITS);
    [(0, low), (low, width_bits - low)].into_iter().filter(|(_, bits)| *bits > 0)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn words_of_every_width_come_back() {
        for width_bits in 1..=u32::BITS {
            for elements in 0..70 {
                let words: Vec<u32> =
                    (0..elements).map(|word: u32| word.wrapping_mul(0x9e37_79b9) ^ !0).collect();
                let mut bytes = vec![0xaa; packed_bytes(words.len(), width_bits)];
                pack(&words, width_bits, &mut bytes);
                let mut back = vec![7; words.len()];
                unpack(&bytes, width_bits, &mut back);
                let low = u32::MAX >> (u32::BITS - width_bits);
                assert!(words.iter().zip(back).all(|(word, back)| word & low == back));
            }
        }
    }

    #[test]
    fn bits_lie_lowest_first() {
        let mut bytes = [0; 4];
        pack(&[0x8_1234, 0xf_5678], 20, &mut bytes);
        assert_eq!(bytes, [0x34, 0x12, 0x88, 0x67]);
        let mut words = [0; 2];
        unpack(&[0x34, 0x12, 0x88, 0x67, 0xf5, 0xff], 20, &mut words);
        assert_eq!(words, [0x8_1234, 0xf_5678]);
    }

    #[test]
    fn single_words_come_back() {
        let bits = |index: usize| u32::try_from((index * 37) & 0x7f).expect("masked");
        let mut bytes = [0; 56];
        for index in 0..64 {
            add_bits(&mut bytes, 7, index, bits(index));
        }
        for index in 0..64 {
            assert_eq!(bits_at(&bytes, 7, index), bits(index));
        }
    }
}
