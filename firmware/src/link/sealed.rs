//! A channel by static keys, by what the connection before has left, or by provisioned keys.

#[cfg(not(feature = "static-keys"))]
use sharelet_channel::Error;
use sharelet_channel::{Channel, Party, Role};
#[cfg(feature = "static-keys")]
use sharelet_channel::{Identity, Resumption};
#[cfg(feature = "device")]
use sharelet_core::DeviceId;
use sharelet_core::keystream::Rounds;
use sharelet_core::session::p0;
use sharelet_flash::StoreError;
use sharelet_flash::page::Channels;
use sharelet_flash::ratchets::Step;

use super::error::{KeyError, LinkError};
use crate::board::{Keys, Random, Steps};
use crate::connector::Connection;
use crate::random::Generator;

/// What sessions run on.
pub(crate) type Link<'a, T> = Channel<&'a mut T>;

/// Keys, the peers of a program, and what the last connections to them left. Secrets are wiped when
/// they are replaced.
pub(crate) struct Links<N, R, const P: usize> {
    keys: Keys<N, R>,
    peers: [Party; P],
    #[cfg(feature = "static-keys")]
    identity: Identity,
    #[cfg(feature = "static-keys")]
    left: [Option<Resumption>; P],
}

/// What one attempt to connect spends.
pub(crate) struct Attempt {
    generator: Generator,
    step: Option<Step>,
}

impl<N: Random, R: Steps, const P: usize> Links<N, R, P> {
    /// Looks for the peers of these roles. Computes a public key.
    pub(crate) fn new(keys: Keys<N, R>, own: Role, roles: [Role; P]) -> Result<Self, KeyError> {
        let page = &keys.page;
        if page.party().role != own {
            return Err(KeyError::Role(own));
        }
        let mut peers = [*page.party(); P];
        for (peer, role) in peers.iter_mut().zip(roles) {
            *peer = *page.peer_of(role).ok_or(KeyError::NoPeer(role))?;
        }
        if page.channels() == Channels::Static && !cfg!(feature = "static-keys") {
            return Err(KeyError::StaticKeys);
        }
        #[cfg(feature = "static-keys")]
        let without = || Identity::without_static_key(*page.party());
        Ok(Self {
            #[cfg(feature = "static-keys")]
            identity: page.identity().unwrap_or_else(without),
            keys,
            peers,
            #[cfg(feature = "static-keys")]
            left: [const { None }; P],
        })
    }

    /// The name that a peer has proved when its channel is open.
    #[cfg(feature = "device")]
    pub(crate) fn proved(&self, peer: usize) -> Option<DeviceId> {
        self.peers.get(peer).map(|peer| peer.name)
    }

    /// Name and key in sessions.
    pub(crate) fn identity<X: Rounds>(&self) -> p0::Identity<X> {
        p0::Identity::new(self.keys.page.party().name, self.keys.page.key())
    }

    /// Draws random bytes, and takes a step where keys are provisioned.
    pub(crate) async fn attempt(&mut self) -> Result<Attempt, LinkError> {
        let generator = Generator::draw(&mut self.keys.random).await.map_err(LinkError::Random)?;
        let step = match self.keys.page.channels() {
            Channels::Provisioned => {
                Some(self.keys.ratchets.step().await.map_err(LinkError::Ratchet)?)
            }
            Channels::Static => None,
        };
        Ok(Attempt { generator, step })
    }

    /// Makes a channel to a peer over a connection.
    pub(crate) async fn open<'a, T: Connection>(
        &mut self,
        peer: usize,
        attempt: &mut Attempt,
        connection: &'a mut T,
    ) -> Result<Link<'a, T>, LinkError> {
        let page = &self.keys.page;
        let party = self.peers.get(peer).unwrap_or(page.party());
        let random = &mut attempt.generator;
        let connected = match &mut attempt.step {
            Some(step) => {
                let key = step.take(page, party).ok_or(LinkError::Ratchet(StoreError::Missing))?;
                connection.by_provisioned_key(page.party(), party, key, random).await
            }
            #[cfg(feature = "static-keys")]
            None => {
                let left = self.left.get_mut(peer).and_then(Option::take);
                connection.by_static_keys(page, &self.identity, party, left, random).await
            }
            #[cfg(not(feature = "static-keys"))]
            None => Err(Error::NoStaticKey),
        };
        let connected = connected.map_err(LinkError::Channel)?;
        #[cfg(feature = "static-keys")]
        if let Some(left) = self.left.get_mut(peer) {
            *left = connected.resumption;
        }
        Ok(connected.keys.channel(connection))
    }
}

/// Tells the peer that this was all.
pub(crate) async fn close<T: Connection>(link: &mut Link<'_, T>) {
    // Whether it still hears so changes nothing.
    let _ = link.close().await;
}
