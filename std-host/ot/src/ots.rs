//! Random OTs: what an extension has at its end, of either kind.
//!
//! Both parties keep correlated rows: with the sender's secret `D`, a row of the sender is that of
//! the receiver, `^ D` where the choice is 1. They are hashed where they are read, so that an OT
//! takes 16 bytes.

mod range;
mod received;
mod sent;

pub use received::Received;
pub use sent::Sent;
