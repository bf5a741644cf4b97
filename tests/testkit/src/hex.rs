//! Vector files: hexadecimal bytes in lines, with comments after `#`. `UPDATE_VECTORS=1` writes
//! them anew.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Bytes as lines of hexadecimal, 32 bytes each.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes everything"));
        text.push('\n');
    }
    text
}

/// The bytes of all lines, without comments and blanks.
pub fn decode(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of digits");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The text after `# name:`, if the file has such a line.
pub fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(": "))
}

/// The folder of the vectors of this wire version.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join("vectors")
        .join(format!("v{}", sharelet_core::session::wire::VERSION))
}

/// The text of a vector file.
pub fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_VECTORS=1 writes it", path.display()))
}

/// Compares a vector file with what the program makes today, or writes it if `UPDATE_VECTORS=1`.
pub fn check(name: &str, text: &str) {
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(folder()).expect("a folder for the vectors");
        std::fs::write(folder().join(name), text).expect("a vector file");
    }
    assert!(
        read(name) == text,
        "{name} is not what the program makes today; if the wire was meant to change, give it a \
         new version"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_file() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&format!("# a: b\n{} # end\n", encode(&bytes))), bytes);
        assert_eq!(field("# a: b\n# error: x y\n00\n", "error"), Some("x y"));
    }
}
