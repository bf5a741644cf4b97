//! What is wrong with a configuration.

use std::path::PathBuf;

use sharelet_link::files::FileError;

/// Why a configuration file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] FileError),
    /// The file is not TOML, or has a field that does not exist or is of another type.
    #[error("{path}: line {line}{}: {reason}", at(.field), path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The field or table, with dots; empty if it has none.
        field: String,
        /// What was found and what is allowed.
        reason: String,
    },
    /// A value is not allowed.
    #[error("{path}: line {line}, {source}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The field and what is allowed.
        source: FieldError,
    },
    /// The configuration cannot be written as text.
    #[error("the configuration cannot be written as text: {0}; seeds are at most 2^63 - 1")]
    Text(#[from] toml::ser::Error),
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", `{field}`") }
}

/// A value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct FieldError {
    /// The field, with dots: `training.batch`, `model.layer[2].kernel` (counted from 1).
    pub field: String,
    /// What was found and what is allowed.
    pub reason: String,
}

impl FieldError {
    pub(super) fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }
}
