//! Numbers of queries that were used: a number is used once, as long as it is remembered.

use std::collections::{HashSet, VecDeque};

use sharelet_core::session::wire::query::QueryId;

/// Numbers that are remembered, in elements.
pub const REMEMBERED: usize = 1 << 17;

/// The latest numbers, a bounded number of them.
#[derive(Debug, Default)]
pub struct Seen {
    order: VecDeque<QueryId>,
    set: HashSet<QueryId>,
}

impl Seen {
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
        let mut seen = Seen::default();
        for number in 0..=REMEMBERED as u64 {
            assert!(seen.insert(id(number)));
            assert!(!seen.insert(id(number)));
        }
        assert_eq!((seen.order.len(), seen.set.len()), (REMEMBERED, REMEMBERED));
        assert!(!seen.insert(id(1)));
        assert!(seen.insert(id(0)), "the oldest is forgotten");
    }
}
