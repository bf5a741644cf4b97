//! No line of Rust is longer than 100 columns, comments and strings included; rustfmt keeps to its
//! width only where it can.

use std::path::{Path, PathBuf};

use super::source::repository;

const COLUMNS: usize = 100;

/// All sources below a folder, without what was built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_line_is_longer_than_100_columns() {
    let (root, mut found) = (repository(), Vec::new());
    sources(&root, &mut found);
    assert!(found.len() > 300, "{} files", found.len());
    let mut long = String::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > COLUMNS {
                long += &format!("{}:{number}\n", path.strip_prefix(&root).unwrap().display());
            }
        }
    }
    assert!(long.is_empty(), "{long}");
}
