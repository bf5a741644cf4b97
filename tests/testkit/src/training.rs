//! Two servers that train, and their dealer, in one process: states in a folder, connections in
//! memory.

#![allow(missing_docs, missing_debug_implementations, clippy::new_without_default)]

use core::fmt::Write as _;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sharelet_core::keystream::Keystream;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::share::{self, Party};
use sharelet_host::data::Options;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::wire::{Description, Ordered};
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::server::training::run::{self, Correlations, Progress, Report, RunError, Setup};
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::datasets::Datasets;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::keys::{KeysFolder, provision};
use sharelet_host::store::training::{Checkpoints, Share};
use sharelet_link::Connection;
use sharelet_link::Route;
use sharelet_link::fault::{Fault, FaultyWriter};
use sharelet_link::service::Limits;
use sharelet_model::readings::columns;
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::curve::Curve;
use sharelet_train::plain;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::state;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use crate::owners::PARTIES;
use crate::owners::{self, Data, csv};
use crate::room::{Running, counted, when_unlocked};
use crate::{Rng, says};

pub const STALL: Duration = Duration::from_secs(20);
pub const SOON: Duration = Duration::from_secs(120);
pub const RUN: &str = "run";

pub fn config(text: &str) -> Config {
    Config::parse(text, Path::new("config.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// When a server goes away, as if killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Never,
    /// After a step was made, before what follows it.
    Step(usize),
    /// After a checkpoint was written.
    Checkpoint(usize),
    /// Its connection is cut after so many bytes.
    Bytes(u64),
    /// The dealer goes away after a step of this server.
    Dealer(usize),
    /// It is told to stop after a step.
    Stop(usize),
}

/// Bytes that a server sent.
pub type Tape = Arc<Mutex<Vec<u8>>>;

/// Writes, and keeps what is written.
struct Tap<W>(W, Tape);

impl<W: AsyncWrite + Unpin> AsyncWrite for Tap<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.1.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        written
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Both ends of a connection in memory, with faults in what either writes, and tapes of it.
pub fn ends(faults: [Fault; 2]) -> ([Connection; 2], [Tape; 2]) {
    ends_within(faults, STALL)
}

/// The same with another limit of silence.
pub fn ends_within(faults: [Fault; 2], stall: Duration) -> ([Connection; 2], [Tape; 2]) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    let tapes = [Tape::default(), Tape::default()];
    fn end(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        fault: Fault,
        (tape, stall): (&Tape, Duration),
    ) -> Connection {
        Connection::new(reader, FaultyWriter::new(Tap(writer, tape.clone()), fault, 1), stall)
    }
    let zero = end(near_reader, near_writer, faults[0], (&tapes[0], stall));
    let one = end(far_reader, far_writer, faults[1], (&tapes[1], stall));
    ([zero, one], tapes)
}

/// What came of a run at one server; `None` if it was killed.
pub type End = Option<Result<Report, RunError>>;

/// States of two servers and a dealer.
pub struct Room {
    pub folder: tempfile::TempDir,
}

impl Room {
    pub fn new() -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap() };
        room.provision();
        room
    }

    /// A new key for server 0, and its counter.
    pub fn provision(&self) {
        let give = |key: &DeviceKey| {
            FileCounter::create(&self.path("server-0.counter"), key.key_id())?;
            key.save(&self.path("server-0.key"))
        };
        let keys = KeysFolder::of(&self.path("dealer"));
        provision(&keys, DeviceId::new("server-0").unwrap(), true, give).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state(&self, party: Party) -> PathBuf {
        self.path(if party == Party::P0 { "s0" } else { "s1" })
    }

    /// What server 1 asks the dealer for, ordered by server 0 for a server 1 of this name.
    pub fn ordered<D: Description>(&self, description: D, fetcher: Option<DeviceId>) -> Ordered<D> {
        let key = DeviceKey::load(&self.path("server-0.key")).unwrap();
        let binding = description.bind(&Keystream::new(&key.key)).unwrap();
        let order = description.order(&binding, fetcher);
        Ordered { key: key.key_id(), order, description }
    }

    pub async fn dealer(&self) -> Running<Dealer> {
        let store = when_unlocked(|| DealerStore::open(&self.path("dealer"))).await;
        Running::start("127.0.0.1:0", Dealer::new(store, MODELS), Limits::default()).await
    }

    /// An owner shares a table with both.
    pub async fn share(
        &self,
        dataset: &str,
        owner: &str,
        text: &str,
        (kind, frac_bits): (LabelKind, u8),
    ) {
        let options = Options {
            labels: vec!["y".into()],
            kind,
            standardise: Some(false),
            ..Options::default()
        };
        self.give(&Data::new(dataset, owner, csv(text, &options), frac_bits, &[0; 16])).await;
    }

    pub async fn give(&self, data: &Data) {
        let datasets = PARTIES.map(|party| Datasets::open(&self.state(party), party).unwrap());
        owners::share(data, datasets).await;
    }

    pub fn checkpoints(&self, party: Party, keep: usize) -> Checkpoints {
        Checkpoints::open(&self.state(party), RUN, party, keep).unwrap()
    }

    pub fn setup(&self, party: Party, config: &Config, resume: bool) -> Setup {
        let datasets = Datasets::read(&self.state(party), party);
        let dataset = |name: &str| datasets.dataset(&name.parse().unwrap()).unwrap();
        Setup {
            train: dataset(&config.data.train),
            test: config.data.test.as_deref().map(dataset),
            checkpoints: self.checkpoints(party, config.checkpoint.keep),
            config: config.clone(),
            resume,
        }
    }

    pub fn correlations(&self, party: Party, dealer: &str) -> Correlations {
        match party {
            Party::P0 => {
                let [counter, key] =
                    ["server-0.counter", "server-0.key"].map(|name| self.path(name));
                let (key, counter) = FileCounter::open(&counter, &key, false).unwrap();
                Correlations::Key(key, Box::new(counter))
            }
            Party::P1 => Correlations::Dealer(Client::new(
                dealer.to_owned(),
                Route::insecure_plaintext(None),
                STALL,
                STALL,
            )),
        }
    }

    /// The lowest number that server 0 has not used.
    pub fn counter(&self) -> u64 {
        counted(&self.path("server-0.counter"))
    }

    /// Both train to the end.
    pub async fn train(&self, config: &Config, resume: bool) -> [Report; 2] {
        let ends = self.both(config, resume, [Crash::Never; 2]).await;
        ends.map(|end| end.unwrap().unwrap_or_else(|error| panic!("{error}")))
    }

    /// Both train until the end, an error, or a crash.
    pub async fn both(&self, config: &Config, resume: bool, crash: [Crash; 2]) -> [End; 2] {
        self.run(PARTIES.map(|party| self.setup(party, config, resume)), crash).await.0
    }

    /// Neither gets to the end, and both are told all of this.
    pub async fn refused(&self, config: &Config, resume: bool, parts: &[&str]) {
        both_say(&self.both(config, resume, [Crash::Never; 2]).await, parts);
    }

    /// Both begin; their dealer is gone afterwards.
    pub async fn run(&self, setups: [Setup; 2], crash: [Crash; 2]) -> ([End; 2], [Tape; 2]) {
        let dealer = self.dealer().await;
        let (address, dealer) = (dealer.address.clone(), Mutex::new(Some(dealer)));
        let ran = self.between(setups, &address, crash, &dealer).await;
        let dealer = dealer.lock().unwrap().take();
        if let Some(dealer) = dealer {
            dealer.kill().await;
        }
        ran
    }

    /// Both begin, with a dealer or without; nothing goes wrong on the way.
    pub async fn meet(&self, setups: [Setup; 2], dealer: &str) -> [End; 2] {
        self.between(setups, dealer, [Crash::Never; 2], &Mutex::new(None)).await.0
    }

    async fn between(
        &self,
        [setup_0, setup_1]: [Setup; 2],
        address: &str,
        crash: [Crash; 2],
        dealer: &Mutex<Option<Running<Dealer>>>,
    ) -> ([End; 2], [Tape; 2]) {
        let [correlations_0, correlations_1] =
            PARTIES.map(|party| self.correlations(party, address));
        let fault =
            |crash| if let Crash::Bytes(bytes) = crash { Fault::Cut(bytes) } else { Fault::None };
        let ([connection_0, connection_1], tapes) = ends(crash.map(fault));
        let both = async {
            tokio::join!(
                until(setup_0, correlations_0, connection_0, crash[0], dealer),
                until(setup_1, correlations_1, connection_1, crash[1], dealer),
            )
        };
        let (zero, one) = tokio::time::timeout(SOON, both).await.expect("ends in time");
        ([zero, one], tapes)
    }

    /// The model of the finished run, opened, without the sums behind it.
    pub fn model(&self) -> Vec<u64> {
        let [zero, one] = PARTIES
            .map(|party| Share::load(&self.state(party).join("training-run/model.share")).unwrap());
        assert_eq!((zero.header.run, zero.header.step), (one.header.run, one.header.step));
        let mut words = zero.words;
        share::open(&mut words, &one.words);
        let scaling = zero.header.sizes.standardised * COLUMN_WORDS;
        words.truncate(words.len() - 2 - scaling);
        words
    }

    /// A data set, opened.
    pub fn open(&self, dataset: &str) -> state::Data {
        let [zero, one] = PARTIES.map(|party| {
            Datasets::read(&self.state(party), party).dataset(&dataset.parse().unwrap()).unwrap()
        });
        let (mut inputs, mut targets) = (zero.features, zero.targets);
        share::open(&mut inputs, &one.features);
        share::open(&mut targets, &one.targets);
        let mut scaling = zero.scaling.clone();
        for (word, other) in scaling.iter_mut().flatten().zip(one.scaling.iter().flatten()) {
            *word = word.wrapping_add(*other);
        }
        state::Data { inputs, targets, scaling }
    }

    pub fn course(&self, config: &Config) -> Arc<Course> {
        let dataset = |name: &str| {
            Datasets::read(&self.state(Party::P0), Party::P0)
                .dataset(&name.parse().unwrap())
                .unwrap()
        };
        let (train, test) = (dataset(&config.data.train), config.data.test.as_deref().map(dataset));
        let bits = |which: usize| {
            let both = [Some(&train), test.as_ref()].into_iter().flatten();
            both.filter_map(|data| data.descriptor().magnitude_bits.get(which)).max().copied()
        };
        let [feature_bits, target_bits] = [0, 1].map(|which| bits(which).unwrap_or(0).into());
        let sizes = Sizes {
            rows: train.rows,
            features: train.columns,
            targets: train.targets_per_row,
            test_rows: test.as_ref().map_or(0, |test| test.rows),
            standardised: train.scaling.len(),
            mixed: train.is_mixed(),
            feature_bits,
            target_bits,
        };
        Arc::new(Course::new(config.clone(), sizes).unwrap())
    }

    /// What the twin learns, and its curve.
    pub fn twin(&self, config: &Config) -> (Vec<u64>, Curve) {
        let mut test =
            config.data.test.as_ref().map_or_else(state::Data::default, |test| self.open(test));
        let course = self.course(config);
        let columns = |dataset: &str| {
            let datasets = Datasets::read(&self.state(Party::P0), Party::P0);
            datasets.dataset(&dataset.parse().unwrap()).unwrap().descriptor().columns.clone()
        };
        if let Some(name) = &config.data.test
            && let Some(order) =
                columns::order(&columns(&config.data.train), &columns(name)).unwrap()
        {
            test.inputs = columns::reorder(&test.inputs, &order);
        }
        let (model, curve) =
            plain::twin(&course, self.open(&config.data.train), test, &mut |_| ()).unwrap();
        (model.words().copied().collect(), curve)
    }

    pub fn steps(&self, party: Party) -> Vec<u64> {
        self.checkpoints(party, 2).steps()
    }
}

