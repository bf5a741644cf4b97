//! What is wrong with a store is said, and nothing is spent on it.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use sharelet_host::store::StoreError;
use sharelet_host::store::engine::Store as _;
use sharelet_host::store::host::HostStore;
use sharelet_host::store::spent::Spent;
use sharelet_host::store::spool::{Origin, SpoolError};
use sharelet_link::Role;
use sharelet_nats::{Nats, make};
use sharelet_testkit::nats::NatsServer;

use super::{access, device, made, open, own, room};

fn spent(count: u32) -> Spent {
    let mut spent = Spent::default();
    spent.spend([1; 8], 0, count).unwrap();
    spent
}

fn says<T: std::fmt::Debug>(result: Result<T, StoreError>, what: &str) {
    let error = result.expect_err(what).to_string();
    assert!(error.contains(what), "{what}: {error}");
}

/// Speaks to the server as whoever has its password.
fn anybody(server: &NatsServer, does: impl AsyncFnOnce(jetstream::Context)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        does(jetstream::new(client)).await;
    });
}

const BUCKET: &str = "sharelet-host-a_2eb";

#[test]
fn a_store_is_made_on_purpose_alone() {
    let Some(server) = NatsServer::start(true) else { return };
    let (host, state) = (own(Role::Host, "a.b"), tempfile::tempdir().unwrap());
    let opened = || Nats::open(&access(&server), &host, Some(state.path()));
    says(opened(), "there is no store of host a.b");
    assert!(make(&access(&server), &host, room(1)).unwrap());
    says(make(&access(&server), &host, room(1)), "already");
    assert!(!make(&access(&server), &host, room(2)).unwrap(), "more room");
    drop(opened().unwrap());
    // Whoever has the name and not the key.
    let other = own(Role::Host, "a.b");
    says(Nats::open(&access(&server), &other, None), "another identity");
    says(Nats::open(&access(&server), &own(Role::Dealer, "a.b"), None), "no store of dealer a.b");
    // One that is gone and made anew is not the one of before.
    anybody(&server, async |context| {
        context.delete_stream(format!("KV_{BUCKET}")).await.unwrap();
    });
    says(opened(), "there is no store of host a.b");
    make(&access(&server), &host, room(2)).unwrap();
    assert!(matches!(opened(), Err(StoreError::OtherStore { .. })));
}

#[test]
fn a_store_that_has_forgotten_is_not_used() {
    let Some((mut server, host)) = made(Role::Host) else { return };
    let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [pump, fan] = [device("pump"), device("fan")];
    let store = open(&server, &host, states[0].path());
    assert!(store.spend(pump, None, &spent(5)).unwrap());
    server.kill();
    let copy = server.copy();
    server.begin();
    let entry = store.spent(pump).unwrap().unwrap();
    assert_eq!(entry.spent, spent(5));
    assert!(store.spend(pump, Some(entry.revision), &spent(6)).unwrap());
    assert!(store.spend(fan, None, &spent(1)).unwrap());
    server.kill();
    server.restore(&copy);
    server.begin();
    // While it runs, and after it was started again.
    says(store.spent(pump), "forgotten");
    says(store.spent(fan), "forgotten");
    drop(store);
    let store = open(&server, &host, states[0].path());
    says(store.spent(pump), "forgotten");
    assert!(store.spent(device("new")).unwrap().is_none(), "others are served");
    says(HostStore::shared(std::sync::Arc::new(store)).consume(pump, [1; 8], 5), "forgotten");
    // A machine that never saw it cannot know: docs/threat-model.md.
    let fresh = open(&server, &host, states[1].path());
    assert_eq!(fresh.spent(pump).unwrap().unwrap().spent, spent(5));
}

