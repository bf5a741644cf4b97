//! Why there is no connection.

use core::fmt;

use sharelet_channel::Role;
use sharelet_flash::StoreError;

use crate::board::NoRandom;

/// Why a key page does not serve this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// It is that of another role.
    Role(Role),
    /// It has no peer of this role.
    NoPeer(Role),
    /// It has static keys, and this program is built without.
    StaticKeys,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(needed) => write!(f, "the key page is no {needed}'s; provision one"),
            Self::NoPeer(role) => write!(f, "the key page has no {role}; provision with --peer"),
            Self::StaticKeys => {
                f.write_str("the key page has static keys; build with the feature `static-keys`")
            }
        }
    }
}

/// Why there is no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The handshake failed.
    Channel(sharelet_channel::Error),
    /// There are no random bytes.
    Random(NoRandom),
    /// The ratchet gives no step.
    Ratchet(StoreError),
}

impl LinkError {
    /// A word for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Channel(_) => "Channel",
            Self::Random(_) => "Random",
            Self::Ratchet(_) => "Ratchet",
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(error) => error.fmt(f),
            Self::Random(error) => error.fmt(f),
            Self::Ratchet(error) => error.fmt(f),
        }
    }
}
