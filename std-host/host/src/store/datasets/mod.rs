//! A server's datasets: its shares of what owners have uploaded.
//!
//! A dataset is a directory, an upload of an owner a file in it. An upload is first written under a
//! temporary name, then *stored* (`ID.pending`, complete and durable), and *registered*
//! (`ID.share`) when its owner knows that both servers have stored it. Only registered uploads are
//! listed and read. An owner gives one upload to a dataset.
//!
//! ```text
//! DIRECTORY/lock
//! DIRECTORY/dataset-NAME/ID.share, ID.pending
//! ```

pub mod error;
pub mod file;
pub mod join;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sharelet_core::share::Party;

pub use self::error::{DatasetError, Disagreement};
pub use self::file::Incoming;
pub use self::join::{Dataset, Descriptor, Part};
use super::lock::Lock;
use crate::data::description::Description;
use crate::data::name::Name;
use sharelet_link::files::{FileError, private_directory, remove_temporaries, sync_directory};

const PREFIX: &str = "dataset-";
const REGISTERED: &str = "share";
const PENDING: &str = "pending";

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is there.
    New,
    /// Complete and durable, but not registered.
    Stored,
    /// Registered.
    Registered,
}

/// The datasets of one party.
#[derive(Debug)]
pub struct Datasets {
    directory: PathBuf,
    party: Party,
    /// Owners whose uploads are under way, and the lock on every change of names.
    active: Mutex<HashSet<(Name, Name)>>,
    _lock: Option<Lock>,
}

/// An upload that nobody else may touch meanwhile.
#[derive(Debug)]
pub struct Claim {
    datasets: Arc<Datasets>,
    of: (Name, Name),
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.datasets.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.of);
    }
}

impl Datasets {
    /// Opens a directory for uploads, and makes it if there is none.
    ///
    /// # Errors
    /// [`DatasetError::Store`] if another process takes uploads there; [`DatasetError::OtherParty`]
    /// if it holds shares of the other party.
    pub fn open(directory: &Path, party: Party) -> Result<Arc<Self>, DatasetError> {
        private_directory(directory)?;
        let lock = Lock::take(&directory.join("lock"), directory)?;
        let datasets = Self::over(directory, party, Some(lock));
        for entry in fs::read_dir(directory).map_err(FileError::at(directory))?.flatten() {
            remove_temporaries(&entry.path());
        }
        for name in datasets.names()? {
            datasets.uploads(&name)?;
        }
        Ok(Arc::new(datasets))
    }

    /// Opens a directory for reading only, also while another process takes uploads there.
    #[must_use]
    pub fn read(directory: &Path, party: Party) -> Self {
        Self::over(directory, party, None)
    }

    fn over(directory: &Path, party: Party, lock: Option<Lock>) -> Self {
        Self { directory: directory.to_owned(), party, active: Mutex::default(), _lock: lock }
    }

    /// Whose shares these are.
    #[must_use]
    pub fn party(&self) -> Party {
        self.party
    }

    fn path(&self, dataset: &Name) -> PathBuf {
        // A name may be `.` or `..`; a directory may not.
        self.directory.join(format!("{PREFIX}{dataset}"))
    }

    fn file(&self, description: &Description, ending: &str) -> PathBuf {
        self.path(&description.dataset).join(format!("{}.{ending}", description.id))
    }

    /// The datasets that have a registered upload, in order of their names.
    ///
    /// # Errors
    /// [`DatasetError::File`].
    pub fn names(&self) -> Result<Vec<Name>, DatasetError> {
        let entries = fs::read_dir(&self.directory).map_err(FileError::at(&self.directory))?;
        let name = |entry: fs::DirEntry| {
            let name: Name = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            (!self.files(&name, REGISTERED).is_empty()).then_some(name)
        };
        let mut names: Vec<Name> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    fn files(&self, dataset: &Name, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(dataset))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        entries
            .filter(|path| path.extension().is_some_and(|extension| extension == ending))
            .collect()
    }

    /// The registered uploads of a dataset, with their files, in the order in which they are
    /// joined: by owner, then by id.
    fn registered(&self, dataset: &Name) -> Result<Vec<(Description, PathBuf)>, DatasetError> {
        let mut uploads = Vec::new();
        for path in self.files(dataset, REGISTERED) {
            uploads.push((file::description(&path, self.party)?, path));
        }
        uploads.sort_by(|(a, _), (b, _)| (&a.owner, a.id).cmp(&(&b.owner, b.id)));
        Ok(uploads)
    }

    /// The registered uploads of a dataset, in the order in which they are joined: by owner, then
    /// by id.
    ///
    /// # Errors
    /// [`DatasetError::Damaged`], [`DatasetError::OtherParty`].
    pub fn uploads(&self, dataset: &Name) -> Result<Vec<Description>, DatasetError> {
        Ok(self.registered(dataset)?.into_iter().map(|(description, _)| description).collect())
    }

