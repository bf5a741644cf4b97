//! A device whose numbers lie in flash, and whose power may fail: what it does is written down.

use core::fmt;

use sharelet_firmware::board::{AnswerSink, CounterError, Counts, Inference, SessionCounter};
use sharelet_firmware::flash::counter::Counter;

use crate::file_flash::FileFlash;
use crate::power;
use crate::report::Report;

/// Session numbers in flash.
#[derive(Debug)]
pub struct FlashCounter {
    counter: Counter<FileFlash>,
    asked: u32,
    dropped: Option<u32>,
}

impl FlashCounter {
    /// Counts with `counter`; the question with number `dropped` is not answered.
    #[must_use]
    pub fn new(counter: Counter<FileFlash>, dropped: Option<u32>) -> Self {
        Self { counter, asked: 0, dropped }
    }
}

impl SessionCounter for FlashCounter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        power::event("ask", self.asked.into());
        self.asked += 1;
        if self.dropped.is_some_and(|dropped| dropped + 1 == self.asked) {
            return Err(CounterError);
        }
        let next = self.counter.next().await?;
        power::event("next", next);
        Ok(next)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.counter.consume(session).await?;
        // Nothing was sent under the number yet.
        power::event("used", session);
        Ok(())
    }
}

/// A report, whose lines are events.
#[derive(Debug)]
pub struct Watched(pub Report);

impl AnswerSink for Watched {
    fn prepared(&mut self, session: u64, traffic: Counts, instructions: u64) {
        self.0.prepared(session, traffic, instructions);
        power::event("prepared", session);
    }

    fn answer(&mut self, inference: &Inference<'_>) {
        self.0.answer(inference);
        power::event("answered", inference.index.into());
    }

    fn failed(&mut self, name: &'static str, reason: &dyn fmt::Display) {
        self.0.failed(name, reason);
    }
}
