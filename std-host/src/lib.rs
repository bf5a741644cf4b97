//! The PC's side of sharelet.

pub mod cli;
pub mod console;
pub mod data;
pub mod dealer;
pub mod device;
pub mod host;
#[cfg(feature = "import")]
pub mod import;
pub mod kernel;
pub mod link;
pub mod model;
pub mod plot;
pub mod readings;
pub mod server;
pub mod store;
pub mod tensor;
pub mod train;
