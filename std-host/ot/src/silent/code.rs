//! The code: of each row the sum of [`ENTRIES`] rows that a public key names.

use core::ops::BitXor;

use super::shape::{CODE_ROWS, ENTRIES, Keys};
use crate::block::Bytes;
use crate::stream::{Stream, counters};

/// Rows at a time.
const BATCH: usize = 64;

/// Blocks of the key's stream for that: four bytes an entry.
const BLOCKS: usize = BATCH * ENTRIES * 4 / 16;

/// The code of one call.
pub struct Code(Stream);

impl Code {
    /// Under the keys of a call.
    pub fn new(keys: Keys) -> Self {
        Self(Stream::new(keys.of("sharelet-ot silent code")))
    }

    /// Calls `row` with each row's place and entries, which are below [`CODE_ROWS`] and public.
    #[inline]
    fn each(&self, rows: usize, mut row: impl FnMut(usize, &[usize; ENTRIES])) {
        let (mut places, mut blocks) = ([Bytes::default(); BLOCKS], [Bytes::default(); BLOCKS]);
        for first in (0..rows).step_by(BATCH) {
            counters((first / BATCH * BLOCKS) as u64, &mut places);
            self.0.read(&places, &mut blocks);
            let words = Bytes::cast_slice_to_core(&blocks).as_flattened().as_chunks().0;
            for (place, words) in (first..rows).zip(words.as_chunks().0) {
                row(place, &words.map(entry));
            }
        }
    }

    /// Adds the code's rows, blocks or bits.
    pub fn add<T: Copy + BitXor<Output = T>>(&self, from: &[T], to: &mut [T]) {
        let Some(from) = from.first_chunk::<CODE_ROWS>() else { return };
        self.each(to.len(), |place, entries| {
            to[place] = entries.iter().fold(to[place], |sum, entry| sum ^ from[*entry]);
        });
    }
}

/// An entry of four bytes: even but for one part in 7000.
#[allow(clippy::cast_possible_truncation)]
fn entry(bytes: [u8; 4]) -> usize {
    ((u64::from(u32::from_le_bytes(bytes)) * CODE_ROWS as u64) >> 32) as usize
}
