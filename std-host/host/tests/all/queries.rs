//! Two servers and data parties: the private answer is the answer, whoever gets it, and every
//! refusal has its name.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::path::PathBuf;

use rand_core::Rng as _;
use sharelet_core::DeviceId;
use sharelet_core::session::SessionError;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::query::{Half, QUERY_HEADER_BYTES, Reason, Recipient};
use sharelet_core::session::wire::task::{Field, Task};
use sharelet_host::console::ConsoleError;
use sharelet_host::device::DeviceError;
use sharelet_host::server::peer::PeerError;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::assert_matches;
use sharelet_testkit::room::servers::{
    One, Printed, ask, connect, console, half, is_answered, read, refused, send, stop,
};
use sharelet_testkit::room::wire::Wire;
use sharelet_testkit::room::{Room, SOON, STALL, random_model, random_readings, rogue, twin};
use sharelet_testkit::{printed_seed, rng};
use tokio::io::AsyncWriteExt as _;

fn demo(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name)
}

fn small_room() -> (Room, Readings) {
    let mut rng = rng(printed_seed());
    let model = random_model(&[6, 40, 5], &mut rng);
    let readings = random_readings(&model, 4, &mut rng);
    (Room::new(model), readings)
}

fn reason(result: Result<usize, DeviceError>) -> (u8, Reason) {
    match result {
        Err(DeviceError::Server { party, source: SessionError::Query(reason), .. }) => {
            (party, reason)
        }
        other => panic!("{other:?}"),
    }
}

