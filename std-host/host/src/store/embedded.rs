//! A folder of one machine as a store: a database of what was spent and of seeds, and files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
    TableHandle as _,
};
use sharelet_core::keystream::Key;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::Party;
use sharelet_link::files::{FileError, private_directory, remove_temporaries, write_file};
use sharelet_link::hex::hex;

use super::engine::{Entry, Registry, Store};
use super::error::StoreError;
use super::key::{DeviceKey, random_key};
use super::keys::KeysFolder;
use super::spent::Spent;
use super::spool::{Origin, Spool, SpoolError};
use super::state::{OF_WITNESS, State};

/// Device to revision and [`Spent`].
const SPENT: TableDefinition<'_, &[u8; 16], (u64, &[u8])> = TableDefinition::new("spent-numbers");
/// SHA-256 of a model file to the seed of its weight mask.
const SEEDS: TableDefinition<'_, &[u8; 32], &[u8; 32]> = TableDefinition::new("model-seeds");
/// What earlier versions called the table of spent numbers.
const OLDER: [&str; 2] = ["next-session-of-key", "spent"];

/// The store, locked: it belongs to one process at a time.
#[derive(Debug)]
pub struct Embedded {
    state: State,
    spool: Spool,
    keys: KeysFolder,
    models: PathBuf,
}

impl Embedded {
    /// Opens the store in `directory`, with its database `record`, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it, [`StoreError::Elsewhere`] if its numbers
    /// are kept beyond this machine, [`StoreError::Older`] if an older version
    /// of this program made it.
    pub fn open(directory: &Path, record: &str) -> Result<Self, StoreError> {
        let seen = directory.join(OF_WITNESS);
        if seen.try_exists().map_err(FileError::at(&seen))? {
            // What was spent there is not known here.
            return Err(StoreError::Elsewhere { path: directory.to_owned() });
        }
        let state = State::open(directory, record)?;
        let spool = Spool::open(directory.join("spool"))?;
        let older = state.with(|database| {
            let transaction = database.begin_read()?;
            let mut tables = transaction.list_tables()?;
            Ok(tables.any(|table| OLDER.contains(&table.name())))
        })?;
        if older {
            // Its numbers would be taken for unspent.
            return Err(StoreError::Older { path: state.path });
        }
        state.write(|transaction| {
            transaction.open_table(SPENT)?;
            transaction.open_table(SEEDS)?;
            Ok(Ok(()))
        })?;
        let (keys, models) = (KeysFolder::of(directory), directory.join("models"));
        if models.try_exists().map_err(FileError::at(&models))? {
            remove_temporaries(&models);
        }
        Ok(Self { state, spool, keys, models })
    }

    fn damaged(&self) -> StoreError {
        StoreError::Damaged { path: self.state.path.clone() }
    }

    fn model_path(&self, owner: Option<Party>, id: &[u8; 32]) -> PathBuf {
        self.models.join(format!("{}{}.masked", owner_prefix(owner), hex(id)))
    }
}

/// What the files of an owner's masked models begin with; a digest follows.
fn owner_prefix(owner: Option<Party>) -> String {
    owner.map_or_else(String::new, |party| format!("{}-{}-", party.role.word(), party.name))
}

impl Registry for Embedded {
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        self.keys.key(device)
    }

    fn expect_writable(&self) -> Result<(), StoreError> {
        self.keys.expect_writable()
    }

    fn put_key(&self, key: &DeviceKey, force: bool) -> Result<(), StoreError> {
        self.keys.put_key(key, force)
    }

    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError> {
        self.keys.forget_key(device)
    }

    fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.keys.devices()
    }
}

impl Store for Embedded {
    fn spent(&self, device: DeviceId) -> Result<Option<Entry>, StoreError> {
        let found = self.state.with(|database| {
            let table = database.begin_read()?.open_table(SPENT)?;
            Ok(table.get(device.as_bytes())?.map(|found| {
                let (revision, bytes) = found.value();
                Spent::from_bytes(bytes).map(|spent| Entry { revision, spent })
            }))
        })?;
        found.map(|entry| entry.ok_or_else(|| self.damaged())).transpose()
    }

