//! The program `sharelet`, as the wheel brings it.

use std::ffi::OsString;
use std::panic::catch_unwind;

use pyo3::prelude::*;

/// The exit code of a program of Rust that made a mistake itself.
const PANICKED: u8 = 101;

/// Runs the program and returns its exit code; for a process that does nothing else.
#[pyfunction]
pub fn program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    let run = || catch_unwind(|| sharelet_cli::program(arguments, std::env::vars_os()));
    py.detach(run).unwrap_or(PANICKED)
}
