//! Strangers who say a little and then nothing: nobody else is held up, and nothing ends.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use embedded_io_async::Write;
use sharelet_core::session::wire::control::{self, DeviceId};
use sharelet_core::session::wire::query::{Half, Reason, Recipient};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionError, servers};
use sharelet_core::share::Party;
use sharelet_host::data::description::UploadId;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::openings::Openings;
use sharelet_host::data::{Options, Table};
use sharelet_host::dealer::client::{Client, ClientError};
use sharelet_host::dealer::wire::{Ordered, Refusal, Serve};
use sharelet_host::server::evaluator::{Evaluator, Question};
use sharelet_host::server::peer::PeerError;
use sharelet_host::server::queries::Server;
use sharelet_host::server::training::run::{self, Meeting};
use sharelet_host::store::datasets::Datasets;
use sharelet_host::upload::owner;
use sharelet_host::upload::server::{Collector, MOST_ELEMS};
use sharelet_host::upload::wire::{self, Kind, Standing};
use sharelet_link::fault::Fault;
use sharelet_link::service::{self, Limits};
use sharelet_link::tcp::{self, Listener};
use sharelet_link::{Connection, Role, Route, frame};
use sharelet_testkit::room::servers::half;
use sharelet_testkit::room::{self, STALL, random_model};
use sharelet_testkit::training::{PARTIES, Room, alone, config, ends, table};
use sharelet_testkit::{printed_seed, rng};
use sharelet_train::network::{Loss, Network, Shape};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
const TASK: Task = Task {
    ring_bits: 32,
    input_frac_bits: 8,
    output_frac_bits: 8,
    inputs: 2,
    outputs: 1,
    input_limit: 1 << 12,
    model: [1; 16],
};

/// Answers at once.
#[derive(Debug)]
struct Quick;

impl Evaluator for Quick {
    type Word = u32;

    fn party(&self) -> Party {
        Party::P0
    }

    fn task(&self) -> &Task {
        &TASK
    }

    fn instance(&self) -> u64 {
        1
    }

    async fn evaluate(&self, _: Question<u32>) -> Result<Vec<u32>, Reason> {
        Ok(vec![7])
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        stop.cancelled().await;
        Ok(())
    }
}

