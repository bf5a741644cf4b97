//! What keeps a training run from beginning, or ends it: servers that differ, peers that are
//! something else, bad data, divergence.

use core::time::Duration;
use std::path::Path;

use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::share::Party;
use sharelet_host::data::Options;
use sharelet_host::data::description::UploadId;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::openings::{Opening, Openings};
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::wire::{Refusal, Train};
use sharelet_host::server::training::run::{self, RunError, Setup};
use sharelet_host::server::training::wire::{Hello, MAX_MESSAGE_BYTES, PeerError, VERSION};
use sharelet_host::store::training::{Checkpoints, TrainingError};
use sharelet_link::Connection;
use sharelet_link::Route;
use sharelet_link::fault::Fault;
use sharelet_testkit::owners::{Data, csv};
use sharelet_testkit::room::count_from;
use sharelet_testkit::training::{
    Crash, PARTIES, Room, SOON, alone, both_say, config, ends, ends_within, table,
};
use sharelet_testkit::{Rng, assert_matches, begins, says};
use sharelet_train::config::{
    Config, HeldOut, ModelFormat, ModelKind, OpenModel, Schedule, Truncation,
};
use sharelet_train::course::{Course, CourseError, Sizes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Nobody is there.
const NO_DEALER: &str = "127.0.0.1:9";

const TEXT: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \
                    \"logistic-regression\"\n[training]\nepochs = 3\nbatch = 8\nlearning_rate = \
                    0.1\n[arithmetic]\ntruncation = \"exact\"\n";

/// Changes a configuration.
type Change = fn(&mut Config);
/// Whether an error is the one that is due.
type Check = fn(&PeerError) -> bool;

async fn room() -> Room {
    let room = Room::new();
    room.share("train", "o", &table(24, 3, 2, 1), (LabelKind::Binary, 20)).await;
    room.share("other", "o", &table(24, 3, 2, 2), (LabelKind::Binary, 20)).await;
    room
}

/// Both servers begin with these set-ups, and both are told all of this.
async fn both_are_told(room: &Room, setups: [Setup; 2], dealer: &str, parts: &[&str]) {
    both_say(&room.meet(setups, dealer).await, parts);
}

#[tokio::test]
async fn servers_that_are_configured_differently_are_told_the_field() {
    let (room, ours) = (room().await, config(TEXT));
    let changes: [(Change, &str); 19] = [
        (|config| config.data.train = "other".into(), "data.train"),
        (|config| config.data.test = Some("other".into()), "data.test"),
        (|config| config.data.held_out = Some(HeldOut::Rows(3)), "data.held_out"),
        (|config| config.model.kind = ModelKind::Svm, "model.kind"),
        (|config| config.training.epochs = 4, "training.epochs"),
        (|config| config.training.batch = 9, "training.batch"),
        (|config| config.training.learning_rate = 0.2, "training.learning_rate"),
        (|config| config.training.momentum = 0.2, "training.momentum"),
        (|config| config.training.weight_decay = 0.2, "training.weight_decay"),
        (|config| config.training.seed = 2, "training.seed"),
        (
            |config| config.training.schedule = Schedule::Linear { last: 0.0 },
            "training.schedule.kind",
        ),
        (|config| config.arithmetic.truncation = Truncation::OneUnit, "arithmetic.truncation"),
        (|config| config.checkpoint.every = 3, "checkpoint.every"),
        (|config| config.checkpoint.keep = 3, "checkpoint.keep"),
        (|config| config.open.loss = true, "open.loss"),
        (|config| config.open.accuracy = true, "open.accuracy"),
        (
            |config| {
                config.open.model = Some(OpenModel { to: "o".into(), format: ModelFormat::Onnx })
            },
            "open.model.format",
        ),
        (|config| config.stop.check = false, "stop.check"),
        (|config| config.stop.largest_weight = 7.0, "stop.largest_weight"),
    ];
    for (change, field) in changes {
        let mut theirs = ours.clone();
        change(&mut theirs);
        theirs.validate().unwrap();
        let setups = [room.setup(Party::P0, &ours, false), room.setup(Party::P1, &theirs, false)];
        both_are_told(&room, setups, NO_DEALER, &[&format!("`{field}` is ")]).await;
    }
    assert_eq!(room.counter(), 0, "no number of a session was used");
}

/// An owner's word goes with its data: each server holds the configuration against it.
#[tokio::test]
async fn what_an_owner_has_not_allowed_is_not_opened() {
    let rooms = [Room::new(), Room::new()];
    let options =
        Options { labels: vec!["y".into()], kind: LabelKind::Binary, ..Options::default() };
    let mut data = Data::new("train", "o", csv(&table(24, 3, 2, 1), &options), 20, &[0; 16]);
    rooms[1].give(&data).await;
    data.description.openings = Openings::of(&[Opening::Loss], 11).unwrap();
    rooms[0].give(&data).await;

    let (room, allowed) = (&rooms[0], "loss over at least 11 rows");
    let of_open = |open: &str| config(&format!("{TEXT}[open]\n{open}"));
    for (open, says) in [
        ("accuracy = true", "open.accuracy"),
        ("loss = true", "open.least_rows = 10"),
        ("model = { to = \"o\" }", "open.model.to = \"o\""),
    ] {
        let setups = PARTIES.map(|party| room.setup(party, &of_open(open), false));
        both_are_told(room, setups, NO_DEALER, &[allowed, says, "--allow"]).await;
    }
    // A server that has changed what it holds is not believed.
    let closed = config(TEXT);
    let setups =
        [rooms[0].setup(Party::P0, &closed, false), rooms[1].setup(Party::P1, &closed, false)];
    both_are_told(room, setups, NO_DEALER, &["data set `train`: uploads differs"]).await;
    assert_eq!(room.counter(), 0, "no number of a session was used");
    // What was allowed is opened.
    let curves = room.train(&of_open("loss = true\nleast_rows = 11"), false).await;
    for epoch in curves.iter().flat_map(|report| &report.curve.0) {
        assert!(epoch.train_loss.is_some() && epoch.train_accuracy.is_none(), "{epoch:?}");
    }
    // Of a test set's rows none is in the model.
    data.description.openings = Openings::default();
    data.description.dataset = "test".parse().unwrap();
    data.description.id = UploadId::random().unwrap();
    let room = &rooms[1];
    room.give(&data).await;
    let tested = |open: &str| {
        let mut config = of_open(open);
        config.data.test = Some("test".to_owned());
        config
    };
    let setups = PARTIES.map(|party| room.setup(party, &tested("loss = true"), false));
    both_are_told(room, setups, NO_DEALER, &["in `test`: nothing", "open.loss"]).await;
    room.train(&tested("model = { to = \"o\" }"), false).await;
}

#[tokio::test]
async fn parties_data_and_keys_are_held_against_each_other() {
    let (room, config) = (room().await, config(TEXT));
    // Twice the same party: server 1's state at the place of server 0 would be noticed before, so
    // only the number is the same.
    let other = Room::new();
    other.share("train", "o", &table(24, 3, 2, 1), (LabelKind::Binary, 20)).await;
    let ([zero, one], _) = ends([Fault::None; 2]);
    let (zero, one) = tokio::join!(
        alone(room.setup(Party::P0, &config, false), room.correlations(Party::P0, NO_DEALER), zero),
        alone(
            other.setup(Party::P0, &config, false),
            other.correlations(Party::P0, NO_DEALER),
            one
        ),
    );
    for end in [zero, one] {
        let error = end.expect_err("refused").to_string();
        says(&error, "both servers are party 0; give one --party 0 and the other --party 1");
    }
    // The same table, uploaded another time: other shares.
    let setups = [room.setup(Party::P0, &config, false), other.setup(Party::P1, &config, false)];
    both_are_told(&room, setups, NO_DEALER, &["data set `train`: uploads differs"]).await;
    // The dealer is not there: both are told, and no number is lost for good.
    let setups = || PARTIES.map(|party| room.setup(party, &config, false));
    let missing = ["dealer: cannot connect to 127.0.0.1:9"];
    both_are_told(&room, setups(), NO_DEALER, &missing).await;
    let used = room.counter();
    assert!(used > 0, "numbers are recorded before they are sent");
    room.train(&config, false).await;
    assert_eq!(room.counter(), 2 * used);
    // It is not there once more, after it has dealt: the gap is no obstacle.
    both_are_told(&room, setups(), NO_DEALER, &missing).await;
    room.train(&config, false).await;

    // A key of that name, but another one; and a name that the dealer does not know.
    let files = ["server-0.key", "server-0.counter"].map(|name| room.path(name));
    let read = || files.each_ref().map(|file| std::fs::read(file).unwrap());
    let write = |contents: [Vec<u8>; 2]| {
        files.iter().zip(contents).for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
    };
    let old = read();
    room.provision();
    let fresh = read();
    write(old);
    let dealer = room.dealer().await;
    let other_key = ["server 0 and the dealer have different keys of that name"];
    both_are_told(&room, setups(), &dealer.address, &other_key).await;
    // No number of the key that it knows is used.
    write(fresh);
    std::fs::rename(room.path("dealer/keys/server-0.key"), room.path("moved")).unwrap();
    both_are_told(&room, setups(), &dealer.address, &["sharelet provision"]).await;
    std::fs::rename(room.path("moved"), room.path("dealer/keys/server-0.key")).unwrap();
    for end in room.meet(setups(), &dealer.address).await {
        assert!(matches!(end, Some(Ok(_))), "{end:?}");
    }

    // A counter that goes back: its numbers were dealt, nothing is dealt again.
    count_from(&room.path("server-0.counter"), 1);
    let anew = ["an old copy", "provision server 0 anew"];
    both_are_told(&room, setups(), &dealer.address, &anew).await;
    dealer.kill().await;
}

/// The other side speaks bytes.
fn rogue(stall: Duration) -> (Connection, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 23);
    (Connection::over(near, stall), far)
}

