//! Why data is refused: with file, row and column.

use core::fmt;
use std::io;
use std::path::PathBuf;

use super::description::{MAX_COLUMNS, MAX_NAME_BYTES};
use sharelet_model::readings::ReadingsError;
use sharelet_model::readings::columns::OtherColumns;
use sharelet_model::readings::dialect::DialectError;

/// A cell of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Row, from 1; headings are not counted.
    pub row: usize,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
    /// Name of the column.
    pub column: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: row {}", self.path.display(), self.row)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ", column `{}`", self.column)
    }
}

/// Why data is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("{path}: {source}; check the path and its permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The format is not known.
    #[error(
        "{path}: unknown format; give .csv with a header, .npy, .idx or .idx.gz",
        path = path.display(),
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// An array file that cannot be used.
    #[error(transparent)]
    Array(#[from] ReadingsError),
    /// The file is not CSV.
    #[error("{path}: line {line}: {reason}", path = path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A CSV file that can be read in two ways.
    #[error("{path}: {source}", path = path.display())]
    Dialect {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DialectError,
    },
    /// There is no row in the file.
    #[error("{path}: no rows; give at least one", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A row is shorter or longer than the header.
    #[error(
        "{path}: row {row} (line {line}): {found} cells where the header names {expected} columns: \
        the file is cut, or a comma is missing or too many",
        path = path.display(),
    )]
    RowLength {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// Line, from 1.
        line: u64,
        /// Columns of the header.
        expected: usize,
        /// Cells found.
        found: usize,
    },
    /// A cell is empty.
    #[error("{place}: the cell is empty; fill it, or remove the row or the column")]
    MissingCell {
        /// Where.
        place: Place,
    },
    /// A cell is not a number.
    #[error(
        "{place}: `{text}` is not a number; correct it, or leave the column out with --columns"
    )]
    NotANumber {
        /// Where.
        place: Place,
        /// The cell, shortened.
        text: String,
    },
    /// A number is NaN or infinite.
    #[error("{place}: not a finite number; correct or remove the row")]
    NotFinite {
        /// Where.
        place: Place,
    },
    /// A number has no fixed-point word.
    #[error(
        "{place}: beyond the fixed-point range, which is -{limit} to {limit} at {frac_bits} \
         fraction bits; scale the data (--scale, --label-scale) or take fewer fraction bits"
    )]
    OutOfRange {
        /// Where.
        place: Place,
        /// The magnitude that words end at.
        limit: u64,
        /// Fraction bits.
        frac_bits: u8,
    },
    /// Columns of another name.
    #[error("{path}: {source}; choose the same ones with --columns", path = path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What differs.
        source: OtherColumns,
    },
    /// A key that is no longer what it was.
    #[error(
        "{place}: a key of 2^53 or more that is stored as a floating-point number: different keys \
         may be the same there; save keys as integers or as CSV"
    )]
    InexactKey {
        /// Where.
        place: Place,
    },
    /// A class is none of those that there are.
    #[error(
        "{place}: not a class: classes are whole numbers from 0 to {last}; correct the label, or \
        give the number of classes with --classes",
        last = classes.saturating_sub(1),
    )]
    ClassRange {
        /// Where.
        place: Place,
        /// Classes that there are.
        classes: u32,
    },
    /// A binary label that is neither 0 nor 1.
    #[error("{place}: neither 0 nor 1; correct the label, or drop --binary")]
    NotBinary {
        /// Where.
        place: Place,
    },
    /// Classes or binary labels from more or less than one column.
    #[error(
        "{path}: {found} columns of labels where classes and binary labels have one; name one \
        column",
        path = path.display(),
    )]
    LabelColumns {
        /// The file.
        path: PathBuf,
        /// Columns found.
        found: usize,
    },
    /// The file of labels does not belong to that of the features.
    #[error(
        "{path}: {found} labels for {expected} rows; give the labels that belong to the data",
        path = path.display(),
    )]
    LabelRows {
        /// The file of labels.
        path: PathBuf,
        /// Rows of the data.
        expected: usize,
        /// Labels found.
        found: usize,
    },
    /// Labels come from a column and a file at once.
    #[error("labels are given twice: as a column and as a file; give one")]
    LabelsTwice,
    /// Two columns of one name.
    #[error(
        "{path}: columns {first} and {second} are both named `{name}`; rename one",
        path = path.display(),
    )]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Column, from 1.
        first: usize,
        /// Column, from 1.
        second: usize,
    },
    /// A column without a name.
    #[error(
        "{path}: column {column} has no name; the first line must name every column",
        path = path.display(),
    )]
    UnnamedColumn {
        /// The file.
        path: PathBuf,
        /// Column, from 1.
        column: usize,
    },
    /// A name that is too long, or has control characters.
    #[error(
        "{path}: the name of column {column} has more than {MAX_NAME_BYTES} bytes or control \
        characters; shorten it",
        path = path.display(),
    )]
    ColumnName {
        /// The file.
        path: PathBuf,
        /// Column, from 1.
        column: usize,
    },
    /// A first line of numbers.
    #[error(
        "{path}: the first line holds numbers where names of columns belong; put a line with a \
        name per column first",
        path = path.display(),
    )]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// Too many columns.
    #[error(
        "{path}: {found} columns, at most {MAX_COLUMNS} are taken; leave some out with --columns",
        path = path.display(),
    )]
    TooManyColumns {
        /// The file.
        path: PathBuf,
        /// Columns found.
        found: usize,
    },
    /// A column that does not exist.
    #[error("{path}: no column `{name}`; there are {existing}", path = path.display())]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// Those that exist.
        existing: String,
    },
    /// A column that is asked for twice.
    #[error("column `{name}` is asked for twice, as a feature, label or key; name it once")]
    ColumnTwice {
        /// The name.
        name: String,
    },
    /// Nothing is left for features.
    #[error(
        "{path}: no column is left for features; name some with --columns",
        path = path.display(),
    )]
    NoFeatures {
        /// The file.
        path: PathBuf,
    },
    /// A key that is not unique.
    #[error(
        "{path}: rows {first} and {second} have the same key; keys must differ",
        path = path.display(),
    )]
    KeyTwice {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        first: usize,
        /// Row, from 1.
        second: usize,
    },
    /// A secret for keys that is too short to be one.
    #[error(
        "{path}: {found} bytes, a secret for keys has at least {least}; make one with `head -c 32 \
        /dev/urandom`, and give it to every owner, but to no server",
        path = path.display(),
    )]
    KeySecret {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        least: usize,
    },
    /// A scale of zero, or not finite.
    #[error("cannot multiply by {scale}; give a finite number other than zero")]
    Scale {
        /// The scale.
        scale: f64,
    },
    /// More fraction bits than there is room for.
    #[error("{found} fraction bits; give 1 to {most}")]
    FracBits {
        /// Fraction bits asked for.
        found: u8,
        /// The most.
        most: u8,
    },
    /// The number of classes.
    #[error("{found} classes; give 2 to {most}")]
    Classes {
        /// Classes asked for.
        found: u32,
        /// The most.
        most: u32,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}
