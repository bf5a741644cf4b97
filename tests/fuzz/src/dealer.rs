//! The dealer against a peer that sends any bytes, in every state: after the greeting, in the
//! middle of a masked model, with sessions that were ordered, in a training run, with a shared
//! model.

use std::path::Path;
use std::sync::Arc;

use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::{DeviceId, Key};
use sharelet_host::dealer::wire::{Deal, Description, Kind, Offer, Ordered, Serve, Status};
use sharelet_host::dealer::wire::{Train, VERSION, Window};
use sharelet_host::dealer::{Dealer, masked};
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::key::DeviceKey;
use sharelet_train::config::{Arithmetic, Config};
use sharelet_train::course::{Course, Sizes};

use crate::memory::Memory;
use crate::served::hears;

const KEY: [u8; 32] = [7; 32];

fn pump() -> DeviceId {
    DeviceId::new("pump").unwrap()
}

/// What a peer hears that says `bytes`, and then no more.
fn spoken(bytes: &[u8]) -> Vec<u8> {
    let memory = Arc::new(Memory::of(pump(), KEY));
    hears(Dealer::new(DealerStore::shared(memory), 4), bytes)
}

pub fn run(bytes: &[u8]) {
    let _ = spoken(bytes);
}

fn frame<T: serde::Serialize>(kind: Kind, message: &T) -> Vec<u8> {
    framed(kind, &postcard::to_allocvec(message).unwrap())
}

fn framed(kind: Kind, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind as u8][..], &length, body].concat()
}

fn key() -> DeviceKey {
    DeviceKey { device: pump(), key: Key::from_bytes(KEY), used: false }
}

/// As server 0 orders it.
fn ordered<D: Description>(description: D) -> Ordered<D> {
    let key = key();
    let binding = description.bind(&Keystream::new(&key.key)).unwrap();
    Ordered { key: key.key_id(), order: description.order(&binding, None), description }
}

/// What an honest peer says after the greeting, in each of the dealer's states; and how many
/// frames the dealer answers with.
fn honest() -> Vec<(Vec<u8>, usize)> {
    let layers = [
        Layer::dense(3, 4, 10, 9, Activation::Relu),
        Layer::dense(4, 2, 10, 0, Activation::Identity),
    ];
    let network = Network::new(8, 1 << 12, &layers).unwrap();
    let matrices = vec![3; usize::try_from(masked::bytes(&network)).unwrap()];
    let description = masked::description(&network);
    let id = masked::id(&description, &matrices);
    let offer =
        [frame(Kind::Offer, &Offer { id, network }), framed(Kind::Masked, &matrices)].concat();
    let binding = Binding::of_network(&Keystream::<ChaCha12>::new(&key().key), &description, &id);
    let window = |first| {
        let order = binding.order(&DeviceId::proved(None), first, ORDER_SESSIONS);
        Window { first, count: ORDER_SESSIONS, order }
    };
    let deal = |first, count| {
        frame(Kind::Deal, &Deal { device: pump(), model: id, first, count, ordered: window(first) })
    };
    let text = "[data]\ntrain = \"train\"\n[model]\nkind = \"linear-regression\"\n[training]\n\
                epochs = 1\nbatch = 4\nlearning_rate = 0.1\n";
    let config = Config::parse(text, Path::new("a run")).unwrap();
    let sizes = Sizes { rows: 4, features: 2, targets: 1, test_rows: 0, ..Sizes::default() };
    let course = Course::new(config, sizes).unwrap();
    let count = u32::try_from(course.sessions(0).count()).unwrap();
    let config = course.config().text().unwrap();
    let train = Train { device: pump(), first: 0, count, steps: 0, sizes, config };
    let serve = Serve {
        device: pump(),
        first: 0,
        count: 3,
        network: course.network().clone(),
        arithmetic: Arithmetic::default(),
        standardised: 0,
    };
    let next = |count: usize| framed(Kind::Next, &[]).repeat(count);
    let sessions = usize::try_from(count).unwrap();
    vec![
        (frame(Kind::Status, &Status { device: pump() }), 1),
        (offer.clone(), 2),
        ([offer.clone(), deal(0, 2), deal(5, 1)].concat(), 2 + 3 + 2),
        ([frame(Kind::Train, &ordered(train)), next(sessions)].concat(), 1 + sessions),
        ([frame(Kind::Serve, &ordered(serve)), next(3)].concat(), 1 + 3),
    ]
}

fn hello() -> Vec<u8> {
    framed(Kind::Hello, &[&b"SLTD"[..], &VERSION.to_le_bytes()].concat())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let all = honest().into_iter().map(|(said, answers)| {
        let bytes = [hello(), said].concat();
        // Seeds that are refused would lead nowhere: a frame for the greeting, and the answers.
        let heard = spoken(&bytes);
        let mut kinds = Vec::new();
        let mut rest = &heard[..];
        while let Some((header, body)) = rest.split_first_chunk::<5>() {
            let [kind, length @ ..] = *header;
            kinds.push(kind);
            rest = &body[u32::from_le_bytes(length) as usize..];
        }
        assert_eq!(kinds.len(), 1 + answers, "{kinds:?}");
        assert!(!kinds.contains(&(Kind::Refuse as u8)), "{kinds:?}");
        bytes
    });
    all.collect()
}