    fn spend(
        &self,
        device: DeviceId,
        seen: Option<u64>,
        spent: &Spent,
    ) -> Result<bool, StoreError> {
        let bytes = spent.to_bytes();
        self.state.write(|transaction| {
            let mut table = transaction.open_table(SPENT)?;
            let found = table.get(device.as_bytes())?.map(|found| found.value().0);
            let is_it = found == seen;
            if is_it {
                let revision = seen.map_or(1, |seen| seen.wrapping_add(1));
                table.insert(device.as_bytes(), (revision, bytes.as_slice()))?;
            }
            Ok(Ok(is_it))
        })
    }

    fn spender_count(&self) -> Result<u64, StoreError> {
        self.state.with(|database| Ok(database.begin_read()?.open_table(SPENT)?.len()?))
    }

    fn spenders(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.state.with(|database| {
            let table = database.begin_read()?.open_table(SPENT)?;
            let mut devices = Vec::new();
            for record in table.iter()? {
                let (name, _) = record?;
                let name = core::str::from_utf8(name.value()).ok();
                devices.extend(name.and_then(|name| DeviceId::new(name.trim_end_matches('\0'))));
            }
            Ok(devices)
        })
    }

    fn sessions(&self, device: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError> {
        let sessions = self.spool.sessions(device).into_iter();
        Ok(sessions.map(|session| (session, self.spool.origin(device, session))).collect())
    }

    fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError> {
        Ok(self.spool.stock())
    }

    fn expect_room(&self, device: DeviceId, bytes: usize) -> Result<(), StoreError> {
        Ok(self.spool.expect_room(device, bytes)?)
    }

    fn put(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        corrections: &[u8],
    ) -> Result<(), StoreError> {
        Ok(self.spool.put(device, session, origin, corrections)?)
    }

    fn get(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        expected_bytes: usize,
    ) -> Result<Vec<u8>, SpoolError> {
        self.spool.get(device, session, origin, expected_bytes)
    }

    fn remove(&self, device: DeviceId, session: u64, _: Option<&Origin>) {
        self.spool.remove(device, session);
    }

    fn expect_there(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// A new one at the first call.
    fn seed(&self, model: &[u8; 32]) -> Result<Key, StoreError> {
        let fresh = random_key()?;
        self.state.write(|transaction| {
            let mut table = transaction.open_table(SEEDS)?;
            if let Some(seed) = table.get(model)? {
                return Ok(Ok(Key::from_bytes(*seed.value())));
            }
            table.insert(model, fresh.expose())?;
            Ok(Ok(Key::from_bytes(*fresh.expose())))
        })
    }

    fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        private_directory(&self.models)?;
        Ok(write_file(&self.model_path(owner, id), &[bytes])?)
    }

    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.model_path(owner, id);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at(&path)(error).into()),
        }
    }

    fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError {
        let path = self.model_path(owner, id);
        // A file that stays is refused again.
        let _ = fs::remove_file(&path);
        StoreError::MaskedModel { path }
    }

    fn make_room(&self, owner: Party, most: usize) -> Result<(), StoreError> {
        let prefix = owner_prefix(Some(owner));
        let files = fs::read_dir(&self.models).into_iter().flatten().flatten();
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
        Ok(())
    }

    fn model_count(&self) -> Result<usize, StoreError> {
        Ok(fs::read_dir(&self.models).map_or(0, Iterator::count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that an older version has recorded otherwise would be taken for unspent.
    #[test]
    fn the_state_of_an_older_version_is_refused() {
        for table in OLDER {
            let folder = tempfile::tempdir().expect("a folder");
            drop(Embedded::open(folder.path(), "host.redb").expect("makes"));
            let state = State::open(folder.path(), "host.redb").expect("opens");
            let table: TableDefinition<'_, u64, u64> = TableDefinition::new(table);
            let written = state.write(|transaction| {
                transaction.open_table(table)?;
                Ok(Ok(()))
            });
            written.expect("writes");
            drop(state);
            let error = Embedded::open(folder.path(), "host.redb").expect_err("is older");
            assert!(matches!(error, StoreError::Older { .. }), "{error}");
            assert!(error.to_string().contains("host.redb was made by an older version"));
        }
    }
}
