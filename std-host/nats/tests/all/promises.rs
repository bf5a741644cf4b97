//! What a store promises, whoever else uses it.

use std::collections::BTreeSet;
use std::sync::Arc;

use sharelet_core::keystream::KeyId;
use sharelet_host::store::StoreError;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::engine::{Registry as _, Store as _};
use sharelet_host::store::host::{Counted, HostStore, Quota};
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::keys::provision;
use sharelet_host::store::spool::{Origin, SpoolError};
use sharelet_link::{Party, Role};

use super::{device, made, open};

const KEY: KeyId = [1; 8];
const MODEL: [u8; 8] = [5; 8];

/// A session of the one model, of a device that tells nothing of its counter.
fn counted(session: u64) -> Counted {
    Counted { key: KEY, session, counter: None, model: MODEL }
}

#[test]
fn numbers_are_spent_once_by_all_hosts_together() {
    const HOSTS: usize = 4;
    const EACH: usize = 150;
    let Some((server, own)) = made(Role::Host) else { return };
    let pumps = [device("pump-1"), device("pump.2")];
    let claimed: Vec<Vec<(usize, u64)>> = std::thread::scope(|scope| {
        let host = |_| {
            scope.spawn(|| {
                let state = tempfile::tempdir().unwrap();
                let store = HostStore::shared(Arc::new(open(&server, &own, state.path())));
                let mut claimed = Vec::new();
                while claimed.len() < EACH {
                    let at = claimed.len() % 2;
                    let next = store.next_session(pumps[at], KEY).unwrap();
                    match store.consume(pumps[at], counted(next)) {
                        Ok(()) => claimed.push((at, next)),
                        Err(StoreError::SessionUsed { next: now, .. }) => assert!(now > next),
                        Err(error) => panic!("{error}"),
                    }
                }
                claimed
            })
        };
        let hosts: Vec<_> = (0..HOSTS).map(host).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    let all: BTreeSet<_> = claimed.iter().flatten().copied().collect();
    assert_eq!(all.len(), HOSTS * EACH, "none twice");
    for (at, pump) in pumps.into_iter().enumerate() {
        let of_pump = all.iter().filter(|(of, _)| *of == at).count() as u64;
        let state = tempfile::tempdir().unwrap();
        let store = HostStore::shared(Arc::new(open(&server, &own, state.path())));
        assert_eq!(store.next_session(pump, KEY).unwrap(), of_pump, "and none lost");
        assert_eq!(u64::from(store.served_today(pump).unwrap()), of_pump);
        assert_eq!(store.next_session(pump, [2; 8]).unwrap(), 0, "a new key begins anew");
    }
}

#[test]
fn limits_hold_over_all_hosts() {
    let Some((server, own)) = made(Role::Host) else { return };
    let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let quota = Quota { sessions_per_day: 3, devices: 2 };
    let stores = states.each_ref().map(|state| {
        HostStore::shared(Arc::new(open(&server, &own, state.path()))).with_quota(quota)
    });
    for session in 0..3 {
        let store = &stores[usize::try_from(session % 2).unwrap()];
        store.consume(device("a"), counted(session)).unwrap();
    }
    for store in &stores {
        assert!(matches!(store.expect_quota(device("a"), MODEL), Err(StoreError::Quota { .. })));
        assert!(matches!(store.consume(device("a"), counted(9)), Err(StoreError::Quota { .. })));
    }
    stores[0].consume(device("b"), counted(0)).unwrap();
    assert!(matches!(stores[1].consume(device("c"), counted(0)), Err(StoreError::Quota { .. })));
}

#[test]
fn who_is_revoked_at_one_machine_is_at_all() {
    let Some((server, own)) = made(Role::Host) else { return };
    let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let stores = states
        .each_ref()
        .map(|state| HostStore::shared(Arc::new(open(&server, &own, state.path()))));
    stores[0].consume(device("a"), counted(0)).unwrap();
    // Also one that was never here.
    for name in ["a", "b"] {
        stores[1].revoke(device(name), true).unwrap();
        for store in &stores {
            let refused = store.consume(device(name), counted(5));
            assert!(matches!(refused, Err(StoreError::Revoked)), "{refused:?}");
            assert!(matches!(store.expect_quota(device(name), MODEL), Err(StoreError::Revoked)));
        }
    }
    stores[0].consume(device("c"), counted(0)).unwrap();
    stores[0].revoke(device("a"), false).unwrap();
    stores[1].consume(device("a"), counted(5)).unwrap();
}

#[test]
fn corrections_lie_where_every_host_finds_them() {
    let Some((server, own)) = made(Role::Host) else { return };
    let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [one, other] = states.each_ref().map(|state| open(&server, &own, state.path()));
    let (pump, fan) = (device("pump.7"), device("pump"));
    let origin = Origin { model: [7; 32], key: KEY };
    // Of one part, and of several.
    let small = vec![3; 1000];
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0] ^ 5).collect();
    one.put(pump, 9, &origin, &small).unwrap();
    one.put(pump, u64::MAX, &origin, &large).unwrap();
    one.put(fan, 9, &origin, &large).unwrap();
    let listed = vec![(9, Some(origin)), (u64::MAX, Some(origin))];
    assert_eq!(other.sessions(pump).unwrap(), listed);
    assert_eq!(other.stock().unwrap(), [(fan, 1), (pump, 2)]);
    assert_eq!(other.get(pump, 9, &origin, small.len()).unwrap(), small);
    assert_eq!(other.get(pump, u64::MAX, &origin, large.len()).unwrap(), large);
    let missing = |found| matches!(found, Err(SpoolError::Missing { .. }));
    assert!(missing(other.get(pump, 9, &Origin { key: [2; 8], ..origin }, small.len())));
    assert!(missing(other.get(pump, 9, &origin, small.len() + 1)));
    assert!(missing(other.get(pump, 8, &origin, small.len())));
    other.remove(pump, u64::MAX, Some(&origin));
    other.remove(pump, u64::MAX, Some(&origin));
    assert_eq!(one.sessions(pump).unwrap(), listed[..1]);
    assert_eq!(one.get(fan, 9, &origin, large.len()).unwrap(), large, "another's stay");
    // Nothing is left of what was removed.
    one.remove(pump, 9, None);
    one.remove(fan, 9, None);
    assert!(one.stock().unwrap().is_empty() && one.sessions(pump).unwrap().is_empty());
}

