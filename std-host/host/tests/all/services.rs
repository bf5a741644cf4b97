//! Dealer, host and device together: the private answer is the answer, and nothing is lost when one
//! of them goes away.

use std::fs;

use rand_core::Rng as _;
use sharelet_core::session::wire::control::{Answer, DeviceId, Refusal, Request};
use sharelet_core::session::wire::frame::Kind;
use sharelet_host::store::StoreError;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::host::{Counted, HostStore};
use sharelet_host::store::witness::Witness;
use sharelet_testkit::room::{
    STALL, Scenario, damage, random_readings, rogue, run, twin, when_unlocked,
};

#[tokio::test(flavor = "multi_thread")]
async fn private_answers_equal_the_twin_whoever_learns_them() {
    for answer in [Answer::Device, Answer::Host, Answer::Both] {
        let room = Scenario::room(&[7, 70, 9, 4]);
        let mut scenario = Scenario::of(room, 6, answer, 2).await;
        if answer.to_device() {
            scenario.infers().await;
        } else {
            assert_eq!(run(&mut scenario.device).await.expect("works"), 6);
            let answers = &scenario.device.events.answers;
            assert!(answers.iter().all(Vec::is_empty), "the device is not to learn the answer");
        }
        let (learned, expected) = (scenario.learned.clone(), scenario.expected.clone());
        scenario.stop().await;
        let learned: Vec<_> =
            learned.lock().unwrap().iter().map(|answer| answer.values.clone()).collect();
        assert_eq!(learned, if answer.to_host() { expected } else { Vec::new() }, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_that_was_killed_and_restarted_is_found_again() {
    let room = Scenario::room(&[5, 20, 3, 3]);
    let mut scenario = Scenario::of(room, 4, Answer::Device, 1).await;
    scenario.infers().await;

    scenario.room.spool_holds("pump", 1).await;
    let address = scenario.dealer.address.clone();
    scenario.dealer.kill().await;
    scenario.device.settings.count = Some(4);
    scenario.device.events.answers.clear();
    // The spool holds one session.
    scenario.lacks_correlations().await;
    let answers = &scenario.device.events.answers;
    assert_eq!(answers, &scenario.expected[..1], "what was in the spool was used");

    scenario.device.settings.retries = 20;
    scenario.device.events.answers.clear();
    let restart = async {
        tokio::time::sleep(STALL).await;
        scenario.room.dealer_at(&address).await
    };
    let (dealer, done) = tokio::join!(restart, run(&mut scenario.device));
    assert_eq!(done.expect("works again"), 4);
    assert_eq!(scenario.device.events.answers, scenario.expected);
    scenario.dealer = dealer;
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_killed_and_restarted_uses_no_number_twice() {
    let mut scenario = Scenario::start(3).await;
    for _ in 1..=4 {
        scenario.infers().await;
        let address = scenario.host.address.clone();
        scenario.host.kill().await;
        let (pump, room) = (DeviceId::new("pump").unwrap(), &scenario.room);
        let used = &scenario.device.events.sessions;
        let store = when_unlocked(|| HostStore::open(&room.path("host"))).await;
        let spooled: Vec<u64> =
            store.sessions(pump).unwrap().into_iter().map(|(session, _)| session).collect();
        assert!(spooled.iter().all(|session| !used.contains(session)), "{spooled:?}, {used:?}");
        let next = store.next_session(pump, room.key_id("pump")).unwrap();
        assert!(next > *used.last().unwrap(), "recorded before it was granted");
        drop(store);
        let dealer = &scenario.dealer.address;
        scenario.host = room.host_at(&address, dealer, Answer::Device, 3).await.0;
    }
    assert_eq!(scenario.device.events.sessions.len(), 12);
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_corrections_are_dropped_and_the_next_session_is_used() {
    let room = Scenario::room(&[5, 20, 3, 3]);
    let mut scenario = Scenario::of(room, 2, Answer::Device, 6).await;
    scenario.device.settings.count = Some(1);
    run(&mut scenario.device).await.expect("works");
    scenario.room.spool_holds("pump", 5).await;
    let spooled = scenario.room.spooled("pump");
    let bytes = fs::read(&spooled[1]).unwrap();
    damage(&spooled[0], scenario.rng.next_u32() as usize % bytes.len());
    fs::write(&spooled[1], &bytes[..scenario.rng.next_u32() as usize % bytes.len()]).unwrap();
    fs::remove_file(&spooled[2]).unwrap();
    scenario.device.settings.count = Some(2);
    scenario.infers().await;
    let events = &scenario.device.events;
    assert_eq!(events.failures, [""; 0], "the device notices nothing");
    assert_eq!(events.sessions[1] - events.sessions[0], 4, "three numbers are skipped");
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_makes_old_corrections_void() {
    let mut scenario = Scenario::start(3).await;
    scenario.infers().await;
    scenario.provision_anew();
    scenario.device.events.sessions.clear();
    scenario.infers().await;
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_gets_no_old_corrections_while_the_dealer_is_away() {
    let mut scenario = Scenario::start(1).await;
    scenario.infers().await;
    scenario.room.spool_holds("pump", 2).await;
    let address = scenario.dealer.address.clone();
    scenario.dealer.kill().await;
    scenario.provision_anew();
    scenario.device.events.sessions.clear();
    scenario.lacks_correlations().await;
    assert!(
        scenario.room.spooled("pump").len() >= 2,
        "whoever says that he has another key does not empty the spool"
    );
    scenario.dealer = scenario.room.dealer_at(&address).await;
    scenario.infers().await;
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn impostors_do_not_push_a_device_ahead() {
    let mut scenario = Scenario::start(1).await;
    scenario.infers().await;
    let Request { order, .. } = scenario.request(0);
    // Beyond what is in the spool: that would be spent. Whoever may say it on a plaintext link
    // takes the device's sessions, and does not push it out.
    for next_session in [1000, 1 << 20, 1 << 62] {
        let key = scenario.room.key_id("pump");
        let mut rogue = rogue::welcomed(&scenario.host.address, "pump", key).await;
        let request = Request { next_session, order };
        rogue::write(&mut rogue, &rogue::control(Kind::Request, &request)).await;
        assert_eq!(rogue::read_refusal(&mut rogue).await, Refusal::NoOrder);
        scenario.infers().await;
    }
    let next = scenario.device.events.sessions.last().unwrap() + 1;
    for next_session in [next + 1, next + 2] {
        let key = scenario.room.key_id("pump");
        let mut rogue = rogue::welcomed(&scenario.host.address, "pump", key).await;
        let request = Request { next_session, order };
        rogue::write(&mut rogue, &rogue::control(Kind::Request, &request)).await;
        rogue::read_frame(&mut rogue).await.expect("an answer");
        scenario.infers().await;
    }
    let sessions = &scenario.device.events.sessions;
    assert!(*sessions.last().unwrap() < 50, "{sessions:?}");
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_begins_anew_after_many_sessions() {
    let (room, rng) = Scenario::room(&[5, 20, 3, 3]);
    let pump = DeviceId::new("pump").unwrap();
    let store = DealerStore::open(&room.path("dealer")).unwrap();
    store.record(pump, room.key_id("pump"), 1 << 50, 1).unwrap();
    drop(store);
    room.provision("pump");
    let mut scenario = Scenario::of((room, rng), 1, Answer::Device, 3).await;
    scenario.infers().await;
    assert_eq!(scenario.device.events.sessions, [0]);
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_that_forgot_sessions_is_not_asked_for_them_again() {
    let (room, rng) = Scenario::room(&[5, 20, 3, 3]);
    let store = HostStore::open(&room.path("host")).unwrap();
    let key = room.key_id("pump");
    let counted = Counted { key, session: 20, counter: None, model: [1; 8] };
    store.consume(DeviceId::new("pump").unwrap(), counted).unwrap();
    drop(store);
    let mut scenario = Scenario::of((room, rng), 1, Answer::Device, 3).await;
    scenario.lacks_correlations().await;
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once() {
    let room = Scenario::room(&[6, 30, 8, 5]);
    let mut scenario = Scenario::of(room, 1, Answer::Device, 3).await;
    let mut devices = tokio::task::JoinSet::new();
    for index in 0..6 {
        let (name, room) = (format!("device-{index}"), &scenario.room);
        room.provision(&name);
        let readings = random_readings(&room.model, 4, &mut scenario.rng);
        let expected = twin(&room.model, &readings);
        let mut device = room.device(&name, &scenario.host.address, &readings);
        devices.spawn(async move {
            run(&mut device).await.expect("works");
            assert_eq!(device.events.answers, expected, "{name}");
        });
    }
    devices.join_all().await;
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_connection_of_a_device_wins() {
    let mut scenario = Scenario::start(1).await;
    // An older connection that was left behind by a power cut.
    let key = scenario.room.key_id("pump");
    let mut older = rogue::welcomed(&scenario.host.address, "pump", key).await;
    scenario.infers().await;
    assert_eq!(rogue::read_refusal(&mut older).await, Refusal::Busy);
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_misbehaves_and_the_other_goes_on() {
    let mut scenario = Scenario::start(12).await;
    scenario.room.provision("bad");
    let (address, key) = (scenario.host.address.clone(), scenario.room.key_id("bad"));
    let mut noise = vec![0; 2000];
    scenario.rng.fill_bytes(&mut noise);
    let mischief = async {
        for (round, noise) in noise.chunks(200).enumerate() {
            let mut bad = rogue::connect(&address).await;
            if round % 2 == 0 {
                rogue::hello(&mut bad, "bad", key).await;
            }
            rogue::write(&mut bad, noise).await;
            // Some stay open and silent until the host has enough.
            if round % 3 == 0 {
                tokio::spawn(async move {
                    tokio::time::sleep(2 * STALL).await;
                    drop(bad);
                });
            }
        }
    };
    tokio::join!(scenario.infers(), mischief);
    assert_eq!(scenario.device.events.failures, [""; 0]);
    scenario.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_tells_waiting_devices() {
    let Scenario { room, host, dealer, .. } = Scenario::start(1).await;
    let mut waiting = rogue::welcomed(&host.address, "pump", room.key_id("pump")).await;
    let (refusal, ()) = tokio::join!(rogue::read_refusal(&mut waiting), host.stop());
    assert_eq!(refusal, Refusal::ShuttingDown);
    dealer.stop().await;
}

#[test]
fn a_state_directory_is_of_one_kind() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let elsewhere = |error: StoreError| assert!(matches!(error, StoreError::Elsewhere { .. }));
    drop(Witness::open(&at("shared"), &[1; 16]).unwrap());
    elsewhere(HostStore::open(&at("shared")).unwrap_err());
    elsewhere(DealerStore::open(&at("shared")).unwrap_err());
    drop(HostStore::open(&at("host")).unwrap());
    drop(DealerStore::open(&at("dealer")).unwrap());
    for own in ["host", "dealer"] {
        elsewhere(Witness::open(&at(own), &[1; 16]).unwrap_err());
    }
}
