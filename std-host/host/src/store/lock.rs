//! One process at a time.

use std::fs::{self, File};
use std::path::Path;

use sharelet_link::files::{FileError, private_file};

use super::error::StoreError;

/// A lock file that is held while the value lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else has it, which is never for long.
    pub(super) fn wait(path: &Path) -> Result<Self, FileError> {
        let file = private_file().open(path).map_err(FileError::at(path))?;
        file.lock().map_err(FileError::at(path))?;
        Ok(Self { _file: file })
    }

    /// Takes it if nobody else has it: `of` is what it protects.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub(super) fn take(path: &Path, of: &Path) -> Result<Self, StoreError> {
        let file = private_file().open(path).map_err(FileError::at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: of.to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(FileError::at(path)(error).into()),
        }
    }
}
