//! A server's share of a model: checkpoints of a run, and finished models.
//!
//! ```text
//! "SLTM" | version, u16 | length of the header, u32 | header, postcard
//!        | words of 8 bytes, little-endian | SHA-256 of all before
//! ```
//!
//! A run is a directory; its checkpoints are files in it, written beside their destination, synced
//! and renamed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sharelet_core::share::Party;

use super::error::StoreError;
use super::lock::Lock;
use sharelet_link::files::{FileError, private_directory, remove_temporaries, write_file};
use sharelet_model::readings::columns::Columns;
use sharelet_train::course::Sizes;

const MAGIC: [u8; 4] = *b"SLTM";
const VERSION: u16 = 3;
const PREFIX_BYTES: usize = 10;
const DIGEST_BYTES: usize = 32;
const ENDING: &str = "share";

/// Why a share of a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is damaged.
    #[error(
        "{path}: the file is cut or damaged; if it is a checkpoint, delete it and go on from an \
        older one, or begin anew with --fresh",
        path = path.display(),
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file of another version.
    #[error(
        "{path}: a file of version {found}, this program reads version {VERSION}",
        path = path.display(),
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u16,
    },
    /// A file of the other server.
    #[error(
        "{path}: a share of party {found}, and this server is party {expected}; give each party a \
        state directory of its own",
        path = path.display(),
    )]
    OtherParty {
        /// The file.
        path: PathBuf,
        /// Its party.
        found: u8,
        /// The server's.
        expected: u8,
    },
    /// A checkpoint of another run.
    #[error(
        "{path}: the checkpoint does not fit this run: {reason}; train with what it was made with, \
        or drop it with --fresh",
        path = path.display(),
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A run that was finished is there.
    #[error(
        "{path}: an earlier run of this name has left its model; give another --name, or replace \
        it with --fresh",
        path = path.display(),
    )]
    Finished {
        /// The model's share.
        path: PathBuf,
    },
    /// A run that was not finished is there.
    #[error(
        "{path}: there are checkpoints of an earlier run; go on with --resume, or drop them with \
        --fresh",
        path = path.display(),
    )]
    Begun {
        /// The directory.
        path: PathBuf,
    },
}

/// What a share of a model is a share of. Public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 0 or 1.
    pub party: u8,
    /// The run, drawn by server 0.
    pub run: [u8; 16],
    /// Steps that were made.
    pub step: u64,
    /// Sizes of the data.
    pub sizes: Sizes,
    /// Names of the columns of the data to train on.
    pub columns: Columns,
    /// What data: [`crate::store::datasets::Descriptor::hash`] of that to train on.
    pub train: [u8; 32],
    /// The same of that to test on.
    pub test: Option<[u8; 32]>,
    /// The configuration, as TOML.
    pub config: String,
    /// What was opened so far: epoch by epoch, what [`sharelet_train::curve`] makes of it.
    pub curve: Vec<u8>,
}

/// A share of a model.
pub struct Share {
    /// Of what.
    pub header: Header,
    /// Words of the model, then of its momentum, then of the sums of the epoch, then of the scaling
    /// of each column that is standardised.
    pub words: Vec<u64>,
}

impl core::fmt::Debug for Share {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Share").field("step", &self.header.step).finish_non_exhaustive()
    }
}

/// The number of a party.
#[must_use]
pub const fn number(party: Party) -> u8 {
    match party {
        Party::P0 => 0,
        Party::P1 => 1,
    }
}

impl Share {
    /// Writes the share: all of it, or nothing.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let header = postcard::to_allocvec(&self.header)
            .map_err(|error| FileError::at(path)(std::io::Error::other(error)))?;
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes();
        let words: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let parts = [&MAGIC[..], &VERSION.to_le_bytes(), &length, &header, &words];
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        let [magic, version, length, header, words] = parts;
        Ok(write_file(path, &[magic, version, length, header, words, &digest.finalize()])?)
    }

    /// Reads a share.
    ///
    /// # Errors
    /// [`TrainingError::Damaged`], [`TrainingError::Version`], [`StoreError::File`].
    pub fn load(path: &Path) -> Result<Self, TrainingError> {
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        let damaged = || TrainingError::Damaged { path: path.to_owned() };
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(damaged)?;
        let version =
            rest.first_chunk().map(|version| u16::from_le_bytes(*version)).ok_or_else(damaged)?;
        if version != VERSION {
            return Err(TrainingError::Version { path: path.to_owned(), found: version });
        }
        let (content, digest) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or_else(damaged)?;
        if Sha256::digest(content)[..] != digest[..] {
            return Err(damaged());
        }
        let length = rest
            .get(2..)
            .and_then(|rest| rest.first_chunk())
            .map(|length| u32::from_le_bytes(*length));
        let body = content.get(PREFIX_BYTES..).ok_or_else(damaged)?;
        let (header, words) =
            body.split_at_checked(length.ok_or_else(damaged)? as usize).ok_or_else(damaged)?;
        let Ok((header, [])) = postcard::take_from_bytes(header) else { return Err(damaged()) };
        let (words, rest) = words.as_chunks();
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Self { header, words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
}

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    party: Party,
    keep: usize,
    _lock: Lock,
}

