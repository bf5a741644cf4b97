//! Tests of the program `sharelet`, as one
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
mod answers;
mod bad_readings;
#[cfg(unix)]
mod docs;
mod doctor;
mod durable;
mod explain;
#[cfg(unix)]
mod fleet;
mod fleet_faults;
#[cfg(feature = "import")]
mod importing;
mod plot;
#[cfg(all(unix, feature = "import"))]
mod readme;
mod running;
mod serving;
mod sessions;
mod shared_store;
mod sharing;
mod strangers;
#[cfg(unix)]
mod terminal;
#[cfg(feature = "import")]
mod training;
mod training_faults;
