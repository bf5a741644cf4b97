#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod correlation;
pub mod cost;
pub mod engine;
pub mod fixed;
pub mod function;
pub mod keystream;
pub mod network;
pub mod program;
pub mod protocol;
pub mod ring;
pub mod session;
pub mod shape;
pub mod share;
pub mod transport;
pub mod wire;
