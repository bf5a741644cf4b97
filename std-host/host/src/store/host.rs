//! The host's state: the session numbers that were used, the seeds of weight masks, and the spool.

use std::path::Path;
use std::sync::Arc;

use sharelet_core::keystream::{Key, KeyId};
use sharelet_core::session::wire::control::DeviceId;

use super::embedded::Embedded;
use super::engine::{Entry, Store, change, next_session};
use super::error::StoreError;
use super::spent::{ModelName, Spent, now};
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
    /// Most devices that are ever served a model.
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

/// What a session is of, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The device's key.
    pub key: KeyId,
    /// The session's number.
    pub session: u64,
    /// Where the device's own counter stands, as far as it has told; none if it has none.
    pub counter: Option<u64>,
    /// The model.
    pub model: ModelName,
}

/// What a model is called in records, by its digest.
#[must_use]
pub fn record_name(digest: &[u8; 32]) -> ModelName {
    core::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
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
        Ok(self.store.spent(device)?.map_or(0, |entry| entry.spent.on(now())))
    }

    /// As [`Store::spenders`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn known(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.store.spenders()
    }

    /// How `device` stands now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn standing(&self, device: DeviceId) -> Result<Option<Entry>, StoreError> {
        self.store.spent(device)
    }

    /// Whether `device` may have one more session of a model today.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others.
    pub fn expect_quota(&self, device: DeviceId, model: ModelName) -> Result<(), StoreError> {
        self.expect_quota_at(self.store.spent(device)?.as_ref(), model)
    }

    /// Whether a device that stands so may have one more session of a model today.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others.
    pub fn expect_quota_at(
        &self,
        standing: Option<&Entry>,
        model: ModelName,
    ) -> Result<(), StoreError> {
        self.within(now(), &standing.map(|entry| entry.spent.clone()).unwrap_or_default(), model)
    }

    fn within(&self, now: u64, spent: &Spent, model: ModelName) -> Result<(), StoreError> {
        if spent.is_revoked() {
            return Err(StoreError::Revoked);
        }
        let Quota { sessions_per_day, devices } = self.quota;
        let may = spent.on(now) < sessions_per_day
            && (spent.has_had(model) || self.has_fewer(devices, model)?);
        self.quota.expect(may)
    }

    /// Whether fewer than `most` devices were served a model.
    fn has_fewer(&self, most: u32, model: ModelName) -> Result<bool, StoreError> {
        // Of all of them, no more than there are have had it.
        if most == u32::MAX || self.store.spender_count()? < most.into() {
            return Ok(true);
        }
        let mut left = most;
        for device in self.store.spenders()? {
            let entry = self.store.spent(device)?;
            if entry.is_some_and(|entry| entry.spent.has_had(model)) {
                left = left.saturating_sub(1);
            }
            if left == 0 {
                return Ok(false);
            }
        }
        Ok(left > 0)
    }

    /// The lowest session number that was not used with `device` and `key`; 0 if none was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_session(&self, device: DeviceId, key: KeyId) -> Result<u64, StoreError> {
        next_session(&*self.store, device, key)
    }

    /// Records a session's number, and every number below it, as used.
    ///
    /// # Errors
    /// [`StoreError::SessionUsed`] if it was used, [`StoreError::CounterWentBack`] if the counter
    /// was further before, [`StoreError::Quota`] if the device has had what it may have; or the
    /// record cannot be made: in all cases the session must not begin.
    pub fn consume(&self, device: DeviceId, counted: Counted) -> Result<(), StoreError> {
        self.consume_at(now(), device, counted)
    }

    fn consume_at(&self, now: u64, device: DeviceId, counted: Counted) -> Result<(), StoreError> {
        let Counted { key, session, counter, model } = counted;
        change(&*self.store, device, |spent| {
            self.within(now, spent, model)?;
            match counter {
                Some(counter) => spent.spend_at(key, session, counter)?,
                None => spent.spend(key, session, 1)?,
            }
            spent.count(now, model);
            Ok(())
        })
    }

    /// Lets a device in no more, at whatever host of this store; or lets it in again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revoke(&self, device: DeviceId, revoked: bool) -> Result<(), StoreError> {
        change(&*self.store, device, |spent| {
            spent.revoke(revoked);
            Ok(())
        })
    }

    /// Notes that a device's counter stands at `counter` at least.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn saw(&self, device: DeviceId, key: KeyId, counter: u64) -> Result<(), StoreError> {
        let standing = self.store.spent(device)?;
        if standing.is_none_or(|entry| entry.spent.seen(key) >= counter) {
            return Ok(());
        }
        change(&*self.store, device, |spent| {
            spent.saw(key, counter);
            Ok(())
        })
    }

    /// Counts a session of a device that brings its own correlations.
    ///
    /// # Errors
    /// [`StoreError::Quota`], and others: in all cases the session must not begin.
    pub fn serve(&self, device: DeviceId, model: ModelName) -> Result<(), StoreError> {
        change(&*self.store, device, |spent| {
            let now = now();
            self.within(now, spent, model)?;
            spent.count(now, model);
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
        let at = |day: u64| day * 24 * 3600 + 7;
        let (model, other) = ([1; 8], [2; 8]);
        let of = |key, session| Counted { key: [key; 8], session, counter: None, model };
        let may_have = |store: &HostStore, day, device, model| {
            let spent = store.standing(name(device)).expect("reads").map(|entry| entry.spent);
            match store.within(at(day), &spent.unwrap_or_default(), model) {
                Err(StoreError::Quota { .. }) => false,
                other => other.map(|()| true).expect("reads"),
            }
        };
        let may = |store: &HostStore, day, device| may_have(store, day, device, model);
        for session in 0..2 {
            assert!(may(&store, 100, "a"));
            store.consume_at(at(100), name("a"), of(1, session)).expect("unused");
        }
        assert!(!may(&store, 100, "a") && may(&store, 100, "b") && may(&store, 101, "a"));
        drop(store);
        let store = open();
        // Neither a new key nor a clock that is set back gives more.
        let refused = store.consume_at(at(99), name("a"), of(2, 0));
        assert!(matches!(refused, Err(StoreError::Quota { .. })), "{refused:?}");
        assert!(!may(&store, 100, "a") && !may(&store, 99, "a") && may(&store, 101, "a"));
        store.consume_at(at(100), name("b"), of(1, 0)).expect("unused");
        assert!(!may(&store, 101, "c") && may(&store, 100, "b"));
        // Who is revoked is let in by nobody, until it is again.
        store.revoke(name("b"), true).expect("writes");
        let refused = store.consume_at(at(100), name("b"), of(1, 1));
        assert!(matches!(refused, Err(StoreError::Revoked)), "{refused:?}");
        assert!(matches!(store.serve(name("b"), model), Err(StoreError::Revoked)));
        store.revoke(name("b"), false).expect("writes");
        // Devices are counted for each model.
        assert!(may_have(&store, 101, "c", other) && may_have(&store, 101, "b", other));
        // Who brings correlations is counted like the others.
        store.serve(name("b"), model).expect("the first today");
        store.serve(name("b"), other).expect("the second today");
        assert!(matches!(store.serve(name("b"), model), Err(StoreError::Quota { .. })));
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
        let consume = |session, counter| {
            store.consume(device, Counted { key, session, counter: Some(counter), model: [1; 8] })
        };
        consume(4, 4).expect("unused");
        assert!(matches!(consume(4, 4), Err(StoreError::SessionUsed { session: 4, next: 5 })));
        assert!(matches!(consume(5, 3), Err(StoreError::CounterWentBack { session: 3, seen: 4 })));
        assert!(matches!(consume(u64::MAX, 5), Err(StoreError::SessionUsed { .. })));
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
