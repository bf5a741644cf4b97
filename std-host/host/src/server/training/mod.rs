//! A training run between two servers.
//!
//! [`wire`] is what they say to each other before they begin, `meeting` how they find each other,
//! [`supply`] where a server's
//! correlations come from, [`resume`] what it goes on from, [`run`] the run.

mod error;
mod meeting;
pub mod resume;
pub mod run;
pub mod supply;
mod together;
pub mod wire;
