//! Random transfers one after the other, whichever call of the extension they come from.

use sharelet_ot::ots::{Received, Sent};
use sharelet_ot::{Block, OtError};
use zeroize::Zeroizing;

/// Transfers that are computed at once.
const AHEAD: usize = 512;

/// Transfers that a party sends.
pub(crate) struct Sending {
    calls: std::vec::IntoIter<Sent>,
    call: Option<Sent>,
    next: usize,
    pairs: [[Block; 2]; AHEAD],
    at: usize,
    held: usize,
}

impl Sending {
    /// From transfer `first` of the first call on.
    pub(crate) fn new(calls: Vec<Sent>, first: usize) -> Self {
        let (mut calls, pairs) = (calls.into_iter(), [[0; 2]; AHEAD]);
        Self { call: calls.next(), calls, next: first, pairs, at: 0, held: 0 }
    }

    /// What is left: calls, and how many transfers of the first are taken.
    pub(crate) fn into_rest(self) -> (Vec<Sent>, usize) {
        let first = self.next - (self.held - self.at);
        (self.call.into_iter().chain(self.calls).collect(), first)
    }

    /// The next pair.
    pub(crate) fn next(&mut self) -> Result<[Block; 2], OtError> {
        if self.at == self.held {
            let left = self.call.as_ref().map_or(0, |call| call.count() - self.next);
            if left == 0 {
                (self.call, self.next) = (self.calls.next(), 0);
            }
            let Some(call) = &self.call else {
                return Err(OtError::Range { first: self.next, len: 1, count: 0 });
            };
            self.held = AHEAD.min(call.count() - self.next);
            call.pairs(self.next, self.pairs.get_mut(..self.held).unwrap_or_default())?;
            (self.at, self.next) = (0, self.next + self.held);
        }
        let pair = self.pairs.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok(pair)
    }
}

impl Sending {
    /// The labels that stand for 0, of the next rows.
    pub(crate) fn labels(&mut self, count: usize) -> Result<Labels, OtError> {
        // What was hashed ahead is not handed out.
        (self.next, self.at, self.held) = (self.next - (self.held - self.at), 0, 0);
        let cursor = (&mut self.calls, &mut self.call, &mut self.next);
        Labels::take(count, cursor, |call, _, rows, delta| {
            rows.iter_mut().for_each(|row| *row &= !1);
            *delta = call.delta() | 1;
        })
    }
}

/// Labels of random bits: rows of correlated transfers, with the bit in place of the lowest one.
pub(crate) struct Labels {
    pub(crate) labels: Zeroizing<Vec<Block>>,
    /// What the labels of a bit differ by, at the sender.
    pub(crate) delta: Zeroizing<Block>,
    /// The call that the first one is of, and its place there: public.
    pub(crate) name: Option<(Block, u64)>,
}

impl Labels {
    /// Takes rows of one call after the other; `mark` makes labels of those from a place of a call
    /// on.
    fn take<C: Call>(
        count: usize,
        (calls, call, next): (&mut std::vec::IntoIter<C>, &mut Option<C>, &mut usize),
        mark: impl Fn(&C, usize, &mut [Block], &mut Block),
    ) -> Result<Self, OtError> {
        let mut labels =
            Self { labels: Zeroizing::new(vec![0; count]), delta: Zeroizing::new(0), name: None };
        let mut rest = labels.labels.as_mut_slice();
        while !rest.is_empty() {
            if call.as_ref().is_none_or(|call| call.count() == *next) {
                (*call, *next) = (calls.next(), 0);
            }
            let Some(call) = call else {
                return Err(OtError::Range { first: *next, len: rest.len(), count: 0 });
            };
            let (part, more) = rest.split_at_mut(rest.len().min(call.count() - *next));
            call.rows(*next, part)?;
            mark(call, *next, part, &mut labels.delta);
            labels.name.get_or_insert((call.name(), *next as u64));
            (rest, *next) = (more, *next + part.len());
        }
        Ok(labels)
    }
}

/// Transfers of a call, of either role.
pub(crate) trait Call {
    fn count(&self) -> usize;
    fn name(&self) -> Block;
    fn rows(&self, first: usize, rows: &mut [Block]) -> Result<(), OtError>;
}

macro_rules! call {
    ($($role:ty),*) => {$(
        impl Call for $role {
            fn count(&self) -> usize {
                self.count()
            }

            fn name(&self) -> Block {
                self.name()
            }

            fn rows(&self, first: usize, rows: &mut [Block]) -> Result<(), OtError> {
                self.rows(first, rows)
            }
        }
    )*};
}

call!(Sent, Received);

/// Transfers that a party receives.
pub(crate) struct Receiving {
    calls: std::vec::IntoIter<Received>,
    call: Option<Received>,
    next: usize,
    blocks: [Block; AHEAD],
    at: usize,
    held: usize,
}

impl Receiving {
    /// From transfer `first` of the first call on.
    pub(crate) fn new(calls: Vec<Received>, first: usize) -> Self {
        let (mut calls, blocks) = (calls.into_iter(), [0; AHEAD]);
        Self { call: calls.next(), calls, next: first, blocks, at: 0, held: 0 }
    }

    /// What is left: calls, and how many transfers of the first are taken.
    pub(crate) fn into_rest(self) -> (Vec<Received>, usize) {
        let first = self.next - (self.held - self.at);
        (self.call.into_iter().chain(self.calls).collect(), first)
    }

    /// The next choice, 0 or 1, and its block.
    pub(crate) fn next(&mut self) -> Result<(u32, Block), OtError> {
        if self.at == self.held {
            let left = self.call.as_ref().map_or(0, |call| call.count() - self.next);
            if left == 0 {
                (self.call, self.next) = (self.calls.next(), 0);
            }
            let Some(call) = &self.call else {
                return Err(OtError::Range { first: self.next, len: 1, count: 0 });
            };
            self.held = AHEAD.min(call.count() - self.next);
            call.blocks(self.next, self.blocks.get_mut(..self.held).unwrap_or_default())?;
            (self.at, self.next) = (0, self.next + self.held);
        }
        let place = self.next - self.held + self.at;
        let choice = self.call.as_ref().map_or(0, |call| choice(call, place));
        let block = self.blocks.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok((choice, block))
    }
}

impl Receiving {
    /// The labels of one's choices, of the next rows.
    pub(crate) fn labels(&mut self, count: usize) -> Result<Labels, OtError> {
        (self.next, self.at, self.held) = (self.next - (self.held - self.at), 0, 0);
        let cursor = (&mut self.calls, &mut self.call, &mut self.next);
        Labels::take(count, cursor, |call, first, rows, _| {
            for (place, row) in (first..).zip(rows) {
                *row = *row & !1 | Block::from(choice(call, place));
            }
        })
    }
}

/// The choice at a place of a call.
fn choice(call: &Received, place: usize) -> u32 {
    let word = call.choices().get(place / 64).copied().unwrap_or(0);
    u32::from(word >> (place % 64) & 1 == 1)
}
