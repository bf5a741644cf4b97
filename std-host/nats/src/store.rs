//! The store of a party.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::kv::{self, Operation};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, Stream,
};
use sharelet_core::DeviceId;
use sharelet_core::keystream::Key;
use sharelet_host::store::StoreError;
use sharelet_host::store::engine::{Entry, Registry, Store};
use sharelet_host::store::identity::Own;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::spent::Spent;
use sharelet_host::store::spool::{Origin, SpoolError};
use sharelet_host::store::witness::Witness;
use sharelet_link::{Party, hex};
use zeroize::Zeroizing;

use super::access::Access;
use super::blobs::{Blob, Blobs, Failure};
use super::bridge::Bridge;
use super::error::{NatsError, refused};
use super::names::{self, Names};
use super::seal::Seal;

/// The key of the store's name.
const STORE: &str = "store";
/// After something could not be removed, nothing is for so long.
const REMOVE_AGAIN: Duration = Duration::from_secs(10);
/// Words that names of blobs begin with.
const CORRECTIONS: &str = "cor";
const MODEL: &str = "model";

/// How much a store may hold, and how often it is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Most bytes of corrections and masked models: a gigabyte, or as it is.
    pub max_bytes: Option<u64>,
    /// Servers of a cluster that keep each record: one, or as it is.
    pub replicas: Option<usize>,
}

impl Room {
    /// A stream with this room, as it is otherwise.
    fn of(self, config: Config) -> Config {
        let bytes = self.max_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let max_bytes = bytes.filter(|_| config.max_bytes > 0).unwrap_or(config.max_bytes);
        let num_replicas = self.replicas.unwrap_or(config.num_replicas);
        Config { max_bytes, num_replicas, ..config }
    }
}

/// A record's revision, and what it says; nothing if somebody has removed it.
type Found = (u64, Option<Vec<u8>>);

/// The store of a party, which other machines of the same party use, too.
#[derive(Debug)]
pub struct Nats {
    at: String,
    bridge: Bridge,
    seal: Seal,
    names: Names,
    numbers: kv::Store,
    blobs: Blobs,
    witness: Option<Witness>,
    /// When something could not be removed at last.
    unremoved: Mutex<Option<Instant>>,
}

/// How the numbers are kept: nothing is dropped, deleted or rolled up but by another record of the
/// same name.
fn numbers_config(names: &Names) -> Config {
    Config {
        name: names.bucket_stream(),
        subjects: vec![names.bucket_subjects()],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        num_replicas: 1,
        deny_delete: true,
        deny_purge: true,
        // A replica that is behind would be asked.
        allow_direct: false,
        ..Config::default()
    }
}

fn blobs_config(names: &Names) -> Config {
    Config {
        name: names.blobs(),
        subjects: vec![format!("{}.>", names.blob_prefix())],
        max_messages_per_subject: 1,
        max_bytes: 1 << 30,
        discard: DiscardPolicy::New,
        num_replicas: 1,
        ..Config::default()
    }
}

/// What a stream differs in from how it is made, where it matters.
fn differs(found: &Config, made: &Config) -> Option<&'static str> {
    let all = [
        (found.subjects != made.subjects, "subjects"),
        (found.max_messages_per_subject != 1, "messages per subject"),
        (found.max_messages > 0, "a limit of messages"),
        (!found.max_age.is_zero(), "an age"),
        (found.discard != DiscardPolicy::New, "old records are discarded"),
        (found.storage != made.storage, "it is kept in memory"),
        (found.no_ack, "no acknowledgements"),
        (made.deny_delete && !found.deny_delete, "records can be deleted"),
        (made.deny_purge && !found.deny_purge, "records can be purged"),
        (made.deny_purge && found.allow_rollup, "records can be rolled up"),
        (made.deny_purge && found.max_bytes > 0, "a limit of bytes"),
        (made.deny_purge && found.allow_direct, "replicas are asked"),
    ];
    let moved = found.mirror.is_some() || found.sources.is_some();
    let more = [
        (found.retention != RetentionPolicy::Limits, "records that were read are dropped"),
        (moved || found.subject_transform.is_some(), "records are moved"),
        (found.sealed, "it is sealed"),
        (found.discard_new_per_subject, "a record cannot be replaced"),
        (found.max_message_size > 0, "a limit of a message's bytes"),
        (found.allow_message_ttl, "records may end by themselves"),
        (
            found.persist_mode == Some(PersistenceMode::Async),
            "records are acknowledged before they are kept",
        ),
    ];
    all.into_iter().chain(more).find(|(differs, _)| *differs).map(|(_, what)| what)
}

