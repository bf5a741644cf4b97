//! Why there is no connection.

use std::io;
use std::path::PathBuf;

use sharelet_channel::{Error, Party, Role};
use sharelet_core::DeviceId;

/// What is wrong with an address or a connection attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address is not one.
    #[error("{address}: {source}; give HOST:PORT")]
    Resolve {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another port (0 takes a free one)")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no socket of systemd.
    #[error(
        "cannot listen at `systemd`: {source}; start the program by a unit that has a .socket, or \
         give HOST:PORT"
    )]
    NotActivated {
        /// What is missing.
        source: io::Error,
    },
    /// The serial line cannot be used.
    #[error(
        "cannot open the serial line {path}: {source}; check its name, that no other program has \
         it, and that you may use it (on Linux, of the group dialout)",
        path = path.display(),
    )]
    Serial {
        /// Its device file or port.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody answers.
    #[error(
        "cannot connect to {address}: {source}; check the address and that the program there runs"
    )]
    Connect {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no peer of the role, or none of the name.
    #[error(
        "{own} is paired with no {role}{name}; exchange cards, and run `sharelet pair` on both \
         sides",
        name = name.map(|name| format!(" of the name {name}")).unwrap_or_default(),
    )]
    NotPaired {
        /// The program.
        own: Party,
        /// The peer's role.
        role: Role,
        /// Its name, if one was given.
        name: Option<DeviceId>,
    },
    /// There are several peers of the role.
    #[error("there are several peers with the role {role}: say which, as NAME@HOST:PORT ({names})")]
    WhichPeer {
        /// The role.
        role: Role,
        /// Their names.
        names: String,
    },
    /// The peer did not prove to be who was expected, or does not know this program.
    #[error("{peer}: {source}")]
    Channel {
        /// Who was expected.
        peer: Party,
        /// What happened.
        source: Error,
    },
    /// Somebody who connected did not shake hands.
    #[error("no handshake: {0}")]
    Handshake(Error),
    /// A peer of a role that has no business here.
    #[error("{peer} connected to a port that is not for its role; check the address that it has")]
    Role {
        /// Who it says it is.
        peer: Party,
    },
    /// The system has no randomness.
    #[error("the system has no randomness for a handshake: {0}")]
    Randomness(String),
}

impl LinkError {
    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            // Nobody has proved anything yet: a refusal that is forged must not do more than a line
            // that is cut.
            Self::Channel { source, .. } => !matches!(source, Error::NoStaticKey),
            _ => false,
        }
    }
}
