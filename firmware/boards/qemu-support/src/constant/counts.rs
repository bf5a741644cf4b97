//! Least and most instructions of every part.

use core::cell::Cell;
use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::exact::{instructions, ticks};

/// What is counted for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Two looks at the clock.
    Empty,
    /// A reading becomes words.
    Encode,
    /// A step of the ratchet.
    Ratchet,
    /// A channel's handshake.
    Handshake,
    /// Hello and welcome.
    Connect,
    /// Everything that does not depend on the reading.
    Prepare,
    /// Everything that does.
    Infer,
    /// A record is sealed and sent.
    Seal,
    /// A record is received and opened.
    Open,
    /// A branch on a secret.
    Leak,
}

const PARTS: usize = 10;

/// All of them.
pub const PART_NAMES: [(Part, &str); PARTS] = [
    (Part::Empty, "empty"),
    (Part::Encode, "encode"),
    (Part::Ratchet, "ratchet"),
    (Part::Handshake, "handshake"),
    (Part::Connect, "connect"),
    (Part::Prepare, "prepare"),
    (Part::Infer, "infer"),
    (Part::Seal, "seal"),
    (Part::Open, "open"),
    (Part::Leak, "leak"),
];

/// Counts of all parts, and of the one that is under way.
pub struct Counts {
    ranges: [Cell<(u32, u32)>; PARTS],
    part: Cell<Part>,
    sum: Cell<u32>,
    since: Cell<u32>,
}

impl Counts {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self {
            ranges: [const { Cell::new((u32::MAX, 0)) }; PARTS],
            part: Cell::new(Part::Empty),
            sum: Cell::new(0),
            since: Cell::new(0),
        }
    }

    /// The least and the most.
    pub fn of(&self, part: Part) -> (u32, u32) {
        self.ranges[part as usize].get()
    }

    fn keep(&self, part: Part, count: u32) {
        let (least, most) = self.of(part);
        self.ranges[part as usize].set((least.min(count), most.max(count)));
    }

    /// Counts `work` as a part of its own.
    pub fn measure<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let before = ticks();
        let result = black_box(work());
        let after = ticks();
        self.keep(part, instructions(before, after));
        result
    }

    /// Within a future that [`Counts::run`] polls: what follows belongs to `part`.
    pub fn begin(&self, part: Part) {
        self.pause();
        self.part.set(part);
        self.sum.set(0);
        self.go_on();
    }

    /// The part under way is over.
    pub fn end(&self) {
        self.pause();
        self.keep(self.part.get(), self.sum.get());
        self.sum.set(0);
        self.go_on();
    }

    fn pause(&self) {
        self.sum.set(self.sum.get() + instructions(self.since.get(), ticks()));
    }

    fn go_on(&self) {
        self.since.set(ticks());
    }

    /// Polls both in turn until both are done, and counts what the first one does.
    pub fn run<A, B>(
        &self,
        counted: impl Future<Output = A>,
        other: impl Future<Output = B>,
    ) -> Option<(A, B)> {
        // Whoever waits is polled again, so nobody needs to be woken.
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut counted, mut other) = (pin!(counted), pin!(other));
        let (mut first, mut second) = (None, None);
        for _ in 0..MOST_POLLS {
            if first.is_none() {
                self.go_on();
                let polled = counted.as_mut().poll(cx);
                self.pause();
                if let Poll::Ready(value) = polled {
                    first = Some(value);
                }
            }
            if second.is_none()
                && let Poll::Ready(value) = other.as_mut().poll(cx)
            {
                second = Some(value);
            }
            if first.is_some() && second.is_some() {
                return first.zip(second);
            }
        }
        None
    }
}

/// Two that wait for each other for ever are given up.
const MOST_POLLS: u32 = 100_000;
