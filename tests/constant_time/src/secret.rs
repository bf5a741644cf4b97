//! What is secret, and what becomes public; told to valgrind.

use core::convert::Infallible;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};

#[cfg(watch_secrets)]
mod valgrind {
    use crabgrind::memcheck::{MemState, mark_mem};

    fn mark_bytes(first: *mut core::ffi::c_void, bytes: usize, state: MemState) {
        // What it answers tells nothing; that marks work, `constant-time leaks` shows.
        let _ = mark_mem(first, bytes, state);
    }

    pub fn mark<T>(words: &mut [T], secret: bool) {
        let state = if secret { MemState::Undefined } else { MemState::Defined };
        mark_bytes(words.as_mut_ptr().cast(), size_of_val(words), state);
    }

    pub fn mark_sent(bytes: &[u8]) {
        mark_bytes(bytes.as_ptr().cast_mut().cast(), bytes.len(), MemState::Defined);
    }

    pub fn runs() -> bool {
        !matches!(crabgrind::run_mode(), crabgrind::RunMode::Native)
    }

    pub fn reports() -> usize {
        crabgrind::count_errors()
    }
}

#[cfg(not(watch_secrets))]
mod valgrind {
    pub fn mark<T>(_: &mut [T], _: bool) {}

    pub fn mark_sent(_: &[u8]) {}

    pub fn runs() -> bool {
        false
    }

    pub fn reports() -> usize {
        0
    }
}

pub use valgrind::reports;

/// Whether valgrind watches. It is then told of what the core opens, too.
pub fn watched() -> bool {
    #[cfg(watch_secrets)]
    sharelet_core::opened::check::WATCH.get_or_init(|| |word| public([word])[0]);
    valgrind::runs()
}

/// These words are secret from here on.
pub fn secret<T, W: AsMut<[T]>>(mut words: W) -> W {
    valgrind::mark(words.as_mut(), true);
    words
}

/// Anybody may know these words from here on. Whoever calls says why.
pub fn public<T, W: AsMut<[T]>>(mut words: W) -> W {
    valgrind::mark(words.as_mut(), false);
    words
}

/// Anybody may know these bytes, where they lie: what was sent is public for who sent it, too.
pub fn sent(bytes: &[u8]) {
    valgrind::mark_sent(bytes);
}

/// A generator whose numbers are all secret.
pub struct Secrets(ChaCha12Rng);

impl Secrets {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// A secret key.
    pub fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.0.fill_bytes(&mut key);
        secret(key)
    }

    /// So many secret words.
    pub fn words(&mut self, count: usize) -> Vec<u32> {
        secret((0..count).map(|_| self.0.next_u32()).collect())
    }
}

impl TryRng for Secrets {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(secret([self.0.next_u32()])[0])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(secret([self.0.next_u64()])[0])
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        secret(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Secrets {}
