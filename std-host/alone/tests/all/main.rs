//! Private inference between two parties who are alone, as one program: a module's name selects its
//! tests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod exact;
mod parties;
mod privacy;
mod refusals;
