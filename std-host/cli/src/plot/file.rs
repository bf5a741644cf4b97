//! Charts as files.

use std::path::Path;

use sharelet_link::files::{FileError, write_public_file};

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The picture cannot be made.
    #[error("the chart cannot be drawn: {0}; leave out the option that asks for it")]
    Draw(String),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

pub(super) fn save(path: &Path, document: &str) -> Result<(), PlotError> {
    Ok(write_public_file(path, &[document.as_bytes()])?)
}
