//! Readings from files: `.npy`, `.csv`, `.idx`/`.idx.gz` (also MNIST's `...-ubyte.gz`) and raw
//! `.f32`.
//!
//! A file becomes rows of equal width; dimensions after the first are flattened. Values are checked
//! to be finite on the way in, so that what comes after can rely on it.

pub mod columns;
mod csv;
#[doc(hidden)]
pub mod dialect;
mod error;
mod idx;
mod npy;
mod raw;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use sharelet_link::files::{FileError, write_file};

use self::columns::Columns;

pub use self::error::{Fault, ReadingsError};
#[doc(hidden)]
pub use self::raw::{Raw, Real};

/// Rows of finite numbers.
#[derive(Clone, PartialEq)]
pub struct Readings {
    width: usize,
    values: Vec<f32>,
}

impl core::fmt::Debug for Readings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Readings({} rows of {}, <redacted>)", self.len(), self.width)
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

/// Reads an `.npy`, `.idx` or `.idx.gz` file; `None` if the name is that of another format.
#[doc(hidden)]
pub fn array<T: Real>(
    bytes: &[u8],
    path: &Path,
    width: Option<usize>,
) -> Option<Result<Raw<T>, ReadingsError>> {
    let raw = array_of(bytes, &name(path), width)?;
    Some(raw.map_err(ReadingsError::at(path)))
}

/// A column of an `.npy` file of whole numbers as text, all digits of them; `None` if it is of
/// another format or of other numbers. A vector is a column.
#[doc(hidden)]
pub fn integers(
    bytes: &[u8],
    path: &Path,
    column: usize,
) -> Result<Option<Vec<String>>, ReadingsError> {
    if !name(path).ends_with(".npy") {
        return Ok(None);
    }
    npy::integers(bytes, Some(1), column).map_err(ReadingsError::at(path))
}

/// As [`array`], of a file of this name.
fn array_of<T: Real>(
    bytes: &[u8],
    name: &str,
    width: Option<usize>,
) -> Option<Result<Raw<T>, Fault>> {
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    if name.ends_with(".npy") {
        Some(npy::read(bytes, width))
    } else if name.ends_with(".csv") || name.ends_with(".f32") {
        None
    } else if stem.contains("idx") || stem.ends_with("ubyte") {
        Some(idx::read(bytes))
    } else {
        None
    }
}

/// The name of a file, which tells its format.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

impl Readings {
    /// Readings from values in memory; `None` if they do not form full rows of finite numbers.
    #[must_use]
    pub fn new(width: usize, values: Vec<f32>) -> Option<Self> {
        let whole = width > 0 && !values.is_empty() && values.len().is_multiple_of(width);
        (whole && values.iter().all(|value| value.is_finite())).then_some(Self { width, values })
    }

    /// At most `most` of these readings, evenly chosen.
    #[must_use]
    pub fn sampled(&self, most: usize) -> Self {
        let step = self.len().div_ceil(most.max(1)).max(1);
        Self { width: self.width, values: self.rows().step_by(step).flatten().copied().collect() }
    }

    /// Reads a file; the format follows from its name. `-` is standard input: `.npy`, or else CSV.
    ///
    /// # Errors
    /// Names the file, and the place in it where there is one.
    pub fn load(path: &Path, options: ReadOptions) -> Result<Self, ReadingsError> {
        Self::load_named(path, options, None)
    }

    /// As [`Readings::load`]; if CSV has a header, its columns are found by these names.
    ///
    /// # Errors
    /// As [`Readings::load`]; [`Fault::Columns`] if they are other ones.
    pub fn load_named(
        path: &Path,
        options: ReadOptions,
        columns: Option<&Columns>,
    ) -> Result<Self, ReadingsError> {
        if path == Path::new("-") {
            let path = Path::new("standard input");
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(FileError::at(path))?;
            let name = if bytes.starts_with(npy::MAGIC) { ".npy" } else { ".csv" };
            return Self::read(&bytes, name, path, options, columns);
        }
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        Self::read(&bytes, &name(path), path, options, columns)
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
        Self::read(bytes, &name(path), path, options, None)
    }

    /// Reads bytes of the format of a file of this name.
    fn read(
        bytes: &[u8],
        name: &str,
        path: &Path,
        options: ReadOptions,
        columns: Option<&Columns>,
    ) -> Result<Self, ReadingsError> {
        if let Some(divide) = options.divide
            && (divide == 0.0 || !divide.is_finite())
        {
            return Err(ReadingsError::Divisor(divide));
        }
        let raw = if let Some(raw) = array_of(bytes, name, options.width) {
            raw
        } else if name.ends_with(".csv") {
            csv::read(bytes, path, options.width, columns)
        } else if name.ends_with(".f32") {
            raw_f32(bytes, options.width)
        } else {
            Err(Fault::UnknownFormat)
        };
        raw.and_then(|raw| raw.finish(options)).map_err(ReadingsError::at(path))
    }

    /// Writes the readings as `.npy` (float32, two dimensions).
    ///
    /// # Errors
    /// [`ReadingsError::Io`].
    pub fn save_npy(&self, path: &Path) -> Result<(), ReadingsError> {
        Ok(write_file(path, &[&npy::bytes(self.width, &self.values)])?)
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

    /// All values, row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl Raw<f32> {
    fn finish(mut self, options: ReadOptions) -> Result<Readings, Fault> {
        if self.width == 0 || self.values.is_empty() {
            return Err(Fault::Empty);
        }
        if let Some(expected) = options.width
            && expected != self.width
        {
            return Err(Fault::Width { expected, found: self.width });
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
            return Err(Fault::NotFinite { row, column });
        }
        Ok(Readings { width: self.width, values: self.values })
    }
}

/// Little-endian float32 rows without a header.
fn raw_f32(bytes: &[u8], width: Option<usize>) -> Result<Raw<f32>, Fault> {
    let width = width.filter(|&width| width > 0).ok_or(Fault::WidthNeeded)?;
    let row_bytes = width.saturating_mul(4);
    if !bytes.len().is_multiple_of(row_bytes) {
        let expected = bytes.len().div_ceil(row_bytes).saturating_mul(row_bytes);
        return Err(Fault::Length { expected, found: bytes.len() });
    }
    let (words, _) = bytes.as_chunks();
    Ok(Raw {
        width,
        values: words.iter().map(|&word| f32::from_le_bytes(word)).collect(),
        divide: 1.0,
    })
}
