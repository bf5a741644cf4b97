//! Between hosts or servers and the dealer.

use sharelet_core::binding::Order;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_host::dealer::wire::{
    self, Deal, Dealing, Kind, Offer, Ordered, Refusal, Serve, Status, StatusIs, Train, VERSION,
};
use sharelet_link::frame;
use sharelet_model::MAX_LAYERS;
use sharelet_train::config::{Arithmetic, Truncation};
use sharelet_train::course::Sizes;
use sharelet_train::network::{self, Loss, Shape, Window};
use sharelet_train::tensor::offline::{Dealt, Plan};

use super::{
    Vectors, at_end, counted, encoded, greeting, headed, longer, read, reader, shorter, with,
    written, wrong_length,
};

fn vectors() -> Vectors {
    Vectors::of("dealer", VERSION, 5)
}

fn device() -> DeviceId {
    DeviceId::new("pump-07").unwrap()
}

fn order() -> Order {
    Order::from_bytes(core::array::from_fn(|at| 0xe0 + u8::try_from(at).unwrap()))
}

fn deal() -> Deal {
    let first = (1 << 40) - 5;
    let ordered = wire::Window { first, count: 1024, order: order() };
    Deal { device: device(), model: [0x33; 32], first: 1 << 40, count: 16, ordered }
}

/// With a key's public name and an order.
fn ordered<D>(description: D) -> Ordered<D> {
    Ordered { key: [0x5a; 8], order: order(), description }
}

fn train() -> Train {
    let config = "name = \"run\"\n".to_owned();
    let sizes =
        Sizes { rows: 60_000, features: 784, targets: 10, test_rows: 10_000, ..Default::default() };
    Train { device: device(), first: 1 << 33, count: 1000, steps: 50, sizes, config }
}

/// 72 bytes: a seed, 24 bytes of records, two words of products.
fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.product_elems = 2;
    plan.usage.dealt_bytes = 24;
    plan
}

fn serve() -> Serve {
    let window = Window { kernel: (3, 2), stride: (1, 2), padding: (1, 0) };
    Serve {
        device: device(),
        first: 300,
        count: 64,
        network: network::Network {
            input: Shape { channels: 1, height: 8, width: 8 },
            layers: vec![
                network::Layer::Convolution { filters: 4, window },
                network::Layer::Relu,
                network::Layer::MaxPool(window),
                network::Layer::AveragePool(window),
                network::Layer::Dense { outputs: 10 },
            ],
            loss: Loss::CrossEntropy,
        },
        arithmetic: Arithmetic { frac_bits: 20, truncation: Truncation::Exact },
        standardised: 784,
    }
}

#[tokio::test]
async fn greetings_and_control_messages() {
    for (name, kind) in [("hello", Kind::Hello), ("welcome", Kind::Welcome)] {
        let bytes = greeting(kind).await;
        let bytes = vectors().frame(name, "the first frame of a side", &VERSION, &bytes);
        let mut reader = reader(&bytes);
        frame::read_hello(&mut reader, kind).await.unwrap();
        at_end(&mut reader).await;
    }
    for (name, what, kind) in [
        ("wanted", "dealer to host: the masked model is to follow", Kind::Wanted),
        ("known", "dealer to host: it has the masked model", Kind::Known),
        ("agreed", "dealer to server 1: the sessions follow", Kind::Agreed),
        ("next", "server 1 to dealer: one more session", Kind::Next),
    ] {
        vectors().message(name, what, kind, ()).await;
    }
    let vectors = vectors();
    let status = Status { device: device() };
    vectors
        .message("status", "host to dealer: how does a device stand", Kind::Status, status)
        .await;
    let status = StatusIs { key: [0x5a; 8], next_session: u64::MAX - 1 };
    vectors.message("status_is", "dealer to host: how it stands", Kind::StatusIs, status).await;
    let hidden = Layer::dense(300, 20, 14, 12, Activation::Relu);
    let last = Layer::dense(20, 4, 13, 0, Activation::Identity);
    let network: Network<MAX_LAYERS> = Network::new(8, 1 << 12, &[hidden, last]).unwrap();
    let offer = Offer { id: core::array::from_fn(|i| u8::try_from(i).unwrap()), network };
    vectors.message("offer", "host to dealer: a masked model", Kind::Offer, offer).await;
    vectors
        .message("deal", "host to dealer: sessions to deal, ordered (e0 to ef)", Kind::Deal, deal())
        .await;
    let dealing = Dealing { key: [0x5a; 8], bytes_each: 70_000 };
    vectors.message("dealing", "dealer to host: what follows", Kind::Dealing, dealing).await;
    let what = "server 1 to dealer: a training run, ordered (e0 to ef)";
    vectors.message("train", what, Kind::Train, ordered(train())).await;
    let what = "server 1 to dealer: a shared model, ordered (e0 to ef)";
    vectors.message("serve", what, Kind::Serve, ordered(serve())).await;
}

