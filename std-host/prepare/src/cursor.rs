//! Random transfers one after the other, whichever call of the extension they come from.

use sharelet_ot::ots::{Received, Sent};
use sharelet_ot::{Block, OtError};

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
    pub(crate) fn new(calls: Vec<Sent>) -> Self {
        let (calls, pairs) = (calls.into_iter(), [[0; 2]; AHEAD]);
        Self { calls, call: None, next: 0, pairs, at: 0, held: 0 }
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
    pub(crate) fn new(calls: Vec<Received>) -> Self {
        let (calls, blocks) = (calls.into_iter(), [0; AHEAD]);
        Self { calls, call: None, next: 0, blocks, at: 0, held: 0 }
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
        let choices = self.call.as_ref().map_or(&[][..], |call| call.choices());
        let word = choices.get(place / 64).copied().unwrap_or(0);
        let block = self.blocks.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok((u32::from(word >> (place % 64) & 1 == 1), block))
    }
}
