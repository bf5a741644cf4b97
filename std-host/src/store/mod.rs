//! What survives a power cut: the only room that writes state.
//!
//! A state directory belongs to one process at a time. Counters and seeds are in a `redb` database,
//! whose commits are durable; keys, masked models and spooled corrections are files that are
//! written beside their destination, synced and renamed, and carry a checksum. What is made here is
//! readable by its owner alone.

pub mod console;
pub mod counter;
pub mod datasets;
pub mod dealer;
pub mod host;
pub mod key;
pub mod spool;
pub mod task;
pub mod training;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError};

/// Why state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error(
        "{path}: {source}; check the path, its permissions and the space on the disk",
        path = path.display(),
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process uses the state.
    #[error(
        "{path} is in use by another process; stop it, or give this one a state of its own",
        path = path.display(),
    )]
    Locked {
        /// The state.
        path: PathBuf,
    },
    /// The database cannot be used.
    #[error(
        "{path}: {reason}; check the disk; if the file is damaged, begin with an empty directory \
        (a dealer's devices are then provisioned anew), never with an old copy",
        path = path.display(),
    )]
    Database {
        /// The database.
        path: PathBuf,
        /// What it says.
        reason: Box<redb::Error>,
    },
    /// The record of dealt sessions is gone, while the keys are still there.
    #[error(
        "{path} is missing or empty, and with it the record of dealt sessions; begin with an empty directory and provision the devices anew",
        path = path.display()
    )]
    Lost {
        /// The database.
        path: PathBuf,
    },
    /// A session number is not the next unused.
    #[error(
        "session {session} was used already, {next} is the next unused; the session is not begun"
    )]
    SessionUsed {
        /// The number.
        session: u64,
        /// The lowest unused number.
        next: u64,
    },
    /// A session number is ahead of what was dealt.
    #[error(
        "session {session} is ahead of {next}, the next unused: the dealer's state is older than \
         the device; provision the device anew"
    )]
    TooFarAhead {
        /// The number.
        session: u64,
        /// The lowest unused number.
        next: u64,
    },
    /// There is a key already.
    #[error(
        "{device} has a key already; with --force it gets a new one, and the old one stops working"
    )]
    KeyExists {
        /// The device.
        device: String,
    },
    /// A task file cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Task {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: sharelet_core::session::wire::task::TaskError,
    },
    /// A console file cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Console {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: console::ConsoleFileError,
    },
    /// A key cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: key::KeyError,
    },
    /// A masked model on disk is not what its name says.
    #[error(
        "{path}: the masked model is damaged and is not used; its host will send it again",
        path = path.display(),
    )]
    MaskedModel {
        /// The file.
        path: PathBuf,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// A fresh key from the operating system.
///
/// # Errors
/// [`StoreError::Randomness`].
pub fn random_key() -> Result<sharelet_core::keystream::Key, StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(StoreError::Randomness)?;
    let key = sharelet_core::keystream::Key::from_bytes(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(key)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

/// Makes a directory that only its owner may read.
fn private_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))
}

/// Options of a new file that only its owner may read.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Ending of a file that is not complete yet.
const TEMPORARY: &str = "tmp";

/// Writes beside the destination, syncs, renames, and syncs the directory: after a power cut the
/// file is the old one or the new one, and when this returns it is the new one.
///
/// # Errors
/// [`StoreError::Io`].
pub fn write_file(path: &Path, parts: &[&[u8]]) -> Result<(), StoreError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // A name that nobody can lay a file under beforehand.
    let random = getrandom::u64().map_err(StoreError::Randomness)?;
    name.push(format!(".{random:016x}.{TEMPORARY}"));
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = private_file().create_new(true).open(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        // The error that is reported is the one that came first.
        let _ = fs::remove_file(&temporary);
        return Err(io_error(path)(error));
    }
    sync_directory(path)
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(io_error(directory))?;
    }
    Ok(())
}

/// What a process that was killed has left half-written.
fn remove_temporaries(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == TEMPORARY) {
            // A file that stays is never read.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A database in a state directory, locked.
struct State {
    database: Database,
    path: PathBuf,
}

impl State {
    fn open(directory: &Path, name: &str) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let path = directory.join(name);
        // The database makes a file that everyone may read: lay one there first that only its owner
        // may.
        match private_file().create_new(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error(&path)(error));
            }
            _ => {}
        }
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path: directory.to_owned() },
            other => database_error(&path, other.into()),
        })?;
        Ok(Self { database, path })
    }

    /// Reads or writes in a transaction that is durable when this returns.
    fn write<T>(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let attempt = || {
            let transaction = self.database.begin_write()?;
            let result = change(&transaction)?;
            match &result {
                Ok(_) => transaction.commit()?,
                Err(_) => transaction.abort()?,
            }
            Ok::<_, redb::Error>(result)
        };
        attempt().unwrap_or_else(|error| Err(self.error(error)))
    }

    fn error(&self, error: redb::Error) -> StoreError {
        database_error(&self.path, error)
    }
}

/// A full disk or a missing permission is not a damaged file.
fn database_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) => StoreError::Io { path: path.to_owned(), source },
        reason => StoreError::Database { path: path.to_owned(), reason: Box::new(reason) },
    }
}

/// A lock file that is held while the value lives.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path, of: &Path) -> Result<Self, StoreError> {
        let file = private_file().open(path).map_err(io_error(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: of.to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(io_error(path)(error)),
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
