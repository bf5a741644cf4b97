//! The same for the program that watches.

extern crate std;

use crate::ring::Ring;

/// Who is told of such a word, and gives it back.
pub static WATCH: std::sync::OnceLock<fn(u64) -> u64> = std::sync::OnceLock::new();

/// The same word, which anybody may know from here on.
pub fn opened<R: Ring>(word: R) -> R {
    WATCH.get().map_or(word, |watch| R::from_u64(watch(word.to_u64())))
}