async fn found(context: &Context, made: &Config) -> Result<Option<Stream>, NatsError> {
    let stream = match context.get_stream(&made.name).await {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                GetStreamErrorKind::JetStream(refused) if refused.code() == 404 => Ok(None),
                _ => Err(NatsError::failed(&error)),
            };
        }
    };
    match differs(&stream.cached_info().config, made) {
        None => Ok(Some(stream)),
        Some(what) => {
            let (stream, what) = (made.name.clone(), what.to_owned());
            Err(NatsError::Otherwise { stream, what })
        }
    }
}

/// Makes a stream, or gives one that is there this room. Whether it was made, and whether anything
/// was done.
async fn make_stream(context: &Context, made: Config, room: Room) -> Result<[bool; 2], NatsError> {
    let config = match found(context, &made).await? {
        None => {
            let config = room.of(made);
            let bytes = u64::try_from(config.max_bytes).unwrap_or(0);
            context.create_stream(config).await.map_err(|error| match error.kind() {
                CreateStreamErrorKind::JetStream(refused) if is_room(refused.error_code()) => {
                    NatsError::Reserved { bytes }
                }
                _ => NatsError::failed(&error),
            })?;
            return Ok([true, true]);
        }
        Some(stream) => stream.cached_info().config.clone(),
    };
    let other = room.of(config.clone());
    let differs = (other.max_bytes, other.num_replicas) != (config.max_bytes, config.num_replicas);
    if differs {
        context.update_stream(other).await.map_err(|error| NatsError::failed(&error))?;
    }
    Ok([false, differs])
}

fn is_room(code: ErrorCode) -> bool {
    [ErrorCode::INSUFFICIENT_RESOURCES, ErrorCode::STORAGE_RESOURCES_EXCEEDED].contains(&code)
}

/// What [`make`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A store, or what was missing of one.
    Made,
    /// It has other room now.
    Changed,
}

/// Makes the store of a party, empty, or what is missing of one; or gives it other room.
///
/// # Errors
/// [`StoreError::Remote`] with a [`NatsError`]: [`NatsError::Exists`] if there is nothing to do.
pub fn make(access: &Access, own: &Own, room: Room) -> Result<Made, StoreError> {
    let at = access.to_string();
    let (bridge, seal, names) = begin(access, own)?;
    let remote = |error: NatsError| StoreError::Remote { at: at.clone(), source: error.into() };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(StoreError::Randomness)?;
    let sealed = seal.seal_whole(&format!("{}/{STORE}", names.bucket()), &id)?;
    let (to, bucket) = (access.clone(), names.bucket());
    let context = bridge.wait(async move { to.connect(bucket).await }).map_err(remote)?;
    // Each step has its time; each may be the last that was done before.
    let (of, party) = (context.clone(), names.clone());
    let streams = bridge.wait(async move {
        let numbers = found(&of, &numbers_config(&party)).await?;
        let blobs = found(&of, &blobs_config(&party)).await?;
        let used = blobs.is_some_and(|blobs| blobs.cached_info().state.messages > 0);
        let lost = numbers.is_none() && used;
        if lost { Err(NatsError::Lost { party: party.party() }) } else { Ok(()) }
    });
    streams.map_err(remote)?;
    let (mut made, mut changed) = (false, false);
    for config in [blobs_config(&names), numbers_config(&names)] {
        let of = context.clone();
        let done = bridge.wait(async move { make_stream(&of, config, room).await });
        let [new, other] = done.map_err(remote)?;
        (made, changed) = (made || new, changed || other);
    }
    let (of, bucket) = (context, names.bucket());
    let named = bridge.wait(async move {
        let numbers = of.get_key_value(bucket).await.map_err(|error| NatsError::failed(&error))?;
        match numbers.update(STORE, sealed.into(), 0).await {
            Ok(_) => Ok(true),
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(NatsError::failed(&error)),
        }
    });
    match (made || named.map_err(remote)?, changed) {
        (true, _) => Ok(Made::Made),
        (false, true) => Ok(Made::Changed),
        (false, false) => Err(remote(NatsError::Exists { party: names.party() })),
    }
}

