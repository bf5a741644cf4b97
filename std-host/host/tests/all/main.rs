//! Tests of dealer, host, device, servers, owners, as one
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
mod attacks;
mod bad_input;
mod bad_readings;
mod columns;
mod data_tables;
mod queries;
mod reference;
mod services;
mod shared_models;
mod standardised;
mod stopped;
mod strangers;
mod training;
mod training_refusals;
mod upload;
