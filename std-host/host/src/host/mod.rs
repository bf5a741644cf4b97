//! The host: owns the model, and serves many devices at once.
//!
//! A connection is a task; a device has one connection at a time. When a device connects again, the
//! newer connection wins: after a power cut the device is back long before its old connection is
//! noticed to be dead. The older one is told [`Refusal::Busy`], so that two devices with one key
//! show up in both logs.

mod error;
pub mod folder;
pub mod kernel;
pub mod model;
pub mod models;
pub mod provider;
pub mod shelf;

use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use embedded_io_async::ErrorKind;
use sharelet_core::keystream::{ChaCha12, KeyId, Rounds as _};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, Hello, Refusal, max_welcome_bytes};
use sharelet_core::session::wire::{self, WireError};
use sharelet_core::session::{SessionError, refuse};
use tokio_util::sync::CancellationToken;

pub use self::error::{HostError, refusal};
use self::kernel::Vectorised;
use sharelet_model::Scores;

use self::model::HostModel;
use self::models::{Changes, Served};
use self::provider::{Asks, Provider, Source, Supplied};
use crate::dealer::wire as dealer_wire;
use crate::meter::{Meter, Phase, Records};
use crate::store::StoreError;
use crate::store::host::HostStore;
use sharelet_link::monitor::{DeviceFigures, Watched};
use sharelet_link::service::{Event, Limits, Place, Service, Visit};
use sharelet_link::{Connection, Party, Reader, Role, Writer};
use sharelet_model::MAX_LAYERS;

/// What a host allows: many devices, which may have no reading for long.
#[must_use]
pub fn limits() -> Limits {
    Limits { connections: 1024, idle: Duration::from_secs(24 * 3600), ..Limits::default() }
}

/// How long a host waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A preparation or an inference must be done within this time.
    pub phase: Duration,
    /// How long the dealer is asked about a device that connects.
    pub status: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { phase: Duration::from_secs(300), status: Duration::from_secs(5) }
    }
}

/// An answer that the host is to learn.
pub struct HostAnswer {
    /// The device.
    pub device: DeviceId,
    /// The session.
    pub session: u64,
    /// Fraction bits of the values.
    pub frac_bits: u8,
    /// The values, two's complement.
    pub values: Vec<u32>,
    /// Names of the outputs; none if the model has none.
    pub labels: Vec<String>,
    /// What the network applied to its answer at its end.
    pub scores: Option<Scores>,
}

impl fmt::Debug for HostAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostAnswer")
            .field("device", &self.device)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Where answers go.
pub type AnswerSink = Box<dyn Fn(HostAnswer) + Send + Sync>;

/// The host's service.
pub struct Host {
    source: Arc<Source>,
    answer: Answer,
    sink: AnswerSink,
    patience: Patience,
    devices: Mutex<HashMap<DeviceId, Slot>>,
    meter: Meter,
    records: Records,
}

/// A device that has connected: its supply, and the place of its latest connection.
struct Slot {
    provider: Arc<Provider>,
    place: Place,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("source", &self.source)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// A step that the peer must finish in time.
pub(crate) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let timed_out = SessionError::Transport(ErrorKind::TimedOut);
    tokio::time::timeout(limit, step).await.unwrap_or(Err(timed_out))
}

/// What the host works on during a session.
pub(crate) struct Buffers {
    masked: Vec<u32>,
    vectors: Vec<u32>,
    output: Vec<u32>,
    own_bits: Vec<u8>,
    peer_bits: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new(sizes: ScratchSizes) -> Self {
        Self {
            masked: vec![0; sizes.masked_elems],
            vectors: vec![0; sizes.vectors_elems],
            output: vec![0; sizes.width_elems],
            own_bits: vec![0; sizes.bits_bytes],
            peer_bits: vec![0; sizes.bits_bytes],
        }
    }

    pub(crate) fn scratch(&mut self) -> Scratch<'_> {
        Scratch {
            masked: &mut self.masked,
            vectors: &mut self.vectors,
            output: &mut self.output,
            own_bits: &mut self.own_bits,
            peer_bits: &mut self.peer_bits,
        }
    }
}

impl Host {
    /// A host that gives answers to `answer`; `sink` gets those that the host is to learn.
    #[must_use]
    pub fn new(source: Source, answer: Answer, sink: AnswerSink, patience: Patience) -> Arc<Self> {
        let source = Arc::new(source);
        let (devices, meter) = (Mutex::default(), Meter::new());
        let records = Records::default();
        Arc::new(Self { source, answer, sink, patience, devices, meter, records })
    }

