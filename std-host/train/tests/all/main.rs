//! Tests of the kernel, the configuration, and the programs of a step, as one
//! program: a module's name selects its tests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

mod alone;
mod config;
mod float;
mod kernel;
mod normalise;
mod private;
mod room;
mod schedule;
