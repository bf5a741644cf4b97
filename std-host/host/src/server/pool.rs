//! Server 0's prepared sessions, and the queries that they are given.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sharelet_core::session::wire::query::Reason;
use tokio::sync::{Notify, oneshot};

use super::evaluator::Question;

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
pub struct Pool<W> {
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

impl<W> core::fmt::Debug for Pool<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl<W> Default for Pool<W> {
    fn default() -> Self {
        // Until the first lane is there.
        let trouble = Mutex::new(Some(Reason::PeerLost));
        Self { slots: Mutex::default(), prepared: Notify::new(), trouble }
    }
}

impl<W> Pool<W> {
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

    /// Sessions that wait for a query; those of lanes that have ended do not.
    pub fn ready(&self) -> u64 {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| !slot.is_closed()).count() as u64
    }

    /// That a query would find a session, or that nothing is known to be wrong.
    ///
    /// # Errors
    /// What data parties are told.
    pub fn expect_ready(&self) -> Result<(), String> {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(reason) if self.ready() == 0 => Err(format!("no session is prepared: {reason}")),
            _ => Ok(()),
        }
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
