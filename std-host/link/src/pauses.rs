//! Pauses between attempts: they double from failure to failure, and begin anew after a success.

use core::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// How long to wait after failures.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// After the first failure; it doubles with every further one ...
    pub shortest: Duration,
    /// ... up to this.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { shortest: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }
}

impl Pauses {
    /// Attempts without end, or until there were so many `retries` in a row.
    #[must_use]
    pub fn attempts(self, retries: Option<u32>) -> Attempts {
        let builder = ExponentialBuilder::default()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .with_jitter();
        let builder = match retries {
            Some(retries) => builder.with_max_times(retries as usize),
            None => builder.without_max_times(),
        };
        Attempts { builder, pauses: builder.build() }
    }
}

/// Attempts in a row.
#[derive(Debug)]
pub struct Attempts {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
}

impl Attempts {
    /// Something worked: the next failure is a first one.
    pub fn worked(&mut self) {
        self.pauses = self.builder.build();
    }

    /// The pause after one more failure; `None` after too many.
    pub fn failed(&mut self) -> Option<Duration> {
        self.pauses.next()
    }
}
