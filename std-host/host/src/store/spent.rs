//! The record of a device's numbers that were spent. It only ever grows.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sharelet_core::keystream::KeyId;

use super::error::StoreError;

/// The beginning of a model's digest.
pub type ModelName = [u8; 8];

/// The layout of a record; one of another is not read.
const VERSION: u8 = 3;
/// Models of a device that are remembered: those that it had last.
const MODELS: usize = 256;
const DAY_SECONDS: u64 = 24 * 3600;

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// What was spent under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    key: KeyId,
    /// The lowest number that was not spent.
    next: u64,
    /// What the device's own counter has passed: it asks for no number below, unless the counter
    /// went back, or there are two of it.
    seen: u64,
}

/// What was spent of a device's numbers: under each of its keys, and on the latest day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Under each key.
    numbers: Vec<Numbers>,
    /// The models that it was served.
    models: Vec<ModelName>,
    /// When a session was counted at last, in seconds since 1970.
    latest_unix_seconds: u64,
    /// Sessions on that day.
    sessions: u32,
    /// Sessions in all.
    total: u64,
    /// Whether it is let in no more.
    revoked: bool,
}

impl Spent {
    /// The lowest number that was not spent under `key`; 0 if none was.
    #[must_use]
    pub fn next(&self, key: KeyId) -> u64 {
        self.under(key).map_or(0, |numbers| numbers.next)
    }

    /// The lowest number under `key` that a device with one counter can ask for.
    #[must_use]
    pub fn seen(&self, key: KeyId) -> u64 {
        self.under(key).map_or(0, |numbers| numbers.seen)
    }

    fn under(&self, key: KeyId) -> Option<&Numbers> {
        self.numbers.iter().find(|numbers| numbers.key == key)
    }

    /// Spends `first..first + count`, and every number below.
    ///
    /// # Errors
    /// [`StoreError::SessionUsed`] if one of them was spent, or is none.
    pub fn spend(&mut self, key: KeyId, first: u64, count: u32) -> Result<(), StoreError> {
        let next = self.next(key);
        let Some(after) = first.checked_add(count.into()).filter(|_| first >= next) else {
            return Err(StoreError::SessionUsed { session: first, next });
        };
        match self.numbers.iter_mut().find(|numbers| numbers.key == key) {
            Some(numbers) => numbers.next = after,
            None => self.numbers.push(Numbers { key, next: after, seen: 0 }),
        }
        Ok(())
    }

    /// Spends `session` for a device whose counter stands at `counter`, as far as it has told.
    ///
    /// # Errors
    /// [`StoreError::CounterWentBack`] if it was further before; as [`Spent::spend`].
    pub fn spend_at(&mut self, key: KeyId, session: u64, counter: u64) -> Result<(), StoreError> {
        let seen = self.seen(key);
        if counter < seen {
            return Err(StoreError::CounterWentBack { session: counter, seen });
        }
        self.spend(key, session, 1)?;
        self.saw(key, counter);
        Ok(())
    }

    /// Notes that the device's counter stands at `counter` at least.
    pub fn saw(&mut self, key: KeyId, counter: u64) {
        let of_key = self.numbers.iter_mut().filter(|numbers| numbers.key == key);
        of_key.for_each(|numbers| numbers.seen = numbers.seen.max(counter));
    }

    /// Counts a session of a model, at `now` in seconds since 1970. A clock that was set back
    /// begins no new day.
    pub fn count(&mut self, now: u64, model: ModelName) {
        if self.on(now) == 0 {
            self.sessions = 0;
        }
        self.latest_unix_seconds = self.latest_unix_seconds.max(now);
        self.sessions = self.sessions.saturating_add(1);
        self.total = self.total.saturating_add(1);
        // The one that it has now is the last to be forgotten.
        match self.models.iter().position(|known| *known == model) {
            Some(at) => drop(self.models.remove(at)),
            None if self.models.len() >= MODELS => drop(self.models.remove(0)),
            None => {}
        }
        self.models.push(model);
    }

    /// Sessions on the day of `now`, as far as the clock was not set back.
    #[must_use]
    pub fn on(&self, now: u64) -> u32 {
        let is_over = self.latest_unix_seconds / DAY_SECONDS < now / DAY_SECONDS;
        if is_over { 0 } else { self.sessions }
    }

    /// Sessions of today.
    #[must_use]
    pub fn today(&self) -> u32 {
        self.on(now())
    }

    /// By how many seconds the clock is behind the latest session; `None` if it is not, or by as
    /// little as clocks of several machines differ.
    #[must_use]
    pub fn clock_is_behind(&self) -> Option<u64> {
        self.behind(now())
    }

