//! The provisioned key of the pattern `Psk`, which moves forward with every connection.

use core::fmt;

use clatter::crypto::hash::Blake2s;
use clatter::traits::Hash as _;
use sharelet_core::Key;
use zeroize::Zeroize as _;

use crate::error::Error;

/// How many steps the responder follows an initiator whose hellos were lost. A stranger that knows
/// a name makes the responder compute so many steps at most, of 23,000 instructions on a Cortex-M4.
pub const MAX_STEPS_AHEAD: u64 = 256;
/// Bytes of a [`Ratchet`].
pub const RATCHET_BYTES: usize = 40;

/// What a step is derived under.
const LABEL: &[u8] = b"sharelet-channel ratchet v1";

/// A key and the number of steps that it has made. It cannot be computed back: what was sent under
/// an earlier step stays closed to whoever gets hold of this one, but everything later is open to
/// them.
///
/// A step is `HKDF(key, "sharelet-channel ratchet v1")` of two outputs (Noise revision 34, section
/// 4.3): the first is the next step's key, the second the connection's.
pub struct Ratchet {
    step: u64,
    key: Key,
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
}

impl Ratchet {
    /// The ratchet of a key that was provisioned at both ends, at step 0.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { step: 0, key }
    }

    /// A ratchet from its bytes, see [`Ratchet::expose`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RATCHET_BYTES]) -> Self {
        let (mut step, mut key) = ([0; 8], [0; 32]);
        let (to_step, to_key) = (step.iter_mut(), key.iter_mut());
        to_step.chain(to_key).zip(bytes).for_each(|(to, from)| *to = *from);
        let ratchet = Self { step: u64::from_le_bytes(step), key: Key::from_bytes(key) };
        key.iter_mut().zeroize();
        ratchet
    }

    /// Its bytes: step, little-endian, then key, to be stored in place of the step before; the copy
    /// is the caller's to wipe.
    #[must_use]
    pub fn expose(&self) -> [u8; RATCHET_BYTES] {
        let mut bytes = [0; RATCHET_BYTES];
        let step = self.step.to_le_bytes();
        let from = step.iter().chain(self.key.expose());
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
    #[inline(never)]
    pub fn advance(self) -> (ConnectionKey, Self) {
        let (next, connection) = Blake2s::hkdf(self.key.expose(), LABEL);
        let step = self.step;
        (
            ConnectionKey { step, key: Key::from_bytes(*connection) },
            Self { step: step.saturating_add(1), key: Key::from_bytes(*next) },
        )
    }

    /// The key of the connection `step`, and what is left for those after it.
    pub(crate) fn advance_to(self, step: u64) -> Result<(ConnectionKey, Self), Error> {
        let ahead = step.checked_sub(self.step).filter(|&ahead| ahead <= MAX_STEPS_AHEAD);
        let ahead = ahead.ok_or(Error::Step { next: self.step, offered: step })?;
        let mut ratchet = self;
        for _ in 0..ahead {
            (_, ratchet) = ratchet.advance();
        }
        Ok(ratchet.advance())
    }
}

impl ConnectionKey {
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        self.key.expose()
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
        for step in 0..=MAX_STEPS_AHEAD {
            let (connection, next) = ahead.advance();
            let (followed, left) = ratchet().advance_to(step).unwrap();
            assert_eq!((connection.step(), connection.key()), (step, followed.key()));
            assert_eq!(next.expose(), left.expose());
            ahead = next;
        }
        let offered = MAX_STEPS_AHEAD + 1;
        assert_eq!(
            ratchet().advance_to(offered).map(|_| ()),
            Err(Error::Step { next: 0, offered })
        );
        assert_eq!(
            ahead.advance_to(0).map(|_| ()),
            Err(Error::Step { next: MAX_STEPS_AHEAD + 1, offered: 0 })
        );
    }

    #[test]
    fn a_ratchet_survives_its_bytes_and_prints_redacted() {
        let (connection, ratchet) = ratchet().advance();
        assert_eq!(Ratchet::from_bytes(&ratchet.expose()).expose(), ratchet.expose());
        assert_eq!(ratchet.step(), 1);
        assert_eq!(format!("{ratchet:?}"), "Ratchet { step: 1, key: <redacted> }");
        assert_eq!(format!("{connection:?}"), "ConnectionKey { step: 0, key: <redacted> }");
    }
}
