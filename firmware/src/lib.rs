//! The device side of sharelet, over any transport.
//!
//! A board brings a network stack, its key page and counter (of the crate `sharelet-flash`), and
//! small things of its own ([`board`]): a sensor, a source of random bytes, a sink for answers and,
//! if figures are wanted, an instruction meter. Two programs run on them, each behind a feature:
//!
//! * `device` (default): the device of a session with a host. It connects, reconnects with growing
//!   pauses, takes a session number, shakes hands, prepares, waits for a reading, infers.
//! * `data-party`: the data party of two servers. It waits for a reading, sends a packet to each
//!   server, adds up two answers.
//!
//! Every connection is a secure channel (of the crate `sharelet-channel`) to a peer that the key
//! page knows. With the feature `insecure-plaintext` there is none, and every line of the log says
//! so.
//!
//! Nothing here panics on a byte from the peer, allocates, or waits for ever.
// A program without either takes the board's traits alone.
#![cfg_attr(
    not(any(feature = "device", feature = "data-party")),
    allow(dead_code, unused_imports, unused_macros)
)]
#![no_std]
#![forbid(unsafe_code)]

pub mod board;
pub mod connector;
#[cfg(feature = "data-party")]
pub mod data_party;
#[cfg(feature = "device")]
pub mod device;
pub mod link;
mod log;
pub mod nal;
#[cfg(not(feature = "insecure-plaintext"))]
mod random;
pub mod serial;
#[cfg(feature = "embassy-net")]
pub mod tcp;

pub use sharelet_channel as channel;
pub use sharelet_flash as flash;