async fn against(room: &Room, party: Party, bytes: &[u8], closes: bool) -> RunError {
    let (ours, mut theirs) = rogue(Duration::from_millis(150));
    let setup = room.setup(party, &config(TEXT), false);
    theirs.write_all(bytes).await.unwrap();
    if closes {
        theirs.shutdown().await.unwrap();
    }
    let ended = tokio::time::timeout(SOON, alone(setup, room.correlations(party, NO_DEALER), ours))
        .await
        .expect("no hang");
    ended.expect_err("does not train with a rogue")
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

#[tokio::test]
async fn a_peer_that_is_something_else_is_told_apart() {
    let (room, (magic, _)) = (room().await, Hello::magic());
    for party in PARTIES {
        let newer = u8::try_from(VERSION).unwrap() + 1;
        let newer = framed(&[&magic[..], &[newer][..], b"and whatever"].concat());
        let most = u32::try_from(MAX_MESSAGE_BYTES).unwrap();
        let stranger: Check = |error| matches!(error, PeerError::NotSharelet);
        let closed: Check = |error| matches!(error, PeerError::Closed);
        let cases: [(&[u8], bool, Check); 9] = [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, stranger),
            (b"\x01\x06\0\0\0SLTD\x06\0", false, |error| {
                matches!(error, PeerError::NotSharelet | PeerError::TimedOut)
            }),
            (&framed(b"SLTX\x02"), false, stranger),
            (&framed(&[&magic[..], &VERSION.to_le_bytes()[..1]].concat()), false, stranger),
            (
                &newer,
                false,
                |error| matches!(error, PeerError::Version { theirs } if *theirs == VERSION + 1),
            ),
            (b"", false, |error| matches!(error, PeerError::TimedOut)),
            (b"", true, closed),
            (&(most + 1).to_le_bytes(), false, stranger),
            (&most.to_le_bytes(), true, closed),
        ];
        for (bytes, closes, expected) in cases {
            let error = against(&room, party, bytes, closes).await;
            let RunError::Peer(peer) = &error else { panic!("{bytes:?}: {error}") };
            assert!(expected(peer), "{bytes:?}, {closes}: {error}");
        }
    }
    assert_eq!(room.counter(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_peer_do_no_harm() {
    let (room, config) = (room().await, config(TEXT));
    let setups = PARTIES.map(|party| room.setup(party, &config, false));
    let (_, tapes) = room.run(setups, [Crash::Never; 2]).await;
    let mut rng = Rng(11);
    for (party, tape) in PARTIES.into_iter().zip([&tapes[1], &tapes[0]]) {
        let honest = tape.lock().unwrap().clone();
        let handshake = 4 + u32::from_le_bytes(*honest.first_chunk().unwrap()) as usize + 40;
        for _ in 0..150 {
            let mut bytes = honest.clone();
            let within = if rng.next() & 3 == 0 { bytes.len() } else { handshake };
            for _ in 0..=rng.next() % 4 {
                let at = rng.next() as usize % within.min(bytes.len());
                match rng.next() % 4 {
                    0 => bytes[at] ^= 1 << (rng.next() % 8),
                    1 => bytes[at] = 0xff,
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, rng.next() as u8),
                }
            }
            if bytes == honest {
                continue;
            }
            // Another dealer than server 1's is not there: it gets no further than that.
            let (ours, mut theirs) = rogue(Duration::from_millis(150));
            theirs.write_all(&bytes).await.unwrap();
            theirs.shutdown().await.unwrap();
            let ended =
                alone(room.setup(party, &config, false), room.correlations(party, NO_DEALER), ours);
            // Server 0 cannot tell shares that were changed on the way, but it comes to an end.
            let ended = tokio::time::timeout(SOON, ended).await.expect("no hang");
            if party == Party::P1 {
                ended.expect_err("has no dealer");
            }
            room.checkpoints(party, 2).drop_after(None).unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops_at_once_wherever_it_is() {
    let (room, config) = (room().await, config(TEXT));
    let (ours, _theirs) = rogue(SOON);
    let stop = CancellationToken::new();
    let setup = room.setup(Party::P0, &config, false);
    let mut quiet = |_| ();
    let training =
        run::run(setup, room.correlations(Party::P0, NO_DEALER), ours, &mut quiet, &stop);
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
    };
    let (ended, ()) =
        tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(training, later) })
            .await
            .unwrap();
    let error = ended.expect_err("stopped");
    assert!(matches!(error, RunError::Stopped { step: 0 }), "{error}");
    assert!(error.to_string().contains("before the first step"), "{error}");
}

/// What a server sends vanishes from a byte on, and its connection stays open: the other waits for
/// so long and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_is_given_up() {
    let (room, config) = (room().await, config(&format!("{TEXT}[checkpoint]\nevery = 1\n")));
    let dealer = room.dealer().await;
    for (silent, bytes) in [(1, 100), (0, 900), (1, 3000), (0, 3000)] {
        let mut faults = [Fault::None; 2];
        faults[silent] = Fault::Stall(bytes);
        let ([zero, one], _) = ends_within(faults, Duration::from_millis(700));
        let [correlations_0, correlations_1] =
            PARTIES.map(|party| room.correlations(party, &dealer.address));
        let [setup_0, setup_1] = PARTIES.map(|party| room.setup(party, &config, false));
        let both = async {
            tokio::join!(alone(setup_0, correlations_0, zero), alone(setup_1, correlations_1, one))
        };
        let (zero, one) =
            tokio::time::timeout(Duration::from_secs(20), both).await.expect("no hang");
        for ended in [zero, one] {
            let error = ended.expect_err("cannot end").to_string();
            let told = [
                "does not answer",
                "the other server is gone",
                "closed the connection",
                "broken pipe",
            ];
            assert!(
                told.iter().any(|told| error.contains(told)),
                "{silent} after {bytes} bytes: {error}"
            );
        }
        for party in PARTIES {
            room.checkpoints(party, 2).drop_after(None).unwrap();
        }
    }
    dealer.kill().await;
}

/// Sessions of a run; some number if there is no such run.
fn sessions(text: &str, sizes: Sizes) -> usize {
    let course = Config::parse(text, Path::new("")).ok().and_then(|it| Course::new(it, sizes).ok());
    course.map_or(7, |course| course.sessions(0).count())
}

fn request(config: &str, sizes: Sizes) -> Train {
    Train {
        device: DeviceId::new("server-0").unwrap(),
        first: 0,
        count: u32::try_from(sessions(config, sizes)).unwrap(),
        steps: 0,
        sizes,
        config: config.to_owned(),
    }
}

fn client(dealer: &str) -> Client {
    Client::new(dealer.to_owned(), Route::insecure_plaintext(None), SOON, SOON)
}

const SIZES: Sizes = Sizes {
    rows: 24,
    features: 3,
    targets: 1,
    test_rows: 0,
    standardised: 0,
    mixed: false,
    feature_bits: 21,
    target_bits: 21,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_dealer_deals_no_number_twice_and_nothing_without_bounds() {
    let room = Room::new();
    let dealer = room.dealer().await;
    let refusal = async |request: Train| {
        let asked = client(&dealer.address).sessions(&room.ordered(request, None)).await;
        asked.err().and_then(|error| error.refusal())
    };
    let text = config(TEXT).text().unwrap();
    let sized = |rows, features| Sizes { rows, features, ..SIZES };
    // Whoever asks need not have made the run itself, which takes memory for its rows.
    let too_large = |sizes| Train { sizes, ..request(&text, SIZES) };

    // Too large, or no course: refused at once, and no number is used.
    let epochs = text.replace("epochs = 3", "epochs = 1000000").replace("batch = 8", "batch = 1");
    for (request, expected) in [
        (too_large(sized(1 << 40, 1 << 40)), Refusal::TooLarge),
        (too_large(sized(usize::MAX, 3)), Refusal::TooLarge),
        (too_large(sized(1 << 28, 3)), Refusal::TooLarge),
        (request(&epochs, sized(1 << 20, 3)), Refusal::BadRun),
        (request(&text, sized(24, 0)), Refusal::BadRun),
        (request(&text, sized(0, 3)), Refusal::BadRun),
        (request(&text, Sizes { targets: 2, ..SIZES }), Refusal::BadRun),
        (too_large(Sizes { targets: usize::MAX, ..SIZES }), Refusal::TooLarge),
        (request("[data]", SIZES), Refusal::BadRun),
        (request("", SIZES), Refusal::BadRun),
        (request(&text.replace("kind = \"log", "kind = \"lag"), SIZES), Refusal::BadRun),
        (
            Train { device: DeviceId::new("nobody").unwrap(), ..request(&text, SIZES) },
            Refusal::UnknownDevice,
        ),
        (Train { first: u64::MAX, ..request(&text, SIZES) }, Refusal::SessionUsed { next: 0 }),
        (Train { count: 3, ..request(&text, SIZES) }, Refusal::BadRun),
    ] {
        let found = tokio::time::timeout(Duration::from_secs(20), refusal(request.clone())).await;
        assert_eq!(found.expect("at once"), Some(expected), "{request:?}");
    }
    let long = Train { config: "#".repeat(1 << 17), ..request(&text, SIZES) };
    let long = client(&dealer.address).sessions(&room.ordered(long, None)).await;
    assert!(long.is_err(), "longer than a request may be");

    // Numbers are used when they are promised, whether they are fetched or not.
    let agreed = request(&text, SIZES);
    let next = u64::from(agreed.count);
    assert!(next > 9);
    drop(client(&dealer.address).sessions(&room.ordered(agreed, None)).await.unwrap());
    for first in [0, 1, next - 1] {
        let used = refusal(Train { first, ..request(&text, SIZES) }).await;
        assert_eq!(used, Some(Refusal::SessionUsed { next }));
    }
    // Two who ask for the same at the same time: one of them gets it.
    let both = room.ordered(Train { first: next + 5, ..request(&text, SIZES) }, None);
    let (zero, one) = (client(&dealer.address), client(&dealer.address));
    let (zero, one) = tokio::join!(zero.sessions(&both), one.sessions(&both));
    assert_eq!(usize::from(zero.is_ok()) + usize::from(one.is_ok()), 1);
    // Also after a crash.
    dealer.kill().await;
    let dealer = room.dealer().await;
    let error = client(&dealer.address).sessions(&both).await.expect_err("used");
    assert_eq!(error.refusal(), Some(Refusal::SessionUsed { next: 2 * next + 5 }));
    dealer.kill().await;
}

/// A frame of a dealer's protocol.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &framed(body)].concat()
}

/// Frames of a dealer's port, whole and broken.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_server_do_the_dealer_no_harm() {
    let room = Room::new();
    let dealer = room.dealer().await;
    let asked = room.ordered(request(&config(TEXT).text().unwrap(), SIZES), None);
    let body = postcard::to_allocvec(&asked).unwrap();
    let hello = frame(1, b"SLTD\x06\0");
    let mut rng = Rng(5);
    for round in 0..200 {
        let mut bytes = [hello.clone(), frame(18, &body), frame(12, &[]), frame(12, &[])].concat();
        for _ in 0..=rng.next() % 3 {
            let at = hello.len() + rng.next() as usize % (bytes.len() - hello.len());
            match rng.next() % 3 {
                0 => bytes[at] ^= 1 << (rng.next() % 8),
                1 => bytes[at] = rng.next() as u8,
                _ => bytes.truncate(at.max(hello.len() + 1)),
            }
        }
        let mut stream = tokio::net::TcpStream::connect(&dealer.address).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "round {round}: the dealer hangs");
    }
    let client = client(&dealer.address);
    let status = client.status(DeviceId::new("server-0").unwrap()).await.expect("it still serves");
    let next =
        Train { first: status.next_session, ..request(&config(TEXT).text().unwrap(), SIZES) };
    client.sessions(&room.ordered(next, None)).await.expect("it still deals");
    dealer.kill().await;
}

