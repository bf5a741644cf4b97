//! Corrections that were dealt ahead of time, one file per session, deleted when the session is
//! granted.
//!
//! ```text
//! spool/DEVICE/SESSION.cor:
//! "SLTC" | version, u16 | session, u64 | model, 32 bytes | key, 8 bytes | length, u64
//!        | corrections | CRC-32 of everything before, u32        (all little-endian)
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::DeviceId;

use sharelet_link::files::{FileError, private_directory, remove_temporaries, write_file};

const MAGIC: [u8; 4] = *b"SLTC";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 4 + 2 + 8 + 32 + 8 + 8;
/// Where the origin lies in the header.
const ORIGIN_AT: usize = 4 + 2 + 8;
const CHECKSUM_BYTES: usize = 4;
const ENDING: &str = "cor";

/// What corrections belong to: a masked model and a device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The masked model.
    pub model: [u8; 32],
    /// The device's key.
    pub key: KeyId,
}

/// Why an entry of the spool is dropped. The next session number is used instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] FileError),
    /// Shorter or longer than it should be.
    #[error(
        "{path}: {found} bytes where {expected} are expected: the file is cut",
        path = path.display(),
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The checksum does not match.
    #[error("{path}: the checksum does not match: the file is damaged", path = path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// The store does not answer: the corrections are not dropped.
    #[error(transparent)]
    Store(#[from] Box<super::error::StoreError>),
    /// What another machine has kept is damaged, or is not there.
    #[error("session {session} is not whole in the store")]
    Missing {
        /// The session.
        session: u64,
    },
    /// Dealt for another session, model or key, or not a spool file at all.
    #[error(
        "{path}: dealt for another session, model, or key of the device",
        path = path.display(),
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The spool of a host.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
}

impl Spool {
    pub(super) fn open(directory: PathBuf) -> Result<Self, FileError> {
        private_directory(&directory)?;
        for device in fs::read_dir(&directory).map_err(FileError::at(&directory))?.flatten() {
            remove_temporaries(&device.path());
        }
        Ok(Self { directory })
    }

    /// The file of a session's corrections.
    #[must_use]
    pub fn path(&self, device: DeviceId, session: u64) -> PathBuf {
        // A name may be `.` or `..`; a directory may not.
        self.directory.join(format!("device-{device}")).join(format!("{session:020}.{ENDING}"))
    }

