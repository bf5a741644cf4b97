//! The PC's side of sharelet.

pub mod cli;
#[cfg(feature = "import")]
pub mod import;
pub mod model;
pub mod readings;
