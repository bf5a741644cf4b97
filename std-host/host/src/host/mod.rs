//! The host: owns the model, and serves many devices at once.
//!
//! A connection is a task; a device has one connection at a time. When a device connects again, the
//! newer connection wins: after a power cut the device is back long before its old connection is
//! noticed to be dead. The older one is told [`Refusal::Busy`], so that two devices with one key
//! show up in both logs.

mod error;
pub mod kernel;
pub mod model;
pub mod provider;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sharelet_core::keystream::{ChaCha12, KeyId, Rounds as _};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, Hello, Refusal, max_welcome_bytes};
use sharelet_core::session::wire::{self, WireError};
use sharelet_core::session::{SessionError, refuse};
use tokio_util::sync::CancellationToken;

pub use self::error::HostError;
use self::kernel::Vectorised;
use self::provider::{Provider, Source, Supplied};
use crate::dealer::wire as dealer_wire;
use crate::store::StoreError;
use sharelet_link::tcp::{self, Admission, Listener};
use sharelet_link::{Connection, Reader, Writer};
use sharelet_model::MAX_LAYERS;

/// What the host allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// A greeting must arrive within this time.
    pub hello: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// The longest silence of a device that has no reading.
    pub idle: Duration,
    /// A preparation or an inference must be done within this time.
    pub phase: Duration,
    /// How long the dealer is asked about a device that connects.
    pub status: Duration,
    /// How long sessions may go on after the host was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            hello: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            idle: Duration::from_secs(24 * 3600),
            phase: Duration::from_secs(300),
            status: Duration::from_secs(5),
            grace: Duration::from_secs(3),
        }
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
    limits: Limits,
    devices: Mutex<HashMap<DeviceId, Slot>>,
}

/// A device that has connected: its supply, and the end of its latest connection.
struct Slot {
    provider: Arc<Provider>,
    replaced: CancellationToken,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("source", &self.source)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// Why a connection that did nothing wrong has to end.
#[derive(Clone)]
struct Ends {
    stop: CancellationToken,
    replaced: CancellationToken,
}

impl Ends {
    async fn reason(&self) -> Refusal {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Refusal::ShuttingDown,
            () = self.replaced.cancelled() => Refusal::Busy,
        }
    }

    /// Waits for the peer, unless the connection has to end first.
    async fn or<T>(
        &self,
        step: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, HostError> {
        tokio::select! {
            biased;
            reason = self.reason() => Err(HostError::Refused(reason)),
            done = step => Ok(done?),
        }
    }
}

/// A step that the peer must finish in time.
pub(crate) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let timed_out = SessionError::Transport(embedded_io_async::ErrorKind::TimedOut);
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
    pub fn new(source: Source, answer: Answer, sink: AnswerSink, limits: Limits) -> Arc<Self> {
        Arc::new(Self { source: Arc::new(source), answer, sink, limits, devices: Mutex::default() })
    }

    /// What all devices share.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Serves devices until `stop`.
    pub async fn serve(self: Arc<Self>, listener: Listener, stop: CancellationToken) {
        let limits = self.limits;
        let serve = tcp::ServeLimits {
            connections: limits.connections,
            stall: limits.stall,
            grace: limits.grace,
        };
        let connection = |connection, peer, admission| {
            let (host, stop) = (self.clone(), stop.clone());
            async move { host.connection(connection, peer, admission, stop).await }
        };
        tcp::serve(listener, serve, stop.clone(), connection).await;
    }

