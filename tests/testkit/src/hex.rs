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

/// The vectors of one protocol in one version: a folder of files.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of this name.
    pub fn named(name: &str) -> Self {
        Self(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name))
    }

    /// Names of its files.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the folder of the vectors");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().into_string().expect("a name of a vector file")
        };
        entries.map(name).collect()
    }

    /// Names and texts of the files that must be refused.
    pub fn bad(&self) -> Vec<(String, String)> {
        let names = self.names().into_iter().filter(|name| name.starts_with("bad_"));
        names.map(|name| (name.clone(), self.read(&name))).collect()
    }

    /// The text of a vector file.
    pub fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; UPDATE_VECTORS=1 writes it", path.display())
        })
    }

    /// Compares a vector file with what the program makes today, or writes it if
    /// `UPDATE_VECTORS=1`; leaves the file's bytes.
    pub fn check(&self, name: &str, text: &str) -> Vec<u8> {
        if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(&self.0).expect("a folder for the vectors");
            std::fs::write(self.0.join(name), text).expect("a vector file");
        }
        let found = self.read(name);
        assert!(
            found == text,
            "{name} is not what the program makes today; if the wire was meant to change, give it \
             a new version"
        );
        decode(&found)
    }
}

/// The vectors of sessions in this wire version.
pub fn sessions() -> Folder {
    Folder::named(&format!("v{}", sharelet_core::session::wire::VERSION))
}

/// [`Folder::check`] for a file of [`sessions`].
pub fn check(name: &str, text: &str) -> Vec<u8> {
    sessions().check(name, text)
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
