//! What came of all inferences.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Texts of errors that are kept.
const KEPT: usize = 20;

/// Counts of all devices together.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Inferences after which the run ends.
    target: u64,
    pub(crate) done: AtomicU64,
    pub(crate) wrong: AtomicU64,
    /// Session numbers that were not above a device's last one.
    pub(crate) reused: AtomicU64,
    pub(crate) errors: AtomicU64,
    /// Connections of those that are hostile.
    pub(crate) hostile: AtomicU64,
    said: Mutex<Vec<String>>,
    online: Mutex<Vec<Duration>>,
    whole: Mutex<Vec<Duration>>,
    /// Ends the run.
    pub(crate) stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value that so many of a hundred are at or below.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

impl Tally {
    pub(crate) fn new(target: u64) -> Self {
        Self {
            target,
            done: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            hostile: AtomicU64::new(0),
            said: Mutex::default(),
            online: Mutex::default(),
            whole: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// An answer: whether it is right, how long it took from the reading, and with its preparation.
    pub(crate) fn answer(&self, right: bool, online: Duration, whole: Duration) {
        if !right {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        }
        lock(&self.online).push(online);
        lock(&self.whole).push(whole);
        if self.done.fetch_add(1, Ordering::Relaxed) + 1 >= self.target {
            self.stop.cancel();
        }
    }

    /// An error of somebody who did nothing wrong.
    pub(crate) fn error(&self, text: String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut said = lock(&self.said);
        if said.len() < KEPT {
            said.push(text);
        }
    }

    /// The first errors.
    pub(crate) fn said(&self) -> Vec<String> {
        lock(&self.said).clone()
    }

    /// Half and 99 of a hundred answers came within these times: from the reading, and with the
    /// preparation.
    pub(crate) fn percentiles(&self) -> [Duration; 4] {
        let of = |times: &Mutex<Vec<Duration>>| {
            let mut times = lock(times).clone();
            times.sort_unstable();
            [percentile(&times, 50), percentile(&times, 99)]
        };
        let ([a, b], [c, d]) = (of(&self.online), of(&self.whole));
        [a, b, c, d]
    }
}
