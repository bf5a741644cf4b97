//! Numbers of queries that were used: a number is used once, as long as it is remembered.

use std::collections::{HashSet, VecDeque};

use sharelet_core::session::wire::query::QueryId;

/// Numbers that are remembered, in elements.
pub const REMEMBERED: usize = 1 << 17;

/// The latest numbers, a bounded number of them.
#[derive(Debug, Default)]
pub struct Replays {
    order: VecDeque<QueryId>,
    set: HashSet<QueryId>,
}

impl Replays {
    /// Notes a number; `false` if it was used before.
    pub fn insert(&mut self, id: QueryId) -> bool {
        if !self.set.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_once_and_memory_is_bounded() {
        let id = |number: u64| QueryId(number.to_le_bytes());
        let mut replays = Replays::default();
        for number in 0..=REMEMBERED as u64 {
            assert!(replays.insert(id(number)));
            assert!(!replays.insert(id(number)));
        }
        assert_eq!((replays.order.len(), replays.set.len()), (REMEMBERED, REMEMBERED));
        assert!(!replays.insert(id(1)));
        assert!(replays.insert(id(0)), "the oldest is forgotten");
    }
}