/// A dealer that says whatever it likes.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_dealer_do_a_server_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let room = room().await;
    let course = room.course(&config(TEXT));
    let plans = sharelet_train::plans::Plans::new(&course).unwrap();
    let session = course.sessions(0).next().unwrap();
    let plan = plans.of(course.kind(session));
    let whole = {
        let body = [&0_u64.to_le_bytes()[..], &vec![7; plan.dealt_bytes() as usize]].concat();
        let sum = crc32fast::hash(&body).to_le_bytes();
        [frame(2, b"SLTD\x06\0"), frame(11, &[]), frame(19, &[&body[..], &sum].concat())].concat()
    };
    let mut rng = Rng(6);
    for round in 0..120 {
        let mut bytes = whole.clone();
        if round > 0 {
            let at = rng.next() as usize % bytes.len();
            match rng.next() % 3 {
                0 => bytes[at] ^= 1 << (rng.next() % 8),
                1 => bytes.truncate(at),
                _ => bytes.insert(at, rng.next() as u8),
            }
        }
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut asked = Vec::new();
            let _ = stream.read_to_end(&mut asked).await;
        };
        let ask = async {
            let client = client(&address);
            let mut sessions = client.sessions(&room.ordered(request("", SIZES), None)).await?;
            sessions.next(&plan).await
        };
        let ((), got) =
            tokio::time::timeout(SOON, async { tokio::join!(serve, ask) }).await.expect("no hang");
        assert!(round > 0 || got.is_ok(), "{:?}", got.err());
    }
}

