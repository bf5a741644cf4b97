//! Puts the core's memory map where the linker looks for it, and the vectors' bytes into the
//! program.

use std::{env, fs, path::PathBuf};

const VECTORS: &str = "../../../tests/vectors/v6";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    let map = if arm { "microbit.x" } else { "virt.x" };
    if let Err(error) = fs::copy(map, out.join("memory.x")) {
        println!("cargo:error={map} cannot be copied to {}: {error}", out.display());
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed={map}");
    let scripts: &[&str] =
        if arm { &["--nmagic", "-Tlink.x"] } else { &["-Tmemory.x", "-Tlink.x"] };
    for argument in scripts {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    for name in ["session_device", "session_host"] {
        let path = format!("{VECTORS}/{name}.hex");
        println!("cargo:rerun-if-changed={path}");
        let bytes = fs::read_to_string(&path).map_err(|error| error.to_string());
        let written = bytes.and_then(|text| bytes_of(&text)).and_then(|bytes| {
            fs::write(out.join(format!("{name}.bin")), bytes).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            println!("cargo:error={path}: {error}");
        }
    }
}

/// The bytes of a file of vectors: lines of hexadecimal digits, and of what begins with `#`.
fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.trim().bytes())
        .collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = core::str::from_utf8(pair).map_err(|error| error.to_string())?;
            u8::from_str_radix(pair, 16).map_err(|error| format!("`{pair}`: {error}"))
        })
        .collect()
}
