//! Inference with a model that is shared between both servers, in `Z_2^64`: what training leaves
//! can be served at once.
//!
//! Server 0 keeps lanes to server 1. On each the servers agree on a chunk of session numbers, open
//! the weights once under masks in the first of them, and spend each of the others on one query:
//! [`train::step::Evaluate`](sharelet_train::step::Evaluate) of one sample. [`model`] is a server's
//! share, [`wire`] what they say beside the sessions, [`asking`] how a query is named without a
//! message of its own, [`party0`] and [`party1`] the servers.

pub mod asking;
pub mod model;
pub mod party0;
pub mod party1;
pub mod wire;
