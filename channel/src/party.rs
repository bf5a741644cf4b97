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
}
