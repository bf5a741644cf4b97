//! A device and a host without a third machine: what they say to each other, and what they keep.
//!
//! The device is a program on a PC: encryption and oblivious transfers do not fit a
//! microcontroller, which hands its reading to two servers instead ([`server`](crate::server)).
//!
//! [`wire`] has the messages, `link` and `filling` what both sides do alike, [`host`] serves its
//! [`served`] models, and [`client`] asks. What lanes of servers have [`taken`] out of a store is
//! one room further. The arithmetic is in `sharelet_alone`.

pub mod client;
pub mod error;
mod filling;
pub mod host;
pub(crate) mod link;
pub mod served;
pub mod taken;
pub mod wire;

pub use error::AloneError;