    /// What all devices share.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whoever says a device's name must be the device: what follows is for it alone.
    async fn speak(
        &self,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<(), HostError> {
        let hello =
            visit.greeting(async { Ok::<_, HostError>(p1::receive_hello(reader).await?) }).await?;
        let device = hello.device;
        if peer.is_some_and(|peer| peer.name != device) {
            return Err(HostError::Refused(Refusal::UnknownDevice));
        }
        if let Some(refusal) = self.objection(&hello) {
            return Err(HostError::Refused(refusal));
        }
        let mut changes = self.source.models.changes();
        let provider = self.provider(device, hello.key).await?;
        self.ask_about(device, &provider, visit).await?;
        self.enter(device, &provider, visit);
        visit.enter()?;
        let gone = CancellationToken::new();
        tokio::spawn(provider.clone().keep_filled(gone.clone(), visit.stop().clone()));
        let _gone = gone.drop_guard();

        let model = provider.model();
        p1::welcome(
            writer,
            &model.model.network,
            model.seed.expose(),
            &model.masked_id,
            &mut vec![0; max_welcome_bytes(MAX_LAYERS)],
        )
        .await?;
        tracing::debug!(%device, "connected");
        // On a plaintext link anybody can say a device's name, and any number.
        let asks = if peer.is_some() { Asks::OneCounter } else { Asks::Anyhow };
        let mut evaluated = 0;
        let _here = self.records.of(device).here();
        let served = self
            .sessions(
                (device, &provider, asks),
                (reader, writer),
                visit,
                &mut changes,
                &mut evaluated,
            )
            .await;
        if let Err(HostError::Store(error @ StoreError::CounterWentBack { .. })) = &served {
            visit.warn(format_args!("{device}: {error}"));
        }
        // Nobody waits for it: the device is told why it goes before a store has answered.
        let keeping = provider.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = keeping.keep_counter() {
                tracing::warn!(%device, "what was seen of its counter is not kept: {error}");
            }
        });
        // One line for a connection.
        match &served {
            Ok(()) => tracing::info!(%device, evaluated, "gone"),
            Err(error) => tracing::info!(%device, evaluated, "gone: {error}"),
        }
        served
    }

    fn objection(&self, hello: &Hello) -> Option<Refusal> {
        if hello.rounds != ChaCha12::ROUNDS {
            return Some(Refusal::RoundsMismatch { ours: ChaCha12::ROUNDS });
        }
        (hello.answer != self.answer).then_some(Refusal::AnswerMismatch { ours: self.answer })
    }

    pub(crate) async fn provider(
        &self,
        device: DeviceId,
        key: KeyId,
    ) -> Result<Arc<Provider>, HostError> {
        let model = self.source.models.of(device).ok_or_else(|| {
            // Whoever asks is told why, and the log says so at a bounded rate.
            HostError::Refused(Refusal::NoModel)
        })?;
        // What other hosts keep and spend is looked at anew.
        let known = self
            .devices()
            .get(&device)
            .map(|slot| slot.provider.clone())
            .filter(|known| known.key() == key && Arc::ptr_eq(known.model(), &model))
            .filter(|_| !self.source.store.is_shared());
        if let Some(provider) = known {
            return Ok(provider);
        }
        let source = self.source.clone();
        let made =
            tokio::task::spawn_blocking(move || Provider::new(source, model, device, key)).await;
        Ok(made.unwrap_or_else(|_| Err(StoreError::Contended { device: device.to_string() }))?)
    }

    /// Asks the dealer whether it knows the device by this key. A dealer that is away does not
    /// matter to a device that was here before, while the spool lasts.
    pub(crate) async fn ask_about(
        &self,
        device: DeviceId,
        provider: &Arc<Provider>,
        visit: &Visit,
    ) -> Result<(), HostError> {
        let before = provider.before_status();
        match tokio::time::timeout(self.patience.status, self.source.client.status(device)).await {
            Ok(Ok(status)) if status.key != provider.key() => {
                return Err(HostError::Refused(Refusal::UnknownDevice));
            }
            Ok(Ok(status)) => {
                let provider = provider.clone();
                return blocking(device, move || provider.set_status(status, before)).await;
            }
            Ok(Err(error)) => match error.refusal() {
                Some(dealer_wire::Refusal::UnknownDevice) => {
                    return Err(HostError::Refused(Refusal::UnknownDevice));
                }
                // Whoever connects can name any device: not a line for each.
                _ => visit.warn(format_args!("{device}: {error}")),
            },
            Err(_) => {
                let dealer = self.source.client.address();
                visit.warn(format_args!("{device}: the dealer at {dealer} does not answer"));
            }
        }
        let provider = provider.clone();
        let known = blocking(device, move || Ok(provider.is_known()?)).await?;
        if known { Ok(()) } else { Err(HostError::Refused(Refusal::NoCorrelations)) }
    }

    /// Makes this the device's connection; an older one ends.
    fn enter(&self, device: DeviceId, provider: &Arc<Provider>, visit: &Visit) {
        let slot = Slot { provider: provider.clone(), place: visit.place() };
        if let Some(older) = self.devices().insert(device, slot) {
            if !Arc::ptr_eq(&older.provider, provider) {
                older.provider.supersede();
                provider.follow(&older.provider);
            }
            older.place.take_away();
        }
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Slot>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Session after session until the device goes or something fails.
    async fn sessions(
        &self,
        (device, provider, asks): (DeviceId, &Arc<Provider>, Asks),
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &mut Visit,
        changes: &mut Changes,
        evaluated: &mut u64,
    ) -> Result<(), HostError> {
        let network = &provider.model().model.network;
        let model = Vectorised(&provider.model().model);
        let mut buffers = Buffers::new(ScratchSizes::of(network));
        let record = self.records.of(device);
        loop {
            record.ready(provider.ready());
            let next = tokio::select! {
                biased;
                // The device meets its new model when it is back.
                () = changes.until_replaced(&self.source.models, device, provider.model()) => {
                    return Err(HostError::Refused(Refusal::ModelReplaced));
                }
                next = visit.next(reader) => next?,
            };
            if !next {
                return Ok(());
            }
            let Some(request) = p1::receive_request(reader).await? else { return Ok(()) };
            let supplied = tokio::select! {
                biased;
                () = changes.until_replaced(&self.source.models, device, provider.model()) => {
                    return Err(HostError::Refused(Refusal::ModelReplaced));
                }
                supplied = visit.or(provider.take(request, asks)) => supplied?,
            };
            reader.end_message();
            let begun = Instant::now();
            let (session, corrections) = grant(writer, supplied).await?;
            let session_of_host = P1::new(network, &model, self.answer);
            let prepared =
                within(self.patience.phase, session_of_host.prepare(reader, buffers.scratch()))
                    .await?;
            if asks == Asks::OneCounter {
                provider.is_used(session);
            }
            self.meter.session(Phase::Prepare, begun.elapsed());
            tracing::debug!(%device, session, "prepared");
            if !visit.next_of_work(reader).await? {
                return Ok(());
            }
            let ready = prepared.input(reader).await?;
            reader.end_message();
            let begun = Instant::now();
            let answer =
                within(self.patience.phase, ready.infer(reader, writer, &corrections)).await?;
            self.meter.session(Phase::Infer, begun.elapsed());
            *evaluated += 1;
            record.evaluated();
            record.ready(provider.ready());
            tracing::debug!(%device, session, "evaluated");
            if let Some(values) = answer {
                let frac_bits = network.output_frac_bits();
                let of = &provider.model().model;
                let (values, labels, scores) = (values.to_vec(), of.labels.clone(), of.scores);
                (self.sink)(HostAnswer { device, session, frac_bits, values, labels, scores });
            }
        }
    }
}

