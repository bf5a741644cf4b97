//! Halves that server 1 has taken out of its store, until a lane spends them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sharelet_alone::Half;
use tokio_util::sync::CancellationToken;

use super::wire::Ticket;

/// Most halves that wait: for each lane of server 0 one that it holds and one that it may have
/// next. With more, the oldest goes: a lane that asks for it prepares for itself.
pub const MOST: usize = 512;

/// A half that was taken out of a store, and what says that it must not be used any more: the peer
/// was caught at cheating when others were made with the same transfers.
#[derive(Debug)]
pub struct TakenHalf {
    /// The half.
    pub half: Half,
    /// Cancelled if it must not be used.
    pub spoilt: CancellationToken,
}

/// By what both servers call them. They belong to one run of server 0.
#[derive(Default)]
pub struct Taken(Mutex<(VecDeque<(Ticket, Half)>, CancellationToken)>);

impl core::fmt::Debug for Taken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Taken(<redacted>)")
    }
}

impl Taken {
    fn halves(&self) -> MutexGuard<'_, (VecDeque<(Ticket, Half)>, CancellationToken)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a half for a lane. One that has the name already gives way: nobody knows which.
    pub fn put(&self, ticket: Ticket, half: Half) {
        let (halves, _) = &mut *self.halves();
        halves.retain(|(known, _)| *known != ticket);
        if halves.len() >= MOST {
            halves.pop_front();
        }
        halves.push_back((ticket, half));
    }

    /// The half, once.
    #[must_use]
    pub fn spend(&self, ticket: &Ticket) -> Option<TakenHalf> {
        let (halves, spoilt) = &mut *self.halves();
        let at = halves.iter().position(|(known, _)| known == ticket)?;
        let (_, half) = halves.remove(at)?;
        Some(TakenHalf { half, spoilt: spoilt.clone() })
    }

    /// Drops all, and says so to who has one: they may have been made with a cheat.
    pub fn spoil(&self) {
        let (halves, spoilt) = &mut *self.halves();
        halves.clear();
        core::mem::take(spoilt).cancel();
    }

    /// The oldest half and its name, at the side that chooses names.
    pub fn pop(&self) -> Option<(Ticket, TakenHalf)> {
        let (halves, spoilt) = &mut *self.halves();
        let (ticket, half) = halves.pop_front()?;
        Some((ticket, TakenHalf { half, spoilt: spoilt.clone() }))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.halves().0.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
