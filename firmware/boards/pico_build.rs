//! Puts the memory map where the linker looks for it, and the radio's firmware into the program.
//!
//! The firmware is the chip maker's, and not part of this project: `43439A0.bin`,
//! `43439A0_clm.bin` and `nvram_rp2040.bin` from `cyw43-firmware` in the repository of embassy.
//! `CYW43_FIRMWARE` names the folder that they are in. Without it the program builds, says at its
//! start what is missing, and ends.

use std::{env, fs, path::PathBuf};

#[path = "memory_map.rs"]
mod memory_map;

const BLOBS: [(&str, &str); 3] =
    [("FIRMWARE", "43439A0.bin"), ("NVRAM", "nvram_rp2040.bin"), ("CLM", "43439A0_clm.bin")];

/// The script, with what the chip's linker needs beside the usual.
pub fn main(scripts: &[&str]) {
    memory_map::link(&[&["-Tdefmt.x"], scripts].concat());
    for variable in ["CYW43_FIRMWARE", "SHARELET_HOST", "WIFI_NETWORK", "WIFI_PASSWORD"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let folder = env::var_os("CYW43_FIRMWARE").map(PathBuf::from);
    let mut statics = String::new();
    for (name, file) in BLOBS {
        let bytes = match &folder {
            Some(folder) => {
                let path = folder.join(file);
                println!("cargo:rerun-if-changed={}", path.display());
                fs::read(&path).unwrap_or_else(|error| {
                    println!("cargo:error=CYW43_FIRMWARE: {}: {error}", path.display());
                    Vec::new()
                })
            }
            None => Vec::new(),
        };
        if let Err(error) = fs::write(out.join(file), bytes) {
            println!("cargo:error={file} cannot be written: {error}");
        }
        statics.push_str(&format!(
            "static {name}: &Aligned<A4, [u8]> =\n    \
             &Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")));\n"
        ));
    }
    if let Err(error) = fs::write(out.join("blobs.rs"), statics) {
        println!("cargo:error=blobs.rs cannot be written: {error}");
    }
}
