//! The host's state: the session numbers that were used, the seeds of weight masks, and the spool.

use std::path::Path;
use std::time::SystemTime;

use redb::{
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
};
use sharelet_core::keystream::{Key, KeyId};
use sharelet_core::session::wire::control::DeviceId;

use super::error::StoreError;
use super::key::random_key;
use super::spool::Spool;
use super::state::State;

/// The file of the record of what was used.
pub const RECORD: &str = "host.redb";
/// Device and key to the lowest session number that was not used.
const NEXT: TableDefinition<'_, (&[u8; 16], &[u8; 8]), u64> =
    TableDefinition::new("next-session-of-key");
/// Device to the latest day, since 1970, on which it was served, and its sessions on that day.
const SERVED: TableDefinition<'_, &[u8; 16], (u64, u32)> = TableDefinition::new("served-on-day");
/// SHA-256 of a model file to the seed of its weight mask.
const SEEDS: TableDefinition<'_, &[u8; 32], &[u8; 32]> = TableDefinition::new("model-seeds");

/// How much of a model is given away: whoever asks cleverly chosen questions learns an evaluation
/// with each session.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Most sessions of a device on a day.
    pub sessions_per_day: u32,
    /// Most devices that are ever served.
    pub devices: u32,
}

impl Quota {
    /// As much as anybody likes.
    pub const NONE: Self = Self { sessions_per_day: u32::MAX, devices: u32::MAX };
}

/// Days since 1970.
fn today() -> u64 {
    const DAY: u64 = 24 * 3600;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() / DAY)
}

/// The host's state, locked. Calls block until what they promise is on disk.
pub struct HostStore {
    state: State,
    spool: Spool,
    quota: Quota,
}

impl core::fmt::Debug for HostStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HostStore").field("path", &self.state.path).finish_non_exhaustive()
    }
}

impl HostStore {
    /// Opens the state, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let state = State::open(directory, RECORD)?;
        let spool = Spool::open(directory.join("spool"))?;
        state.write(|transaction| {
            transaction.open_table(NEXT)?;
            transaction.open_table(SERVED)?;
            transaction.open_table(SEEDS)?;
            Ok(Ok(()))
        })?;
        Ok(Self { state, spool, quota: Quota::NONE })
    }

    /// The same, with a limit to what it serves.
    #[must_use]
    pub fn with_quota(self, quota: Quota) -> Self {
        Self { quota, ..self }
    }

    /// How much is given away.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Sessions that `device` has had today.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn served_today(&self, device: DeviceId) -> Result<u32, StoreError> {
        self.state.with(|database| {
            let table = database.begin_read()?.open_table(SERVED)?;
            let served = table.get(device.as_bytes())?.map(|served| served.value());
            Ok(served.filter(|(day, _)| *day >= today()).map_or(0, |(_, sessions)| sessions))
        })
    }

    /// Whether `device` may have one more session today.
    ///
    /// # Errors
    /// [`StoreError::Quota`], [`StoreError::Database`].
    pub fn expect_quota(&self, device: DeviceId) -> Result<(), StoreError> {
        self.expect_quota_on(today(), device)
    }

    fn expect_quota_on(&self, day: u64, device: DeviceId) -> Result<(), StoreError> {
        let Quota { sessions_per_day, devices } = self.quota;
        let within = self.state.with(|database| {
            let table = database.begin_read()?.open_table(SERVED)?;
            let served = table.get(device.as_bytes())?.map(|served| served.value());
            Ok(match served {
                // A clock that was set back begins no new day.
                Some((latest, sessions)) if latest >= day => sessions < sessions_per_day,
                Some(_) => sessions_per_day > 0,
                None => table.len()? < u64::from(devices),
            })
        })?;
        if within { Ok(()) } else { Err(StoreError::Quota { sessions_per_day, devices }) }
    }

    /// The spool of corrections.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The lowest session number that was not used with `device` and `key`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn next_session(&self, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
        self.state.with(|database| {
            let table = database.begin_read()?.open_table(NEXT)?;
            Ok(table.get((device.as_bytes(), &key))?.map_or(0, |next| next.value()))
        })
    }

    /// Records `session`, and every number below it, as used.
    ///
    /// # Errors
    /// [`StoreError::SessionUsed`] if it was used; [`StoreError::Database`] if the record cannot be
    /// made: in both cases the session must not begin.
    pub fn consume(&self, device: DeviceId, key: KeyId, session: u64) -> Result<(), StoreError> {
        self.consume_on(today(), device, key, session)
    }

    fn consume_on(
        &self,
        day: u64,
        device: DeviceId,
        key: KeyId,
        session: u64,
    ) -> Result<(), StoreError> {
        self.state.write(|transaction| {
            let mut table = transaction.open_table(NEXT)?;
            let next = table.get((device.as_bytes(), &key))?.map_or(0, |next| next.value());
            let Some(after) = session.checked_add(1).filter(|_| session >= next) else {
                return Ok(Err(StoreError::SessionUsed { session, next }));
            };
            table.insert((device.as_bytes(), &key), after)?;
            count(transaction, day, device)?;
            Ok(Ok(()))
        })
    }

    /// Counts a session of a device that brings its own correlations.
    ///
    /// # Errors
    /// [`StoreError::Quota`], [`StoreError::Database`]: in both cases the session must not begin.
    pub fn serve(&self, device: DeviceId) -> Result<(), StoreError> {
        self.expect_quota(device)?;
        self.state.write(|transaction| Ok(Ok(count(transaction, today(), device)?)))
    }

    /// The seed of the weight mask of the model file with digest `model`; a new one at the first
    /// call.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Randomness`].
    pub fn model_seed(&self, model: &[u8; 32]) -> Result<Key, StoreError> {
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
}

