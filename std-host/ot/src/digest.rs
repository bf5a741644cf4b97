//! SHA-256 as many random oracles, each of a label.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::block::{Block, read};

/// 32 bytes of a label and parts. The parts of one label have fixed lengths, or one of them alone
/// has any: so two different lists of parts are two different inputs.
pub fn digest(label: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update([u8::try_from(label.len()).unwrap_or(u8::MAX)]);
    hash.update(label);
    parts.iter().for_each(|part| hash.update(part));
    Zeroizing::new(hash.finalize().into())
}

/// The first 16 bytes of [`digest`].
pub fn block(label: &str, parts: &[&[u8]]) -> Block {
    let digest = digest(label, parts);
    read(digest.as_slice())
}

/// Both halves of [`digest`].
pub fn two_blocks(label: &str, parts: &[&[u8]]) -> [Block; 2] {
    let digest = digest(label, parts);
    let (low, high) = digest.split_at(16);
    [read(low), read(high)]
}
