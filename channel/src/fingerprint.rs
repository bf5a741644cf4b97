//! A short name of a party and its public key, for people to compare.

use core::fmt;

use clatter::bytearray::ByteArray as _;
use clatter::crypto::hash::Blake2s;
use clatter::traits::Hash as _;

use crate::party::Party;

/// Letters of a fingerprint, without the dashes: 100 bits.
const LETTERS: usize = 20;
/// Letters between dashes.
const GROUP: usize = 4;
/// What is hashed before the key.
const TAG: &[u8] = b"sharelet-channel fingerprint v2";

/// Five groups of four letters: the first 100 bits of BLAKE2s over a tag, role and name, and the
/// public key, in base 32 (RFC 4648, small letters).
///
/// To make a key with a given fingerprint takes 2^100 attempts, and a key that is true says nothing
/// for another role or name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; LETTERS]);

impl Fingerprint {
    /// The fingerprint of a party with this public key.
    pub(crate) fn of(party: &Party, public: &[u8; 32]) -> Self {
        let mut hash = Blake2s::default();
        hash.input(TAG);
        hash.input(&party.to_bytes());
        hash.input(public);
        let hash = hash.result();
        let mut letters = [0; LETTERS];
        for (index, letter) in letters.iter_mut().enumerate() {
            *letter = base32(five_bits(hash.as_slice(), 5 * index));
        }
        Self(letters)
    }
}

/// Bits `first..first + 5` of `bytes`, the highest bit of a byte first.
fn five_bits(bytes: &[u8], first: usize) -> u8 {
    let at = |index: usize| u16::from(bytes.get(index).copied().unwrap_or(0));
    let pair = at(first / 8) << 8 | at(first / 8 + 1);
    let [low, _] = (pair >> (11 - first % 8)).to_le_bytes();
    low & 31
}

fn base32(value: u8) -> u8 {
    match value {
        0..26 => b'a' + value,
        _ => b'2' + (value.wrapping_sub(26) & 7),
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.chunks(GROUP).enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            f.write_str(core::str::from_utf8(group).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;
    use crate::party::Role;

    #[test]
    fn five_bits_are_those_of_base_32() {
        // RFC 4648, section 10: "foobar" is MZXW6YTBOI.
        let letters: [u8; 10] =
            core::array::from_fn(|index| base32(five_bits(b"foobar\0", 5 * index)));
        assert_eq!(letters, *b"mzxw6ytboi");
    }

    #[test]
    fn a_fingerprint_is_short_and_differs() {
        let party = |role, name| Party::new(role, name).unwrap();
        let host = party(Role::Host, "hall-2");
        let shown = format!("{}", Fingerprint::of(&host, &[7; 32]));
        assert_eq!(shown.len(), 24);
        assert!(shown.split('-').all(|group| group.len() == 4));
        for (other, key) in [
            (host, [8; 32]),
            (party(Role::Dealer, "hall-2"), [7; 32]),
            (party(Role::Host, "hall-3"), [7; 32]),
        ] {
            assert_ne!(shown, format!("{}", Fingerprint::of(&other, &key)));
        }
    }
}