const LINES: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \
                     \"linear-regression\"\n[training]\nepochs = 8\nbatch = 8\nlearning_rate = \
                     8\n[checkpoint]\nevery = 1\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_diverges_stops_and_keeps_the_last_good_checkpoint() {
    let room = Room::new();
    room.share("train", "o", &table(32, 3, 0, 1), (LabelKind::Numbers, 20)).await;
    let config = config(LINES);
    let ends = room.both(&config, false, [Crash::Never; 2]).await;
    let steps = PARTIES.map(|party| room.steps(party));
    assert_eq!(steps[0], steps[1]);
    let good = *steps[0].last().expect("a good one");
    for end in &ends {
        let Some(Err(RunError::Diverged { step, good: last, .. })) = end else { panic!("{end:?}") };
        assert_eq!((*last, *step as u64), (good, good + 1));
    }
    let last =
        format!("the last good checkpoint is that of step {good}, from which --resume goes on");
    let parts = ["a weight has reached 1024", "smaller `training.learning_rate`", &last];
    both_say(&ends, &parts);
    let mut slower = config.clone();
    slower.training.learning_rate = 0.25;
    let reports = room.train(&slower, true).await;
    assert_eq!(reports[0].steps as u64, 32 - good);

    // Beyond any bound between two checks: what wraps around is still seen. Nothing good is there.
    for learning_rate in [60.0, 900.0] {
        let mut config = config.clone();
        (config.training.learning_rate, config.checkpoint.every) = (learning_rate, 50);
        let ends = room.both(&config, false, [Crash::Never; 2]).await;
        both_say(&ends, &["start again with --fresh"]);
        for end in ends {
            assert_matches!(end, Some(Err(RunError::Diverged { good: 0, .. })), "{learning_rate}");
        }
    }
}

