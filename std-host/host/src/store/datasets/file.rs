//! One upload on a server's disk.
//!
//! ```text
//! "SLTS" | version, u16 | length of the head, u32
//!        | head: postcard of the party and the description
//!        | keys: 16 bytes per row, if the upload has keys
//!        | share: the seed, 32 bytes (party 0), or 8 bytes per feature and label (party 1)
//!        | SHA-256 of everything before
//! ```
//!
//! Integers are little-endian.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sharelet_core::keystream::Key;
use sharelet_core::share::Party;

use super::error::DatasetError;
use crate::data::description::{Description, MAX_NAMES_BYTES};
use crate::data::keys::{KEY_HASH_BYTES, KeyHash};
use sharelet_link::files::{FileError, sync_directory, temporary_beside};

const MAGIC: [u8; 4] = *b"SLTS";
const VERSION: u16 = 4;
/// Most bytes of a head: as many of the longest names as there may be.
const MAX_HEAD_BYTES: usize = 4096 + MAX_NAMES_BYTES;
const DIGEST_BYTES: usize = 32;
/// Bytes of the seed that is server 0's share.
pub const SEED_BYTES: u64 = 32;
/// Bytes that are read at a time.
const STEP_BYTES: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Head {
    party: u8,
    description: Description,
}

/// A party as a number.
#[must_use]
pub fn party_number(party: Party) -> u8 {
    match party {
        Party::P0 => 0,
        Party::P1 => 1,
    }
}

/// Bytes of the keys of an upload; `None` beyond `u64`.
#[must_use]
pub fn key_bytes(description: &Description) -> Option<u64> {
    if description.keyed { description.rows.checked_mul(KEY_HASH_BYTES as u64) } else { Some(0) }
}

/// Bytes of a party's share of an upload; `None` beyond `u64`.
#[must_use]
pub fn share_bytes(party: Party, description: &Description) -> Option<u64> {
    match party {
        Party::P0 => Some(SEED_BYTES),
        Party::P1 => description.elems()?.checked_mul(8),
    }
}

/// An upload that is arriving. Dropped before it is finished, it leaves nothing.
pub struct Incoming {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    description: Description,
    /// Of the whole file.
    file_digest: Sha256,
    /// Of description, keys and share, as the owner computes it.
    body_digest: Sha256,
    key_bytes: u64,
    share_bytes: u64,
}

impl core::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Incoming").field("upload", &self.description.id).finish_non_exhaustive()
    }
}

impl Incoming {
    pub(super) fn begin(
        directory: &Path,
        party: Party,
        description: Description,
    ) -> Result<Self, DatasetError> {
        let impossible = || DatasetError::Impossible { upload: description.id };
        let key_bytes = key_bytes(&description).ok_or_else(impossible)?;
        let share_bytes = share_bytes(party, &description).ok_or_else(impossible)?;
        let described = postcard::to_allocvec(&description).map_err(|_| impossible())?;
        let head = postcard::to_allocvec(&Head {
            party: party_number(party),
            description: description.clone(),
        })
        .map_err(|_| impossible())?;
        let length = u32::try_from(head.len()).map_err(|_| impossible())?;
        let (temporary, file) = temporary_beside(&directory.join(description.id.to_string()))?;
        let mut incoming = Self {
            file: Some(BufWriter::new(file)),
            temporary,
            description,
            file_digest: Sha256::new(),
            body_digest: Sha256::new().chain_update(described),
            key_bytes,
            share_bytes,
        };
        for part in [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &head] {
            incoming.write(part)?;
        }
        Ok(incoming)
    }

    /// What it was announced as.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Bytes of keys that are still to come.
    #[must_use]
    pub fn key_bytes(&self) -> u64 {
        self.key_bytes
    }

    /// Bytes of the share that are still to come.
    #[must_use]
    pub fn share_bytes(&self) -> u64 {
        self.share_bytes
    }

