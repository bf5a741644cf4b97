//! What the tests of all crates share: seeds, statistics, vector files, parties that can be fed any
//! bytes, rooms of services and of programs, graphs and files made by hand.
//!
//! Everything random here comes from a fixed seed, or from one that is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::std_instead_of_core,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

pub mod asserting;
pub mod chi_square;
pub mod frames;
pub mod graphs;
pub mod hex;
pub mod model;
pub mod nats;
pub mod onnx;
pub mod outsource;
pub mod owners;
pub mod party;
pub mod pipe;
pub mod processes;
pub mod programs;
pub mod room;
pub mod sealed;
pub mod seed;
pub mod shared_data;
pub mod steps;
pub mod tflite;
pub mod training;

pub use asserting::{begins, says};
pub use seed::{Rng, printed_seed, rng, seed};
pub use shared_data::shared_data;
