//! The dealer's state: device keys, the sessions dealt, and masked models.
//!
//! Keys are files, so that a device can be provisioned while the dealer runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::DeviceId;

use super::error::{KeyError, StoreError};
use super::key::DeviceKey;
use super::state::State;
use sharelet_link::Party;
use sharelet_link::files::{
    FileError, private_directory, remove_temporaries, sync_directory, write_file,
};
use sharelet_link::hex::hex;

/// Device and key to the lowest session number that was not dealt.
const NEXT: TableDefinition<'_, (&[u8; 16], &[u8; 8]), u64> =
    TableDefinition::new("next-session-of-key");
const KEYS: &str = "keys";
/// The file of the record of what was dealt.
pub const RECORD: &str = "dealer.redb";
/// Lies beside the keys once there is a record of what was dealt under them.
const MARKER: &str = ".dealt";
const MODELS: &str = "models";

/// The dealer's state, locked. Calls block until what they promise is on disk.
pub struct DealerStore {
    state: State,
    directory: PathBuf,
}

impl core::fmt::Debug for DealerStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DealerStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn key_path(directory: &Path, device: DeviceId) -> PathBuf {
    directory.join(KEYS).join(format!("{device}.key"))
}

/// Makes a key for `device`; once `give` has written it for the device, it is kept with the
/// dealer's state. The dealer may be running.
///
/// # Errors
/// [`StoreError::KeyExists`] unless `force`; nothing is written then. If `give` fails, the dealer
/// knows the key that it knew before.
pub fn provision<E: From<StoreError>>(
    directory: &Path,
    device: DeviceId,
    force: bool,
    give: impl FnOnce(&DeviceKey) -> Result<(), E>,
) -> Result<DeviceKey, E> {
    let known = key_path(directory, device);
    if !force && known.try_exists().map_err(FileError::at(&known)).map_err(StoreError::from)? {
        return Err(StoreError::KeyExists { device: device.to_string() }.into());
    }
    let key = DeviceKey::generate(device)?;
    give(&key)?;
    take_over(directory, &key, force)?;
    Ok(key)
}

/// What the files of an owner's masked models begin with; a digest follows.
fn owner_prefix(owner: Option<Party>) -> String {
    owner.map_or_else(String::new, |party| format!("{}-{}-", party.role.word(), party.name))
}

/// Keeps a key that was made elsewhere. The dealer may be running.
///
/// # Errors
/// [`StoreError::KeyExists`] unless `force`.
pub fn take_over(directory: &Path, key: &DeviceKey, force: bool) -> Result<(), StoreError> {
    private_directory(&directory.join(KEYS))?;
    let path = key_path(directory, key.device);
    if !force && path.try_exists().map_err(FileError::at(&path))? {
        return Err(StoreError::KeyExists { device: key.device.to_string() });
    }
    key.save(&path)
}

/// Forgets a device's key: nothing is dealt for it any more. The dealer may be running; its record
/// of what was dealt stays. `false` if there is no key.
///
/// # Errors
/// [`StoreError::File`].
pub fn forget(directory: &Path, device: DeviceId) -> Result<bool, StoreError> {
    let path = key_path(directory, device);
    match fs::remove_file(&path) {
        Ok(()) => {
            sync_directory(&path)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::at(&path)(error).into()),
    }
}

/// The devices whose keys a dealer has. It may be running.
///
/// # Errors
/// [`StoreError::File`], but not for a state that is missing.
pub fn known(directory: &Path) -> Result<Vec<DeviceId>, StoreError> {
    let keys = directory.join(KEYS);
    let entries = match fs::read_dir(&keys) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::at(&keys))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| DeviceId::new(name.strip_suffix(".key")?)).collect())
}

