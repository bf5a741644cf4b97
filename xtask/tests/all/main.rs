//! The project's own commands, and rules of the project that they could not hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dependencies;
#[cfg(unix)]
mod signals;
