//! Why readings are refused.

use std::io;
use std::path::PathBuf;

/// Why readings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadingsError {
    /// The file cannot be read or written.
    #[error("{path}: {source}; check the path and its permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The format is not known.
    #[error(
        "{path}: unknown format; give .npy, .csv, .idx, .idx.gz or raw .f32",
        path = path.display(),
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The header of the file cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The file holds fewer or more bytes than its header says.
    #[error(
        "{path}: {found} bytes of values where {expected} are expected: the file is cut or \
        damaged; write it again",
        path = path.display(),
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A field is not a number.
    #[error(
        "{path}: row {row}, column {column}: `{text}` is not a number; correct or remove the row",
        path = path.display(),
    )]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// Column, from 1.
        column: usize,
        /// The field.
        text: String,
    },
    /// A value is NaN, infinite, or beyond single precision.
    #[error(
        "{path}: row {row}, column {column}: not a finite number; correct or remove the row",
        path = path.display(),
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A row is shorter or longer than the others.
    #[error(
        "{path}: row {row} has {found} values where {expected} are expected; every row needs as \
        many as the model has inputs",
        path = path.display(),
    )]
    RowLength {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// The rows do not have the width the caller expects.
    #[error(
        "{path}: rows of {found} values where the model takes {expected}; use readings that belong \
        to this model",
        path = path.display(),
    )]
    Width {
        /// The file.
        path: PathBuf,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A raw file without a stated width.
    #[error(
        "{path}: a raw .f32 file does not state its row length; use a model that does, or .npy",
        path = path.display(),
    )]
    WidthNeeded {
        /// The file.
        path: PathBuf,
    },
    /// There is no row in the file.
    #[error("{path}: no rows; give at least one reading", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The divisor is zero or not finite.
    #[error("cannot divide readings by {0}; give a finite number other than zero")]
    Divisor(f32),
}