#[tokio::test]
async fn data_of_the_wrong_kind_is_refused_before_anything_is_sent() {
    let room = Room::new();
    for (dataset, classes, kind, bits) in [
        ("numbers", 0, LabelKind::Numbers, 20),
        ("binary", 2, LabelKind::Binary, 20),
        ("classes", 10, LabelKind::Classes(10), 20),
        ("two", 2, LabelKind::Classes(2), 20),
        ("coarse", 2, LabelKind::Binary, 16),
    ] {
        room.share(dataset, "o", &table(20, 3, classes, 1), (kind, bits)).await;
    }
    let network = |outputs: usize, loss: &str| {
        format!(
            "kind = \"network\"\nloss = \"{loss}\"\ninput = 3\n[[model.layer]]\nkind = \
             \"dense\"\noutputs = {outputs}\n"
        )
    };
    let kind = |kind: &str| format!("kind = \"{kind}\"\n");
    let cases = [
        ("classes", kind("logistic-regression"), "a label has 10 values, and the model gives one"),
        ("classes", kind("svm"), "a label has 10 values, and the model gives one"),
        (
            "numbers",
            kind("logistic-regression"),
            "it has numbers as labels, and the Logistic loss takes labels 0 and 1",
        ),
        ("numbers", kind("svm"), "share it with --binary"),
        (
            "numbers",
            network(1, "cross-entropy"),
            "the CrossEntropy loss takes classes; share it with --classes",
        ),
        ("binary", network(1, "cross-entropy"), "the CrossEntropy loss takes classes"),
        (
            "two",
            network(10, "cross-entropy"),
            "a label has 2 values, and the last layer gives 10; share it with --classes 10",
        ),
        (
            "coarse",
            kind("logistic-regression"),
            "it was shared with 16 fraction bits, and `arithmetic.frac_bits` is 20; share it with \
             --frac-bits 20",
        ),
    ];
    for (dataset, model, expected) in cases {
        let config = config(&format!(
            "[data]\ntrain = \"{dataset}\"\n[model]\n{model}[training]\nepochs = 1\nbatch = \
             4\nlearning_rate = 0.1\n"
        ));
        for party in PARTIES {
            let (ours, mut theirs) = rogue(SOON);
            let setup = room.setup(party, &config, false);
            let error =
                alone(setup, room.correlations(party, NO_DEALER), ours).await.expect_err("refused");
            assert!(matches!(error, RunError::Course(CourseError::Data { .. })), "{error:?}");
            begins(&error, &format!("data set `{dataset}`: "));
            says(&error, expected);
            let mut sent = Vec::new();
            theirs.read_to_end(&mut sent).await.unwrap();
            assert_eq!(sent, [0; 0]);
        }
    }
    // One number is learned from classes and from 0 and 1 as from any numbers.
    for dataset in ["numbers", "binary"] {
        let text = LINES
            .replace("\"train\"", &format!("\"{dataset}\""))
            .replace("learning_rate = 8", "learning_rate = 0.1");
        room.train(&config(&text), false).await;
        std::fs::remove_dir_all(room.path("s0/training-run")).unwrap();
        std::fs::remove_dir_all(room.path("s1/training-run")).unwrap();
    }
}

