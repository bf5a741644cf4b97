//! Names of outputs, from the command line or a file.

use std::path::Path;

/// Names of outputs, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    /// A path to a text file with a name per line, or names separated by commas.
    ///
    /// # Errors
    /// A sentence for the command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<String> = if Path::new(text).is_file() {
            let read = std::fs::read_to_string(text);
            let read = read.map_err(|error| format!("{error}; give a text file in UTF-8"))?;
            let lines = read.trim_start_matches('\u{feff}').trim_end().lines();
            lines.map(|name| name.trim().to_owned()).collect()
        } else if text.contains(',') {
            text.split(',').map(|name| name.trim().to_owned()).collect()
        } else {
            return Err(
                "there is no such file; give a file with a label per line, or labels separated by \
                 commas"
                    .to_owned(),
            );
        };
        let wrong = |name: &String| name.is_empty() || name.contains(char::is_control);
        match names.iter().position(wrong) {
            Some(index) => Err(format!(
                "label {index}, counted from 0, is empty or has control characters; name every \
                 output"
            )),
            None if names.is_empty() => Err("the file is empty; give a label per line".to_owned()),
            None => Ok(Self(names)),
        }
    }

    /// The names, output by output.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_a_list_or_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("writes");
            path.to_string_lossy().into_owned()
        };
        let parsed = |text: &str| Labels::parse(text).map(Labels::names);
        assert_eq!(parsed("idle, normal").expect("labels"), ["idle", "normal"]);
        let lines = file("labels.txt", b"\xEF\xBB\xBFbearing fault\r\nidle, cold\n\n");
        assert_eq!(parsed(&lines).expect("labels"), ["bearing fault", "idle, cold"]);
        for (text, says) in [
            ("labels.txt", "no such file"),
            ("a,,b", "label 1, counted from 0, is empty"),
            ("a,b\x07", "label 1, "),
            (&*file("gap.txt", b"a\n\nb\n"), "label 1, "),
            (&*file("empty.txt", b"\n"), "the file is empty"),
            (&*file("latin1.txt", b"k\xFChl\n"), "UTF-8"),
        ] {
            let refused = parsed(text).expect_err(text);
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }
}