/// A server until its end or its crash.
async fn until(
    setup: Setup,
    correlations: Correlations,
    connection: Connection,
    crash: Crash,
    dealer: &Mutex<Option<Running<Dealer>>>,
) -> End {
    let (killed, stop) = (Notify::new(), CancellationToken::new());
    let mut progress = |progress: Progress| match (progress, crash) {
        (Progress::Step { step, .. }, Crash::Step(at)) if step == at => killed.notify_one(),
        (Progress::Checkpoint { step }, Crash::Checkpoint(at)) if step == at => killed.notify_one(),
        (Progress::Step { step, .. }, Crash::Stop(at)) if step == at => stop.cancel(),
        (Progress::Step { step, .. }, Crash::Dealer(at)) if step == at => {
            if let Some(dealer) = dealer.lock().unwrap().take() {
                dealer.abort();
            }
        }
        _ => {}
    };
    tokio::select! {
        biased;
        () = killed.notified() => None,
        ended = run::run(setup, correlations, connection, &mut progress, &stop) => Some(ended),
    }
}

/// A server until its end.
pub async fn alone(
    setup: Setup,
    correlations: Correlations,
    connection: Connection,
) -> Result<Report, RunError> {
    run::run(setup, correlations, connection, &mut |_| (), &CancellationToken::new()).await
}

