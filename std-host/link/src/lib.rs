//! Links between programs: where bytes come from, and for how long one waits for them.
//!
//! Everything above this room sees a [`Connection`]: a buffered reader and writer of
//! `embedded-io-async` with time-outs. It is made from any pair of `tokio` halves, so a secure
//! channel slides in between [`tcp`] and [`Connection::new`], and tests put a [`fault`] there,
//! without a change to sessions. A [`Route`] puts an emulated line there ([`wan`]). Whoever listens
//! does so as a [`service`].
//!
//! Links are plaintext: [`tcp`] refuses addresses beyond this machine and the emulator's network
//! unless told otherwise.

mod connection;
mod error;
pub mod exchange;
pub mod fault;
pub mod files;
pub mod hex;
pub mod pauses;
mod places;
mod route;
pub mod service;
pub mod tcp;
pub mod timeout;
pub mod wan;
mod warnings;

pub use sharelet_core::transport::{Counting, Counts};

pub use self::connection::{Connection, Reader, Writer};
pub use self::error::LinkError;
pub use self::route::{Exposure, Route};