    async fn connection(
        self: Arc<Self>,
        connection: Connection,
        peer: SocketAddr,
        admission: Admission,
        stop: CancellationToken,
    ) {
        match self.converse(connection, admission, stop).await {
            Ok(()) => tracing::debug!(%peer, "closed"),
            Err(error) => tracing::warn!(%peer, "connection ended: {error}"),
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// [`HostError`], for the log; the device was told what concerns it.
    pub async fn converse(
        self: &Arc<Self>,
        connection: Connection,
        admission: Admission,
        stop: CancellationToken,
    ) -> Result<(), HostError> {
        let Connection { mut reader, mut writer } = connection;
        let ended = self.greet(&mut reader, &mut writer, admission, stop).await;
        if let Some(refusal) = ended.as_ref().err().and_then(refusal_of) {
            // The reason matters more than whether it still reaches the device.
            let _ = refuse(&mut writer, refusal).await;
        }
        ended
    }

    async fn greet(
        self: &Arc<Self>,
        reader: &mut Reader,
        writer: &mut Writer,
        admission: Admission,
        stop: CancellationToken,
    ) -> Result<(), HostError> {
        let hello = within(self.limits.hello, p1::receive_hello(reader)).await?;
        let device = hello.device;
        if let Some(refusal) = self.objection(&hello, admission) {
            return Err(HostError::Refused(refusal));
        }
        let provider = self.provider(device, hello.key).await?;
        self.ask_about(device, &provider).await?;
        let gone = CancellationToken::new();
        tokio::spawn(provider.clone().keep_filled(gone.clone(), stop.clone()));
        let _gone = gone.drop_guard();
        let ends = Ends { stop, replaced: self.enter(device, &provider) };

        let model = &self.source.model;
        p1::welcome(
            writer,
            &model.model.network,
            model.seed.expose(),
            &mut vec![0; max_welcome_bytes(MAX_LAYERS)],
        )
        .await?;
        tracing::info!(%device, "connected");
        let served = self.sessions(device, reader, writer, &provider, &ends).await;
        match &served {
            Ok(()) => tracing::info!(%device, "gone"),
            Err(error) => tracing::warn!(%device, "connection ended: {error}"),
        }
        served
    }

    fn objection(&self, hello: &Hello, admission: Admission) -> Option<Refusal> {
        if admission == Admission::Full {
            return Some(Refusal::Busy);
        }
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
        let known = self
            .devices()
            .get(&device)
            .map(|slot| slot.provider.clone())
            .filter(|known| known.key() == key);
        if let Some(provider) = known {
            return Ok(provider);
        }
        let source = self.source.clone();
        let made = tokio::task::spawn_blocking(move || Provider::new(source, device, key)).await;
        Ok(made.unwrap_or(Err(StoreError::Locked {
            path: self.source.store.spool().directory().to_owned(),
        }))?)
    }

    /// Asks the dealer whether it knows the device by this key. A dealer that is away does not
    /// matter to a device that was here before, while the spool lasts.
    pub(crate) async fn ask_about(
        &self,
        device: DeviceId,
        provider: &Provider,
    ) -> Result<(), HostError> {
        let before = provider.before_status();
        match tokio::time::timeout(self.limits.status, self.source.client.status(device)).await {
            Ok(Ok(status)) if status.key != provider.key() => {
                return Err(HostError::Refused(Refusal::UnknownDevice));
            }
            Ok(Ok(status)) => {
                return tokio::task::block_in_place(|| provider.set_status(status, before))
                    .map_err(HostError::Refused);
            }
            Ok(Err(error)) => match error.refusal() {
                Some(dealer_wire::Refusal::UnknownDevice) => {
                    return Err(HostError::Refused(Refusal::UnknownDevice));
                }
                _ => tracing::warn!(%device, "{error}"),
            },
            Err(_) => {
                tracing::warn!(
                    %device,
                    "the dealer at {} does not answer",
                    self.source.client.address(),
                )
            }
        }
        if provider.is_known()? { Ok(()) } else { Err(HostError::Refused(Refusal::NoCorrelations)) }
    }

    /// Makes this the device's connection; an older one ends.
    fn enter(&self, device: DeviceId, provider: &Arc<Provider>) -> CancellationToken {
        let replaced = CancellationToken::new();
        let slot = Slot { provider: provider.clone(), replaced: replaced.clone() };
        if let Some(older) = self.devices().insert(device, slot) {
            older.replaced.cancel();
        }
        replaced
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Slot>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Session after session until the device goes or something fails.
    async fn sessions(
        &self,
        device: DeviceId,
        reader: &mut Reader,
        writer: &mut Writer,
        provider: &Arc<Provider>,
        ends: &Ends,
    ) -> Result<(), HostError> {
        let network = &self.source.model.model.network;
        let model = Vectorised(&self.source.model.model);
        let mut buffers = Buffers::new(ScratchSizes::of(network));
        loop {
            reader.await_message(self.limits.idle);
            let Some(request) = ends.or(p1::receive_request(reader)).await? else { return Ok(()) };
            let Supplied { session, corrections } = tokio::select! {
                reason = ends.reason() => return Err(HostError::Refused(reason)),
                supplied = provider.take(request.next_session) => supplied?,
            };
            p1::grant(writer, session).await?;
            let session_of_host = P1::new(network, &model, self.answer);
            let prepared =
                within(self.limits.phase, session_of_host.prepare(reader, buffers.scratch()))
                    .await?;
            tracing::debug!(%device, session, "prepared");
            reader.await_message(self.limits.idle);
            let ready = ends.or(prepared.input(reader)).await?;
            let answer =
                within(self.limits.phase, ready.infer(reader, writer, &corrections)).await?;
            tracing::info!(%device, session, "evaluated");
            if let Some(values) = answer {
                let frac_bits = network.output_frac_bits();
                (self.sink)(HostAnswer { device, session, frac_bits, values: values.to_vec() });
            }
        }
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
        HostError::Session(SessionError::Correction(_)) | HostError::Store(_) => {
            Some(Refusal::NoCorrelations)
        }
        _ => None,
    }
}
