//! What a dealer holds in memory for its peers: masks of the data and models of runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::wire::Refusal;
use sharelet_link::Party;

/// Most words of data and models whose masks are held for a peer: 4 GB.
pub(super) const MAX_WORDS: u64 = 1 << 29;

/// Words that are held, for each peer.
#[derive(Debug, Default)]
pub(super) struct Holding(Mutex<HashMap<Option<Party>, u64>>);

/// What is held for a peer, until the run or the shared model is dealt.
pub(super) struct Held {
    holding: Arc<Holding>,
    peer: Option<Party>,
    words: u64,
}

impl Holding {
    /// Room for so many words: a peer has as much as one request may take, for all of its
    /// connections together.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if it has more under way than that.
    pub(super) fn hold(self: &Arc<Self>, peer: Option<Party>, words: u64) -> Result<Held, Refusal> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = held.entry(peer).or_default();
        let more = of_peer.saturating_add(words);
        if more > MAX_WORDS {
            return Err(Refusal::Busy);
        }
        *of_peer = more;
        Ok(Held { holding: self.clone(), peer, words })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.holding.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = held.get(&self.peer).map_or(0, |words| words.saturating_sub(self.words));
        if left == 0 {
            held.remove(&self.peer);
        } else {
            held.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_link::Role;

    #[test]
    fn a_peer_has_room_for_all_of_its_runs_together() {
        let holding = Arc::new(Holding::default());
        let peer = |name| Party::new(Role::Server1, name);
        let first = holding.hold(peer("one"), MAX_WORDS - 5).expect("has room");
        assert!(matches!(holding.hold(peer("one"), 6), Err(Refusal::Busy)));
        let second = holding.hold(peer("one"), 5).expect("has room");
        let _other = holding.hold(peer("other"), MAX_WORDS).expect("another's room");
        drop(first);
        assert!(matches!(holding.hold(peer("one"), MAX_WORDS), Err(Refusal::Busy)));
        drop(second);
        assert_eq!(holding.0.lock().expect("held").len(), 1);
        assert!(holding.hold(peer("one"), MAX_WORDS).is_ok());
    }
}
