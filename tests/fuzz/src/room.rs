//! Two servers with a lane between them, a data party that asks twice, and the operator's console;
//! and a dealer where they have one. Server 0 connects by TCP, so that line is over loopback; all
//! others are in memory.

use core::time::Duration;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::ring::Ring;
use sharelet_core::session::data_party::Query;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::session::servers;
use sharelet_core::session::wire::query::Recipient;
use sharelet_core::session::wire::servers::ConsoleHello;
use sharelet_core::session::{CounterError, SessionCounter, deal};
use sharelet_core::share::open;
use sharelet_core::{Answer, DeviceId, Identity, Key};
use sharelet_host::alone::served::Served;
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::{Dealer, masked};
use sharelet_host::host::model::HostModel;
use sharelet_host::host::models::Models;
use sharelet_host::host::provider::{Source, Supply};
use sharelet_host::host::{Host, Patience as OfHost};
use sharelet_host::server::console_queue::Queue;
use sharelet_host::server::evaluator::Evaluator;
use sharelet_host::server::lane::Lanes;
use sharelet_host::server::party1::Patience;
use sharelet_host::server::peer::Settings;
use sharelet_host::server::queries::Server;
use sharelet_host::server::shared::model::SharedModel;
use sharelet_host::server::{alone, party0, party1, shared};
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::training::{Header, Share};
use sharelet_link::service::Service as _;
use sharelet_link::{Connection, Route};
use sharelet_model::Model;
use sharelet_model::readings::columns::{Columns, unnamed};
use sharelet_train::course::Sizes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::line::{Change, Said, Traffic, connection};
use crate::memory::Memory;
use crate::served::{LONGEST, STALL, hearing, visit};

/// How the servers are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Server 1 owns the model, and there is a dealer.
    Dealt,
    /// Server 1 owns the model, and both prepare together.
    Alone,
    /// Both share the model, and there is a dealer.
    SharedDealt,
    /// Both share the model, and prepare together.
    Shared,
}

pub const KINDS: [Kind; 4] = [Kind::Dealt, Kind::Alone, Kind::SharedDealt, Kind::Shared];

/// Whose word is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The other server.
    Server,
    /// The data party.
    DataParty,
    /// The console.
    Console,
    /// The dealer, on each of its connections; it speaks to server 1 alone.
    Dealer,
}

pub const SPEAKERS: [Speaker; 4] =
    [Speaker::Server, Speaker::DataParty, Speaker::Console, Speaker::Dealer];

/// Whom the dealer speaks to.
const OF_DEALER: (usize, Speaker) = (1, Speaker::Dealer);

/// How long anybody waits for anybody.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Then what does not come is not waited for.
    pub wait: Duration,
    /// Then a room in which nothing is said is left.
    pub quiet: Duration,
}

/// Where all are honest, nobody has to wait so long.
pub const PATIENT: Pace = Pace { wait: LONGEST, quiet: LONGEST };
/// Where one is not, all may have to wait so long.
pub const HURRIED: Pace =
    Pace { wait: Duration::from_millis(40), quiet: Duration::from_millis(200) };

/// A stranger who is alone waits for nothing that comes.
const SHORT: Pace = Pace { wait: Duration::from_millis(2), quiet: LONGEST };

/// Sessions that server 0 of a shared model begins at once: two are for queries.
const CHUNK: u32 = 3;
const KEY: [u8; 32] = [7; 32];
const SEED: [u8; 32] = [9; 32];

/// A dealer's client blocks its thread, which only this one allows.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

