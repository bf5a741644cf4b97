//! Dealer, host and device in one process, on loopback, with small time-outs.

#![allow(missing_docs, missing_debug_implementations)]

pub mod servers;
pub mod wire;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use rand_chacha::ChaCha12Rng;
use rand_core::Rng as _;
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, KeyId, Keystream};
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::session::p0::Identity;
use sharelet_core::session::wire::control::{Answer, DeviceId, Refusal, Request};
use sharelet_core::session::{ORDER_SESSIONS, SessionError};
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::masked;
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::device::{Device, DeviceError, Events, Inference, Sensor, Settings};
use sharelet_host::host::model::HostModel;
use sharelet_host::host::models::Models;
use sharelet_host::host::provider::{Source, Supply};
use sharelet_host::host::{Host, HostAnswer, Patience};
use sharelet_host::store::StoreError;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::keys::{KeysFolder, provision};
use sharelet_link::Route;
use sharelet_link::pauses::Pauses;
use sharelet_link::service::{self, Limits, Service, Visit};
use sharelet_link::tcp::Listener;
use sharelet_link::{Connection, Counts};
use sharelet_model::Model;
use sharelet_model::readings::{Readings, ReadingsError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{assert_matches, printed_seed, rng};

pub const STALL: Duration = Duration::from_millis(300);
pub const SOON: Duration = Duration::from_secs(20);

/// What services allow, in units of patience: little, so that tests run into it.
pub fn limits(unit: Duration) -> Limits {
    Limits { hello: unit, stall: unit, grace: STALL, idle: SOON, ..Limits::default() }
}

/// The only visit of a service.
pub fn visit() -> Visit {
    Visit::alone(limits(STALL), CancellationToken::new())
}

/// Milliseconds between attempts.
pub fn pauses(shortest: u64, longest: u64) -> Pauses {
    let [shortest, longest] = [shortest, longest].map(Duration::from_millis);
    Pauses { shortest, longest }
}

/// A model with random weights, hidden layers with ReLU and without.
pub fn random_model(widths: &[u16], rng: &mut ChaCha12Rng) -> Model {
    let last = widths.len() - 2;
    let layer = |(index, pair): (usize, &[u16])| {
        let activation =
            if index == last || index == 1 { Activation::Identity } else { Activation::Relu };
        Layer::dense(pair[0], pair[1], 10, if index == last { 0 } else { 9 }, activation)
    };
    let layers: Vec<_> = widths.windows(2).enumerate().map(layer).collect();
    let mut words = |count: usize| (0..count).map(|_| rng.next_u32()).collect::<Vec<_>>();
    let weights = layers
        .iter()
        .map(|layer| words(usize::from(layer.inputs()) * usize::from(layer.outputs())))
        .collect();
    let biases = layers.iter().map(|layer| words(usize::from(layer.outputs()))).collect();
    let network = Network::new(8, 1 << 16, &layers).expect("valid");
    Model { network, weights, biases, labels: Vec::new(), scores: None, name: "random".to_owned() }
}

pub fn random_readings(model: &Model, count: usize, rng: &mut ChaCha12Rng) -> Readings {
    let values = (0..count * model.network.inputs())
        .map(|_| (rng.next_u32() >> 16) as f32 / 256.0 - 128.0)
        .collect();
    Readings::new(model.network.inputs(), values).expect("finite")
}

pub fn twin(model: &Model, readings: &Readings) -> Vec<Vec<u32>> {
    readings
        .rows()
        .map(|row| model.infer(&model.encode(row).expect("in range")).expect("sized"))
        .collect()
}

/// The directories and files of one set of parties.
pub struct Room {
    pub folder: tempfile::TempDir,
    pub model: Model,
    /// The unit of the patience of all parties: [`STALL`], unless a test is not to run into it.
    pub unit: Duration,
}

/// A service that runs, and ends with a `T`.
pub struct Running<S, T = ()> {
    service: Weak<S>,
    pub address: String,
    pub stop: CancellationToken,
    task: JoinHandle<T>,
}

impl<S: Service> Running<S> {
    /// Starts a service. Nothing else holds it, so that its state is free when it is gone.
    pub async fn start(address: &str, service: Arc<S>, limits: Limits) -> Self {
        Self::start_over(Route::insecure_plaintext(None), address, service, limits).await
    }

    /// The same, with connections made in this way.
    pub async fn start_over(route: Route, address: &str, service: Arc<S>, limits: Limits) -> Self {
        let (weak, stop) = (Arc::downgrade(&service), CancellationToken::new());
        let listener = Listener::bind(address, route).await.expect("listens");
        let address = listener.local_address().expect("has an address").to_string();
        let task = tokio::spawn(service::serve(service, listener, limits, stop.clone()));
        Self { service: weak, address, stop, task }
    }

    pub fn service(&self) -> Arc<S> {
        self.service.upgrade().expect("runs")
    }

    /// One conversation beside those that come by TCP.
    pub async fn converse(&self, connection: Connection) -> Result<(), S::Error> {
        self.service().converse(connection, visit()).await
    }
}

impl<S, T> Running<S, T> {
    /// Stops politely; how it ended.
    pub async fn stop(self) -> T {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits for its own end.
    pub async fn ended(self) -> T {
        tokio::time::timeout(SOON, self.task).await.expect("ends in time").expect("does not panic")
    }

    /// Begins to stop at once, as a kill does.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Stops at once, as a kill does.
    pub async fn kill(&self) {
        self.abort();
        while !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Opens state that a killed service may hold for a moment longer.
pub async fn when_unlocked<T>(mut open: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..200 {
        match open() {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            opened => return opened.expect("opens"),
        }
    }
    panic!("the state stays locked");
}

/// The lowest number that was not used, by a counter's file.
pub fn counted(path: &Path) -> u64 {
    let bytes = fs::read(path).expect("a counter");
    u64::from_le_bytes(*bytes.first_chunk().expect("a number"))
}

/// Sets a counter's file to another number of the same key.
pub fn count_from(path: &Path, next: u64) {
    let mut bytes = fs::read(path).expect("a counter");
    bytes[..8].copy_from_slice(&next.to_le_bytes());
    fs::write(path, bytes).expect("writes");
}

pub type HostAnswers = Arc<Mutex<Vec<HostAnswer>>>;

impl Room {
    pub fn new(model: Model) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        model.save(&folder.path().join("model.slt")).expect("saves");
        Self { folder, model, unit: STALL }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn provision(&self, name: &str) {
        let device = DeviceId::new(name).expect("a name");
        let give = |key: &_| self.give(name, key);
        provision(&KeysFolder::of(&self.path("dealer")), device, true, give).expect("provisions");
    }

    /// Writes a key, and its counter.
    fn give(&self, name: &str, key: &DeviceKey) -> Result<(), StoreError> {
        FileCounter::create(&self.counter_path(name), key.key_id())?;
        key.save(&self.key_path(name))
    }

    pub fn key_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.key"))
    }

    /// A key, and its counter as soon as nobody uses it.
    pub async fn key_and_counter(&self, name: &str) -> (DeviceKey, FileCounter) {
        when_unlocked(|| FileCounter::open(&self.counter_path(name), &self.key_path(name), false))
            .await
    }

    /// The lowest number that was not used.
    pub fn counter(&self, name: &str) -> u64 {
        counted(&self.counter_path(name))
    }

    /// Sets a counter that is there to another number.
    pub fn count_from(&self, name: &str, next: u64) {
        count_from(&self.counter_path(name), next);
    }

    pub fn identity(&self, name: &str) -> Identity {
        let key = DeviceKey::load(&self.key_path(name)).expect("loads");
        Identity::new(key.device, &key.key)
    }

    pub fn key_id(&self, name: &str) -> KeyId {
        DeviceKey::load(&self.key_path(name)).expect("loads").key_id()
    }

    /// What a device says when it wants a session with a model: its order is for a host of this
    /// name.
    pub fn request(
        &self,
        device: &str,
        model: &HostModel,
        host: Option<DeviceId>,
        next_session: u64,
    ) -> Request {
        let key = DeviceKey::load(&self.key_path(device)).expect("loads");
        let description = masked::description(&model.model.network);
        let binding = Binding::of_network(
            &Keystream::<ChaCha12>::new(&key.key),
            &description,
            &model.masked_id,
        );
        let order = binding.order(&DeviceId::proved(host), next_session, ORDER_SESSIONS);
        Request { next_session, order }
    }

    pub async fn dealer_at(&self, address: &str) -> Running<Dealer> {
        let store = when_unlocked(|| DealerStore::open(&self.path("dealer"))).await;
        Running::start(address, Dealer::new(store, MODELS), limits(self.unit)).await
    }

    pub async fn dealer(&self) -> Running<Dealer> {
        self.dealer_at("127.0.0.1:0").await
    }

    pub fn source(&self, store: HostStore, dealer: &str, ahead: u32) -> Source {
        let model = HostModel::load(&self.path("model.slt"), &store, &mut |_| ()).expect("loads");
        let supply = Supply { ahead, batch: ahead, wait: 3 * self.unit, pauses: pauses(20, 100) };
        let client = self.client(dealer);
        let models = Models::one(Arc::new(model));
        Source { models, store, client, supply, readiness: Box::new(|_, _, _| ()) }
    }

    pub fn client(&self, dealer: &str) -> Client {
        Client::new(dealer.to_owned(), Route::insecure_plaintext(None), self.unit, 10 * self.unit)
    }

    pub async fn host_at(
        &self,
        address: &str,
        dealer: &str,
        answer: Answer,
        ahead: u32,
    ) -> (Running<Host>, HostAnswers) {
        let store = when_unlocked(|| HostStore::open(&self.path("host"))).await;
        let answers = HostAnswers::default();
        let sink = answers.clone();
        let sink = Box::new(move |answer| sink.lock().expect("not poisoned").push(answer));
        let service =
            Host::new(self.source(store, dealer, ahead), answer, sink, Patience::default());
        (Running::start(address, service, limits(self.unit)).await, answers)
    }

    pub async fn host(&self, dealer: &str) -> Running<Host> {
        self.host_at("127.0.0.1:0", dealer, Answer::Device, 3).await.0
    }

    /// A device with a key that was provisioned, and its counter.
    pub fn device(
        &self,
        name: &str,
        host: &str,
        readings: &Readings,
    ) -> Device<Rows, FileCounter, Log> {
        let settings = Settings {
            retries: 3,
            connect: STALL,
            stall: 10 * STALL,
            pauses: pauses(20, 200),
            ..Settings::new(host.to_owned(), Route::insecure_plaintext(None))
        };
        let (key, counter) =
            FileCounter::open(&self.counter_path(name), &self.key_path(name), false)
                .expect("opens");
        Device {
            settings,
            identity: Identity::new(key.device, &key.key),
            counter,
            sensor: Rows(readings.clone()),
            events: Log::default(),
        }
    }

    pub fn counter_path(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.counter"))
    }

    pub fn spooled(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.path("host").join("spool").join(format!("device-{name}"));
        let files =
            fs::read_dir(folder).into_iter().flatten().map(|file| file.expect("reads").path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|ending| ending == "cor")).collect();
        files.sort();
        files
    }
}

/// A room in which a dealer and a host run, and its device `pump` with random readings.
pub struct Scenario {
    pub room: Room,
    pub dealer: Running<Dealer>,
    pub host: Running<Host>,
    /// What the host learned.
    pub learned: HostAnswers,
    pub device: Device<Rows, FileCounter, Log>,
    pub readings: Readings,
    /// The twin's answers for the readings.
    pub expected: Vec<Vec<u32>>,
    pub rng: ChaCha12Rng,
}

impl Scenario {
    /// A room with a small model and a device.
    pub fn room(widths: &[u16]) -> (Room, ChaCha12Rng) {
        let mut rng = rng(printed_seed());
        let room = Room::new(random_model(widths, &mut rng));
        room.provision("pump");
        (room, rng)
    }

    /// Starts everybody, for `count` readings; the host keeps 3 sessions ahead.
    pub async fn start(count: usize) -> Self {
        Self::of(Self::room(&[5, 20, 3, 3]), count, Answer::Device, 3).await
    }

    pub async fn of(
        (room, mut rng): (Room, ChaCha12Rng),
        count: usize,
        answer: Answer,
        ahead: u32,
    ) -> Self {
        let readings = random_readings(&room.model, count, &mut rng);
        let expected = twin(&room.model, &readings);
        let dealer = room.dealer().await;
        let (host, learned) = room.host_at("127.0.0.1:0", &dealer.address, answer, ahead).await;
        let mut device = room.device("pump", &host.address, &readings);
        device.settings.answer = answer;
        Self { room, dealer, host, learned, device, readings, expected, rng }
    }

    /// The device runs to its end; what it learned is what the twin says, and session numbers grow.
    pub async fn infers(&mut self) {
        self.device.events.answers.clear();
        run(&mut self.device).await.expect("works");
        assert_eq!(self.device.events.answers, self.expected);
        let sessions = &self.device.events.sessions;
        assert!(sessions.windows(2).all(|pair| pair[0] < pair[1]), "{sessions:?}");
    }

    /// The device finds that there are no correlations for it.
    pub async fn lacks_correlations(&mut self) {
        self.device.settings.retries = 0;
        let refused = run(&mut self.device).await.expect_err("there are none");
        let none = SessionError::Refused(Refusal::NoCorrelations);
        assert_matches!(refused, DeviceError::Session(error) if *error == none);
    }

    /// Makes a new key for the device, which begins to use it.
    pub fn provision_anew(&mut self) {
        self.room.provision("pump");
        // The device has the old counter, locked: its new one is a file of its own.
        let counter = self.room.path("anew.counter");
        fs::copy(self.room.counter_path("pump"), &counter).expect("copies");
        let opened = FileCounter::open(&counter, &self.room.key_path("pump"), false);
        let (key, counter) = opened.expect("opens");
        self.device.identity = Identity::new(key.device, &key.key);
        self.device.counter = counter;
    }

    /// What the device says when it wants a session.
    pub fn request(&self, next_session: u64) -> Request {
        let model = self.host.service().source().models.general().expect("one for everybody");
        self.room.request("pump", &model, None, next_session)
    }

    /// Stops everybody politely.
    pub async fn stop(self) {
        self.host.stop().await;
        self.dealer.stop().await;
    }
}

/// Readings in memory.
pub struct Rows(pub Readings);

impl Sensor for Rows {
    fn width(&self) -> Option<usize> {
        Some(self.0.width())
    }

    fn readings(&mut self, _: usize) -> Result<&Readings, ReadingsError> {
        Ok(&self.0)
    }
}

/// What happened to a device.
#[derive(Default)]
pub struct Log {
    /// Welcomes of a host.
    pub welcomes: usize,
    pub sessions: Vec<u64>,
    /// The same integers, in 32 bits and in 64.
    pub answers: Vec<Vec<u32>>,
    pub wide: Vec<Vec<u64>>,
    /// Bytes up and down, for each of them.
    pub traffic: Vec<(u64, u64)>,
    pub failures: Vec<String>,
    pub refused: Vec<String>,
}

impl Events for Log {
    fn connected(&mut self, _: usize) {
        self.welcomes += 1;
    }

    fn prepared(&mut self, session: u64, _: Counts, _: Duration) {
        self.sessions.push(session);
    }

    fn answer(&mut self, inference: &Inference<'_>) -> std::io::Result<()> {
        self.answers.push(inference.values.iter().map(|&value| value as u32).collect());
        self.wide.push(inference.values.to_vec());
        self.traffic.push((inference.traffic.sent_bytes, inference.traffic.received_bytes));
        Ok(())
    }

    fn refused(&mut self, error: &DeviceError) -> std::io::Result<()> {
        self.refused.push(format!("{}: {error}", error.name()));
        Ok(())
    }

    fn failed(&mut self, error: &DeviceError, _: Duration) {
        self.failures.push(error.to_string());
    }
}

impl Room {
    /// Waits until corrections are ready.
    pub async fn spool_holds(&self, name: &str, sessions: usize) {
        let filled = async {
            while self.spooled(name).len() < sessions {
                tokio::time::sleep(STALL / 20).await;
            }
        };
        tokio::time::timeout(SOON, filled).await.expect("is filled in time");
    }
}

/// Runs a device to its end.
pub async fn run(device: &mut Device<Rows, FileCounter, Log>) -> Result<usize, DeviceError> {
    let stop = CancellationToken::new();
    tokio::time::timeout(SOON, device.run(&stop)).await.expect("ends in time")
}

pub fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("reads");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("writes");
}

/// A peer that speaks bytes.
pub mod rogue {
    use sharelet_core::keystream::KeyId;
    use sharelet_core::session::wire::control::{Answer, DeviceId, Hello, Refusal, parse};
    use sharelet_core::session::wire::frame::{HEADER_BYTES, Header, Kind};
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    pub use crate::frames::{control, frame, handshake, welcome};

    pub async fn connect(address: &str) -> TcpStream {
        TcpStream::connect(address).await.expect("connects")
    }

    pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
        // The host may have had enough already.
        let _ = stream.write_all(bytes).await;
    }

    pub async fn hello(stream: &mut (impl AsyncWrite + Unpin), name: &str, key: KeyId) {
        let device = DeviceId::new(name).expect("a name");
        let hello = Hello { device, key, answer: Answer::Device, rounds: 12 };
        write(stream, &handshake(Kind::Hello, &hello)).await;
    }

    /// A connection to a host that has welcomed a device.
    pub async fn welcomed(address: &str, name: &str, key: KeyId) -> TcpStream {
        let mut stream = connect(address).await;
        hello(&mut stream, name, key).await;
        read_frame(&mut stream).await.expect("a welcome");
        stream
    }

    pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Kind, Vec<u8>)> {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await.ok()?;
        let header = Header::parse(header).expect("a header");
        let mut body = vec![0; header.body_bytes as usize];
        stream.read_exact(&mut body).await.ok()?;
        Some((header.kind, body))
    }

    pub async fn read_refusal(stream: &mut (impl AsyncRead + Unpin)) -> Refusal {
        let (kind, body) = read_frame(stream).await.expect("a frame");
        assert_eq!(kind, Kind::Refuse);
        parse(&body).expect("a refusal")
    }
}
