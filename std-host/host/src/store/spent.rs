//! The record of a device's numbers that were spent. It only ever grows.

use serde::{Deserialize, Serialize};
use sharelet_core::keystream::KeyId;

use super::error::StoreError;

/// What was spent of a device's numbers: under each of its keys, and on the latest day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// A key, and the lowest number under it that was not spent.
    next: Vec<(KeyId, u64)>,
    /// The latest day, since 1970, on which sessions were counted.
    day: u64,
    /// Sessions on that day.
    sessions: u32,
}

impl Spent {
    /// The lowest number that was not spent under `key`; 0 if none was.
    #[must_use]
    pub fn next(&self, key: KeyId) -> u64 {
        self.next.iter().find(|(known, _)| *known == key).map_or(0, |(_, next)| *next)
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
        match self.next.iter_mut().find(|(known, _)| *known == key) {
            Some((_, next)) => *next = after,
            None => self.next.push((key, after)),
        }
        Ok(())
    }

    /// Counts a session on `day`. A clock that was set back begins no new day.
    pub fn count(&mut self, day: u64) {
        if day > self.day {
            (self.day, self.sessions) = (day, 0);
        }
        self.sessions = self.sessions.saturating_add(1);
    }

    /// Sessions on `day`, as far as the clock was not set back.
    #[must_use]
    pub fn on(&self, day: u64) -> u32 {
        if self.day >= day { self.sessions } else { 0 }
    }

    /// Whether nothing that was spent in `older` is unspent here.
    #[must_use]
    pub fn follows(&self, older: &Self) -> bool {
        let numbers = older.next.iter().all(|(key, next)| self.next(*key) >= *next);
        numbers && (self.day, self.sessions) >= (older.day, older.sessions)
    }

    /// The bytes of the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// A record from its bytes; `None` if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((spent, [])) => Some(spent),
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
        let older = spent.clone();
        spent.spend(other, 0, 1).expect("another key begins anew");
        assert!(spent.follows(&older) && !older.follows(&spent) && spent.follows(&spent));
        spent.count(100);
        spent.count(99);
        assert_eq!([99, 100, 101].map(|day| spent.on(day)), [2, 2, 0]);
        spent.count(101);
        assert_eq!([100, 101].map(|day| spent.on(day)), [1, 1]);
        assert_eq!(Spent::from_bytes(&spent.to_bytes()), Some(spent.clone()));
        let bytes = spent.to_bytes();
        assert_eq!(Spent::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Spent::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
}