#[test]
fn dealers_share_devices_models_and_numbers() {
    let Some((server, own)) = made(Role::Dealer) else { return };
    let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [one, other] = states.each_ref().map(|state| Arc::new(open(&server, &own, state.path())));
    let pump = device("pump.7");
    let given = |_: &DeviceKey| Ok::<_, StoreError>(());
    let first = provision(&*one, pump, false, given).unwrap();
    assert!(matches!(provision(&*other, pump, false, given), Err(StoreError::KeyExists { .. })));
    assert_eq!(other.key(pump).unwrap().unwrap().key_id(), first.key_id());
    let second = provision(&*other, pump, true, given).unwrap();
    assert_eq!(one.key(pump).unwrap().unwrap().key_id(), second.key_id());
    assert_eq!(one.devices().unwrap(), [pump]);
    assert!(one.forget_key(pump).unwrap() && !one.forget_key(pump).unwrap());
    assert!(other.key(pump).unwrap().is_none() && other.devices().unwrap().is_empty());
    provision(&*one, pump, false, given).unwrap();
    assert_eq!(other.devices().unwrap(), [pump]);

    let dealers = [one, other].map(|store| DealerStore::shared(store));
    dealers[0].record(pump, KEY, 4, 3).unwrap();
    assert_eq!(dealers[1].next_session(pump, KEY).unwrap(), 7);
    let used = dealers[1].record(pump, KEY, 6, 3);
    assert!(matches!(used, Err(StoreError::SessionUsed { next: 7, .. })), "{used:?}");
    let owner = |name| Party::new(Role::Host, name).unwrap();
    for (byte, name) in (0..).zip(["a", "a.b", "b"]) {
        dealers[0].put_model(Some(owner(name)), &[7; 32], &vec![byte; 2_000_000]).unwrap();
    }
    dealers[1].put_model(None, &[7; 32], &[9; 10]).unwrap();
    assert_eq!(dealers[1].model(Some(owner("a.b")), &[7; 32]).unwrap(), Some(vec![1; 2_000_000]));
    assert_eq!(dealers[0].model(None, &[7; 32]).unwrap(), Some(vec![9; 10]));
    assert_eq!(dealers[0].model(None, &[8; 32]).unwrap(), None);
    assert_eq!(dealers[0].model_count().unwrap(), 4);
    // The oldest of an owner go.
    for id in 8..12 {
        dealers[0].make_room(owner("a"), 3).unwrap();
        dealers[1].put_model(Some(owner("a")), &[id; 32], &[id]).unwrap();
    }
    let there = |id| dealers[0].model(Some(owner("a")), &[id; 32]).unwrap().is_some();
    assert_eq!([7, 8, 9, 10, 11].map(there), [false, false, true, true, true]);
    let _named = dealers[0].remove_model(Some(owner("a")), &[11; 32]);
    assert!(!there(11) && there(10));
}
