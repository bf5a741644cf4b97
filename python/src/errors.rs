//! The exceptions of `sharelet/errors.py`, with the sentences of the program.

use core::fmt::Display;

use pyo3::PyErr;

mod python {
    pyo3::import_exception!(sharelet.errors, Error);
    pyo3::import_exception!(sharelet.errors, InputError);
}

/// What was given cannot be used: `sharelet.InputError`, which is a `ValueError`.
pub fn input(error: impl Display) -> PyErr {
    python::InputError::new_err(error.to_string())
}

/// Something else went wrong, such as a connection or a disk: `sharelet.Error`.
pub fn failed(error: impl Display) -> PyErr {
    python::Error::new_err(error.to_string())
}
