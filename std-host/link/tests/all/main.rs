//! Tests of the emulated line, of services and of sealed connections, as one
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

mod limits;
mod sealed;
mod wan;
