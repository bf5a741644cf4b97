//! TCP.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use listenfd::ListenFd;
use sharelet_channel::Role;
use sharelet_core::DeviceId;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use crate::connection::{Bare, Connection};
use crate::error::LinkError;
use crate::route::Route;
use crate::serial::{Arrival, Lines, SerialLine};
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

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, LinkError> {
    let failed = |source| LinkError::Resolve { address: address.to_owned(), source };
    let addresses: Vec<_> = lookup_host(address).await.map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok(addresses)
}

/// `NAME@HOST:PORT` apart; the name may be missing, where there is one peer of the role.
fn split(endpoint: &str) -> Result<(Option<DeviceId>, &str), LinkError> {
    let Some((name, address)) = endpoint.split_once('@') else { return Ok((None, endpoint)) };
    let wrong = io::Error::new(io::ErrorKind::InvalidInput, "no name before the @");
    let wrong = LinkError::Resolve { address: endpoint.to_owned(), source: wrong };
    Ok((Some(DeviceId::new(name).ok_or(wrong)?), address))
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

/// Connects to a peer of `role` at `HOST:PORT`, or `NAME@HOST:PORT` where there are several of the
/// role, within `limit`, the handshake included; see [`Connection::new`] for `stall`.
///
/// # Errors
/// [`LinkError`]; [`LinkError::Channel`] if somebody else is there.
pub async fn connect(
    endpoint: &str,
    role: Role,
    route: &Route,
    limit: Duration,
    stall: Duration,
) -> Result<Connection, LinkError> {
    let (name, address) = split(endpoint)?;
    let peer = route.expected(role, name)?;
    let addresses = resolve(address).await?;
    let failed = |source| LinkError::Connect { address: address.to_owned(), source };
    let connected = async {
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(failed)?;
        tune(&stream);
        route.connect(bare(route, stream), peer, stall).await
    };
    let connected = tokio::time::timeout(limit, connected).await;
    connected.unwrap_or_else(|_| Err(failed(io::ErrorKind::TimedOut.into())))
}

/// A port that is listened on, and serial lines that are served like it.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    lines: Lines,
    route: Route,
    warnings: Arc<Warnings>,
}

/// What the address of a socket is called that systemd has opened.
const ACTIVATED: &str = "systemd";

/// The socket that systemd has opened for this program.
fn activated() -> io::Result<TcpListener> {
    let found = ListenFd::from_env().take_tcp_listener(0)?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "it was started without a socket");
    let listener = found.ok_or_else(none)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Listener {
    /// Listens on `HOST:PORT`, where port 0 takes a free one; or, at the address `systemd`, on the
    /// socket that systemd has opened for the program.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Listen`]; [`LinkError::NotActivated`].
    pub async fn bind(address: &str, route: Route) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address: address.to_owned(), source };
        let listener = if address == ACTIVATED {
            activated().map_err(|source| LinkError::NotActivated { source })?
        } else {
            let addresses = resolve(address).await?;
            TcpListener::bind(addresses.as_slice()).await.map_err(failed)?
        };
        route.announce();
        Ok(Self { listener, lines: Lines::new(), route, warnings: Arc::default() })
    }

    /// Serves the device on a serial line, too. In the log its address is 0.0.0.0, and its port the
    /// line's number.
    ///
    /// # Errors
    /// [`LinkError::Serial`].
    pub fn add_serial(&mut self, line: SerialLine) -> Result<(), LinkError> {
        self.lines.add(line)
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

    /// How connections are made.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Stops listening.
    pub(super) fn close(self) -> Route {
        self.route
    }

    /// The next connection, before anything was said on it.
    pub(super) async fn accept(&mut self) -> (Bare, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Arrival { line, stream } = self.lines.next() => {
                    let (reader, writer) = tokio::io::split(stream);
                    let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, line));
                    return (self.route.bare(reader, writer), peer);
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    tune(&stream);
                    return (bare(&self.route, stream), peer);
                }
                Err(error) => {
                    self.warnings.warn(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn bare(route: &Route, stream: TcpStream) -> Bare {
    let (reader, writer) = stream.into_split();
    route.bare(reader, writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_address_is_named() {
        let (route, soon) = (Route::insecure_plaintext(None), Duration::from_millis(50));
        for address in ["no port here", "no name!@127.0.0.1:9", "@127.0.0.1:9"] {
            let connected = connect(address, Role::Host, &route, soon, soon).await;
            assert!(matches!(connected, Err(LinkError::Resolve { .. })), "{connected:?}");
        }
    }
}
