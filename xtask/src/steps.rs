//! Progress, one line per step with its time.

use std::io::{self, Write as _};
use std::time::Instant;

/// Prints what is being done and how long it took.
#[derive(Debug)]
pub struct Steps {
    begin: Instant,
}

impl Steps {
    /// Time begins now.
    pub fn new() -> Self {
        Self { begin: Instant::now() }
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// Does `work`, with a line before it and its time after it.
    pub fn step<T>(
        &self,
        what: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        print!("[{:6.1} s] {what} ... ", self.seconds());
        // A terminal that is gone does not stop the work.
        let _ = io::stdout().flush();
        let result = work();
        let mark = if result.is_ok() { "" } else { "FAILED after " };
        println!("{mark}{:.1} s", begin.elapsed().as_secs_f64());
        result
    }

    /// A line that takes no time.
    pub fn note(&self, text: &str) {
        println!("[{:6.1} s] {text}", self.seconds());
    }
}
