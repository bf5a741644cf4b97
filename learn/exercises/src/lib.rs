//! Twelve tasks: `learn/exercises/README.md` says how to work on them.
//!
//! Each file is one task. Its head says what to write and how to know that it is right; the
//! functions below it end in `todo!()`. What they stand on is in [`given`]. The tests are in
//! `tests/tasks`, and fail until the task is solved.
#![allow(clippy::todo, unused_variables, reason = "what is to be done is done by the reader")]

pub mod given;

pub mod beaver_product;
pub mod colluding_dealer;
pub mod counter_reuse;
pub mod cut_into_digits;
pub mod find_the_leak;
pub mod layer_kind;
pub mod max_program;
pub mod price_a_network;
pub mod prove_a_bound;
pub mod share_and_open;
pub mod toy_compare;
pub mod truncation_error;
