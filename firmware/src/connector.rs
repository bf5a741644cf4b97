//! How a board reaches a peer: the contract that a transport fulfils.
//!
//! Bytes of a connection are sealed above it (`link`): whoever sits on the line, or relays it, can
//! cut it, and no more.

use core::fmt;

use embassy_time::Duration;
use embedded_io_async::{Read, Write};
#[cfg(not(feature = "insecure-plaintext"))]
use sharelet_channel::{Connected, ConnectionKey, Error, Party, connect_psk};
#[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
use sharelet_channel::{Identity, Resumption, connect};
#[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
use sharelet_flash::page::KeyPage;

#[cfg(not(feature = "insecure-plaintext"))]
use crate::random::Generator;

/// Why a peer was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// It does not answer.
    TimedOut,
    /// There is no way to it.
    NoRoute,
    /// It answers, and refuses.
    Refused,
    /// The board's own end fails: a driver, or a modem.
    Broken,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the host does not answer; check its address and the network",
            Self::NoRoute => "there is no way to the host; check its address and the gateway",
            Self::Refused => "the host refuses connections; check its port and that it runs",
            Self::Broken => "the board's own end fails; check its wiring",
        })
    }
}

/// Makes connections to one peer, one at a time.
pub trait Connector {
    /// A connection.
    type Connection<'a>: Connection
    where
        Self: 'a;

    /// Waits until the board has a link and an address, where its transport has such a thing.
    fn up(&mut self) -> impl Future<Output = ()> {
        core::future::ready(())
    }

    /// Connects. The caller bounds the time, and drops the future when it is over.
    ///
    /// `silence` is the longest time that the peer may be silent: a transport that notices a peer
    /// that has vanished may end the connection then.
    ///
    /// # Errors
    /// [`ConnectError`].
    fn connect(
        &mut self,
        silence: Duration,
    ) -> impl Future<Output = Result<Self::Connection<'_>, ConnectError>>;
}

/// A connection: bytes to and from a peer, in order.
///
/// `read` returns 0 when the peer has ended the connection. `flush` returns when nothing more is
/// needed to get the bytes under way; it need not wait until the peer has them. A read or write
/// that is dropped before it is ready has taken nothing.
pub trait Connection: Read + Write {
    /// Lets the peer know that this was all. The caller bounds the time.
    fn close(&mut self) -> impl Future<Output = ()>;

    /// Shakes hands by a provisioned key. What is provided serves; a transport of this crate has it
    /// compiled for size.
    #[cfg(not(feature = "insecure-plaintext"))]
    #[doc(hidden)]
    fn by_provisioned_key(
        &mut self,
        own: &Party,
        peer: &Party,
        key: ConnectionKey,
        random: &mut Generator,
    ) -> impl Future<Output = Result<Connected, Error>>
    where
        Self: Sized,
    {
        connect_psk(self, own, peer, key, random)
    }

    /// Shakes hands by static keys, or by what the connection before has left; as above.
    #[cfg(all(feature = "static-keys", not(feature = "insecure-plaintext")))]
    #[doc(hidden)]
    fn by_static_keys(
        &mut self,
        page: &KeyPage,
        own: &Identity,
        peer: &Party,
        left: Option<Resumption>,
        random: &mut Generator,
    ) -> impl Future<Output = Result<Connected, Error>>
    where
        Self: Sized,
    {
        async move {
            let pin = page.pin(peer).ok_or(Error::Unknown(*peer))?;
            connect(self, own, peer, &pin, left, random).await
        }
    }
}
