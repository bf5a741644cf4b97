//! How two that pin one another come to share a secret, though none travels.

use core::fmt;

use clatter::crypto::hash::Blake2s;
use clatter::traits::Hash as _;

use crate::key::{PairingKey, Pin, PublicKey, StaticKey};
use crate::party::{PARTY_BYTES, Party};

/// What the secret is derived under.
const LABEL: &[u8] = b"sharelet-channel pairing v1";

/// The public key is a point of low order: nobody's key, and no secret with anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LowOrder;

impl fmt::Display for LowOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this public key is nobody's; get the peer's again, and compare fingerprints")
    }
}

impl core::error::Error for LowOrder {}

impl Pin {
    /// The pin of a peer with this public key; the peer's of this party has the same secret:
    ///
    /// ```text
    /// HMAC-BLAKE2s("sharelet-channel pairing v1", X25519(own, public) | first | second)
    /// ```
    ///
    /// The parties are 17 bytes each, role and padded name, the smaller one first. This is the
    /// extracting half of HKDF (RFC 5869), with the label as its salt.
    ///
    /// # Errors
    /// [`LowOrder`].
    pub fn paired(
        own: &StaticKey,
        own_party: &Party,
        peer: &Party,
        public: PublicKey,
    ) -> Result<Self, LowOrder> {
        let shared = own.shared(&public).ok_or(LowOrder)?;
        let (own, peer): ([u8; PARTY_BYTES], _) = (own_party.to_bytes(), peer.to_bytes());
        let (first, second) = if own < peer { (own, peer) } else { (peer, own) };
        let pairing = Blake2s::hmac_many(LABEL, &[shared.as_slice(), &first, &second]);
        Ok(Self { public, pairing: PairingKey::from_bytes(*pairing) })
    }
}
