//! The store of two parties who are alone: halves of inferences that they have made ahead of time,
//! read once.
//!
//! ```text
//! DIR/spent          "SLTP" | version, u16 | origin, 81 bytes | epoch, u64 | next, u64 | CRC-32
//! DIR/FIRST.halves   "SLTH" | version, u16 | origin, 81 bytes | batch, 16 bytes | first, u64
//!                    | halves, u32 | bytes of one, u64 | CRC-32
//!                    then of every half: its bytes | CRC-32 of batch, index and bytes
//! origin             party, u8 | pair, 32 bytes | model, 32 bytes | transfers, 16 bytes
//! ```
//!
//! All little-endian. A store whose transfers are not those that the pair keeps now begins anew,
//! empty: one of the two has forgotten them, because the other was caught at cheating or because
//! its file was lost, and has no such store any more.
//!
//! An index is recorded as spent, durably, before its half is read. Both parties' stores are
//! matched when they meet: what only one of them has is dropped, and the higher record counts. A
//! record that lies behind the peer's by more than one, which is what a power cut or a full disk
//! leaves, is a copy's: the store is refused. A record that is missing beside halves is refused,
//! too. What nobody can notice is that *both* stores are copies of one time: whoever restores both
//! machines must delete both stores. A half that was spent is written over with zeros, as far as
//! the storage below does what it is told (flash and journals keep copies): so a file is as secret
//! as the readings that are and were inferred with it, and that of a device, or of server 0, as
//! what it keeps of its peer: it holds the secret of its transfers.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sharelet_link::files::{
    FileError, private_directory, remove_temporaries, sync_directory, write_file,
};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::kept::KeptId;
use super::lock::Lock;

const RECORD_MAGIC: [u8; 4] = *b"SLTP";
const BATCH_MAGIC: [u8; 4] = *b"SLTH";
const VERSION: u16 = 2;
const ORIGIN_BYTES: usize = 1 + 32 + 32 + 16;
const SUM_BYTES: usize = 4;
const HEADER_BYTES: usize = 4 + 2 + ORIGIN_BYTES + 16 + 8 + 4 + 8 + SUM_BYTES;
const ENDING: &str = "halves";
/// The file of what was spent, by which a store is known.
pub const RECORD: &str = "spent";
/// Most batches of a store: what one party tells the other of them is short.
pub const MAX_BATCHES: usize = 256;

/// What halves belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// 0 or 1.
    pub party: u8,
    /// Both parties.
    pub pair: [u8; 32],
    /// The model, and how this version reads its network.
    pub model: [u8; 32],
    /// The transfers that they were made with.
    pub transfers: KeptId,
}

/// Halves that were made together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// What both parties call it.
    pub id: [u8; 16],
    /// The first index.
    pub first: u64,
    /// How many.
    pub count: u32,
}

impl Batch {
    /// The index after the last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count.into())
    }
}

/// What a party says of its store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// How often the stores were matched.
    pub epoch: u64,
    /// The lowest index that was not spent.
    pub next: u64,
    /// What is there, lowest first.
    pub batches: Vec<Batch>,
}

impl Stock {
    /// Indices that are there and not spent. A batch that is spent as a whole may be there still,
    /// where a power cut came before its end.
    #[must_use]
    pub fn ready(&self) -> u64 {
        let of_batch = |batch: &Batch| batch.end().saturating_sub(batch.first.max(self.next));
        self.batches.iter().map(of_batch).fold(0, u64::saturating_add)
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HalvesError {
    /// The file, or the lock.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is cut or damaged, or something else.
    #[error(
        "{path}: {what}; delete the file, the peer drops what it has of it",
        path = path.display(),
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Made for something else.
    #[error(
        "{path} was made for {what}; delete this store on both sides and prepare anew",
        path = path.display(),
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// For what.
        what: &'static str,
    },
    /// The record of what was spent is gone or damaged.
    #[error(
        "{path}: the record of what was spent is missing or damaged; delete the whole store on \
         both sides and prepare anew, no copy of it helps",
        path = path.display(),
    )]
    Lost {
        /// The record.
        path: PathBuf,
    },
    /// One of the stores is a copy.
    #[error(
        "{whose} store is older than the other side says, as one from a backup is: delete it on \
         both sides and prepare anew"
    )]
    Backup {
        /// Whose.
        whose: &'static str,
    },
    /// A peer that names an index that is not next, or a batch that cannot be.
    #[error("the peer names {what}; match the stores again")]
    Peer {
        /// What.
        what: &'static str,
    },
    /// There are too many batches.
    #[error("the store has {MAX_BATCHES} batches already; spend some, or make larger ones")]
    Full,
}

