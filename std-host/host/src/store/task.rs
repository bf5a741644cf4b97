//! Task files: what a data party and server 0 know of a model.

use std::fs;
use std::path::Path;

use sharelet_core::session::wire::task::Task;

use super::error::StoreError;
use sharelet_link::files::{FileError, write_file};

/// Reads a task file.
///
/// # Errors
/// [`StoreError::File`] and [`StoreError::Task`].
pub fn load(path: &Path) -> Result<Task, StoreError> {
    let bytes = fs::read(path).map_err(FileError::at(path))?;
    Task::of_either_ring(&bytes)
        .map_err(|source| StoreError::Task { path: path.to_owned(), source })
}

/// Writes a task file.
///
/// # Errors
/// [`StoreError::File`].
pub fn save(task: &Task, path: &Path) -> Result<(), StoreError> {
    Ok(write_file(path, &[&task.to_bytes()])?)
}
