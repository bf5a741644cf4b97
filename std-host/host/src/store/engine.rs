//! What hosts and dealers keep, wherever it is kept: in a folder of one machine
//! ([`super::embedded`]), or where many machines reach it.

use core::fmt;

use sharelet_core::keystream::{Key, KeyId};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::Party;

use super::error::StoreError;
use super::key::DeviceKey;
use super::spent::Spent;
use super::spool::{Origin, SpoolError};

/// The devices that a dealer deals for, with their keys.
pub trait Registry: fmt::Debug + Send + Sync {
    /// The key of `device`, or `None`.
    ///
    /// # Errors
    /// [`StoreError::Key`] if it is damaged or belongs to another device.
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError>;

    /// Whether a key could be kept now: none is given out that is not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn expect_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Keeps a key. It counts at once, for a dealer that runs.
    ///
    /// # Errors
    /// [`StoreError::KeyExists`] unless `force`.
    fn put_key(&self, key: &DeviceKey, force: bool) -> Result<(), StoreError>;

    /// Forgets a device's key: nothing is dealt for it any more, though what was dealt stays
    /// recorded. `false` if there is no key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError>;

    /// The devices that have a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn devices(&self) -> Result<Vec<DeviceId>, StoreError>;
}

/// A record of what was spent, and what tells it from earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Differs for each record that there ever was of the device.
    pub revision: u64,
    /// What was spent.
    pub spent: Spent,
}

/// The state of a host or a dealer. Calls block until what they promise is durable; none waits for
/// long: where a store does not answer they fail.
pub trait Store: Registry {
    /// What was spent of a device's numbers; `None` if nothing ever was.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spent(&self, device: DeviceId) -> Result<Option<Entry>, StoreError>;

    /// Compares and sets: replaces the record of revision `seen`, or none if there is `None`.
    /// `false` if there is another one by now, and nothing was changed.
    ///
    /// # Errors
    /// [`StoreError`]: the record may have been replaced, or may not.
    fn spend(&self, device: DeviceId, seen: Option<u64>, spent: &Spent)
    -> Result<bool, StoreError>;

    /// The devices that have a record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spenders(&self) -> Result<Vec<DeviceId>, StoreError>;

    /// How many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spender_count(&self) -> Result<u64, StoreError> {
        Ok(self.spenders()?.len() as u64)
    }

    /// The sessions of a device whose corrections are there, lowest first, and what they were dealt
    /// for; `None` where that cannot be read.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sessions(&self, device: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError>;

    /// All devices, and how many sessions each has ready.
    ///
    /// # Errors
    /// [`StoreError`].
    fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError>;

    /// Whether corrections of `bytes` could be kept now.
    ///
    /// # Errors
    /// [`StoreError`].
    fn expect_room(&self, device: DeviceId, bytes: usize) -> Result<(), StoreError>;

    /// Keeps the corrections of a session; they are whole and durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        corrections: &[u8],
    ) -> Result<(), StoreError>;

    /// Reads the corrections of a session, `expected_bytes` long, dealt for exactly this `origin`.
    /// They stay.
    ///
    /// # Errors
    /// [`SpoolError`] names what is wrong with them.
    fn get(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        expected_bytes: usize,
    ) -> Result<Vec<u8>, SpoolError>;

    /// Deletes corrections, of whatever origin where it is not known. The record of what was spent,
    /// not the deletion, keeps a number from being used twice.
    fn remove(&self, device: DeviceId, session: u64, origin: Option<&Origin>);

    /// Whether the store is there now.
    ///
    /// # Errors
    /// [`StoreError`].
    fn expect_there(&self) -> Result<(), StoreError>;

    /// The seed of the weight mask of the model file with digest `model`: always the same.
    ///
    /// # Errors
    /// [`StoreError`].
    fn seed(&self, model: &[u8; 32]) -> Result<Key, StoreError>;

    /// Keeps a masked model of `owner`, of nobody where links are plaintext; `id` is the digest of
    /// its bytes. Each owner has its models to itself, so nobody is dealt for another's.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError>;

    /// The bytes of a masked model of `owner`, or `None`. The caller checks them against `id`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Deletes a damaged masked model and returns the error that names it.
    fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError;

    /// Makes room for one more masked model of `owner`, who may have `most`: those go that were
    /// sent first. An owner that still needs one of them sends it again.
    ///
    /// # Errors
    /// [`StoreError`].
    fn make_room(&self, owner: Party, most: usize) -> Result<(), StoreError>;

    /// The number of masked models.
    ///
    /// # Errors
    /// [`StoreError`].
    fn model_count(&self) -> Result<usize, StoreError>;
}

/// Attempts to replace a record that others replace, too: of those who try at once one always gets
/// on.
const ATTEMPTS: usize = 256;

/// Changes a device's record, whoever else does.
///
/// # Errors
/// What `change` says, and what the store says: in both cases nothing that `change` was told may be
/// used.
pub fn change<T>(
    store: &dyn Store,
    device: DeviceId,
    mut change: impl FnMut(&mut Spent) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..ATTEMPTS {
        let entry = store.spent(device)?;
        let (seen, mut spent) =
            entry.map_or((None, Spent::default()), |entry| (Some(entry.revision), entry.spent));
        let done = change(&mut spent)?;
        if store.spend(device, seen, &spent)? {
            return Ok(done);
        }
    }
    Err(StoreError::Contended { device: device.to_string() })
}

/// The lowest number of `device` under `key` that was not spent; 0 if none was.
///
/// # Errors
/// [`StoreError`].
pub fn next_session(store: &dyn Store, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
    Ok(store.spent(device)?.map_or(0, |entry| entry.spent.next(key)))
}
