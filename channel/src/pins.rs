//! Whom a responder knows, and who a party is itself.

use core::fmt;

use crate::error::Error;
#[cfg(feature = "x25519")]
use crate::key::{Pin, Resumption, ResumptionId, StaticKey};
use crate::party::Party;
use crate::ratchet::Ratchet;

/// A party's own role, name and, unless it only speaks the pattern `Psk`, static key.
pub struct Identity {
    party: Party,
    #[cfg(feature = "x25519")]
    key: Option<StaticKey>,
}

impl Identity {
    /// A party with a static key.
    #[cfg(feature = "x25519")]
    #[must_use]
    pub fn new(party: Party, key: StaticKey) -> Self {
        Self { party, key: Some(key) }
    }

    /// A party that speaks the pattern `Psk` alone.
    #[must_use]
    pub fn without_static_key(party: Party) -> Self {
        Self {
            party,
            #[cfg(feature = "x25519")]
            key: None,
        }
    }

    /// Role and name.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// The static key.
    #[cfg(feature = "x25519")]
    pub(crate) fn key(&self) -> Result<&StaticKey, Error> {
        self.key.as_ref().ok_or(Error::NoStaticKey)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.party)
    }
}

/// The ratchet could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotStored;

impl From<NotStored> for Error {
    fn from(NotStored: NotStored) -> Self {
        Self::NotStored
    }
}

/// Whom a responder knows. What is not overridden knows nobody.
///
/// Whoever drops a peer drops its pin, its resumption and its ratchet: each of them alone lets the
/// peer in. Nothing here waits: a responder has its keys at hand.
pub trait Pins {
    /// The keys of a peer that may come with static keys.
    #[cfg(feature = "x25519")]
    fn pin(&mut self, _peer: &Party) -> Option<Pin> {
        None
    }

    /// The resumption of a peer, if this is its name: it is taken away, and not used again whatever
    /// comes of the handshake. If it has another name it stays.
    #[cfg(feature = "x25519")]
    fn resumption(&mut self, _peer: &Party, _id: &ResumptionId) -> Option<Resumption> {
        None
    }

    /// Keeps what the session that now begins leaves to the peer's next one, in place of an older
    /// one. Called when the peer has shown that it has the keys.
    #[cfg(feature = "x25519")]
    fn keep(&mut self, _peer: &Party, _resumption: Resumption) {}

    /// The ratchet of a peer that may come with a provisioned key; it stays where it is.
    fn ratchet(&mut self, _peer: &Party) -> Option<Ratchet> {
        None
    }

    /// Stores the ratchet of a peer that has shown that it is at a step, or has the key of one, in
    /// place of the one before: the steps before this one are used. Returns only when that survives
    /// a power cut.
    ///
    /// # Errors
    /// [`NotStored`] if that cannot be promised, if the stored one is of another key, or if it is
    /// not behind this one: of two connections one goes on. The connection is then not begun.
    fn advanced(&mut self, _peer: &Party, _ratchet: Ratchet) -> Result<(), NotStored> {
        Err(NotStored)
    }
}

impl<P: Pins + ?Sized> Pins for &mut P {
    #[cfg(feature = "x25519")]
    fn pin(&mut self, peer: &Party) -> Option<Pin> {
        (**self).pin(peer)
    }

    #[cfg(feature = "x25519")]
    fn resumption(&mut self, peer: &Party, id: &ResumptionId) -> Option<Resumption> {
        (**self).resumption(peer, id)
    }

    #[cfg(feature = "x25519")]
    fn keep(&mut self, peer: &Party, resumption: Resumption) {
        (**self).keep(peer, resumption);
    }

    fn ratchet(&mut self, peer: &Party) -> Option<Ratchet> {
        (**self).ratchet(peer)
    }

    fn advanced(&mut self, peer: &Party, ratchet: Ratchet) -> Result<(), NotStored> {
        (**self).advanced(peer, ratchet)
    }
}
