//! The provisioned key of the pattern `Psk`, which moves forward with every connection.

use core::fmt;

use clatter::crypto::hash::Blake2s;
use clatter::traits::Hash as _;
use sharelet_core::Key;
use zeroize::Zeroize as _;

use crate::error::Error;

/// How many steps a responder goes at once behind an initiator whose hellos were lost, of 23,000
/// instructions each on a Cortex-M4. It goes them for whoever holds the [`HelloKey`], and stores
/// where it is: once that is stored, whoever repeats the hello has it go none. What is left is the
/// next connection's.
pub const STEPS_AT_ONCE: u64 = 4096;
/// Bytes of a [`Ratchet`].
pub const RATCHET_BYTES: usize = 72;
/// The public name of a provisioned key: the same at every step, and at both ends.
pub type KeyName = [u8; HELLO_TAG_BYTES];
/// Bytes by which a hello shows that it is of the peer.
pub(crate) const HELLO_TAG_BYTES: usize = 8;

/// What a step is derived under.
const LABEL: &[u8] = b"sharelet-channel ratchet v1";
/// What a provisioned key's name is made of, shorter than any hello.
const NAME_LABEL: &[u8] = b"name of the key";
/// What a hello's key is derived under.
const HELLO_LABEL: &[u8] = b"sharelet-channel hello v1";

/// What hellos of a provisioned key are authenticated under, so that a responder follows nobody but
/// its peer. It stays the same. Whoever gets hold of it can have the responder go steps that the
/// peer has not made, and so keep the peer out until it is provisioned anew; it opens nothing.
///
/// `HMAC-BLAKE2s("sharelet-channel hello v1", first key)`.
pub struct HelloKey(Key);

impl HelloKey {
    /// The one of a provisioned key.
    #[must_use]
    pub fn of(first: &Key) -> Self {
        Self(Key::from_bytes(*Blake2s::hmac_many(HELLO_LABEL, &[first.expose()])))
    }

    /// One from bytes that were stored, see [`HelloKey::expose`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Key::from_bytes(bytes))
    }

    /// Its bytes, to be stored.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The public name of the provisioned key.
    #[must_use]
    pub fn name(&self) -> KeyName {
        self.tag(NAME_LABEL)
    }

    /// What shows that the holder of this key has said these bytes.
    #[inline(never)]
    pub(crate) fn tag(&self, said: &[u8]) -> [u8; HELLO_TAG_BYTES] {
        let all = Blake2s::hmac_many(self.expose(), &[said]);
        let mut tag = [0; HELLO_TAG_BYTES];
        tag.iter_mut().zip(all.iter()).for_each(|(to, from)| *to = *from);
        tag
    }
}

/// A key and the number of steps that it has made. It cannot be computed back: what was sent under
/// an earlier step stays closed to whoever gets hold of this one, but everything later is open to
/// them.
///
/// A step is `HKDF(key, "sharelet-channel ratchet v1")` of two outputs (Noise revision 34, section
/// 4.3): the first is the next step's key, the second the connection's.
pub struct Ratchet {
    step: u64,
    key: Key,
    hello: HelloKey,
}

/// The key of one connection, spent by it.
///
/// ```compile_fail,E0382
/// # fn twice(ratchet: sharelet_channel::Ratchet) {
/// let (key, left) = ratchet.advance();
/// let (again, _) = ratchet.advance();
/// # }
/// ```
pub struct ConnectionKey {
    step: u64,
    key: Key,
    hello: HelloKey,
}

/// One step: the key of the step after it, and that of its connection.
#[must_use]
#[inline(never)]
pub fn advance_key(key: &Key) -> (Key, Key) {
    let (next, connection) = Blake2s::hkdf(key.expose(), LABEL);
    (Key::from_bytes(*next), Key::from_bytes(*connection))
}

impl Ratchet {
    /// The ratchet of a key that was provisioned at both ends, at step 0.
    #[must_use]
    pub fn new(first: Key) -> Self {
        Self { step: 0, hello: HelloKey::of(&first), key: first }
    }

