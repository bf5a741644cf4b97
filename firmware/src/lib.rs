//! The device side of sharelet on `embassy-net`: connect, prepare while idle, infer on demand.
//!
//! A board brings a network stack and five small things ([`board`]): a sensor, a key store, a session counter, a sink
//! for answers and, if figures are wanted, an instruction meter. [`device::Device::run`] does the rest: it connects,
//! reconnects with growing pauses, takes a session number, shakes hands, prepares, waits for a reading, infers.
//!
//! Nothing here panics on a byte from the peer, allocates, or waits for ever. The link is plaintext: the shares on it
//! are one-time padded, but nobody is authenticated; use a network you trust.
#![no_std]
#![forbid(unsafe_code)]

pub mod board;
pub mod counter;
pub mod device;
pub mod key;
mod stream;
