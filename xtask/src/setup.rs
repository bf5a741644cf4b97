//! Prepares what is missing: the emulator, compilers for the boards, the programs.

mod apt;
mod programs;
mod toolchain;
mod work;

pub use toolchain::Toolchain;
pub use work::{BUILD_LIMIT, INSTALL_LIMIT, Setup};
