//! What a device reports: one line per event, `tag key=value ...`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A line of a report, or of `sharelet twin`.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The first word, if it is not a pair.
    pub tag: String,
    pairs: Vec<(String, String)>,
    text: String,
}

impl Line {
    /// Takes a line apart.
    pub fn parse(text: &str) -> Self {
        let mut tag = String::new();
        let mut pairs = Vec::new();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
                None if tag.is_empty() && pairs.is_empty() => tag = word.to_owned(),
                None => {}
            }
        }
        Self { tag, pairs, text: text.to_owned() }
    }

    /// A value as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A value as a number.
    pub fn number(&self, key: &str) -> Result<u64> {
        let value =
            self.text(key).with_context(|| format!("`{key}=` is missing in `{}`", self.short()))?;
        value
            .parse()
            .with_context(|| format!("`{key}={value}` is not a number in `{}`", self.short()))
    }

    /// The answer's ring elements.
    pub fn values(&self) -> Result<Vec<i64>> {
        let values = self
            .text("values")
            .with_context(|| format!("`values=` is missing in `{}`", self.short()))?;
        let words = values.split(',').filter(|word| !word.is_empty());
        words
            .map(|word| word.parse().with_context(|| format!("`{word}` is not an integer")))
            .collect()
    }

    /// A label may have blanks: it is what follows to the end of the line.
    pub fn label(&self) -> Option<&str> {
        self.text.split_once(" label=").map(|(_, label)| label.trim())
    }

    /// The name after `error`.
    pub fn error(&self) -> Option<&str> {
        let name = self.text.strip_prefix("error ")?;
        Some(name.split_once(':').map_or(name, |(name, _)| name))
    }

    /// The line as it was written, cut if it is long.
    pub fn short(&self) -> String {
        match self.text.char_indices().nth(160) {
            Some((end, _)) => format!("{}...", self.text.get(..end).unwrap_or_default()),
            None => self.text.clone(),
        }
    }
}

/// Removes the report of an earlier run in `folder`, so that it is not taken for that of the next.
pub fn forget_report(folder: &Path) -> Result<()> {
    let report = folder.join("report");
    match fs::remove_file(&report) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", report.display()))
        }
        _ => Ok(()),
    }
}

/// A report that is still being written.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    seen_bytes: usize,
}

impl Follower {
    /// Follows the file at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen_bytes: 0 }
    }

    /// The lines that were completed since the last call.
    pub fn new_lines(&mut self) -> Vec<Line> {
        let text = fs::read(&self.path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let fresh = text.get(self.seen_bytes..).unwrap_or_default();
        let complete = fresh.rfind('\n').map_or("", |end| fresh.get(..=end).unwrap_or_default());
        self.seen_bytes += complete.len();
        complete.lines().map(Line::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_lines_apart() {
        let line = Line::parse("answer index=3 bytes_up=10 values=-1,2,3 frac_bits=8");
        assert_eq!(line.tag, "answer");
        assert_eq!(line.number("index").ok(), Some(3));
        assert_eq!(line.values().ok(), Some(vec![-1, 2, 3]));
        assert!(line.number("bytes_down").is_err());
        assert_eq!(Line::parse("error Refused: the peer refused: no").error(), Some("Refused"));
        let twin = Line::parse("index=0 frac_bits=2 values=1 class=0 label=bearing fault");
        assert_eq!((twin.tag.as_str(), twin.label()), ("", Some("bearing fault")));
    }
}
