//! A connection in memory.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use embedded_io_async::{ErrorType, Read, Write};

/// More than any message here, so that a writer never waits.
const PIPE_BYTES: usize = 2048;

/// One direction.
struct Pipe {
    bytes: RefCell<[u8; PIPE_BYTES]>,
    /// Where the next byte is read, and how many there are.
    at: Cell<(usize, usize)>,
    /// How many were ever written.
    total: Cell<usize>,
}

impl Pipe {
    const fn new() -> Self {
        let bytes = RefCell::new([0; PIPE_BYTES]);
        Self { bytes, at: Cell::new((0, 0)), total: Cell::new(0) }
    }
}

/// Both directions.
pub struct Line {
    up: Pipe,
    down: Pipe,
}

/// One end.
#[derive(Clone, Copy)]
pub struct End<'l> {
    incoming: &'l Pipe,
    outgoing: &'l Pipe,
}

impl Line {
    /// A line on which nothing was sent.
    pub const fn new() -> Self {
        Self { up: Pipe::new(), down: Pipe::new() }
    }

    /// The device's end, and the host's.
    pub fn ends(&self) -> (End<'_>, End<'_>) {
        let device = End { incoming: &self.down, outgoing: &self.up };
        (device, End { incoming: &self.up, outgoing: &self.down })
    }

    /// Bytes that the device has sent, and that it was sent.
    pub fn totals(&self) -> (usize, usize) {
        (self.up.total.get(), self.down.total.get())
    }
}

impl ErrorType for End<'_> {
    type Error = Infallible;
}

impl Read for End<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            let (start, len) = self.incoming.at.get();
            let read = len.min(buffer.len());
            if read == 0 && !buffer.is_empty() {
                return Poll::Pending;
            }
            let bytes = self.incoming.bytes.borrow();
            buffer.iter_mut().zip(&bytes[start..start + read]).for_each(|(to, from)| *to = *from);
            self.incoming.at.set((start + read, len - read));
            Poll::Ready(Ok(read))
        })
        .await
    }
}

impl Write for End<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            let mut room = self.outgoing.bytes.borrow_mut();
            let (mut start, len) = self.outgoing.at.get();
            if start + len + bytes.len() > PIPE_BYTES {
                room.copy_within(start..start + len, 0);
                start = 0;
            }
            let written = bytes.len().min(PIPE_BYTES - len - start);
            if written == 0 && !bytes.is_empty() {
                return Poll::Pending;
            }
            let to = &mut room[start + len..start + len + written];
            to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            self.outgoing.at.set((start, len + written));
            self.outgoing.total.set(self.outgoing.total.get() + written);
            Poll::Ready(Ok(written))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
