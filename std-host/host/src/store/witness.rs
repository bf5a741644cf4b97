//! What this machine has seen of a store that many machines use: a store that has forgotten some of
//! it is a copy of an earlier day, or was changed, and is not used.

use core::fmt;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_link::files::FileError;

use super::engine::Entry;
use super::error::StoreError;
use super::spent::Spent;
use super::state::{OF_DEALER, OF_HOST, OF_WITNESS, State};

/// The file of the record of what was seen.
pub const RECORD: &str = OF_WITNESS;
/// The store's name, under the key 0.
const STORE: TableDefinition<'_, u8, &[u8; 16]> = TableDefinition::new("store");
/// Device to the newest revision that was seen, and its [`Spent`].
const SEEN: TableDefinition<'_, &[u8; 16], (u64, &[u8])> = TableDefinition::new("seen");
/// Device to the serial number of its key.
const KEYS: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("keys");

/// What was seen, locked: a state directory belongs to one process at a time.
pub struct Witness {
    state: State,
    seen: Mutex<Seen>,
}

struct Seen {
    entries: HashMap<DeviceId, Entry>,
    /// Of which devices something is not on disk yet.
    unwritten: BTreeSet<DeviceId>,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.state.path).finish()
    }
}

impl Witness {
    /// Opens what a state directory has seen of the store of this name.
    ///
    /// # Errors
    /// [`StoreError::OtherStore`] if it has used another one before, [`StoreError::Elsewhere`] if
    /// it has used none; [`StoreError::Locked`].
    pub fn open(directory: &Path, store: &[u8; 16]) -> Result<Self, StoreError> {
        for other in [OF_HOST, OF_DEALER] {
            let other = directory.join(other);
            if other.try_exists().map_err(FileError::at(&other))? {
                // What was spent there is not known to the store.
                return Err(StoreError::Elsewhere { path: directory.to_owned() });
            }
        }
        let state = State::open(directory, RECORD)?;
        let known = state.write(|transaction| {
            transaction.open_table(SEEN)?;
            transaction.open_table(KEYS)?;
            let mut table = transaction.open_table(STORE)?;
            let known = table.get(0)?.map(|known| *known.value());
            if known.is_none() {
                table.insert(0, store)?;
            }
            Ok(Ok(known))
        })?;
        if known.is_some_and(|known| known != *store) {
            return Err(StoreError::OtherStore { path: directory.to_owned() });
        }
        let entries = state.with(|database| {
            let table = database.begin_read()?.open_table(SEEN)?;
            let entries = table.iter()?.map(|row| {
                let (device, seen) = row?;
                let (revision, bytes) = seen.value();
                let device = DeviceId::from_bytes(*device.value());
                Ok(device
                    .zip(Spent::from_bytes(bytes))
                    .map(|(device, spent)| (device, Entry { revision, spent })))
            });
            entries.collect::<Result<Option<HashMap<_, _>>, redb::Error>>()
        })?;
        let damaged = || StoreError::Damaged { path: state.path.clone() };
        let entries = entries.ok_or_else(damaged)?;
        let seen = Seen { entries, unwritten: BTreeSet::new() };
        Ok(Self { state, seen: Mutex::new(seen) })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of what was seen of a device: to be asked for before the store is.
    #[must_use]
    pub fn before(&self, device: DeviceId) -> Option<u64> {
        self.seen().entries.get(&device).map(|entry| entry.revision)
    }

    /// Sees what the store has of a device; `before` is what [`Witness::before`] said. `false` if
    /// the store has had more by then. What this machine has `spent` itself is on its disk when
    /// this returns: it never spends it again, whatever the store says.
    ///
    /// # Errors
    /// What was seen cannot be written.
    pub fn sees(
        &self,
        device: DeviceId,
        before: Option<u64>,
        found: Option<&Entry>,
        spent: bool,
    ) -> Result<bool, StoreError> {
        let Some(found) = found else { return Ok(before.is_none()) };
        if before.is_some_and(|before| found.revision < before) {
            return Ok(false);
        }
        let mut seen = self.seen();
        let grown = match seen.entries.get(&device) {
            // Another thread has seen what came after.
            Some(newer) if newer.revision > found.revision => newer.spent.follows(&found.spent),
            Some(same) if same.revision == found.revision => return Ok(same == found),
            Some(older) if !found.spent.follows(&older.spent) => false,
            _ => {
                seen.entries.insert(device, found.clone());
                seen.unwritten.insert(device);
                true
            }
        };
        // Another thread may have written it along.
        if spent && seen.unwritten.contains(&device) {
            self.write(&mut seen)?;
        }
        Ok(grown)
    }

    /// Sees the serial number of a device's key, 0 if it has none. `false` if there was a later
    /// one.
    ///
    /// # Errors
    /// What was seen cannot be read or written.
    pub fn sees_key(&self, device: DeviceId, serial: u64) -> Result<bool, StoreError> {
        let seen = self.state.with(|database| {
            let table = database.begin_read()?.open_table(KEYS)?;
            Ok(table.get(device.as_bytes())?.map_or(0, |seen| seen.value()))
        })?;
        if serial > seen {
            self.state.write(|transaction| {
                let mut table = transaction.open_table(KEYS)?;
                let now = table.get(device.as_bytes())?.map_or(0, |seen| seen.value());
                table.insert(device.as_bytes(), now.max(serial))?;
                Ok(Ok(()))
            })?;
        }
        Ok(serial >= seen)
    }

    fn write(&self, seen: &mut Seen) -> Result<(), StoreError> {
        let Seen { entries, unwritten, .. } = &*seen;
        self.state.write(|transaction| {
            let mut table = transaction.open_table(SEEN)?;
            for device in unwritten {
                let Some(Entry { revision, spent }) = entries.get(device) else { continue };
                table.insert(device.as_bytes(), (*revision, spent.to_bytes().as_slice()))?;
            }
            Ok(Ok(()))
        })?;
        seen.unwritten.clear();
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut seen = self.seen();
        // Who cannot write it has seen less, and uses nothing twice for that alone.
        let _ = self.write(&mut seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_has_forgotten_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |store: u8| Witness::open(folder.path(), &[store; 16]);
        let entry = |revision, next: u64| {
            let mut spent = Spent::default();
            spent.spend([1; 8], 0, u32::try_from(next).expect("small")).expect("unspent");
            Entry { revision, spent }
        };
        let device = DeviceId::new("d").expect("a name");
        let witness = open(1).expect("opens");
        let sees = |witness: &Witness, before, found: Option<&Entry>| {
            witness.sees(device, before, found, false).expect("writes")
        };
        assert!(sees(&witness, None, None) && sees(&witness, None, Some(&entry(4, 1))));
        assert!(!sees(&witness, Some(4), None), "the record is gone");
        assert!(sees(&witness, Some(4), Some(&entry(9, 3))));
        assert_eq!(witness.before(device), Some(9));
        // What was asked for before that, by another thread.
        assert!(sees(&witness, Some(4), Some(&entry(6, 2))));
        assert!(!sees(&witness, Some(4), Some(&entry(6, 4))), "never was so");
        for older in [entry(8, 3), entry(9, 2), entry(9, 4), entry(10, 2)] {
            assert!(!sees(&witness, Some(9), Some(&older)), "{older:?}");
        }
        for (serial, expected) in [(0, true), (2, true), (2, true), (1, false), (0, false)] {
            assert_eq!(witness.sees_key(device, serial).expect("writes"), expected, "{serial}");
        }
        drop(witness);
        assert!(matches!(open(2), Err(StoreError::OtherStore { .. })));
        let witness = open(1).expect("opens");
        assert_eq!(witness.before(device), Some(9));
        assert!(!sees(&witness, Some(9), Some(&entry(12, 2))));
        assert!(sees(&witness, Some(9), Some(&entry(12, 3))));
        assert!(!witness.sees_key(device, 1).expect("reads"));
    }
}
