//! Why state cannot be read or written.

use std::path::PathBuf;

use sharelet_link::files::FileError;

/// Why state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
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
    /// A record of the database cannot be read.
    #[error(
        "{path}: a record is damaged; begin with an empty directory (a dealer's devices are then \
        provisioned anew), never with an old copy",
        path = path.display(),
    )]
    Damaged {
        /// The database.
        path: PathBuf,
    },
    /// An older version of this program has made the state.
    #[error(
        "{path} was made by an older version of this program; begin with an empty directory, and \
        provision a dealer's devices anew",
        path = path.display(),
    )]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// Others replace a device's record all the time.
    #[error("{device}: many hosts use its numbers at once; are there others with its key?")]
    Contended {
        /// The device.
        device: String,
    },
    /// The numbers of this state are kept elsewhere.
    #[error(
        "{path} is the state of a program that keeps its numbers in another place: name the same \
        --store as before, or none if it had none; or begin with an empty directory and provision \
        the devices anew",
        path = path.display(),
    )]
    Elsewhere {
        /// The state.
        path: PathBuf,
    },
    /// The state has seen another store.
    #[error(
        "{path} has used another store than this one, whose numbers may be unspent here; name the \
        store of before; if this one is new on purpose, begin with an empty directory, a new \
        identity, and devices that are provisioned anew",
        path = path.display(),
    )]
    OtherStore {
        /// The state.
        path: PathBuf,
    },
    /// A store beyond this machine.
    #[error("the store at {at}: {source}")]
    Remote {
        /// Its address.
        at: String,
        /// What is wrong.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// A store beyond this machine takes no more.
    #[error("the store at {at}: {source}")]
    Full {
        /// Its address.
        at: String,
        /// What it says.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The record of dealt sessions is gone, while the keys are still there.
    #[error(
        "{path} is missing or empty, and with it the record of dealt sessions; begin with an empty \
         directory and provision the devices anew",
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
    /// A device was revoked.
    #[error("the device was revoked, here or at another machine of this store")]
    Revoked,
    /// A device asks for a number that it has passed.
    #[error(
        "asks for session {session}, and its counter stood at {seen} before: the counter went \
        back, or another has a copy of its key; find out which, then provision the device anew"
    )]
    CounterWentBack {
        /// What it asks for.
        session: u64,
        /// The lowest number that it can ask for.
        seen: u64,
    },
    /// A device has had as many sessions as it may on a day, or the model as many devices.
    #[error(
        "the host serves a device {sessions_per_day} sessions a day, and a model to {devices} \
        devices; see --sessions-per-day and --devices"
    )]
    Quota {
        /// Most sessions of a device on a day.
        sessions_per_day: u32,
        /// Most devices.
        devices: u32,
    },
    /// There is a key already.
    #[error(
        "{device} has a key already; with --force it gets a new one, and the old one stops working"
    )]
    KeyExists {
        /// The device.
        device: String,
    },
    /// The counter of a key is not there.
    #[error(
        "{path}: there is no counter, and no key works without its own; restore the newest one or \
         provision the device anew (if the key was never used, --new-counter makes one)",
        path = path.display()
    )]
    NoCounter {
        /// The counter.
        path: PathBuf,
    },
    /// A new counter is wanted for a key that was used.
    #[error(
        "{path}: numbers were used under this key already; a new counter would use them again: \
         provision the device anew",
        path = path.display()
    )]
    KeyUsed {
        /// The key.
        path: PathBuf,
    },
    /// The counter is not this key's.
    #[error(
        "{path} is the counter of another key; name the one that was provisioned with this key",
        path = path.display()
    )]
    OtherCounter {
        /// The counter.
        path: PathBuf,
    },
    /// A task file cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Task {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: sharelet_core::session::wire::task::TaskError,
    },
    /// An identity or a card cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdentityError,
    },
    /// A key cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
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

/// Why a key file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Shorter or longer than a key file.
    #[error(
        "{found} bytes where a key file has 64: the file is cut; copy it again or \
         make a new key with `sharelet provision`"
    )]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// Not a key file.
    #[error("not a device key; make one with `sharelet provision`")]
    NotAKey,
    /// Of another version.
    #[error(
        "a key file of version {found}, this program reads version 1; make a new key with \
         `sharelet provision`"
    )]
    Version {
        /// The version it states.
        found: u8,
    },
    /// The checksum does not match.
    #[error(
        "the checksum does not match: the key is damaged; copy it again or make a new one with \
         `sharelet provision`"
    )]
    Checksum,
    /// The name is not one.
    #[error(
        "the device's name has other characters than letters, digits, `.`, `-` and `_`; make a \
         new key with `sharelet provision`"
    )]
    Name,
}

/// Why an identity's file or a card cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not such a file.
    #[error("neither an identity nor a card; make them with `sharelet keygen`")]
    NotOne,
    /// A card where an identity is needed.
    #[error("a card, which is for peers; name the identity, which ends in .id")]
    NoSecret,
    /// An identity where a card is needed.
    #[error("an identity, which is secret, where the card is needed, which ends in .card")]
    NoCard,
    /// Others may read it.
    #[error("others may read this secret; run `chmod go=` on it, and make a new one if they did")]
    Readable,
    /// The role is not one.
    #[error("the role is none that this program knows; install matching versions")]
    Role,
    /// The name is not one.
    #[error("the name has other characters than letters, digits, `.`, `-` and `_`")]
    Name,
    /// The key is damaged.
    #[error("the key is not one of 64 hexadecimal digits: the file is damaged, copy it again")]
    Digits,
}

impl IdentityError {
    pub(super) fn at(self, path: &std::path::Path) -> StoreError {
        StoreError::Identity { path: path.to_owned(), source: self }
    }
}
