//! The native half of `sharelet` for Python. Arrays come and go as little-endian bytes: shapes,
//! types and everything else of numpy's are the business of the other half, `sharelet/*.py`.
//!
//! Nothing here holds the interpreter's lock while it works, and no panic gets through:
//! [`work::interruptible`] sees to both.

mod arrays;
mod device;
mod errors;
mod loopback;
mod model;
mod program;
mod share;
mod table;
mod train;
mod work;

use pyo3::prelude::*;

/// The native half of `sharelet`.
#[pymodule]
fn _sharelet(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_class::<loopback::Loopback>()?;
    module.add_function(wrap_pyfunction!(model::import_model, module)?)?;
    module.add_function(wrap_pyfunction!(device::infer, module)?)?;
    module.add_function(wrap_pyfunction!(share::share, module)?)?;
    module.add_function(wrap_pyfunction!(train::train_plain, module)?)?;
    module.add_function(wrap_pyfunction!(program::program, module)?)
}
