//! The database of a state directory.

use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError};
use sharelet_link::files::{FileError, private_directory, private_file};

use super::error::StoreError;

/// A database in a state directory, locked.
pub(super) struct State {
    pub(super) database: Database,
    pub(super) path: PathBuf,
}

impl State {
    pub(super) fn open(directory: &Path, name: &str) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let path = directory.join(name);
        // The database makes a file that everyone may read: lay one there first that only its owner
        // may.
        match private_file().create_new(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FileError::at(&path)(error).into());
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
    pub(super) fn write<T>(
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

    pub(super) fn error(&self, error: redb::Error) -> StoreError {
        database_error(&self.path, error)
    }
}

/// A full disk or a missing permission is not a damaged file.
fn database_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) => FileError::at(path)(source).into(),
        reason => StoreError::Database { path: path.to_owned(), reason: Box::new(reason) },
    }
}
