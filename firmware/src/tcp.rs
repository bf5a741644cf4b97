//! TCP of `embassy-net`: Ethernet, and Wi-Fi whose driver serves that stack.

use embassy_net::tcp::{self, TcpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
#[cfg(not(feature = "insecure-plaintext"))]
use sharelet_channel::{Connected, ConnectionKey, Error, Party, connect_psk};
#[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
use sharelet_channel::{Identity, Resumption, connect};
#[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
use sharelet_flash::page::KeyPage;

use crate::connector::{ConnectError, Connection, Connector};
#[cfg(not(feature = "insecure-plaintext"))]
use crate::random::Generator;

/// A peer at an address of the network.
pub struct Tcp<'b> {
    stack: Stack<'static>,
    peer: IpEndpoint,
    buffer: &'b mut [u8],
}

impl<'b> Tcp<'b> {
    /// The peer at `peer`. Another task runs the stack, which needs a socket for it. One half of
    /// the buffer is for what is received, one for what is sent: 8,192 bytes serve a device, 2,048
    /// a data party.
    pub fn new(stack: Stack<'static>, peer: impl Into<IpEndpoint>, buffer: &'b mut [u8]) -> Self {
        Self { stack, peer: peer.into(), buffer }
    }
}

impl Connector for Tcp<'_> {
    type Connection<'a>
        = TcpConnection<'a>
    where
        Self: 'a;

    async fn up(&mut self) {
        self.stack.wait_config_up().await;
    }

    async fn connect(&mut self, silence: Duration) -> Result<TcpConnection<'_>, ConnectError> {
        let (received, to_send) = self.buffer.split_at_mut(self.buffer.len() / 2);
        let mut socket = TcpSocket::new(self.stack, received, to_send);
        socket.set_timeout(Some(silence));
        socket.set_keep_alive(Some(silence / 3));
        socket.set_nagle_enabled(false);
        match socket.connect(self.peer).await {
            Ok(()) => Ok(TcpConnection(socket)),
            Err(tcp::ConnectError::TimedOut) => Err(ConnectError::TimedOut),
            Err(tcp::ConnectError::NoRoute) => Err(ConnectError::NoRoute),
            Err(_) => Err(ConnectError::Refused),
        }
    }
}

/// A connection over TCP.
///
/// Its `flush` does not wait: `embassy-net`'s waits until the peer acknowledged everything, which a
/// peer that has nothing to say does only after a delay, while the stack sends what was written in
/// any case.
pub struct TcpConnection<'a>(TcpSocket<'a>);

impl ErrorType for TcpConnection<'_> {
    type Error = tcp::Error;
}

impl Read for TcpConnection<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, tcp::Error> {
        self.0.read(buffer).await
    }
}

impl Write for TcpConnection<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, tcp::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), tcp::Error> {
        Ok(())
    }
}

impl Connection for TcpConnection<'_> {
    async fn close(&mut self) {
        self.0.close();
        // Whether it succeeds changes nothing.
        let _ = self.0.flush().await;
    }

    // Without parameters of type: compiled here for size, and not with the sessions for speed,
    // where they would take twice the flash.

    #[cfg(not(feature = "insecure-plaintext"))]
    async fn by_provisioned_key(
        &mut self,
        own: &Party,
        peer: &Party,
        key: ConnectionKey,
        random: &mut Generator,
    ) -> Result<Connected, Error> {
        connect_psk(self, own, peer, key, random).await
    }

    #[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
    async fn by_static_keys(
        &mut self,
        page: &KeyPage,
        own: &Identity,
        peer: &Party,
        left: Option<Resumption>,
        random: &mut Generator,
    ) -> Result<Connected, Error> {
        let pin = page.pin(peer).ok_or(Error::Unknown(*peer))?;
        connect(self, own, peer, &pin, left, random).await
    }
}
