//! The sender of silent OTs: it owns the trees.

use zeroize::Zeroizing;

use super::check::packed;
use super::code::Code;
use super::forest::Forest;
use super::shape::{
    CHALLENGE_BYTES, HIDE, Keys, LEAVES, LEVELS, MESSAGE_BYTES, OF_TREES, OTS, ROWS, SALT_BYTES,
    SEED_OTS, TREE_BYTES,
};
use crate::block::{Block, mask, read};
use crate::digest::digest;
use crate::error::{OtError, length};
use crate::hash::Hash;
use crate::ots::Sent;
use crate::universal::sum_of_blocks;

/// Sends random OTs, call after call.
pub struct Sender {
    keys: Keys,
    rows: Zeroizing<Vec<Block>>,
    delta: Zeroizing<Block>,
}

/// Waits for the challenge.
pub struct PendingSent {
    sender: Sender,
    leaves: Zeroizing<Vec<Block>>,
}

redacted!(Sender, PendingSent);

impl Sender {
    /// From OTs of the extension, the first [`SEED_OTS`] of them, which are read nowhere else.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn new(sent: Sent) -> Result<Self, OtError> {
        let (name, rows, delta) = sent.parts();
        let missing = OtError::Range { first: 0, len: SEED_OTS, count: rows.len() };
        let rows = Zeroizing::new(rows.get(..SEED_OTS).ok_or(missing)?.to_vec());
        Ok(Self { keys: Keys::new(name).next(), rows, delta: delta.clone() })
    }

    /// Begins [`super::OTS`] OTs: the message for the receiver, of [`MESSAGE_BYTES`].
    #[must_use]
    pub fn extend(self) -> (Vec<u8>, PendingSent) {
        let mut leaves = Zeroizing::new(vec![0; ROWS]);
        let mut message = vec![0; MESSAGE_BYTES];
        let mut forest = Forest::new(self.keys);
        let hash = Hash::new(self.keys.of("sharelet-ot silent hash"));
        let delta = *self.delta;
        let rows = self.rows.get(OF_TREES).unwrap_or_default().as_chunks::<LEVELS>().0;
        let parts = leaves.chunks_exact_mut(LEAVES).zip(message.chunks_exact_mut(TREE_BYTES));
        for ((tree, rows), (leaves, message)) in rows.iter().enumerate().zip(parts) {
            let mut pairs = Zeroizing::new([[0; 2]; LEVELS]);
            let to = pairs.as_flattened_mut();
            hash.apply(
                to.len(),
                |lane| rows[lane / 2] ^ if lane % 2 == 1 { delta } else { 0 },
                |lane| (tree * LEVELS + lane / 2) as Block,
                |lane, hash| to[lane] = hash,
            );
            forest.own(&pairs, delta, leaves, message);
        }
        (message, PendingSent { sender: self, leaves })
    }
}

impl PendingSent {
    /// Answers the challenge: the proof for the receiver, of [`super::PROOF_BYTES`], what goes on
    /// to the next call, and the OTs. They are worth something once the receiver has verified the
    /// proof.
    ///
    /// # Errors
    /// [`OtError::Length`] unless the challenge has [`CHALLENGE_BYTES`].
    pub fn answer(self, challenge: &[u8]) -> Result<(Vec<u8>, Sender, Sent), OtError> {
        length("the challenge", challenge, CHALLENGE_BYTES)?;
        let Self { sender: Sender { keys, rows, delta }, mut leaves } = self;
        let (salt, hidden) = challenge.split_at(SALT_BYTES);
        let (key, hidden) = (keys.with("sharelet-ot silent check", salt), read(hidden));
        let hides = rows.get(HIDE).unwrap_or_default().iter().enumerate();
        let hides = packed(hides.map(|(place, row)| {
            let [bit, ..] = (hidden >> place).to_le_bytes();
            row ^ (mask(bit) & *delta)
        }));
        let sum = sum_of_blocks(key, leaves.iter().copied()) ^ hides;
        let proof = digest("sharelet-ot silent proof", &[&key.to_le_bytes(), &sum.to_le_bytes()]);
        Code::new(keys).add(&rows, &mut leaves);
        let rows = Zeroizing::new(leaves.get(OTS..).unwrap_or_default().to_vec());
        leaves.truncate(OTS);
        let sent = Sent::new(keys.of("sharelet-ot silent output"), leaves, delta.clone());
        Ok((proof.to_vec(), Sender { keys: keys.next(), rows, delta }, sent))
    }
}
