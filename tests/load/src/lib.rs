//! The programs `sharelet dealer`, `host`, `server` and `train` as they are run: under the load of
//! many devices, hostile ones among them; and killed at any moment.
//!
//! [`load`], [`fleet`], [`kills`], [`claims`] and [`shared`] are measured by `cargo xtask bench`.
//! Small runs of the first and of kills are tests of the command line; one of claims is a test of
//! this crate.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::std_instead_of_core,
    reason = "what cannot be set up ends the measurement"
)]

pub mod claims;
pub mod figure;
pub mod fleet;
mod honest;
mod hostile;
pub mod kills;
pub mod load;
mod memory;
mod services;
pub mod shared;
mod tally;