impl From<FileError> for HalvesError {
    fn from(error: FileError) -> Self {
        Self::Store(error.into())
    }
}

/// A party's store, locked.
pub struct Halves {
    directory: PathBuf,
    origin: Origin,
    half_bytes: usize,
    epoch: u64,
    next: u64,
    batches: Vec<Batch>,
    _lock: Lock,
}

impl core::fmt::Debug for Halves {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { directory, next, batches, .. } = self;
        let mut debug = f.debug_struct("Halves");
        debug.field("directory", directory).field("next", next).field("batches", batches);
        debug.finish_non_exhaustive()
    }
}

fn origin_bytes(origin: &Origin) -> Vec<u8> {
    [&[origin.party][..], &origin.pair, &origin.model, &origin.transfers].concat()
}

fn sum(parts: &[&[u8]]) -> [u8; SUM_BYTES] {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize().to_le_bytes()
}

/// Looks into a store that is there, and changes nothing. Whether it fits a pair, a model and their
/// transfers, only a program can tell that has them.
///
/// # Errors
/// [`HalvesError`]: files that are cut or damaged, or that belong to different stores, a record
/// that is lost; [`StoreError::Locked`] if another process uses it.
pub fn look(directory: &Path) -> Result<Stock, HalvesError> {
    let _lock = Lock::take(&directory.join(".lock"), directory)?;
    let record = directory.join(RECORD);
    let lost = || HalvesError::Lost { path: record.clone() };
    let bytes = fs::read(&record).map_err(FileError::at(&record))?;
    let mut names = bytes.get(RECORD_MAGIC.len() + 2..).ok_or_else(lost)?;
    let [party] = take(&mut names);
    let (pair, model, transfers) = (take(&mut names), take(&mut names), take(&mut names));
    let origin = Origin { party, pair, model, transfers };
    let [epoch, next] = numbers(&record, &bytes, &origin)?.0;
    let batches = listed(directory)?.into_iter().map(|path| header(&path, &origin));
    let batches: Vec<_> = batches.map(|read| Ok(read?.0)).collect::<Result<_, HalvesError>>()?;
    expect_apart(directory, &batches)?;
    Ok(Stock { epoch, next, batches })
}

/// The files of a store's batches, lowest first.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, HalvesError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(FileError::at(directory))? {
        let path = entry.map_err(FileError::at(directory))?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Where a batch lies.
fn path_of(directory: &Path, batch: &Batch) -> PathBuf {
    directory.join(format!("{:020}.{ENDING}", batch.first))
}

fn expect_apart(directory: &Path, batches: &[Batch]) -> Result<(), HalvesError> {
    match batches.windows(2).find(|pair| matches!(pair, [one, next] if next.first < one.end())) {
        Some([_, next]) => {
            let what = "it overlaps with the one before it";
            Err(HalvesError::Damaged { path: path_of(directory, next), what })
        }
        _ => Ok(()),
    }
}

/// Epoch and lowest unspent index of a record, and whether it belongs to these transfers.
fn numbers(path: &Path, bytes: &[u8], origin: &Origin) -> Result<([u64; 2], bool), HalvesError> {
    let lost = || HalvesError::Lost { path: path.to_owned() };
    let (mut rest, is_current) =
        content(path, bytes, RECORD_MAGIC, origin).map_err(|error| match error {
            HalvesError::Foreign { .. } => error,
            _ => lost(),
        })?;
    if rest.len() != 16 {
        return Err(lost());
    }
    let numbers = [take(&mut rest), take(&mut rest)].map(u64::from_le_bytes);
    Ok((numbers, is_current))
}

