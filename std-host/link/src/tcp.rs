//! TCP, and the rule for plaintext links.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use crate::connection::Connection;
use crate::error::LinkError;
use crate::route::{Exposure, Route};
use crate::warnings::Warnings;

/// Silence after which the system probes whether the peer still exists.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Pause between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, for instance because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Both ends of a connection within this process, for whoever has a runtime per end: neither waits.
///
/// # Errors
/// What the system says.
pub fn loopback() -> io::Result<[std::net::TcpStream; 2]> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = std::net::TcpStream::connect(listener.local_addr()?)?;
    let ends = [one, listener.accept()?.0];
    for end in &ends {
        end.set_nodelay(true)?;
        end.set_nonblocking(true)?;
    }
    Ok(ends)
}

async fn resolve(address: &str, exposure: Exposure) -> Result<Vec<SocketAddr>, LinkError> {
    let failed = |source| LinkError::Resolve { address: address.to_owned(), source };
    let addresses: Vec<_> = lookup_host(address).await.map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
    }
    addresses.iter().try_for_each(|address| exposure.check(address.ip()))?;
    Ok(addresses)
}

/// Small messages leave at once, and a peer that has vanished is noticed.
fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    let tuned =
        stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = tuned {
        tracing::debug!("socket options: {error}");
    }
}

/// Connects to `HOST:PORT` within `limit`; see [`Connection::new`] for `stall`. An [`Exposure`] is
/// a route, too.
///
/// # Errors
/// [`LinkError::Resolve`], [`LinkError::NotLocal`], [`LinkError::Connect`].
pub async fn connect(
    address: &str,
    route: impl Into<Route>,
    limit: Duration,
    stall: Duration,
) -> Result<Connection, LinkError> {
    let route = route.into();
    let addresses = resolve(address, route.exposure()).await?;
    let connected = tokio::time::timeout(limit, TcpStream::connect(addresses.as_slice())).await;
    let stream = connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| LinkError::Connect { address: address.to_owned(), source })?;
    tune(&stream);
    Ok(connection(&route, stream, stall))
}

/// A port that is listened on.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    route: Route,
    warnings: Arc<Warnings>,
}

impl Listener {
    /// Listens on `HOST:PORT`; port 0 takes a free one. An [`Exposure`] is a route, too.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::NotLocal`], [`LinkError::Listen`].
    pub async fn bind(address: &str, route: impl Into<Route>) -> Result<Self, LinkError> {
        let route = route.into();
        let addresses = resolve(address, route.exposure()).await?;
        let failed = |source| LinkError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        route.announce();
        Ok(Self { listener, route, warnings: Arc::default() })
    }

    /// The address in use.
    ///
    /// # Errors
    /// [`LinkError::Listen`] if the system does not say.
    pub fn local_address(&self) -> Result<SocketAddr, LinkError> {
        self.listener.local_addr().map_err(|source| LinkError::Listen {
            address: "the chosen address".to_owned(),
            source,
        })
    }

    /// Where warnings about who connects go.
    pub(super) fn warnings(&self) -> Arc<Warnings> {
        self.warnings.clone()
    }

    /// Stops listening.
    pub(super) fn close(self) -> Route {
        self.route
    }

    /// The next connection of a permitted peer. Others are closed and logged.
    pub(super) async fn accept(&self, stall: Duration) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.route.exposure().check(peer.ip()) {
                    Ok(()) => {
                        tune(&stream);
                        return (connection(&self.route, stream, stall), peer);
                    }
                    Err(error) => self.warnings.warn(format_args!("{peer}: closed: {error}")),
                },
                Err(error) => {
                    self.warnings.warn(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The connection over a TCP stream.
fn connection(route: &Route, stream: TcpStream, stall: Duration) -> Connection {
    let (reader, writer) = stream.into_split();
    route.connection(reader, writer, stall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listening_and_connecting_beyond_this_machine_needs_the_flag() {
        let listened = Listener::bind("0.0.0.0:0", Exposure::Local).await;
        assert!(matches!(listened, Err(LinkError::NotLocal { .. })), "{listened:?}");
        let connected = connect(
            "192.0.2.1:9",
            Exposure::Local,
            Duration::from_millis(50),
            Duration::from_millis(50),
        )
        .await;
        assert!(matches!(connected, Err(LinkError::NotLocal { .. })), "{connected:?}");
        let connected = connect(
            "no port here",
            Exposure::Local,
            Duration::from_millis(50),
            Duration::from_millis(50),
        )
        .await;
        assert!(matches!(connected, Err(LinkError::Resolve { .. })), "{connected:?}");
    }
}
