//! Dealer, host and device together: the private answer is the answer, and nothing is lost when one
//! of them goes away.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod parties;

use std::fs;

use parties::{
    Room, STALL, damage, random_model, random_readings, random_seed, rng, rogue, run, twin,
};
use rand_core::Rng as _;
use sharelet_core::session::SessionError;
use sharelet_core::wire::control::{Answer, DeviceId, Refusal, Request};
use sharelet_core::wire::frame::Kind;
use sharelet_host::device::DeviceError;
use sharelet_host::store::dealer::{DealerStore, MAX_AHEAD};
use sharelet_host::store::host::HostStore;

fn room(widths: &[u16]) -> (Room, rand_chacha::ChaCha8Rng) {
    let mut rng = rng(random_seed());
    (Room::new(random_model(widths, &mut rng)), rng)
}

fn distinct_and_growing(sessions: &[u64]) -> bool {
    sessions.windows(2).all(|pair| pair[0] < pair[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn private_answers_equal_the_twin_whoever_learns_them() {
    for answer in [Answer::Device, Answer::Host, Answer::Both] {
        let (room, mut rng) = room(&[7, 70, 9, 4]);
        room.provision("pump");
        let readings = random_readings(&room.model, 6, &mut rng);
        let expected = twin(&room.model, &readings);
        let dealer = room.dealer().await;
        let (host, answers) = room.host_at("127.0.0.1:0", &dealer.address, answer, 2).await;
        let mut device = room.device("pump", &host.address, &readings);
        device.settings.answer = answer;
        assert_eq!(run(&mut device).await.expect("works"), 6);
        host.stop().await;
        dealer.stop().await;
        if answer.to_device() {
            assert_eq!(device.events.answers, expected, "{answer:?}");
        } else {
            assert!(
                device.events.answers.iter().all(Vec::is_empty),
                "the device is not to learn the answer"
            );
        }
        let answers = answers.lock().unwrap();
        let of_host: Vec<_> = answers.iter().map(|answer| answer.values.clone()).collect();
        assert_eq!(of_host, if answer.to_host() { expected } else { Vec::new() }, "{answer:?}");
        assert!(distinct_and_growing(&device.events.sessions));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_that_was_killed_and_restarted_is_found_again() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 4, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let address = dealer.address.clone();
    let (host, _) = room.host_at("127.0.0.1:0", &address, Answer::Device, 1).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");

    room.spool_holds("pump", 1).await;
    dealer.kill().await;
    device.settings.retries = 0;
    device.settings.count = Some(4);
    device.events.answers.clear();
    let refused = run(&mut device).await.expect_err("the spool holds one session");
    assert!(
        matches!(refused, DeviceError::Session(SessionError::Refused(Refusal::NoCorrelations))),
        "{refused:?}"
    );
    assert_eq!(device.events.answers, expected[..1], "what was in the spool was used");

    let restart = async {
        tokio::time::sleep(STALL).await;
        room.dealer_at(&address).await
    };
    device.settings.retries = 20;
    device.events.answers.clear();
    let (dealer, done) = tokio::join!(restart, run(&mut device));
    assert_eq!(done.expect("works again"), 4);
    assert_eq!(device.events.answers, expected);
    assert!(distinct_and_growing(&device.events.sessions), "{:?}", device.events.sessions);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_killed_and_restarted_uses_no_number_twice() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 3, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let mut host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    for round in 1..=4 {
        run(&mut device).await.expect("works");
        assert_eq!(device.events.answers, expected, "round {round}");
        device.events.answers.clear();
        let address = host.address.clone();
        host.kill().await;
        let pump = DeviceId::new("pump").unwrap();
        let next = {
            let store = parties::when_unlocked(|| HostStore::open(&room.path("host"))).await;
            assert!(
                store
                    .spool()
                    .sessions(pump)
                    .iter()
                    .all(|spooled| !device.events.sessions.contains(spooled))
            );
            store.next_session(pump, room.key_id("pump")).unwrap()
        };
        assert!(next > *device.events.sessions.last().unwrap(), "recorded before it was granted");
        host = room.host_at(&address, &dealer.address, Answer::Device, 3).await.0;
    }
    assert_eq!(device.events.sessions.len(), 12);
    assert!(distinct_and_growing(&device.events.sessions), "{:?}", device.events.sessions);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_goes_back_uses_no_number_twice() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 3, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    fs::write(room.counter_path("pump"), 1_u64.to_le_bytes()).unwrap();
    run(&mut device).await.expect("works");
    assert_eq!(device.events.sessions.len(), 6);
    assert!(distinct_and_growing(&device.events.sessions), "{:?}", device.events.sessions);
    assert_eq!(
        device.events.answers,
        [twin(&room.model, &readings), twin(&room.model, &readings)].concat()
    );
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_corrections_are_dropped_and_the_next_session_is_used() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 2, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let (host, _) = room.host_at("127.0.0.1:0", &dealer.address, Answer::Device, 6).await;
    let mut device = room.device("pump", &host.address, &readings);
    device.settings.count = Some(1);
    run(&mut device).await.expect("works");
    room.spool_holds("pump", 5).await;
    let spooled = room.spooled("pump");
    let bytes = fs::read(&spooled[1]).unwrap();
    damage(&spooled[0], rng.next_u32() as usize % bytes.len());
    fs::write(&spooled[1], &bytes[..rng.next_u32() as usize % bytes.len()]).unwrap();
    fs::remove_file(&spooled[2]).unwrap();
    device.settings.count = Some(2);
    device.events.answers.clear();
    run(&mut device).await.expect("works");
    assert_eq!(device.events.answers, expected);
    assert_eq!(device.events.failures, [""; 0], "the device notices nothing");
    assert_eq!(
        device.events.sessions[1] - device.events.sessions[0],
        4,
        "three numbers are skipped"
    );
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_makes_old_corrections_void() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 3, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    drop(device);
    room.provision("pump");
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works with the new key");
    assert_eq!(device.events.answers, expected);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_gets_no_old_corrections_while_the_dealer_is_away() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 1, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    drop(device);
    room.spool_holds("pump", 2).await;
    let address = dealer.address.clone();
    dealer.kill().await;
    room.provision("pump");
    let mut device = room.device("pump", &host.address, &readings);
    device.settings.retries = 0;
    let refused = run(&mut device).await.expect_err("the spool is another key's");
    assert!(
        matches!(refused, DeviceError::Session(SessionError::Refused(Refusal::NoCorrelations))),
        "{refused:?}"
    );
    assert!(
        room.spooled("pump").len() >= 2,
        "whoever says that he has another key does not empty the spool"
    );
    let dealer = room.dealer_at(&address).await;
    run(&mut device).await.expect("works with the new key");
    assert_eq!(device.events.answers, twin(&room.model, &readings));
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn impostors_do_not_push_a_device_ahead() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 1, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    for next_session in [1000, 1 << 20, 1 << 62] {
        let mut rogue = rogue::connect(&host.address).await;
        rogue::hello(&mut rogue, "pump", room.key_id("pump")).await;
        rogue::read_frame(&mut rogue).await.expect("a welcome");
        rogue::write(&mut rogue, &rogue::control(Kind::Request, &Request { next_session })).await;
        assert_eq!(rogue::read_refusal(&mut rogue).await, Refusal::SessionNumber);
        run(&mut device).await.expect("works");
    }
    assert!(*device.events.sessions.last().unwrap() < 50, "{:?}", device.events.sessions);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_begins_anew_after_many_sessions() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let pump = DeviceId::new("pump").unwrap();
    DealerStore::open(&room.path("dealer"))
        .unwrap()
        .record(pump, room.key_id("pump"), MAX_AHEAD, 1)
        .unwrap();
    room.provision("pump");
    let readings = random_readings(&room.model, 1, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    assert_eq!(device.events.sessions, [0]);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_that_forgot_sessions_is_not_asked_for_them_again() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let pump = DeviceId::new("pump").unwrap();
    let store = HostStore::open(&room.path("host")).unwrap();
    store.consume(pump, room.key_id("pump"), 20).unwrap();
    drop(store);
    let readings = random_readings(&room.model, 1, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("pump", &host.address, &readings);
    device.settings.retries = 0;
    let refused = run(&mut device).await.expect_err("the dealer's state is an old copy");
    assert!(
        matches!(refused, DeviceError::Session(SessionError::Refused(Refusal::NoCorrelations))),
        "{refused:?}"
    );
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once() {
    let (room, mut rng) = room(&[6, 30, 8, 5]);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut devices = tokio::task::JoinSet::new();
    for index in 0..6 {
        let name = format!("device-{index}");
        room.provision(&name);
        let readings = random_readings(&room.model, 4, &mut rng);
        let expected = twin(&room.model, &readings);
        let mut device = room.device(&name, &host.address, &readings);
        devices.spawn(async move {
            run(&mut device).await.expect("works");
            assert_eq!(device.events.answers, expected, "{name}");
        });
    }
    devices.join_all().await;
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_connection_of_a_device_wins() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let readings = random_readings(&room.model, 1, &mut rng);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    // An older connection that was left behind by a power cut.
    let mut older = rogue::connect(&host.address).await;
    rogue::hello(&mut older, "pump", room.key_id("pump")).await;
    rogue::read_frame(&mut older).await.expect("a welcome");
    let mut device = room.device("pump", &host.address, &readings);
    run(&mut device).await.expect("works");
    assert_eq!(rogue::read_refusal(&mut older).await, Refusal::Busy);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_misbehaves_and_the_other_goes_on() {
    let (room, mut rng) = room(&[5, 20, 3, 3]);
    room.provision("good");
    room.provision("bad");
    let readings = random_readings(&room.model, 12, &mut rng);
    let expected = twin(&room.model, &readings);
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut device = room.device("good", &host.address, &readings);
    let address = host.address.clone();
    let mischief = async {
        for round in 0..10 {
            let mut bad = rogue::connect(&address).await;
            if round % 2 == 0 {
                rogue::hello(&mut bad, "bad", room.key_id("bad")).await;
            }
            let mut noise = vec![0; 200];
            rng.fill_bytes(&mut noise);
            rogue::write(&mut bad, &noise).await;
            // Some stay open and silent until the host has enough.
            if round % 3 != 0 {
                drop(bad);
            } else {
                tokio::spawn(async move {
                    tokio::time::sleep(2 * STALL).await;
                    drop(bad);
                });
            }
        }
    };
    let (done, ()) = tokio::join!(run(&mut device), mischief);
    assert_eq!(done.expect("works"), 12);
    assert_eq!(device.events.answers, expected);
    assert_eq!(device.events.failures, [""; 0]);
    host.stop().await;
    dealer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_tells_waiting_devices() {
    let (room, _) = room(&[5, 20, 3, 3]);
    room.provision("pump");
    let dealer = room.dealer().await;
    let host = room.host(&dealer.address).await;
    let mut waiting = rogue::connect(&host.address).await;
    rogue::hello(&mut waiting, "pump", room.key_id("pump")).await;
    rogue::read_frame(&mut waiting).await.expect("a welcome");
    let (refusal, ()) = tokio::join!(rogue::read_refusal(&mut waiting), host.stop());
    assert_eq!(refusal, Refusal::ShuttingDown);
    dealer.stop().await;
}
