//! Files and folders, with errors that name them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Makes a folder, unless it is there.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))
}

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Writes a file, and its folder if there is none.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    path.parent().map_or(Ok(()), create_folder)?;
    fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

/// The last part of a path, to be shown.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
