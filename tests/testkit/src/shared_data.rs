//! Public networks and inputs, which lie beside the repository.

use std::path::PathBuf;

/// Their folder; a line is printed where it is missing. `SHARELET_DATA` names another.
pub fn shared_data() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SHARELET_DATA").map_or(root, PathBuf::from);
    if folder.join("README.md").exists() {
        return Some(folder);
    }
    println!("skipped: no networks in {}; set SHARELET_DATA to their folder", folder.display());
    None
}
