//! Private inference between two parties who are alone: a device with a reading, `P0`, and a host
//! with a private model, `P1`; or two servers, who hold shares of the reading. No dealer.
//!
//! ```text
//! before the input is known
//!   layers    masks of what each layer takes, encrypted; multiplied by private weights (`rlwe`)
//!   batch     the same for 4,096 inferences at once, for a store
//!   network   what the gates spend: records and labels by oblivious transfer (`prepare`)
//!   session   both, for some inferences at once: four messages
//!   half      what a party has then: spent by value, once
//! online
//!   online    the masked input, and the gates one after the other
//!   gate      comparison, truncation and the next layer's input in two messages each way
//!   rows      words that a party reads by bits which both share
//! ```
//!
//! The answer is bit for bit that of the network's twin.
//!
//! # Security
//!
//! Semi-honest parties. The transfers catch a party that cheats in them. What a `P0` or `P1` that
//! deviates elsewhere could learn is said in `sharelet_rlwe`.

mod batch;
pub mod error;
pub mod filling;
mod gate;
pub mod half;
mod layers;
mod network;
pub mod online;
mod rows;
pub mod session;
pub mod task;

pub use error::AloneError;
pub use filling::{Filling, FillingP0, FillingP1};
pub use half::Half;
pub use network::Network;
pub use session::{P0, P1};
pub use sharelet_rlwe::batch::SLOTS;
pub use task::Task;
