//! What bad input gets: a named error on both sides, no panic, no hang, and the next inference
//! works.

use std::fs;
use std::sync::Arc;

use embedded_io_async::ErrorKind;
use rand_core::Rng as _;
use sharelet_core::binding::Order;
use sharelet_core::keystream::KeyId;
use sharelet_core::session::network::{Activation, Layer, Network, NetworkError};
use sharelet_core::session::wire::control::{Answer, DeviceId, Grant, Hello, Refusal, Request};
use sharelet_core::session::wire::frame::Kind;
use sharelet_core::session::wire::{VERSION, WireError};
use sharelet_core::session::{ORDER_SESSIONS, SessionError};
use sharelet_host::dealer::DealerError;
use sharelet_host::dealer::client::{Client, ClientError};
use sharelet_host::dealer::masked;
use sharelet_host::dealer::wire::{self as dealer_wire, Deal, Dealing, Offer, Window};
use sharelet_host::device::DeviceError;
use sharelet_host::host::HostError;
use sharelet_link::Connection;
use sharelet_link::Route;
use sharelet_link::fault::{Fault, FaultyWriter, ShortReader};
use sharelet_link::service::Service;
use sharelet_testkit::assert_matches;
use sharelet_testkit::party::policy;
use sharelet_testkit::room::{
    Log, Room, Rows, Running, SOON, STALL, Scenario, damage, random_model, random_readings, rogue,
    run,
};
use sharelet_testkit::{printed_seed, rng};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

/// Whether an error of the dealer's protocol is the one that is due.
type Check = fn(&dealer_wire::WireError) -> bool;

/// One connection to a service, whose peer is a script. Returns what the service makes of it.
async fn meets<S: Service, T>(
    service: &Running<S>,
    script: impl AsyncFnOnce(&mut DuplexStream) -> T,
) -> (Result<(), S::Error>, T) {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let served = service.converse(Connection::over(near, STALL));
    let served = async { tokio::time::timeout(SOON, served).await.expect("ends in time") };
    tokio::join!(served, async { script(&mut far).await })
}

/// The next inference works.
async fn still_works(mut scenario: Scenario) {
    scenario.infers().await;
    assert_eq!(scenario.device.events.failures, [""; 0]);
    scenario.stop().await;
}

fn hello() -> Hello {
    Hello {
        device: DeviceId::new("pump").unwrap(),
        key: [0; 8],
        answer: Answer::Device,
        rounds: 12,
    }
}

