//! The database of a state directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, DatabaseError};
use sharelet_link::files::{FileError, private_directory, sync_directory, temporary_beside};

use super::error::StoreError;

/// The record of what a host has used.
pub(super) const OF_HOST: &str = "host.redb";
/// The record of what a dealer has dealt.
pub(super) const OF_DEALER: &str = "dealer.redb";
/// The record of what was seen of a store beyond this machine.
pub(super) const OF_WITNESS: &str = "seen.redb";

/// A database in a state directory, locked.
pub(super) struct State {
    /// `None` where it could not be opened again after a failure.
    database: RwLock<Option<Database>>,
    pub(super) path: PathBuf,
}

impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("State").field(&self.path).finish()
    }
}

impl State {
    pub(super) fn open(directory: &Path, name: &str) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let path = directory.join(name);
        if !path.try_exists().map_err(FileError::at(&path))? {
            create(&path)?;
        }
        let database = builder().create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path: directory.to_owned() },
            other => database_error(&path, other.into()),
        })?;
        Ok(Self { database: RwLock::new(Some(database)), path })
    }

    /// Works with the database. After a failure of the disk a database wants to be opened anew: so
    /// a disk that has space again needs no program to be started again.
    pub(super) fn with<T>(
        &self,
        work: impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let attempt = || {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            database.as_ref().map_or(Err(redb::Error::PreviousIo), &work)
        };
        match attempt() {
            Err(redb::Error::PreviousIo) => {
                self.reopen()?;
                attempt().map_err(|error| database_error(&self.path, error))
            }
            done => done.map_err(|error| database_error(&self.path, error)),
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Its lock goes with it.
        drop(database.take());
        let opened = builder().open(&self.path);
        *database = Some(opened.map_err(|error| database_error(&self.path, error.into()))?);
        Ok(())
    }

    /// Reads or writes in a transaction that is durable when this returns.
    pub(super) fn write<T>(
        &self,
        change: impl Fn(&redb::WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let done = self.with(|database| {
            let transaction = database.begin_write()?;
            let result = change(&transaction)?;
            match &result {
                Ok(_) => transaction.commit()?,
                Err(_) => transaction.abort()?,
            }
            Ok(result)
        });
        done.unwrap_or_else(Err)
    }
}

/// Bytes of pages that stay in memory: a few numbers per device. By default it is a gigabyte, which
/// a database fills as it grows.
const CACHE_BYTES: usize = 1 << 20;

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes a database that only its owner may read. It is there whole or not at all: a disk that is
/// full, or a power cut, leaves nothing that the next start takes for one.
fn create(path: &Path) -> Result<(), StoreError> {
    let (temporary, file) = temporary_beside(path)?;
    drop(file);
    let made = builder().create(&temporary).map_err(|error| database_error(path, error.into()));
    let made = made.and_then(|database| {
        drop(database);
        match fs::hard_link(&temporary, path) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => Ok(linked.map_err(FileError::at(path))?),
        }
    });
    // What stays is never read.
    let _ = fs::remove_file(&temporary);
    made?;
    Ok(sync_directory(path)?)
}

/// A full disk or a missing permission is not a damaged file.
fn database_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) => FileError::at(path)(source).into(),
        reason => StoreError::Database { path: path.to_owned(), reason: Box::new(reason) },
    }
}
