//! The handshakes with public keys: Noise `KKpsk0` and `NNpsk0` of the library.

use clatter::bytearray::SensitiveByteArray;
use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::dh::X25519;
use clatter::crypto::hash::Blake2s;
use clatter::error::{DhError, DhResult, HandshakeError};
use clatter::handshakepattern::{HandshakePattern, Token};
use clatter::rand_core;
use clatter::traits::{CryptoComponent, Dh, Rng};
use clatter::{Handshaker as _, NqHandshakeCore};

use crate::cipher::Refused;
use crate::key::{Pair, Pin, StaticKey};
use crate::symmetric::{MESSAGE_BYTES, State};

/// The library's X25519. It makes no key pairs: the library would take them from a generator that
/// it makes itself, and a device's is the caller's.
#[derive(Clone, Debug)]
struct Curve;

impl CryptoComponent for Curve {
    fn name() -> &'static str {
        X25519::name()
    }
}

impl Dh for Curve {
    type PrivateKey = SensitiveByteArray<[u8; 32]>;
    type PubKey = [u8; 32];
    type Output = SensitiveByteArray<[u8; 32]>;

    fn genkey_rng<R: Rng>(_: &mut R) -> DhResult<Pair> {
        Err(DhError::KeyGeneration)
    }

    fn pubkey(secret: &Self::PrivateKey) -> Self::PubKey {
        X25519::pubkey(secret)
    }

    fn dh(secret: &Self::PrivateKey, public: &Self::PubKey) -> DhResult<Self::Output> {
        X25519::dh(secret, public)
    }
}

/// The generator that the library wants to make. Nothing asks it, since [`Curve`] does not.
#[derive(Clone, Debug, Default)]
struct NoGenerator;

impl rand_core::RngCore for NoGenerator {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {}

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rand_core::Error> {
        Err(core::num::NonZeroU32::MIN.into())
    }
}

impl rand_core::CryptoRng for NoGenerator {}

type Library = NqHandshakeCore<Curve, ChaChaPoly, Blake2s, NoGenerator>;

/// A handshake with public keys.
pub(crate) struct Noise(Library);

/// `-> s, <- s, ... -> psk, e, es, ss, <- e, ee, se` (sections 7.5 and 9.4).
fn kk_psk0() -> Result<HandshakePattern, Refused> {
    use Token::{E, EE, ES, Psk, S, SE, SS};
    let (initiator, responder) = ([[Psk, E, ES, SS].as_slice()], [[E, EE, SE].as_slice()]);
    HandshakePattern::try_new("KKpsk0", &[S], &[S], &initiator, &responder).map_err(|_| Refused)
}

/// `-> psk, e, <- e, ee` (sections 7.5 and 9.4).
fn nn_psk0() -> Result<HandshakePattern, Refused> {
    use Token::{E, EE, Psk};
    let (initiator, responder) = ([[Psk, E].as_slice()], [[E, EE].as_slice()]);
    HandshakePattern::try_new("NNpsk0", &[], &[], &initiator, &responder).map_err(|_| Refused)
}

impl Noise {
    pub(crate) fn kk_psk0(
        prologue: &[u8],
        initiator: bool,
        own: &StaticKey,
        pin: &Pin,
        ephemeral: Pair,
    ) -> Result<Self, Refused> {
        let (own, peer) = (Some(own.pair()), Some(*pin.public.as_bytes()));
        let noise =
            NqHandshakeCore::new(kk_psk0()?, prologue, initiator, own, Some(ephemeral), peer, None);
        Self::with_psk(noise, pin.pairing.expose())
    }

    pub(crate) fn nn_psk0(
        prologue: &[u8],
        initiator: bool,
        psk: &[u8; 32],
        ephemeral: Pair,
    ) -> Result<Self, Refused> {
        let noise = NqHandshakeCore::new(
            nn_psk0()?,
            prologue,
            initiator,
            None,
            Some(ephemeral),
            None,
            None,
        );
        Self::with_psk(noise, psk)
    }

    #[inline(always)]
    fn with_psk(noise: Result<Library, HandshakeError>, psk: &[u8; 32]) -> Result<Self, Refused> {
        let mut noise = Self(noise.map_err(|_| Refused)?);
        noise.0.push_psk(psk);
        Ok(noise)
    }

    pub(crate) fn write(&mut self) -> Result<[u8; MESSAGE_BYTES], Refused> {
        let mut message = [0; MESSAGE_BYTES];
        match self.0.write_message(&[], &mut message) {
            Ok(MESSAGE_BYTES) => Ok(message),
            _ => Err(Refused),
        }
    }

    pub(crate) fn read(&mut self, message: &[u8; MESSAGE_BYTES]) -> Result<(), Refused> {
        match self.0.read_message(message, &mut []) {
            Ok(0) => Ok(()),
            _ => Err(Refused),
        }
    }

    pub(crate) fn state(&self) -> Result<State, Refused> {
        if self.0.is_finished() { Ok(self.0.get_state()) } else { Err(Refused) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use clatter::handshakepattern::{noise_kk_psk0, noise_nn_psk0};

    use super::*;

    #[test]
    fn the_patterns_are_those_of_the_library() {
        for (ours, theirs) in
            [(kk_psk0().unwrap(), noise_kk_psk0()), (nn_psk0().unwrap(), noise_nn_psk0())]
        {
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        }
    }

    #[test]
    fn the_library_makes_no_keys() {
        let psk = [7; 32];
        let noise = NqHandshakeCore::new(nn_psk0().unwrap(), &[], true, None, None, None, None);
        let mut noise = Noise::with_psk(noise, &psk).unwrap();
        assert_eq!(noise.write(), Err(Refused));
    }
}
