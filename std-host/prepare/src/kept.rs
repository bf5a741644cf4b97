//! What a pair of parties makes once, and keeps: base transfers in both directions.

use rand_core::CryptoRng;
use sharelet_ot::base::{self, Chosen, Pairs};
use zeroize::Zeroizing;

use crate::error::PrepareError;

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

    /// As bytes, to be kept by the caller: they are as secret as a key.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.pairs.to_bytes();
        bytes.extend_from_slice(&self.chosen.to_bytes());
        bytes
    }

    /// Reads what [`Kept::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of another length, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrepareError> {
        let (pairs, chosen) = bytes.split_at_checked(Pairs::BYTES).unwrap_or((bytes, &[]));
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
