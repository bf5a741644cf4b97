//! A line in memory that delays, cuts up, loses, repeats and changes what passes, and ends.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

/// A read that finds nothing for so many polls has timed out.
pub const PATIENCE: u32 = 100;
/// A delay that a reader waits for.
const SHORT_POLLS: u32 = 20;

/// What happens when the byte with a number, from the first of a direction, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing comes for so many polls of the reader.
    Delay(u32),
    /// These bits of it are flipped.
    Flip(u8),
    /// It and so many after it are lost.
    Drop(usize),
    /// So many before it come once more.
    Duplicate(usize),
    /// It and all after it are lost, and the line stays open.
    Truncate,
    /// The line ends.
    Close,
}

impl Fault {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let some = 1 + rng.next_u32() % 40;
        match rng.next_u32() % 8 {
            0 => Self::Delay(some),
            1 => Self::Delay(PATIENCE + some),
            2 => Self::Drop(some as usize),
            3 => Self::Duplicate(some as usize),
            4 => Self::Truncate,
            5 => Self::Close,
            _ => Self::Flip(1 << (some % 8)),
        }
    }

    /// Whether both sides must bear it.
    fn is_harmless(self) -> bool {
        matches!(self, Self::Delay(polls) if polls <= SHORT_POLLS)
    }
}

/// What one direction does to its bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of their bytes.
    faults: Vec<(usize, Fault)>,
    /// The most bytes that a write takes, and a read gives.
    piece: usize,
}

impl Plan {
    /// Nothing, in large pieces.
    #[must_use]
    pub fn honest() -> Self {
        Self { faults: Vec::new(), piece: usize::MAX }
    }

    /// At most three faults within the first `bytes` bytes; one direction in three has none.
    #[must_use]
    pub fn random(rng: &mut ChaCha8Rng, bytes: usize) -> Self {
        let count = (rng.next_u32() % 6).saturating_sub(1).min(3);
        let mut faults: Vec<_> = (0..count)
            .map(|_| (rng.next_u32() as usize % bytes.max(1), Fault::random(rng)))
            .collect();
        faults.sort_by_key(|(at, _)| *at);
        let piece = [1, 7, 64, 1000, usize::MAX][rng.next_u32() as usize % 5];
        Self { faults, piece }
    }

    /// Whether both sides must bear all of it.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        self.faults.iter().all(|(_, fault)| fault.is_harmless())
    }
}

#[derive(Debug)]
struct Way {
    plan: Plan,
    waiting: VecDeque<u8>,
    log: Vec<u8>,
    /// Polls until the reader gets anything.
    delay: u32,
    /// Bytes that are still to be lost.
    lost: usize,
    ended: bool,
}

impl Way {
    fn put(&mut self, byte: u8) {
        let number = self.log.len();
        self.log.push(byte);
        let mut bits = 0;
        while let Some(&(_, fault)) = self.plan.faults.first().filter(|(at, _)| *at == number) {
            self.plan.faults.remove(0);
            match fault {
                Fault::Delay(polls) => self.delay += polls,
                Fault::Flip(flipped) => bits ^= flipped,
                Fault::Drop(count) => self.lost = self.lost.max(count),
                Fault::Duplicate(count) => {
                    self.waiting.extend(&self.log[number.saturating_sub(count)..number]);
                }
                Fault::Truncate => self.lost = usize::MAX,
                Fault::Close => self.ended = true,
            }
        }
        if self.lost > 0 {
            self.lost = self.lost.saturating_sub(usize::from(self.lost < usize::MAX));
        } else if !self.ended {
            self.waiting.push_back(byte ^ bits);
        }
    }

    /// What there is for the reader; `None` if it must wait.
    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.delay > 0 {
            self.delay -= 1;
            return None;
        }
        let len = buffer.len().min(self.waiting.len()).min(self.plan.piece);
        buffer.iter_mut().zip(self.waiting.drain(..len)).for_each(|(to, byte)| *to = byte);
        (len > 0 || self.ended || buffer.is_empty()).then_some(len)
    }
}

/// One end of a line, for a reader and a writer of one party.
#[derive(Clone, Debug)]
pub struct End {
    incoming: Rc<RefCell<Way>>,
    outgoing: Rc<RefCell<Way>>,
}

impl End {
    /// Two ends; `up` is what happens to the bytes of the first.
    #[must_use]
    pub fn pair(up: Plan, down: Plan) -> (Self, Self) {
        let way = |plan| {
            let (waiting, log) = (VecDeque::new(), Vec::new());
            Rc::new(RefCell::new(Way { plan, waiting, log, delay: 0, lost: 0, ended: false }))
        };
        let (up, down) = (way(up), way(down));
        let first = Self { incoming: Rc::clone(&down), outgoing: Rc::clone(&up) };
        (first, Self { incoming: up, outgoing: down })
    }

    /// Ends the line in both directions, as a process does that ends.
    pub fn close(&self) {
        [&self.incoming, &self.outgoing].iter().for_each(|way| way.borrow_mut().ended = true);
    }

    /// All that was written here.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.outgoing.borrow().log.clone()
    }
}

impl ErrorType for End {
    type Error = ErrorKind;
}

impl Read for End {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        for _ in 0..PATIENCE {
            let taken = self.incoming.borrow_mut().take(buffer);
            if let Some(len) = taken {
                return Ok(len);
            }
            yield_now().await;
        }
        Err(ErrorKind::TimedOut)
    }
}

impl Write for End {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.ended {
            return Err(ErrorKind::BrokenPipe);
        }
        let len = bytes.len().min(outgoing.plan.piece);
        bytes.iter().take(len).for_each(|&byte| outgoing.put(byte));
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
