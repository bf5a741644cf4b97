//! Data of owners for two servers.
//!
//! [`wire`] is what owner and server say to each other, [`owner`] the one side of it, [`server`]
//! the other.

pub mod owner;
pub mod server;
pub mod wire;
