//! Tests of the readers, the layers and the scales, as one
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

mod activations;
mod columns;
mod constants;
mod export;
mod faults;
mod flat;
mod formats;
mod forms;
mod large;
mod layers;
mod levels;

mod operators;
mod opsets;
mod pipelines;
mod products;
mod quantise;
mod quantised;
mod random;
mod readers;
mod recurrent;
