//! A serial line: UART, USB-CDC, a channel of Bluetooth, or any other pair of `embedded-io-async`.
//!
//! The other end is `sharelet host --serial`. How connections are told apart on the line is in
//! [`sharelet_channel::serial`].

use embassy_time::{Duration, with_timeout};
use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, Write};
use sharelet_channel::serial::{Decoded, Decoder, Mark, encode, next_number};

use crate::connector::{ConnectError, Connection, Connector};

/// The host answers at once, if it is there; it is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes that are stuffed at a time.
const PIECE_BYTES: usize = 64;

/// Whoever is at the other end of a line.
///
/// The reader must take what arrives while the device computes, or hold the host back: a buffer of
/// 4 KB serves lines of up to 115,200 baud; faster ones want flow control (RTS and CTS), which USB
/// has in itself. A read that is dropped must have taken nothing, as the readers of `embassy`'s
/// buffered drivers do. The line must be of 8 bits.
#[derive(Debug)]
pub struct Serial<R, W> {
    reader: R,
    writer: W,
    decoder: Decoder,
    number: u8,
}

impl<R: Read, W: Write> Serial<R, W> {
    /// Over the two halves of a line.
    pub fn new(reader: R, writer: W) -> Self {
        Self { reader, writer, decoder: Decoder::new(), number: 0 }
    }

    async fn mark(&mut self, mark: Mark) -> Result<(), ConnectError> {
        let Self { writer, .. } = self;
        writer.write_all(&mark.bytes()).await.map_err(|_| ConnectError::Broken)?;
        writer.flush().await.map_err(|_| ConnectError::Broken)
    }

    /// Drops what arrives until the host begins the connection.
    async fn begun(&mut self) -> Result<(), ConnectError> {
        loop {
            let mut byte = [0];
            match self.reader.read(&mut byte).await {
                Ok(0) | Err(_) => return Err(ConnectError::Broken),
                Ok(_) => {}
            }
            if self.decoder.decode(&mut byte).mark == Some(Mark::Begin(self.number)) {
                return Ok(());
            }
        }
    }
}

impl<R: Read, W: Write> Connector for Serial<R, W> {
    type Connection<'a>
        = SerialConnection<'a, R, W>
    where
        Self: 'a;

    async fn connect(&mut self, _: Duration) -> Result<SerialConnection<'_, R, W>, ConnectError> {
        loop {
            self.number = next_number(self.number);
            self.mark(Mark::Begin(self.number)).await?;
            if let Ok(begun) = with_timeout(ASK_AGAIN, self.begun()).await {
                begun?;
                return Ok(SerialConnection { line: self, over: false });
            }
        }
    }
}

/// A connection over a serial line.
pub struct SerialConnection<'a, R, W> {
    line: &'a mut Serial<R, W>,
    over: bool,
}

impl<R, W> ErrorType for SerialConnection<'_, R, W> {
    type Error = ErrorKind;
}

impl<R: Read, W> Read for SerialConnection<'_, R, W> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        while !self.over && !buffer.is_empty() {
            let Serial { reader, decoder, .. } = &mut *self.line;
            let read = reader.read(buffer).await.map_err(|error| error.kind())?;
            let Decoded { len, mark, .. } =
                decoder.decode(buffer.get_mut(..read).unwrap_or(&mut []));
            // What follows a mark belongs to a connection that this end has not begun.
            self.over = mark.is_some() || read == 0;
            if len > 0 {
                return Ok(len);
            }
        }
        Ok(0)
    }
}

impl<R, W: Write> Write for SerialConnection<'_, R, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut piece = [0; PIECE_BYTES];
        let (taken, len) = encode(bytes, &mut piece);
        let stuffed = piece.get(..len).unwrap_or(&[]);
        self.line.writer.write_all(stuffed).await.map_err(|error| error.kind())?;
        Ok(taken)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.line.writer.flush().await.map_err(|error| error.kind())
    }
}

impl<R: Read, W: Write> Connection for SerialConnection<'_, R, W> {
    async fn close(&mut self) {
        // Whether the host still hears so changes nothing.
        let _ = self.line.mark(Mark::End).await;
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;
    use embedded_io_async::{Read as _, Write as _};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(1);

    #[test]
    fn what_came_before_a_connection_is_not_its_own() {
        // Bytes of a connection that is over, the beginning of another, then the device's.
        let line = [&b"old"[..], &[0xC0, 9], b"old", &[0xC0, 0, 0xC0, 1], b"new", &[0xDB, 0xDC]];
        let after = [&[0xC0, 0][..], b"nobody's"];
        let mut host = heapless::Vec::<u8, 64>::new();
        line.iter().chain(&after).for_each(|piece| host.extend_from_slice(piece).unwrap());
        let mut sent = [0; 64];
        let mut serial = Serial::new(host.as_slice(), sent.as_mut_slice());
        block_on(async {
            let mut connection = serial.connect(SILENCE).await.unwrap();
            let mut bytes = [0; 4];
            connection.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"new\xC0");
            assert_eq!(connection.read(&mut bytes).await, Ok(0));
            assert_eq!(connection.read(&mut bytes).await, Ok(0), "it stays over");
            connection.write_all(b"a\xDBb").await.unwrap();
            connection.close().await;
        });
        assert_eq!(&sent[..8], b"\xC0\x01a\xDB\xDDb\xC0\0");
    }

    #[test]
    fn a_line_that_ends_is_broken() {
        let mut sent = [0; 8];
        let mut serial = Serial::new(&b"no mark"[..], sent.as_mut_slice());
        let connected = block_on(async { serial.connect(SILENCE).await.err() });
        assert_eq!(connected, Some(ConnectError::Broken));
    }
}
