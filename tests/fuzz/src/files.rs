//! Files of a device's, host's or server's own: damaged ones are refused. Where a check sum would
//! refuse whatever is changed, it is made anew.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sharelet_channel::{PairingKey, Pin, Ratchet, StaticKey};
use sharelet_core::session::wire::checksum::crc32;
use sharelet_core::session::wire::task::Task;
use sharelet_core::share::Party as Share;
use sharelet_core::{DeviceId, Key};
use sharelet_flash::page::{KeyPage, PAGE_BYTES};
use sharelet_host::data::description::Description;
use sharelet_host::data::openings::Openings;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::datasets::Datasets;
use sharelet_host::store::embedded::Embedded;
use sharelet_host::store::engine::Store as _;
use sharelet_host::store::host::RECORD;
use sharelet_host::store::identity::{Card, Own};
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::peers::{Paired, PeersFolder};
use sharelet_host::store::spent::Spent;
use sharelet_host::store::spool::Origin;
use sharelet_host::store::{task, training};
use sharelet_link::{Party, Peers as _, Role};
use sharelet_model::readings::columns::Columns;
use sharelet_train::labels::Labels;
use tempfile::TempDir;

use crate::seeds::{tagged, untagged, vectors};

/// Bytes of a key page before its check sum.
const CHECKED_BYTES: usize = PAGE_BYTES - 36;

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("a folder");
    static SPOOL: (TempDir, Embedded) = {
        let folder = TempDir::new().expect("a folder");
        let store = Embedded::open(folder.path(), RECORD).expect("a new state");
        (folder, store)
    };
}

/// Runs with the path of a file that has these bytes.
fn with_file<T>(name: &str, bytes: &[u8], run: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("is made");
        fs::write(&path, bytes).expect("writes");
        run(&path)
    })
}

fn peer() -> Party {
    Party::new(Role::Host, "hall-2").expect("a name")
}

/// A key page, with its own check sum and with the right one.
pub fn page(bytes: &[u8]) {
    let mut page = [0; PAGE_BYTES];
    page.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    read_page(&page);
    let sum = crc32(&page[..CHECKED_BYTES]).to_le_bytes();
    page[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&sum);
    read_page(&page);
}

fn read_page(bytes: &[u8; PAGE_BYTES]) {
    let Ok(page) = KeyPage::parse(bytes) else { return };
    let again = KeyPage::parse(&page.to_bytes()).expect("what was read is written well");
    assert_eq!(*again.to_bytes(), *page.to_bytes());
    for peer in page.peers() {
        let _ = (page.pin(peer), page.ratchet(peer), page.peer_of(peer.role));
    }
    let _ = (page.identity(), page.key_id(), page.counter_start(), page.static_key());
}

pub fn page_seeds() -> Vec<Vec<u8>> {
    let own = Party::new(Role::Device, "pump-07").expect("a name");
    let key = || Key::from_bytes([3; 32]);
    let static_key = StaticKey::from_bytes([4; 32]);
    let mut by_static = KeyPage::new(own, key(), &static_key, 7);
    let pairing = PairingKey::from_bytes([5; 32]);
    by_static.pair(peer(), &Pin { public: static_key.public(), pairing }).expect("has room");
    let mut provisioned = KeyPage::provisioned(own, key(), 1 << 40);
    provisioned.provision(peer(), key()).expect("has room");
    [by_static, provisioned].iter().map(|page| page.to_bytes().to_vec()).collect()
}

/// Identities, cards, peers, keys, counters, tasks, records of what was spent, and corrections; the
/// first byte says which.
pub fn store(bytes: &[u8]) {
    let Some((kind, bytes)) = untagged(bytes, 7) else { return };
    match kind {
        0 => with_file("identity", bytes, |path| {
            let _ = (Own::load(path).is_ok(), Card::load(path).is_ok());
        }),
        1 => with_file("peers/host-hall-2", bytes, |path| {
            let peers = PeersFolder::new(path.parent().expect("a folder").to_owned());
            let _ = (peers.pin(&peer()), peers.ratchet(&peer()), peers.all());
        }),
        2 => {
            let _ = DeviceKey::from_bytes(bytes);
            if let Some(key) = bytes.first_chunk::<56>() {
                let sum = crc32(key).to_le_bytes();
                let _ = DeviceKey::from_bytes(&[key.as_slice(), &sum, &[0; 4]].concat());
            }
        }
        3 => {
            let key = with_file("key", &*device_key().to_bytes(), Path::to_owned);
            let _ = with_file("counter", bytes, |path| FileCounter::open(path, &key, false));
        }
        4 => with_file("task", bytes, |path| {
            let _ = task::load(path);
        }),
        5 => {
            let Some(spent) = Spent::from_bytes(bytes) else { return };
            assert!(spent.follows(&spent));
            let (key, mut more) = ([1; 8], spent.clone());
            if more.spend(key, more.next(key), 1).is_ok() {
                more.count(1 << 40, [2; 8]);
                assert!(more.follows(&spent) && more.has_had([2; 8]));
            }
            assert_eq!(Spent::from_bytes(&more.to_bytes()), Some(more));
        }
        _ => {
            spooled(bytes);
            let sum = crc32(bytes).to_le_bytes();
            spooled(&[bytes, &sum].concat());
        }
    }
}

