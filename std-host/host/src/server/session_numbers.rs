//! Session numbers of server 0, which has many sessions at once: each number is used once, in any
//! order.

use std::collections::BTreeSet;

use sharelet_core::session::{CounterError, SessionCounter};
use tokio::sync::Mutex;

/// SessionNumbers below the highest that may still be granted, at most; older ones are given up.
const MOST_GAPS: usize = 1024;

/// A session counter that several sessions take numbers from.
///
/// What is on record is the lowest number above all that were used: after a restart the gaps below
/// are lost, not reused.
#[derive(Debug)]
pub struct SessionNumbers<C>(Mutex<State<C>>);

#[derive(Debug)]
struct State<C> {
    counter: C,
    /// The lowest number above all that were used, once it is known.
    next: Option<u64>,
    /// SessionNumbers below it that were not used since the start.
    gaps: BTreeSet<u64>,
}

impl<C: SessionCounter> SessionNumbers<C> {
    /// SessionNumbers from `counter`.
    #[must_use]
    pub fn new(counter: C) -> Self {
        Self(Mutex::new(State { counter, next: None, gaps: BTreeSet::new() }))
    }
}

impl<C: SessionCounter> State<C> {
    async fn next(&mut self) -> Result<u64, CounterError> {
        let next = match self.next {
            Some(next) => next,
            None => self.counter.next().await?,
        };
        self.next = Some(next);
        Ok(next)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        let next = self.next().await?;
        if session < next {
            return if self.gaps.remove(&session) { Ok(()) } else { Err(CounterError) };
        }
        self.counter.consume(session).await?;
        self.next = Some(session.checked_add(1).ok_or(CounterError)?);
        let first = session.saturating_sub(MOST_GAPS as u64).max(next);
        self.gaps.extend(first..session);
        while self.gaps.len() > MOST_GAPS {
            self.gaps.pop_first();
        }
        Ok(())
    }
}

impl<C: SessionCounter> SessionCounter for &SessionNumbers<C> {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.0.lock().await.next().await
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.0.lock().await.consume(session).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(u64);

    impl SessionCounter for Memory {
        async fn next(&mut self) -> Result<u64, CounterError> {
            Ok(self.0)
        }

        async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
            if session < self.0 {
                return Err(CounterError);
            }
            self.0 = session + 1;
            Ok(())
        }
    }

    #[tokio::test]
    async fn numbers_are_used_once_in_any_order() {
        let numbers = SessionNumbers::new(Memory(5));
        let mut numbers = &numbers;
        assert_eq!(numbers.next().await, Ok(5));
        assert_eq!(numbers.consume(7).await, Ok(()));
        assert_eq!(numbers.next().await, Ok(8));
        assert_eq!(numbers.consume(5).await, Ok(()), "granted earlier, arrived later");
        for used in [5, 7, 4] {
            assert_eq!(numbers.consume(used).await, Err(CounterError), "{used}");
        }
        assert_eq!(numbers.consume(5000).await, Ok(()));
        assert_eq!(numbers.consume(4999).await, Ok(()));
        assert_eq!(numbers.consume(6).await, Err(CounterError), "given up");
        assert_eq!(numbers.0.lock().await.counter.0, 5001);
    }
}
