//! A channel over a transport, whole or in two halves.

use core::fmt;

use embedded_io_async::{BufRead, Error as _, ErrorKind, ErrorType, Read, Write};

use crate::cipher::Keys;
use crate::error::Error;
use crate::io;
use crate::record::{Opening, Sealing};

/// A transport of two halves, as one: for handshakes.
#[derive(Debug)]
pub struct Halves<R, W> {
    /// The half that reads.
    pub reader: R,
    /// The half that writes.
    pub writer: W,
}

impl<R, W> ErrorType for Halves<R, W> {
    type Error = ErrorKind;
}

impl<R: Read, W> Read for Halves<R, W> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.reader.read(buffer).await.map_err(|error| error.kind())
    }
}

impl<R, W: Write> Write for Halves<R, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.writer.write(bytes).await.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.writer.flush().await.map_err(|error| error.kind())
    }
}

/// The half of a channel that reads.
///
/// `read` returns 0 when the peer has closed its direction, and only then: a connection that ends
/// without is [`Error::Truncated`]. After an error other than [`Error::Transport`] every read
/// returns that error. A read that is dropped loses nothing.
pub struct Opener<R> {
    reader: R,
    opening: Opening,
}

/// The half of a channel that writes.
///
/// `write` collects, a full record is sealed when more is written, `flush` seals and sends what was
/// collected. A call that is dropped, or fails in the transport, loses nothing that an earlier one
/// has taken, and may be repeated. [`Sealer::close`] tells the peer that this was all.
pub struct Sealer<W> {
    writer: W,
    sealing: Sealing,
}

/// A secure channel over a transport: reads as [`Opener`], writes as [`Sealer`].
pub struct Channel<T> {
    transport: T,
    opening: Opening,
    sealing: Sealing,
}

/// Waits until there are opened bytes, or none will come any more.
async fn fill(opening: &mut Opening, reader: &mut impl Read) -> Result<(), Error> {
    while opening.opened().is_empty() {
        let Some(room) = opening.room()? else { return Ok(()) };
        let received = io::read(reader, room).await?;
        opening.received(received)?;
    }
    Ok(())
}

async fn read(
    opening: &mut Opening,
    reader: &mut impl Read,
    buffer: &mut [u8],
) -> Result<usize, Error> {
    if !buffer.is_empty() {
        fill(opening, reader).await?;
    }
    Ok(opening.take(buffer))
}

async fn send(sealing: &mut Sealing, writer: &mut impl Write) -> Result<(), Error> {
    while !sealing.unsent().is_empty() {
        let sent = io::write(writer, sealing.unsent()).await?;
        sealing.sent(sent);
    }
    Ok(())
}

async fn write(
    sealing: &mut Sealing,
    writer: &mut impl Write,
    bytes: &[u8],
) -> Result<usize, Error> {
    if sealing.is_full() {
        sealing.seal()?;
    }
    send(sealing, writer).await?;
    sealing.put(bytes)
}

async fn flush(sealing: &mut Sealing, writer: &mut impl Write) -> Result<(), Error> {
    sealing.seal()?;
    send(sealing, writer).await?;
    io::flush(writer).await
}

async fn close(sealing: &mut Sealing, writer: &mut impl Write) -> Result<(), Error> {
    sealing.seal()?;
    send(sealing, writer).await?;
    sealing.close()?;
    flush(sealing, writer).await
}

impl<R: Read> ErrorType for Opener<R> {
    type Error = Error;
}

impl<R: Read> Read for Opener<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        read(&mut self.opening, &mut self.reader, buffer).await
    }
}

impl<R: Read> BufRead for Opener<R> {
    async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        fill(&mut self.opening, &mut self.reader).await?;
        Ok(self.opening.opened())
    }

    fn consume(&mut self, bytes: usize) {
        self.opening.consume(bytes);
    }
}

impl<W: Write> ErrorType for Sealer<W> {
    type Error = Error;
}

impl<W: Write> Write for Sealer<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        write(&mut self.sealing, &mut self.writer, bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        flush(&mut self.sealing, &mut self.writer).await
    }
}

