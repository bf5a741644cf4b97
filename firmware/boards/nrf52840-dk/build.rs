//! The memory map, and the script of the log where there is one.

#[path = "../memory_map.rs"]
mod memory_map;

fn main() {
    match std::env::var_os("CARGO_FEATURE_USB") {
        Some(_) => memory_map::link(&["-Tdefmt.x"]),
        None => memory_map::link(&[]),
    }
}
