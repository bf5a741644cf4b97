//! TCP of any network that speaks `embedded-nal-async`: a Wi-Fi modem on a UART or over SPI, or a
//! stack of the chip's maker.

use core::net::SocketAddr;

use embassy_time::Duration;
use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;

use crate::connector::{ConnectError, Connection, Connector};

/// A peer at an address of `network`.
///
/// With `embassy-net` prefer [`Tcp`](crate::tcp::Tcp), which waits for no acknowledgement.
pub struct Nal<'n, T> {
    network: &'n T,
    peer: SocketAddr,
}

impl<'n, T: TcpConnect> Nal<'n, T> {
    /// The peer at `peer`.
    pub fn new(network: &'n T, peer: impl Into<SocketAddr>) -> Self {
        Self { network, peer: peer.into() }
    }
}

impl<T: TcpConnect> Connector for Nal<'_, T> {
    type Connection<'a>
        = NalConnection<T::Connection<'a>>
    where
        Self: 'a;

    async fn connect(&mut self, _: Duration) -> Result<Self::Connection<'_>, ConnectError> {
        let connected = self.network.connect(self.peer).await;
        connected.map(NalConnection).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => ConnectError::TimedOut,
            ErrorKind::AddrNotAvailable | ErrorKind::NotConnected => ConnectError::NoRoute,
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted => ConnectError::Refused,
            _ => ConnectError::Broken,
        })
    }
}

/// A connection of such a network.
pub struct NalConnection<S>(S);

impl<S: ErrorType> ErrorType for NalConnection<S> {
    type Error = S::Error;
}

impl<S: Read> Read for NalConnection<S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        self.0.read(buffer).await
    }
}

impl<S: Write> Write for NalConnection<S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        self.0.flush().await
    }
}

impl<S: Read + Write> Connection for NalConnection<S> {
    async fn close(&mut self) {
        // The network ends the connection when it is dropped; whether that succeeds changes
        // nothing.
        let _ = self.0.flush().await;
    }
}