/// What corrections begin with.
const SPOOL_HEADER: usize = 62;
const SPOOL_SESSION: u64 = 7;

/// The corrections that a file in a host's spool holds for the session that it is for: those that
/// are taken are all of it.
fn spooled(bytes: &[u8]) -> Option<Vec<u8>> {
    SPOOL.with(|(folder, store)| {
        let device = device_key().device;
        let path = folder.path().join(format!("spool/device-{device}/{SPOOL_SESSION:020}.cor"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("is made");
        fs::write(&path, bytes).expect("writes");
        let sessions = store.sessions(device).expect("a folder");
        let [(SPOOL_SESSION, origin)] = sessions[..] else { panic!("{sessions:?}") };
        let length = bytes.len().checked_sub(SPOOL_HEADER + 4)?;
        let read = store.get(device, SPOOL_SESSION, &origin?, length).ok()?;
        assert_eq!(read, bytes[SPOOL_HEADER..SPOOL_HEADER + length]);
        Some(read)
    })
}

fn device_key() -> DeviceKey {
    let device = DeviceId::new("pump-07").expect("a name");
    DeviceKey { device, key: Key::from_bytes([3; 32]), used: false }
}

/// What a program writes to a file.
fn written<E: core::fmt::Debug>(save: impl FnOnce(&Path) -> Result<(), E>) -> Vec<u8> {
    with_file("written", &[], |path| {
        save(path).expect("saves");
        fs::read(path).expect("reads")
    })
}

pub fn store_seeds() -> Vec<Vec<u8>> {
    let own = Own { party: peer(), key: StaticKey::from_bytes([4; 32]) };
    let pin = || Pin { public: own.key.public(), pairing: PairingKey::from_bytes([5; 32]) };
    let put = |paired: &Paired| {
        let folder = TempDir::new().expect("a folder");
        let peers = PeersFolder::new(folder.path().to_owned());
        peers.put(&peer(), paired).expect("saves");
        fs::read(folder.path().join("host-hall-2")).expect("reads")
    };
    let key = device_key();
    let mut seeds = vec![
        tagged(0, &written(|path| own.save(path))),
        tagged(0, &written(|path| own.card().save(path))),
        tagged(1, &put(&Paired::Static(pin()))),
        tagged(1, &put(&Paired::Provisioned(Ratchet::new(Key::from_bytes([6; 32]))))),
        tagged(2, &*key.to_bytes()),
        tagged(3, &written(|path| FileCounter::create(path, key.key_id()))),
    ];
    let tasks = vectors("v").into_iter().filter(|bytes| bytes.starts_with(b"SLTT"));
    seeds.extend(tasks.map(|task| tagged(4, &task)));
    let task = Task {
        ring_bits: 64,
        input_frac_bits: 20,
        output_frac_bits: 40,
        inputs: 1,
        outputs: 1,
        input_limit: 4096,
        model: [7; 16],
    };
    let columns = Some(Columns { features: vec!["a".to_owned()], labels: vec!["b".to_owned()] });
    seeds.push(tagged(
        4,
        &written(|path| task::save(&task::TaskFile { task, columns, exponents: Vec::new() }, path)),
    ));
    let scaled = Task { ring_bits: 32, inputs: 3, ..task };
    let exponents = vec![-5, 0, 60];
    seeds.push(tagged(
        4,
        &written(|path| {
            task::save(&task::TaskFile { task: scaled, columns: None, exponents }, path)
        }),
    ));
    let mut spent = Spent::default();
    spent.spend([1; 8], 5, 3).expect("unspent");
    spent.spend_at([2; 8], 9, 9).expect("unspent");
    spent.count(1 << 30, [4; 8]);
    seeds.push(tagged(5, &spent.to_bytes()));
    let corrections = SPOOL.with(|(folder, store)| {
        let (device, origin) = (key.device, Origin { model: [1; 32], key: key.key_id() });
        store.put(device, SPOOL_SESSION, &origin, b"corrections").expect("writes");
        let file = format!("spool/device-{device}/{SPOOL_SESSION:020}.cor");
        fs::read(folder.path().join(file)).expect("reads")
    });
    assert_eq!(spooled(&corrections).as_deref(), Some(&b"corrections"[..]));
    // Without its check sum, which is made anew, too.
    seeds.push(tagged(6, &corrections[..corrections.len() - 4]));
    seeds.push(tagged(6, &corrections));
    seeds
}

/// Bytes, and behind them their SHA-256.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &Sha256::digest(bytes)].concat()
}

/// A session that `sharelet explain` has told, as the page to learn from reads it.
pub fn trace(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = sharelet_page::trace::answer(text);
    }
}

