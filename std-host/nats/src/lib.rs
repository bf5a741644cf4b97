//! State of hosts and dealers where many machines reach it: NATS JetStream as a
//! [`Store`](sharelet_host::store::engine::Store).
//!
//! All machines that run one party, a host or a dealer, have its identity and use one store.
//! Numbers are claimed by compare-and-set on a key-value bucket; corrections and masked models lie
//! in a stream beside it. The account that may write to the store is trusted to keep what is
//! newest, and with nothing else: see `docs/threat-model.md`.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use sharelet_host::store::host::HostStore;
//! use sharelet_host::store::identity::Own;
//! use sharelet_nats::{Access, Nats};
//!
//! let own = Own::load(Path::new("hall-2.id"))?;
//! let access = Access::new("nats://127.0.0.1:4222")?;
//! let store = Nats::open(&access, &own, Some(Path::new("host-state")))?;
//! let store = HostStore::shared(Arc::new(store));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod access;
mod blobs;
mod bridge;
mod error;
mod names;
mod seal;
mod store;

pub use self::access::Access;
pub use self::error::NatsError;
pub use self::store::{Made, Nats, Room, make};
