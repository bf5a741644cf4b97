//! Where a word that was computed from secrets becomes public, because it is sent or told.
//!
//! That changes nothing. A program that looks for branches and addresses that depend on secrets
//! (`tests/constant_time`) is compiled with `--cfg watch_secrets`, and hears here of the words that
//! may decide them.

#[cfg(watch_secrets)]
extern crate std;

use crate::ring::Ring;

/// Who is told of such a word, and gives it back.
#[cfg(watch_secrets)]
pub static WATCH: std::sync::OnceLock<fn(u64) -> u64> = std::sync::OnceLock::new();

/// The same word, which anybody may know from here on.
#[cfg(not(watch_secrets))]
#[inline(always)]
pub fn opened<R: Ring>(word: R) -> R {
    word
}

/// The same word, which anybody may know from here on.
#[cfg(watch_secrets)]
pub fn opened<R: Ring>(word: R) -> R {
    WATCH.get().map_or(word, |watch| R::from_u64(watch(word.to_u64())))
}