/// Counts a session of a device on a day.
fn count(
    transaction: &redb::WriteTransaction,
    day: u64,
    device: DeviceId,
) -> Result<(), redb::Error> {
    let mut served = transaction.open_table(SERVED)?;
    let latest = served.get(device.as_bytes())?.map(|served| served.value());
    let (day, sessions) = match latest {
        Some((latest, sessions)) if latest >= day => (latest, sessions.saturating_add(1)),
        _ => (day, 1),
    };
    served.insert(device.as_bytes(), (day, sessions))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_so_many_sessions_a_day_and_a_model_so_many_devices() {
        let directory = tempfile::tempdir().expect("a directory");
        let name = |name| DeviceId::new(name).expect("a name");
        let quota = Quota { sessions_per_day: 2, devices: 2 };
        let open = || HostStore::open(directory.path()).expect("opens").with_quota(quota);
        let store = open();
        let may = |store: &HostStore, day, device| match store.expect_quota_on(day, name(device)) {
            Err(StoreError::Quota { .. }) => false,
            other => other.map(|()| true).expect("reads"),
        };
        for session in 0..2 {
            assert!(may(&store, 100, "a"));
            store.consume_on(100, name("a"), [1; 8], session).expect("unused");
        }
        assert!(!may(&store, 100, "a") && may(&store, 100, "b") && may(&store, 101, "a"));
        drop(store);
        let store = open();
        // Neither a new key nor a clock that is set back gives more.
        store.consume_on(99, name("a"), [2; 8], 0).expect("unused");
        assert!(!may(&store, 100, "a") && !may(&store, 99, "a") && may(&store, 101, "a"));
        store.consume_on(100, name("b"), [1; 8], 0).expect("unused");
        assert!(!may(&store, 101, "c") && may(&store, 100, "b"));
        // Who brings correlations is counted like the others.
        store.serve(name("b")).expect("the first today");
        store.serve(name("b")).expect("the second today");
        assert!(matches!(store.serve(name("b")), Err(StoreError::Quota { .. })));
        assert_eq!(store.served_today(name("b")).expect("reads"), 2);
        assert_eq!(store.served_today(name("c")).expect("reads"), 0);
    }

    #[test]
    fn numbers_and_seeds_survive() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let (device, key) = (DeviceId::new("d").expect("a name"), [1; 8]);
        let store = HostStore::open(&path).expect("opens");
        assert!(matches!(HostStore::open(&path), Err(StoreError::Locked { .. })));
        store.consume(device, key, 4).expect("unused");
        assert!(matches!(
            store.consume(device, key, 4),
            Err(StoreError::SessionUsed { session: 4, next: 5 })
        ));
        assert!(matches!(
            store.consume(device, key, u64::MAX),
            Err(StoreError::SessionUsed { .. })
        ));
        let seed = store.model_seed(&[1; 32]).expect("stores");
        drop(store);
        let store = HostStore::open(&path).expect("opens");
        assert_eq!(store.next_session(device, [2; 8]).expect("reads"), 0, "a new key begins anew");
        assert_eq!(store.next_session(device, key).expect("reads"), 5);
        assert_eq!(store.next_session(DeviceId::new("e").expect("a name"), key).expect("reads"), 0);
        assert_eq!(store.model_seed(&[1; 32]).expect("reads").expose(), seed.expose());
        assert_ne!(store.model_seed(&[2; 32]).expect("stores").expose(), seed.expose());
    }
}
