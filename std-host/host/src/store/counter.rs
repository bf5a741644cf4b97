//! A device's session counter as a file of 16 bytes: the lowest unused number, little-endian, and
//! the public name of the key that it counts for.
//!
//! A counter that is missing is an error and no zero: under a key that was used, the numbers from 0
//! on would be used again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sharelet_core::keystream::KeyId;
use sharelet_core::session::{CounterError, SessionCounter};

use super::error::StoreError;
use super::key::DeviceKey;
use super::lock::Lock;
use sharelet_link::files::{FileError, write_file};

/// The counter file of a device that is a program on a PC, locked.
#[derive(Debug)]
pub struct FileCounter {
    path: PathBuf,
    key: KeyId,
    /// The key's file, as long as it is not known to say that it was used.
    fresh: Option<PathBuf>,
    _lock: Lock,
}

impl FileCounter {
    /// Makes the counter of a new key, in place of another key's. A program that still counts under
    /// that one notices, and does not count here.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn create(path: &Path, key: KeyId) -> Result<(), StoreError> {
        let _alone = Lock::wait(&writing(path))?;
        write(path, 0, key)
    }

    /// Opens a key and its counter. With `new`, a counter that is missing is made, if the key was
    /// never used.
    ///
    /// # Errors
    /// [`StoreError::NoCounter`], [`StoreError::OtherCounter`]; [`StoreError::KeyUsed`] where a
    /// counter, made now or left unused, would use numbers again; [`StoreError::Locked`] if
    /// another process uses it;
    /// [`StoreError::File`] if it is not 16 bytes long, and what is wrong with the key.
    pub fn open(path: &Path, key_path: &Path, new: bool) -> Result<(DeviceKey, Self), StoreError> {
        let lock = Lock::take(&beside(path), path)?;
        let key = DeviceKey::load(key_path)?;
        let fresh = (!key.used).then(|| key_path.to_owned());
        let counter = Self { path: path.to_owned(), key: key.key_id(), fresh, _lock: lock };
        let unused = match counter.read() {
            Err(StoreError::NoCounter { .. }) if new => None,
            read => Some(read?),
        };
        // Whoever used the key did not count here.
        if key.used && unused.unwrap_or(0) == 0 {
            return Err(StoreError::KeyUsed { path: key_path.to_owned() });
        }
        if unused.is_none() {
            Self::create(path, counter.key)?;
        }
        Ok((key, counter))
    }

    /// The lowest number that was not used.
    ///
    /// # Errors
    /// As [`FileCounter::open`].
    pub fn unused(&self) -> Result<u64, StoreError> {
        self.read()
    }

    fn read(&self) -> Result<u64, StoreError> {
        let path = || self.path.clone();
        let bytes = fs::read(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoCounter { path: path() },
            _ => FileError::at(&self.path)(error).into(),
        })?;
        let cut = || {
            FileError::at(&self.path)(io::Error::other(
                "a session counter has 16 bytes: the file is damaged, and no old copy of it helps; \
                 provision the device anew",
            ))
        };
        match bytes.split_first_chunk() {
            Some((next, key)) if key == self.key => Ok(u64::from_le_bytes(*next)),
            Some((_, key)) if key.len() == self.key.len() => {
                Err(StoreError::OtherCounter { path: path() })
            }
            _ => Err(cut().into()),
        }
    }

    /// Says in the key's file that it was used, before its first number is. If somebody has said
    /// so meanwhile, it was with another counter.
    fn mark(&mut self) -> Result<(), StoreError> {
        let Some(path) = &self.fresh else { return Ok(()) };
        let _alone = Lock::take(&beside(path), path)?;
        let key = DeviceKey::load(path)?;
        if key.key_id() != self.key {
            return Err(StoreError::OtherCounter { path: self.path.clone() });
        }
        if key.used {
            return Err(StoreError::KeyUsed { path: path.clone() });
        }
        DeviceKey { used: true, ..key }.save(path)?;
        self.fresh = None;
        Ok(())
    }

    fn record(&mut self, session: u64) -> Result<(), StoreError> {
        let alone = Lock::wait(&writing(&self.path))?;
        let next = self.read()?;
        if next > session {
            return Err(StoreError::SessionUsed { session, next });
        }
        let next = session.checked_add(1).ok_or(StoreError::SessionUsed { session, next })?;
        // In this order, since a used key whose counter stands at 0 is refused.
        write(&self.path, next, self.key)?;
        drop(alone);
        self.mark()
    }
}

