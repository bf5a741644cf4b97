//! Numbers of some bits each, one after the other, the lowest bit first.

use super::modulus::low;

/// Bits that are moved at once.
const STEP: u32 = u32::BITS;

/// Writes numbers of `bits` bits, at most 96, that just fit: the last byte is filled with zeros.
pub fn pack(numbers: impl Iterator<Item = u128>, bits: u32, to: &mut [u8]) {
    let (mut held, mut count) = (0_u128, 0);
    let mut steps = to.chunks_mut(STEP as usize / 8);
    let mut store = |held: u128| {
        for (to, byte) in steps.next().unwrap_or_default().iter_mut().zip(held.to_le_bytes()) {
            *to = byte;
        }
    };
    for number in numbers {
        held |= number << count;
        count += bits;
        while count >= STEP {
            store(held);
            held >>= STEP;
            count -= STEP;
        }
    }
    store(held);
}

/// Reads what [`pack`] writes, until the bytes end.
pub struct Unpacked<'a> {
    bytes: &'a [u8],
    bits: u32,
    held: u128,
    count: u32,
}

/// Numbers of `bits` bits, at most 96.
pub fn unpack(bytes: &[u8], bits: u32) -> Unpacked<'_> {
    Unpacked { bytes, bits, held: 0, count: 0 }
}

impl Unpacked<'_> {
    /// Whether what is left is not even a byte, and zero.
    pub fn is_at_end(&self) -> bool {
        self.bytes.is_empty() && self.count < 8 && self.held == 0
    }
}

impl Iterator for Unpacked<'_> {
    type Item = u128;

    #[inline(always)]
    fn next(&mut self) -> Option<u128> {
        while self.count < self.bits {
            let more = if let Some((first, rest)) = self.bytes.split_first_chunk() {
                self.bytes = rest;
                (u32::from_le_bytes(*first), STEP)
            } else {
                let (first, rest) = self.bytes.split_first()?;
                self.bytes = rest;
                (u32::from(*first), u8::BITS)
            };
            self.held |= u128::from(more.0) << self.count;
            self.count += more.1;
        }
        let number = self.held & ((1 << self.bits) - 1);
        self.held >>= self.bits;
        self.count -= self.bits;
        Some(number)
    }
}

/// The same as words, of at most 64 bits.
pub fn unpack_words(bytes: &[u8], bits: u32) -> impl Iterator<Item = u64> {
    unpack(bytes, bits).map(low)
}

#[cfg(test)]
mod tests {
    use sharelet_testkit::{Rng, printed_seed};

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut rng = Rng(printed_seed());
        for bits in [1, 7, 8, 27, 36, 42, 62, 64, 67, 75, 96] {
            for count in [0, 1, 2, 3, 8, 31, 100] {
                let mut random = || (u128::from(rng.next()) << 64) | u128::from(rng.next());
                let numbers: Vec<u128> = (0..count).map(|_| random() >> (128 - bits)).collect();
                let mut bytes = vec![0xff; (count * bits as usize).div_ceil(8)];
                pack(numbers.iter().copied(), bits, &mut bytes);
                let mut read = unpack(&bytes, bits);
                let found: Vec<u128> = read.by_ref().take(count).collect();
                assert_eq!(found, numbers, "{bits} {count}");
                assert!(read.is_at_end());
            }
        }
    }

    #[test]
    fn what_fills_the_last_byte_is_seen() {
        let mut bytes = [0; 5];
        pack([1_u128 << 35].into_iter(), 36, &mut bytes);
        bytes[4] |= 0x80;
        let mut read = unpack(&bytes, 36);
        assert_eq!(read.next(), Some(1 << 35));
        assert!(!read.is_at_end());
    }
}
