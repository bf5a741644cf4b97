//! Links between programs: where bytes come from, and for how long one waits for them.
//!
//! Everything above this room sees a [`Connection`]: a buffered reader and writer of
//! `embedded-io-async` with time-outs. A [`Route`] says how it is made: sealed by the keys of a
//! [`Keyring`], over TCP ([`tcp`]) or a serial line ([`SerialLine`]), and perhaps an emulated line
//! ([`wan`]). A plaintext one is made from any pair of `tokio` halves, and tests put a [`fault`]
//! there. Whoever listens does so as a [`service`].
//!
//! ```
//! use core::time::Duration;
//!
//! use embedded_io_async::{Read as _, Write as _};
//! use sharelet_link::Connection;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let (near, far) = tokio::io::duplex(64);
//! let mut near = Connection::over(near, Duration::from_secs(1));
//! let mut far = Connection::over(far, Duration::from_secs(1));
//! near.write_all(b"hello").await?;
//! near.flush().await?;
//! let mut said = [0; 5];
//! far.read_exact(&mut said).await.map_err(std::io::Error::other)?;
//! assert_eq!(&said, b"hello");
//! # Ok(())
//! # }
//! ```

mod connection;
mod error;
pub mod exchange;
pub mod fault;
pub mod files;
pub mod frame;
pub mod hex;
mod keyring;
mod known;
pub mod monitor;
pub mod pauses;
mod places;
mod route;
mod serial;
pub mod service;
pub mod system;
pub mod tcp;
pub mod timeout;
pub mod wan;
mod warnings;

pub use sharelet_channel::{Party, Role};
pub use sharelet_core::transport::{Counting, Counts};

pub use self::connection::{Connection, Reader, Writer};
pub use self::error::LinkError;
pub use self::keyring::{Keyring, Pairing, Peers};
pub use self::route::Route;
pub use self::serial::SerialLine;
