//! A link in memory, with somebody on it who may change what passes.

use core::cell::RefCell;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// How often a reader looks for bytes before its time has run off.
const PATIENCE: usize = 200;

/// Polls a future to its end. Nothing here waits for anything outside the future.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("the test hangs");
}

/// What happens to the byte with a number, counted from the first of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// These bits are flipped.
    Flip(usize, u8),
    /// The byte and so many after it are lost.
    Lose(usize, usize),
    /// A byte is put before it.
    Insert(usize, u8),
    /// So many bytes come once more before it.
    Repeat(usize, usize),
    /// The connection ends before it.
    Cut(usize),
}

#[derive(Debug)]
struct Direction {
    waiting: VecDeque<u8>,
    log: Vec<u8>,
    ended: bool,
    fault: Fault,
}

impl Direction {
    fn put(&mut self, byte: u8) {
        let number = self.log.len();
        self.log.push(byte);
        if self.ended {
            return;
        }
        match self.fault {
            Fault::Flip(at, bits) if at == number => return self.waiting.push_back(byte ^ bits),
            Fault::Lose(at, count) if (at..at + count).contains(&number) => return,
            Fault::Insert(at, extra) if at == number => self.waiting.push_back(extra),
            Fault::Repeat(at, count) if at == number => {
                self.waiting.extend(&self.log[at.saturating_sub(count)..at]);
            }
            Fault::Cut(at) if at == number => {
                self.ended = true;
                return;
            }
            _ => {}
        }
        self.waiting.push_back(byte);
    }
}

/// One end of a link. Its peer reads the end of the connection when it is dropped.
#[derive(Debug)]
pub struct Pipe {
    incoming: Rc<RefCell<Direction>>,
    outgoing: Rc<RefCell<Direction>>,
}

/// What somebody on the line sees and touches of one direction.
#[derive(Clone, Debug)]
pub struct Tap(Rc<RefCell<Direction>>);

impl Tap {
    /// All that was written.
    pub fn log(&self) -> Vec<u8> {
        self.0.borrow().log.clone()
    }

    /// Changes what was not yet read.
    pub fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes: Vec<u8> = self.0.borrow_mut().waiting.drain(..).collect();
        change(&mut bytes);
        self.0.borrow_mut().waiting.extend(bytes);
    }

    /// Ends the connection.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }
}

impl Pipe {
    /// Two ends, with faults in what the first and what the second writes.
    pub fn faulty(up: Fault, down: Fault) -> (Self, Self) {
        let direction = |fault| {
            let (waiting, log) = (VecDeque::new(), Vec::new());
            Rc::new(RefCell::new(Direction { waiting, log, ended: false, fault }))
        };
        let (up, down) = (direction(up), direction(down));
        let near = Self { incoming: Rc::clone(&down), outgoing: Rc::clone(&up) };
        (near, Self { incoming: up, outgoing: down })
    }

    /// Two ends.
    pub fn pair() -> (Self, Self) {
        Self::faulty(Fault::None, Fault::None)
    }

    /// An end that reads `script`, and then nothing more.
    pub fn script(script: &[u8]) -> Self {
        let (near, far) = Self::pair();
        far.outgoing.borrow_mut().waiting.extend(script);
        near
    }

    /// The direction in which this end writes.
    pub fn tap(&self) -> Tap {
        Tap(Rc::clone(&self.outgoing))
    }

    /// A reading and a writing half; only dropping the writing one ends the connection.
    pub fn halves(self) -> (Reader, Self) {
        (Reader(Rc::clone(&self.incoming)), self)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.outgoing.borrow_mut().ended = true;
    }
}

/// A reading half.
#[derive(Debug)]
pub struct Reader(Rc<RefCell<Direction>>);

async fn read(from: &Rc<RefCell<Direction>>, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
    for _ in 0..PATIENCE {
        {
            let mut from = from.borrow_mut();
            let len = buffer.len().min(from.waiting.len());
            if len > 0 || from.ended || buffer.is_empty() {
                buffer.iter_mut().zip(from.waiting.drain(..len)).for_each(|(to, byte)| *to = byte);
                return Ok(len);
            }
        }
        yield_now().await;
    }
    Err(ErrorKind::TimedOut)
}

impl ErrorType for Reader {
    type Error = ErrorKind;
}

impl Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        read(&self.0, buffer).await
    }
}

impl ErrorType for Pipe {
    type Error = ErrorKind;
}

impl Read for Pipe {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        read(&self.incoming, buffer).await
    }
}

impl Write for Pipe {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        // In pieces that do not fit anything.
        let bytes = &bytes[..bytes.len().min(97)];
        let mut outgoing = self.outgoing.borrow_mut();
        bytes.iter().for_each(|&byte| outgoing.put(byte));
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
