//! Training on shared data.

pub mod config;
mod draw;
pub mod float;
pub mod initial;
pub mod network;
pub mod parameters;
pub mod scale;
pub mod schedule;
