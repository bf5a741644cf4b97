//! Memory of spent sessions, used again.
//!
//! A session's records take up to hundreds of megabytes. Memory that is fresh from the system costs
//! more than what is written to it; that of the last session does not.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// So much is kept at most.
const KEPT_BYTES: usize = 1 << 30;
/// In so many pieces at most.
const KEPT_PIECES: usize = 16;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes from the memory of an earlier session where that suffices. Dropped, they are kept for the
/// next.
pub struct Memory {
    bytes: Vec<u8>,
    /// Whether another session can use it: what came from elsewhere is not asked for again.
    again: bool,
}

impl Memory {
    /// So many bytes, of *any* content: what of them is not written must not be read.
    pub fn of(bytes: usize) -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // Much smaller sessions leave a large piece to those that need it.
        let fits = |piece: &&Vec<u8>| (bytes..=bytes.saturating_mul(2)).contains(&piece.capacity());
        let least = kept.iter().filter(fits).map(Vec::capacity).min();
        let found = kept.iter().position(|piece| Some(piece.capacity()) == least);
        let taken = found.map(|index| kept.remove(index));
        drop(kept);
        let mut taken = taken.unwrap_or_else(|| vec![0; bytes]);
        taken.resize(bytes, 0);
        Self { bytes: taken, again: true }
    }
}

impl From<Vec<u8>> for Memory {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, again: false }
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let spent = core::mem::take(&mut self.bytes);
        if !self.again || !(1..=KEPT_BYTES).contains(&spent.capacity()) {
            // The system takes a while to take back so much.
            if spent.capacity() > 0 {
                rayon::spawn(move || drop(spent));
            }
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(spent);
        // The oldest make room.
        let mut all_bytes: usize = kept.iter().map(Vec::capacity).sum();
        let mut dropped = Vec::new();
        while all_bytes > KEPT_BYTES || kept.len() > KEPT_PIECES {
            let oldest = kept.remove(0);
            all_bytes -= oldest.capacity();
            dropped.push(oldest);
        }
        drop(kept);
        if !dropped.is_empty() {
            rayon::spawn(move || drop(dropped));
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: what is kept is kept for the whole program. Other tests keep much smaller pieces.
    #[test]
    fn memory_comes_back_and_stays_bounded() {
        let bytes = 300 << 20;
        let mut first = Memory::of(bytes);
        first[..9].fill(7);
        let place = first.as_ptr();
        drop(first);
        let second = Memory::of(bytes - 5);
        assert_eq!((second.len(), second.as_ptr()), (bytes - 5, place));
        assert_eq!(Memory::of(bytes).len(), bytes, "while the first is in use");
        drop(second);
        let kept = |least: usize| {
            let kept = KEPT.lock().unwrap();
            let sizes = kept.iter().map(Vec::capacity);
            (sizes.clone().sum::<usize>(), sizes.filter(|size| *size >= least).count())
        };
        for (count, piece) in [(6, KEPT_BYTES / 3), (2 * KEPT_PIECES, 1 << 20)] {
            drop((0..count).map(|_| Memory::of(piece)).collect::<Vec<_>>());
            assert!(kept(0).0 <= KEPT_BYTES && kept(0).1 <= KEPT_PIECES);
        }
        // What is too large, and what came from elsewhere.
        drop(Memory::of(KEPT_BYTES + 1));
        drop(Memory::from(vec![0; 900 << 20]));
        assert_eq!(kept(800 << 20).1, 0);
    }
}
