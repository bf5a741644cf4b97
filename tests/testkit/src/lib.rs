//! What the tests across crates share: parties that can be fed any bytes, statistics, and readers
//! of sources and vectors.
//!
//! Everything random here comes from a fixed seed, or from one that is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::std_instead_of_core
)]

pub mod chi_square;
pub mod delay;
pub mod frames;
pub mod hex;

pub mod model;
pub mod outsource;
pub mod party;
pub mod pipe;
pub mod processes;
pub mod programs;
pub mod steps;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

/// The generator that `seed` stands for.
#[must_use]
pub fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// A seed that differs from run to run and is printed.
#[must_use]
pub fn printed_seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    let seed = u64::try_from(now & u128::from(u64::MAX)).expect("masked");
    println!("seed {seed}");
    seed
}