/// The batch of a file, and the bytes of a half.
fn header(path: &Path, origin: &Origin) -> Result<(Batch, u64), HalvesError> {
    let damaged = |what| HalvesError::Damaged { path: path.to_owned(), what };
    let mut file = File::open(path).map_err(FileError::at(path))?;
    let found = file.metadata().map_err(FileError::at(path))?.len();
    let mut header = vec![0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|_| damaged("it is cut"))?;
    let (mut rest, is_current) = content(path, &header, BATCH_MAGIC, origin)?;
    if !is_current {
        return Err(damaged("it was made with transfers that are gone"));
    }
    let batch = Batch {
        id: take(&mut rest),
        first: u64::from_le_bytes(take(&mut rest)),
        count: u32::from_le_bytes(take(&mut rest)),
    };
    let half_bytes = u64::from_le_bytes(take(&mut rest));
    let each = half_bytes.checked_add(SUM_BYTES as u64);
    let halves = each.and_then(|each| each.checked_mul(u64::from(batch.count)));
    if halves.and_then(|halves| halves.checked_add(HEADER_BYTES as u64)) != Some(found) {
        return Err(damaged("it is cut"));
    }
    if path.parent().map(|directory| path_of(directory, &batch)).as_deref() != Some(path) {
        return Err(damaged("its name is not its first index"));
    }
    Ok((batch, half_bytes))
}

