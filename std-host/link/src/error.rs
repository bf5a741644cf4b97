//! Why there is no connection.

use std::io;

/// What is wrong with an address or a connection attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Links are plaintext, and the address is reachable by others.
    #[error(
        "{address} is neither loopback nor the emulator's network 10.0.2.0/24, and links are \
         plaintext: tunnel the connection (ssh -L), or accept that others can read and change it \
         with --insecure-plaintext"
    )]
    NotLocal {
        /// The address.
        address: core::net::IpAddr,
    },
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
}