impl DealerStore {
    /// Opens the state, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        private_directory(directory)?;
        private_directory(&directory.join(KEYS))?;
        // Keys without the record of what was dealt under them would be dealt for again, from the
        // beginning.
        let (marker, record) = (directory.join(KEYS).join(MARKER), directory.join(RECORD));
        let kept = fs::metadata(&record).is_ok_and(|record| record.len() > 0);
        if !kept && marker.try_exists().map_err(FileError::at(&marker))? {
            return Err(StoreError::Lost { path: record });
        }
        let state = State::open(directory, RECORD)?;
        private_directory(&directory.join(MODELS))?;
        remove_temporaries(&directory.join(MODELS));
        state.write(|transaction| {
            transaction.open_table(NEXT)?;
            Ok(Ok(()))
        })?;
        write_file(&marker, &[])?;
        Ok(Self { state, directory: directory.to_owned() })
    }

    /// The key of `device`, or `None`.
    ///
    /// # Errors
    /// [`StoreError::Key`] if the file is damaged or belongs to another device.
    pub fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        let path = key_path(&self.directory, device);
        match DeviceKey::load(&path) {
            Ok(key) if key.device == device => Ok(Some(key)),
            Ok(_) => Err(StoreError::Key { path, source: KeyError::Name }),
            Err(StoreError::File(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lowest session number that was not dealt for `device` under `key`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn next_session(&self, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
        self.state.with(|database| {
            let table = database.begin_read()?.open_table(NEXT)?;
            Ok(table.get((device.as_bytes(), &key))?.map_or(0, |next| next.value()))
        })
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
        self.state.write(|transaction| {
            let mut table = transaction.open_table(NEXT)?;
            let next = table.get((device.as_bytes(), &key))?.map_or(0, |next| next.value());
            let Some(after) = first.checked_add(count.into()).filter(|_| first >= next) else {
                return Ok(Err(StoreError::SessionUsed { session: first, next }));
            };
            table.insert((device.as_bytes(), &key), after)?;
            Ok(Ok(()))
        })
    }

    /// Each owner has its models to itself, so nobody is dealt for another's.
    fn model_path(&self, owner: Option<Party>, id: &[u8; 32]) -> PathBuf {
        let name = format!("{}{}.masked", owner_prefix(owner), hex(id));
        self.directory.join(MODELS).join(name)
    }

    /// The number of devices and servers with a key.
    #[must_use]
    pub fn device_count(&self) -> usize {
        let keys = fs::read_dir(self.directory.join(KEYS)).into_iter().flatten().flatten();
        keys.filter(|key| key.path().extension().is_some_and(|ending| ending == "key")).count()
    }

    /// The number of masked models.
    #[must_use]
    pub fn model_count(&self) -> usize {
        fs::read_dir(self.directory.join(MODELS)).map_or(0, Iterator::count)
    }

    /// Makes room for one more masked model of `owner`, who may have `most`: those go that were
    /// sent first. An owner that still needs one of them sends it again.
    pub fn make_room(&self, owner: Party, most: usize) {
        let prefix = owner_prefix(Some(owner));
        let files = fs::read_dir(self.directory.join(MODELS)).into_iter().flatten().flatten();
        let is_digest = |name: &str| name.len() == 64 + ".masked".len();
        let own = files.filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let sent = file.metadata().and_then(|about| about.modified()).ok();
            name.strip_prefix(&prefix).is_some_and(is_digest).then(|| (sent, file.path()))
        });
        let mut own: Vec<_> = own.collect();
        own.sort_unstable();
        let over = (own.len() + 1).saturating_sub(most);
        for (_, path) in own.into_iter().take(over) {
            // One that stays is removed the next time.
            let _ = fs::remove_file(path);
        }
    }

    /// Keeps a masked model of `owner`, of nobody where links are plaintext; `id` is the digest of
    /// its bytes.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        Ok(write_file(&self.model_path(owner, id), &[bytes])?)
    }

    /// The bytes of a masked model of `owner`, or `None`. The caller checks them against `id`, and
    /// calls [`DealerStore::remove_model`] if they are damaged.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.model_path(owner, id);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at(&path)(error).into()),
        }
    }

    /// Deletes a damaged masked model and returns the error that names it.
    #[must_use]
    pub fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError {
        let path = self.model_path(owner, id);
        // A file that stays is refused again.
        let _ = fs::remove_file(&path);
        StoreError::MaskedModel { path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            assert_eq!(store.model_count(), usize::from(byte) + 1);
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
        provision(directory.path(), device, false, |_| Ok::<_, StoreError>(()))
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

    #[test]
    fn devices_are_provisioned_while_the_dealer_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DealerStore::open(directory.path()).expect("opens");
        let device = DeviceId::new("d").expect("a name");
        assert!(store.key(device).expect("reads").is_none());
        let full = |_: &_| Err(StoreError::Lost { path: directory.path().to_owned() });
        assert!(provision(directory.path(), device, false, full).is_err());
        assert!(store.key(device).expect("reads").is_none(), "the device never got it");
        let first =
            provision(directory.path(), device, false, |_| Ok::<_, StoreError>(())).expect("new");
        assert!(matches!(
            provision(directory.path(), device, false, |_| Ok::<_, StoreError>(())),
            Err(StoreError::KeyExists { .. })
        ));
        let second =
            provision(directory.path(), device, true, |_| Ok::<_, StoreError>(())).expect("forced");
        let key = store.key(device).expect("reads").expect("known");
        assert_eq!(key.key_id(), second.key_id());
        assert_ne!(first.key_id(), second.key_id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&key_path(directory.path(), device)), 0o600);
            assert_eq!(mode(&directory.path().join(KEYS)), 0o700);
        }
    }
}
