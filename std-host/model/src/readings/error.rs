//! Why readings are refused.

use std::path::{Path, PathBuf};

use super::columns::OtherColumns;
use super::dialect::DialectError;
use sharelet_link::files::FileError;

/// Why readings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadingsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] FileError),
    /// What a file holds is refused.
    #[error("{path}: {fault}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: Fault,
    },
    /// The divisor is zero or not finite.
    #[error("cannot divide readings by {0}; give a finite number other than zero")]
    Divisor(f32),
}

impl ReadingsError {
    /// For `map_err`: what is wrong with the file at `path`.
    pub(super) fn at(path: &Path) -> impl FnOnce(Fault) -> Self {
        move |fault| Self::File { path: path.to_owned(), fault }
    }
}

/// What is wrong with a file of readings. Lines, rows and columns of a file count from 1, readings
/// from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The format is not known.
    #[error("unknown format; give .npy, .csv, .idx, .idx.gz or raw .f32")]
    UnknownFormat,
    /// The header of the file cannot be used: what is wrong and what to do.
    #[error("{0}")]
    Header(&'static str),
    /// The file holds fewer or more bytes than its header says.
    #[error(
        "{found} bytes of values where {expected} are expected: the file is cut or damaged; write \
         it again"
    )]
    Length {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A text file that can be read in two ways.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// A field is not a number.
    #[error("line {line}, column {column}: `{text}` is not a number; correct or remove the line")]
    NotANumber {
        /// Line.
        line: u64,
        /// Column.
        column: usize,
        /// The field.
        text: String,
    },
    /// A field is NaN, infinite, or beyond single precision.
    #[error("line {line}, column {column}: not a finite number; correct or remove the line")]
    NotFiniteCell {
        /// Line.
        line: u64,
        /// Column.
        column: usize,
    },
    /// A value of an array is NaN, infinite, or beyond single precision.
    #[error("row {row}, column {column}: not a finite number; correct or remove the row")]
    NotFinite {
        /// Row.
        row: usize,
        /// Column.
        column: usize,
    },
    /// A line is shorter or longer than the others.
    #[error(
        "line {line} has {found} values where {expected} are expected; every line needs as many as \
         the model has inputs"
    )]
    RowLength {
        /// Line.
        line: u64,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A line is shorter or longer than the header.
    #[error(
        "line {line} has {found} cells where the header names {expected} columns: the file is cut, \
         or a comma is missing or too many"
    )]
    RowCells {
        /// Line.
        line: u64,
        /// Columns of the header.
        expected: usize,
        /// Cells found.
        found: usize,
    },
    /// Columns of other names than the model was trained on.
    #[error(
        "{0}; give the columns that the model was trained on under their names, in any order, and \
         besides them the label at most"
    )]
    Columns(#[from] OtherColumns),
    /// Two columns of one name.
    #[error("two columns are named `{name}`; rename or remove one")]
    ColumnTwice {
        /// The name.
        name: String,
    },
    /// The rows do not have the width the caller expects.
    #[error(
        "rows of {found} values where the model takes {expected}; use readings that belong to this \
         model"
    )]
    Width {
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A raw file without a stated width.
    #[error("a raw .f32 file does not state its row length; use a model that does, or .npy")]
    WidthNeeded,
    /// There is no row in the file.
    #[error("no rows; give at least one reading")]
    Empty,
}
