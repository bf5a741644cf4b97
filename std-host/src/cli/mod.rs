//! The commands of `sharelet`, one file each.

#[cfg(feature = "import")]
pub mod import;
pub mod twin;
