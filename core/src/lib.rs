#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod correlation;
pub mod cost;
pub mod fixed;
#[cfg(feature = "functions")]
pub mod functions;
pub mod gate;
pub mod keystream;
pub mod ring;
pub mod session;
pub mod shape;
pub mod share;
pub mod step;
pub mod transport;
