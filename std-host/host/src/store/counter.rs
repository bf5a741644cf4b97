//! A device's session counter as a file: 8 bytes, the lowest unused number, little-endian.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sharelet_core::session::{CounterError, SessionCounter};

use super::error::StoreError;
use super::lock::Lock;
use sharelet_link::files::{FileError, write_file};

/// The counter file of a device that is a program on a PC, locked.
#[derive(Debug)]
pub struct FileCounter {
    path: PathBuf,
    _lock: Lock,
}

impl FileCounter {
    /// Opens the counter, and makes one that begins at 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it; [`StoreError::File`] if it is not 8 bytes
    /// long.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let counter = Self { path: path.to_owned(), _lock: Lock::take(Path::new(&lock), path)? };
        match counter.read() {
            Err(StoreError::File(error)) if error.is_missing() => {
                tracing::warn!(
                    "{}: a new counter that begins at 0; if this device's key was used before, \
                     its counter is lost: provision the device anew",
                    path.display()
                );
                counter.write(0)?;
            }
            read => drop(read?),
        }
        Ok(counter)
    }

    fn read(&self) -> Result<u64, StoreError> {
        let bytes = fs::read(&self.path).map_err(FileError::at(&self.path))?;
        let cut = || {
            FileError::at(&self.path)(io::Error::other(
                "a session counter has 8 bytes: the file is damaged",
            ))
        };
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
    }

    fn write(&self, next: u64) -> Result<(), StoreError> {
        Ok(write_file(&self.path, &[&next.to_le_bytes()])?)
    }
}

impl SessionCounter for FileCounter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.read().map_err(log)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        let next = session.checked_add(1).ok_or(CounterError)?;
        if self.read().map_err(log)? > session {
            return Err(CounterError);
        }
        self.write(next).map_err(log)
    }
}

fn log(error: StoreError) -> CounterError {
    tracing::error!("session counter: {error}");
    CounterError
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_number_is_consumed_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("counter");
        let mut counter = FileCounter::open(&path).expect("opens");
        assert!(matches!(FileCounter::open(&path), Err(StoreError::Locked { .. })));
        assert_eq!(counter.next().await, Ok(0));
        assert_eq!(counter.consume(4).await, Ok(()));
        assert_eq!(fs::read(&path).expect("reads"), 5_u64.to_le_bytes());
        assert_eq!(counter.consume(4).await, Err(CounterError));
        assert_eq!(counter.consume(u64::MAX).await, Err(CounterError));
        drop(counter);
        fs::write(&path, b"short").expect("writes");
        assert!(matches!(FileCounter::open(&path), Err(StoreError::File(_))));
    }
}
