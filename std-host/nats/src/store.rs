//! The store of a party.

use std::path::Path;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind,
};
use async_nats::jetstream::kv::{self, Operation};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Stream};
use async_nats::jetstream::{self, Context};
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

use super::access::Access;
use super::blobs::{Blob, Blobs, Failure};
use super::bridge::Bridge;
use super::error::NatsError;
use super::names::{self, Names};
use super::seal::Seal;

/// The key of the store's name.
const STORE: &str = "store";
/// Words that names of blobs begin with.
const CORRECTIONS: &str = "cor";
const MODEL: &str = "model";

/// How much a store may hold, and how often it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Most bytes of corrections and masked models.
    pub max_bytes: u64,
    /// Servers of a cluster that keep each record.
    pub replicas: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, replicas: 1 }
    }
}

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
}

/// How the numbers are kept: nothing is dropped, deleted or rolled up but by another record of the
/// same name.
fn numbers_config(names: &Names, room: Room) -> Config {
    Config {
        name: names.bucket_stream(),
        subjects: vec![names.bucket_subjects()],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        num_replicas: room.replicas,
        deny_delete: true,
        deny_purge: true,
        // A replica that is behind would be asked.
        allow_direct: false,
        ..Config::default()
    }
}

fn blobs_config(names: &Names, room: Room) -> Config {
    Config {
        name: names.blobs(),
        subjects: vec![format!("{}.>", names.blob_prefix())],
        max_messages_per_subject: 1,
        max_bytes: i64::try_from(room.max_bytes).unwrap_or(i64::MAX),
        discard: DiscardPolicy::New,
        num_replicas: room.replicas,
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
    all.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
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

/// The two streams of a party, if both are there.
async fn opened(
    context: &Context,
    names: &Names,
) -> Result<Option<(kv::Store, Stream)>, NatsError> {
    let room = Room::default();
    let numbers = found(context, &numbers_config(names, room)).await?;
    let blobs = found(context, &blobs_config(names, room)).await?;
    let (Some(_), Some(blobs)) = (numbers, blobs) else { return Ok(None) };
    let numbers = context.get_key_value(names.bucket()).await;
    Ok(Some((numbers.map_err(|error| NatsError::failed(&error))?, blobs)))
}

/// Makes the store of a party, empty; or gives one that is there more room.
///
/// # Errors
/// [`StoreError::Remote`] with a [`NatsError`].
pub fn make(access: &Access, own: &Own, room: Room) -> Result<bool, StoreError> {
    let at = access.to_string();
    let (bridge, seal, names) = begin(access, own)?;
    let remote = |error: NatsError| StoreError::Remote { at: at.clone(), source: error.into() };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(StoreError::Randomness)?;
    let place = format!("{}/{STORE}", names.bucket());
    let sealed = seal.seal_whole(&place, &id)?;
    let (access, names) = (access.clone(), names);
    let made = bridge.wait(async move {
        let context = jetstream::new(access.connect(names.party()).await?);
        let failed = |error: &dyn core::error::Error| NatsError::failed(error);
        let unmade = |error: CreateStreamError| match error.kind() {
            CreateStreamErrorKind::JetStream(refused)
                if refused.error_code() == ErrorCode::INSUFFICIENT_RESOURCES
                    || refused.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED =>
            {
                NatsError::Reserved { bytes: room.max_bytes }
            }
            _ => NatsError::failed(&error),
        };
        let blobs = blobs_config(&names, room);
        if let Some((_, stream)) = opened(&context, &names).await? {
            let now = stream.cached_info().config.max_bytes;
            if now == blobs.max_bytes {
                return Err(NatsError::Exists { party: names.party() });
            }
            let config =
                Config { max_bytes: blobs.max_bytes, ..stream.cached_info().config.clone() };
            context.update_stream(config).await.map_err(|error| failed(&error))?;
            return Ok(false);
        }
        // The numbers last: where they are there, all is.
        context.get_or_create_stream(blobs).await.map_err(unmade)?;
        let numbers = numbers_config(&names, room);
        context.get_or_create_stream(numbers).await.map_err(unmade)?;
        let numbers = context.get_key_value(names.bucket()).await;
        let numbers = numbers.map_err(|error| failed(&error))?;
        match numbers.update(STORE, sealed.into(), 0).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                Err(NatsError::Exists { party: names.party() })
            }
            Err(error) => Err(failed(&error)),
        }
    });
    made.map_err(remote)
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
                let context = jetstream::new(access.connect(party.party()).await?);
                let none = || NatsError::None { party: party.party() };
                let (numbers, blobs) = opened(&context, &party).await?.ok_or_else(none)?;
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
        Ok(Self { at, bridge, seal, names, numbers, blobs, witness })
    }

    fn remote(&self, error: NatsError) -> StoreError {
        StoreError::Remote { at: self.at.clone(), source: error.into() }
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

    /// A record of the bucket and its revision; `Some(None)` if there was one that was removed.
    fn record(&self, key: &str) -> Result<Option<(u64, Option<Vec<u8>>)>, StoreError> {
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
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
                Err(error) if error.kind() == kv::UpdateErrorKind::TimedOut => {
                    Err(NatsError::Slow { limit: super::bridge::LIMIT })
                }
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
    ) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        if witness.sees(device, before, found)? {
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

    fn remove_blob(&self, name: &[&str]) {
        if let Err(error) = self.blobs.remove(&self.bridge, name) {
            let error = self.remote(error);
            tracing::warn!("{error}; what lies at {} is not used again", name.join("."));
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

impl Registry for Nats {
    fn key(&self, device: DeviceId) -> Result<Option<DeviceKey>, StoreError> {
        let Some((_, Some(bytes))) = self.record(&names::key(device))? else { return Ok(None) };
        let place = || self.place(&names::key(device));
        match DeviceKey::from_bytes(&zeroize::Zeroizing::new(bytes)) {
            Ok(key) if key.device == device => Ok(Some(key)),
            _ => Err(self.remote(NatsError::Foreign { place: place() })),
        }
    }

    fn put_key(&self, key: &DeviceKey, force: bool) -> Result<(), StoreError> {
        let exists = || StoreError::KeyExists { device: key.device.to_string() };
        let name = names::key(key.device);
        let seen = match self.record(&name)? {
            Some((_, Some(_))) if !force => return Err(exists()),
            Some((revision, _)) => revision,
            None => 0,
        };
        // Another one was faster.
        self.replace(&name, seen, &*key.to_bytes())?.ok_or_else(exists)?;
        Ok(())
    }

    fn forget_key(&self, device: DeviceId) -> Result<bool, StoreError> {
        let name = names::key(device);
        if !matches!(self.record(&name)?, Some((_, Some(_)))) {
            return Ok(false);
        }
        let numbers = self.numbers.clone();
        let done = self.bridge.wait(async move {
            numbers.delete(name).await.map_err(|error| NatsError::failed(&error))
        });
        done.map_err(|error| self.remote(error))?;
        Ok(true)
    }

    fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        let mut devices = Vec::new();
        for device in self.keys("key")?.iter().filter_map(|word| names::device(word)) {
            if self.key(device)?.is_some() {
                devices.push(device);
            }
        }
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
        self.sees(device, before, entry.as_ref())?;
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
        self.sees(device, before, Some(&Entry { revision, spent: spent.clone() }))?;
        Ok(true)
    }

    fn spenders(&self) -> Result<u64, StoreError> {
        Ok(self.keys("spent")?.len() as u64)
    }

    fn sessions(&self, device: DeviceId) -> Result<Vec<(u64, Option<Origin>)>, StoreError> {
        let listed = self.blobs.list(&self.bridge, &[CORRECTIONS, &names::word(device.as_str())]);
        let listed = listed.map_err(|error| self.remote(error))?;
        let sessions = listed.iter().filter_map(corrections_of);
        let mut sessions: Vec<_> =
            sessions.map(|(_, session, origin)| (session, Some(origin))).collect();
        sessions.sort_unstable_by_key(|(session, _)| *session);
        sessions.dedup_by_key(|(session, _)| *session);
        Ok(sessions)
    }

    fn stock(&self) -> Result<Vec<(DeviceId, usize)>, StoreError> {
        let listed = self.blobs.list(&self.bridge, &[CORRECTIONS]);
        let mut stock = std::collections::BTreeMap::new();
        for (device, _, _) in
            listed.map_err(|error| self.remote(error))?.iter().filter_map(corrections_of)
        {
            *stock.entry(device).or_default() += 1;
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
        let listed = self.blobs.list(&self.bridge, &name).map_err(away)?;
        let missing = SpoolError::Missing { session };
        let Some(blob) = listed.first() else { return Err(missing) };
        let bytes = self.blobs.get((&self.bridge, &self.seal), blob).map_err(away)?;
        bytes.filter(|bytes| bytes.len() == expected_bytes).ok_or(missing)
    }

    fn remove(&self, device: DeviceId, session: u64) {
        let (device, session) = (names::word(device.as_str()), format!("{session:020}"));
        self.remove_blob(&[CORRECTIONS, &device, &session]);
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
        put.map_err(|failure| self.failure(failure))
    }

    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let remote = |error| self.remote(error);
        let name = [MODEL, &names::owner(owner), &hex::hex(id)];
        // Two dealers may have kept it at once.
        for blob in self.blobs.list(&self.bridge, &name).map_err(remote)? {
            let bytes = self.blobs.get((&self.bridge, &self.seal), &blob).map_err(remote)?;
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
        let listed = self.blobs.list(&self.bridge, &[MODEL, &owner]).map_err(remote)?;
        let mut own = Vec::new();
        for blob in listed {
            own.push((self.blobs.age(&self.bridge, &blob).map_err(remote)?, blob));
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
        Ok(listed.map_err(|error| self.remote(error))?.len())
    }
}
