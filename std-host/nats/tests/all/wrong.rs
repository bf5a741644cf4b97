//! What is wrong with a store is said, and nothing is spent on it.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use sharelet_host::store::StoreError;
use sharelet_host::store::engine::{Registry as _, Store as _};
use sharelet_host::store::host::{Counted, HostStore};
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::spent::Spent;
use sharelet_host::store::spool::{Origin, SpoolError};
use sharelet_link::Role;
use sharelet_nats::{Access, Made, Nats, Room, make};
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
    let make_with = |megabytes| make(&access(&server), &host, room(megabytes));
    assert_eq!(make_with(1).unwrap(), Made::Made);
    says(make_with(1), "already");
    says(make(&access(&server), &host, Room::default()), "already");
    assert_eq!(make_with(2).unwrap(), Made::Changed);
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
    make_with(2).unwrap();
    assert!(matches!(opened(), Err(StoreError::OtherStore { .. })));
    // Only part of it is there: killed at each step, or lost.
    let fresh = tempfile::tempdir().unwrap();
    anybody(&server, async |context| {
        context.delete_stream(format!("{BUCKET}-blobs")).await.unwrap();
    });
    says(Nats::open(&access(&server), &host, Some(fresh.path())), "a part of it is missing");
    assert_eq!(make_with(2).unwrap(), Made::Made);
    let store = open(&server, &host, fresh.path());
    let origin = Origin { model: [7; 32], key: [1; 8] };
    anybody(&server, async |context| {
        context.delete_stream(format!("KV_{BUCKET}")).await.unwrap();
    });
    assert_eq!(make_with(2).unwrap(), Made::Made, "nothing was dealt");
    store.put(device("pump"), 0, &origin, &[1; 9]).unwrap();
    anybody(&server, async |context| {
        context.delete_stream(format!("KV_{BUCKET}")).await.unwrap();
    });
    says(make_with(2), "the numbers of host a.b are gone");
}

#[test]
fn what_a_machine_has_spent_itself_is_on_its_disk() {
    let Some((mut server, host)) = made(Role::Host) else { return };
    let (state, pump) = (tempfile::tempdir().unwrap(), device("pump"));
    let store = open(&server, &host, state.path());
    assert!(store.spend(pump, None, &spent(5)).unwrap());
    server.kill();
    let copy = server.copy();
    server.begin();
    let seen = loop {
        if let Ok(entry) = store.spent(pump) {
            break entry.unwrap().revision;
        }
    };
    assert!(store.spend(pump, Some(seen), &spent(6)).unwrap());
    // As it is after a SIGKILL: nothing is written on the way out.
    let killed = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(state.path()).unwrap().flatten() {
        if file.path().is_file() {
            std::fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
        }
    }
    server.kill();
    server.restore(&copy);
    server.begin();
    let store = open(&server, &host, killed.path());
    says(store.spent(pump), "forgotten");
}

#[test]
fn a_key_that_was_revoked_does_not_come_back() {
    let Some((server, dealer)) = made(Role::Dealer) else { return };
    let (state, pump) = (tempfile::tempdir().unwrap(), device("pump"));
    let store = open(&server, &dealer, state.path());
    store.put_key(&DeviceKey::generate(pump).unwrap(), false).unwrap();
    let bucket = "sharelet-dealer-a_2eb";
    let mut old = None;
    anybody(&server, async |context| {
        old = context.get_key_value(bucket).await.unwrap().get("key.pump").await.unwrap();
    });
    assert!(store.key(pump).unwrap().is_some());
    assert!(store.forget_key(pump).unwrap());
    assert!(store.key(pump).unwrap().is_none());
    anybody(&server, async |context| {
        let kv = context.get_key_value(bucket).await.unwrap();
        kv.put("key.pump", old.unwrap()).await.unwrap();
    });
    says(store.key(pump), "revoked of pump is forgotten");
    drop(store);
    says(open(&server, &dealer, state.path()).key(pump), "revoked of pump is forgotten");
}

#[test]
fn what_never_came_whole_is_seen_and_removed() {
    let Some((server, host)) = made(Role::Host) else { return };
    let state = tempfile::tempdir().unwrap();
    let store = open(&server, &host, state.path());
    let origin = Origin { model: [7; 32], key: [1; 8] };
    let other = Origin { key: [2; 8], ..origin };
    let pump = device("pump");
    store.put(pump, 5, &origin, &[3; 2_500_000]).unwrap();
    store.put(pump, 5, &other, &[4; 100]).unwrap();
    anybody(&server, async |context| {
        use futures_util::TryStreamExt as _;
        let blobs = context.get_stream(format!("{BUCKET}-blobs")).await.unwrap();
        let mut subjects = blobs.info_with_subjects("sharelet.host.a_2eb.>").await.unwrap();
        while let Some((subject, _)) = subjects.try_next().await.unwrap() {
            if subject.ends_with(".3.2") {
                blobs.purge().filter(subject).await.unwrap();
            }
        }
    });
    let mut sessions = store.sessions(pump).unwrap();
    sessions.sort_unstable_by_key(|(_, origin)| origin.is_some());
    assert_eq!(sessions, [(5, None), (5, Some(other))]);
    assert_eq!(store.stock().unwrap(), [(pump, 1)]);
    let read = store.get(pump, 5, &origin, 2_500_000);
    assert!(matches!(read, Err(SpoolError::Missing { .. })), "{read:?}");
    // The other key's stay.
    store.remove(pump, 5, Some(&origin));
    assert_eq!(store.sessions(pump).unwrap(), [(5, Some(other))]);
    assert_eq!(store.get(pump, 5, &other, 100).unwrap(), [4; 100]);
    store.remove(pump, 5, None);
    assert!(store.sessions(pump).unwrap().is_empty());
}