    /// Reserves an owner's place in a dataset; `None` while another connection has it.
    #[must_use]
    pub fn claim(self: &Arc<Self>, description: &Description) -> Option<Claim> {
        let of = (description.dataset.clone(), description.owner.clone());
        let fresh = self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(of.clone());
        fresh.then(|| Claim { datasets: self.clone(), of })
    }

    /// How far an upload is, and whether it may go on.
    ///
    /// # Errors
    /// [`DatasetError::Registered`] if the owner has given another upload;
    /// [`DatasetError::OtherUpload`] if the id belongs to another description;
    /// [`DatasetError::Disagree`] if it does not fit the uploads of other owners.
    pub fn progress(&self, description: &Description) -> Result<Progress, DatasetError> {
        let upload = description.id;
        let same = |found: &Description| {
            if found == description { Ok(()) } else { Err(DatasetError::OtherUpload { upload }) }
        };
        for (registered, _) in self.registered(&description.dataset)? {
            if registered.id == upload {
                return same(&registered).map(|()| Progress::Registered);
            }
            if registered.owner == description.owner {
                let Description { owner, dataset, id, .. } = registered;
                return Err(DatasetError::Registered { owner, dataset, upload: id });
            }
            join::agree(&registered, description)?;
        }
        let pending = self.file(description, PENDING);
        if !pending.exists() {
            return Ok(Progress::New);
        }
        same(&file::description(&pending, self.party)?).map(|()| Progress::Stored)
    }

    /// Begins to take an upload.
    ///
    /// # Errors
    /// As [`Datasets::progress`]; [`DatasetError::File`].
    pub fn begin(&self, description: Description) -> Result<Incoming, DatasetError> {
        self.progress(&description)?;
        let directory = self.path(&description.dataset);
        private_directory(&directory)?;
        sync_directory(&directory)?;
        Incoming::begin(&directory, self.party, description)
    }

    /// Stores an upload that has arrived; `digest` is the owner's SHA-256 of description, keys and
    /// share. It is complete and durable when this returns, and not registered. An earlier upload
    /// of the owner that was never registered is forgotten.
    ///
    /// # Errors
    /// [`DatasetError::Impossible`], [`DatasetError::Digest`]; [`DatasetError::Disagree`] if its
    /// keys are not those of the owners before; [`DatasetError::File`].
    pub fn store(&self, mut incoming: Incoming, digest: &[u8; 32]) -> Result<(), DatasetError> {
        let description = incoming.description().clone();
        if description.keyed
            && incoming.key_bytes() == 0
            && let Some((other, path)) = self.registered(&description.dataset)?.first()
        {
            join::same_keys(other, &description, incoming.different_key(path)?)?;
        }
        incoming.finish(digest, &self.file(&description, PENDING))?;
        for path in self.files(&description.dataset, PENDING) {
            let other = file::description(&path, self.party);
            if other
                .is_ok_and(|other| other.owner == description.owner && other.id != description.id)
            {
                // One that stays takes space, and nothing else.
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Registers a stored upload. Registering it once more changes nothing.
    ///
    /// # Errors
    /// [`DatasetError::NotStored`]; [`DatasetError::Disagree`] if another owner's upload, which it
    /// does not fit, was registered meanwhile.
    pub fn register(&self, description: &Description) -> Result<(), DatasetError> {
        // One at a time, so that two uploads that do not fit each other do not both pass.
        let _names = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match self.progress(description)? {
            Progress::Registered => return Ok(()),
            Progress::New => return Err(DatasetError::NotStored { upload: description.id }),
            Progress::Stored => {}
        }
        let (from, to) = (self.file(description, PENDING), self.file(description, REGISTERED));
        if description.keyed
            && let Some((other, path)) = self.registered(&description.dataset)?.first()
        {
            join::same_keys(other, description, file::different_key(path, &from)?)?;
        }
        fs::rename(&from, &to).map_err(FileError::at(&to))?;
        Ok(sync_directory(&to)?)
    }

    /// Reads a dataset: the rows of all owners below one another, or their columns beside one
    /// another.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], [`DatasetError::Damaged`], [`DatasetError::Disagree`].
    pub fn dataset(&self, name: &Name) -> Result<Dataset, DatasetError> {
        let registered = self.registered(name)?;
        if registered.is_empty() {
            let existing = self.names()?.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
            let existing = if existing.is_empty() { "none".to_owned() } else { existing };
            return Err(DatasetError::Unknown { dataset: name.clone(), existing });
        }
        join::join(self.party, name, &registered)
    }
}
