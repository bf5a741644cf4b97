//! The chip's linker script.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
    for variable in ["SHARELET_HOST", "WIFI_NETWORK", "WIFI_PASSWORD"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
}