fn session_error(result: Result<(), HostError>) -> SessionError {
    match result {
        Err(HostError::Session(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A device that shakes hands and asks for a session.
async fn ask(stream: &mut DuplexStream, key: KeyId, request: Request) {
    rogue::hello(stream, "pump", key).await;
    rogue::read_frame(stream).await.expect("a welcome");
    rogue::write(stream, &rogue::control(Kind::Request, &request)).await;
}

/// The same; returns the number granted.
async fn begin(stream: &mut DuplexStream, key: KeyId, request: Request) -> u64 {
    ask(stream, key, request).await;
    let (kind, body) = rogue::read_frame(stream).await.expect("a grant");
    assert_eq!(kind, Kind::Grant);
    sharelet_core::session::wire::control::parse::<Grant>(&body).expect("a grant").session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_refuses_strangers_by_name() {
    let scenario = Scenario::start(2).await;
    let greeting = |change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        rogue::handshake(Kind::Hello, &hello)
    };
    let unknown = |hello: &mut Hello| hello.device = DeviceId::new("unknown").unwrap();
    let ours = Answer::Device;
    let cases = [
        ("version", version_9(greeting(|_| ())), Refusal::Version { ours: VERSION }),
        ("device", greeting(unknown), Refusal::UnknownDevice),
        ("answer", greeting(|it| it.answer = Answer::Both), Refusal::AnswerMismatch { ours }),
        ("rounds", greeting(|it| it.rounds = 8), Refusal::RoundsMismatch { ours: 12 }),
        ("magic", rogue::frame(Kind::Hello, 0, b"GET / HTTP"), Refusal::Protocol),
    ];
    for (name, bytes, refusal) in cases {
        let (ended, told) = meets(&scenario.host, async |stream| {
            rogue::write(stream, &bytes).await;
            rogue::read_refusal(stream).await
        })
        .await;
        assert_eq!(told, refusal, "{name}");
        match (name, ended) {
            (
                "version",
                Err(HostError::Session(SessionError::Wire(WireError::Version { theirs: 9 }))),
            ) => {}
            ("magic", Err(HostError::Session(SessionError::Wire(WireError::NotSharelet)))) => {}
            (_, Err(HostError::Refused(ended))) => assert_eq!(ended, refusal, "{name}"),
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
    still_works(scenario).await;
}

/// A handshake message of another version.
fn version_9(mut frame: Vec<u8>) -> Vec<u8> {
    frame[6 + 4] = 9;
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_names_messages_that_are_short_long_reordered_or_missing() {
    let scenario = Scenario::start(2).await;
    let key = scenario.room.key_id("pump");
    let first = |bytes| rogue::frame(Kind::Prepared, 0, &vec![0; bytes]);
    let length = |found_bytes| WireError::WrongLength { expected_bytes: 20 * 4, found_bytes };
    let unexpected = |found| WireError::UnexpectedFrame { expected: Kind::Prepared, found };
    let cases = [
        ("short", first(79), length(79)),
        ("long", first(81), length(81)),
        ("huge", vec![7, 0, 255, 255, 255, 255], unexpected(Kind::Input)),
        (
            "wrong layer",
            rogue::frame(Kind::Prepared, 1, &[0; 80]),
            WireError::WrongLayer { expected: 0, found: 1 },
        ),
        ("reordered", rogue::frame(Kind::Input, 0, &[0; 20]), unexpected(Kind::Input)),
        ("unknown", vec![99; 6], WireError::UnknownFrame { kind: 99 }),
        ("again", rogue::handshake(Kind::Hello, &hello()), unexpected(Kind::Hello)),
    ];
    let mut next = 0;
    for (name, bytes, expected) in cases {
        let (ended, told) = meets(&scenario.host, async |stream| {
            next = begin(stream, key, scenario.request(next)).await + 1;
            rogue::write(stream, &bytes).await;
            rogue::read_refusal(stream).await
        })
        .await;
        assert_eq!(session_error(ended), SessionError::Wire(expected), "{name}");
        assert_eq!(told, Refusal::Protocol, "{name}");
    }
    still_works(scenario).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_stops_in_the_middle_is_given_up() {
    let scenario = Scenario::start(2).await;
    let key = scenario.room.key_id("pump");
    let prepared = &rogue::frame(Kind::Prepared, 0, &[0; 80])[..50];
    for (begins, bytes) in [(false, &[][..]), (false, &[1, 0]), (true, prepared)] {
        let (ended, ()) = meets(&scenario.host, async |stream| {
            if begins {
                begin(stream, key, scenario.request(0)).await;
            }
            rogue::write(stream, bytes).await;
            tokio::time::sleep(4 * STALL).await;
        })
        .await;
        // Two limits are as long as each other: silence, and the whole of a greeting.
        match ended {
            Err(HostError::Refused(Refusal::TooSlow)) if !begins => {}
            ended => assert_eq!(
                session_error(ended),
                SessionError::Transport(ErrorKind::TimedOut),
                "{bytes:?}"
            ),
        }
    }
    // One that closes instead.
    let (ended, ()) = meets(&scenario.host, async |stream| {
        begin(stream, key, scenario.request(0)).await;
        rogue::write(stream, prepared).await;
        stream.shutdown().await.expect("closes");
    })
    .await;
    assert_eq!(session_error(ended), SessionError::Closed);
    still_works(scenario).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_numbers_go_up_as_far_as_the_device_has_ordered() {
    let scenario = Scenario::start(2).await;
    let key = scenario.room.key_id("pump");
    let began = async |next| {
        let request = scenario.request(next);
        meets(&scenario.host, async |stream| begin(stream, key, request).await).await.1
    };
    let refused = async |request| {
        let (ended, told) = meets(&scenario.host, async |stream| {
            ask(stream, key, request).await;
            rogue::read_refusal(stream).await
        })
        .await;
        assert!(matches!(ended, Err(HostError::Refused(refusal)) if refusal == told), "{ended:?}");
        told
    };
    let first = began(0).await;
    assert!(began(0).await > first, "a number that was granted is not granted again");
    // An order for other numbers, another host, or of another device.
    let order = scenario.request(50).order;
    assert_eq!(refused(Request { next_session: 51, order }).await, Refusal::NoOrder);
    let host = scenario.host.service();
    let model = &host.source().models.general().expect("one for everybody");
    let other = DeviceId::new("other");
    assert_eq!(refused(scenario.room.request("pump", model, other, 50)).await, Refusal::NoOrder);
    assert_eq!(began(50).await, 50, "what was refused used nothing");
    // Numbers are left out, as many as the device likes.
    assert_eq!(began(1 << 50).await, 1 << 50);
    assert_eq!(refused(scenario.request(u64::MAX)).await, Refusal::SessionNumber);
    // A counter that has gone back further than an order goes.
    let back = (1 << 50) - u64::from(ORDER_SESSIONS);
    assert_eq!(refused(scenario.request(back - 1)).await, Refusal::SessionNumber);
    drop(host);
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_end_in_a_named_error() {
    let mut scenario = Scenario::start(2).await;
    let key = scenario.room.key_id("pump");
    let mut next = 0;
    for round in 0..60 {
        let mut noise = vec![0; scenario.rng.next_u32() as usize % 300];
        scenario.rng.fill_bytes(&mut noise);
        let (ended, ()) = meets(&scenario.host, async |stream| {
            if round % 3 == 1 {
                rogue::hello(stream, "pump", key).await;
            } else if round % 3 == 2 {
                next = begin(stream, key, scenario.request(next)).await + 1;
            }
            rogue::write(stream, &noise).await;
            stream.shutdown().await.expect("closes");
        })
        .await;
        // Only a connection that is closed between two messages ends well.
        assert!(ended.is_err() || (round % 3 == 1 && noise.is_empty()), "round {round}");
        let (ended, ()) = meets(&scenario.dealer, async |stream| {
            if round % 2 == 1 {
                rogue::write(stream, b"\x01\x06\0\0\0SLTD\x06\0").await;
            }
            rogue::write(stream, &noise).await;
            stream.shutdown().await.expect("closes");
        })
        .await;
        assert!(ended.is_err() || (round % 2 == 1 && noise.is_empty()), "round {round}");
    }
    still_works(scenario).await;
}

/// A whole device behind a link that loses, repeats or cuts bytes: an answer is right, or there is
/// none.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_loses_bytes_gives_no_wrong_answer() {
    use sharelet_core::session::p0::{self, Policy};
    let mut scenario = Scenario::start(2).await;
    let expected = scenario.expected[0].clone();
    let reading = scenario.readings.rows().next().expect("a row");
    let input = scenario.room.model.encode(reading).expect("in range");
    let mut failures = 0;
    for _ in 0..24 {
        let seed = scenario.rng.next_u64();
        let fault = Fault::random(seed, 600);
        // Bytes that are changed, or too many, are not always noticed before links are
        // authenticated.
        let noticed = !matches!(fault, Fault::Flip(_) | Fault::Duplicate(_));
        let stream =
            tokio::net::TcpStream::connect(&scenario.host.address).await.expect("connects");
        let (reader, writer) = stream.into_split();
        let (reader, writer) =
            (ShortReader::new(reader, seed), FaultyWriter::new(writer, fault, seed));
        let io = Connection::new(reader, writer, 2 * STALL);
        let attempt = async {
            let policy = Policy { max_outputs: 8, ..policy(Answer::Device) };
            let mut network = Network::<8>::default();
            let connected =
                p0::connect(io, &scenario.device.identity, policy, &mut network).await?;
            let mut answer = [0; 8];
            let prepared = connected.prepare(&mut scenario.device.counter, &mut answer).await?;
            Ok::<_, SessionError>(prepared.infer(&input).await?.1.to_vec())
        };
        match tokio::time::timeout(SOON, attempt).await.expect("ends in time") {
            Ok(answer) => assert!(answer == expected || !noticed, "{fault:?}, seed {seed}"),
            Err(_) => failures += 1,
        }
    }
    assert!(failures > 0, "some faults lie within the session");
    still_works(scenario).await;
}

async fn greet(stream: &mut DuplexStream) {
    rogue::write(stream, b"\x01\x06\0\0\0SLTD\x06\0").await;
    assert_eq!(read_dealer(stream).await.0, dealer_wire::Kind::Welcome as u8);
}

async fn read_dealer(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    use tokio::io::AsyncReadExt as _;
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.expect("a header");
    let mut body = vec![0; u32::from_le_bytes(header[1..].try_into().unwrap()) as usize];
    stream.read_exact(&mut body).await.expect("a body");
    (header[0], body)
}

fn dealer_frame<T: serde::Serialize>(kind: dealer_wire::Kind, message: &T) -> Vec<u8> {
    let body = postcard::to_allocvec(message).unwrap();
    [&[kind as u8][..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_refuses_by_name() {
    use dealer_wire::Refusal;
    let scenario = Scenario::start(2).await;
    let client = || {
        Client::new(
            scenario.dealer.address.clone(),
            Route::insecure_plaintext(None),
            STALL,
            10 * STALL,
        )
    };
    let host = scenario.host.service();
    let model = &host.source().models.general().expect("one for everybody");
    model.offer_to(&client(), &mut |_| ()).await.expect("offers");
    let pump = DeviceId::new("pump").unwrap();
    let window = |first| {
        let Request { order, .. } = scenario.room.request("pump", model, None, first);
        Window { first, count: ORDER_SESSIONS, order }
    };
    let good =
        Deal { device: pump, model: model.masked_id, first: 0, count: 2, ordered: window(0) };
    let deal = async |request: Deal| {
        let client = client();
        let mut dealt = client.deal(request, model.correction_bytes).await?;
        let mut sessions = Vec::new();
        while let Some((session, _)) = dealt.next().await? {
            sessions.push(session);
        }
        Ok::<_, ClientError>(sessions)
    };
    assert_eq!(deal(good).await.expect("deals"), [0, 1]);
    let limit = dealer_wire::MAX_COUNT;
    let narrow = Window { count: 3, ..window(0) };
    let refused: [(Deal, Refusal); 11] = [
        (good, Refusal::SessionUsed { next: 2 }),
        (Deal { first: 1, ..good }, Refusal::SessionUsed { next: 2 }),
        (Deal { first: 1023, ..good }, Refusal::NoOrder),
        (Deal { first: 5000, ..good }, Refusal::NoOrder),
        (Deal { first: 5000, ordered: window(5001), ..good }, Refusal::NoOrder),
        (Deal { first: 2, count: 1, ordered: narrow, ..good }, Refusal::NoOrder),
        (
            Deal { first: u64::MAX, count: 1, ordered: window(u64::MAX), ..good },
            Refusal::SessionUsed { next: 2 },
        ),
        (Deal { device: DeviceId::new("unknown").unwrap(), ..good }, Refusal::UnknownDevice),
        (Deal { model: [7; 32], first: 2, ..good }, Refusal::UnknownModel),
        (Deal { count: 0, first: 2, ..good }, Refusal::Count { limit }),
        (Deal { count: limit + 1, first: 2, ..good }, Refusal::Count { limit }),
    ];
    for (request, refusal) in refused {
        let error = deal(request).await.expect_err("refused");
        assert_eq!(error.refusal(), Some(refusal), "{request:?}");
    }
    let dealt = deal(Deal { first: 2, ..good }).await.expect("deals");
    assert_eq!(dealt, [2, 3], "a refusal uses no number");
    let ahead = Deal { first: 900, ..good };
    assert_eq!(deal(ahead).await.expect("deals"), [900, 901], "numbers are left out");

    // What is wrong with a model.
    let network = &scenario.room.model.network;
    let keystream = sharelet_core::keystream::Keystream::new(&model.seed);
    let matrices = masked::mask(&scenario.room.model, &keystream, &mut |_| ());
    let error =
        client().offer([1; 32], network, &matrices, &mut |_| ()).await.expect_err("refused");
    assert_eq!(error.refusal(), Some(Refusal::Digest));
    let layer = Layer::dense(65535, 65535, 1, 0, Activation::Identity);
    let large: Network<{ sharelet_model::MAX_LAYERS }> = Network::new(1, 1, &[layer]).unwrap();
    let error = client().offer([1; 32], &large, &[], &mut |_| ()).await.expect_err("refused");
    assert_eq!(error.refusal(), Some(Refusal::TooLarge));
    still_works(scenario).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_names_bytes_that_are_wrong() {
    use dealer_wire::{Kind, Refusal, WireError};
    let scenario = Scenario::start(2).await;
    let wire = |result: Result<(), DealerError>| match result {
        Err(DealerError::Wire(error)) => error,
        other => panic!("{other:?}"),
    };
    let (ended, (_, told)) = meets(&scenario.dealer, async |stream| {
        rogue::write(stream, b"\x01\x06\0\0\0SLTD\x09\0").await;
        read_dealer(stream).await
    })
    .await;
    assert_matches!(wire(ended), WireError::Version { theirs: 9 });
    let ours = dealer_wire::VERSION;
    assert_eq!(postcard::from_bytes::<Refusal>(&told).unwrap(), Refusal::Version { ours });

    let (ended, ()) = meets(&scenario.dealer, async |stream| {
        rogue::write(stream, b"GET / HTTP/1.1\r\n\r\n").await
    })
    .await;
    assert_matches!(wire(ended), WireError::NotSharelet);

    let cases: [(&[u8], Check); 3] = [
        (&[Kind::Deal as u8, 255, 255, 255, 255], |error| {
            matches!(error, WireError::WrongLength { kind: Kind::Deal, .. })
        }),
        (&[Kind::Deal as u8, 3, 0, 0, 0, 1, 2, 3], |error| {
            matches!(error, WireError::Malformed { kind: Kind::Deal })
        }),
        (&[Kind::Masked as u8, 3, 0, 0, 0, 1, 2, 3], |error| {
            matches!(error, WireError::UnexpectedFrame { found: Kind::Masked, .. })
        }),
    ];
    for (bytes, expected) in cases {
        let (ended, ()) = meets(&scenario.dealer, async |stream| {
            greet(stream).await;
            rogue::write(stream, bytes).await;
        })
        .await;
        let error = wire(ended);
        assert!(expected(&error), "{bytes:?}: {error:?}");
    }

    // A host that announces a model and stops in the middle of it.
    let offer = Offer { id: [3; 32], network: scenario.room.model.network.clone() };
    let (ended, ()) = meets(&scenario.dealer, async |stream| {
        greet(stream).await;
        rogue::write(stream, &dealer_frame(Kind::Offer, &offer)).await;
        assert_eq!(read_dealer(stream).await.0, Kind::Wanted as u8);
        let bytes = (5 * 20 + 20 * 3 + 3 * 3) * 4_u32;
        rogue::write(stream, &[&[Kind::Masked as u8][..], &bytes.to_le_bytes()].concat()).await;
        rogue::write(stream, &[0; 100]).await;
        tokio::time::sleep(4 * STALL).await;
    })
    .await;
    assert!(matches!(wire(ended), WireError::TimedOut));
    still_works(scenario).await;
}

/// A dealer that damages what it sends: the host names it and does not use it.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_checks_what_a_dealer_sends() {
    use dealer_wire::{Kind, WireError};
    let correction = |session: u64, bytes: &[u8], flip: u8| {
        let mut body = [&session.to_le_bytes(), bytes].concat();
        let checksum = crc32fast::hash(&body).to_le_bytes();
        body.extend(checksum);
        body[9] ^= flip;
        [&[Kind::Correction as u8][..], &(body.len() as u32).to_le_bytes(), &body].concat()
    };
    let cases: [(&str, Vec<u8>, Check); 5] = [
        ("flipped", correction(7, &[1; 16], 1), |error| {
            matches!(error, WireError::Checksum { session: 7 })
        }),
        ("other", correction(8, &[1; 16], 0), |error| {
            matches!(error, WireError::WrongSession { expected: 7, found: 8 })
        }),
        ("long", correction(7, &[1; 17], 0), |error| {
            matches!(error, WireError::WrongLength { .. })
        }),
        ("cut", correction(7, &[1; 16], 0)[..20].to_vec(), |error| {
            matches!(error, WireError::Closed)
        }),
        ("unknown", vec![200; 9], |error| matches!(error, WireError::UnknownFrame { kind: 200 })),
    ];
    let dealing = dealer_frame(Kind::Dealing, &Dealing { key: [0; 8], bytes_each: 16 });
    let pump = DeviceId::new("pump").unwrap();
    for (name, bytes, expected) in cases {
        let script = [b"\x02\x06\0\0\0SLTD\x06\0", &dealing[..], &bytes].concat();
        let (client, dealer) = rogue_dealer(script, true).await;
        let ordered = Window { first: 7, count: 1, order: Order::from_bytes([0; 16]) };
        let request = Deal { device: pump, model: [0; 32], first: 7, count: 1, ordered };
        let error = match client.deal(request, 16).await {
            Ok(mut dealt) => dealt.next().await.expect_err("damaged"),
            Err(error) => error,
        };
        assert!(matches!(&error, ClientError::Wire(error) if expected(error)), "{name}: {error:?}");
        drop(client);
        dealer.await.unwrap();
    }
    // And one that is no dealer, or another version's.
    let strangers: [(&[u8], Check); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n", |error| matches!(error, WireError::NotSharelet)),
        (b"\x02\x06\0\0\0SLTD\x09\0", |error| matches!(error, WireError::Version { theirs: 9 })),
    ];
    for (greeting, expected) in strangers {
        let (client, dealer) = rogue_dealer(greeting.to_vec(), false).await;
        let error = client.status(pump).await.expect_err("refused");
        assert!(matches!(&error, ClientError::Wire(error) if expected(error)), "{error:?}");
        drop(client);
        dealer.await.unwrap();
    }
}

/// A client of a dealer that says `script`, and perhaps closes its side.
async fn rogue_dealer(script: Vec<u8>, closes: bool) -> (Client, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dealer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        rogue::write(&mut stream, &script).await;
        if closes {
            stream.shutdown().await.unwrap();
        }
        // What the host says is read, lest the connection be reset.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    (Client::new(address, Route::insecure_plaintext(None), STALL, STALL), dealer)
}

/// A host that says `script` to a device; returns why the device gives up.
async fn device_meets(script: Vec<Vec<u8>>) -> (DeviceError, u64) {
    let mut rng = rng(printed_seed());
    let room = Arc::new(Room::new(random_model(&[5, 20, 3, 3], &mut rng)));
    room.provision("pump");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let readings = random_readings(&room.model, 1, &mut rng);
    let mut device = room.device("pump", &listener.local_addr().unwrap().to_string(), &readings);
    (device.settings.retries, device.settings.stall) = (0, STALL);
    room.count_from("pump", 10);
    let host = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for message in script {
            rogue::read_frame(&mut stream).await.expect("the device speaks first");
            rogue::write(&mut stream, &message).await;
        }
        let _ =
            tokio::time::timeout(4 * STALL, tokio::io::copy(&mut stream, &mut tokio::io::sink()))
                .await;
    });
    let error = run(&mut device).await.expect_err("gives up");
    host.await.unwrap();
    (error, room.counter("pump"))
}

fn deep<const L: usize>(layers: usize) -> Network<L> {
    let layer = Layer::dense(5, 5, 8, 8, Activation::Relu);
    Network::new(8, 1 << 16, &vec![layer; layers]).expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_names_what_a_host_does_wrong() {
    let network: Network<4> = deep(2);
    fn welcome<const L: usize>(network: &Network<L>) -> Vec<u8> {
        rogue::welcome(network, &[7; 32])
    }
    let grant = |session| rogue::control(Kind::Grant, &Grant { session });
    let wide = Layer::dense(6, 5, 8, 8, Activation::Relu);
    let wide = welcome(&Network::<1>::new(8, 1, &[wide]).unwrap());
    let refusal = rogue::control(Kind::Refuse, &Refusal::UnknownDevice);
    let mut cases = vec![
        (
            vec![version_9(welcome(&network))],
            SessionError::Wire(WireError::Version { theirs: 9 }),
            10,
        ),
        (
            vec![welcome(&deep::<255>(252))],
            SessionError::Network(NetworkError::TooManyLayers {
                limit: sharelet_model::MAX_LAYERS,
            }),
            10,
        ),
        (vec![wide], SessionError::InputWidth { network: 6, found: 5 }, 10),
        (vec![refusal], SessionError::Refused(Refusal::UnknownDevice), 10),
        // A host that stops after the grant: the number is used.
        (vec![welcome(&network), grant(12)], SessionError::Transport(ErrorKind::TimedOut), 13),
    ];
    for granted in [9, 0, 10 + u64::from(ORDER_SESSIONS) + 1, u64::MAX] {
        let error = SessionError::SessionNumber { next: 10, granted };
        cases.push((vec![welcome(&network), grant(granted)], error, 10));
    }
    for (script, expected, expected_next) in cases {
        let (error, next) = device_meets(script).await;
        let DeviceError::Session(error) = error else { panic!("{error:?}") };
        assert_eq!((&error, next), (&expected, expected_next));
    }
    let (error, next) = device_meets(vec![b"SSH-2.0-x".to_vec()]).await;
    let wire = matches!(error, DeviceError::Session(SessionError::Wire(_)));
    assert!(wire && next == 10, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_another_shape_cost_no_session() {
    let mut scenario = Scenario::start(2).await;
    let narrow = sharelet_model::readings::Readings::new(4, vec![0.0; 4]).expect("finite");
    scenario.device.sensor = Rows(narrow);
    let error = run(&mut scenario.device).await.expect_err("refused");
    assert_matches!(error, DeviceError::Session(SessionError::InputWidth { network: 5, found: 4 }));
    scenario.device.sensor = Rows(scenario.readings.clone());
    scenario.device.settings.count = Some(3);
    let error = run(&mut scenario.device).await.expect_err("refused");
    assert!(matches!(error, DeviceError::TooFewReadings { expected: 3, found: 2 }), "{error:?}");
    assert_eq!(scenario.device.events.sessions, [0; 0]);
    (scenario.device.settings.count, scenario.device.events) = (None, Log::default());
    still_works(scenario).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_model_that_was_damaged_on_disk_is_sent_again() {
    let mut scenario = Scenario::start(1).await;
    scenario.infers().await;
    scenario.dealer.kill().await;
    let models: Vec<_> = fs::read_dir(scenario.room.path("dealer").join("models"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(models.len(), 1);
    damage(&models[0], 50);
    scenario.dealer = scenario.room.dealer().await;
    scenario.host.stop().await;
    scenario.host = scenario.room.host(&scenario.dealer.address).await;
    scenario.device.settings.host.clone_from(&scenario.host.address);
    still_works(scenario).await;
}

/// A dealer that never gives corrections: whoever connects meanwhile is still asked about.
#[tokio::test(flavor = "multi_thread")]
async fn corrections_that_do_not_come_hold_up_no_question() {
    use dealer_wire::Kind;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dealer = tokio::spawn(async move {
        let mut conversations = tokio::task::JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            conversations.spawn(async move {
                rogue::write(&mut stream, b"\x02\x06\0\0\0SLTD\x06\0").await;
                // The host's greeting is as long.
                stream.read_exact(&mut [0; 11]).await.unwrap();
                while let Ok(kind) = stream.read_u8().await {
                    let length = stream.read_u32_le().await.unwrap();
                    stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
                    if kind == Kind::Status as u8 {
                        let status = dealer_wire::StatusIs { key: [0; 8], next_session: 3 };
                        rogue::write(&mut stream, &dealer_frame(Kind::StatusIs, &status)).await;
                    }
                }
            });
        }
    });
    let client = Client::new(address, Route::insecure_plaintext(None), STALL, 100 * STALL);
    let pump = DeviceId::new("pump").unwrap();
    let ordered = Window { first: 7, count: 1, order: Order::from_bytes([0; 16]) };
    let request = Deal { device: pump, model: [0; 32], first: 7, count: 1, ordered };
    // More than there are connections.
    let deals = futures_of(9, || client.deal(request, 16));
    let asked = tokio::time::timeout(20 * STALL, async {
        tokio::time::sleep(STALL / 4).await;
        client.status(pump).await
    });
    tokio::select! {
        _ = deals => panic!("corrections came"),
        status = asked => {
            assert_eq!(status.expect("in time").expect("an answer").next_session, 3);
        }
    }
    dealer.abort();
}

/// Waits for so many at once.
async fn futures_of<F: Future>(count: usize, begin: impl Fn() -> F) {
    let mut waiting: Vec<_> = (0..count).map(|_| Box::pin(begin())).collect();
    core::future::poll_fn(|context| {
        waiting.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if waiting.is_empty() { core::task::Poll::Ready(()) } else { core::task::Poll::Pending }
    })
    .await;
}
