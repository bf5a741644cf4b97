//! What a device keeps: pages bit by bit, counters over every cut of the power.
//!
//! Randomness has a seed that is printed; `SHARELET_SEED` repeats one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

mod chip;
mod counter;
mod page;
mod ratchets;
