//! A thread that talks to NATS, for callers that wait.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use super::error::NatsError;

/// Longest wait for one answer. Who waits longer holds up a device, and its host's threads.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// After an answer that did not come, nobody waits for another one for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread. Where the store is slow one caller waits from time to time, and the others are told
/// so at once: no threads are used up by waiting.
#[derive(Debug)]
pub(crate) struct Bridge {
    runtime: Option<Runtime>,
    /// When an answer did not come at last, if none has come since.
    slow: Mutex<Option<Instant>>,
    asking: AtomicBool,
}

impl Bridge {
    pub(crate) fn new() -> Result<Self, NatsError> {
        let mut builder = Builder::new_multi_thread();
        let made = builder.worker_threads(1).thread_name("nats").enable_all().build();
        let runtime = Some(made.map_err(|error| NatsError::failed(&error))?);
        Ok(Self { runtime, slow: Mutex::default(), asking: AtomicBool::new(false) })
    }

    fn slow(&self) -> MutexGuard<'_, Option<Instant>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Bridge::wait`], for what may take longer than others, or may not be allowed: that it
    /// does not come says nothing of the store.
    pub(crate) fn wait_aside<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, NatsError>> + Send + 'static,
    ) -> Result<T, NatsError> {
        if self.slow().is_some() {
            return Err(NatsError::Slow { limit: LIMIT });
        }
        self.ask(asked)
    }

    /// Waits for an answer, on whatever thread: never longer than [`LIMIT`].
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, NatsError>> + Send + 'static,
    ) -> Result<T, NatsError> {
        let since = *self.slow();
        if let Some(since) = since {
            let early = since.elapsed() < PAUSE;
            if early || self.asking.swap(true, Ordering::Relaxed) {
                return Err(NatsError::Slow { limit: LIMIT });
            }
        }
        let answer = self.ask(asked);
        let slow = matches!(answer, Err(NatsError::Slow { .. }));
        *self.slow() = slow.then(Instant::now);
        if since.is_some() {
            self.asking.store(false, Ordering::Relaxed);
        }
        answer
    }

    fn ask<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, NatsError>> + Send + 'static,
    ) -> Result<T, NatsError> {
        let runtime = self.runtime.as_ref().ok_or(NatsError::Ended)?;
        let (done, answered) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let answer = tokio::time::timeout(LIMIT, asked).await;
            // Nobody waits where a program ends.
            let _ = done.send(answer.unwrap_or(Err(NatsError::Slow { limit: LIMIT })));
        });
        answered.recv().unwrap_or(Err(NatsError::Ended))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A program that ends does not wait for an answer.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_store_is_slow_one_waits_and_the_others_are_told() {
        let bridge = Bridge::new().expect("a thread");
        let never = || core::future::pending::<Result<(), NatsError>>();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            assert!(matches!(bridge.wait(never()), Err(NatsError::Slow { .. })));
            assert!(begun.elapsed() >= LIMIT);
            let before = Instant::now();
            for _ in 0..100 {
                assert!(matches!(bridge.wait(never()), Err(NatsError::Slow { .. })));
                assert!(matches!(bridge.wait_aside(never()), Err(NatsError::Slow { .. })));
            }
            assert!(before.elapsed() < PAUSE, "nobody waits");
            std::thread::sleep(PAUSE);
            let one = scope.spawn(|| bridge.wait(never()));
            std::thread::sleep(LIMIT / 10);
            let before = Instant::now();
            for _ in 0..100 {
                assert!(matches!(bridge.wait(never()), Err(NatsError::Slow { .. })));
            }
            assert!(before.elapsed() < LIMIT / 2, "nobody else waits");
            assert!(one.join().expect("no panic").is_err());
        });
        assert!(bridge.wait(async { Ok(()) }).is_err(), "a moment later");
        std::thread::sleep(PAUSE);
        bridge.wait(async { Ok(()) }).expect("it is back");
        bridge.wait(async { Ok(()) }).expect("for all");
    }
}
