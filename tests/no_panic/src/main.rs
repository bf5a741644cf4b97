//! An image without a board: a device, a data party, a host and a dealer, which `cargo xtask test`
//! builds optimised, to find no panic in it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod image;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is an image for a board; `cargo xtask test` builds it and looks into it");
}
