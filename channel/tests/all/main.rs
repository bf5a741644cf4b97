//! Channels between two parties in one thread: handshakes, records, faults, sizes, vectors.
//!
//! Randomness has a seed that is printed; `SHARELET_SEED` repeats one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]
#![cfg_attr(not(feature = "x25519"), allow(dead_code))]

#[cfg(feature = "x25519")]
mod faults;
#[cfg(feature = "x25519")]
mod handshakes;
#[cfg(feature = "x25519")]
mod pairing;
mod pipe;
mod psk;
#[cfg(feature = "x25519")]
mod records;
#[cfg(feature = "x25519")]
mod resumption;
#[cfg(feature = "x25519")]
mod sizes;
#[cfg(feature = "x25519")]
mod vectors;
mod world;