#[tokio::test]
async fn refusals() {
    let refusals = [
        ("version", Refusal::Version { ours: 700 }),
        ("unknown_device", Refusal::UnknownDevice),
        ("unknown_model", Refusal::UnknownModel),
        ("session_used", Refusal::SessionUsed { next: 1 << 40 }),
        ("no_order", Refusal::NoOrder),
        ("other_key", Refusal::OtherKey),
        ("wrong_role", Refusal::WrongRole),
        ("bad_run", Refusal::BadRun),
        ("count", Refusal::Count { limit: 1024 }),
        ("bad_network", Refusal::BadNetwork),
        ("too_large", Refusal::TooLarge),
        ("too_many_models", Refusal::TooManyModels { limit: 256 }),
        ("digest", Refusal::Digest),
        ("state", Refusal::State),
        ("protocol", Refusal::Protocol),
        ("busy", Refusal::Busy),
        ("shutting_down", Refusal::ShuttingDown),
        ("too_slow", Refusal::TooSlow),
    ];
    let next = u8::try_from(refusals.len()).unwrap();
    vectors().refusals("dealer to host: no, and why", Kind::Known, &refusals, next).await;
}

async fn correction(session: u64) -> Vec<u8> {
    written(async |writer| {
        wire::send_correction(writer, session, &counted(0x40, 16)).await.unwrap();
    })
    .await
}

async fn session(number: u64) -> Vec<u8> {
    let dealt = Dealt::parse(&plan(), counted(0x80, 72)).unwrap();
    written(async |writer| wire::send_session(writer, number, &dealt).await.unwrap()).await
}

#[tokio::test]
async fn bulk() {
    let matrices = counted(0, 24);
    let mut sent = 0;
    let bytes = written(async |writer| {
        wire::send_masked(writer, &matrices, &mut |bytes| sent += bytes).await.unwrap();
    });
    let bytes = bytes.await;
    assert_eq!(sent, 24);
    let what = "host to dealer: the matrices";
    let bytes = vectors().frame("masked", what, &"00 to 17", &bytes);
    let read = frame::receive_bytes(&mut reader(&bytes), Kind::Masked, 24).await.unwrap();
    assert_eq!(read, matrices);

    let what = "dealer to host: session, corrections, CRC-32";
    let bytes = vectors().frame("correction", what, &"40 to 4f", &correction(7).await);
    let read = wire::receive_correction(&mut reader(&bytes), 7, 16).await.unwrap();
    assert_eq!(read, counted(0x40, 16));

    let what = "dealer to server 1: session, seed, records, words of products, CRC-32";
    let bytes = vectors().frame("session", what, &"80 to c7", &session(7).await);
    let read = wire::receive_session(&mut reader(&bytes), 7, &plan()).await.unwrap();
    let parts = [read.seed().as_slice(), read.records(), &read.product_bytes()].concat();
    assert_eq!(parts, counted(0x80, 72));
}

#[tokio::test]
async fn every_kind_has_a_vector() {
    assert_eq!(vectors().kinds(), (1..=12).chain(16..=20).collect());
}

