//! Fits the piecewise polynomials of `sharelet_core::functions::tables`, and proves their bounds:
//! every word of every domain is compared with the function in double precision. `cargo xtask fit`
//! writes the files.

pub mod minimax;
pub mod plan;
pub mod reference;
pub mod table;
pub mod text;

pub use text::Source;

use std::path::PathBuf;

use anyhow::Result;

impl Source {
    /// Where the file belongs in this checkout.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/functions/tables"))
            .join(self.name)
            .with_extension("rs")
    }
}

/// All files, fitted and proven anew.
///
/// # Errors
/// If a table cannot be fitted, which is a mistake in its plan.
pub fn sources() -> Result<Vec<Source>> {
    plan::files(0).iter().map(text::source).collect()
}