pub fn trace_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../learn/page/example.json").to_vec()]
}

/// A server's share of a model: a checkpoint.
pub fn share(bytes: &[u8]) {
    with_file("step-1", &sealed(bytes), |path| {
        if let Ok(share) = training::Share::load(path) {
            let again = written(|path| share.save(path));
            let again = with_file("again", &again, training::Share::load).expect("was written");
            assert_eq!((again.header, again.words), (share.header, share.words));
        }
    });
}

pub fn share_seeds() -> Vec<Vec<u8>> {
    let header = training::Header {
        party: 1,
        run: [3; 16],
        step: 12,
        sizes: sharelet_train::course::Sizes {
            rows: 9,
            features: 2,
            targets: 1,
            test_rows: 0,
            ..Default::default()
        },
        columns: Columns { features: vec!["a".to_owned(), "b".to_owned()], labels: Vec::new() },
        train: [4; 32],
        test: Some([5; 32]),
        config: "batch = 3".to_owned(),
        curve: vec![1, 2, 3],
    };
    let share = training::Share { header, words: vec![1, u64::MAX, 3] };
    let mut bytes = written(|path| share.save(path));
    bytes.truncate(bytes.len() - 32);
    vec![bytes]
}

/// An owner's upload at a server, as a registered part of a dataset; the first byte says at which.
pub fn dataset(bytes: &[u8]) {
    let Some((party, bytes)) = untagged(bytes, 2) else { return };
    let party = if party == 0 { Share::P0 } else { Share::P1 };
    with_file("datasets/dataset-d/upload.share", &sealed(bytes), |path| {
        let folder: PathBuf = path.ancestors().nth(2).expect("a folder").to_owned();
        let datasets = Datasets::read(&folder, party);
        let name = "d".parse().expect("a name");
        let _ = (datasets.names(), datasets.uploads(&name));
        let _ = datasets.dataset(&name);
    });
}

#[derive(Serialize)]
struct Head {
    party: u8,
    description: Description,
}

pub fn dataset_seeds() -> Vec<Vec<u8>> {
    let upload = |party: u8, rows: u64, keyed, labels: Labels| {
        let columns = vec!["a".to_owned(), "b".to_owned()];
        let description = Description {
            id: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            dataset: "d".parse().expect("a name"),
            owner: "o".parse().expect("a name"),
            rows,
            columns,
            label_columns: vec!["y".to_owned(); usize::from(labels != Labels::None)],
            labels,
            frac_bits: 16,
            keyed,
            standardised: false,
            feature_bits: 22,
            target_bits: 21,
            openings: Openings::default(),
        };
        let keys = if keyed { 32 * rows } else { 0 };
        let words = if party == 0 { 32 } else { 8 * description.elems().expect("few") };
        let head = postcard::to_allocvec(&Head { party, description }).expect("plain data");
        let length = (head.len() as u32).to_le_bytes();
        let body = vec![7; (keys + words) as usize];
        let file = [b"SLTS".as_slice(), &4_u16.to_le_bytes(), &length, &head, &body].concat();
        tagged(party.into(), &file)
    };
    vec![
        upload(0, 2, false, Labels::None),
        upload(1, 2, false, Labels::None),
        upload(0, 2, true, Labels::None),
        upload(1, 2, true, Labels::None),
        // More rows than any machine has room for.
        upload(0, 1 << 56, false, Labels::Binary),
    ]
}
