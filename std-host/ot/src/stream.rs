//! A seed's stream: AES-128 in counter mode under the seed as key.

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
    pub fn read(&self, counters: &[Bytes], blocks: &mut [Bytes]) {
        // Both slices are of one length: what is cut here is nothing.
        let len = counters.len().min(blocks.len());
        let _ = self.0.encrypt_blocks_b2b(&counters[..len], &mut blocks[..len]);
    }
}

/// Places `first..` of a stream.
pub fn counters(first: u64, to: &mut [Bytes]) {
    for (place, to) in (Block::from(first)..).zip(to) {
        *to = place.to_le_bytes().into();
    }
}

/// `sum ^= blocks`.
pub fn add(sum: &mut [Block], blocks: &[Bytes]) {
    for (sum, block) in sum.iter_mut().zip(blocks) {
        *sum ^= word(block);
    }
}
