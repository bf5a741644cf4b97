//! How a program's connections are made: sealed by which keys, and over which line.

use core::time::Duration;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_channel::{self as channel, Accepted, Connected, Error, Party, Role};
use sharelet_core::DeviceId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::{Bare, Connection, Shaken, bare};
use crate::error::LinkError;
use crate::keyring::Keyring;
use crate::wan::{Deliveries, Wan};

/// What all connections of a program have in common. Clones belong together.
#[derive(Clone, Debug)]
pub struct Route {
    keyring: Option<Arc<Keyring>>,
    wan: Option<Wan>,
    deliveries: Deliveries,
}

/// Fresh randomness for one handshake.
fn randomness() -> Result<ChaCha20Rng, LinkError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| LinkError::Randomness(error.to_string()))?;
    Ok(ChaCha20Rng::from_seed(seed))
}

impl Route {
    /// Connections sealed by these keys; over an emulated line, if there is one.
    #[must_use]
    pub fn sealed(keyring: Arc<Keyring>, wan: Option<Wan>) -> Self {
        Self { keyring: Some(keyring), wan, deliveries: Deliveries::default() }
    }

    /// Connections that anybody on the way can read and change, and whose ends may be anybody: for
    /// tests, and for lines that are protected otherwise.
    #[must_use]
    pub fn insecure_plaintext(wan: Option<Wan>) -> Self {
        Self { keyring: None, wan, deliveries: Deliveries::default() }
    }

    /// Whether a peer that has proved who it is still may: it is paired, or nobody is.
    #[must_use]
    pub fn knows(&self, peer: Option<Party>) -> bool {
        let paired =
            |keyring: &Keyring| peer.is_some_and(|peer| keyring.peers().pairing(&peer).is_some());
        self.keyring().is_none_or(paired)
    }

    /// The keys, unless connections are plaintext.
    #[must_use]
    pub fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_deref()
    }

    /// Says at every start who the program is, what is not protected, and what is emulated.
    pub fn announce(&self) {
        match &self.keyring {
            Some(keyring) => {
                tracing::debug!("connections are sealed, as {}", keyring.own().party())
            }
            None => tracing::warn!(
                "INSECURE: connections are plaintext (--insecure-plaintext): anyone on the way can \
                 read and change them, and pose as anybody"
            ),
        }
        if let Some(wan) = self.wan {
            tracing::info!("a link is emulated (--link): what is sent takes {wan}");
        }
    }

    /// A plaintext connection over any two halves, whatever the route. A read or write that makes
    /// no progress for `stall` fails as timed out.
    pub fn plaintext(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Connection {
        Connection::plain(self.bare(reader, writer), stall)
    }

    pub(super) fn bare(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Bare {
        match self.wan {
            Some(wan) => bare(reader, wan.wrap(writer, &self.deliveries)),
            None => bare(reader, writer),
        }
    }

    /// The peer that has `role`, and this name if one is given: whoever connects must say whom it
    /// expects. `None` where connections are plaintext.
    ///
    /// # Errors
    /// [`LinkError::NotPaired`], [`LinkError::WhichPeer`].
    pub(super) fn expected(
        &self,
        role: Role,
        name: Option<DeviceId>,
    ) -> Result<Option<Party>, LinkError> {
        let Some(keyring) = &self.keyring else { return Ok(None) };
        let own = *keyring.own().party();
        let mut names = keyring.peers().names(role);
        names.retain(|paired| name.is_none_or(|name| name == *paired));
        match names.as_slice() {
            [] => Err(LinkError::NotPaired { own, role, name }),
            [name] => Ok(Some(Party { role, name: *name })),
            names => {
                let names: Vec<_> = names.iter().map(|name| name.as_str().to_owned()).collect();
                Err(LinkError::WhichPeer { role, names: names.join(", ") })
            }
        }
    }

    /// Shakes hands with `peer`, as [`Route::expected`] gave it.
    ///
    /// # Errors
    /// [`LinkError::Channel`], [`LinkError::NotPaired`].
    pub(super) async fn connect(
        &self,
        mut bare: Bare,
        peer: Option<Party>,
        stall: Duration,
    ) -> Result<Connection, LinkError> {
        let (Some(keyring), Some(peer)) = (&self.keyring, peer) else {
            return Ok(Connection::plain(bare, stall));
        };
        let failed = |source| LinkError::Channel { peer, source };
        let (own, mut rng) = (keyring.own(), randomness()?);
        let Some(pin) = keyring.peers().pin(&peer) else {
            let (own, Party { role, name }) = (*own.party(), peer);
            return Err(LinkError::NotPaired { own, role, name: Some(name) });
        };
        let left = keyring.take(&peer, &pin);
        let connected = channel::connect(&mut bare, own, &peer, &pin, left, &mut rng).await;
        let Connected { keys, pattern, resumption, .. } = connected.map_err(failed)?;
        if let Some(resumption) = resumption {
            keyring.keep(&peer, &pin, resumption);
        }
        tracing::trace!(%peer, ?pattern, "connected");
        Ok(Connection::sealed(bare, Shaken { keys, peer, pattern }, stall))
    }

    /// Lets a peer of one of `roles` shake hands; it has been told why, if it may not.
    ///
    /// # Errors
    /// What the channel says; `bare` is then of no more use.
    pub(super) async fn accept(
        &self,
        bare: &mut Bare,
        roles: &[Role],
    ) -> Result<Option<Shaken>, LinkError> {
        let Some(keyring) = &self.keyring else { return Ok(None) };
        let mut rng = randomness()?;
        let accepted = channel::accept(bare, keyring.own(), &mut keyring.of(roles), &mut rng).await;
        let accepted = accepted.map_err(|error| match error {
            Error::Unknown(peer) if !roles.contains(&peer.role) => LinkError::Role { peer },
            error => LinkError::Handshake(error),
        })?;
        let Accepted { keys, peer, pattern, .. } = accepted;
        tracing::trace!(%peer, ?pattern, "connected");
        Ok(Some(Shaken { keys, peer, pattern }))
    }

    /// Waits until all that was sent has arrived. A program that ends earlier takes with it what is
    /// still on an emulated line, where the system would have sent it.
    pub async fn drained(&self) {
        if let Some(wan) = self.wan {
            self.deliveries.done(wan).await;
        }
    }
}