/// Text of an error at a server that was not killed.
pub fn said(end: &End) -> String {
    match end {
        Some(Err(error)) => error.to_string(),
        other => panic!("no error: {other:?}"),
    }
}

/// Fails if either server has not ended with an error that says all of this.
#[track_caller]
pub fn both_say(ends: &[End; 2], parts: &[&str]) {
    for end in ends {
        parts.iter().for_each(|part| says(&said(end), part));
    }
}

/// Rows of features in -1..1 and a label `y`: a number for no classes, otherwise the side of a
/// plane, or the largest of several.
pub fn table(rows: usize, columns: usize, classes: usize, seed: u64) -> String {
    let mut rng = Rng(seed);
    let planes: Vec<Vec<f64>> =
        (0..classes.max(1)).map(|_| (0..=columns).map(|_| rng.fine_real()).collect()).collect();
    let mut text: String = (0..columns).fold(String::new(), |mut names, column| {
        write!(names, "x{column},").unwrap();
        names
    });
    text.push_str("y\n");
    for _ in 0..rows {
        let row: Vec<f64> = (0..columns).map(|_| rng.fine_real()).collect();
        let at = |plane: &Vec<f64>| row.iter().zip(plane).map(|(x, w)| x * w).sum::<f64>();
        let label = match classes {
            0 => at(&planes[0]) + 0.25,
            2 => f64::from(u8::from(at(&planes[0]) > at(&planes[1]))),
            _ => (0..classes).max_by(|&a, &b| at(&planes[a]).total_cmp(&at(&planes[b]))).unwrap()
                as f64,
        };
        row.iter().for_each(|x| write!(text, "{x:.6},").unwrap());
        writeln!(text, "{label:.6}").unwrap();
    }
    text
}
