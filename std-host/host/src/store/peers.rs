//! The peers that a program is paired with: a folder with a file for each.
//!
//! Files are looked up when a peer connects, so pairing needs no restart; and a file that is
//! removed lets nobody in any more, and ends what is open.

use core::fmt;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sharelet_channel::{NotStored, PairingKey, Pin, PublicKey, RATCHET_BYTES, Ratchet};
use sharelet_core::DeviceId;
use sharelet_link::files::{FileError, private_directory, sync_directory, write_file};
use sharelet_link::{Party, Peers, Role, hex};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::identity::bytes;
use super::lock::Lock;

/// How a peer proves who it is.
#[derive(Debug)]
pub enum Paired {
    /// By its static key.
    Static(Pin),
    /// By a provisioned key that moves forward.
    Provisioned(Ratchet),
}

/// The text of a peer's file: one of the two.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Text {
    Static { public: String, pairing: Zeroizing<String> },
    Provisioned { ratchet: Zeroizing<String> },
}

/// A folder of peers.
pub struct PeersFolder {
    path: PathBuf,
    /// Peers whose files could not be read: the log has a line for each, however often they come.
    damaged: Mutex<BTreeSet<Party>>,
}

impl fmt::Debug for PeersFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeersFolder").field(&self.path).finish()
    }
}

impl PeersFolder {
    /// The folder at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, damaged: Mutex::default() }
    }

    fn file(&self, peer: &Party) -> PathBuf {
        self.path.join(format!("{}-{}", peer.role.word(), peer.name))
    }

    /// Whether there is a peer of this role and name.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn is_paired(&self, peer: &Party) -> Result<bool, StoreError> {
        let file = self.file(peer);
        Ok(file.try_exists().map_err(FileError::at(&file))?)
    }

    /// Held while a file is changed, by whatever program: nobody brings back what another one has
    /// replaced or removed.
    fn alone(&self) -> Result<Lock, FileError> {
        private_directory(&self.path)?;
        Lock::wait(&self.path.join(".lock"))
    }

    /// Pairs with a peer; its older keys count no more.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn put(&self, peer: &Party, paired: &Paired) -> Result<(), StoreError> {
        let _alone = self.alone()?;
        self.write(peer, paired)
    }

    fn write(&self, peer: &Party, paired: &Paired) -> Result<(), StoreError> {
        let text = match paired {
            Paired::Static(pin) => Text::Static {
                public: hex::hex(pin.public.as_bytes()),
                pairing: Zeroizing::new(hex::hex(pin.pairing.expose())),
            },
            Paired::Provisioned(ratchet) => {
                let bytes = Zeroizing::new(ratchet.expose());
                Text::Provisioned { ratchet: Zeroizing::new(hex::hex(&*bytes)) }
            }
        };
        let file = self.file(peer);
        let text = toml::to_string(&text).map_err(|error| FileError {
            path: file.clone(),
            source: std::io::Error::other(error.to_string()),
        })?;
        Ok(write_file(&file, &[Zeroizing::new(text).as_bytes()])?)
    }

    /// The peers whose keys move forward with every connection (`--channel psk`): a copy of this
    /// folder on another machine would be left behind.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn provisioned(&self) -> Result<Vec<Party>, StoreError> {
        let all = self.all()?.into_iter();
        Ok(all.filter(|peer| matches!(self.get(peer), Some(Paired::Provisioned(_)))).collect())
    }

    /// Forgets a peer.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove(&self, peer: &Party) -> Result<(), StoreError> {
        let _alone = self.alone()?;
        let file = self.file(peer);
        fs::remove_file(&file).map_err(FileError::at(&file))?;
        Ok(sync_directory(&file)?)
    }

    /// A peer's keys, if there are any. A file that is none is an error in the log, and no peer.
    fn get(&self, peer: &Party) -> Option<Paired> {
        let file = self.file(peer);
        let text = match fs::read_to_string(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.complain(peer, FileError::at(&file)(error));
                return None;
            }
        };
        let paired = parse(&text);
        if paired.is_none() {
            let file = file.display();
            let damaged = format_args!("{file}: the peer's file is damaged; pair the two again");
            self.complain(peer, damaged);
        }
        paired
    }

    fn complain(&self, peer: &Party, what: impl fmt::Display) {
        if self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(*peer) {
            tracing::error!(%peer, "{what}");
        }
    }

    /// All peers.
    ///
    /// # Errors
    /// [`StoreError::File`], but not for a folder that is missing.
    pub fn all(&self) -> Result<Vec<Party>, StoreError> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileError::at(&self.path))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut peers: Vec<_> = names.filter_map(|name| party(&name)).collect();
        peers.sort_unstable();
        Ok(peers)
    }
}

/// The party that a file is named after.
fn party(file: &str) -> Option<Party> {
    let mut roles = Role::ALL.into_iter().filter_map(|role| {
        let name = file.strip_prefix(role.word())?.strip_prefix('-')?;
        Party::new(role, name)
    });
    roles.next()
}

