//! Files that survive a power cut: the old one or the new one, readable by their owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Ending of a file that is not complete yet.
pub const TEMPORARY: &str = "tmp";
/// Modes of new files.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {source}; check the path, its permissions and the space on the disk",
    path = path.display(),
)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: what the system says of the file at `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), source }
    }

    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Makes a directory that only its owner may read.
///
/// # Errors
/// What the system says, for instance that a file has the name.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(FileError::at(path))
}

/// Options of a new file that only its owner may read.
#[must_use]
pub fn private_file() -> OpenOptions {
    file_of(PRIVATE)
}

fn file_of(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
}

/// Makes an empty file beside `path`, under a name that nobody can lay a file under beforehand.
///
/// # Errors
/// What the system says, for instance that the directory is missing; also if it has no randomness.
pub fn temporary_beside(path: &Path) -> Result<(PathBuf, File), FileError> {
    temporary_of(path, PRIVATE)
}

fn temporary_of(path: &Path, mode: u32) -> Result<(PathBuf, File), FileError> {
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()));
    let random = random.map_err(FileError::at(path))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{random:016x}.{TEMPORARY}"));
    let temporary = path.with_file_name(name);
    let file = file_of(mode).create_new(true).open(&temporary).map_err(FileError::at(path))?;
    Ok((temporary, file))
}

/// Writes beside the destination, syncs, renames, and syncs the directory: after a power cut the
/// file is the old one or the new one, and when this returns it is the new one.
///
/// # Errors
/// What the system says, for instance that the disk is full; the file is as it was.
pub fn write_file(path: &Path, parts: &[&[u8]]) -> Result<(), FileError> {
    write_of(path, parts, PRIVATE)
}

/// As [`write_file`], for everybody to read whom the system's mask lets.
///
/// # Errors
/// As [`write_file`].
pub fn write_public_file(path: &Path, parts: &[&[u8]]) -> Result<(), FileError> {
    write_of(path, parts, PUBLIC)
}

fn write_of(path: &Path, parts: &[&[u8]], mode: u32) -> Result<(), FileError> {
    let (temporary, mut file) = temporary_of(path, mode)?;
    let mut write = || {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        // The error that is reported is the one that came first.
        let _ = fs::remove_file(&temporary);
        return Err(FileError::at(path)(error));
    }
    sync_directory(path)
}

/// Makes a rename durable: syncs the directory that `path` lies in.
///
/// # Errors
/// What the system says.
pub fn sync_directory(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(FileError::at(directory))?;
    }
    Ok(())
}

/// Removes what a process that was killed has left half-written.
pub fn remove_temporaries(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == TEMPORARY) {
            // A file that stays is never read.
            let _ = fs::remove_file(entry.path());
        }
    }
}
