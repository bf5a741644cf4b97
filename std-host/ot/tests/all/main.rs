//! Base OTs and their extension from outside, both parties in one thread: a module's name selects
//! its tests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss
)]

mod base;
mod damaged;
mod opened;
mod parties;
mod redacted;
mod silent;
