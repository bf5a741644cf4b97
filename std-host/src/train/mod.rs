//! Training on shared data.

pub mod network;