    /// A ratchet from its bytes, see [`Ratchet::expose`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RATCHET_BYTES]) -> Self {
        let (mut step, mut key, mut hello) = ([0; 8], [0; 32], [0; 32]);
        let to = step.iter_mut().chain(&mut key).chain(&mut hello);
        to.zip(bytes).for_each(|(to, from)| *to = *from);
        let ratchet = Self {
            step: u64::from_le_bytes(step),
            key: Key::from_bytes(key),
            hello: HelloKey::from_bytes(hello),
        };
        key.iter_mut().chain(&mut hello).for_each(|byte| byte.zeroize());
        ratchet
    }

    /// Its bytes: step, little-endian, key, and the hellos' key, to be stored in place of the step
    /// before; the copy is the caller's to wipe.
    #[must_use]
    pub fn expose(&self) -> [u8; RATCHET_BYTES] {
        let mut bytes = [0; RATCHET_BYTES];
        let step = self.step.to_le_bytes();
        let from = step.iter().chain(self.key.expose()).chain(self.hello.expose());
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The number of steps made.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The key of the next connection, and what is left for those after it. Store what is left
    /// before the key is used: a step that is used twice is refused.
    #[must_use]
    pub fn advance(self) -> (ConnectionKey, Self) {
        let (next, connection) = advance_key(&self.key);
        let hello = HelloKey::from_bytes(*self.hello.expose());
        let key = ConnectionKey::new(self.step, connection, self.hello);
        (key, Self { step: self.step.saturating_add(1), key: next, hello })
    }

    /// The public name of the provisioned key.
    #[must_use]
    pub fn key_name(&self) -> KeyName {
        self.hello.name()
    }

    pub(crate) fn hello(&self) -> &HelloKey {
        &self.hello
    }

    /// The same, for who stores it and goes on with it.
    pub(crate) fn copied(&self) -> Self {
        let [key, hello] = [*self.key.expose(), *self.hello.expose()].map(Key::from_bytes);
        Self { step: self.step, key, hello: HelloKey(hello) }
    }

    /// Goes towards a step that the peer has shown to be at, [`STEPS_AT_ONCE`] at most.
    pub(crate) fn follow(mut self, step: u64) -> Result<Self, Error> {
        let ahead = step.checked_sub(self.step);
        let ahead = ahead.ok_or(Error::Step { next: self.step, offered: step })?;
        for _ in 0..ahead.min(STEPS_AT_ONCE) {
            (self.key, _) = advance_key(&self.key);
            self.step = self.step.saturating_add(1);
        }
        Ok(self)
    }
}

impl ConnectionKey {
    /// The key of the connection `step`, as [`advance_key`] has made it.
    #[must_use]
    pub fn new(step: u64, key: Key, hello: HelloKey) -> Self {
        Self { step, key, hello }
    }

    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        self.key.expose()
    }

    pub(crate) fn hello(&self) -> &HelloKey {
        &self.hello
    }
}

impl fmt::Debug for HelloKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HelloKey(<redacted>)")
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ratchet {{ step: {}, key: <redacted> }}", self.step)
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionKey {{ step: {}, key: <redacted> }}", self.step)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    fn ratchet() -> Ratchet {
        Ratchet::new(Key::from_bytes([77; 32]))
    }

    #[test]
    fn a_ratchet_that_follows_gets_the_same_keys() {
        let mut ahead = ratchet();
        for step in 0..20 {
            let followed = ratchet().follow(step).unwrap();
            assert_eq!(ahead.expose(), followed.expose());
            let ((connection, next), (same, left)) = (ahead.advance(), followed.advance());
            assert_eq!((connection.step(), connection.key()), (step, same.key()));
            assert_eq!(connection.hello().expose(), same.hello().expose());
            assert_eq!(next.expose(), left.expose());
            ahead = next;
        }
        let refused = ahead.follow(19).map(|_| ());
        assert_eq!(refused, Err(Error::Step { next: 20, offered: 19 }));
    }

    #[test]
    fn a_ratchet_follows_so_far_at_once() {
        let first = ratchet().follow(u64::MAX).unwrap();
        assert_eq!(first.step(), STEPS_AT_ONCE);
        assert_eq!(first.follow(STEPS_AT_ONCE + 3).unwrap().step(), STEPS_AT_ONCE + 3);
    }

    #[test]
    fn a_ratchet_survives_its_bytes_and_prints_redacted() {
        let (connection, ratchet) = ratchet().advance();
        assert_eq!(Ratchet::from_bytes(&ratchet.expose()).expose(), ratchet.expose());
        assert_eq!(ratchet.step(), 1);
        assert_eq!(format!("{ratchet:?}"), "Ratchet { step: 1, key: <redacted> }");
        assert_eq!(format!("{:?}", ratchet.hello()), "HelloKey(<redacted>)");
        assert_eq!(format!("{connection:?}"), "ConnectionKey { step: 0, key: <redacted> }");
    }
}
