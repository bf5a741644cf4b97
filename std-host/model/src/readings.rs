//! Readings from files: `.npy`, `.csv`, `.idx`/`.idx.gz` (also MNIST's `...-ubyte.gz`) and raw
//! `.f32`.
//!
//! A file becomes rows of equal width; dimensions after the first are flattened. Values are checked
//! to be finite on the way in, so that what comes after can rely on it. Rows and columns in errors
//! count from 1.

mod csv;
mod idx;
mod npy;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Rows of finite numbers.
#[derive(Clone, PartialEq)]
pub struct Readings {
    width: usize,
    values: Vec<f32>,
}

impl core::fmt::Debug for Readings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Readings({} rows of {}, <redacted>)",
            self.values.len() / self.width.max(1),
            self.width
        )
    }
}

/// How to read a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Values per row that the caller expects; needed for raw `.f32`.
    pub width: Option<usize>,
    /// Divide every value by this. Without it, bytes (`idx` of type u8) are divided by 255, others
    /// are left alone.
    pub divide: Option<f32>,
}

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

impl<T> core::fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Raw({} values in rows of {}, <redacted>)", self.values.len(), self.width)
    }
}

/// A float that values of a file are read as.
#[doc(hidden)]
pub trait Real {
    /// The nearest; beyond the range of the type it is infinite.
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    #[allow(clippy::cast_possible_truncation)]
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

/// What a format reader gives: values before division and checks.
#[doc(hidden)]
pub struct Raw<T> {
    /// Values per row.
    pub width: usize,
    /// Row by row.
    pub values: Vec<T>,
    /// What to divide by if the caller does not say.
    pub divide: f32,
}

/// Reads an `.npy`, `.idx` or `.idx.gz` file; `None` if the name is that of another format.
#[doc(hidden)]
pub fn array<T: Real>(
    bytes: &[u8],
    path: &Path,
    width: Option<usize>,
) -> Option<Result<Raw<T>, ReadingsError>> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    if name.ends_with(".npy") {
        Some(npy::read(bytes, path, width))
    } else if name.ends_with(".csv") || name.ends_with(".f32") {
        None
    } else if stem.contains("idx") || stem.ends_with("ubyte") {
        Some(idx::read(bytes, path))
    } else {
        None
    }
}

impl Readings {
    /// Readings from values in memory; `None` if they do not form full rows of finite numbers.
    #[must_use]
    pub fn new(width: usize, values: Vec<f32>) -> Option<Self> {
        let whole = width > 0 && !values.is_empty() && values.len().is_multiple_of(width);
        (whole && values.iter().all(|value| value.is_finite())).then_some(Self { width, values })
    }

    /// Reads a file; the format follows from its name.
    ///
    /// # Errors
    /// Names the file, and row and column where there is one.
    pub fn load(path: &Path, options: ReadOptions) -> Result<Self, ReadingsError> {
        let bytes =
            fs::read(path).map_err(|source| ReadingsError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, path, options)
    }

    /// Reads the bytes of a file; `path` gives the format and names the file in errors.
    ///
    /// # Errors
    /// As [`Readings::load`].
    pub fn from_bytes(
        bytes: &[u8],
        path: &Path,
        options: ReadOptions,
    ) -> Result<Self, ReadingsError> {
        if let Some(divide) = options.divide
            && (divide == 0.0 || !divide.is_finite())
        {
            return Err(ReadingsError::Divisor(divide));
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        let raw = if let Some(raw) = array(bytes, path, options.width) {
            raw?
        } else if name.ends_with(".csv") {
            csv::read(bytes, path, options.width)?
        } else if name.ends_with(".f32") {
            raw_f32(bytes, path, options.width)?
        } else {
            return Err(ReadingsError::UnknownFormat { path: path.to_owned() });
        };
        raw.finish(path, options)
    }

    /// Writes the readings as `.npy` (float32, two dimensions).
    ///
    /// # Errors
    /// [`ReadingsError::Io`].
    pub fn save_npy(&self, path: &Path) -> Result<(), ReadingsError> {
        fs::write(path, npy::bytes(self.width, &self.values))
            .map_err(|source| ReadingsError::Io { path: path.to_owned(), source })
    }

    /// Values per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows, at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        self.values.chunks_exact(self.width)
    }

    /// One row.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.rows().nth(index)
    }

    /// All values, row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl Raw<f32> {
    fn finish(mut self, path: &Path, options: ReadOptions) -> Result<Readings, ReadingsError> {
        if self.width == 0 || self.values.is_empty() {
            return Err(ReadingsError::Empty { path: path.to_owned() });
        }
        if let Some(expected) = options.width
            && expected != self.width
        {
            return Err(ReadingsError::Width {
                path: path.to_owned(),
                expected,
                found: self.width,
            });
        }
        let divide = options.divide.unwrap_or(self.divide);
        #[allow(clippy::float_cmp)]
        if divide != 1.0 {
            for value in &mut self.values {
                *value /= divide;
            }
        }
        if let Some(position) = self.values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (position / self.width + 1, position % self.width + 1);
            return Err(ReadingsError::NotFinite { path: path.to_owned(), row, column });
        }
        Ok(Readings { width: self.width, values: self.values })
    }
}

/// Little-endian float32 rows without a header.
fn raw_f32(bytes: &[u8], path: &Path, width: Option<usize>) -> Result<Raw<f32>, ReadingsError> {
    let width = width
        .filter(|&width| width > 0)
        .ok_or_else(|| ReadingsError::WidthNeeded { path: path.to_owned() })?;
    let row_bytes = width.saturating_mul(4);
    if !bytes.len().is_multiple_of(row_bytes) {
        let expected = bytes.len().div_ceil(row_bytes).saturating_mul(row_bytes);
        return Err(ReadingsError::Length { path: path.to_owned(), expected, found: bytes.len() });
    }
    let (words, _) = bytes.as_chunks();
    Ok(Raw {
        width,
        values: words.iter().map(|&word| f32::from_le_bytes(word)).collect(),
        divide: 1.0,
    })
}

/// The product of dimensions after the first, and of all; `None` on overflow.
fn shape(dims: &[usize]) -> Option<(usize, usize)> {
    let product =
        |dims: &[usize]| dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    Some((product(dims.get(1..)?)?, product(dims)?))
}