#[test]
fn a_store_that_does_not_answer_holds_nobody_up() {
    let Some((server, host)) = made(Role::Host) else { return };
    let state = tempfile::tempdir().unwrap();
    let store = open(&server, &host, state.path());
    let origin = Origin { model: [7; 32], key: [1; 8] };
    let pump = device("pump");
    store.put(pump, 5, &origin, &[3; 100]).unwrap();
    server.signal("STOP");
    let begun = Instant::now();
    says(store.spent(pump), "no answer within");
    assert!(begun.elapsed() < Duration::from_secs(8));
    let begun = Instant::now();
    for _ in 0..1000 {
        says(store.spent(pump), "no answer within");
        says(store.spend(pump, None, &spent(1)), "no answer within");
        says(store.expect_there(), "no answer within");
        assert!(matches!(store.get(pump, 5, &origin, 100), Err(SpoolError::Store(_))));
        assert!(store.sessions(pump).is_err() && store.put(pump, 6, &origin, &[1]).is_err());
        store.remove(pump, 7, None);
    }
    // One of them may have asked again.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.signal("CONT");
    let back = Instant::now();
    while store.expect_there().is_err() {
        assert!(back.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(store.get(pump, 5, &origin, 100).unwrap(), [3; 100]);
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
    let counted = Counted { key: [1; 8], session: 5, counter: Some(5), model: [1; 8] };
    says(HostStore::shared(std::sync::Arc::new(store)).consume(pump, counted), "forgotten");
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
    type Change = (&'static str, fn(&mut stream::Config));
    let changes: [Change; 5] = [
        ("an age", |config| config.max_age = Duration::from_secs(3600)),
        ("a limit of messages", |config| config.max_messages = 9),
        ("a limit of bytes", |config| config.max_bytes = 1 << 20),
        ("rolled up", |config| config.allow_rollup = true),
        ("a limit of a message", |config| config.max_message_size = 99),
    ];
    let name = format!("KV_{BUCKET}");
    for (what, change) in changes {
        let mut before = None;
        anybody(&server, async |context| {
            let mut numbers = context.get_stream(&name).await.unwrap();
            let config = numbers.info().await.unwrap().config.clone();
            before = Some(config.clone());
            let mut changed = config;
            change(&mut changed);
            // A server may refuse some of them itself.
            if context.update_stream(changed).await.is_err() {
                before = None;
            }
        });
        let Some(before) = before else {
            println!("{what}: the server does not do that");
            continue;
        };
        says(Nats::open(&access(&server), &host, None), what);
        anybody(&server, async |context| {
            context.update_stream(before.clone()).await.unwrap();
        });
        drop(Nats::open(&access(&server), &host, None).unwrap());
    }
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

#[test]
fn the_permissions_of_the_page_are_enough_and_no_more() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/machines.md");
    let page = std::fs::read_to_string(page).unwrap();
    let settings = page.split("authorization {").nth(1).expect("the page has them");
    let settings = format!("authorization {{{}", settings.split("```").next().unwrap());
    let Some(server) = NatsServer::start_with(false, &settings) else { return };
    let (host, other) = (own(Role::Host, "hall-2"), own(Role::Host, "hall-3"));
    let at = |user: &str| {
        let url = server.url().replace("nats://", &format!("nats://{user}:...@"));
        Access::new(&url).unwrap()
    };
    for own in [&host, &other] {
        assert_eq!(make(&at("maker"), own, room(64)).unwrap(), Made::Made);
    }
    let state = tempfile::tempdir().unwrap();
    let store = Nats::open(&at("hall-2"), &host, Some(state.path())).unwrap();
    let (pump, origin) = (device("pump"), Origin { model: [7; 32], key: [1; 8] });
    store.expect_there().unwrap();
    store.expect_room(pump, 100).unwrap();
    assert!(store.spend(pump, None, &spent(1)).unwrap());
    assert_eq!(store.spent(pump).unwrap().unwrap().spent, spent(1));
    assert_eq!(store.spenders().unwrap(), [pump]);
    store.put(pump, 5, &origin, &[3; 2_000_000]).unwrap();
    assert_eq!(store.sessions(pump).unwrap(), [(5, Some(origin))]);
    assert_eq!(store.get(pump, 5, &origin, 2_000_000).unwrap(), [3; 2_000_000]);
    store.remove(pump, 5, Some(&origin));
    assert!(store.stock().unwrap().is_empty());
    // Another's store, and the making of one, are not its own.
    says(Nats::open(&at("hall-2"), &other, None), "no answer within");
    says(make(&at("hall-2"), &own(Role::Host, "hall-4"), room(1)), "no answer within");
    says(Nats::open(&at("nobody"), &host, None), "may this user use it");
}
