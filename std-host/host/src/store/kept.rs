//! What two parties keep of each other who prepare alone: base transfers, made once per pair.
//!
//! ```text
//! id, 16 bytes | what `sharelet_prepare::Kept` writes
//! ```
//!
//! They are as secret as a key, and never spent: every session draws a name of its own from both
//! parties' fresh randomness, so a copy of the file does no harm.

use std::fs;
use std::path::{Path, PathBuf};

use sharelet_link::files::{FileError, private_directory, write_file};
use sharelet_prepare::Kept;

use super::error::StoreError;
use super::lock::Lock;

/// What both call what they keep.
pub type KeptId = [u8; 16];

/// Held by the program that meets a peer.
#[derive(Debug)]
pub struct Held {
    _lock: Lock,
}

/// The file of one peer.
#[derive(Clone, Debug)]
pub struct KeptFile {
    path: PathBuf,
}

impl KeptFile {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What is kept of the peer. What cannot be read is as if it were not there: the parties meet
    /// again, which costs a message.
    ///
    /// # Errors
    /// The disk's.
    pub fn load(&self) -> Result<Option<(KeptId, Box<Kept>)>, StoreError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at(&self.path)(error).into()),
        };
        let read = bytes
            .split_first_chunk()
            .and_then(|(id, kept)| Some((*id, Box::new(Kept::from_bytes(kept).ok()?))));
        if read.is_none() {
            let path = self.path.display();
            tracing::warn!("{path}: damaged, or of another version; the parties meet again");
        }
        Ok(read)
    }

    /// Keeps it, in place of what was kept.
    ///
    /// # Errors
    /// The disk's; transfers that a peer has cheated with.
    pub fn save(&self, id: &KeptId, kept: &Kept) -> Result<(), StoreError> {
        if let Some(directory) = self.path.parent() {
            private_directory(directory)?;
        }
        let spoilt = |error: sharelet_prepare::PrepareError| {
            FileError::at(&self.path)(std::io::Error::other(error.to_string()))
        };
        let bytes = kept.to_bytes().map_err(spoilt)?;
        Ok(write_file(&self.path, &[id, &bytes])?)
    }

    /// Forgets it, after the peer was caught at cheating.
    ///
    /// # Errors
    /// The disk's.
    pub fn forget(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::at(&self.path)(error).into())
            }
            _ => Ok(()),
        }
    }

    /// One program at a time: nobody else meets this peer, or spends what is kept for it, while
    /// the value lives.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub fn lock(&self) -> Result<Held, StoreError> {
        let path = self.path.with_file_name(".lock");
        let directory = self.path.parent().unwrap_or(Path::new("."));
        private_directory(directory)?;
        Ok(Held { _lock: Lock::take(&path, directory)? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