/// All readings of the built-in model, by several data parties at once; and the traffic that is
/// promised.
#[tokio::test(flavor = "multi_thread")]
async fn private_answers_of_the_built_in_model_equal_the_twin() {
    let mut room = Room::new(Model::load(&demo("vibration.slt")).expect("loads"));
    // Queries wait for one another here, which is no fault: nobody's patience ends.
    room.unit = SOON / 4;
    let options = ReadOptions { width: Some(room.model.network.inputs()), divide: None };
    let readings = Readings::load(&demo("windows.npy"), options).expect("loads");
    let expected = twin(&room.model, &readings);
    let (dealer, server_0, server_1) = room.servers().await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..8 {
        let name = format!("pump-{number}");
        let mut party = room.data_party(&name, &server_0, &server_1, &readings);
        asked.spawn(async move {
            assert_eq!(ask(&mut party).await.expect("works"), party.sensor.0.len());
            party.events
        });
    }
    let (inputs, outputs) =
        (room.model.network.inputs() as u64, room.model.network.outputs() as u64);
    for events in asked.join_all().await {
        assert_eq!(events.answers, expected);
        let promised = (4 * inputs + 64, 8 * outputs);
        assert!(events.traffic.iter().all(|it| *it == promised), "{:?}", events.traffic);
    }
    stop(server_0, server_1, dealer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_the_operator_reach_the_console_and_nobody_else() {
    let (room, readings) = small_room();
    let expected = twin(&room.model, &readings);
    let key = room.provision_console("operator");
    let (_dealer, server_0, server_1) = room.servers().await;
    let mut party = room.data_party("pump", &server_0, &server_1, &readings);
    party.settings.recipient = Recipient::Console;
    // Answers wait for a console that comes later.
    assert_eq!(ask(&mut party).await.expect("works"), 4);
    assert!(party.events.answers.iter().all(Vec::is_empty), "the data party learns nothing");
    assert!(
        party.events.traffic.iter().all(|&(_, down)| down == 6),
        "an acknowledgement of three bytes from each"
    );
    let printed = Printed::default();
    // A console that is gone after two leaves the others.
    for _ in 0..2 {
        let told = console(key, [&server_0, &server_1], 2, &printed).await;
        assert_eq!(told.expect("works"), 2);
    }
    let mut values: Vec<_> =
        printed.lock().unwrap().iter().map(|(_, values)| values.clone()).collect();
    let mut sorted = expected;
    values.sort();
    sorted.sort();
    assert_eq!(values, sorted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_held_against_its_name_and_its_servers() {
    let (room, readings) = small_room();
    let other = DeviceId::new("another").unwrap();
    let key = room.provision_console("operator");
    let (_dealer, server_0, server_1) = room.servers().await;
    let (first, second, printed) = (&server_0, &server_1, Printed::default());
    let unknown = SessionError::Refused(Refusal::UnknownConsole);
    let error = console(other, [first, second], 1, &printed).await.expect_err("another name");
    assert_matches!(error, ConsoleError::Session { party: 0, source } if *source == unknown);
    let error = console(key, [second, first], 1, &printed).await.expect_err("exchanged");
    assert_matches!(error, ConsoleError::Party { found: 1, expected: 0, .. });
    let (other, _) = small_room();
    let (_other_dealer, other_0, other_1) = other.servers().await;
    let told = console(key, [&other_0, &other_1], 1, &printed).await;
    let error = told.expect_err("no console there");
    assert_matches!(error, ConsoleError::Session { party: 0, source } if *source == unknown);
    let mut party = other.data_party("pump", &other_0, &other_1, &readings);
    party.settings.recipient = Recipient::Console;
    assert_eq!(reason(ask(&mut party).await), (0, Reason::NoConsole));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_takes_again_when_it_is_emptied() {
    let (room, readings) = small_room();
    room.provision("server-0");
    let key = room.provision_console("operator");
    let dealer = room.dealer().await;
    let server_1 = room.server_1_at("127.0.0.1:0", &dealer.address, 2).await;
    let server_0 = room.server_0_at("127.0.0.1:0", &server_1.address, room.task(), 2).await;
    let mut party = room.data_party("pump", &server_0, &server_1, &readings);
    party.settings.recipient = Recipient::Console;
    assert_eq!(reason(ask(&mut party).await), (0, Reason::ConsoleFull));
    let printed = Printed::default();
    console(key, [&server_0, &server_1], 2, &printed).await.expect("works");
    party.settings.count = Some(1);
    // Confirmations may be on their way.
    party.settings.retries = 20;
    ask(&mut party).await.expect("works");
}

/// What a data party does wrong, at either server.
#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_query_is_refused_with_its_reason() {
    let (room, readings) = small_room();
    let (_dealer, server_0, server_1) = room.servers().await;
    let task = room.task();
    let (seed, masked) = (Half::Seed, Half::Masked);
    let device = Recipient::DataParty;

    // Alone, a half is dropped in time, and its number is used; server 0 lost a lane by it and
    // makes another one.
    assert_eq!(send(&server_1, &half(&task, 1, masked, device)).await, refused(Reason::NoPartner));
    assert_eq!(send(&server_1, &half(&task, 1, masked, device)).await, refused(Reason::Replay));
    // Before a word of the reading: the header is enough.
    let header = &half(&task, 1, masked, device)[..QUERY_HEADER_BYTES];
    assert_eq!(send(&server_1, header).await, refused(Reason::Replay));
    assert_eq!(send(&server_0, &half(&task, 2, seed, device)).await, refused(Reason::NoPartner));
    assert_eq!(send(&server_0, &half(&task, 2, seed, device)).await, refused(Reason::Replay));

    // For the other server, for another model, of another version, no query at all.
    assert_eq!(send(&server_0, &half(&task, 3, masked, device)).await, refused(Reason::Half));
    assert_eq!(send(&server_1, &half(&task, 3, seed, device)).await, refused(Reason::Half));
    let other = Task { model: [0; 16], ..task };
    assert_eq!(send(&server_0, &half(&other, 3, seed, device)).await, refused(Reason::Task));
    assert_eq!(send(&server_1, &half(&other, 3, masked, device)).await, refused(Reason::Task));
    let mut newer = half(&task, 3, seed, device);
    newer[0] = 0xD2;
    assert_eq!(send(&server_0, &newer).await, refused(Reason::Version));
    newer[..2].copy_from_slice(&[0xD1, 9]);
    assert_eq!(send(&server_0, &newer).await, refused(Reason::Malformed));

    // A half that is cut has used its number.
    let mut cut = connect(&server_1).await;
    cut.write_all(&half(&task, 6, masked, device)[..30]).await.unwrap();
    drop(cut);
    // It may be under way still.
    let used = async {
        while send(&server_1, &half(&task, 6, masked, device)).await != refused(Reason::Replay) {}
    };
    tokio::time::timeout(10 * STALL, used).await.expect("the number is used");
    let whole = [half(&task, 4, seed, device), half(&task, 4, masked, device)];
    let (first, second) =
        tokio::join!(one_answer(&server_0, &whole[0], 20), one_answer(&server_1, &whole[1], 20));
    assert_eq!((first.len(), second.len()), (20, 20));
    // And both again are refused, by either server.
    let (first, second) = tokio::join!(send(&server_0, &whole[0]), send(&server_1, &whole[1]));
    assert_eq!((first, second), (refused(Reason::Replay), refused(Reason::Replay)));

    // Halves that disagree on who gets the answer; without a console the second is refused at once.
    let error = send(&server_1, &half(&task, 5, masked, Recipient::Console)).await;
    assert_eq!(error, refused(Reason::NoConsole));

    // Through the program: the addresses exchanged, and another model's task.
    let mut party = room.data_party("pump", &server_1, &server_0, &readings);
    assert_eq!(reason(ask(&mut party).await), (0, Reason::Half));
    let mut party = room.data_party("lathe", &server_0, &server_1, &readings);
    party.task = other;
    assert_eq!(reason(ask(&mut party).await), (0, Reason::Task));
    // After all that, answers are right.
    party.task = task;
    is_answered(&mut party, &twin(&room.model, &readings)).await;
}

/// Sends a query, and reads an answer of `len` bytes.
async fn one_answer(server: &One, bytes: &[u8], len: usize) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let mut stream = connect(server).await;
    stream.write_all(bytes).await.expect("writes");
    let mut answer = vec![0; len];
    let read = tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.expect("in time");
    read.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_that_disagree_on_the_recipient_are_refused() {
    let (room, _) = small_room();
    room.provision_console("operator");
    let (_dealer, server_0, server_1) = room.servers().await;
    let task = room.task();
    let (to_device, to_console) = (
        half(&task, 9, Half::Seed, Recipient::DataParty),
        half(&task, 9, Half::Masked, Recipient::Console),
    );
    let (first, second) = tokio::join!(send(&server_0, &to_device), send(&server_1, &to_console));
    assert_eq!((first, second), (refused(Reason::HalvesDiffer), refused(Reason::HalvesDiffer)));
}

/// Two servers that do not belong together: the one that connects ends and names the field.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_belong_together_name_the_field() {
    let (room, _) = small_room();
    let (dealer, server_0, server_1) = room.servers().await;
    server_0.stop().await.expect("a clean end");
    let task = room.task();
    for (other, field) in [
        (Task { model: [1; 16], ..task }, Field::Model),
        (Task { input_frac_bits: task.input_frac_bits + 1, ..task }, Field::InputScale),
        (Task { output_frac_bits: task.output_frac_bits + 1, ..task }, Field::OutputScale),
        (Task { inputs: task.inputs + 1, ..task }, Field::Inputs),
    ] {
        let error = room
            .server_0_at("127.0.0.1:0", &server_1.address, other, 1)
            .await
            .ended()
            .await
            .expect_err("differs");
        let expected = SessionError::Refused(Refusal::TaskMismatch { field });
        assert!(matches!(&error, PeerError::Session(found) if *found == expected), "{error}");
        assert!(error.to_string().contains(&field.to_string()), "{error}");
    }
    // Two servers 0.
    let first = room.server_0_at("127.0.0.1:0", &server_1.address, task, 1).await;
    room.provision("other");
    let second = room.server_0_named("other", "127.0.0.1:0", &first.address, task, 1).await;
    let error = second.ended().await.expect_err("both are server 0");
    assert!(error.to_string().contains("party: both servers were started as --party 0"), "{error}");
    dealer.stop().await;
}

/// Either server, or the dealer, goes away in the middle: a named refusal, and everything works
/// when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_disappears_is_named_and_found_again() {
    let (room, readings) = small_room();
    let expected = twin(&room.model, &readings);
    let (dealer, server_0, server_1) = room.servers().await;
    let addresses = (server_0.address.clone(), server_1.address.clone());
    let mut party = room.data_party("pump", &server_0, &server_1, &readings);
    ask(&mut party).await.expect("works");

    // Server 1 is killed: server 0 says that it misses the other half, or cannot be asked at all.
    server_1.kill().await;
    let error = ask(&mut party).await.expect_err("one server is away");
    assert!(error.is_passing(), "{error}");
    let seed = half(&room.task(), 77, Half::Seed, Recipient::DataParty);
    assert_eq!(send(&server_0, &seed).await, refused(Reason::PeerLost));
    let server_1 = room.server_1_at(&addresses.1, &dealer.address, 4).await;
    is_answered(&mut party, &expected).await;

    // Server 0 is killed, and comes back.
    server_0.kill().await;
    let restart = async {
        tokio::time::sleep(STALL).await;
        room.server_0_at(&addresses.0, &addresses.1, room.task(), 4).await
    };
    let (server_0, ()) = tokio::join!(restart, is_answered(&mut party, &expected));

    // The dealer is killed: what was dealt ahead is used up, then the reason is named, and all is
    // well when it is back.
    let dealer_address = dealer.address.clone();
    dealer.kill().await;
    party.settings.retries = 0;
    let error = loop {
        if let Err(error) = ask(&mut party).await {
            break error;
        }
    };
    assert!(error.is_passing(), "{error}");
    let dealer = room.dealer_at(&dealer_address).await;
    is_answered(&mut party, &expected).await;
    stop(server_0, server_1, dealer).await;
}

/// Bytes of all kinds at both ports, also in place of a server and a console: nothing hangs, and
/// answers stay right.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_bytes_do_no_harm() {
    let (room, readings) = small_room();
    room.provision_console("operator");
    let (_dealer, server_0, server_1) = room.servers().await;
    let task = room.task();
    let mut rng = rng(printed_seed());
    for round in 0..60_u64 {
        for server in [&server_0, &server_1] {
            let mut bytes = vec![0; (rng.next_u32() % 200) as usize];
            rng.fill_bytes(&mut bytes);
            // What makes it past the first look: a query, a greeting of a server, a greeting of a
            // console.
            let begins = match round % 4 {
                0 => half(&task, 1000 + round, Half::Seed, Recipient::Console)[..8].to_vec(),
                1 => vec![11, 0, 40, 0, 0, 0],
                2 => vec![13, 0, 54, 0, 0, 0, b'S', b'L', b'E', b'T', 2, 0],
                _ => Vec::new(),
            };
            bytes.splice(0..0, begins);
            let mut stream = connect(server).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut sink = tokio::io::sink();
            let reply = tokio::io::copy(&mut stream, &mut sink);
            let _ = tokio::time::timeout(6 * STALL, reply).await.expect("ends in time");
        }
    }
    let mut idle = connect(&server_0).await;
    let refused = rogue::read_refusal(&mut idle).await;
    assert_eq!(refused, Refusal::TooSlow, "a connection that says nothing is told so");
    let mut party = room.data_party("pump", &server_0, &server_1, &readings);
    is_answered(&mut party, &twin(&room.model, &readings)).await;
}

/// The wire between the servers is cut at any byte of a session: the data party gets a reason in
/// time, whatever was under way, and the next query works.
#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_is_cut_in_the_middle_costs_one_query() {
    let (room, readings) = small_room();
    let expected = twin(&room.model, &readings);
    room.provision("server-0");
    let dealer = room.dealer().await;
    let server_1 = room.server_1_at("127.0.0.1:0", &dealer.address, 1).await;
    let wire = Wire::new(&server_1.address, Duration::ZERO).await;
    let server_0 = room.server_0_at("127.0.0.1:0", &wire.address, room.task(), 1).await;
    let mut party = room.data_party("pump", &server_0, &server_1, &readings);
    party.settings.count = Some(1);
    let mut rng = rng(printed_seed());
    let mut lost = 0;
    for _ in 0..12 {
        // An inference of this model passes some hundred bytes, and a lane that is made anew some
        // hundred more.
        wire.left.store(i64::from(rng.next_u32() % 700), Ordering::SeqCst);
        party.settings.retries = 0;
        party.events.answers.clear();
        match ask(&mut party).await {
            Ok(_) => assert_eq!(party.events.answers, expected[..1]),
            Err(error) => {
                assert!(error.is_passing(), "{error}");
                lost += 1;
            }
        }
        wire.left.store(i64::MAX, Ordering::SeqCst);
        is_answered(&mut party, &expected[..1]).await;
    }
    assert!(lost > 0, "nothing was cut");
    server_0.stop().await.expect("a clean end");
    server_1.stop().await.expect("a clean end");
}

/// A server that is stopped tells the query that it cannot answer any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_says_so() {
    let (room, _) = small_room();
    room.provision("server-0");
    // Nobody listens there: the query waits for a prepared session.
    let server_0 = room.server_0_at("127.0.0.1:0", "127.0.0.1:1", room.task(), 1).await;
    let mut stream = connect(&server_0).await;
    stream.write_all(&half(&room.task(), 1, Half::Seed, Recipient::DataParty)).await.unwrap();
    tokio::time::sleep(STALL / 3).await;
    let (stopped, reply) = tokio::join!(server_0.stop(), read(&mut stream));
    stopped.expect("a clean end");
    assert_eq!(reply, refused(Reason::ShuttingDown));
}