/// Time until a query is answered while many strangers have said `bytes` and nothing more.
async fn answered_beside(bytes: &[u8]) -> Duration {
    let limits = Limits {
        connections: 2,
        hello: 20 * SECOND,
        stall: 6 * SECOND,
        message: 6 * SECOND,
        ..Limits::default()
    };
    let listener = Listener::bind("127.0.0.1:0", plain()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let server = Server::new(Arc::new(Quick), None);
    let task = tokio::spawn(server.serve(listener, limits, CancellationToken::new()));
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        stranger.write_all(bytes).await.unwrap();
        strangers.push(stranger);
    }
    tokio::time::sleep(SECOND / 2).await;
    let start = Instant::now();
    let mut party = TcpStream::connect(&address).await.unwrap();
    party.write_all(&half(&TASK, 1, Half::Seed, Recipient::DataParty)).await.unwrap();
    let mut answer = [0; 4];
    tokio::time::timeout(30 * SECOND, party.read_exact(&mut answer)).await.unwrap().unwrap();
    task.abort();
    assert_eq!(answer, 7_u32.to_le_bytes());
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_begin_of_a_query_and_then_nothing_holds_up_nobody() {
    let query = half(&TASK, 9, Half::Seed, Recipient::DataParty);
    let took = answered_beside(&query[..9]).await;
    assert!(took < 3 * SECOND, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_query_that_stays_holds_up_nobody() {
    let query = half(&TASK, 9, Half::Masked, Recipient::DataParty);
    let took = answered_beside(&query[..16]).await;
    assert!(took < 3 * SECOND, "{took:?}");
}

const TEXT: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \
                    \"logistic-regression\"\n[training]\nepochs = 1\nbatch = 8\nlearning_rate = \
                    0.1\n[arithmetic]\ntruncation = \"exact\"\n";

/// Server 0 that is killed in its greeting, and started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_vanishes_in_its_greeting_ends_no_run() {
    let room = Room::new();
    room.share("train", "o", &table(24, 3, 2, 1), (LabelKind::Binary, 20)).await;
    let (config, dealer) = (config(TEXT), room.dealer().await);
    // The greeting of server 0.
    let ([near, _far], tapes) = ends([Fault::None; 2]);
    let said = alone(
        room.setup(Party::P0, &config, false),
        room.correlations(Party::P0, &dealer.address),
        near,
    );
    let _ = tokio::time::timeout(SECOND, said).await;
    let greeting = tapes[0].lock().unwrap().clone();
    assert!(greeting.len() > 100);

    let listener = Listener::bind("127.0.0.1:0", plain()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let (setup, correlations) =
        (room.setup(Party::P1, &config, false), room.correlations(Party::P1, &dealer.address));
    let one = async {
        let meeting = Meeting::Listening(listener, Limits::default(), Duration::from_secs(600));
        let ended =
            run::run(setup, correlations, meeting, &mut |_| (), &CancellationToken::new()).await;
        ended.map(|_| ()).map_err(|error| error.to_string())
    };
    let zero = async {
        for _ in 0..20 {
            let Ok(mut killed) = TcpStream::connect(&address).await else { break };
            let _ = killed.write_all(&greeting).await;
            let _ = killed.set_zero_linger();
            drop(killed);
        }
        tokio::time::sleep(SECOND / 2).await;
        let connected = tcp::connect(&address, Role::Server1, &plain(), SECOND, 20 * SECOND).await;
        let connected = connected.map_err(|error| error.to_string())?;
        let setup = room.setup(PARTIES[0], &config, false);
        let correlations = room.correlations(PARTIES[0], &dealer.address);
        alone(setup, correlations, connected).await.map(|_| ()).map_err(|e| e.to_string())
    };
    let (zero, one) = tokio::join!(zero, one);
    assert_eq!((zero, one), (Ok(()), Ok(())));
}

fn plain() -> Route {
    Route::insecure_plaintext(None)
}

/// An owner that names its upload, to begin it soon or never.
async fn begins(address: &str, name: &str) -> (Connection, Standing) {
    let csv = b"x\n1\n";
    let table = Table::from_bytes(csv, Path::new("a.csv"), None, &Options::default()).unwrap();
    let names = ("d".parse().unwrap(), name.parse().unwrap());
    let id = UploadId::random().unwrap();
    let description = owner::describe(&table, id, names.0, names.1, 20, Openings::default());
    let mut owner =
        tcp::connect(address, Role::Server0, &plain(), SECOND, 5 * SECOND).await.unwrap();
    frame::greet(&mut owner.writer, Kind::Hello, &[]).await.unwrap();
    wire::read_welcome(&mut owner.reader).await.unwrap();
    frame::send(&mut owner.writer, Kind::Begin, &description).await.unwrap();
    let standing = frame::receive(&mut owner.reader, Kind::Standing).await.unwrap();
    (owner, standing)
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_who_only_name_an_upload_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(folder.path(), Party::P0).unwrap();
    let listener = Listener::bind("127.0.0.1:0", plain()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let limits = Limits { connections: 2, ..Limits::default() };
    let collector = Collector::new(datasets, MOST_ELEMS);
    tokio::spawn(service::serve(collector, listener, limits, CancellationToken::new()));
    let mut owners = Vec::new();
    for name in ["a", "b", "c", "e"] {
        owners.push(begins(&address, name).await);
    }
    assert!(owners.iter().all(|(_, standing)| *standing == Standing::New));
}

/// What a network costs is not found out for somebody who names no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_looks_for_the_key_first() {
    let room = Room::new();
    let dealer = room.dealer().await;
    let client = Client::new(dealer.address.clone(), plain(), SECOND, 5 * SECOND);
    let network = Network {
        input: Shape { channels: 1 << 26, height: 1, width: 1 },
        layers: Vec::new(),
        loss: Loss::SquaredError,
    };
    let device = DeviceId::new("nobody").unwrap();
    let arithmetic = config(TEXT).arithmetic;
    let serve = Serve { device, first: 1, count: 2, network, arithmetic, standardised: 0 };
    let refusal = async |request| {
        client.sessions(&request).await.err().and_then(|error: ClientError| error.refusal())
    };
    let ordered = room.ordered(serve.clone(), None);
    assert_eq!(refusal(ordered.clone()).await, Some(Refusal::UnknownDevice));
    // Nor for somebody who has another key, or no order.
    let device = DeviceId::new("server-0").unwrap();
    let ordered = Ordered { description: Serve { device, ..serve }, ..ordered };
    assert_eq!(refusal(ordered.clone()).await, Some(Refusal::NoOrder));
    assert_eq!(refusal(Ordered { key: [0; 8], ..ordered }).await, Some(Refusal::OtherKey));
}

/// A server that greets right has no more time for what follows than anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dribbles_after_its_greeting_is_told_so() {
    let room = room::Room::new(random_model(&[6, 5], &mut rng(printed_seed())));
    let server = room.server_1_at("127.0.0.1:0", "127.0.0.1:1", 1).await;
    let lane = tcp::connect(&server.address, Role::Server1, &plain(), SECOND, 20 * SECOND).await;
    let mut lane = lane.unwrap();
    let hello = ServerHello { party: 0, instance: 1, task: room.task() };
    servers::connect(&mut lane, &hello).await.unwrap();
    let start = Instant::now();
    let Connection { mut reader, mut writer, .. } = lane;
    let dribble = async {
        for _ in 0..8 {
            let _ = Write::write_all(&mut writer, &[0]).await;
            let _ = Write::flush(&mut writer).await;
            tokio::time::sleep(STALL / 2).await;
        }
        core::future::pending::<()>().await;
    };
    tokio::select! {
        () = dribble => {}
        told = servers::receive_server_hello(&mut reader) => {
            assert_eq!(told.err(), Some(SessionError::Refused(control::Refusal::TooSlow)));
        }
    }
    assert!(start.elapsed() < 3 * STALL, "{:?}", start.elapsed());
}
