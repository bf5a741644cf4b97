//! A handshake of any pattern: two messages of the same length, and then two keys.

use clatter::cipherstate::CipherStates;
#[cfg(feature = "x25519")]
use clatter::{bytearray::ByteArray as _, crypto::hash::Blake2s, traits::Hash as _};
use rand_core::CryptoRng;
use sharelet_core::Key;

use crate::cipher::{Cipher, Keys, Refused};
#[cfg(feature = "x25519")]
use crate::key::{Pair, Pin, Resumption, StaticKey};
#[cfg(feature = "x25519")]
use crate::noise::Noise;
use crate::ratchet::ConnectionKey;
#[cfg(feature = "x25519")]
use crate::symmetric::State;
use crate::symmetric::{MESSAGE_BYTES, Symmetric};

/// What a resumption is derived under. Neither empty nor 32 bytes long, as what Noise itself mixes
/// into the chaining key is.
#[cfg(feature = "x25519")]
const RESUMPTION_LABEL: &[u8] = b"sharelet-channel resumption v1";

/// A handshake under way.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Handshake {
    #[cfg(feature = "x25519")]
    Noise(Noise),
    Symmetric(Symmetric),
}

/// What a handshake leaves.
pub(crate) struct Secrets {
    pub(crate) keys: Keys,
    /// `HKDF(ck, label)` of the final chaining key: key, then name; none from the pattern `Psk`. It
    /// depends on everything that the keys of the session depend on, and tells nothing of them.
    /// Since both sides compute it, it costs no message and no random bytes.
    #[cfg(feature = "x25519")]
    pub(crate) resumption: Option<Resumption>,
}

// Never inlined, since a device that is compiled for speed would get the library's code with them,
// several times.
impl Handshake {
    #[cfg(feature = "x25519")]
    #[inline(never)]
    pub(crate) fn kk_psk0(
        prologue: &[u8],
        initiator: bool,
        own: &StaticKey,
        pin: &Pin,
        ephemeral: Pair,
    ) -> Result<Self, Refused> {
        Ok(Self::Noise(Noise::kk_psk0(prologue, initiator, own, pin, ephemeral)?))
    }

    #[cfg(feature = "x25519")]
    #[inline(never)]
    pub(crate) fn nn_psk0(
        prologue: &[u8],
        initiator: bool,
        resumption: &Resumption,
        ephemeral: Pair,
    ) -> Result<Self, Refused> {
        Ok(Self::Noise(Noise::nn_psk0(prologue, initiator, resumption.key(), ephemeral)?))
    }

    /// Spends the key.
    pub(crate) fn psk(prologue: &[u8], key: ConnectionKey, rng: &mut impl CryptoRng) -> Self {
        Self::Symmetric(Symmetric::new(prologue, key.key(), Key::generate(rng)))
    }

    #[inline(never)]
    pub(crate) fn write(&mut self) -> Result<[u8; MESSAGE_BYTES], Refused> {
        match self {
            #[cfg(feature = "x25519")]
            Self::Noise(noise) => noise.write(),
            Self::Symmetric(symmetric) => symmetric.write(),
        }
    }

    #[inline(never)]
    pub(crate) fn read(&mut self, message: &[u8; MESSAGE_BYTES]) -> Result<(), Refused> {
        match self {
            #[cfg(feature = "x25519")]
            Self::Noise(noise) => noise.read(message),
            Self::Symmetric(symmetric) => symmetric.read(message),
        }
    }

    /// After both messages: the keys (section 5.2, `Split`).
    #[inline(never)]
    pub(crate) fn finish(&self, initiator: bool) -> Result<Secrets, Refused> {
        #[cfg(feature = "x25519")]
        let resumes = matches!(self, Self::Noise(_));
        let state = match self {
            #[cfg(feature = "x25519")]
            Self::Noise(noise) => noise.state()?,
            Self::Symmetric(symmetric) => symmetric.state(),
        };
        let CipherStates { initiator_to_responder: up, responder_to_initiator: down } =
            state.split().map_err(|_| Refused)?;
        let (seal, open) = if initiator { (up, down) } else { (down, up) };
        Ok(Secrets {
            keys: Keys { seal: Cipher::new(seal), open: Cipher::new(open) },
            #[cfg(feature = "x25519")]
            resumption: if resumes { Some(resumption(&state)?) } else { None },
        })
    }
}

#[cfg(feature = "x25519")]
fn resumption(state: &State) -> Result<Resumption, Refused> {
    let (key, name) = Blake2s::hkdf(state.get_chaining_key().as_slice(), RESUMPTION_LABEL);
    let id = *name.first_chunk().ok_or(Refused)?;
    Ok(Resumption::new(id, Key::from_bytes(*key)))
}
