//! Key pages for boards, as files: `sharelet_flash::page` has their bytes.

use std::path::Path;

use sharelet_flash::page::KeyPage;
use sharelet_link::files::write_file;

use super::error::StoreError;

/// Writes a page, readable by its owner alone.
///
/// # Errors
/// [`StoreError::File`].
pub fn save(page: &KeyPage, path: &Path) -> Result<(), StoreError> {
    Ok(write_file(path, &[&*page.to_bytes()])?)
}
