//! Links between programs: where bytes come from, and for how long one waits for them.
//!
//! Everything above this room sees a [`Connection`]: a buffered reader and writer of
//! `embedded-io-async` with time-outs. It is made from any pair of `tokio` halves, so a secure
//! channel slides in between [`tcp`] and [`Connection::new`], and tests put a [`fault`] there,
//! without a change to sessions. A [`Route`] puts an emulated line there ([`wan`]).
//!
//! Links are plaintext: [`tcp`] refuses addresses beyond this machine and the emulator's network
//! unless told otherwise.

pub mod exchange;
pub mod fault;
pub mod files;
pub mod frame;
pub mod hex;
mod route;
pub mod tcp;
pub mod timeout;
pub mod wan;

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
pub use sharelet_core::transport::{Counting, Counts};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

pub use self::route::Route;
use self::timeout::Timeout;

/// Bytes of the buffer of either direction.
const BUFFER_BYTES: usize = 16 * 1024;

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

/// The reading half of a connection.
pub type Reader = Timeout<FromTokio<BufReader<Box<dyn AsyncRead + Send + Unpin>>>>;
/// The writing half of a connection.
pub type Writer = Timeout<FromTokio<BufWriter<Box<dyn AsyncWrite + Send + Unpin>>>>;

/// Both halves of a connection.
pub struct Connection {
    /// Where the peer's bytes come from.
    pub reader: Reader,
    /// Where bytes for the peer go; buffered until flushed.
    pub writer: Writer,
}

impl Connection {
    /// A connection over any two halves. A read or write that makes no progress for `stall` fails
    /// as timed out.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Self {
        let reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(reader);
        let writer: Box<dyn AsyncWrite + Send + Unpin> = Box::new(writer);
        Self {
            reader: Timeout::new(
                FromTokio::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
                stall,
            ),
            writer: Timeout::new(
                FromTokio::new(BufWriter::with_capacity(BUFFER_BYTES, writer)),
                stall,
            ),
        }
    }

    /// A connection over a stream that is read and written.
    pub fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::new(reader, writer, stall)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl ErrorType for Connection {
    type Error = io::Error;
}

impl Read for Connection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, io::Error> {
        self.reader.read(buffer).await
    }
}

impl Write for Connection {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, io::Error> {
        self.writer.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), io::Error> {
        self.writer.flush().await
    }
}
