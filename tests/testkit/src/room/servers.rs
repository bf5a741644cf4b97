//! Two servers, their dealer, data parties and a console in one process, with small time-outs.

use std::sync::{Arc, Mutex, Weak};

use sharelet_core::ring::Ring;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::session::wire::query::{Half, QueryHeader, QueryId, Reason, Recipient, Status};
use sharelet_core::session::wire::task::Task;
use sharelet_host::console::{self, Console, ConsoleError};
use sharelet_host::dealer::Dealer;
use sharelet_host::device::DeviceError;
use sharelet_host::device::data_party::{DataParty, Settings};
use sharelet_host::host::{self, Host};
use sharelet_host::server::console_queue::Queue;
use sharelet_host::server::evaluator::Evaluator;
use sharelet_host::server::party0::Party0;
use sharelet_host::server::party1::{Party1, Patience};
use sharelet_host::server::peer::{self, PeerError};
use sharelet_host::server::queries::Server;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_link::Route;
use sharelet_link::tcp::Listener;
use sharelet_model::readings::Readings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Log, Room, Rows, Running, SOON, STALL, limits, pauses, when_unlocked};

/// A server that runs.
pub type One = Running<(), Result<(), PeerError>>;

/// What a server is told apart by from an earlier one.
pub fn instance() -> u64 {
    getrandom::u64().expect("randomness")
}

impl Room {
    /// A server that asks `evaluator`.
    pub async fn serve<E: Evaluator>(
        &self,
        address: &str,
        evaluator: Arc<E>,
        queue: Option<Queue<E::Word>>,
    ) -> One {
        let stop = CancellationToken::new();
        let listener =
            Listener::bind(address, Route::insecure_plaintext(None)).await.expect("listens");
        let address = listener.local_address().expect("has an address").to_string();
        let server = Server::new(evaluator, queue);
        let task = tokio::spawn(server.serve(listener, limits(self.unit), stop.clone()));
        One { service: Weak::new(), address, stop, task }
    }

    /// How long server 1 waits.
    pub fn patience(&self) -> Patience {
        Patience { pair: self.unit * 4 / 3, ..Patience::default() }
    }

    /// How server 0 keeps so many lanes to server 1.
    pub fn lanes(&self, peer: &str, lanes: usize) -> peer::Settings {
        peer::Settings {
            lanes,
            connect: self.unit,
            stall: 10 * self.unit,
            wait: 5 * self.unit,
            pauses: pauses(20, 100),
            ..peer::Settings::new(peer.to_owned(), Route::insecure_plaintext(None))
        }
    }

    pub fn task(&self) -> Task {
        self.model.task(&std::fs::read(self.path("model.slt")).expect("reads"))
    }

    /// Servers that start from now on have a console of this name.
    pub fn provision_console(&self, name: &str) -> DeviceId {
        std::fs::write(self.path("operator"), name).expect("writes");
        DeviceId::new(name).expect("a name")
    }

    pub fn queue<W: Ring>(&self, capacity: usize) -> Option<Queue<W>> {
        let name = std::fs::read_to_string(self.path("operator")).ok()?;
        Some(Queue::new(DeviceId::new(&name).expect("a name"), capacity))
    }

    pub async fn server_1_at(&self, address: &str, dealer: &str, capacity: usize) -> One {
        let store = when_unlocked(|| HostStore::open(&self.path("host"))).await;
        let patience = host::Patience { status: self.unit, ..host::Patience::default() };
        let source = self.source(store, dealer, 6);
        let model = source.models.general().expect("one for everybody");
        let host = Host::new(source, Answer::Device, Box::new(|_| ()), patience);
        let party = Party1::new((host, model), instance(), self.patience());
        self.serve(address, party, self.queue(capacity)).await
    }

    pub async fn server_0_at(&self, address: &str, peer: &str, task: Task, capacity: usize) -> One {
        self.server_0_named("server-0", address, peer, task, capacity).await
    }

    pub async fn server_0_named(
        &self,
        name: &str,
        address: &str,
        peer: &str,
        task: Task,
        capacity: usize,
    ) -> One {
        let (key, counter) = self.key_and_counter(name).await;
        let identity = Identity::new(key.device, &key.key);
        let party = Party0::new(self.lanes(peer, 3), identity, counter, task, instance());
        self.serve(address, party, self.queue(capacity)).await
    }

