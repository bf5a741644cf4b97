//! A transport that plays bytes, whatever a party sends, and then ends.

use core::cell::Cell;
use core::convert::Infallible;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use sharelet_faults::runs::to_end;

/// A party that takes more polls goes on for ever.
const MOST_POLLS: u32 = 1_000_000;

/// The transport; its clones go on with the same bytes.
#[derive(Clone)]
pub struct Script<'a> {
    rest: Rc<Cell<&'a [u8]>>,
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: Rc::new(Cell::new(bytes)) }
    }
}

impl ErrorType for Script<'_> {
    type Error = Infallible;
}

impl Read for Script<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        yield_now().await;
        let (now, rest) = self.rest.get().split_at(buffer.len().min(self.rest.get().len()));
        buffer[..now.len()].copy_from_slice(now);
        self.rest.set(rest);
        Ok(now.len())
    }
}

impl Write for Script<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Runs a party to its end.
pub fn run<F: Future>(party: F) -> F::Output {
    to_end(party, MOST_POLLS).expect("a party that goes on for ever")
}
