//! Prepares what is missing: the emulator, compilers for the boards, the programs.

mod apt;
mod nats;
mod programs;
mod toolchain;
mod work;

pub use apt::Packages;
pub use nats::SERVER as NATS_SERVER;
pub use toolchain::Toolchain;
pub use work::{BUILD_LIMIT, INSTALL_LIMIT, Setup};