/// Whether a record is another one by now.
fn is_conflict(error: &kv::UpdateError) -> bool {
    // The second is what a cluster says while it still decides.
    const CODES: [u64; 2] = [10071, 10164];
    error.kind() == kv::UpdateErrorKind::WrongLastRevision
        || refused(error).is_some_and(|code| CODES.contains(&code))
}

fn begin(access: &Access, own: &Own) -> Result<(Bridge, Seal, Names), StoreError> {
    let remote =
        |error: NatsError| StoreError::Remote { at: access.to_string(), source: error.into() };
    Ok((Bridge::new().map_err(remote)?, Seal::of(own), Names::of(own.party)))
}

impl Nats {
    /// Opens the store of a party. `state` is where this machine keeps what it has seen of it; a
    /// program that spends nothing needs none.
    ///
    /// # Errors
    /// [`StoreError::Remote`] with a [`NatsError`]; [`StoreError::OtherStore`],
    /// [`StoreError::Locked`].
    pub fn open(access: &Access, own: &Own, state: Option<&Path>) -> Result<Self, StoreError> {
        let at = access.to_string();
        let remote = |error: NatsError| StoreError::Remote { at: at.clone(), source: error.into() };
        let (bridge, seal, names) = begin(access, own)?;
        let (access, party) = (access.clone(), names.clone());
        let (context, numbers, blobs, id) = bridge
            .wait(async move {
                let context = access.connect(party.bucket()).await?;
                let none = || NatsError::None { party: party.party() };
                found(&context, &numbers_config(&party)).await?.ok_or_else(none)?;
                let blobs = found(&context, &blobs_config(&party)).await?.ok_or_else(none)?;
                let numbers = context.get_key_value(party.bucket()).await;
                let numbers = numbers.map_err(|error| NatsError::failed(&error))?;
                let id = numbers.entry(STORE).await.map_err(|error| NatsError::failed(&error))?;
                Ok((context, numbers, blobs, id.ok_or_else(none)?.value))
            })
            .map_err(remote)?;
        let place = format!("{}/{STORE}", names.bucket());
        let foreign = || remote(NatsError::Foreign { place: place.clone() });
        let id = seal.open_whole(&place, &id).ok_or_else(foreign)?;
        let id = id.first_chunk().ok_or_else(foreign)?;
        let witness = state.map(|state| Witness::open(state, id)).transpose()?;
        let blobs = Blobs::new(context, blobs, names.blob_prefix());
        let unremoved = Mutex::default();
        Ok(Self { at, bridge, seal, names, numbers, blobs, witness, unremoved })
    }

    fn remote(&self, error: NatsError) -> StoreError {
        let at = self.at.clone();
        match error {
            full @ NatsError::Full { .. } => StoreError::Full { at, source: full.into() },
            error => StoreError::Remote { at, source: error.into() },
        }
    }