fn name(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn route() -> Route {
    Route::insecure_plaintext(None)
}

/// What server 1 owns.
fn owned() -> Model {
    let layers = [
        Layer::dense(2, 3, 10, 9, Activation::Relu),
        Layer::dense(3, 1, 10, 0, Activation::Identity),
    ];
    let network = Network::new(8, 1 << 12, &layers).unwrap();
    let weights = vec![vec![100, 200, 300, 400, 500, 600], vec![700, 800, 900]];
    let biases = vec![vec![1 << 18, 2, 3], vec![4]];
    Model { network, weights, biases, labels: Vec::new(), scores: None, name: "m".to_owned() }
}

/// A server's share of zeros.
fn share(party: u8) -> SharedModel {
    let config = "[data]\ntrain = \"d\"\n[model]\nkind = \"network\"\ninput = 2\n\
                  [[model.layer]]\nkind = \"dense\"\noutputs = 2\n[[model.layer]]\n\
                  kind = \"relu\"\n[[model.layer]]\nkind = \"dense\"\noutputs = 1\n[training]\n\
                  epochs = 1\nbatch = 4\nlearning_rate = 0.1\n";
    let header = Header {
        party,
        run: [5; 16],
        step: 2,
        sizes: Sizes { rows: 8, features: 2, targets: 1, ..Sizes::default() },
        columns: Columns { features: unnamed(2), labels: vec!["y".to_owned()] },
        train: [1; 32],
        test: None,
        config: config.to_owned(),
        curve: Vec::new(),
    };
    // Two layers with biases, and the sums of an epoch.
    let words = (0..11_u64).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let words = words.map(|word| if party == 0 { word } else { word.wrapping_neg() }).collect();
    SharedModel::new(&Share { header, words }, Path::new("model.share")).unwrap()
}

/// What server 0 counts with.
fn key(folder: &Path) -> (DeviceKey, FileCounter) {
    let key = DeviceKey { device: name("server-0"), key: Key::from_bytes(KEY), used: false };
    let [counter, file] = ["counter", "key"].map(|name| folder.join(name));
    FileCounter::create(&counter, key.key_id()).unwrap();
    key.save(&file).unwrap();
    FileCounter::open(&counter, &file, false).unwrap()
}

static OWNED: LazyLock<Arc<HostModel>> = LazyLock::new(|| {
    let (model, seed) = (owned(), Key::from_bytes(SEED));
    let matrices = masked::mask(&model, &Keystream::<ChaCha12>::new(&seed), &mut |_| ());
    let masked_id = masked::id(&masked::description(&model.network), &matrices);
    let correction_bytes = deal::correction_bytes(&model.network);
    let task = model.task(b"a file");
    Arc::new(HostModel { model, seed, masked_id, correction_bytes, task })
});

/// What a data party asks for: an input, and the answer.
fn example<R: Ring>(kind: Kind) -> (Vec<R>, Vec<u64>) {
    let words = [3_u32 << 8, 5 << 7];
    let input = words.iter().map(|word| R::from_u64((*word).into())).collect();
    let answer = match kind {
        Kind::Dealt | Kind::Alone => OWNED.model.infer(&words).unwrap(),
        Kind::SharedDealt | Kind::Shared => vec![0],
    };
    (input, answer.into_iter().map(u64::from).collect())
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What the data party has learned, and then the console; it is right.
    pub answers: usize,
    /// What all but the dealer have said to server 0, and to server 1.
    pub said: [[Said; 3]; 2],
}

/// What is said to one server, and whose word of it is changed.
pub type Changed<'b> = (usize, Speaker, Change<'b>);

/// Both servers come, with what they are asked.
struct Room<'r, E0: Evaluator, E1: Evaluator> {
    kind: Kind,
    zero: Arc<E0>,
    servers: (Arc<Server<E0>>, Arc<Server<E1>>),
    traffic: &'r Traffic,
    changed: Option<Changed<'r>>,
}

/// Where the next number of a data party comes from.
struct Counter(u64);

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(self.0)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.0 = session + 1;
        Ok(())
    }
}

fn server<E: Evaluator>(evaluator: &Arc<E>) -> Arc<Server<E>> {
    Server::new(evaluator.clone(), Some(Queue::new(name("operator"), 4)))
}