impl Checkpoints {
    /// Opens a run's directory in a server's state.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process trains there.
    pub fn open(state: &Path, name: &str, party: Party, keep: usize) -> Result<Self, StoreError> {
        let directory = state.join(format!("training-{name}"));
        private_directory(&directory)?;
        let lock = Lock::take(&directory.join("lock"), &directory)?;
        remove_temporaries(&directory);
        Ok(Self { directory, party, keep: keep.max(1), _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The checkpoint after a step.
    #[must_use]
    pub fn path(&self, step: u64) -> PathBuf {
        self.directory.join(format!("step-{step:010}.{ENDING}"))
    }

    /// Steps after which there are checkpoints, ascending.
    #[must_use]
    pub fn steps(&self) -> Vec<u64> {
        let step = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("step-")?.strip_suffix(ENDING)?.strip_suffix('.')?.parse().ok()
        };
        let mut steps: Vec<u64> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(step)
            .collect();
        steps.sort_unstable();
        steps
    }

    /// Writes a checkpoint, and drops those that are older than what is kept.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, share: &Share) -> Result<(), StoreError> {
        share.save(&self.path(share.header.step))?;
        let steps = self.steps();
        for &step in steps.iter().take(steps.len().saturating_sub(self.keep)) {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(self.path(step));
        }
        Ok(())
    }

    /// The checkpoint after a step.
    ///
    /// # Errors
    /// [`TrainingError`] if it is damaged or the other server's.
    pub fn load(&self, step: u64) -> Result<Share, TrainingError> {
        let path = self.path(step);
        let share = Share::load(&path)?;
        let expected = number(self.party);
        if share.header.party != expected {
            return Err(TrainingError::OtherParty { path, found: share.header.party, expected });
        }
        if share.header.step != step {
            return Err(TrainingError::Damaged { path });
        }
        Ok(share)
    }

    /// Drops checkpoints after a step: those of a run that goes on from there.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn drop_after(&self, step: Option<u64>) -> Result<(), StoreError> {
        for later in self.steps().into_iter().filter(|&later| step.is_none_or(|step| later > step))
        {
            let path = self.path(later);
            fs::remove_file(&path).map_err(FileError::at(&path))?;
        }
        Ok(())
    }

    /// Checks that no finished model lies where a new run would write its own.
    ///
    /// # Errors
    /// [`TrainingError::Finished`].
    pub fn expect_unfinished(&self) -> Result<(), TrainingError> {
        let path = self.model();
        if path.exists() { Err(TrainingError::Finished { path }) } else { Ok(()) }
    }

    /// Checks that there are no checkpoints that a new run would lose.
    ///
    /// # Errors
    /// [`TrainingError::Begun`].
    pub fn expect_none(&self) -> Result<(), TrainingError> {
        if self.steps().is_empty() {
            return Ok(());
        }
        Err(TrainingError::Begun { path: self.directory.clone() })
    }

    /// Where the share of the finished model lies.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.directory.join(format!("model.{ENDING}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(step: u64, party: u8) -> Share {
        let sizes = Sizes { rows: 7, features: 3, targets: 1, ..Sizes::default() };
        let header = Header {
            party,
            run: [5; 16],
            step,
            sizes,
            columns: Columns {
                features: ["a", "b", "c"].map(str::to_owned).into(),
                labels: vec![],
            },
            train: [1; 32],
            test: None,
            config: "[data]".to_owned(),
            curve: vec![1],
        };
        Share { header, words: vec![step, u64::MAX, 7] }
    }

    #[test]
    fn the_latest_checkpoints_are_kept_and_damage_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let run = Checkpoints::open(directory.path(), "a", Party::P1, 2).expect("opens");
        assert!(matches!(
            Checkpoints::open(directory.path(), "a", Party::P1, 2),
            Err(StoreError::Locked { .. })
        ));
        for step in [10, 20, 30] {
            run.save(&share(step, 1)).expect("saves");
        }
        assert_eq!(run.steps(), [20, 30]);
        let loaded = run.load(30).expect("loads");
        assert_eq!((loaded.header, loaded.words), (share(30, 1).header, share(30, 1).words));
        run.save(&share(40, 0)).expect("saves");
        assert!(matches!(
            run.load(40),
            Err(TrainingError::OtherParty { found: 0, expected: 1, .. })
        ));
        let path = run.path(30);
        let whole = fs::read(&path).expect("reads");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("writes");
            assert!(run.load(30).is_err(), "cut at {cut}");
            let mut turned = whole.clone();
            turned[cut] ^= 1;
            fs::write(&path, &turned).expect("writes");
            assert!(run.load(30).is_err(), "turned at {cut}");
        }
        // Bytes behind the header's fields, with a length and a digest that fit.
        let (content, _) = whole.split_last_chunk::<DIGEST_BYTES>().expect("is longer");
        let mut longer = content.to_vec();
        let end = PREFIX_BYTES + usize::from(content[6]);
        longer.insert(end, 0);
        longer[6] += 1;
        longer.extend_from_slice(&Sha256::digest(&longer));
        fs::write(&path, &longer).expect("writes");
        assert!(matches!(run.load(30), Err(TrainingError::Damaged { .. })));
        run.drop_after(Some(30)).expect("drops");
        assert_eq!(run.steps(), [30]);
        run.drop_after(None).expect("drops");
        assert_eq!(run.steps(), [0; 0]);
    }
}
