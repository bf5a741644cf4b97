//! The whole script of a board that logs with `defmt`.

#[path = "memory_map.rs"]
mod memory_map;

fn main() {
    memory_map::link(&["-Tdefmt.x"]);
}
