//! One of two servers that do not collude.

pub mod training;
pub mod upload;
