//! Who a program is, whom it is paired with, and what sessions left for the next ones.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sharelet_channel::{
    Identity, KeyName, NotStored, Party, Pin, Pins, PublicKey, Ratchet, Resumption, ResumptionId,
    Role,
};
use sharelet_core::DeviceId;

/// The peers that a program is paired with, wherever their keys are kept.
pub trait Peers: Send + Sync {
    /// The names of those who have a role.
    fn names(&self, role: Role) -> Vec<DeviceId>;

    /// The keys of a peer, if it is paired by static keys.
    fn pin(&self, peer: &Party) -> Option<Pin>;

    /// How a peer is paired, if it is: asked often, for every connection that is open.
    fn pairing(&self, peer: &Party) -> Option<Pairing> {
        let of_pin = self.pin(peer).map(|pin| Pairing::Static(pin.public));
        of_pin.or_else(|| {
            let ratchet = self.ratchet(peer)?;
            Some(Pairing::Provisioned { key: ratchet.key_name(), step: ratchet.step() })
        })
    }

    /// The ratchet of a peer, if it is paired by a provisioned key.
    fn ratchet(&self, _peer: &Party) -> Option<Ratchet> {
        None
    }

    /// Stores a ratchet that has moved on, in place of one of the same key that is behind it;
    /// returns when that survives a power cut.
    ///
    /// # Errors
    /// [`NotStored`] if that cannot be promised, or the stored one is none such.
    fn advanced(&self, _peer: &Party, _ratchet: Ratchet) -> Result<(), NotStored> {
        Err(NotStored)
    }
}

/// How a peer is paired.
#[derive(Clone, Debug)]
pub enum Pairing {
    /// By a static key.
    Static(PublicKey),
    /// By a provisioned key.
    Provisioned {
        /// Its name.
        key: KeyName,
        /// How many steps it has moved on.
        step: u64,
    },
}

impl Pairing {
    /// Whether this is what `then` has become: the same key, and no earlier step.
    #[must_use]
    pub fn follows(&self, then: &Self) -> bool {
        match (then, self) {
            (Self::Static(then), Self::Static(now)) => then == now,
            (
                Self::Provisioned { key: before, step: then },
                Self::Provisioned { key, step: now },
            ) => key == before && now >= then,
            _ => false,
        }
    }
}

/// The side on which a program was when it made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Connects,
    Accepts,
}

/// A program's own identity and its peers. Resumptions are kept in memory, one for each peer and
/// side: after a restart the next handshake is one with static keys.
pub struct Keyring {
    own: Identity,
    peers: Box<dyn Peers>,
    left: Mutex<HashMap<(Side, Party), (PublicKey, Resumption)>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.own).finish()
    }
}

impl Keyring {
    /// A keyring of `own` and its peers.
    pub fn new(own: Identity, peers: impl Peers + 'static) -> Self {
        Self { own, peers: Box::new(peers), left: Mutex::default() }
    }

    /// Who the program is.
    #[must_use]
    pub fn own(&self) -> &Identity {
        &self.own
    }

    /// Whom it is paired with.
    #[must_use]
    pub fn peers(&self) -> &dyn Peers {
        &*self.peers
    }

    fn left(&self) -> MutexGuard<'_, HashMap<(Side, Party), (PublicKey, Resumption)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the last connection to a peer left, unless the peer has another key since.
    pub(super) fn take(&self, peer: &Party, pin: &Pin) -> Option<Resumption> {
        let (public, resumption) = self.left().remove(&(Side::Connects, *peer))?;
        (public == pin.public).then_some(resumption)
    }

    /// Keeps what a connection to a peer leaves.
    pub(super) fn keep(&self, peer: &Party, pin: &Pin, resumption: Resumption) {
        self.left().insert((Side::Connects, *peer), (pin.public, resumption));
    }

    /// The pins that count where peers of `roles` connect.
    pub(super) fn of<'k>(&'k self, roles: &'k [Role]) -> impl Pins + Send + 'k {
        Admitted { keyring: self, roles }
    }
}

/// Peers of some roles.
struct Admitted<'k> {
    keyring: &'k Keyring,
    roles: &'k [Role],
}

impl Admitted<'_> {
    fn peers(&self, peer: &Party) -> Option<&dyn Peers> {
        self.roles.contains(&peer.role).then(|| self.keyring.peers())
    }
}

impl Pins for Admitted<'_> {
    fn pin(&mut self, peer: &Party) -> Option<Pin> {
        self.peers(peer)?.pin(peer)
    }

    fn resumption(&mut self, peer: &Party, id: &ResumptionId) -> Option<Resumption> {
        let pin = self.peers(peer)?.pin(peer)?;
        let place = (Side::Accepts, *peer);
        let mut left = self.keyring.left();
        // Whoever names another one does not take this one away.
        let (public, kept) = left.get(&place)?;
        let usable = kept.id() == id && *public == pin.public;
        if usable { left.remove(&place).map(|(_, resumption)| resumption) } else { None }
    }

    fn keep(&mut self, peer: &Party, resumption: Resumption) {
        if let Some(pin) = self.peers(peer).and_then(|peers| peers.pin(peer)) {
            self.keyring.left().insert((Side::Accepts, *peer), (pin.public, resumption));
        }
    }

    fn ratchet(&mut self, peer: &Party) -> Option<Ratchet> {
        self.peers(peer)?.ratchet(peer)
    }

    fn advanced(&mut self, peer: &Party, ratchet: Ratchet) -> Result<(), NotStored> {
        self.peers(peer).ok_or(NotStored)?.advanced(peer, ratchet)
    }
}