impl<E0, E1> Room<'_, E0, E1>
where
    E0: Evaluator + Lanes,
    E1: Evaluator<Word = <E0 as Evaluator>::Word>,
{
    fn change(&self, server: usize, speaker: Speaker) -> Option<Change<'_>> {
        let (of, who, change) = self.changed?;
        (of == server && who == speaker).then_some(change)
    }

    /// The only lane, until server 0 has had enough.
    async fn lane(&self, listener: TcpListener, stop: &CancellationToken) -> [Said; 2] {
        // On a thread of its own, as where it is served: what prepares takes much of a stack.
        let (zero, ends, runtime) = (self.zero.clone(), stop.clone(), Handle::current());
        let lane = tokio::task::spawn_blocking(move || {
            let _ = runtime.block_on(zero.lane(0, &mut 0, &ends));
            // Nobody asks where there is none.
            ends.cancel();
        });
        let line = async {
            let Ok((near, _)) = listener.accept().await else { return Default::default() };
            let (end, far) = connection(STALL);
            let served = Box::pin(self.servers.1.clone().converse(end, visit()));
            let changes = [self.change(1, Speaker::Server), self.change(0, Speaker::Server)];
            let said = self.traffic.between(near, far, changes);
            tokio::join!(said, async { drop(served.await) }).0
        };
        let (said, lane) = tokio::join!(line, lane);
        lane.expect("a lane of server 0");
        said
    }

    /// One visitor of both servers, and what it says to each.
    async fn visit<T>(
        &self,
        speaker: Speaker,
        visitor: impl AsyncFnOnce([Connection; 2]) -> T,
    ) -> (T, [Said; 2]) {
        let [zero, one] = [(); 2].map(|()| {
            let ((near, end), (other, far)) = (tokio::io::duplex(1 << 16), connection(STALL));
            (Connection::over(near, STALL), end, far, other)
        });
        let changes = [0, 1].map(|server| [self.change(server, speaker), None]);
        let (first, second) = self.servers.clone();
        let (came, [to_zero, _], [to_one, _], ..) = tokio::join!(
            visitor([zero.0, one.0]),
            self.traffic.between(zero.1, zero.2, changes[0]),
            self.traffic.between(one.1, one.2, changes[1]),
            async { drop(Box::pin(first.converse(zero.3, visit())).await) },
            async { drop(Box::pin(second.converse(one.3, visit())).await) },
        );
        (came, [to_zero, to_one])
    }

    /// A data party that asks for itself and then for the console; how often it was answered.
    async fn asks(&self, [mut zero, mut one]: [Connection; 2]) -> usize {
        let (task, mut counter) = (*self.zero.task(), Counter(0));
        let identity = Identity::new(name("pump"), &Key::from_bytes(SEED));
        let mut answered = 0;
        for recipient in [Recipient::DataParty, Recipient::Console] {
            let query = Query::<ChaCha12>::begin(&identity, &mut counter, task, recipient);
            let query = query.await.unwrap();
            let (mut input, expected) = example::<E1::Word>(self.kind);
            let mut answer = vec![E1::Word::ZERO; usize::from(task.outputs)];
            let asked = async {
                query.send_seed(&mut zero).await?;
                query.send_masked(&mut one, &mut input).await
            };
            if asked.await.is_err()
                || query.receive_both(&mut zero, &mut one, &mut answer).await.is_err()
            {
                return answered;
            }
            if self.changed.is_none() && recipient == Recipient::DataParty {
                assert_eq!(values(&answer), expected);
            }
            answered += 1;
        }
        answered
    }

    /// The console, which takes an answer and says so; whether there was one.
    async fn takes(&self, [mut zero, mut one]: [Connection; 2]) -> usize {
        let outputs = usize::from(self.zero.task().outputs);
        let [zero, one] = [&mut zero, &mut one].map(async |server| {
            servers::greet_as_console(server, &ConsoleHello { name: name("operator") }).await?;
            servers::receive_server_hello(server).await?;
            let mut share = vec![E1::Word::ZERO; outputs];
            let id = servers::receive_delivery(server, &mut share).await?;
            servers::confirm(server, id).await.map(|()| share)
        });
        let (Ok(mut answer), Ok(other)) = tokio::join!(zero, one) else { return 0 };
        open(&mut answer, &other);
        if self.changed.is_none() {
            assert_eq!(values(&answer), example::<E1::Word>(self.kind).1);
        }
        1
    }

    async fn play(&self, listener: TcpListener, pace: Pace) -> Played {
        let stop = CancellationToken::new();
        // All of them are large.
        let lane = Box::pin(self.lane(listener, &stop));
        let visitors = Box::pin(async {
            while self.zero.ready() == 0 && !stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let (answers, asked) =
                Box::pin(self.visit(Speaker::DataParty, async |servers| self.asks(servers).await))
                    .await;
            let mut taken = Default::default();
            if answers == 2 {
                taken = Box::pin(
                    self.visit(Speaker::Console, async |servers| self.takes(servers).await),
                )
                .await;
            }
            stop.cancel();
            (answers + taken.0, asked, taken.1)
        });
        let all = async { tokio::join!(lane, visitors) };
        let over = async {
            tokio::select! {
                played = all => Some(played),
                () = self.traffic.ceases(pace.quiet) => None,
            }
        };
        let over = tokio::time::timeout(LONGEST, over).await;
        let Some(played) = over.expect("servers that go on for ever") else {
            return Played::default();
        };
        let ([zero, one], (answers, asked, taken)) = played;
        let ([asked_0, asked_1], [taken_0, taken_1]) = (asked, taken);
        Played { answers, said: [[one, asked_0, taken_0], [zero, asked_1, taken_1]] }
    }
}

