//! Bytes to begin with: the files of `tests/vectors`, and those of the corpus.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of the repository.
#[must_use]
pub fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// All files in a folder, in the order of their names; none if there is no such folder.
#[must_use]
pub fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

/// The bytes of all vectors of a wire format: in folders that begin with its name, and end in a
/// version.
#[must_use]
pub fn vectors(name: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder("tests/vectors")).into_iter().flatten().flatten();
    let is_version = |path: &Path| {
        let folder = path.file_name().and_then(|folder| folder.to_str()).unwrap_or_default();
        folder.strip_prefix(name).is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let folders = entries.map(|entry| entry.path()).filter(|path| is_version(path));
    let texts = folders.flat_map(|folder| files(&folder));
    let vectors: Vec<_> = texts.map(|text| of_hex(&String::from_utf8_lossy(&text))).collect();
    assert!(!vectors.is_empty(), "{name} has moved");
    vectors
}

/// Hexadecimal digits in lines, with comments after `#`.
fn of_hex(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<u8> =
        lines.flat_map(str::chars).filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

/// `bytes` with another one before them, which says what they are.
pub(crate) fn tagged(tag: usize, bytes: &[u8]) -> Vec<u8> {
    [&[tag as u8], bytes].concat()
}

/// The tag, below `kinds`, and the bytes behind it.
pub(crate) fn untagged(bytes: &[u8], kinds: usize) -> Option<(usize, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    Some((usize::from(*tag) % kinds, rest))
}