    /// Takes keys, and after the last key the share.
    ///
    /// # Errors
    /// [`DatasetError::Impossible`] if there are more bytes than were announced, or keys and share
    /// overlap.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        let left = if self.key_bytes > 0 { &mut self.key_bytes } else { &mut self.share_bytes };
        match left.checked_sub(bytes.len() as u64) {
            Some(rest) => *left = rest,
            None => return Err(DatasetError::Impossible { upload: self.description.id }),
        }
        self.body_digest.update(bytes);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        self.file_digest.update(bytes);
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        Ok(written.map_err(FileError::at(&self.temporary))?)
    }

    /// Makes it durable under the name `to`. `digest` is the SHA-256 of description, keys and
    /// share, as the owner computed it.
    pub(super) fn finish(mut self, digest: &[u8; 32], to: &Path) -> Result<(), DatasetError> {
        let upload = self.description.id;
        if (self.key_bytes, self.share_bytes) != (0, 0) {
            return Err(DatasetError::Impossible { upload });
        }
        if <[u8; 32]>::from(self.body_digest.clone().finalize()) != *digest {
            return Err(DatasetError::Digest { upload });
        }
        let trailer: [u8; DIGEST_BYTES] = self.file_digest.clone().finalize().into();
        let temporary = self.temporary.clone();
        let durable = |file: Option<BufWriter<File>>| {
            let mut file = file.ok_or(io::ErrorKind::NotFound)?;
            file.write_all(&trailer)?;
            file.into_inner()?.sync_all()?;
            fs::rename(&temporary, to)
        };
        durable(self.file.take()).map_err(FileError::at(to))?;
        Ok(sync_directory(to)?)
    }

    /// The first row, from 1, whose key differs from that in another upload's file;
    /// [`Incoming::key_bytes`] is 0.
    pub(super) fn different_key(&mut self, other: &Path) -> Result<Option<u64>, DatasetError> {
        self.file
            .as_mut()
            .map_or(Ok(()), |file| file.flush())
            .map_err(FileError::at(&self.temporary))?;
        different_key(&self.temporary, other)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a rename there is none; one that stays is never read, and removed at the next
        // start.
        if self.file.take().is_some() || self.temporary.exists() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A party's share of an upload.
pub(super) enum Share {
    Seed(Key),
    Words(Vec<u64>),
}

/// An upload as read from disk.
pub(super) struct Upload {
    pub(super) description: Description,
    /// SHA-256 of the hashed keys.
    pub(super) keys: [u8; 32],
    pub(super) share: Share,
}

/// The description of an upload, whose file is not checked further.
pub(super) fn description(path: &Path, party: Party) -> Result<Description, DatasetError> {
    let mut file = BufReader::new(File::open(path).map_err(FileError::at(path))?);
    let head = read_head(&mut file, path)?;
    if head.party != party_number(party) {
        return Err(DatasetError::OtherParty {
            path: path.to_owned(),
            found: head.party,
            expected: party_number(party),
        });
    }
    Ok(head.description)
}

/// The first row, from 1, whose keys differ in the files of two uploads, which are not checked
/// further.
pub(super) fn different_key(a: &Path, b: &Path) -> Result<Option<u64>, DatasetError> {
    let keys = |path: &Path| {
        let mut file = BufReader::new(File::open(path).map_err(FileError::at(path))?);
        let rows = read_head(&mut file, path)?.description.rows;
        Ok::<_, DatasetError>((file, rows))
    };
    let ((mut a_keys, a_rows), (mut b_keys, b_rows)) = (keys(a)?, keys(b)?);
    let mut next = |row| {
        let (mut of_a, mut of_b) = (KeyHash::default(), KeyHash::default());
        a_keys.read_exact(&mut of_a).map_err(|_| DatasetError::Damaged { path: a.to_owned() })?;
        b_keys.read_exact(&mut of_b).map_err(|_| DatasetError::Damaged { path: b.to_owned() })?;
        Ok::<_, DatasetError>((of_a != of_b).then_some(row))
    };
    for row in 1..=a_rows.min(b_rows) {
        if let Some(row) = next(row)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Reads an upload and holds it against its checksum.
pub(super) fn read(path: &Path, party: Party) -> Result<Upload, DatasetError> {
    let damaged = || DatasetError::Damaged { path: path.to_owned() };
    let description = description(path, party)?;
    let file = File::open(path).map_err(FileError::at(path))?;
    let length = file.metadata().map_err(FileError::at(path))?.len();
    let mut file = Hashing {
        inner: BufReader::with_capacity(STEP_BYTES, file),
        digest: Sha256::new(),
        bytes: 0,
    };
    read_head(&mut file, path)?;
    let (key_bytes, share_bytes) =
        key_bytes(&description).zip(share_bytes(party, &description)).ok_or_else(damaged)?;
    let expected = [file.bytes, key_bytes, share_bytes, DIGEST_BYTES as u64]
        .into_iter()
        .try_fold(0, u64::checked_add);
    if expected != Some(length) {
        return Err(damaged());
    }
    let mut keys = Sha256::new();
    let mut step = vec![0; STEP_BYTES];
    let mut left = usize::try_from(key_bytes).map_err(|_| damaged())?;
    while left > 0 {
        let step = step.get_mut(..left.min(STEP_BYTES)).unwrap_or_default();
        file.read_exact(step).map_err(FileError::at(path))?;
        keys.update(&*step);
        left -= step.len();
    }
    let keys = keys.finalize().into();
    let share = match party {
        Party::P0 => {
            let mut seed = zeroize::Zeroizing::new([0; 32]);
            file.read_exact(&mut *seed).map_err(FileError::at(path))?;
            Share::Seed(Key::from_bytes(*seed))
        }
        Party::P1 => {
            let count = usize::try_from(share_bytes / 8).map_err(|_| damaged())?;
            let mut words = Vec::with_capacity(count);
            while words.len() < count {
                let bytes = (count - words.len()).saturating_mul(8).min(STEP_BYTES);
                let step = step.get_mut(..bytes).unwrap_or_default();
                file.read_exact(step).map_err(FileError::at(path))?;
                words.extend(step.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word)));
            }
            Share::Words(words)
        }
    };
    let (digest, mut stated) = (file.digest.clone().finalize(), [0; DIGEST_BYTES]);
    file.read_exact(&mut stated).map_err(FileError::at(path))?;
    if stated[..] != digest[..] {
        return Err(damaged());
    }
    Ok(Upload { description, keys, share })
}

fn read_head(file: &mut impl Read, path: &Path) -> Result<Head, DatasetError> {
    let damaged = || DatasetError::Damaged { path: path.to_owned() };
    let exact = |file: &mut dyn Read, bytes: &mut [u8]| {
        file.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(),
            _ => FileError::at(path)(error).into(),
        })
    };
    let (mut magic, mut version, mut length) = ([0; 4], [0; 2], [0; 4]);
    exact(file, &mut magic)?;
    exact(file, &mut version)?;
    exact(file, &mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if magic != MAGIC || length > MAX_HEAD_BYTES {
        return Err(damaged());
    }
    let version = u16::from_le_bytes(version);
    if version != VERSION {
        return Err(DatasetError::FileVersion {
            path: path.to_owned(),
            found: version,
            expected: VERSION,
        });
    }
    let mut head = vec![0; length];
    exact(file, &mut head)?;
    match postcard::take_from_bytes::<Head>(&head) {
        Ok((head, [])) if head.description.is_valid() => Ok(head),
        _ => Err(damaged()),
    }
}

/// Hashes and counts what is read.
struct Hashing<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}
