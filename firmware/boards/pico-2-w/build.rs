//! Memory map and radio.

#[path = "../pico_build.rs"]
mod pico_build;

fn main() {
    pico_build::main(&[]);
}