    fn failure(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Nats(error) => self.remote(error),
            Failure::Store(error) => error,
        }
    }

    fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.names.bucket())
    }

    /// A record of the bucket; `None` if there never was one.
    fn record(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let (numbers, asked) = (self.numbers.clone(), key.to_owned());
        let entry = self.bridge.wait(async move {
            numbers.entry(asked).await.map_err(|error| NatsError::failed(&error))
        });
        let Some(entry) = entry.map_err(|error| self.remote(error))? else { return Ok(None) };
        if entry.operation != Operation::Put {
            return Ok(Some((entry.revision, None)));
        }
        let place = self.place(key);
        match self.seal.open_whole(&place, &entry.value) {
            Some(plain) => Ok(Some((entry.revision, Some(plain)))),
            None => Err(self.remote(NatsError::Foreign { place })),
        }
    }

    /// Puts a record in the place of that of revision `seen`, 0 if there is none; its revision, or
    /// `None` if there is another one by now.
    fn replace(&self, key: &str, seen: u64, plain: &[u8]) -> Result<Option<u64>, StoreError> {
        let sealed = self.seal.seal_whole(&self.place(key), plain)?;
        let (numbers, key) = (self.numbers.clone(), key.to_owned());
        let done = self.bridge.wait(async move {
            match numbers.update(key, sealed.into(), seen).await {
                Ok(revision) => Ok(Some(revision)),
                Err(error) if is_conflict(&error) => Ok(None),
                Err(error) => Err(NatsError::failed(&error)),
            }
        });
        done.map_err(|error| self.remote(error))
    }

    fn sees(
        &self,
        device: DeviceId,
        before: Option<u64>,
        found: Option<&Entry>,
        spent: bool,
    ) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        if witness.sees(device, before, found, spent)? {
            return Ok(());
        }
        Err(self.remote(NatsError::Forgotten { device: device.to_string() }))
    }

    fn before(&self, device: DeviceId) -> Option<u64> {
        self.witness.as_ref().and_then(|witness| witness.before(device))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        use futures_util::TryStreamExt as _;
        let (numbers, filter) =
            (self.numbers.clone(), format!("$KV.{}.{prefix}.*", self.names.bucket()));
        let begin = format!("$KV.{}.{prefix}.", self.names.bucket());
        let listed = self.bridge.wait(async move {
            let stream = numbers.stream;
            let info = stream.info_with_subjects(filter).await;
            let mut subjects = info.map_err(|error| NatsError::failed(&error))?;
            let mut keys = Vec::new();
            while let Some((subject, _)) =
                subjects.try_next().await.map_err(|error| NatsError::failed(&error))?
            {
                keys.extend(subject.strip_prefix(&begin).map(str::to_owned));
            }
            Ok(keys)
        });
        listed.map_err(|error| self.remote(error))
    }

    fn listed(&self, name: &[&str]) -> Result<Vec<(Blob, bool)>, StoreError> {
        self.blobs.list(&self.bridge, name).map_err(|error| self.remote(error))
    }

    fn remove_blob(&self, name: &[&str]) {
        let since = *self.unremoved.lock().unwrap_or_else(PoisonError::into_inner);
        // What stays is not used again, and nobody waits for it to go.
        if since.is_none_or(|since| since.elapsed() >= REMOVE_AGAIN) {
            self.forgive(self.blobs.remove(&self.bridge, name));
        }
    }

    /// Says that something could not be removed, and removes nothing for a while.
    fn forgive(&self, removed: Result<(), NatsError>) {
        if let Err(error) = removed {
            let error = self.remote(error);
            tracing::warn!("{error}; what was spent stays there, and is not used again");
            *self.unremoved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// What corrections were dealt for, by the words of their name.
fn corrections_of(blob: &Blob) -> Option<(DeviceId, u64, Origin)> {
    let [_, device, session, key, model] = &blob.name[..] else { return None };
    let mut origin = Origin { model: [0; 32], key: [0; 8] };
    hex::decode(key, &mut origin.key)?;
    hex::decode(model, &mut origin.model)?;
    Some((names::device(device)?, session.parse().ok()?, origin))
}

/// A device's key in the store, or that it has none any more, with a number that grows: so an old
/// record is told from the newest.
struct KeyRecord {
    serial: u64,
    key: Option<DeviceKey>,
}

impl KeyRecord {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let key = self.key.as_ref().map(DeviceKey::to_bytes);
        let key = key.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        Zeroizing::new([&self.serial.to_le_bytes()[..], key].concat())
    }

    fn from_bytes(bytes: &[u8], device: DeviceId) -> Option<Self> {
        let (serial, rest) = bytes.split_first_chunk()?;
        let serial = u64::from_le_bytes(*serial);
        if rest.is_empty() {
            return Some(Self { serial, key: None });
        }
        let key = DeviceKey::from_bytes(rest).ok().filter(|key| key.device == device)?;
        Some(Self { serial, key: Some(key) })
    }
}

impl Nats {
    /// A device's record and its revision, 0 if there is none.
    fn key_record(&self, device: DeviceId) -> Result<(u64, KeyRecord), StoreError> {
        let name = names::key(device);
        let (revision, record) = match self.record(&name)? {
            None => (0, KeyRecord { serial: 0, key: None }),
            Some((revision, bytes)) => {
                // Nobody removes a record: it says itself that there is no key.
                let bytes = bytes.map(Zeroizing::new);
                let record = bytes.and_then(|bytes| KeyRecord::from_bytes(&bytes, device));
                let foreign = || self.remote(NatsError::Foreign { place: self.place(&name) });
                (revision, record.ok_or_else(foreign)?)
            }
        };
        if let Some(witness) = &self.witness
            && !witness.sees_key(device, record.serial)?
        {
            return Err(self.remote(NatsError::Forgotten { device: device.to_string() }));
        }
        Ok((revision, record))
    }
}

impl Registry for Nats {
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        Ok(self.key_record(device)?.1.key)
    }

    fn put_key(&self, key: &DeviceKey, force: bool) -> Result<(), StoreError> {
        let exists = || StoreError::KeyExists { device: key.device.to_string() };
        let (revision, record) = self.key_record(key.device)?;
        if record.key.is_some() && !force {
            return Err(exists());
        }
        let key = DeviceKey { key: Key::from_bytes(*key.key.expose()), ..*key };
        let (name, serial) = (names::key(key.device), record.serial + 1);
        let bytes = KeyRecord { serial, key: Some(key) }.to_bytes();
        // Another one was faster.
        self.replace(&name, revision, &bytes)?.ok_or_else(exists)?;
        Ok(())
    }

    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError> {
        let (revision, record) = self.key_record(device)?;
        if record.key.is_none() {
            return Ok(false);
        }
        let bytes = KeyRecord { serial: record.serial + 1, key: None }.to_bytes();
        let replaced = self.replace(&names::key(device), revision, &bytes)?;
        replaced.ok_or_else(|| StoreError::Contended { device: device.to_string() })?;
        Ok(true)
    }

    fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        let mut devices = Vec::new();
        for device in self.keys("key")?.iter().filter_map(|word| names::device(word)) {
            if self.key(device)?.is_some() {
                devices.push(device);
            }
        }
        devices.sort_unstable();
        Ok(devices)
    }
}

