//! Both halves of a connection, buffered, with time-outs.

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use crate::timeout::Timeout;

/// Bytes of the buffer of either direction.
const BUFFER_BYTES: usize = 16 * 1024;

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