#[test]
fn what_there_is_no_table_or_no_room_for_is_refused_by_the_configuration() {
    let error =
        |text: &str| Config::parse(text, Path::new("c.toml")).expect_err("refused").to_string();
    for bits in [17, 18, 24] {
        let text = TEXT.replace("truncation", &format!("frac_bits = {bits}\ntruncation"));
        let said = error(&text);
        says(&said, "line 10, `arithmetic.frac_bits`");
        says(&said, "16 or 20");
        let network = text.replace("\"logistic-regression\"", "\"network\"\nname = \"a\"");
        says(&error(&network), "16 or 20: the CrossEntropy loss");
        let stop = "[stop]\nlargest_weight = 100\n";
        config(&format!("{}{stop}", text.replace("logistic-regression", "svm")));
        config(&format!("{}{stop}", text.replace("logistic-regression", "linear-regression")));
    }
    let said = error(&format!("{TEXT}[checkpoint]\nkeep = 1\n"));
    says(&said, "`checkpoint.keep`: 1 is not allowed; allowed is 2 to 1000");
}

#[test]
fn a_state_that_is_in_use_or_the_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |party| Checkpoints::open(folder.path(), "a", party, 2);
    let held = open(Party::P0).unwrap();
    says(&open(Party::P0).expect_err("locked"), "in use by another process");
    drop(held);
    let begun = TrainingError::Begun { path: folder.path().to_owned() };
    says(&begun, "--resume");
    says(&begun, "--fresh");
}
