//! The first bytes of a connection: who wants to connect, and how.
//!
//! ```text
//! hello:  "SLTC" | version, u16 | pattern, u8 | role, u8 | name, 16 bytes | field, 16 bytes
//! ```
//!
//! The field is the resumption's name for `NNpsk0`, the ratchet's step (`u64`) and a tag of 8 bytes
//! for `Psk`, and zeros for `KKpsk0`. All of it is in the prologue of the handshake (Noise revision
//! 34, section 6), with the role and the name of the responder: where any of it was changed on the
//! way, the handshake fails.
//!
//! The tag is the first bytes of `HMAC-BLAKE2s` of the prologue, with zeros in its place, under the
//! hellos' key: a responder follows a ratchet that is ahead for nobody else.

use sharelet_core::DeviceId;
use sharelet_core::opened::opened;

use crate::error::{Error, VERSION};
use crate::party::{Party, Role};
use crate::ratchet::{HELLO_TAG_BYTES, HelloKey};

const MAGIC: [u8; 4] = *b"SLTC";
/// Bytes of magic and version, which every version begins with.
pub(crate) const PREFIX_BYTES: usize = 6;
/// Bytes of what follows them.
pub(crate) const BODY_BYTES: usize = 34;
/// Bytes of a hello.
pub(crate) const HELLO_BYTES: usize = PREFIX_BYTES + BODY_BYTES;
/// Bytes of a prologue.
const PROLOGUE_BYTES: usize = HELLO_BYTES + 17;

/// How a handshake authenticates the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Pattern {
    /// Noise `KKpsk0`: static keys, and the secret of the pairing. Forward secrecy.
    KkPsk0 = 1,
    /// Noise `NNpsk0`: the resumption of the session before. Forward secrecy.
    NnPsk0 = 2,
    /// A provisioned key that moves forward, and no public-key operation. What is sent is open to
    /// whoever gets hold of the key of its step or of one before, at either end.
    Psk = 3,
}

/// How the initiator wants to be authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    KkPsk0,
    NnPsk0([u8; 16]),
    Psk { step: u64, tag: [u8; HELLO_TAG_BYTES] },
}

impl Offer {
    pub(crate) fn pattern(&self) -> Pattern {
        match self {
            Self::KkPsk0 => Pattern::KkPsk0,
            Self::NnPsk0(_) => Pattern::NnPsk0,
            Self::Psk { .. } => Pattern::Psk,
        }
    }
}

/// The first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) from: Party,
    pub(crate) offer: Offer,
}

/// The parts one behind the other, as far as there is room.
fn joined<const N: usize>(parts: [&[u8]; 6]) -> [u8; N] {
    let mut bytes = [0; N];
    let from = parts.into_iter().flatten();
    bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    bytes
}

impl Hello {
    /// The hello of a provisioned key that is at `step`.
    pub(crate) fn provisioned(from: Party, responder: &Party, step: u64, key: &HelloKey) -> Self {
        let tag = Self::tag(from, responder, step, key);
        Self { from, offer: Offer::Psk { step, tag } }
    }

    fn tag(from: Party, responder: &Party, step: u64, key: &HelloKey) -> [u8; HELLO_TAG_BYTES] {
        let untagged = Self { from, offer: Offer::Psk { step, tag: [0; HELLO_TAG_BYTES] } };
        key.tag(&untagged.prologue(responder))
    }

    /// The step of a provisioned key, if whoever holds the key has said it to this responder.
    pub(crate) fn step(&self, responder: &Party, key: &HelloKey) -> Result<u64, Error> {
        let Offer::Psk { step, tag } = self.offer else { return Err(Error::Malformed) };
        let expected = Self::tag(self.from, responder, step, key);
        let bits = tag.iter().zip(&expected).fold(0, |bits, (a, b)| bits | u32::from(a ^ b));
        // Whether the tag is right is no secret: the peer is told.
        if opened(u32::from(bits == 0)) == 1 { Ok(step) } else { Err(Error::Authentication) }
    }

    #[inline(never)]
    pub(crate) fn emit(&self) -> [u8; HELLO_BYTES] {
        let field = match self.offer {
            Offer::KkPsk0 => [0; 16],
            Offer::NnPsk0(id) => id,
            Offer::Psk { step, tag } => {
                let tag = u128::from(u64::from_le_bytes(tag));
                (u128::from(step) | tag << 64).to_le_bytes()
            }
        };
        joined([
            &MAGIC,
            &VERSION.to_le_bytes(),
            &[self.offer.pattern() as u8, self.from.role.byte()],
            self.from.name.as_bytes(),
            &field,
            &[],
        ])
    }