/// Runs what asks the store beside the tasks that wait for the network.
async fn blocking<T: Send + 'static>(
    device: DeviceId,
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    let ended = |_| Err(StoreError::Contended { device: device.to_string() }.into());
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}

/// Grants a session; its number, and its corrections.
pub(crate) async fn grant(
    writer: &mut Writer,
    supplied: Supplied,
) -> Result<(u64, Vec<u8>), HostError> {
    let Supplied { session, corrections } = supplied;
    p1::grant(writer, session).await?;
    // With the next number the device orders sessions that nobody has got yet.
    Ok((session, corrections.ok_or(HostError::Refused(Refusal::NoCorrelations))?))
}

impl Service for Host {
    type Error = HostError;

    fn roles(&self) -> &[Role] {
        &[Role::Device]
    }

    fn observe(&self, event: Event) {
        self.meter.event(event);
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        mut visit: Visit,
    ) -> Result<(), HostError> {
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let ended = self.speak(peer, &mut reader, &mut writer, &mut visit).await;
        if let Some(refusal) = ended.as_ref().err().and_then(refusal_of) {
            self.meter.refused(&refusal);
            // The reason matters more than whether it still reaches the device.
            let _ = refuse(&mut writer, refusal).await;
        }
        ended
    }
}

impl Host {
    /// Serves other models from now on. Nothing is kept of a model that is served no more, but for
    /// the session that is under way.
    pub fn replace(&self, served: Served<HostModel>) {
        self.source.models.replace(served);
        let models = &self.source.models;
        self.devices().retain(|device, slot| {
            let model = models.of(*device);
            let stays = model.is_some_and(|model| Arc::ptr_eq(&model, slot.provider.model()));
            if !stays {
                slot.provider.supersede();
            }
            stays
        });
    }

