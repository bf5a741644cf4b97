//! Functions of one variable, as tables that a protocol can look up in.

pub mod spline;
pub mod tables;
