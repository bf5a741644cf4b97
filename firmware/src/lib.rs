//! The device side of sharelet on `embassy-net`.
//!
//! A board brings a network stack and five small things ([`board`]): a sensor, a key store, a
//! session counter, a sink for answers and, if figures are wanted, an instruction meter. Two
//! programs run on them, each behind a feature:
//!
//! * `device` (default): the device of a session with a host. It connects, reconnects with growing
//!   pauses, takes a session number, shakes hands, prepares, waits for a reading, infers.
//! * `data-party`: the data party of two servers. It waits for a reading, sends a packet to each
//!   server, adds up two answers.
//!
//! Nothing here panics on a byte from the peer, allocates, or waits for ever. The link is
//! plaintext: the shares on it are one-time padded, but nobody is authenticated; use a network you
//! trust.
#![no_std]
#![forbid(unsafe_code)]

pub mod board;
pub mod counter;
#[cfg(feature = "data-party")]
pub mod data_party;
#[cfg(feature = "device")]
pub mod device;
pub mod key;
#[cfg(any(feature = "data-party", feature = "device"))]
mod stream;
