//! No channel: for a network that is a wire on a table.

use sharelet_channel::Role;
#[cfg(feature = "device")]
use sharelet_core::DeviceId;
use sharelet_core::keystream::Rounds;
use sharelet_core::session::p0::Identity;

use super::error::{KeyError, LinkError};
use crate::board::Keys;
use crate::connector::Connection;
use crate::log::warning;

/// What sessions run on.
pub(crate) type Link<'a, T> = &'a mut T;

/// Keys; peers are whoever is at an address.
pub(crate) struct Links<N, R, const P: usize> {
    keys: Keys<N, R>,
}

/// Nothing is spent by an attempt to connect.
pub(crate) struct Attempt;

impl<N, R, const P: usize> Links<N, R, P> {
    pub(crate) fn new(keys: Keys<N, R>, own: Role, _: [Role; P]) -> Result<Self, KeyError> {
        if keys.page.party().role == own { Ok(Self { keys }) } else { Err(KeyError::Role(own)) }
    }

    /// Nobody has proved a name.
    #[cfg(feature = "device")]
    pub(crate) fn proved(&self, _: usize) -> Option<DeviceId> {
        None
    }

    /// Name and key in sessions.
    pub(crate) fn identity<X: Rounds>(&self) -> Identity<X> {
        Identity::new(self.keys.page.party().name, self.keys.page.key())
    }

    pub(crate) async fn attempt(&mut self) -> Result<Attempt, LinkError> {
        Ok(Attempt)
    }

    /// The connection, as it is.
    pub(crate) async fn open<'a, T: Connection>(
        &mut self,
        _: usize,
        Attempt: &mut Attempt,
        connection: &'a mut T,
    ) -> Result<Link<'a, T>, LinkError> {
        warning!("nobody is authenticated, nothing is encrypted");
        Ok(connection)
    }
}

/// The end of a connection is all that the peer gets.
pub(crate) async fn close<T: Connection>(_: &mut Link<'_, T>) {}