    fn behind(&self, now: u64) -> Option<u64> {
        const DIFFERENCE: u64 = 600;
        self.latest_unix_seconds.checked_sub(now).filter(|&behind| behind > DIFFERENCE)
    }

    /// From now on the device is let in nowhere; or it is again.
    pub fn revoke(&mut self, revoked: bool) {
        self.revoked = revoked;
    }

    /// Whether it is let in no more.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// Whether sessions of a model were counted.
    #[must_use]
    pub fn has_had(&self, model: ModelName) -> bool {
        self.models.contains(&model)
    }

    /// Sessions that were ever counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When a session was counted at last, in seconds since 1970.
    #[must_use]
    pub fn latest_unix_seconds(&self) -> Option<u64> {
        (self.total > 0).then_some(self.latest_unix_seconds)
    }

    /// The lowest number that was not spent under the newest key, if any was.
    #[must_use]
    pub fn latest_next(&self) -> Option<u64> {
        self.numbers.last().map(|numbers| numbers.next)
    }

    /// Whether nothing that was spent in `older` is unspent here.
    #[must_use]
    pub fn follows(&self, older: &Self) -> bool {
        let mut older_numbers = older.numbers.iter();
        let numbers = older_numbers
            .all(|old| self.next(old.key) >= old.next && self.seen(old.key) >= old.seen);
        let of_day = |spent: &Self| (spent.latest_unix_seconds / DAY_SECONDS, spent.sessions);
        numbers && of_day(self) >= of_day(older) && self.total >= older.total
    }

    /// The bytes of the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(&(VERSION, self)).unwrap_or_default()
    }

    /// A record from its bytes; `None` if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok(((VERSION, spent), [])) => Some(spent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_stays_spent() {
        let (key, other) = ([1; 8], [2; 8]);
        let mut spent = Spent::default();
        spent.spend(key, 5, 3).expect("unspent");
        assert_eq!((spent.next(key), spent.next(other)), (8, 0));
        for (first, count) in [(7, 1), (0, 1), (u64::MAX, 1), (7, 9)] {
            let older = spent.clone();
            let refused = spent.spend(key, first, count);
            assert!(matches!(refused, Err(StoreError::SessionUsed { next: 8, .. })), "{first}");
            assert_eq!(spent, older);
        }
        spent.spend_at(key, 9, 8).expect("unspent");
        spent.spend_at(key, 10, 8).expect("a device that was cut off asks again");
        let refused = spent.spend_at(key, 11, 7);
        assert!(matches!(refused, Err(StoreError::CounterWentBack { session: 7, seen: 8 })));
        assert_eq!((spent.next(key), spent.seen(key), spent.seen(other)), (11, 8, 0));
        let older = spent.clone();
        spent.saw(key, 10);
        spent.saw(key, 9);
        spent.saw(other, 5);
        assert_eq!((spent.seen(key), spent.seen(other)), (10, 0));
        assert!(spent.follows(&older) && !older.follows(&spent));
        let older = spent.clone();
        spent.spend(other, 0, 1).expect("another key begins anew");
        assert!(spent.follows(&older) && !older.follows(&spent) && spent.follows(&spent));
        assert_eq!((spent.latest_unix_seconds(), spent.latest_next()), (None, Some(1)));
        let (model, day) = ([3; 8], |day: u64| day * DAY_SECONDS);
        spent.count(day(100) + 5, model);
        spent.count(day(99), model);
        assert_eq!([99, 100, 101].map(|at| spent.on(day(at))), [2, 2, 0]);
        assert_eq!(spent.latest_unix_seconds(), Some(day(100) + 5));
        assert_eq!(
            [day(99), day(100), day(101)].map(|at| spent.behind(at)),
            [Some(86_405), None, None]
        );
        spent.count(day(101), model);
        assert_eq!([100, 101].map(|at| spent.on(day(at))), [1, 1]);
        assert_eq!(spent.total(), 3);
        assert!(spent.has_had(model) && !spent.has_had([4; 8]));
        // One that is used throughout stays, and those in between go.
        let another = |of: u64| (1000 + of).to_le_bytes();
        for of in 0..2 * MODELS as u64 {
            spent.count(day(101), another(of));
            spent.count(day(101), model);
        }
        assert!(spent.has_had(model) && !spent.has_had(another(0)));
        assert!(spent.has_had(another(2 * MODELS as u64 - 1)));
        assert_eq!(Spent::from_bytes(&spent.to_bytes()), Some(spent.clone()));
        let bytes = spent.to_bytes();
        assert_eq!(Spent::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Spent::from_bytes(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Spent::from_bytes(&[&[VERSION - 1], &bytes[1..]].concat()), None);
    }
}