impl Store for Nats {
    fn spent(&self, device: DeviceId) -> Result<Option<Entry>, StoreError> {
        let before = self.before(device);
        let name = names::spent(device);
        let foreign = || self.remote(NatsError::Foreign { place: self.place(&name) });
        let entry = match self.record(&name)? {
            None => None,
            // Nobody removes what was spent.
            Some((_, None)) => return Err(foreign()),
            Some((revision, Some(bytes))) => {
                let spent = Spent::from_bytes(&bytes).ok_or_else(foreign)?;
                Some(Entry { revision, spent })
            }
        };
        self.sees(device, before, entry.as_ref(), false)?;
        Ok(entry)
    }

    fn spend(
        &self,
        device: DeviceId,
        seen: Option<u64>,
        spent: &Spent,
    ) -> Result<bool, StoreError> {
        let before = self.before(device);
        let done = self.replace(&names::spent(device), seen.unwrap_or(0), &spent.to_bytes())?;
        let Some(revision) = done else { return Ok(false) };
        self.sees(device, before, Some(&Entry { revision, spent: spent.clone() }), true)?;
        Ok(true)
    }

    fn spenders(&self) -> Result<Vec<DeviceId>, StoreError> {
        let keys = self.keys("spent")?;
        Ok(keys.iter().filter_map(|word| names::device(word)).collect())
    }

