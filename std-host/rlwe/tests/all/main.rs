//! Both parties of each use against plain products, and what is refused, as one program: a module's
//! name selects its tests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod batch;
mod keys;
mod matrix;
mod opened;
mod refusals;
mod seen;
mod weights;
