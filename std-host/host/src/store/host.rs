//! The host's state: the session numbers that were used, the seeds of weight masks, and the spool.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sharelet_core::keystream::{Key, KeyId};
use sharelet_core::session::wire::control::DeviceId;

use super::embedded::Embedded;
use super::engine::{Entry, Store, change, next_session};
use super::error::StoreError;
use super::spent::Spent;
use super::spool::{Origin, SpoolError};
use super::state::OF_HOST;

/// The file of the record of what was used.
pub const RECORD: &str = OF_HOST;

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

    fn expect(&self, within: bool) -> Result<(), StoreError> {
        let Self { sessions_per_day, devices } = *self;
        if within { Ok(()) } else { Err(StoreError::Quota { sessions_per_day, devices }) }
    }
}

/// Days since 1970.
fn today() -> u64 {
    const DAY: u64 = 24 * 3600;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() / DAY)
}

/// The host's state. Calls block until what they promise is durable.
#[derive(Clone, Debug)]
pub struct HostStore {
    store: Arc<dyn Store>,
    quota: Quota,
    /// Whether other hosts use it, too.
    shared: bool,
}

impl HostStore {
    /// Opens the state in a directory, locked, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let store = Arc::new(Embedded::open(directory, RECORD)?);
        Ok(Self { store, quota: Quota::NONE, shared: false })
    }

    /// The state in a store that other hosts use, too.
    #[must_use]
    pub fn shared(store: Arc<dyn Store>) -> Self {
        Self { store, quota: Quota::NONE, shared: true }
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

    /// Whether other hosts use it, too: what one has seen is old when it looks again.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Sessions that `device` has had today.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn served_today(&self, device: DeviceId) -> Result<u32, StoreError> {
        Ok(self.store.spent(device)?.map_or(0, |entry| entry.spent.on(today())))
    }

    /// How `device` stands now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn standing(&self, device: DeviceId) -> Result<Option<Entry>, StoreError> {
        self.store.spent(device)
    }

    /// Whether `device` may have one more session today.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others.
    pub fn expect_quota(&self, device: DeviceId) -> Result<(), StoreError> {
        let entry = self.store.spent(device)?;
        self.within(today(), entry.as_ref().map(|entry| &entry.spent))
    }

    /// Whether a device that stands so may have one more session today.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others.
    pub fn expect_quota_at(&self, standing: Option<&Entry>) -> Result<(), StoreError> {
        self.within(today(), standing.map(|entry| &entry.spent))
    }

    fn within(&self, day: u64, spent: Option<&Spent>) -> Result<(), StoreError> {
        let Quota { sessions_per_day, devices } = self.quota;
        self.quota.expect(match spent {
            Some(spent) => spent.on(day) < sessions_per_day,
            None if devices == u32::MAX => sessions_per_day > 0,
            None => sessions_per_day > 0 && self.store.spenders()? < u64::from(devices),
        })
    }

    /// The lowest session number that was not used with `device` and `key`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_session(&self, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
        next_session(&*self.store, device, key)
    }

    /// Records `session`, and every number below it, as used.
    ///
    /// # Errors
    /// [`StoreError::SessionUsed`] if it was used, [`StoreError::Quota`] if the device has had what
    /// it may have; or the record cannot be made: in all cases the session must not begin.
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
        change(&*self.store, device, |spent, new| {
            self.within(day, (!new).then_some(&*spent))?;
            spent.spend(key, session, 1)?;
            spent.count(day);
            Ok(())
        })
    }

    /// Counts a session of a device that brings its own correlations.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others: in all cases the session must not begin.
    pub fn serve(&self, device: DeviceId) -> Result<(), StoreError> {
        change(&*self.store, device, |spent, new| {
            self.within(today(), (!new).then_some(&*spent))?;
            spent.count(today());
            Ok(())
        })
    }

    /// The seed of the weight mask of the model file with digest `model`: always the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn model_seed(&self, model: &[u8; 32]) -> Result<Key, StoreError> {
        self.store.seed(model)
    }

    /// As [`Store::sessions`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sessions(&self, device: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError> {
        self.store.sessions(device)
    }

    /// As [`Store::stock`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError> {
        self.store.stock()
    }

    /// As [`Store::expect_room`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn expect_room(&self, device: DeviceId, bytes: usize) -> Result<(), StoreError> {
        self.store.expect_room(device, bytes)
    }

    /// As [`Store::put`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        corrections: &[u8],
    ) -> Result<(), StoreError> {
        self.store.put(device, session, origin, corrections)
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn get(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        expected_bytes: usize,
    ) -> Result<Vec<u8>, SpoolError> {
        self.store.get(device, session, origin, expected_bytes)
    }

    /// As [`Store::remove`].
    pub fn remove(&self, device: DeviceId, session: u64, origin: Option<&Origin>) {
        self.store.remove(device, session, origin);
    }

    /// As [`Store::expect_there`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn expect_there(&self) -> Result<(), StoreError> {
        self.store.expect_there()
    }
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
        let may = |store: &HostStore, day, device| {
            let standing = store.standing(name(device)).expect("reads");
            match store.within(day, standing.as_ref().map(|entry| &entry.spent)) {
                Err(StoreError::Quota { .. }) => false,
                other => other.map(|()| true).expect("reads"),
            }
        };
        for session in 0..2 {
            assert!(may(&store, 100, "a"));
            store.consume_on(100, name("a"), [1; 8], session).expect("unused");
        }
        assert!(!may(&store, 100, "a") && may(&store, 100, "b") && may(&store, 101, "a"));
        drop(store);
        let store = open();
        // Neither a new key nor a clock that is set back gives more.
        let refused = store.consume_on(99, name("a"), [2; 8], 0);
        assert!(matches!(refused, Err(StoreError::Quota { .. })), "{refused:?}");
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