impl<W: Write> Sealer<W> {
    /// Sends what was collected, then a sealed empty record: the peer's reader ends cleanly. May be
    /// repeated; nothing can be written afterwards.
    ///
    /// # Errors
    /// [`Error::Transport`].
    pub async fn close(&mut self) -> Result<(), Error> {
        close(&mut self.sealing, &mut self.writer).await
    }
}

impl<T> ErrorType for Channel<T> {
    type Error = Error;
}

impl<T: Read> Read for Channel<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        read(&mut self.opening, &mut self.transport, buffer).await
    }
}

impl<T: Write> Write for Channel<T> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        write(&mut self.sealing, &mut self.transport, bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        flush(&mut self.sealing, &mut self.transport).await
    }
}

impl<T> Channel<T> {
    /// The transport, for its own settings. What is read from it or written to it past the channel
    /// destroys the channel.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Gives up the channel, and with it its keys.
    pub fn into_transport(self) -> T {
        self.transport
    }
}

impl<T: Write> Channel<T> {
    /// As [`Sealer::close`].
    ///
    /// # Errors
    /// [`Error::Transport`].
    pub async fn close(&mut self) -> Result<(), Error> {
        close(&mut self.sealing, &mut self.transport).await
    }
}

impl Keys {
    /// The channel over the transport that carried the handshake.
    #[inline]
    pub fn channel<T>(self, transport: T) -> Channel<T> {
        let (opening, sealing) = (Opening::new(self.open), Sealing::new(self.seal));
        Channel { transport, opening, sealing }
    }

    /// The channel in two halves, each with its own cipher state, for two tasks.
    #[inline]
    pub fn halves<R, W>(self, reader: R, writer: W) -> (Opener<R>, Sealer<W>) {
        let (opening, sealing) = (Opening::new(self.open), Sealing::new(self.seal));
        (Opener { reader, opening }, Sealer { writer, sealing })
    }
}

impl<R> fmt::Debug for Opener<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(<redacted>)")
    }
}

impl<W> fmt::Debug for Sealer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(<redacted>)")
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use clatter::cipherstate::CipherState;
    use embassy_futures::block_on;

    use super::*;
    use crate::cipher::Cipher;

    fn halves(wire: &mut [u8], left: u32) -> (Sealer<&mut [u8]>, Opening) {
        let cipher = || {
            let mut cipher = Cipher::new(CipherState::new(&[7; 32], 0));
            cipher.set_left(left);
            cipher
        };
        (Sealer { writer: wire, sealing: Sealing::new(cipher()) }, Opening::new(cipher()))
    }

    #[test]
    fn bytes_go_on_over_a_new_key() {
        let mut wire = [0; 1000];
        let (mut sealer, opening) = halves(&mut wire, 2);
        for byte in 0..5_u8 {
            block_on(async {
                assert_eq!(sealer.write(&[byte; 10]).await, Ok(10));
                sealer.flush().await.unwrap();
            });
        }
        block_on(sealer.close()).unwrap();
        block_on(sealer.close()).unwrap();
        let left = sealer.writer.len();
        drop(sealer);
        assert_eq!(left, 1000 - 5 * 28 - 18);
        let mut opener = Opener { reader: &wire[..1000 - left], opening };
        for byte in 0..5_u8 {
            let mut read = [0; 20];
            assert_eq!(block_on(opener.read(&mut read)), Ok(10));
            assert_eq!(read[..10], [byte; 10]);
        }
        assert_eq!(block_on(opener.read(&mut [0])), Ok(0));
        assert_eq!(block_on(opener.read(&mut [0])), Ok(0));
    }

    #[test]
    fn a_side_that_missed_the_new_key_reads_nothing() {
        let mut wire = [0; 200];
        let (mut sealer, mut opening) = halves(&mut wire, 1);
        opening.cipher().set_left(9);
        sealer.sealing.cipher().set_left(1);
        block_on(async {
            for _ in 0..2 {
                sealer.write(&[1; 10]).await.unwrap();
                sealer.flush().await.unwrap();
            }
        });
        let mut opener = Opener { reader: &wire[..], opening };
        assert_eq!(block_on(opener.read(&mut [0; 20])), Ok(10));
        assert_eq!(block_on(opener.read(&mut [0; 20])), Err(Error::Record));
        assert_eq!(block_on(opener.read(&mut [0; 20])), Err(Error::Record));
    }
}
