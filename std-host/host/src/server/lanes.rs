//! Server 0's lanes: connections to server 1 on which sessions are prepared, and the queries that
//! they are given.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use embedded_io_async::Read as _;
use sharelet_core::session::wire::query::Reason;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::evaluator::Question;
use super::peer::{PeerError, Settings};
use sharelet_link::Reader;

/// A prepared session may wait this long for a query.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A query for a lane, and where its answer goes.
pub struct Job<W> {
    /// Server 0's half.
    pub question: Question<W>,
    /// Where the answer goes; the data party may be gone.
    pub done: oneshot::Sender<Result<Vec<W>, Reason>>,
}

/// A lane whose session is prepared.
type Slot<W> = oneshot::Sender<Job<W>>;

/// Prepared sessions. A query goes to the lane with the lowest number: with a shared model, server
/// 1 begins on that one, too.
pub struct Slots<W> {
    slots: Mutex<BTreeMap<usize, Slot<W>>>,
    prepared: Notify,
    /// Why the latest lane ended that was not asked for anything.
    trouble: Mutex<Option<Reason>>,
}

impl<W> core::fmt::Debug for Job<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Job(<redacted>)")
    }
}

impl<W> core::fmt::Debug for Slots<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slots").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl<W> Default for Slots<W> {
    fn default() -> Self {
        Self { slots: Mutex::default(), prepared: Notify::new(), trouble: Mutex::default() }
    }
}

impl<W> Slots<W> {
    /// Notes what data parties are told while no session is prepared; `None` when one is.
    pub fn note(&self, trouble: Option<Reason>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// The session of lane `number` is prepared: the query that it is given comes out.
    pub fn offer(&self, number: usize) -> oneshot::Receiver<Job<W>> {
        self.note(None);
        let (slot, job) = oneshot::channel();
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(number, slot);
        self.prepared.notify_waiters();
        job
    }

    fn first(&self) -> Option<Slot<W>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop_first().map(|(_, slot)| slot)
    }

    /// Gives a query to a prepared session, for which it waits as long as `wait`; the answer.
    ///
    /// # Errors
    /// [`Reason`].
    pub async fn ask(&self, question: Question<W>, wait: Duration) -> Result<Vec<W>, Reason> {
        let (done, answer) = oneshot::channel();
        let mut job = Some(Job { question, done });
        let handed = async {
            loop {
                let prepared = self.prepared.notified();
                while let Some(slot) = self.first() {
                    let Some(next) = job.take() else { return };
                    // A lane that has ended meanwhile gives the job back.
                    match slot.send(next) {
                        Ok(()) => return,
                        Err(back) => job = Some(back),
                    }
                }
                prepared.await;
            }
        };
        if tokio::time::timeout(wait, handed).await.is_err() {
            let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(trouble.unwrap_or(Reason::Busy));
        }
        answer.await.unwrap_or(Err(Reason::PeerLost))
    }
}

/// Pauses between the attempts of a lane.
#[derive(Debug)]
pub struct Pauses {
    number: usize,
    longest: Duration,
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
}

impl Pauses {
    /// Of lane `number`, the first of which logs what fails.
    #[must_use]
    pub fn new(number: usize, settings: &Settings) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(settings.shortest_pause)
            .with_max_delay(settings.longest_pause)
            .without_max_times()
            .with_jitter();
        Self { number, longest: settings.longest_pause, builder, pauses: builder.build() }
    }

    /// Waits after a failure, less long if there were `sessions` before it; `false` after `stop`.
    pub async fn wait(
        &mut self,
        error: &PeerError,
        sessions: u64,
        stop: &CancellationToken,
    ) -> bool {
        if sessions > 0 {
            self.pauses = self.builder.build();
        }
        let wait = self.pauses.next().unwrap_or(self.longest);
        if self.number == 0 {
            tracing::warn!("{error}; next attempt in {} ms", wait.as_millis());
        } else {
            tracing::debug!("lane {}: {error}", self.number);
        }
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

/// Waits until the other server ends the connection: while a session waits for a query, it has
/// nothing to say.
pub async fn gone(reader: &mut Reader) {
    let _ = said(reader).await;
}

/// Waits for the first byte that the other server says while a session waits for a query; `None` if
/// it ends the connection.
pub async fn said(reader: &mut Reader) -> Option<u8> {
    let mut first = [0; 1];
    reader.await_message(IDLE);
    matches!(reader.read(&mut first).await, Ok(1)).then_some(first[0])
}
