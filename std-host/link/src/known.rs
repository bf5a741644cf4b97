//! The peers of open connections: one that is paired no more, or by other keys, is cut off, and
//! nobody has to wait for its end.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sharelet_channel::Party;
use tokio_util::sync::CancellationToken;

use crate::keyring::{Keyring, Pairing};
use crate::places::Place;

/// How often peers are looked up.
pub const KNOWN_EVERY: Duration = Duration::from_secs(1);

/// A connection whose peer has proved who it is.
#[derive(Clone, Debug)]
struct Entry {
    party: Party,
    /// How it was paired then.
    pairing: Option<Pairing>,
    place: Place,
    expelled: CancellationToken,
}

/// Connections whose peers have proved who they are.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<u64, Entry>>);

impl Known {
    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts off whoever is paired no more as it was.
    pub fn expel(&self, keyring: &Keyring) {
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        for Entry { party, pairing, place, expelled } in entries {
            let now = keyring.peers().pairing(&party);
            let stays = pairing.zip(now).is_some_and(|(then, now)| now.follows(&then));
            if !stays {
                expelled.cancel();
                // What works within a step sees the place go, and ends.
                place.take_away();
            }
        }
    }
}

/// A connection among them, while the value lives.
#[derive(Debug)]
pub struct Present {
    known: Arc<Known>,
    number: u64,
    /// Is cancelled when the peer is paired no more.
    pub expelled: CancellationToken,
}

impl Present {
    /// A connection of `party`, which has this place.
    #[must_use]
    pub fn new(known: Arc<Known>, keyring: Option<&Keyring>, place: Place, party: Party) -> Self {
        let (number, expelled) = (place.number(), CancellationToken::new());
        let pairing = keyring.and_then(|keyring| keyring.peers().pairing(&party));
        let entry = Entry { party, pairing, place, expelled: expelled.clone() };
        known.entries().insert(number, entry);
        Self { known, number, expelled }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.known.entries().remove(&self.number);
    }
}