/// What follows magic, version and origin, if the sum at the end is right; and whether it was made
/// with the transfers that are kept now.
fn content<'b>(
    path: &Path,
    bytes: &'b [u8],
    magic: [u8; 4],
    origin: &Origin,
) -> Result<(&'b [u8], bool), HalvesError> {
    let damaged = |what| HalvesError::Damaged { path: path.to_owned(), what };
    let (body, stated) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(damaged("it is cut"))?;
    let rest = body.strip_prefix(&magic).ok_or(damaged("it is no file of a store"))?;
    let (version, rest) = rest.split_first_chunk().ok_or(damaged("it is cut"))?;
    if u16::from_le_bytes(*version) != VERSION {
        return Err(damaged("it is of another version"));
    }
    if sum(&[body]) != *stated {
        return Err(damaged("its checksum does not match"));
    }
    let (found, rest) = rest.split_at_checked(ORIGIN_BYTES).ok_or(damaged("it is cut"))?;
    let foreign = |what| Err(HalvesError::Foreign { path: path.to_owned(), what });
    let mut names = found;
    let [party] = take(&mut names);
    let (pair, model, transfers): ([u8; 32], [u8; 32], KeptId) =
        (take(&mut names), take(&mut names), take(&mut names));
    match () {
        () if party != origin.party => foreign("the other party"),
        () if pair != origin.pair => foreign("another pair"),
        () if model != origin.model => foreign("another model"),
        () => Ok((rest, transfers == origin.transfers)),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk() {
        Some((own, left)) => {
            *rest = left;
            *own
        }
        None => [0; N],
    }
}

impl Halves {
    /// Opens a party's store of halves of `half_bytes`, and makes it if there is none.
    ///
    /// # Errors
    /// [`HalvesError`]: a store of the other party, or of another pair or model, files that are cut
    /// or damaged, a record that is lost; [`StoreError::Locked`] if another process uses it.
    pub fn open(directory: &Path, origin: Origin, half_bytes: usize) -> Result<Self, HalvesError> {
        private_directory(directory)?;
        let lock = Lock::take(&directory.join(".lock"), directory)?;
        remove_temporaries(directory);
        let mut store = Self {
            directory: directory.to_owned(),
            origin,
            half_bytes,
            epoch: 0,
            next: 0,
            batches: Vec::new(),
            _lock: lock,
        };
        let mut paths = listed(directory)?;
        let record = store.record();
        match fs::read(&record) {
            Ok(bytes) if store.read_record(&record, &bytes)? => {}
            Ok(_) => {
                let directory = directory.display();
                tracing::warn!("{directory}: the pair has met anew since; it begins empty");
                for path in paths.drain(..) {
                    fs::remove_file(&path).map_err(FileError::at(&path))?;
                }
                sync_directory(&record)?;
                store.write_record(0, 0)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && paths.is_empty() => {
                store.write_record(0, 0)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(HalvesError::Lost { path: record });
            }
            Err(error) => return Err(FileError::at(&record)(error).into()),
        }
        for path in paths {
            let batch = store.read_header(&path)?;
            store.batches.push(batch);
        }
        expect_apart(directory, &store.batches)?;
        store.drop_spent();
        Ok(store)
    }

    fn record(&self) -> PathBuf {
        self.directory.join(RECORD)
    }

    fn path(&self, batch: &Batch) -> PathBuf {
        path_of(&self.directory, batch)
    }

    /// Whether the record belongs to the transfers that are kept now.
    fn read_record(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, HalvesError> {
        let is_current;
        ([self.epoch, self.next], is_current) = numbers(path, bytes, &self.origin)?;
        Ok(is_current)
    }

    /// Durable when this returns.
    fn write_record(&mut self, epoch: u64, next: u64) -> Result<(), HalvesError> {
        let origin = origin_bytes(&self.origin);
        let (epoch_bytes, next_bytes) = (epoch.to_le_bytes(), next.to_le_bytes());
        let parts: [&[u8]; 5] =
            [&RECORD_MAGIC, &VERSION.to_le_bytes(), &origin, &epoch_bytes, &next_bytes];
        let body = parts.concat();
        write_file(&self.record(), &[&body, &sum(&[&body])])?;
        (self.epoch, self.next) = (epoch, next);
        Ok(())
    }

    fn header(&self, batch: &Batch) -> Vec<u8> {
        let origin = origin_bytes(&self.origin);
        let half_bytes = (self.half_bytes as u64).to_le_bytes();
        let parts: [&[u8]; 7] = [
            &BATCH_MAGIC,
            &VERSION.to_le_bytes(),
            &origin,
            &batch.id,
            &batch.first.to_le_bytes(),
            &batch.count.to_le_bytes(),
            &half_bytes,
        ];
        let mut header = parts.concat();
        header.extend(sum(&[&header]));
        header
    }

    fn read_header(&self, path: &Path) -> Result<Batch, HalvesError> {
        let (batch, half_bytes) = header(path, &self.origin)?;
        if half_bytes != self.half_bytes as u64 {
            let what = "its halves are of another length";
            return Err(HalvesError::Damaged { path: path.to_owned(), what });
        }
        Ok(batch)
    }

    /// What to tell the peer.
    #[must_use]
    pub fn stock(&self) -> Stock {
        Stock { epoch: self.epoch, next: self.next, batches: self.batches.clone() }
    }

    /// Indices that are there and not spent.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.stock().ready()
    }

    /// The first index that a new batch may have.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.batches.last().map_or(0, Batch::end).max(self.next)
    }

    /// Matches the store with the peer's: afterwards both have the same, and neither spends what
    /// the other has spent.
    ///
    /// # Errors
    /// [`HalvesError::Backup`]; the disk's.
    pub fn match_with(&mut self, peer: &Stock) -> Result<(), HalvesError> {
        // A power cut leaves one index, or one matching, that one of the two has recorded.
        let behind = |own: u64, other: u64| own.saturating_add(1) < other;
        for (own, other, whose) in
            [(self.epoch, peer.epoch, "this"), (self.next, peer.next, "this")].into_iter().chain([
                (peer.epoch, self.epoch, "the peer's"),
                (peer.next, self.next, "the peer's"),
            ])
        {
            if behind(own, other) {
                return Err(HalvesError::Backup { whose });
            }
        }
        // Where only one of the two could record the last matching, the other catches up: so
        // neither is ever more than one ahead, however often a disk fails.
        let same = self.epoch == peer.epoch;
        let epoch = self.epoch.max(peer.epoch).saturating_add(u64::from(same));
        self.write_record(epoch, self.next.max(peer.next))?;
        let (kept, dropped): (Vec<Batch>, Vec<Batch>) =
            self.batches.iter().partition(|batch| peer.batches.contains(batch));
        self.batches = kept;
        for batch in dropped {
            tracing::warn!("{}: the peer has no such batch; dropped", self.path(&batch).display());
            self.remove(&batch);
        }
        self.drop_spent();
        Ok(())
    }

    fn drop_spent(&mut self) {
        let next = self.next;
        let (spent, left): (Vec<Batch>, Vec<Batch>) =
            self.batches.iter().partition(|batch| batch.end() <= next);
        self.batches = left;
        spent.iter().for_each(|batch| self.remove(batch));
    }

    /// The record, not the deletion, keeps an index from being spent twice.
    fn remove(&self, batch: &Batch) {
        let path = self.path(batch);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{}: {error}; it is not used again", path.display());
        }
    }

    /// Whether the next batch may be this one, before it is made.
    ///
    /// # Errors
    /// [`HalvesError::Peer`]; [`HalvesError::Full`].
    pub fn expect(&self, batch: &Batch) -> Result<(), HalvesError> {
        if batch.first < self.end() || batch.count == 0 || batch.end() == u64::MAX {
            return Err(HalvesError::Peer { what: "a batch that overlaps with another one" });
        }
        if self.batches.len() >= MAX_BATCHES { Err(HalvesError::Full) } else { Ok(()) }
    }

    /// Adds a batch: complete and durable when this returns.
    ///
    /// # Errors
    /// As [`Halves::expect`]; halves of another number or length; the disk's, and nothing is kept.
    pub fn put(&mut self, batch: Batch, halves: &[Zeroizing<Vec<u8>>]) -> Result<(), HalvesError> {
        self.expect(&batch)?;
        let fits = |half: &Zeroizing<Vec<u8>>| half.len() == self.half_bytes;
        if halves.len() as u64 != u64::from(batch.count) || !halves.iter().all(fits) {
            return Err(HalvesError::Peer { what: "a batch of another number of halves" });
        }
        let header = self.header(&batch);
        let sums: Vec<_> = (batch.first..)
            .zip(halves)
            .map(|(index, half)| sum(&[&batch.id, &index.to_le_bytes(), half]))
            .collect();
        let mut parts = vec![&header[..]];
        for (half, sum) in halves.iter().zip(&sums) {
            parts.extend([&half[..], sum]);
        }
        write_file(&self.path(&batch), &parts)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Takes back the newest batch: the peer could not keep it.
    ///
    /// # Errors
    /// The disk's.
    pub fn take_back(&mut self, batch: &Batch) -> Result<(), HalvesError> {
        self.batches.retain(|kept| kept != batch);
        let path = self.path(batch);
        fs::remove_file(&path).map_err(FileError::at(&path))?;
        Ok(sync_directory(&path)?)
    }

    /// The next index that is there; `None` if the store is empty.
    #[must_use]
    pub fn next_index(&self) -> Option<u64> {
        self.batches.first().map(|batch| batch.first.max(self.next))
    }

    /// Spends an index, and every one below it: recorded durably before its half is read.
    ///
    /// # Errors
    /// [`HalvesError::Peer`] if it is not there; the disk's; [`HalvesError::Damaged`]: the index is
    /// lost.
    pub fn spend(&mut self, index: u64) -> Result<Zeroizing<Vec<u8>>, HalvesError> {
        let not_there = HalvesError::Peer { what: "an index that was spent, or is not there" };
        let within = |batch: &&Batch| (batch.first..batch.end()).contains(&index);
        let batch = *self.batches.iter().find(within).ok_or(not_there)?;
        let after = index.checked_add(1).filter(|_| index >= self.next);
        let after = after.ok_or(HalvesError::Peer { what: "an index that was spent" })?;
        self.write_record(self.epoch, after)?;
        let path = self.path(&batch);
        let half = self.read_half(&path, &batch, index);
        self.drop_spent();
        half
    }

    /// Reads a half, and writes zeros over it.
    fn read_half(
        &self,
        path: &Path,
        batch: &Batch,
        index: u64,
    ) -> Result<Zeroizing<Vec<u8>>, HalvesError> {
        let damaged = |what| HalvesError::Damaged { path: path.to_owned(), what };
        let each = (self.half_bytes + SUM_BYTES) as u64;
        let at = HEADER_BYTES as u64 + (index - batch.first) * each;
        let mut half = Zeroizing::new(vec![0; self.half_bytes]);
        let mut stated = [0; SUM_BYTES];
        let opened = File::options().read(true).write(true).open(path);
        let mut file = opened.map_err(FileError::at(path))?;
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut half))
            .and_then(|()| file.read_exact(&mut stated))
            .map_err(|_| damaged("it is cut"))?;
        // The record, not this, keeps it from being spent twice.
        let zeros = vec![0; self.half_bytes];
        if let Err(error) = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&zeros)) {
            tracing::warn!("{}: a half that was spent stays in it: {error}", path.display());
        }
        if sum(&[&batch.id, &index.to_le_bytes(), &half]) != stated {
            return Err(damaged("a checksum does not match"));
        }
        Ok(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { party: 0, pair: [1; 32], model: [2; 32], transfers: [3; 16] };
    const PEER: Origin = Origin { party: 1, ..ORIGIN };

    fn batch(first: u64, count: u32) -> Batch {
        let [byte, ..] = first.to_le_bytes();
        Batch { id: [byte; 16], first, count }
    }

    fn halves(count: u32) -> Vec<Zeroizing<Vec<u8>>> {
        (0..count).map(|number| Zeroizing::new(number.to_le_bytes().to_vec())).collect()
    }

    fn open(directory: &Path) -> Result<Halves, HalvesError> {
        Halves::open(directory, ORIGIN, 4)
    }

    /// Who looks into a store finds it as it left it, whole or in the middle of its work.
    #[test]
    fn a_look_changes_nothing_and_counts_what_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path();
        let mut store = open(directory).expect("opens");
        store.put(batch(0, 3), &halves(3)).expect("writes");
        store.put(batch(3, 2), &halves(2)).expect("writes");
        let first = store.path(&batch(0, 3));
        let kept = fs::read(&first).expect("reads");
        (0..4).for_each(|index| drop(store.spend(index).expect("unspent")));
        let locked = look(directory);
        assert!(matches!(locked, Err(HalvesError::Store(StoreError::Locked { .. }))), "{locked:?}");
        drop(store);
        // The power was cut before the batch that is spent was deleted.
        fs::write(&first, &kept).expect("writes");
        let files = || {
            let paths = listed(directory).expect("lists");
            paths.into_iter().map(|path| fs::read(path).expect("reads")).collect::<Vec<_>>()
        };
        let before = files();
        let stock = look(directory).expect("whole");
        assert_eq!((stock.next, stock.batches.len(), stock.ready()), (4, 2, 1));
        assert_eq!(files(), before);
        assert_eq!(open(directory).expect("opens").ready(), 1);
    }

    /// Two stores that have the same.
    fn matched(directory: &Path) -> [Halves; 2] {
        let mut stores = [ORIGIN, PEER].map(|origin| {
            let directory = directory.join(origin.party.to_string());
            Halves::open(&directory, origin, 4).expect("opens")
        });
        for store in &mut stores {
            store.put(batch(0, 3), &halves(3)).expect("writes");
            store.put(batch(3, 2), &halves(2)).expect("writes");
        }
        let [a, b] = stores.each_ref().map(Halves::stock);
        let [store_a, store_b] = &mut stores;
        store_a.match_with(&b).expect("matches");
        store_b.match_with(&a).expect("matches");
        stores
    }

    #[test]
    fn a_half_that_was_spent_is_written_over() {
        let directory = tempfile::tempdir().expect("a directory");
        let [mut store, _peer] = matched(directory.path());
        let path = store.path(&batch(0, 3));
        let half = |index: usize| {
            let bytes = fs::read(&path).expect("reads");
            bytes[HEADER_BYTES + index * (4 + SUM_BYTES)..].first_chunk::<4>().copied()
        };
        assert_eq!((half(1), half(2)), (Some(1_u32.to_le_bytes()), Some(2_u32.to_le_bytes())));
        assert_eq!(*store.spend(1).expect("is there"), 1_u32.to_le_bytes());
        assert_eq!((half(1), half(2)), (Some([0; 4]), Some(2_u32.to_le_bytes())));
        assert_eq!(*store.spend(2).expect("is not touched"), 2_u32.to_le_bytes());
    }

    #[test]
    fn an_index_is_spent_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(directory.path()).expect("opens");
        assert!(matches!(
            open(directory.path()),
            Err(HalvesError::Store(StoreError::Locked { .. }))
        ));
        assert_eq!((store.next_index(), store.end(), store.ready()), (None, 0, 0));
        store.put(batch(0, 3), &halves(3)).expect("writes");
        assert!(store.put(batch(2, 3), &halves(3)).is_err(), "overlaps");
        assert!(store.put(batch(3, 3), &halves(2)).is_err(), "too few");
        store.put(batch(5, 2), &halves(2)).expect("writes");
        assert_eq!((store.next_index(), store.end(), store.ready()), (Some(0), 7, 5));
        assert_eq!(*store.spend(1).expect("reads"), 1_u32.to_le_bytes());
        for spent in [0, 1, 3, 7] {
            assert!(matches!(store.spend(spent), Err(HalvesError::Peer { .. })), "{spent}");
        }
        drop(store);
        let mut store = open(directory.path()).expect("opens");
        assert_eq!((store.next_index(), store.ready()), (Some(2), 3));
        assert_eq!(*store.spend(5).expect("reads"), 0_u32.to_le_bytes());
        assert!(!directory.path().join(format!("{:020}.halves", 0)).exists(), "what is spent goes");
        assert_eq!(*store.spend(6).expect("reads"), 1_u32.to_le_bytes());
        assert_eq!((store.next_index(), store.end()), (None, 7));
    }

    #[test]
    fn damage_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(directory.path()).expect("opens");
        store.put(batch(0, 2), &halves(2)).expect("writes");
        let path = store.path(&batch(0, 2));
        drop(store);
        let record = directory.path().join("spent");
        let [bytes, unspent] = [&path, &record].map(|path| fs::read(path).expect("reads"));
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("writes");
            assert!(
                matches!(open(directory.path()), Err(HalvesError::Damaged { .. })),
                "cut at {cut}"
            );
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            fs::write(&path, &flipped).expect("writes");
            fs::write(&record, &unspent).expect("writes");
            // Either half may be the one.
            let spent = open(directory.path()).and_then(|mut store| {
                let first = store.spend(0)?;
                Ok([first, store.spend(1)?])
            });
            assert!(matches!(spent, Err(HalvesError::Damaged { .. })), "flipped at {at}");
        }
    }

    #[test]
    fn stores_of_others_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(open(directory.path()).expect("opens"));
        for (origin, what) in [
            (PEER, "the other party"),
            (Origin { pair: [9; 32], ..ORIGIN }, "another pair"),
            (Origin { model: [9; 32], ..ORIGIN }, "another model"),
        ] {
            let refused = Halves::open(directory.path(), origin, 4);
            assert!(
                matches!(refused, Err(HalvesError::Foreign { what: found, .. }) if found == what)
            );
        }
        let mut store = open(directory.path()).expect("opens");
        store.put(batch(0, 2), &halves(2)).expect("writes");
        drop(store);
        assert!(matches!(
            Halves::open(directory.path(), ORIGIN, 5),
            Err(HalvesError::Damaged { .. })
        ));
        let record = directory.path().join("spent");
        let bytes = fs::read(&record).expect("reads");
        for cut in 0..bytes.len() {
            fs::write(&record, &bytes[..cut]).expect("writes");
            assert!(matches!(open(directory.path()), Err(HalvesError::Lost { .. })), "{cut}");
        }
        fs::remove_file(&record).expect("removes");
        assert!(matches!(open(directory.path()), Err(HalvesError::Lost { .. })));
    }

    /// A peer that forgets its transfers has no store any more: neither has this side.
    #[test]
    fn a_store_of_other_transfers_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(directory.path()).expect("opens");
        store.put(batch(0, 3), &halves(3)).expect("writes");
        drop(store.spend(1).expect("reads"));
        let path = store.path(&batch(0, 3));
        let bytes = fs::read(&path).expect("reads");
        drop(store);
        let met_anew = Origin { transfers: [9; 16], ..ORIGIN };
        let mut store = Halves::open(directory.path(), met_anew, 4).expect("opens");
        assert_eq!(store.stock(), Stock::default());
        assert!(!path.exists());
        store.put(batch(0, 2), &halves(2)).expect("writes");
        drop(store);
        // A batch from a copy is not taken for one of the new transfers.
        fs::write(&path, bytes).expect("writes");
        let refused = Halves::open(directory.path(), met_anew, 4);
        assert!(matches!(refused, Err(HalvesError::Damaged { .. })), "{refused:?}");
    }

    #[test]
    fn what_one_side_has_alone_is_dropped() {
        let directory = tempfile::tempdir().expect("a directory");
        let [mut a, mut b] = matched(directory.path());
        a.put(batch(5, 4), &halves(4)).expect("writes");
        // The peer's disk was full. `a` is cut before it hears of an index that `b` has spent.
        drop(b.spend(0).expect("reads"));
        let [stock_a, stock_b] = [a.stock(), b.stock()];
        a.match_with(&stock_b).expect("matches");
        b.match_with(&stock_a).expect("matches");
        assert_eq!(a.stock(), b.stock());
        assert_eq!((a.next_index(), a.ready()), (Some(1), 4));
    }

    /// However often one side's disk is full: nothing is lost but what one of the two has spent.
    #[test]
    fn a_disk_that_stays_full_makes_no_backup() {
        let directory = tempfile::tempdir().expect("a directory");
        let [mut a, mut b] = matched(directory.path());
        for _ in 0..5 {
            let (stock_a, stock_b) = (a.stock(), b.stock());
            a.match_with(&stock_b).expect("matches");
            // `b` could not write: it stays as it was.
            assert_eq!(b.stock(), stock_b);
            assert!(a.stock().epoch <= stock_b.epoch + 1, "{stock_a:?}");
        }
        let [stock_a, stock_b] = [a.stock(), b.stock()];
        b.match_with(&stock_a).expect("matches");
        a.match_with(&stock_b).expect("matches");
        assert_eq!(a.stock().batches, b.stock().batches);
    }

    #[test]
    fn a_store_from_a_backup_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let [a, mut b] = matched(directory.path());
        let path = a.directory.clone();
        let copy: Vec<_> = fs::read_dir(&path)
            .expect("reads")
            .map(|entry| entry.expect("reads").path())
            .map(|path| (path.clone(), fs::read(path).expect("reads")))
            .collect();
        let mut a = a;
        for index in 0..4 {
            assert_eq!(a.spend(index).expect("reads"), b.spend(index).expect("reads"));
        }
        drop(a);
        for (path, bytes) in copy {
            fs::write(path, bytes).expect("writes");
        }
        let mut a = open(&path).expect("nothing is wrong with it");
        let (of_a, of_b) = (a.stock(), b.stock());
        for (refused, whose) in [(a.match_with(&of_b), "this"), (b.match_with(&of_a), "the peer's")]
        {
            assert!(matches!(refused, Err(HalvesError::Backup { whose: found }) if found == whose));
        }
    }
}
