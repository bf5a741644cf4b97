//! A seed's stream: AES-128 in counter mode under the seed as key. Also for who makes longer
//! strings of the blocks of OTs.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::block::{Block, Bytes, word};

/// The stream of one seed. Wiped when dropped, by the cipher.
pub struct Stream(Aes128Enc);

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: Block) -> Self {
        Self(Aes128Enc::new(&seed.to_le_bytes().into()))
    }

    /// Blocks at the places that `counters` name.
    pub(crate) fn read(&self, counters: &[Bytes], blocks: &mut [Bytes]) {
        // Both slices are of one length: what is cut here is nothing.
        let len = counters.len().min(blocks.len());
        let _ = self.0.encrypt_blocks_b2b(&counters[..len], &mut blocks[..len]);
    }
}

impl Stream {
    /// Words of 64 bits from block `first` on, two in each.
    pub fn words<const N: usize>(&self, first: u64, words: &mut [[u64; 2]; N]) {
        let (mut places, mut blocks) = ([Bytes::default(); N], [Bytes::default(); N]);
        counters(first, &mut places);
        self.read(&places, &mut blocks);
        for (words, block) in words.iter_mut().zip(&blocks) {
            let block = word(block);
            #[allow(clippy::cast_possible_truncation)]
            let halves = [block as u64, (block >> 64) as u64];
            *words = halves;
        }
    }
}

impl core::fmt::Debug for Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Stream(<redacted>)")
    }
}

/// Places `first..` of a stream.
pub(crate) fn counters(first: u64, to: &mut [Bytes]) {
    for (place, to) in (Block::from(first)..).zip(to) {
        *to = place.to_le_bytes().into();
    }
}

/// `sum ^= blocks`.
pub(crate) fn add(sum: &mut [Block], blocks: &[Bytes]) {
    for (sum, block) in sum.iter_mut().zip(blocks) {
        *sum ^= word(block);
    }
}
