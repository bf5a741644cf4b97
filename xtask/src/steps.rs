//! Progress, one line per step with its time, also of steps that run side by side.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Prints what is being done and how long it took.
#[derive(Debug)]
pub struct Steps {
    begin: Instant,
    /// The step whose line waits for its time, if there is one.
    open: Mutex<Option<String>>,
}

impl Steps {
    /// Time begins now.
    pub fn new() -> Self {
        Self { begin: Instant::now(), open: Mutex::new(None) }
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// Does `work`, with a line before it and its time after it: on the same line, unless another
    /// step has begun one in between.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub fn step<T>(
        &self,
        what: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        self.print(|open| {
            print!("{}[{:6.1} s] {what} ... ", end_of(open), self.seconds());
            *open = Some(what.to_owned());
        });
        let result = work();
        let (took, mark) =
            (begin.elapsed().as_secs_f64(), if result.is_ok() { "" } else { "FAILED after " });
        self.print(|open| {
            if open.as_deref() == Some(what) {
                *open = None;
                println!("{mark}{took:.1} s");
            } else {
                println!("{}[{:6.1} s] {what}: {mark}{took:.1} s", end_of(open), self.seconds());
            }
        });
        result
    }

    /// A line that takes no time.
    pub fn note(&self, text: &str) {
        self.print(|open| println!("{}[{:6.1} s] {text}", end_of(open), self.seconds()));
    }

    fn print(&self, print: impl FnOnce(&mut Option<String>)) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        print(&mut open);
        // A terminal that is gone does not stop the work.
        let _ = io::stdout().flush();
    }
}

/// What ends the line that is open.
fn end_of(open: &mut Option<String>) -> &'static str {
    open.take().map_or("", |_| "\n")
}
