//! Both halves of a connection, buffered, with time-outs; sealed by a channel, or plaintext.

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{BufRead, ErrorType, Read, Write};
use sharelet_channel::{Error, Halves, Keys, Opener, Party, Pattern, Sealer};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use crate::timeout::Timeout;

/// Bytes of the buffer of either direction.
const BUFFER_BYTES: usize = 16 * 1024;

/// What arrives, buffered.
type Arriving = FromTokio<BufReader<Box<dyn AsyncRead + Send + Unpin>>>;
/// What leaves, buffered.
type Leaving = FromTokio<BufWriter<Box<dyn AsyncWrite + Send + Unpin>>>;

/// A transport before anything was said on it.
pub(super) type Bare = Halves<Arriving, Leaving>;

/// The two halves of a transport, buffered.
pub(super) fn bare(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Bare {
    let reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(reader);
    let writer: Box<dyn AsyncWrite + Send + Unpin> = Box::new(writer);
    Halves {
        reader: FromTokio::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
        writer: FromTokio::new(BufWriter::with_capacity(BUFFER_BYTES, writer)),
    }
}

/// The reading half of a connection.
pub type Reader = Timeout<Incoming>;
/// The writing half of a connection.
pub type Writer = Timeout<Outgoing>;

/// Where the peer's bytes come from.
///
/// A connection that ends without the peer's word for it ends as any other: whoever sits on the
/// line can cut it, and every message above says how long it is.
pub struct Incoming(From);

enum From {
    Plain(Arriving),
    Sealed(Box<Opener<Arriving>>),
}

/// Where bytes for the peer go.
pub struct Outgoing(To);

enum To {
    Plain(Leaving),
    Sealed(Box<Sealer<Leaving>>),
}

/// What the channel says, as an error of a connection.
fn io_error(error: Error) -> io::Error {
    match error {
        Error::Transport(kind) => io::ErrorKind::from(kind).into(),
        error => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

impl ErrorType for Incoming {
    type Error = io::Error;
}

impl Read for Incoming {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            From::Plain(reader) => reader.read(buffer).await,
            From::Sealed(opener) => match opener.read(buffer).await {
                Err(Error::Truncated) => Ok(0),
                read => read.map_err(io_error),
            },
        }
    }
}

impl BufRead for Incoming {
    async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.0 {
            From::Plain(reader) => reader.fill_buf().await,
            From::Sealed(opener) => match opener.fill_buf().await {
                Err(Error::Truncated) => Ok(&[]),
                filled => filled.map_err(io_error),
            },
        }
    }

    fn consume(&mut self, bytes: usize) {
        match &mut self.0 {
            From::Plain(reader) => reader.consume(bytes),
            From::Sealed(opener) => opener.consume(bytes),
        }
    }
}

impl ErrorType for Outgoing {
    type Error = io::Error;
}

impl Write for Outgoing {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            To::Plain(writer) => writer.write(bytes).await,
            To::Sealed(sealer) => sealer.write(bytes).await.map_err(io_error),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            To::Plain(writer) => writer.flush().await,
            To::Sealed(sealer) => sealer.flush().await.map_err(io_error),
        }
    }
}

/// What a handshake leaves.
pub(super) struct Shaken {
    pub(super) keys: Keys,
    pub(super) peer: Party,
    pub(super) pattern: Pattern,
}

/// Both halves of a connection.
pub struct Connection {
    /// Where the peer's bytes come from.
    pub reader: Reader,
    /// Where bytes for the peer go; buffered until flushed.
    pub writer: Writer,
    peer: Option<(Party, Pattern)>,
}

impl Connection {
    /// A plaintext connection over any two halves. A read or write that makes no progress for
    /// `stall` fails as timed out.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Self {
        Self::plain(bare(reader, writer), stall)
    }

    /// A plaintext connection over a stream that is read and written.
    pub fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::new(reader, writer, stall)
    }

    pub(super) fn plain(bare: Bare, stall: Duration) -> Self {
        let Halves { reader, writer } = bare;
        Self {
            reader: Timeout::new(Incoming(From::Plain(reader)), stall),
            writer: Timeout::new(Outgoing(To::Plain(writer)), stall),
            peer: None,
        }
    }

    /// The sealed connection over a transport that carried a handshake.
    pub(super) fn sealed(bare: Bare, shaken: Shaken, stall: Duration) -> Self {
        let Shaken { keys, peer, pattern } = shaken;
        let (opener, sealer) = keys.halves(bare.reader, bare.writer);
        Self {
            reader: Timeout::new(Incoming(From::Sealed(Box::new(opener))), stall),
            writer: Timeout::new(Outgoing(To::Sealed(Box::new(sealer))), stall),
            peer: Some((peer, pattern)),
        }
    }

    /// Who the peer has proved to be; `None` where links are plaintext, and it may be anybody.
    #[must_use]
    pub fn peer(&self) -> Option<Party> {
        self.peer.map(|(peer, _)| peer)
    }

    /// How it has proved it.
    #[must_use]
    pub fn pattern(&self) -> Option<Pattern> {
        self.peer.map(|(_, pattern)| pattern)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
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