fn parse(text: &str) -> Option<Paired> {
    Some(match toml::from_str(text).ok()? {
        Text::Static { public, pairing } => Paired::Static(Pin {
            public: PublicKey::from_bytes(*bytes(&public).ok()?),
            pairing: PairingKey::from_bytes(*bytes(&pairing).ok()?),
        }),
        Text::Provisioned { ratchet } => {
            Paired::Provisioned(Ratchet::from_bytes(&*bytes::<RATCHET_BYTES>(&ratchet).ok()?))
        }
    })
}

impl Peers for PeersFolder {
    fn names(&self, role: Role) -> Vec<DeviceId> {
        let all = self.all().unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        });
        all.into_iter().filter(|peer| peer.role == role).map(|peer| peer.name).collect()
    }

    fn pin(&self, peer: &Party) -> Option<Pin> {
        match self.get(peer)? {
            Paired::Static(pin) => Some(pin),
            Paired::Provisioned(_) => None,
        }
    }

    fn ratchet(&self, peer: &Party) -> Option<Ratchet> {
        match self.get(peer)? {
            Paired::Provisioned(ratchet) => Some(ratchet),
            Paired::Static(_) => None,
        }
    }

    fn advanced(&self, peer: &Party, ratchet: Ratchet) -> Result<(), NotStored> {
        let _alone = self.alone().map_err(|error| {
            self.complain(peer, error);
            NotStored
        })?;
        // Two connections may have begun at the same step: one of them goes on. And one may have
        // begun with a key that was since provisioned anew: none of them goes on.
        let is_behind = |stored: Ratchet| {
            stored.key_name() == ratchet.key_name() && stored.step() < ratchet.step()
        };
        let behind = self.ratchet(peer).is_some_and(is_behind);
        if !behind {
            return Err(NotStored);
        }
        self.write(peer, &Paired::Provisioned(ratchet)).map_err(|error| {
            self.complain(peer, error);
            NotStored
        })
    }
}

/// Reads the keys of a folder that belongs to an identity.
#[must_use]
pub fn folder_of(identity: &Path) -> PeersFolder {
    PeersFolder::new(super::identity::peers_of(identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_core::Key;

    fn device() -> Party {
        Party::new(Role::Device, "pump-07").expect("a name")
    }

    #[test]
    fn peers_are_those_that_were_paired() {
        let folder = tempfile::tempdir().expect("a folder");
        let peers = PeersFolder::new(folder.path().join("hall-2.peers"));
        assert_eq!(peers.names(Role::Device), []);
        assert!(peers.pin(&device()).is_none());
        let other = Party::new(Role::DataParty, "pump-07").expect("a name");
        let pin = |byte| {
            let pairing = PairingKey::from_bytes([byte; 32]);
            Paired::Static(Pin { public: PublicKey::from_bytes([byte; 32]), pairing })
        };
        peers.put(&device(), &pin(1)).expect("saves");
        peers.put(&other, &pin(2)).expect("saves");
        assert_eq!(peers.all().expect("reads"), [device(), other]);
        assert_eq!(peers.names(Role::Device), [device().name]);
        let found = peers.pin(&device()).expect("is paired");
        assert_eq!((found.public.as_bytes(), found.pairing.expose()), (&[1; 32], &[1; 32]));
        assert!(peers.ratchet(&device()).is_none());
        fs::write(peers.file(&device()), "public = \"12\"").expect("writes");
        assert!(peers.pin(&device()).is_none());
        peers.remove(&other).expect("removes");
        assert!(peers.pin(&other).is_none());
    }

    #[test]
    fn a_step_is_stored_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let peers = PeersFolder::new(folder.path().to_owned());
        let first = || Ratchet::new(Key::from_bytes([7; 32]));
        peers.put(&device(), &Paired::Provisioned(first())).expect("saves");
        assert!(peers.pin(&device()).is_none());
        let next = || peers.ratchet(&device()).expect("is paired").advance().1;
        let (one, other) = (next(), next());
        assert_eq!(peers.advanced(&device(), one), Ok(()));
        assert_eq!(peers.advanced(&device(), other), Err(NotStored));
        assert_eq!(peers.ratchet(&device()).map(|ratchet| ratchet.step()), Some(1));
        assert_eq!(peers.advanced(&device(), first()), Err(NotStored));
        // A key that was provisioned anew is not replaced by what comes of the one before.
        let (last, new) = (next(), Ratchet::new(Key::from_bytes([8; 32])));
        let name = new.key_name();
        peers.put(&device(), &Paired::Provisioned(new)).expect("saves");
        assert_eq!(peers.advanced(&device(), last), Err(NotStored));
        let stored = peers.ratchet(&device()).expect("is paired");
        assert_eq!((stored.key_name(), stored.step()), (name, 0));
        peers.put(&device(), &Paired::Provisioned(first())).expect("saves");
        // A peer that was forgotten does not come back by a connection that had begun.
        let last = next();
        peers.remove(&device()).expect("removes");
        assert_eq!(peers.advanced(&device(), last), Err(NotStored));
        assert!(peers.ratchet(&device()).is_none());
    }
}
