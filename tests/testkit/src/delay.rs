//! A link that counts one-way delays: what is written at a party's time arrives one unit later, and
//! computing takes none.
//!
//! A party's clock is the latest arrival that it has read. So after a phase the later of the two
//! clocks is the number of messages that had to wait for one another.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

#[derive(Debug, Default)]
struct Channel(RefCell<VecDeque<(u32, u8)>>);

/// One end of the link; its clones share a clock.
#[derive(Clone, Debug)]
pub struct Delayed {
    incoming: Rc<Channel>,
    outgoing: Rc<Channel>,
    clock: Rc<Cell<u32>>,
}

impl Delayed {
    /// Two ends, whose clocks begin at 0.
    pub fn pair() -> (Self, Self) {
        let (a, b) = (Rc::<Channel>::default(), Rc::<Channel>::default());
        (
            Self { incoming: a.clone(), outgoing: b.clone(), clock: Rc::default() },
            Self { incoming: b, outgoing: a, clock: Rc::default() },
        )
    }

    /// One-way delays until now.
    pub fn delays(&self) -> u32 {
        self.clock.get()
    }

    /// Begins anew; nothing may be under way.
    pub fn reset(&self) {
        assert!(
            self.incoming.0.borrow().is_empty() && self.outgoing.0.borrow().is_empty(),
            "bytes are under way"
        );
        self.clock.set(0);
    }
}

impl ErrorType for Delayed {
    type Error = ErrorKind;
}

impl Read for Delayed {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        while self.incoming.0.borrow().is_empty() {
            yield_now().await;
        }
        let mut waiting = self.incoming.0.borrow_mut();
        let mut read = 0;
        // Only what has arrived together: a later arrival is for a later read.
        let first = waiting.front().map(|&(sent, _)| sent);
        while read < buffer.len() && waiting.front().map(|&(sent, _)| sent) == first {
            let Some((sent, byte)) = waiting.pop_front() else { break };
            buffer[read] = byte;
            read += 1;
            self.clock.set(self.clock.get().max(sent + 1));
        }
        Ok(read)
    }
}

impl Write for Delayed {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let now = self.clock.get();
        self.outgoing.0.borrow_mut().extend(bytes.iter().map(|&byte| (now, byte)));
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
