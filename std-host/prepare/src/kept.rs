//! What a pair of parties makes once, and keeps: base transfers in both directions.

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sharelet_ot::OtError;
use sharelet_ot::base::{self, Chosen, Pairs};
use zeroize::Zeroizing;

use crate::error::PrepareError;

/// What kept transfers begin with: a name and a version.
const HEAD: &[u8] = b"SLTK\x01";
/// Bytes of the sum at their end.
const SUM_BYTES: usize = 32;
/// Bytes of all.
const BYTES: usize = HEAD.len() + Pairs::BYTES + Chosen::BYTES + SUM_BYTES;

/// Base transfers in both directions: secrets, for as long as the pair exists.
#[derive(Debug)]
pub struct Kept {
    pub(crate) pairs: Pairs,
    pub(crate) chosen: Chosen,
}

/// The first half of it.
#[derive(Debug)]
pub struct Beginning {
    sender: base::Sender,
    receiver: base::Receiver,
    sender_bytes: usize,
}

impl Kept {
    /// Begins: a message for the peer, who does the same. The messages may cross.
    #[must_use]
    pub fn begin(rng: &mut impl CryptoRng) -> (Vec<u8>, Beginning) {
        let (sender, mut message) = base::Sender::new(rng);
        let (receiver, more) = base::Receiver::new(rng);
        let sender_bytes = message.len();
        message.extend(more);
        (message, Beginning { sender, receiver, sender_bytes })
    }

    /// As bytes, to be kept by the caller: they are as secret as a key. A head with a version, both
    /// directions, and a sum of all that.
    ///
    /// # Errors
    /// `Transfer(Check)` if the peer has cheated with them: they are to be deleted, and made anew.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, PrepareError> {
        if self.chosen.is_spoilt() {
            return Err(OtError::Check.into());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.extend_from_slice(HEAD);
        bytes.extend_from_slice(&self.pairs.to_bytes());
        bytes.extend_from_slice(&self.chosen.to_bytes());
        let sum = Sha256::digest(&*bytes);
        bytes.extend_from_slice(&sum);
        Ok(bytes)
    }

    /// Reads what [`Kept::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`PrepareError::Kept`] for bytes that are cut or damaged, or something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrepareError> {
        let (content, sum) = bytes.split_at_checked(BYTES - SUM_BYTES).ok_or(PrepareError::Kept)?;
        let body = content.strip_prefix(HEAD).ok_or(PrepareError::Kept)?;
        if Sha256::digest(content).as_slice() != sum {
            return Err(PrepareError::Kept);
        }
        let (pairs, chosen) = body.split_at_checked(Pairs::BYTES).ok_or(PrepareError::Kept)?;
        Ok(Self { pairs: Pairs::from_bytes(pairs)?, chosen: Chosen::from_bytes(chosen)? })
    }
}

impl Beginning {
    /// Ends, with the peer's message.
    ///
    /// # Errors
    /// A message of another length, or one that holds no points of the group.
    pub fn finish(self, message: &[u8]) -> Result<Kept, PrepareError> {
        let Self { sender, receiver, sender_bytes } = self;
        let (from_sender, from_receiver) =
            message.split_at_checked(sender_bytes).unwrap_or((message, &[]));
        Ok(Kept { pairs: sender.finish(from_receiver)?, chosen: receiver.finish(from_sender)? })
    }
}
