//! The receiver of silent OTs: its choices are the places of noise.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::check::packed;
use super::code::Code;
use super::forest::Forest;
use super::shape::{
    HIDE, KEY, Keys, LEAVES, LEVELS, MESSAGE_BYTES, OF_TREES, OTS, PROOF_BYTES, ROWS, SEED_OTS,
    TREE_BYTES,
};
use crate::block::Block;
use crate::digest::digest;
use crate::error::{OtError, length};
use crate::hash::Hash;
use crate::ots::Received;
use crate::universal::sum_of_blocks;

/// Receives random OTs, call after call.
pub struct Receiver {
    keys: Keys,
    rows: Zeroizing<Vec<Block>>,
    /// A bit each.
    choices: Zeroizing<Vec<u8>>,
}

/// Waits for the proof.
pub struct PendingReceived {
    receiver: Receiver,
    leaves: Zeroizing<Vec<Block>>,
    noise: Zeroizing<Vec<u8>>,
    proof: Zeroizing<[u8; PROOF_BYTES]>,
}

redacted!(Receiver, PendingReceived);

impl Receiver {
    /// From OTs of the extension, the first [`SEED_OTS`] of them, which are read nowhere else.
    ///
    /// # Errors
    /// [`OtError::Range`] if there are fewer.
    pub fn new(received: Received) -> Result<Self, OtError> {
        let (name, rows) = received.parts();
        let missing = OtError::Range { first: 0, len: SEED_OTS, count: rows.len() };
        let rows = Zeroizing::new(rows.get(..SEED_OTS).ok_or(missing)?.to_vec());
        let mut choices = Zeroizing::new(Vec::with_capacity(64 * received.choices().len()));
        for word in received.choices() {
            choices.extend((0..64).map(|place| ((word >> place) & 1).to_le_bytes()[0]));
        }
        choices.truncate(SEED_OTS);
        Ok(Self { keys: Keys::new(name).next(), rows, choices })
    }

    /// Takes the sender's message, and gives the challenge, of
    /// [`super::CHALLENGE_BYTES`].
    ///
    /// # Errors
    /// [`OtError::Length`] unless the message has [`MESSAGE_BYTES`].
    pub fn accept(self, message: &[u8]) -> Result<(Vec<u8>, PendingReceived), OtError> {
        length("the message of silent OTs", message, MESSAGE_BYTES)?;
        let mut leaves = Zeroizing::new(vec![0; ROWS]);
        let mut noise = Zeroizing::new(vec![0; ROWS]);
        let mut forest = Forest::new(self.keys);
        let hash = Hash::new(self.keys.of("sharelet-ot silent hash"));
        let rows = self.rows.get(OF_TREES).unwrap_or_default().as_chunks::<LEVELS>().0;
        let choices = self.choices.get(OF_TREES).unwrap_or_default().chunks_exact(LEVELS);
        let own = rows.iter().zip(choices).enumerate();
        let parts = leaves.chunks_exact_mut(LEAVES).zip(noise.chunks_exact_mut(LEAVES));
        let parts = parts.zip(message.chunks_exact(TREE_BYTES));
        for ((tree, (rows, choices)), ((leaves, noise), message)) in own.zip(parts) {
            let mut blocks = Zeroizing::new([0; LEVELS]);
            hash.apply(
                LEVELS,
                |lane| rows[lane],
                |lane| (tree * LEVELS + lane) as Block,
                |lane, hash| blocks[lane] = hash,
            );
            forest.hold(choices, &blocks, message, leaves, noise);
        }
        let (challenge, proof) = self.check(&leaves, &noise);
        Ok((challenge, PendingReceived { receiver: self, leaves, noise, proof }))
    }

    /// The challenge, and the proof that answers it.
    fn check(&self, leaves: &[Block], noise: &[u8]) -> (Vec<u8>, Zeroizing<[u8; PROOF_BYTES]>) {
        let choices = |range| self.choices.get(range).unwrap_or_default();
        let salt = digest("sharelet-ot silent salt", &[choices(KEY)]);
        let key = self.keys.with("sharelet-ot silent check", salt.as_slice());
        let of_noise = sum_of_blocks(key, noise.iter().map(|bit| Block::from(*bit)));
        let hides = (0..).zip(choices(HIDE));
        let hidden = hides.fold(of_noise, |sum, (place, bit)| sum ^ (Block::from(*bit) << place));
        let rows = packed(self.rows.get(HIDE).unwrap_or_default().iter().copied());
        let sum = sum_of_blocks(key, leaves.iter().copied()) ^ rows;
        let proof = digest("sharelet-ot silent proof", &[&key.to_le_bytes(), &sum.to_le_bytes()]);
        ([salt.as_slice(), &hidden.to_le_bytes()].concat(), proof)
    }
}

impl PendingReceived {
    /// Verifies the sender's proof, and gives what goes on to the next call, and the OTs.
    ///
    /// # Errors
    /// [`OtError::Length`]. [`OtError::Check`] if the sender cheated; nothing is left to go on
    /// with.
    pub fn verify(self, proof: &[u8]) -> Result<(Receiver, Received), OtError> {
        length("the proof", proof, PROOF_BYTES)?;
        let Self { receiver: Receiver { keys, rows, choices }, mut leaves, noise, proof: right } =
            self;
        // Whether the sender is caught is public.
        if !bool::from(right.as_slice().ct_eq(proof)) {
            return Err(OtError::Check);
        }
        let mut bits = noise;
        let code = Code::new(keys);
        code.add(&rows, &mut leaves);
        code.add(&choices, &mut bits);
        let (of_ots, kept) = bits.split_at(OTS);
        let words = of_ots.chunks(64).map(|bits| {
            (0..).zip(bits).fold(0, |word, (place, bit)| word | (u64::from(*bit) << place))
        });
        let words = Zeroizing::new(words.collect());
        let choices = Zeroizing::new(kept.to_vec());
        let rows = Zeroizing::new(leaves.get(OTS..).unwrap_or_default().to_vec());
        leaves.truncate(OTS);
        let received = Received::new(keys.of("sharelet-ot silent output"), leaves, words);
        Ok((Receiver { keys: keys.next(), rows, choices }, received))
    }
}
