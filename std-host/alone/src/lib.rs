//! Private inference between two parties who are alone: a device with a reading, `P0`, and a host
//! with a private model, `P1`; or two servers, who hold shares of the reading. No dealer.
//!
//! ```text
//! before the input is known
//!   layers    masks of what each layer takes, encrypted; multiplied by private weights (`rlwe`)
//!   batch     the same for 4,096 inferences at once, for a store
//!   network   the gates as a program of the core; its records by oblivious transfer (`prepare`)
//!   session   both, for some inferences at once: four messages each way
//!   half      what a party has then: spent by value, once
//! online
//!   online    a message per layer, and the gates on the parties' own shares
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
pub mod half;
mod layers;
mod network;
pub mod online;
pub mod session;
pub mod task;

pub use error::AloneError;
pub use half::Half;
pub use network::Network;
pub use session::{P0, P1};
pub use sharelet_rlwe::batch::SLOTS;
pub use task::Task;