    /// Asks the dealer from time to time whether it is there, for who asks whether this host is
    /// ready.
    pub async fn watch_dealer(&self) {
        const EVERY: Duration = Duration::from_secs(5);
        loop {
            self.source.client.probe().await;
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Figures of devices, with what each has had of a day's sessions.
pub(crate) fn with_limits(
    store: &HostStore,
    mut devices: Vec<DeviceFigures>,
) -> Vec<DeviceFigures> {
    let limit = Some(store.quota().sessions_per_day).filter(|most| *most < u32::MAX);
    // A store beyond this machine is asked no longer than who watches waits.
    const LONGEST: Duration = Duration::from_secs(3);
    let begun = Instant::now();
    let here: BTreeSet<String> = devices.iter().map(|device| device.name.clone()).collect();
    // Those that are here come first, then those that were here before the service was started.
    devices.sort_by_key(|device| (!device.connected, Reverse(device.seen_unix_seconds)));
    let others = store.known().unwrap_or_default().into_iter();
    let others = others.filter(|device| !here.contains(device.as_str()));
    devices.extend(others.map(|device| DeviceFigures::of(device.as_str())));
    for device in &mut devices {
        if begun.elapsed() > LONGEST {
            break;
        }
        // What cannot be read is not told, and not told wrong.
        device.most_a_day = limit;
        let name = DeviceId::new(&device.name);
        let Some(Ok(standing)) = name.map(|name| store.standing(name)) else { continue };
        let spent = standing.map(|entry| entry.spent).unwrap_or_default();
        device.today = Some(spent.today());
        device.sessions = Some(spent.total());
        device.next_session = spent.latest_next();
        let before = spent.latest_unix_seconds().unwrap_or_default();
        device.seen_unix_seconds = device.seen_unix_seconds.max(before);
    }
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

impl Host {
    /// What is ready now, also of devices that are gone: their corrections come in all the same.
    fn count_ready(&self) {
        for (device, slot) in self.devices().iter() {
            self.records.of(*device).ready(slot.provider.ready());
        }
    }
}

impl Watched for Host {
    fn metrics(&self) -> String {
        self.count_ready();
        self.meter.text(self.records.ready())
    }

    fn devices(&self) -> Vec<DeviceFigures> {
        self.count_ready();
        with_limits(&self.source.store, self.records.figures())
    }

    fn expect_ready(&self) -> Result<(), String> {
        self.source.store.expect_there().map_err(|error| error.to_string())?;
        let client = &self.source.client;
        let stock = || self.source.store.stock().map_err(|error| error.to_string());
        if client.is_reached() || stock()?.iter().any(|(_, sessions)| *sessions > 0) {
            return Ok(());
        }
        let dealer = client.address();
        Err(format!("the dealer at {dealer} does not answer, and no corrections are in the spool"))
    }
}

/// What the device is told.
pub(crate) fn refusal_of(error: &HostError) -> Option<Refusal> {
    match error {
        HostError::Refused(refusal) => Some(*refusal),
        HostError::Session(SessionError::Wire(WireError::Version { .. })) => {
            Some(Refusal::Version { ours: wire::VERSION })
        }
        HostError::Session(SessionError::Wire(_)) => Some(Refusal::Protocol),
        HostError::Session(SessionError::Transport(ErrorKind::TimedOut)) => Some(Refusal::TooSlow),
        HostError::Store(StoreError::Quota { .. }) => Some(Refusal::Quota),
        HostError::Store(StoreError::Revoked) => Some(Refusal::UnknownDevice),
        HostError::Store(StoreError::CounterWentBack { .. }) => Some(Refusal::SessionNumber),
        HostError::Session(SessionError::Correction(_)) | HostError::Store(_) => {
            Some(Refusal::NoCorrelations)
        }
        _ => None,
    }
}
