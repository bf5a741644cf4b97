//! Who is at an end of a channel.

use core::fmt;

use sharelet_core::DeviceId;

/// What a party is in the protocols that run over the channel. A name is pinned together with its
/// role: whoever holds a device's key cannot pose as the dealer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Role {
    /// Holds a reading, and takes part in the session.
    Device = 1,
    /// Holds a reading, and leaves the session to two servers.
    DataParty = 2,
    /// Holds a model.
    Host = 3,
    /// Deals correlations.
    Dealer = 4,
    /// Party 0 of two servers.
    Server0 = 5,
    /// Party 1 of two servers.
    Server1 = 6,
    /// Shares data with two servers.
    Owner = 7,
    /// Collects answers from two servers.
    Console = 8,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 8] = [
        Self::Device,
        Self::DataParty,
        Self::Host,
        Self::Dealer,
        Self::Server0,
        Self::Server1,
        Self::Owner,
        Self::Console,
    ];

    /// The role's byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The role's word, in files and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::DataParty => "data-party",
            Self::Host => "host",
            Self::Dealer => "dealer",
            Self::Server0 => "server-0",
            Self::Server1 => "server-1",
            Self::Owner => "owner",
            Self::Console => "console",
        }
    }

    /// The role of a word; `None` if there is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// The role of a byte; `None` if there is none.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.byte() == byte)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Bytes of a [`Party`].
pub const PARTY_BYTES: usize = 17;

/// A role and a name: what keys are pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Party {
    /// The role.
    pub role: Role,
    /// The name.
    pub name: DeviceId,
}

impl Party {
    /// A party; `None` if the name is not one, see [`DeviceId::new`].
    #[must_use]
    pub fn new(role: Role, name: &str) -> Option<Self> {
        Some(Self { role, name: DeviceId::new(name)? })
    }

    /// The role's byte, and the padded name.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PARTY_BYTES] {
        let mut bytes = [self.role.byte(); PARTY_BYTES];
        bytes.iter_mut().skip(1).zip(self.name.as_bytes()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// A party from its bytes; `None` if they are not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; PARTY_BYTES]) -> Option<Self> {
        let (role, name) = bytes.split_first()?;
        let name = DeviceId::from_bytes(*name.first_chunk()?)?;
        Some(Self { role: Role::from_byte(*role)?, name })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_survive_their_bytes_and_words() {
        for byte in 0..=255 {
            let role = Role::from_byte(byte);
            assert_eq!(role.is_some(), (1..=8).contains(&byte));
            assert!(role.is_none_or(|role| role.byte() == byte));
            assert!(role.is_none_or(|role| Role::from_word(role.word()) == Some(role)));
        }
    }

    #[test]
    fn parties_survive_their_bytes() {
        let party = Party::new(Role::Console, "console-1").unwrap();
        let bytes = party.to_bytes();
        assert_eq!(&bytes, b"\x08console-1\0\0\0\0\0\0\0");
        assert_eq!(Party::from_bytes(&bytes), Some(party));
        assert_eq!(Party::from_bytes(&[9; PARTY_BYTES]), None);
        assert_eq!(Party::from_bytes(&[1; PARTY_BYTES]), None);
    }
}
