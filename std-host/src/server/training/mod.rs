//! A training run between two servers.
//!
//! [`wire`] is what they say to each other before they begin, [`supply`] where a server's correlations come from, [`run`] the run.

pub mod run;
pub mod supply;
pub mod wire;
