//! Lines in memory: for sessions, with a tally of messages; and for engines.

use core::cell::RefCell;
use core::convert::Infallible;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use sharelet_core::functions::engine::Link;

/// Bytes on their way, and the number of the message that they belong to, until it is finished.
#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    message: Option<usize>,
}

/// A message that has passed: who sent it, and its bytes.
pub struct Message {
    pub from: usize,
    pub bytes: Vec<u8>,
}

/// What has passed, in the order in which it was begun.
pub type Tally = Rc<RefCell<Vec<Message>>>;

/// One end of a line of a session.
#[derive(Clone)]
pub struct Line {
    party: usize,
    incoming: Rc<RefCell<Way>>,
    outgoing: Rc<RefCell<Way>>,
    tally: Tally,
}

impl Line {
    /// Both ends, `P0`'s first, and the tally.
    pub fn pair() -> ([Self; 2], Tally) {
        let (there, back) = <(Rc<RefCell<Way>>, Rc<RefCell<Way>>)>::default();
        let tally = Tally::default();
        let end = |party, incoming: &Rc<_>, outgoing: &Rc<_>| Self {
            party,
            incoming: Rc::clone(incoming),
            outgoing: Rc::clone(outgoing),
            tally: Rc::clone(&tally),
        };
        ([end(0, &back, &there), end(1, &there, &back)], tally)
    }
}

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        while self.incoming.borrow().bytes.is_empty() && !buffer.is_empty() {
            yield_now().await;
        }
        let mut way = self.incoming.borrow_mut();
        let len = buffer.len().min(way.bytes.len());
        buffer.iter_mut().zip(way.bytes.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let (mut way, mut tally) = (self.outgoing.borrow_mut(), self.tally.borrow_mut());
        way.bytes.extend(bytes);
        let number = *way.message.get_or_insert(tally.len());
        if number == tally.len() {
            tally.push(Message { from: self.party, bytes: Vec::new() });
        }
        if let Some(message) = tally.get_mut(number) {
            message.bytes.extend(bytes);
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        self.outgoing.borrow_mut().message = None;
        Ok(())
    }
}

/// One end of a line of an engine.
pub struct Wire {
    incoming: Rc<RefCell<VecDeque<Vec<u8>>>>,
    outgoing: Rc<RefCell<VecDeque<Vec<u8>>>>,
}

impl Wire {
    /// Both ends.
    pub fn pair() -> [Self; 2] {
        let (there, back) = <(Rc<RefCell<VecDeque<_>>>, Rc<RefCell<VecDeque<_>>>)>::default();
        [
            Self { incoming: Rc::clone(&back), outgoing: Rc::clone(&there) },
            Self { incoming: there, outgoing: back },
        ]
    }
}

/// The peer's message is shorter than what was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short;

impl core::fmt::Display for Short {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the peer's message has another length than was due")
    }
}

impl Link for Wire {
    type Error = Short;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Short> {
        self.outgoing.borrow_mut().push_back(own.concat());
        let message = loop {
            let next = self.incoming.borrow_mut().pop_front();
            match next {
                Some(message) => break message,
                None => yield_now().await,
            }
        };
        let [first, second] = peer;
        let (for_first, for_second) = message.split_at_checked(first.len()).ok_or(Short)?;
        if for_second.len() != second.len() {
            return Err(Short);
        }
        first.copy_from_slice(for_first);
        second.copy_from_slice(for_second);
        Ok(())
    }
}
