//! The peers of open connections: one that is paired no more is cut off, and does not have to be
//! waited for.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sharelet_channel::Party;
use tokio_util::sync::CancellationToken;

use crate::keyring::Peers;

/// How often peers are looked up.
pub const KNOWN_EVERY: Duration = Duration::from_secs(1);

/// Connections whose peers have proved who they are.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<u64, (Party, CancellationToken)>>);

impl Known {
    fn present(&self) -> MutexGuard<'_, HashMap<u64, (Party, CancellationToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts off whoever is paired no more.
    pub fn expel(&self, peers: &dyn Peers) {
        let present: Vec<_> = self.present().values().cloned().collect();
        for (party, expelled) in present {
            if !peers.has(&party) {
                expelled.cancel();
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
    /// Connection `number`, of `party`.
    #[must_use]
    pub fn new(known: Arc<Known>, number: u64, party: Party) -> Self {
        let expelled = CancellationToken::new();
        known.present().insert(number, (party, expelled.clone()));
        Self { known, number, expelled }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.known.present().remove(&self.number);
    }
}