    /// The sessions that have an entry, lowest first.
    #[must_use]
    pub fn sessions(&self, device: DeviceId) -> Vec<u64> {
        let directory = self.path(device, 0);
        let entries = directory.parent().and_then(|directory| fs::read_dir(directory).ok());
        let session = |path: PathBuf| {
            let spooled = path.extension().is_some_and(|extension| extension == ENDING);
            path.file_stem().filter(|_| spooled)?.to_str()?.parse().ok()
        };
        let mut sessions: Vec<u64> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| session(entry.path()))
            .collect();
        sessions.sort_unstable();
        sessions
    }

    /// All devices, and how many sessions each has ready.
    #[must_use]
    pub fn stock(&self) -> Vec<(DeviceId, usize)> {
        let folders = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = folders.filter_map(|folder| folder.file_name().into_string().ok());
        let devices = names.filter_map(|name| DeviceId::new(name.strip_prefix("device-")?));
        devices.map(|device| (device, self.sessions(device).len())).collect()
    }

    /// What an entry says it was dealt for, or `None` if its header cannot be read.
    #[must_use]
    pub fn origin(&self, device: DeviceId, session: u64) -> Option<Origin> {
        let mut head = [0; HEADER_BYTES];
        File::open(self.path(device, session))
            .and_then(|mut file| file.read_exact(&mut head))
            .ok()?;
        let (model, rest) = head.get(ORIGIN_AT..)?.split_first_chunk()?;
        Some(Origin { model: *model, key: *rest.first_chunk()? })
    }

    /// Whether an entry with corrections of `bytes` could be written now.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn expect_room(&self, device: DeviceId, bytes: usize) -> Result<(), FileError> {
        let path = self.path(device, u64::MAX).with_extension("room");
        if let Some(directory) = path.parent() {
            private_directory(directory)?;
        }
        let written = write_file(&path, &[&vec![0; bytes]]);
        // Where it is not there, it was not written.
        let _ = fs::remove_file(&path);
        written
    }

    /// Writes an entry; it is complete and durable when this returns.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn put(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        corrections: &[u8],
    ) -> Result<(), FileError> {
        let path = self.path(device, session);
        if let Some(directory) = path.parent() {
            private_directory(directory)?;
        }
        let header = header(session, origin, corrections.len() as u64);
        let checksum = checksum(&header, corrections);
        write_file(&path, &[&header, corrections, &checksum])
    }

    /// Reads the corrections of a session, `expected_bytes` long, dealt for exactly this `origin`.
    /// The entry stays.
    ///
    /// # Errors
    /// [`SpoolError`] names what is wrong with the entry.
    pub fn get(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        expected_bytes: usize,
    ) -> Result<Vec<u8>, SpoolError> {
        let path = self.path(device, session);
        let mut file = File::open(&path).map_err(FileError::at(&path))?;
        let found = file.metadata().map_err(FileError::at(&path))?.len();
        let mut head = [0; HEADER_BYTES];
        let expected = (HEADER_BYTES + expected_bytes + CHECKSUM_BYTES) as u64;
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(SpoolError::Length { path, expected, found });
            }
            read => read.map_err(FileError::at(&path))?,
        }
        if found != expected {
            return Err(SpoolError::Length { path, expected, found });
        }
        let mut corrections = vec![0; expected_bytes];
        let mut stated = [0; CHECKSUM_BYTES];
        file.read_exact(&mut corrections)
            .and_then(|()| file.read_exact(&mut stated))
            .map_err(FileError::at(&path))?;
        if stated != checksum(&head, &corrections) {
            return Err(SpoolError::Checksum { path });
        }
        if head != header(session, origin, expected_bytes as u64) {
            return Err(SpoolError::Foreign { path });
        }
        Ok(corrections)
    }

    /// Deletes an entry. The host's record of used sessions, not the deletion, keeps a number from
    /// being used twice.
    pub fn remove(&self, device: DeviceId, session: u64) {
        let path = self.path(device, session);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(
                    "{}: {error}; the file is not used again and can be deleted",
                    path.display()
                );
            }
            _ => {}
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn header(session: u64, origin: &Origin, length: u64) -> [u8; HEADER_BYTES] {
    let (version, session, length) =
        (VERSION.to_le_bytes(), session.to_le_bytes(), length.to_le_bytes());
    let fields = [&MAGIC[..], &version, &session, &origin.model, &origin.key, &length];
    let mut bytes = [0; HEADER_BYTES];
    bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    bytes
}

fn checksum(header: &[u8], corrections: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(corrections);
    crc.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(directory.path().join("spool")).expect("opens");
        let device = DeviceId::new("..").expect("a name");
        let origin = Origin { model: [1; 32], key: [2; 8] };
        spool.put(device, 7, &origin, b"corrections").expect("writes");
        spool.put(device, 3, &origin, b"corrections").expect("writes");
        assert_eq!(spool.sessions(device), [3, 7]);
        assert_eq!((spool.origin(device, 3), spool.origin(device, 4)), (Some(origin), None));
        assert_eq!(spool.get(device, 7, &origin, 11).expect("reads"), b"corrections");
        assert!(matches!(
            spool.get(device, 7, &Origin { key: [3; 8], ..origin }, 11),
            Err(SpoolError::Foreign { .. })
        ));
        assert!(matches!(spool.get(device, 7, &origin, 12), Err(SpoolError::Length { .. })));
        assert!(matches!(spool.get(device, 8, &origin, 12), Err(SpoolError::File(_))));
        let (bytes, path) =
            (fs::read(spool.path(device, 7)).expect("reads"), spool.path(device, 7));
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("writes");
            assert!(
                matches!(spool.get(device, 7, &origin, 11), Err(SpoolError::Length { .. })),
                "cut at {cut}"
            );
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            fs::write(&path, &flipped).expect("writes");
            assert!(
                matches!(spool.get(device, 7, &origin, 11), Err(SpoolError::Checksum { .. })),
                "flipped at {at}"
            );
        }
        spool.remove(device, 7);
        spool.remove(device, 7);
        assert_eq!(spool.sessions(device), [3]);
    }
}