    /// A dealer, server 0 and server 1.
    pub async fn servers(&self) -> (Running<Dealer>, One, One) {
        self.provision("server-0");
        let dealer = self.dealer().await;
        let server_1 = self.server_1_at("127.0.0.1:0", &dealer.address, 64).await;
        let server_0 = self.server_0_at("127.0.0.1:0", &server_1.address, self.task(), 64).await;
        (dealer, server_0, server_1)
    }

    /// A data party with a key of its own.
    pub fn data_party(
        &self,
        name: &str,
        server_0: &One,
        server_1: &One,
        readings: &Readings,
    ) -> Party {
        let addresses = [server_0.address.clone(), server_1.address.clone()];
        let settings = Settings {
            retries: 0,
            connect: self.unit,
            stall: 10 * self.unit,
            pauses: pauses(20, 200),
            ..Settings::new(addresses, Route::insecure_plaintext(None))
        };
        if !self.key_path(name).exists() {
            let key = DeviceKey::generate(DeviceId::new(name).expect("a name"));
            self.give(name, &key.expect("randomness")).expect("writes");
        }
        let (key, counter) =
            FileCounter::open(&self.counter_path(name), &self.key_path(name), false)
                .expect("opens");
        let identity = Identity::new(key.device, &key.key);
        DataParty {
            settings,
            identity,
            counter,
            task: self.task(),
            exponents: self.model.network.input_exponents().to_vec(),
            sensor: Rows(readings.clone()),
            events: Log::default(),
        }
    }
}

pub type Party = DataParty<Rows, FileCounter, Log>;

/// Stops two servers and their dealer politely.
pub async fn stop(server_0: One, server_1: One, dealer: Running<Dealer>) {
    server_0.stop().await.expect("a clean end");
    server_1.stop().await.expect("a clean end");
    dealer.stop().await;
}

/// A refusal, as a data party gets it.
pub fn refused(reason: Reason) -> Vec<u8> {
    Status::Refused(reason).emit().to_vec()
}

/// Asks until it is answered; all answers are these.
pub async fn is_answered(party: &mut Party, expected: &[Vec<u32>]) {
    party.settings.retries = 30;
    party.events.answers.clear();
    ask(party).await.expect("works");
    assert_eq!(party.events.answers, expected);
}

/// Runs a data party to its end.
pub async fn ask(party: &mut Party) -> Result<usize, DeviceError> {
    let stop = CancellationToken::new();
    tokio::time::timeout(SOON, party.run(&stop)).await.expect("ends in time")
}

pub type Printed = Arc<Mutex<Vec<(QueryId, Vec<u32>)>>>;

/// A console that stops after `count` answers.
pub async fn console(
    name: DeviceId,
    [server_0, server_1]: [&One; 2],
    count: usize,
    printed: &Printed,
) -> Result<usize, ConsoleError> {
    let addresses = [server_0.address.clone(), server_1.address.clone()];
    let settings = console::Settings {
        count: Some(count),
        connect: STALL,
        pair: 4 * STALL,
        pauses: pauses(20, 100),
        ..console::Settings::new(addresses, Route::insecure_plaintext(None))
    };
    let printed = printed.clone();
    let sink = move |answer: console::ConsoleAnswer| {
        printed
            .lock()
            .expect("not poisoned")
            .push((answer.id, answer.values.iter().map(|&value| value as u32).collect()));
        Ok(())
    };
    let mut console = Console::new(settings, name, sink);
    tokio::time::timeout(SOON, console.run(&CancellationToken::new())).await.expect("ends in time")
}

/// A data party that speaks bytes: one half of a query.
pub fn half(task: &Task, id: u64, half: Half, recipient: Recipient) -> Vec<u8> {
    let header = QueryHeader { half, recipient, task: task.id(), id: QueryId(id.to_le_bytes()) };
    let body = if half == Half::Seed {
        32
    } else {
        usize::from(task.inputs) * usize::from(task.ring_bits) / 8
    };
    [&header.emit()[..], &vec![7; body]].concat()
}

pub async fn connect(server: &One) -> TcpStream {
    TcpStream::connect(&server.address).await.expect("connects")
}

/// Sends bytes, and reads until the server has closed.
pub async fn send(server: &One, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server).await;
    stream.write_all(bytes).await.expect("writes");
    read(&mut stream).await
}

/// All that comes until the server closes.
pub async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut reply = Vec::new();
    let read =
        tokio::time::timeout(SOON, stream.read_to_end(&mut reply)).await.expect("answers in time");
    read.expect("a clean end");
    reply
}
