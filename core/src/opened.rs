//! Where a word that was computed from secrets becomes public, because it is sent or told.
//!
//! That changes nothing. A program that looks for branches and addresses that depend on secrets
//! (`tests/constant_time`) is compiled with `--cfg watch_secrets`, and hears here of the words that
//! may decide them.

#[cfg(watch_secrets)]
pub mod check;
#[cfg(watch_secrets)]
pub use check::opened;

/// The same word, which anybody may know from here on.
#[cfg(not(watch_secrets))]
#[inline(always)]
pub fn opened<R: crate::ring::Ring>(word: R) -> R {
    word
}
