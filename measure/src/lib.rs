//! Measures the core's functions: the largest error against double precision, messages, bytes, and
//! how many a PC does in a second. `cargo xtask bench functions` runs it.

pub mod about;
pub mod errors;
pub mod exact;
pub mod function;
pub mod inputs;
pub mod others;
pub mod page;
pub mod parties;
pub mod report;
pub mod run;
