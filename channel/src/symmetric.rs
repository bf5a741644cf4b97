//! The handshake of the pattern `Psk`: that of Noise `NNpsk0` with random numbers in place of
//! ephemeral keys, and so without `ee`.
//!
//! ```text
//! -> psk, n      MixKeyAndHash(psk), MixHash(n), MixKey(n), EncryptAndHash(empty)
//! <- n           MixHash(n), MixKey(n), EncryptAndHash(empty)
//! ```
//!
//! The operations are those of Noise revision 34, sections 5.2 and 9.2, and the library's.

use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::hash::Blake2s;
use clatter::symmetricstate::SymmetricState;
use sharelet_core::Key;

use crate::cipher::{Refused, TAG_BYTES};

/// As long as an ephemeral key.
const NUMBER_BYTES: usize = 32;
/// Bytes of a handshake message of any pattern.
pub(crate) const MESSAGE_BYTES: usize = NUMBER_BYTES + TAG_BYTES;
/// At most 32 bytes, which are hashed as they are (section 5.2).
const NAME: &str = "SLTCpsk_ChaChaPoly_BLAKE2s";

/// What hashes and keys a handshake.
pub(crate) type State = SymmetricState<ChaChaPoly, Blake2s>;

/// A handshake without public keys.
pub(crate) struct Symmetric {
    state: State,
    own: Key,
}

impl Symmetric {
    #[inline(never)]
    pub(crate) fn new(prologue: &[u8], psk: &[u8; 32], own: Key) -> Self {
        let mut state = State::new(NAME);
        state.mix_hash(prologue);
        state.mix_key_and_hash(psk);
        Self { state, own }
    }

    pub(crate) fn write(&mut self) -> Result<[u8; MESSAGE_BYTES], Refused> {
        let mut message = [0; MESSAGE_BYTES];
        let (number, tag) = message.split_first_chunk_mut::<NUMBER_BYTES>().ok_or(Refused)?;
        number.clone_from(self.own.expose());
        self.state.mix_hash(number);
        self.state.mix_key(number);
        self.state.encrypt_and_hash(&[], tag).map_err(|_| Refused)?;
        Ok(message)
    }

    pub(crate) fn read(&mut self, message: &[u8; MESSAGE_BYTES]) -> Result<(), Refused> {
        let (number, tag) = message.split_first_chunk::<NUMBER_BYTES>().ok_or(Refused)?;
        self.state.mix_hash(number);
        self.state.mix_key(number);
        self.state.decrypt_and_hash(tag, &mut []).map_err(|_| Refused)
    }

    pub(crate) fn state(&self) -> State {
        self.state.clone()
    }
}