    /// Checks magic and version.
    pub(crate) fn check_prefix(prefix: &[u8; PREFIX_BYTES]) -> Result<(), Error> {
        let [magic @ .., low, high] = *prefix;
        if magic != MAGIC {
            return Err(Error::NotAChannel);
        }
        match u16::from_le_bytes([low, high]) {
            VERSION => Ok(()),
            theirs => Err(Error::Version { theirs }),
        }
    }

    /// Reads what follows magic and version.
    pub(crate) fn parse_body(body: &[u8; BODY_BYTES]) -> Result<Self, Error> {
        let [pattern, role, rest @ ..] = body;
        let ([name, field], _) = rest.as_chunks::<16>() else { return Err(Error::Malformed) };
        let role = Role::from_byte(*role).ok_or(Error::Malformed)?;
        let name = DeviceId::from_bytes(*name).ok_or(Error::Malformed)?;
        let number = u128::from_le_bytes(*field);
        let offer = match *pattern {
            1 if number == 0 => Offer::KkPsk0,
            2 => Offer::NnPsk0(*field),
            3 => {
                let ([step, tag], _) = field.as_chunks::<8>() else { return Err(Error::Malformed) };
                Offer::Psk { step: u64::from_le_bytes(*step), tag: *tag }
            }
            _ => return Err(Error::Malformed),
        };
        Ok(Self { from: Party { role, name }, offer })
    }

    /// What the handshake binds: the hello, and whom it is for.
    #[inline(never)]
    pub(crate) fn prologue(&self, responder: &Party) -> [u8; PROLOGUE_BYTES] {
        let role = [responder.role.byte()];
        joined([&self.emit(), &role, responder.name.as_bytes(), &[], &[], &[]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8; HELLO_BYTES]) -> Result<Hello, Error> {
        let (prefix, body) = bytes.split_first_chunk().unwrap();
        Hello::check_prefix(prefix)?;
        Hello::parse_body(body.first_chunk().unwrap())
    }

    #[test]
    fn a_hello_survives_the_wire_and_what_is_none_is_refused() {
        let from = Party::new(Role::Device, "pump-07").unwrap();
        let psk = Offer::Psk { step: u64::MAX, tag: [7; HELLO_TAG_BYTES] };
        for offer in [Offer::KkPsk0, Offer::NnPsk0([9; 16]), psk] {
            let hello = Hello { from, offer };
            let bytes = hello.emit();
            assert_eq!(parse(&bytes), Ok(hello));
            assert_eq!(hello.prologue(&from)[..HELLO_BYTES], bytes);
            let changed = |at: usize, value: u8| {
                let mut bytes = bytes;
                bytes[at] = value;
                parse(&bytes)
            };
            assert_eq!(changed(0, b'G'), Err(Error::NotAChannel));
            assert_eq!(changed(4, 1), Err(Error::Version { theirs: 1 }));
            for (at, value) in [(6, 0), (6, 4), (7, 0), (7, 9), (8, 0), (15, b' '), (23, b'x')] {
                assert_eq!(changed(at, value), Err(Error::Malformed), "byte {at}");
            }
        }
        let mut bytes = Hello { from, offer: Offer::KkPsk0 }.emit();
        bytes[30] = 1;
        assert_eq!(parse(&bytes), Err(Error::Malformed));
    }

    #[test]
    fn a_hello_of_a_provisioned_key_is_of_its_holder_for_its_responder_at_its_step() {
        let from = Party::new(Role::Device, "pump-07").unwrap();
        let [hall, other] = ["hall-1", "hall-2"].map(|name| Party::new(Role::Host, name).unwrap());
        let [key, another] = [1, 2].map(|byte| HelloKey::from_bytes([byte; 32]));
        let hello = Hello::provisioned(from, &hall, 5, &key);
        assert_eq!(hello.step(&hall, &key), Ok(5));
        assert_eq!(hello.step(&other, &key), Err(Error::Authentication));
        assert_eq!(hello.step(&hall, &another), Err(Error::Authentication));
        // Any bit that is changed on the way but magic and version, which are no hello then.
        for bit in PREFIX_BYTES * 8..HELLO_BYTES * 8 {
            let mut bytes = hello.emit();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = parse(&bytes).and_then(|changed| changed.step(&hall, &key));
            let is_refused = matches!(refused, Err(Error::Authentication | Error::Malformed));
            assert!(is_refused, "bit {bit}: {refused:?}");
        }
        let kk = Hello { from, offer: Offer::KkPsk0 };
        assert_eq!(kk.step(&hall, &key), Err(Error::Malformed));
    }
}
