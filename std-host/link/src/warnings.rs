//! Warnings about strangers, a few at a time: whoever can connect must not be able to fill a disk.

use core::fmt::Display;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Warnings that are written within [`WINDOW`]; others are counted.
pub const MOST: u32 = 10;
/// How long [`MOST`] counts.
pub const WINDOW: Duration = Duration::from_secs(10);

/// A log of warnings that is limited in rate.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Warnings {
    /// Writes a warning, or counts it.
    pub fn warn(&self, warning: impl Display) {
        match self.admit(Instant::now()) {
            None => tracing::debug!("{warning}"),
            Some(0) => tracing::warn!("{warning}"),
            Some(left_out) => {
                tracing::warn!("{warning} (and {left_out} warnings before it that were left out)");
            }
        }
    }

    /// Whether a warning is written at `now`, and if so, how many were left out before it.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = window.get_or_insert(Window { since: now, written: 0, left_out: 0 });
        if now.duration_since(current.since) >= WINDOW {
            (current.since, current.written) = (now, 0);
        }
        if current.written == MOST {
            current.left_out += 1;
            return None;
        }
        current.written += 1;
        Some(core::mem::take(&mut current.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_few_lines_and_their_number() {
        let (warnings, start) = (Warnings::default(), Instant::now());
        let at = |millis| warnings.admit(start + Duration::from_millis(millis));
        for millis in 0..u64::from(MOST) {
            assert_eq!(at(millis), Some(0));
        }
        for millis in 100..1100 {
            assert_eq!(at(millis), None);
        }
        assert_eq!(at(9_999), None);
        assert_eq!(at(10_000), Some(1001));
        assert_eq!(at(10_001), Some(0));
    }
}
