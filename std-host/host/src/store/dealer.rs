//! The dealer's state: device keys, the sessions dealt, and masked models.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::Party;
use sharelet_link::files::{FileError, private_directory, write_file};

use super::embedded::Embedded;
use super::engine::{Store, change, next_session};
use super::error::StoreError;
use super::key::DeviceKey;
use super::keys::KeysFolder;
use super::state::OF_DEALER;

/// The file of the record of what was dealt.
pub const RECORD: &str = OF_DEALER;
/// Lies beside the keys once there is a record of what was dealt under them.
const MARKER: &str = ".dealt";

/// The dealer's state. Calls block until what they promise is durable.
#[derive(Clone, Debug)]
pub struct DealerStore {
    store: Arc<dyn Store>,
}

impl DealerStore {
    /// Opens the state in a directory, locked, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let keys = KeysFolder::of(directory);
        private_directory(keys.path())?;
        // Keys without the record of what was dealt under them would be dealt for again, from the
        // beginning.
        let (marker, record) = (keys.path().join(MARKER), directory.join(RECORD));
        let kept = fs::metadata(&record).is_ok_and(|record| record.len() > 0);
        if !kept && marker.try_exists().map_err(FileError::at(&marker))? {
            return Err(StoreError::Lost { path: record });
        }
        let store = Arc::new(Embedded::open(directory, RECORD)?);
        write_file(&marker, &[])?;
        Ok(Self { store })
    }

    /// The state in a store that other dealers use, too.
    #[must_use]
    pub fn shared(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The key of `device`, or `None`.
    ///
    /// # Errors
    /// [`StoreError::Key`] if it is damaged or belongs to another device.
    pub fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        self.store.key(device)
    }

    /// The lowest session number that was not dealt for `device` under `key`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_session(&self, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
        next_session(&*self.store, device, key)
    }

    /// Records the sessions `first..first + count`, and every number below them, as dealt. Numbers
    /// that are left out are skipped for ever.
    ///
    /// # Errors
    /// [`StoreError::SessionUsed`] if one of them was dealt, or is none: nothing must be dealt
    /// then.
    pub fn record(
        &self,
        device: DeviceId,
        key: KeyId,
        first: u64,
        count: u32,
    ) -> Result<(), StoreError> {
        change(&*self.store, device, |spent| spent.spend(key, first, count))
    }

    /// The number of devices and servers with a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device_count(&self) -> Result<usize, StoreError> {
        Ok(self.store.devices()?.len())
    }

    /// As [`Store::model_count`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn model_count(&self) -> Result<usize, StoreError> {
        self.store.model_count()
    }

    /// As [`Store::make_room`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make_room(&self, owner: Party, most: usize) -> Result<(), StoreError> {
        self.store.make_room(owner, most)
    }

    /// As [`Store::put_model`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.store.put_model(owner, id, bytes)
    }

    /// The bytes of a masked model of `owner`, or `None`. The caller checks them against `id`, and
    /// calls [`DealerStore::remove_model`] if they are damaged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.model(owner, id)
    }

    /// As [`Store::expect_there`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn expect_there(&self) -> Result<(), StoreError> {
        self.store.expect_there()
    }

    /// As [`Store::remove_model`].
    #[must_use]
    pub fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError {
        self.store.remove_model(owner, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keys::provision;
    use sharelet_link::Role;

    #[test]
    fn a_session_is_dealt_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let device = DeviceId::new("d").expect("a name");
        let store = DealerStore::open(&path).expect("opens");
        assert!(matches!(DealerStore::open(&path), Err(StoreError::Locked { .. })));
        let (key, other) = ([1; 8], [2; 8]);
        store.record(device, key, 1 << 50, 3).expect("numbers may be left out");
        let next = (1 << 50) + 3;
        let used = |key, first, count, expected| {
            let refused = store.record(device, key, first, count);
            assert!(
                matches!(refused, Err(StoreError::SessionUsed { next, .. }) if next == expected),
                "{first}"
            );
        };
        used(key, next - 1, 1, next);
        used(key, 0, 1, next);
        used(key, u64::MAX - 1, 2, next);
        store.record(device, other, 0, 1).expect("a new key begins anew");
        used(other, 0, 1, 1);
        used(other, u64::MAX, 1, 1);
        store.record(device, other, 90, 10).expect("they may be left out here, too");
        used(other, 99, 1, 100);
        drop(store);
        let store = DealerStore::open(&path).expect("opens");
        assert_eq!(store.next_session(device, key).expect("reads"), next);
        store.record(device, key, next, 1).expect("unused");
    }

    #[test]
    fn a_masked_model_is_its_owners() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DealerStore::open(directory.path()).expect("opens");
        let party = |role, name| Some(Party::new(role, name).expect("a name"));
        let owners = [
            None,
            party(Role::Host, "a"),
            party(Role::Host, "b"),
            party(Role::Server1, "a"),
            // Names in which a role and a name might run together.
            party(Role::Host, "a-0"),
        ];
        for (byte, owner) in (0..).zip(owners) {
            assert!(store.model(owner, &[7; 32]).expect("reads").is_none(), "{owner:?}");
            store.put_model(owner, &[7; 32], &[byte]).expect("writes");
            assert_eq!(store.model_count().expect("reads"), usize::from(byte) + 1);
        }
        let _named = store.remove_model(owners[1], &[7; 32]);
        for (byte, owner) in (0..).zip(owners) {
            let expected = (byte != 1).then(|| vec![byte]);
            assert_eq!(store.model(owner, &[7; 32]).expect("reads"), expected);
        }
    }

    #[test]
    fn keys_without_their_record_are_not_dealt_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = directory.path().join(RECORD);
        let device = DeviceId::new("d").expect("a name");
        provision(&KeysFolder::of(directory.path()), device, false, |_| Ok::<_, StoreError>(()))
            .expect("before the dealer's first start");
        drop(DealerStore::open(directory.path()).expect("opens"));
        fs::write(&record, []).expect("empties");
        assert!(matches!(DealerStore::open(directory.path()), Err(StoreError::Lost { .. })));
        fs::remove_file(&record).expect("removes");
        assert!(matches!(DealerStore::open(directory.path()), Err(StoreError::Lost { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn the_record_is_private_wherever_it_lies() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("open-to-all");
        fs::create_dir(&path).expect("makes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("opens up");
        drop(DealerStore::open(&path).expect("opens"));
        let mode = fs::metadata(path.join(RECORD)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