#[test]
fn what_others_write_is_refused() {
    let Some((server, host)) = made(Role::Host) else { return };
    let state = tempfile::tempdir().unwrap();
    let store = open(&server, &host, state.path());
    let [pump, fan] = [device("pump"), device("fan")];
    let origin = Origin { model: [7; 32], key: [1; 8] };
    for device in [pump, fan] {
        assert!(store.spend(device, None, &spent(5)).unwrap());
        store.put(device, 5, &origin, &[3; 100]).unwrap();
    }
    let older = store.spent(pump).unwrap().unwrap();
    assert!(store.spend(pump, Some(older.revision), &spent(9)).unwrap());
    let subject = |name: &str| format!("$KV.{BUCKET}.spent.{name}");
    anybody(&server, async |context| {
        let numbers = context.get_stream(format!("KV_{BUCKET}")).await.unwrap();
        // What was spent is not deleted, purged or rolled up.
        assert!(numbers.delete_message(2).await.is_err());
        assert!(numbers.purge().await.is_err());
        let kv = context.get_key_value(BUCKET).await.unwrap();
        assert!(kv.purge("spent.pump").await.is_err());
        // The record of one device in the place of another's.
        let of_fan = kv.get("spent.fan").await.unwrap().unwrap();
        context.publish(subject("pump"), of_fan).await.unwrap().await.unwrap();
    });
    says(store.spent(pump), "sealed under another identity");
    anybody(&server, async |context| {
        let kv = context.get_key_value(BUCKET).await.unwrap();
        kv.delete("spent.fan").await.unwrap();
        kv.put("spent.new", "junk".into()).await.unwrap();
    });
    says(store.spent(fan), "sealed under another identity");
    says(store.spent(device("new")), "sealed under another identity");
    // Corrections that were changed are not used; nor those of another session.
    anybody(&server, async |context| {
        use futures_util::TryStreamExt as _;
        let blobs = context.get_stream(format!("{BUCKET}-blobs")).await.unwrap();
        let mut subjects = blobs.info_with_subjects("sharelet.host.a_2eb.>").await.unwrap();
        while let Some((subject, _)) = subjects.try_next().await.unwrap() {
            let found = blobs.get_last_raw_message_by_subject(&subject).await.unwrap();
            let mut bytes = found.payload.to_vec();
            let moved = subject.replace(&format!("{:020}", 5), &format!("{:020}", 6));
            context.publish(moved, bytes.clone().into()).await.unwrap().await.unwrap();
            bytes[0] ^= 1;
            context.publish(subject, bytes.into()).await.unwrap().await.unwrap();
        }
    });
    for session in [5, 6] {
        let read = store.get(fan, session, &origin, 100);
        assert!(matches!(read, Err(SpoolError::Missing { .. })), "{read:?}");
    }
}

#[test]
fn a_stream_that_loses_records_is_not_used() {
    let Some((server, host)) = made(Role::Host) else { return };
    anybody(&server, async |context| {
        let mut numbers = context.get_stream(format!("KV_{BUCKET}")).await.unwrap();
        let config = numbers.info().await.unwrap().config.clone();
        let config = stream::Config { max_age: Duration::from_secs(3600), ..config };
        context.update_stream(config).await.unwrap();
    });
    says(Nats::open(&access(&server), &host, None), "is not as");
}

#[test]
fn a_store_that_is_full_or_gone_or_slow_is_said_to_be() {
    let Some(mut server) = NatsServer::start(false) else { return };
    let (host, state) = (own(Role::Host, "a.b"), tempfile::tempdir().unwrap());
    make(&access(&server), &host, room(1)).unwrap();
    let store = open(&server, &host, state.path());
    let origin = Origin { model: [7; 32], key: [1; 8] };
    let pump = device("pump");
    store.put(pump, 0, &origin, &[3; 600_000]).unwrap();
    says(store.expect_room(pump, 600_000), "no room");
    says(store.put(pump, 1, &origin, &[3; 600_000]), "no room");
    assert_eq!(store.sessions(pump).unwrap(), [(0, Some(origin))]);
    assert!(store.spend(pump, None, &spent(1)).unwrap(), "numbers have room");
    server.kill();
    let begun = Instant::now();
    says(store.spend(pump, Some(1), &spent(2)), "no answer within");
    let read = store.get(pump, 0, &origin, 600_000);
    assert!(matches!(read, Err(SpoolError::Store(_))), "it is not dropped: {read:?}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    says(Nats::open(&access(&server), &host, None), "is it running");
    server.begin();
    let back = Instant::now();
    loop {
        match store.spent(pump) {
            Ok(entry) => {
                let entry = entry.unwrap();
                assert!(entry.spent == spent(1) || entry.spent == spent(2));
                break;
            }
            Err(error) => assert!(back.elapsed() < Duration::from_secs(60), "{error}"),
        }
    }
    assert_eq!(store.get(pump, 0, &origin, 600_000).unwrap(), [3; 600_000]);
}
