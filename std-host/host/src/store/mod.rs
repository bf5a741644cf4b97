//! What survives a power cut: the only room that writes state.
//!
//! What hosts and dealers keep is a [`engine::Store`]. On one machine it is a state directory,
//! which belongs to one process at a time. Counters and seeds are in a `redb` database, whose
//! commits are durable; keys, masked models and spooled corrections are files that are written
//! beside their destination, synced and renamed, and carry a checksum. What is made here is
//! readable by its owner alone.

pub mod counter;
pub mod datasets;
pub mod dealer;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod halves;
pub mod host;
pub mod identity;
pub mod kept;
pub mod key;
pub mod keys;
mod lock;
pub mod page;
pub mod peers;
pub mod spent;
pub mod spool;
mod state;
pub mod task;
pub mod training;
pub mod witness;

pub use self::error::StoreError;
