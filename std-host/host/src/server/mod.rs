//! One of two servers that do not collude.
//!
//! Inference on inputs of which each holds a share: [`queries`] is what data parties and consoles
//! see, the same for either party; it asks an [`evaluator`]. With a model that server 1 owns these
//! are [`party0`] and [`party1`], between which the session of a device and a host runs, prepared
//! ahead, or [`alone`] without a dealer; a model that both servers share is in [`shared`]. Data for
//! training comes by [`upload`](crate::upload); [`training`] computes with it.

pub mod accepted;
pub mod alone;
pub mod console_queue;
pub mod evaluator;
pub mod lane;
pub mod pairing;
pub mod party0;
pub mod party1;
pub mod peer;
pub mod pool;
pub mod queries;
pub mod replays;
pub mod session_numbers;
pub mod shared;
pub mod together;
pub mod training;