/// The answer's words, as far as it has any.
fn values<R: Ring>(answer: &[R]) -> Vec<u64> {
    answer.iter().map(|word| word.to_i64().cast_unsigned() & 0xffff_ffff).collect()
}

/// The servers of a kind, and what they need.
struct Setup {
    folder: TempDir,
    pace: Pace,
    /// Where server 1 is.
    peer: String,
}

impl Setup {
    fn settings(&self) -> Settings {
        let wait = self.pace.wait;
        Settings { lanes: 1, wait, ..Settings::new(self.peer.clone(), route()) }
    }

    fn patience(&self) -> Patience {
        Patience { pair: self.pace.wait, ..Patience::default() }
    }

    fn alone(&self) -> (Arc<alone::party0::Party0>, Arc<alone::party1::Party1>) {
        let (served, task) = (Served::new(owned(), b"a file").unwrap(), OWNED.task);
        let zero = alone::party0::Party0::new(self.settings(), task, 1, None);
        (zero, alone::party1::Party1::new((served, task), self.patience(), 2, None))
    }

    fn dealt(&self, dealer: &str) -> (Arc<party0::Party0>, Arc<party1::Party1>) {
        let (key, counter) = key(self.folder.path());
        let identity = Identity::new(key.device, &key.key);
        let zero = party0::Party0::new(self.settings(), identity, counter, OWNED.task, 1);
        let source = Source {
            models: Models::one(OWNED.clone()),
            store: HostStore::open(&self.folder.path().join("host")).unwrap(),
            client: client(dealer),
            supply: Supply { wait: self.pace.wait, ..Supply::default() },
            readiness: Box::new(|_, _, _| ()),
        };
        let host = Host::new(source, Answer::Device, Box::new(|_| ()), OfHost::default());
        (zero, party1::Party1::new((host, OWNED.clone()), 2, self.patience()))
    }

    fn shared(
        &self,
        dealer: Option<&str>,
    ) -> (Arc<shared::party0::Party0>, Arc<shared::party1::Party1>) {
        let key = dealer.map(|_| key(self.folder.path()));
        let zero = shared::party0::Party0::new(self.settings(), CHUNK, share(0), key, 1);
        let dealer = dealer.map(client);
        (zero, shared::party1::Party1::new(share(1), dealer, self.patience(), 2))
    }
}

