//! A socket as sessions use it: a message that is finished is on its way, and nobody waits for its
//! acknowledgement.

use embassy_net::tcp::TcpSocket;
use embedded_io_async::{ErrorType, Read, Write};

/// Reads and writes a socket. Its `flush` does not wait: `embassy-net`'s waits until the peer
/// acknowledged everything, which a peer that has nothing to say does only after a delay, while the
/// stack sends what was written in any case.
pub(crate) struct Stream<'a, 's>(pub &'a mut TcpSocket<'s>);

impl ErrorType for Stream<'_, '_> {
    type Error = embassy_net::tcp::Error;
}

impl Read for Stream<'_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buffer).await
    }
}

impl Write for Stream<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
