#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod counter;
mod error;
mod log;
pub mod page;
pub mod ratchets;

pub use error::StoreError;
pub use log::Sectors;
