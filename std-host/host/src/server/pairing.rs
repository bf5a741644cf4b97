//! Server 1's halves of queries, which wait until server 0 asks for them.
//!
//! One that nobody asks for in time is dropped; what asks for one that does not come in time is
//! told so. A lane that is ready may be given a half before server 0 has asked for it, on the lane
//! that server 0 will most likely ask on: if so, it saves a delay.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sharelet_core::ring::Ring;
use sharelet_core::session::wire::query::{QueryId, Reason, Recipient};
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

/// Pairing by their queries' numbers.
pub struct Pairing<W> {
    waiting: Mutex<HashMap<QueryId, Waiting<W>>>,
    arrived: Notify,
    /// Pairing that lanes wait for.
    wanted: Mutex<HashSet<QueryId>>,
    ready: Mutex<BTreeMap<usize, oneshot::Sender<Guess<W>>>>,
}

/// A half that may be the next that server 0 asks for; it goes on waiting.
pub struct Guess<W> {
    /// The query.
    pub id: QueryId,
    /// Who gets the answer.
    pub recipient: Recipient,
    /// Server 1's share of the input.
    pub share: Vec<W>,
}

impl<W> core::fmt::Debug for Guess<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Guess")
            .field("id", &self.id)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

impl<W> Default for Pairing<W> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            wanted: Mutex::default(),
            ready: Mutex::default(),
        }
    }
}

impl<W> core::fmt::Debug for Pairing<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pairing(<redacted>)")
    }
}

/// Removes a half that is not waited for any longer.
struct Registered<'h, W>(&'h Pairing<W>, QueryId);

impl<W> Drop for Registered<'_, W> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

/// A half that a lane waits for.
struct Wanted<'h, W>(&'h Pairing<W>, QueryId);

impl<W> Drop for Wanted<'_, W> {
    fn drop(&mut self) {
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl<W: Ring> Pairing<W> {
    /// Lane `number` is ready: what it may begin with comes out, if there is something before
    /// server 0 asks. Nothing does if the lane is `wary`.
    pub fn offer(&self, number: usize, wary: bool) -> oneshot::Receiver<Guess<W>> {
        let (slot, guess) = oneshot::channel();
        if wary {
            return guess;
        }
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(number, slot);
        guess
    }

    /// The half of query `id` if it waits.
    pub fn claim(&self, id: QueryId) -> Option<Waiting<W>> {
        self.waiting().remove(&id)
    }

    /// Gives a half that has arrived to the first lane that is ready. With several under way it
    /// would too often be the wrong one.
    fn guess(&self, id: QueryId) {
        let guess = match self.waiting().iter().next() {
            Some((&id, Waiting { recipient, share, .. })) => {
                Guess { id, recipient: *recipient, share: share.clone() }
            }
            None => return,
        };
        if guess.id != id
            || self.waiting().len() > 1
            || !self.wanted.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
        {
            return;
        }
        let mut guess = guess;
        while let Some((_, slot)) =
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
        {
            // A lane that is busy meanwhile gives it back.
            match slot.send(guess) {
                Ok(()) => return,
                Err(back) => guess = back,
            }
        }
    }
}

impl<W> Pairing<W> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<QueryId, Waiting<W>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The half of query `id`, which may be on its way for as long as `pair`.
    ///
    /// # Errors
    /// [`Reason::NoPartner`] if it does not come in time; [`Reason::HalvesDiffer`] if it names
    /// another recipient: then its data party is told, too.
    pub async fn take(
        &self,
        id: QueryId,
        recipient: Recipient,
        pair: Duration,
    ) -> Result<Waiting<W>, Reason> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        let _wanted = Wanted(self, id);
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

    /// Lets a half wait, and gives the answer that comes of it: for as long as `pair` until it is
    /// asked for, then `phase`.
    ///
    /// # Errors
    /// [`Reason`].
    pub async fn answer(
        &self,
        question: Question<W>,
        pair: Duration,
        phase: Duration,
    ) -> Result<Vec<W>, Reason>
    where
        W: Ring,
    {
        let Question { id, recipient, share } = question;
        let (done, mut answer) = oneshot::channel();
        if self.waiting().insert(id, Waiting { recipient, share, done }).is_some() {
            return Err(Reason::Replay);
        }
        let registered = Registered(self, id);
        self.arrived.notify_waiters();
        self.guess(id);
        match tokio::time::timeout(pair, &mut answer).await {
            Ok(answer) => answer.unwrap_or(Err(Reason::PeerLost)),
            Err(_) if self.waiting().remove(&id).is_some() => Err(Reason::NoPartner),
            // It was asked for.
            Err(_) => {
                drop(registered);
                let answer = tokio::time::timeout(phase, answer).await;
                answer
                    .map_or(Err(Reason::PeerLost), |answer| answer.unwrap_or(Err(Reason::PeerLost)))
            }
        }
    }
}