/// The lock of a file.
fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".lock")
}

/// The lock of who writes a counter: whose it is does not change between a look and a write.
fn writing(path: &Path) -> PathBuf {
    with_ending(path, ".writing")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(ending);
    lock.into()
}

fn write(path: &Path, next: u64, key: KeyId) -> Result<(), StoreError> {
    Ok(write_file(path, &[&next.to_le_bytes(), &key])?)
}

impl SessionCounter for FileCounter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        self.read().map_err(log)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.record(session).map_err(log)
    }
}

fn log(error: StoreError) -> CounterError {
    tracing::error!("session counter: {error}");
    CounterError
}

#[cfg(test)]
mod tests {
    use super::*;

    use sharelet_core::session::wire::control::DeviceId;

    #[tokio::test]
    async fn a_number_is_consumed_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let [path, key_path] = ["counter", "key"].map(|name| directory.path().join(name));
        let key = DeviceKey::generate(DeviceId::new("d").expect("a name")).expect("random");
        key.save(&key_path).expect("saves");
        FileCounter::create(&path, key.key_id()).expect("writes");
        let open = || FileCounter::open(&path, &key_path, false);
        let mut counter = open().expect("opens").1;
        assert!(matches!(open(), Err(StoreError::Locked { .. })));
        assert_eq!(counter.next().await, Ok(0));
        assert!(!DeviceKey::load(&key_path).expect("loads").used);
        assert_eq!(counter.consume(4).await, Ok(()));
        assert!(DeviceKey::load(&key_path).expect("loads").used);
        let bytes = [&5_u64.to_le_bytes()[..], &key.key_id()].concat();
        assert_eq!(fs::read(&path).expect("reads"), bytes);
        assert_eq!(counter.consume(4).await, Err(CounterError));
        assert_eq!(counter.consume(u64::MAX).await, Err(CounterError));
        drop(counter);
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("writes");
            assert!(matches!(open(), Err(StoreError::File(_))), "{cut} bytes");
        }
    }

    #[tokio::test]
    async fn a_counter_that_is_lost_is_not_made_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let [path, key_path] = ["counter", "key"].map(|name| directory.path().join(name));
        let provision = || {
            let key = DeviceKey::generate(DeviceId::new("d").expect("a name")).expect("random");
            key.save(&key_path).expect("saves");
        };
        let open = |new| FileCounter::open(&path, &key_path, new);
        provision();
        assert!(matches!(open(false), Err(StoreError::NoCounter { .. })));
        assert!(!path.exists(), "nothing is made");
        let mut counter = open(true).expect("of a fresh key").1;
        assert_eq!((counter.next().await, counter.consume(0).await), (Ok(0), Ok(())));
        // Removed while it is in use, and before the next start.
        fs::remove_file(&path).expect("removes");
        assert_eq!(counter.consume(1).await, Err(CounterError));
        drop(counter);
        assert!(matches!(open(false), Err(StoreError::NoCounter { .. })));
        assert!(matches!(open(true), Err(StoreError::KeyUsed { .. })));
        // Two counters of a fresh key: the second cannot count what the first has.
        provision();
        fs::remove_file(&path).ok();
        let other = directory.path().join("other");
        let open_other = || FileCounter::open(&other, &key_path, true);
        let (mut first, mut second) =
            (open(true).expect("fresh").1, open_other().expect("fresh").1);
        assert_eq!(first.consume(0).await, Ok(()));
        assert_eq!(second.consume(0).await, Err(CounterError));
        drop(second);
        fs::remove_file(&other).expect("removes");
        assert!(matches!(open_other(), Err(StoreError::KeyUsed { .. })));
        FileCounter::create(&other, DeviceKey::load(&key_path).expect("loads").key_id())
            .expect("writes");
        assert!(matches!(open_other(), Err(StoreError::KeyUsed { .. })), "left at 0");
        drop(first);
        fs::remove_file(&path).expect("removes");
        // Another key's.
        provision();
        assert_eq!(open(true).expect("of a fresh key").1.next().await, Ok(0));
        provision();
        for new in [false, true] {
            assert!(matches!(open(new), Err(StoreError::OtherCounter { .. })));
        }
    }
}