    fn sessions(&self, device: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError> {
        let listed = self.blobs.list(&self.bridge, &[CORRECTIONS, &names::word(device.as_str())]);
        let listed = listed.map_err(|error| self.remote(error))?;
        let whole = |(blob, whole): &(Blob, bool)| {
            let (_, session, origin) = corrections_of(blob)?;
            Some((session, whole.then_some(origin)))
        };
        let mut sessions: Vec<_> = listed.iter().filter_map(whole).collect();
        sessions.sort_unstable_by_key(|(session, _)| *session);
        Ok(sessions)
    }

    fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError> {
        let listed = self.blobs.list(&self.bridge, &[CORRECTIONS]);
        let mut stock = BTreeMap::new();
        for (blob, whole) in listed.map_err(|error| self.remote(error))? {
            if let Some((device, _, _)) = corrections_of(&blob).filter(|_| whole) {
                *stock.entry(device).or_default() += 1;
            }
        }
        Ok(stock.into_iter().collect())
    }

    fn expect_room(&self, _: DeviceId, bytes: usize) -> Result<(), StoreError> {
        let room = self.blobs.expect_room(&self.bridge, bytes as u64);
        room.map_err(|error| self.remote(error))
    }

    fn put(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        corrections: &[u8],
    ) -> Result<(), StoreError> {
        let (device, session) = (names::word(device.as_str()), format!("{session:020}"));
        let (key, model) = (hex::hex(&origin.key), hex::hex(&origin.model));
        let name = [CORRECTIONS, &device, &session, &key, &model];
        let put = self.blobs.put((&self.bridge, &self.seal), &name, corrections);
        put.map_err(|failure| self.failure(failure))
    }

    fn get(
        &self,
        device: DeviceId,
        session: u64,
        origin: &Origin,
        expected_bytes: usize,
    ) -> Result<Vec<u8>, SpoolError> {
        let away = |error: NatsError| SpoolError::Store(Box::new(self.remote(error)));
        let (word, digits) = (names::word(device.as_str()), format!("{session:020}"));
        let (key, model) = (hex::hex(&origin.key), hex::hex(&origin.model));
        let name = [CORRECTIONS, &word, &digits, &key, &model];
        let bytes = self.blobs.get((&self.bridge, &self.seal), &name).map_err(away)?;
        let fits = bytes.filter(|bytes| bytes.len() == expected_bytes);
        fits.ok_or(SpoolError::Missing { session })
    }

    fn remove(&self, device: DeviceId, session: u64, origin: Option<&Origin>) {
        let (device, session) = (names::word(device.as_str()), format!("{session:020}"));
        match origin {
            None => self.remove_blob(&[CORRECTIONS, &device, &session]),
            Some(Origin { model, key }) => {
                let (key, model) = (hex::hex(key), hex::hex(model));
                self.remove_blob(&[CORRECTIONS, &device, &session, &key, &model]);
            }
        }
    }

    fn expect_there(&self) -> Result<(), StoreError> {
        match self.record(STORE)? {
            Some(_) => Ok(()),
            None => Err(self.remote(NatsError::None { party: self.names.party() })),
        }
    }

    fn seed(&self, model: &[u8; 32]) -> Result<Key, StoreError> {
        Ok(self.seal.seed(model))
    }

    fn put_model(
        &self,
        owner: Option<Party>,
        id: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let name = [MODEL, &names::owner(owner), &hex::hex(id)];
        let put = self.blobs.put((&self.bridge, &self.seal), &name, bytes);
        put.map_err(|failure| self.failure(failure))?;
        // What attempts before have left, which was not whole.
        for (blob, whole) in self.listed(&name)? {
            if !whole {
                self.forgive(self.blobs.remove_one(&self.bridge, &blob));
            }
        }
        Ok(())
    }

    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let remote = |error| self.remote(error);
        let name = [MODEL, &names::owner(owner), &hex::hex(id)];
        // Two dealers may have kept it, or begun to.
        for (blob, _) in self.listed(&name)?.into_iter().filter(|(_, whole)| *whole) {
            let bytes = self.blobs.read(&self.bridge, &self.seal, &blob).map_err(remote)?;
            if bytes.is_some() {
                return Ok(bytes);
            }
        }
        Ok(None)
    }

    fn remove_model(&self, owner: Option<Party>, id: &[u8; 32]) -> StoreError {
        let name = [MODEL, &names::owner(owner), &hex::hex(id)];
        self.remove_blob(&name);
        StoreError::MaskedModel { path: name.join(".").into() }
    }

    fn make_room(&self, owner: Party, most: usize) -> Result<(), StoreError> {
        let remote = |error| self.remote(error);
        let owner = names::owner(Some(owner));
        let listed = self.listed(&[MODEL, &owner])?;
        let mut own = Vec::new();
        for (blob, _) in listed {
            let age = self.blobs.age(&self.bridge, &blob).map_err(remote)?;
            own.extend(age.map(|age| (age, blob)));
        }
        own.sort_unstable();
        let over = (own.len() + 1).saturating_sub(most);
        for (_, blob) in own.iter().take(over) {
            let name: Vec<&str> = blob.name.iter().map(String::as_str).collect();
            self.remove_blob(&name);
        }
        Ok(())
    }

    fn model_count(&self) -> Result<usize, StoreError> {
        let listed = self.blobs.list(&self.bridge, &[MODEL]);
        let listed = listed.map_err(|error| self.remote(error))?;
        Ok(listed.iter().filter(|(_, whole)| *whole).count())
    }
}
