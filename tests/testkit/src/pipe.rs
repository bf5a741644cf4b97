//! Transports in memory: a pipe between two parties, and a script for one party alone.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_futures::yield_now;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// Polls a future to its end.
///
/// Nothing here waits for anything outside the future, so a future that is polled for ever hangs:
/// the test fails.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("the session hangs");
}

/// What a script's reader finds when the script is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed the connection.
    Closed,
    /// The transport's time-out ran off.
    TimedOut,
}

/// A transport that plays a script to the party that reads, whatever the party sends, and keeps
/// what it sends.
#[derive(Debug)]
pub struct Script<'a> {
    rest: &'a [u8],
    end: End,
    sent: Rc<RefCell<Vec<u8>>>,
}

impl<'a> Script<'a> {
    /// A transport that plays `script`.
    pub fn new(script: &'a [u8], end: End) -> Self {
        Self { rest: script, end, sent: Rc::default() }
    }

    /// What the party sends from here on.
    pub fn sent(&self) -> Rc<RefCell<Vec<u8>>> {
        Rc::clone(&self.sent)
    }

    /// A writing half.
    pub fn writer(&self) -> Self {
        Self { rest: &[], end: self.end, sent: self.sent() }
    }
}

impl ErrorType for Script<'_> {
    type Error = ErrorKind;
}

impl Read for Script<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.rest.is_empty() && self.end == End::TimedOut {
            return Err(ErrorKind::TimedOut);
        }
        let (now, rest) = self.rest.split_at(buffer.len().min(self.rest.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.rest = rest;
        Ok(now.len())
    }
}

impl Write for Script<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.sent.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[derive(Debug)]
struct Channel {
    /// Bytes, each with the time at which it arrives.
    waiting: VecDeque<(u32, u8)>,
    log: Vec<u8>,
    capacity: usize,
}

/// One end of a bounded pipe; its clones share a clock.
///
/// Clocks count one-way delays: what is written at a party's time arrives one unit later, and
/// computing takes none. A party's clock is the latest arrival that it has read. So after a phase
/// the later of the two clocks is the number of messages that had to wait for one another.
#[derive(Clone, Debug)]
pub struct Pipe {
    incoming: Rc<RefCell<Channel>>,
    outgoing: Rc<RefCell<Channel>>,
    clock: Rc<Cell<u32>>,
}

impl Pipe {
    /// Two ends; either direction holds `capacity` bytes.
    pub fn pair(capacity: usize) -> (Self, Self) {
        let channel = || {
            Rc::new(RefCell::new(Channel { waiting: VecDeque::new(), log: Vec::new(), capacity }))
        };
        let (a, b) = (channel(), channel());
        (
            Self { incoming: a.clone(), outgoing: b.clone(), clock: Rc::default() },
            Self { incoming: b, outgoing: a, clock: Rc::default() },
        )
    }

    /// Everything that was written here.
    pub fn sent(&self) -> Vec<u8> {
        self.outgoing.borrow().log.clone()
    }

    /// One-way delays until now.
    pub fn delays(&self) -> u32 {
        self.clock.get()
    }

    /// Sets the clock to 0; nothing may be under way.
    pub fn reset(&self) {
        let under_way = [&self.incoming, &self.outgoing].map(|way| way.borrow().waiting.len());
        assert_eq!(under_way, [0, 0], "bytes are under way");
        self.clock.set(0);
    }
}

impl ErrorType for Pipe {
    type Error = ErrorKind;
}

impl Channel {
    /// Takes what has arrived together, as much as there is room for, and when it did; `None` if
    /// the reader must wait.
    fn take(&mut self, buffer: &mut [u8]) -> Option<(usize, u32)> {
        let at = self.waiting.front().map_or(0, |&(at, _)| at);
        let together = self.waiting.iter().take(buffer.len()).take_while(|byte| byte.0 == at);
        let len = together.count();
        buffer.iter_mut().zip(self.waiting.drain(..len)).for_each(|(to, (_, from))| *to = from);
        (len > 0 || buffer.is_empty()).then_some((len, at))
    }

    /// Puts in what there is room for, to arrive at this time; `None` if the writer must wait.
    fn put(&mut self, bytes: &[u8], at: u32) -> Option<usize> {
        let len = bytes.len().min(self.capacity - self.waiting.len());
        self.waiting.extend(bytes[..len].iter().map(|&byte| (at, byte)));
        self.log.extend(&bytes[..len]);
        (len > 0 || bytes.is_empty()).then_some(len)
    }
}

impl Read for Pipe {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            let taken = self.incoming.borrow_mut().take(buffer);
            match taken {
                Some((len, at)) => {
                    self.clock.set(self.clock.get().max(if len > 0 { at } else { 0 }));
                    return Ok(len);
                }
                None => yield_now().await,
            }
        }
    }
}

impl Write for Pipe {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        loop {
            let put = self.outgoing.borrow_mut().put(bytes, self.clock.get() + 1);
            match put {
                Some(len) => return Ok(len),
                None => yield_now().await,
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
