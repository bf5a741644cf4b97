#![cfg_attr(feature = "x25519", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "x25519"), doc = "A secure channel under a provisioned key.")]
#![no_std]
#![forbid(unsafe_code)]

mod accept;
mod channel;
mod cipher;
mod connect;
mod error;
#[cfg(feature = "x25519")]
mod fingerprint;
mod handshake;
mod hello;
mod io;
#[cfg(feature = "x25519")]
mod key;
#[cfg(feature = "x25519")]
mod noise;
#[cfg(feature = "x25519")]
mod pairing;
mod party;
mod pins;
mod ratchet;
mod record;
pub mod serial;
mod symmetric;

pub use accept::{Accepted, accept, refuse};
pub use channel::{Channel, Halves, Opener, Sealer};
pub use cipher::{Keys, REKEY_RECORDS, TAG_BYTES};
#[cfg(feature = "x25519")]
pub use connect::connect;
pub use connect::{Connected, connect_psk};
pub use error::{Error, Reason, VERSION};
#[cfg(feature = "x25519")]
pub use fingerprint::Fingerprint;
pub use hello::Pattern;
#[cfg(feature = "x25519")]
pub use key::{PairingKey, Pin, PublicKey, RESUMPTION_BYTES, Resumption, ResumptionId, StaticKey};
#[cfg(feature = "x25519")]
pub use pairing::LowOrder;
pub use party::{PARTY_BYTES, Party, Role};
pub use pins::{Identity, NotStored, Pins};
pub use ratchet::{
    ConnectionKey, HelloKey, KeyName, RATCHET_BYTES, Ratchet, STEPS_AT_ONCE, advance_key,
};
pub use record::MAX_RECORD_BYTES;