#[tokio::test]
async fn bad_messages() {
    let (hello, welcome) = (greeting(Kind::Hello).await, greeting(Kind::Welcome).await);
    let asked = encoded(Kind::Deal, &deal()).await;
    let Deal { device, model, first, count, .. } = deal();
    let no_order = encoded(Kind::Deal, &(device, model, first, count)).await;
    let [no_train, no_serve] =
        [encoded(Kind::Train, &train()).await, encoded(Kind::Serve, &serve()).await];
    let (dealt, session, other) = (correction(7).await, session(7).await, session(6).await);
    let huge = u32::MAX;
    for (name, due, error, bytes) in [
        ("hello_magic", "Hello", "NotSharelet", with(&hello, 5, b"X")),
        ("hello_version", "Hello", "Version { theirs: 9 }", with(&hello, 9, &[9])),
        ("hello_short", "Hello", "Malformed { kind: Hello }", shorter(&hello)),
        ("hello_long", "Hello", "Malformed { kind: Hello }", longer(&hello)),
        ("hello_huge", "Hello", "NotSharelet", headed(Kind::Hello, 1025, &[])),
        ("hello_cut", "Hello", "Closed", hello[..8].to_vec()),
        ("hello_other", "Hello", "NotSharelet", asked.clone()),
        ("not_a_frame", "Hello", "NotSharelet", b"GET / HTTP/1.1\r\n".to_vec()),
        ("welcome_magic", "Welcome", "NotSharelet", with(&welcome, 8, b"U")),
        ("welcome_version", "Welcome", "Version { theirs: 258 }", with(&welcome, 9, &[2, 1])),
        ("empty", "Deal", "Closed", Vec::new()),
        ("header_cut", "Deal", "Closed", asked[..4].to_vec()),
        ("deal_cut", "Deal", "Closed", asked[..20].to_vec()),
        ("deal_short", "Deal", "Malformed { kind: Deal }", shorter(&asked)),
        ("deal_trailing", "Deal", "Malformed { kind: Deal }", longer(&asked)),
        ("deal_name", "Deal", "Malformed { kind: Deal }", with(&asked, 5, b" ")),
        ("deal_no_order", "Deal", "Malformed { kind: Deal }", no_order),
        ("train_no_order", "Train", "Malformed { kind: Train }", no_train),
        ("serve_no_order", "Serve", "Malformed { kind: Serve }", no_serve),
        (
            "agreed_long",
            "Agreed",
            &wrong_length(Kind::Agreed, 0, 9),
            headed(Kind::Agreed, 9, &[0; 9]),
        ),
        ("unknown_kind", "Deal", "UnknownFrame { kind: 13 }", with(&asked, 0, &[13])),
        ("kind_0", "Deal", "UnknownFrame { kind: 0 }", with(&asked, 0, &[0])),
        ("deal_long", "Deal", &wrong_length(Kind::Deal, 1024, 1025), headed(Kind::Deal, 1025, &[])),
        ("unexpected", "Known", "UnexpectedFrame { expected: Known, found: Deal }", asked.clone()),
        (
            "train_long",
            "Train",
            &wrong_length(Kind::Train, 65_536, 65_537),
            headed(Kind::Train, 65_537, &[]),
        ),
        ("train_empty", "Train", "Malformed { kind: Train }", headed(Kind::Train, 0, &[])),
        (
            "serve_long",
            "Serve",
            &wrong_length(Kind::Serve, 65_536, huge),
            headed(Kind::Serve, huge, &[]),
        ),
        ("refuse_unknown", "Known", "Malformed { kind: Refuse }", headed(Kind::Refuse, 1, &[99])),
        (
            "masked_length",
            "Masked",
            &wrong_length(Kind::Masked, 24, 25),
            headed(Kind::Masked, 25, &[]),
        ),
        ("masked_cut", "Masked", "Closed", headed(Kind::Masked, 24, &[0; 23])),
        (
            "correction_length",
            "Correction",
            &wrong_length(Kind::Correction, 28, 29),
            longer(&dealt),
        ),
        ("correction_cut", "Correction", "Closed", dealt[..30].to_vec()),
        ("correction_checksum", "Correction", "Checksum { session: 7 }", with(&dealt, 20, &[0])),
        (
            "correction_session",
            "Correction",
            "WrongSession { expected: 7, found: 8 }",
            correction(8).await,
        ),
        ("session_length", "Session", &wrong_length(Kind::Session, 84, 83), shorter(&session)),
        ("session_cut", "Session", "Closed", session[..50].to_vec()),
        ("session_checksum", "Session", "Checksum { session: 7 }", with(&session, 50, &[0])),
        ("session_number", "Session", "WrongSession { expected: 7, found: 6 }", other),
    ] {
        vectors().bad(name, due, error, &bytes);
    }
    let played = vectors().play_bad(async |due, mut reader| {
        let reader = &mut reader;
        match due {
            "Hello" => frame::read_hello(reader, Kind::Hello).await,
            "Welcome" => frame::read_hello(reader, Kind::Welcome).await,
            "Deal" => read::<Deal, _>(reader, Kind::Deal).await.map(drop),
            "Train" => read::<Ordered<Train>, _>(reader, Kind::Train).await.map(drop),
            "Serve" => read::<Ordered<Serve>, _>(reader, Kind::Serve).await.map(drop),
            "Agreed" => frame::receive_bytes(reader, Kind::Agreed, 0).await.map(drop),
            "Known" => frame::receive_bytes(reader, Kind::Known, 0).await.map(drop),
            "Masked" => frame::receive_bytes(reader, Kind::Masked, 24).await.map(drop),
            "Correction" => wire::receive_correction(reader, 7, 16).await.map(drop),
            "Session" => wire::receive_session(reader, 7, &plan()).await.map(drop),
            due => panic!("{due}"),
        }
    });
    assert_eq!(played.await, 38);
}