fn client(dealer: &str) -> Client {
    Client::new(dealer.to_owned(), route(), LONGEST, LONGEST)
}

/// The dealer, and what is done to what it says.
struct Deals<'d> {
    dealer: Arc<Dealer>,
    listener: TcpListener,
    traffic: &'d Traffic,
    change: Option<Change<'d>>,
}

impl<'d> Deals<'d> {
    /// With its address.
    async fn new(traffic: &'d Traffic, changed: Option<Changed<'d>>) -> (Self, String) {
        let memory = Arc::new(Memory::of(name("server-0"), KEY));
        let dealer = Dealer::new(DealerStore::shared(memory), 4);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let change = changed.filter(|(server, speaker, _)| (*server, *speaker) == OF_DEALER);
        let change = change.map(|(.., change)| change);
        (Self { dealer, listener, traffic, change }, address)
    }

    /// Serves whoever connects; it has no end.
    async fn serve(&self) {
        let Ok((near, _)) = self.listener.accept().await else { return };
        let (end, far) = connection(STALL);
        tokio::join!(
            self.traffic.between(near, far, [None, self.change]),
            async { drop(Box::pin(self.dealer.clone().converse(end, visit())).await) },
            Box::pin(self.serve()),
        );
    }
}

/// All that happens between the servers of a kind and those who visit them.
pub fn play(kind: Kind, changed: Option<Changed<'_>>, pace: Pace) -> Played {
    RUNTIME.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = listener.local_addr().unwrap().to_string();
        let setup = Setup { folder: TempDir::new().unwrap(), pace, peer };
        let traffic = &Traffic::default();
        let (deals, dealer) = Deals::new(traffic, changed).await;
        let played = async {
            match kind {
                Kind::Dealt => {
                    let parties = setup.dealt(&dealer);
                    room(kind, parties, traffic, changed).play(listener, pace).await
                }
                Kind::Alone => {
                    let parties = setup.alone();
                    room(kind, parties, traffic, changed).play(listener, pace).await
                }
                Kind::SharedDealt => {
                    let parties = setup.shared(Some(&dealer));
                    room(kind, parties, traffic, changed).play(listener, pace).await
                }
                Kind::Shared => {
                    let parties = setup.shared(None);
                    room(kind, parties, traffic, changed).play(listener, pace).await
                }
            }
        };
        tokio::select! {
            played = Box::pin(played) => played,
            () = deals.serve() => Played::default(),
        }
    })
}

fn room<'r, E0: Evaluator, E1: Evaluator>(
    kind: Kind,
    (zero, one): (Arc<E0>, Arc<E1>),
    traffic: &'r Traffic,
    changed: Option<Changed<'r>>,
) -> Room<'r, E0, E1> {
    let servers = (server(&zero), server(&one));
    Room { kind, zero, servers, traffic, changed }
}

/// What one hears who comes to a server that is alone, says `bytes`, and then no more.
pub fn stranger(kind: Kind, party: usize, bytes: &[u8]) -> Vec<u8> {
    let peer = "127.0.0.1:1".to_owned();
    let setup = Setup { folder: TempDir::new().unwrap(), pace: SHORT, peer };
    // Nothing listens there.
    let nobody = "127.0.0.1:1";
    RUNTIME.block_on(async {
        match kind {
            Kind::Dealt => one_of(setup.dealt(nobody), party, bytes).await,
            Kind::Alone => one_of(setup.alone(), party, bytes).await,
            Kind::SharedDealt => one_of(setup.shared(Some(nobody)), party, bytes).await,
            Kind::Shared => one_of(setup.shared(None), party, bytes).await,
        }
    })
}

async fn one_of<E0: Evaluator, E1: Evaluator>(
    (zero, one): (Arc<E0>, Arc<E1>),
    party: usize,
    bytes: &[u8],
) -> Vec<u8> {
    if party == 0 {
        hearing(server(&zero), bytes).await
    } else {
        hearing(server(&one), bytes).await
    }
}
