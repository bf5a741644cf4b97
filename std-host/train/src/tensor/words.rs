//! Long runs of words from a seed: masks, and shares of what is made of masks.

use sharelet_core::correlation::LengthError;
use sharelet_core::keystream::{Domain, Keystream, Kind, Rounds};

/// Words of a session, front to back.
pub struct Words {
    words: Vec<u64>,
    next: usize,
}

impl Words {
    /// The first `elems` words of a session, all at once.
    pub fn expand<C: Rounds>(keystream: &Keystream<C>, session: u64, elems: usize) -> Self {
        let mut words = vec![0; elems];
        keystream.fill_long(Domain { session, layer: 0, kind: Kind::Tensor }, 0, &mut words);
        Self { words, next: 0 }
    }

    /// Words that lie in memory already.
    pub const fn new(words: Vec<u64>) -> Self {
        Self { words, next: 0 }
    }

    /// The next `elems` words.
    pub fn take(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        let found = self.words.len() - self.next;
        let words = self.words.get(self.next..).and_then(|rest| rest.get(..elems));
        let words = words
            .ok_or(LengthError { expected_bytes: elems * 8, found_bytes: found * 8 })?
            .to_vec();
        self.next += elems;
        Ok(words)
    }
}
