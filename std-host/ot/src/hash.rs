//! Breaks the correlation of rows: the hash `TMMO`.
//!
//! `hash(x, i) = pi(pi(x) ^ i) ^ pi(x)`, with AES-128 under a public key as the permutation `pi`.
//! Source: C. Guo, J. Katz, X. Wang, Y. Yu, "Efficient and secure multiparty computation from
//! fixed-key block ciphers", S&P 2020 (eprint 2019/074), the tweakable hash: tweakable circular
//! correlation robust where AES is an ideal cipher. Every call of the extension has a key of its
//! own, so that the loss in security, which grows with the hashes of one key, does not add up.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::block::{Block, Bytes, word};

/// Blocks that are hashed at once: as many as the widest vectors of the cipher take.
pub const BATCH: usize = 64;

/// The hash under one public key.
#[derive(Clone)]
pub struct Hash(Aes128Enc);

redacted!(Hash);

impl Hash {
    /// The hash under a key.
    #[must_use]
    pub fn new(key: Block) -> Self {
        Self(Aes128Enc::new(&key.to_le_bytes().into()))
    }

    /// Hashes as many blocks as `output` is given for: block `input(place)` under
    /// `tweak(place)`, for places below `len`, which is at most [`BATCH`].
    #[inline]
    pub fn apply(
        &self,
        len: usize,
        input: impl Fn(usize) -> Block,
        tweak: impl Fn(usize) -> Block,
        mut output: impl FnMut(usize, Block),
    ) {
        let (mut once, mut twice) = ([Bytes::default(); BATCH], [Bytes::default(); BATCH]);
        let (once, twice) = (&mut once[..len], &mut twice[..len]);
        for (place, to) in once.iter_mut().enumerate() {
            *to = input(place).to_le_bytes().into();
        }
        self.0.encrypt_blocks(once);
        for (place, (to, once)) in twice.iter_mut().zip(once.iter()).enumerate() {
            *to = (word(once) ^ tweak(place)).to_le_bytes().into();
        }
        self.0.encrypt_blocks(twice);
        for (place, (once, twice)) in once.iter().zip(twice.iter()).enumerate() {
            output(place, word(once) ^ word(twice));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix C.1: which byte of a block is which.
    #[test]
    fn the_permutation_is_aes() {
        let key = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.swap_bytes();
        let plain = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.swap_bytes();
        let cipher = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.swap_bytes();
        let mut block = Bytes::from(plain.to_le_bytes());
        Hash::new(key).0.encrypt_block(&mut block);
        assert_eq!(Block::from_le_bytes(block.into()), cipher);
    }

    /// Made with `openssl enc -aes-128-ecb`: key, plaintext as in FIPS 197, and 5 as the tweak.
    #[test]
    fn known_answer() {
        let key = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
        let block = 0xffee_ddcc_bbaa_9988_7766_5544_3322_1100;
        let mut hashes = [0; 9];
        Hash::new(key).apply(9, |_| block, |i| i as Block, |place, hash| hashes[place] = hash);
        assert_eq!(hashes[5], 0xf489_8012_39e9_c45b_ba1f_c771_361c_0695);
    }
}
