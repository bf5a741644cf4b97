//! Server 1's halves of queries, which wait until server 0 asks for them.
//!
//! One that nobody asks for in time is dropped; what asks for one that does not come in time is told so.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sharelet_core::wire::query::{QueryId, Reason, Recipient};
use tokio::sync::{Notify, oneshot};

use super::evaluator::Question;

/// A half that waits.
pub struct Waiting<W> {
    /// Who gets the answer.
    pub recipient: Recipient,
    /// Server 1's share of the input.
    pub share: Vec<W>,
    /// Where the answer goes; dropped, it tells the data party that the other server was lost.
    pub done: oneshot::Sender<Result<Vec<W>, Reason>>,
}

impl<W> core::fmt::Debug for Waiting<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Waiting").field("recipient", &self.recipient).finish_non_exhaustive()
    }
}

/// Halves by their queries' numbers.
pub struct Halves<W> {
    waiting: Mutex<HashMap<QueryId, Waiting<W>>>,
    arrived: Notify,
}

impl<W> Default for Halves<W> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), arrived: Notify::new() }
    }
}

impl<W> core::fmt::Debug for Halves<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Halves(<redacted>)")
    }
}

/// Removes a half that is not waited for any longer.
struct Registered<'h, W>(&'h Halves<W>, QueryId);

impl<W> Drop for Registered<'_, W> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl<W> Halves<W> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<QueryId, Waiting<W>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The half of query `id`, which may be on its way for as long as `pair`.
    ///
    /// # Errors
    /// [`Reason::NoPartner`] if it does not come in time; [`Reason::HalvesDiffer`] if it names another recipient: then its data
    /// party is told, too.
    pub async fn take(&self, id: QueryId, recipient: Recipient, pair: Duration) -> Result<Waiting<W>, Reason> {
        let arrives = async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(half) = self.waiting().remove(&id) {
                    return half;
                }
                arrived.await;
            }
        };
        let half = tokio::time::timeout(pair, arrives).await.map_err(|_| Reason::NoPartner)?;
        if half.recipient != recipient {
            // The data party may be gone.
            let _ = half.done.send(Err(Reason::HalvesDiffer));
            return Err(Reason::HalvesDiffer);
        }
        Ok(half)
    }

    /// Lets a half wait, and gives the answer that comes of it: for as long as `pair` until it is asked for, then `phase`.
    ///
    /// # Errors
    /// [`Reason`].
    pub async fn answer(&self, question: Question<W>, pair: Duration, phase: Duration) -> Result<Vec<W>, Reason> {
        let Question { id, recipient, share } = question;
        let (done, mut answer) = oneshot::channel();
        if self.waiting().insert(id, Waiting { recipient, share, done }).is_some() {
            return Err(Reason::Replay);
        }
        let registered = Registered(self, id);
        self.arrived.notify_waiters();
        match tokio::time::timeout(pair, &mut answer).await {
            Ok(answer) => answer.unwrap_or(Err(Reason::PeerLost)),
            Err(_) if self.waiting().remove(&id).is_some() => Err(Reason::NoPartner),
            // It was asked for.
            Err(_) => {
                drop(registered);
                let answer = tokio::time::timeout(phase, answer).await;
                answer.map_or(Err(Reason::PeerLost), |answer| answer.unwrap_or(Err(Reason::PeerLost)))
            }
        }
    }
}
