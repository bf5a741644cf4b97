//! Connections of a board: a secure channel over any transport, to a peer that the key page knows.
//!
//! With the feature `insecure-plaintext` it is the transport alone.

mod error;
#[cfg(feature = "insecure-plaintext")]
mod plaintext;
#[cfg(not(feature = "insecure-plaintext"))]
mod sealed;

pub use error::{KeyError, LinkError};
#[cfg(feature = "insecure-plaintext")]
pub(crate) use plaintext::{Links, close};
#[cfg(not(feature = "insecure-plaintext"))]
pub(crate) use sealed::{Links, close};
