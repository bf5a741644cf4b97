#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod binding;
pub mod correlation;
pub mod cost;
pub mod fixed;
#[cfg(feature = "functions")]
pub mod functions;
pub mod gate;
pub mod keystream;
#[doc(hidden)]
pub mod opened;
pub mod ring;
pub mod session;
pub mod shape;
pub mod share;
pub mod step;
pub mod transport;

// What a device needs.
pub use fixed::{decode, encode_or_zero};
pub use keystream::Key;
pub use session::data_party::Query;
pub use session::network::Network;
pub use session::p0::{Identity, Policy, connect};
pub use session::wire::control::{Answer, DeviceId};
pub use session::wire::query::Recipient;
pub use session::wire::task::Task;
pub use session::{CounterError, SessionCounter, SessionError};
