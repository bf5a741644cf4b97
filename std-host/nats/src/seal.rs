//! What is kept beyond this machine is sealed: whoever keeps it learns lengths, names of devices
//! and how many sessions they have, and nothing else; and what it changes is refused.
//!
//! `XChaCha20-Poly1305` with random nonces, under a key that is derived from the party's secret:
//! all machines that run one party have the same. The place is authenticated with it, so nothing is
//! taken for what lies elsewhere. What was in the same place before can be put back, which
//! [`Witness`](sharelet_host::store::witness::Witness) is for.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sharelet_core::keystream::Key;
use sharelet_host::store::StoreError;
use sharelet_host::store::identity::Own;
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;

/// A nonce.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// The keys of a party's store.
pub(crate) struct Seal {
    cipher: XChaCha20Poly1305,
    seeds: Zeroizing<[u8; 32]>,
}

impl core::fmt::Debug for Seal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seal(<redacted>)")
    }
}

/// `HMAC-SHA256(key, label | message)`.
fn derive(key: &[u8; 32], label: &str, message: &[u8]) -> Zeroizing<[u8; 32]> {
    // The key of a block: 32 bytes, and as many zeros, which is what HMAC makes of it.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
    mac.update(label.as_bytes());
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

impl Seal {
    /// The keys that come of a party's secret.
    pub(crate) fn of(own: &Own) -> Self {
        let party = own.party.to_bytes();
        let key = |label| derive(own.key.expose(), label, &party);
        let sealing = key("sharelet store 1: seal\0");
        let cipher = XChaCha20Poly1305::new((&*sealing).into());
        Self { cipher, seeds: key("sharelet store 1: seeds\0") }
    }

    /// The seed of the weight mask of a model: the same on all machines, and kept on none.
    pub(crate) fn seed(&self, model: &[u8; 32]) -> Key {
        Key::from_bytes(*derive(&self.seeds, "sharelet store 1: seed of a model\0", model))
    }

    /// Seals what is kept in `place`.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Result<(Nonce, Vec<u8>), StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(StoreError::Randomness)?;
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        // It fails for lengths alone that no memory holds.
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload).unwrap_or_default();
        Ok((nonce, sealed))
    }

    /// What was sealed for `place`; `None` if that was not.
    pub(crate) fn open(&self, place: &str, nonce: &Nonce, sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
    }

    /// As [`Seal::seal`], with the nonce before it.
    pub(crate) fn seal_whole(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (nonce, sealed) = self.seal(place, plain)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// As [`Seal::open`], with the nonce before it.
    pub(crate) fn open_whole(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        self.open(place, nonce, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_link::{Party, Role};

    fn own(role: Role, name: &str) -> Own {
        Own::generate(Party::new(role, name).expect("a name")).expect("randomness")
    }

    #[test]
    fn what_is_moved_or_changed_is_refused() {
        let host = own(Role::Host, "a");
        let seal = Seal::of(&host);
        let sealed = seal.seal_whole("here", b"numbers").expect("randomness");
        assert_eq!(Seal::of(&host).open_whole("here", &sealed).as_deref(), Some(&b"numbers"[..]));
        assert_eq!(seal.open_whole("there", &sealed), None);
        assert_eq!(Seal::of(&own(Role::Host, "a")).open_whole("here", &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open_whole("here", &changed), None, "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert_eq!(seal.open_whole("here", &sealed[..cut]), None, "cut at {cut}");
        }
        let again = seal.seal_whole("here", b"numbers").expect("randomness");
        assert_ne!(sealed, again);
    }

    #[test]
    fn seeds_are_a_models_and_a_hosts() {
        let (host, other) = (own(Role::Host, "a"), own(Role::Host, "a"));
        let seed = |own: &Own, model| *Seal::of(own).seed(&[model; 32]).expose();
        assert_eq!(seed(&host, 1), seed(&host, 1));
        assert_ne!(seed(&host, 1), seed(&host, 2));
        assert_ne!(seed(&host, 1), seed(&other, 1));
    }
}
