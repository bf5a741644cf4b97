//! What two parties hold of one another. Secrets are wiped when they are dropped, print as
//! `<redacted>`, and are never compared.

use core::fmt;

use clatter::KeyPair;
use clatter::bytearray::SensitiveByteArray;
use clatter::crypto::dh::X25519;
use clatter::traits::Dh as _;
use rand_core::CryptoRng;
use sharelet_core::Key;
use sharelet_core::opened::opened;
use zeroize::Zeroize as _;

use crate::fingerprint::Fingerprint;
use crate::party::Party;

/// A key pair as the library takes it.
pub(crate) type Pair = KeyPair<[u8; 32], SensitiveByteArray<[u8; 32]>>;

/// The public key of a secret one.
fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    X25519::pubkey(&SensitiveByteArray::new(*secret))
}

/// A fresh key pair, for one handshake. Deep in the stack, so called where little is on it.
#[inline(never)]
pub(crate) fn ephemeral(rng: &mut impl CryptoRng) -> Pair {
    let mut secret = [0; 32];
    rng.fill_bytes(&mut secret);
    let pair = KeyPair::new(public_of(&secret), SensitiveByteArray::new(secret));
    secret.iter_mut().zeroize();
    pair
}

/// A party's own X25519 key, made once and kept.
///
/// ```compile_fail,E0369
/// # use sharelet_channel::StaticKey;
/// let same = |a: StaticKey, b: StaticKey| a == b;
/// ```
pub struct StaticKey {
    secret: Key,
    public: PublicKey,
}

impl StaticKey {
    /// A key from 32 bytes that are already secret and uniform. Computes the public key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let public = PublicKey(public_of(&bytes));
        Self { secret: Key::from_bytes(bytes), public }
    }

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let secret = Key::generate(rng);
        Self { public: PublicKey(public_of(secret.expose())), secret }
    }

    /// What the peer pins.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret itself, to be stored by its owner.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    /// The secret that this key shares with a public one; `None` if it is zero, as it is with the
    /// points of low order, which are nobody's key.
    pub(crate) fn shared(&self, public: &PublicKey) -> Option<SensitiveByteArray<[u8; 32]>> {
        let own = SensitiveByteArray::new(*self.secret.expose());
        let shared = X25519::dh(&own, &public.0).ok()?;
        let bits = shared.iter().fold(0, |bits, byte| bits | u32::from(*byte));
        // Whether it is zero depends on the public key alone.
        let none = opened(u32::from(bits == 0));
        (none == 0).then_some(shared)
    }

    pub(crate) fn pair(&self) -> Pair {
        KeyPair::new(self.public.0, SensitiveByteArray::new(*self.secret.expose()))
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKey(<redacted>)")
    }
}

/// A peer's public X25519 key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A key from its 32 bytes. Whether the peer holds the secret of it, the handshake shows.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A short name of the key and of the party whose key it is, for two people to compare.
    #[must_use]
    pub fn fingerprint(&self, of: &Party) -> Fingerprint {
        Fingerprint::of(of, &self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// A 32-byte secret that two parties share since they were paired, see [`Pin::paired`]. A hello of
/// somebody who holds neither of their static keys is refused by it.
#[derive(Debug)]
pub struct PairingKey(Key);

impl PairingKey {
    /// A key from bytes that are already secret and uniform.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Key::from_bytes(bytes))
    }

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Key::generate(rng))
    }

    /// The key itself, to be stored by either of the two.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// What a party holds of a peer that it is paired with.
#[derive(Debug)]
pub struct Pin {
    /// The peer's public key.
    pub public: PublicKey,
    /// The secret of the two, see [`Pin::paired`].
    pub pairing: PairingKey,
}

/// The public name of a [`Resumption`].
pub type ResumptionId = [u8; 16];

/// Bytes of a [`Resumption`].
pub const RESUMPTION_BYTES: usize = 48;

/// What a session leaves to the next one between the same two: a secret that is used once, in place
/// of static keys.
///
/// ```compile_fail,E0382
/// # use sharelet_channel::{Identity, Party, Pin, Resumption, connect};
/// # async fn twice(own: &Identity, peer: &Party, pin: &Pin, left: Resumption) {
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([0; 32]);
/// # let mut stream = sharelet_channel::Halves { reader: &[][..], writer: &mut [][..] };
/// let _ = connect(&mut stream, own, peer, pin, Some(left), &mut rng).await;
/// let _ = connect(&mut stream, own, peer, pin, Some(left), &mut rng).await;
/// # }
/// ```
pub struct Resumption {
    id: ResumptionId,
    key: Key,
}

impl Resumption {
    pub(crate) fn new(id: ResumptionId, key: Key) -> Self {
        Self { id, key }
    }

    /// A resumption from its bytes, see [`Resumption::expose`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RESUMPTION_BYTES]) -> Self {
        let (mut id, mut key) = ([0; 16], [0; 32]);
        let (to_id, to_key) = (id.iter_mut(), key.iter_mut());
        to_id.chain(to_key).zip(bytes).for_each(|(to, from)| *to = *from);
        let resumption = Self { id, key: Key::from_bytes(key) };
        key.iter_mut().zeroize();
        resumption
    }

    /// Its bytes: name, then key, to be stored by either of the two; the copy is the caller's to
    /// wipe.
    #[must_use]
    pub fn expose(&self) -> [u8; RESUMPTION_BYTES] {
        let mut bytes = [0; RESUMPTION_BYTES];
        let from = self.id.iter().chain(self.key.expose());
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> &ResumptionId {
        &self.id
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        self.key.expose()
    }
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resumption(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    fn bytes(digits: &str) -> [u8; 32] {
        core::array::from_fn(|index| {
            u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).unwrap()
        })
    }

    #[test]
    fn a_public_key_is_that_of_rfc_7748() {
        // Section 6.1, Alice's.
        let secret = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        let key = StaticKey::from_bytes(bytes(secret));
        assert_eq!((key.expose(), key.public().0), (&bytes(secret), bytes(public)));
    }

    #[test]
    fn secrets_print_redacted() {
        let resumption = Resumption::from_bytes(&[77; RESUMPTION_BYTES]);
        assert_eq!(resumption.expose(), [77; RESUMPTION_BYTES]);
        for shown in [
            format!("{:?}", StaticKey::from_bytes([77; 32])),
            format!("{:?}", PairingKey::from_bytes([77; 32])),
            format!("{resumption:?}"),
        ] {
            assert!(shown.contains("redacted") && !shown.contains("77"), "{shown}");
        }
    }
}
