//! Puts the memory map where the linker looks for it. The arguments suit both `rust-lld` and
//! `arm-none-eabi-ld`.

use std::{env, fs, path::PathBuf};

/// The memory map, and these arguments beside the usual.
pub fn link(arguments: &[&str]) {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::copy("memory.x", out.join("memory.x")) {
        println!("cargo:error=memory.x cannot be copied to {}: {error}", out.display());
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory.x");
    for argument in ["--nmagic", "-Tlink.x"].iter().chain(arguments) {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
