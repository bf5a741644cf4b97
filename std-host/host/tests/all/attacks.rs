//! Attacks that were carried out against honest parties, over real connections, and must fail.

use std::sync::Arc;

use sharelet_core::binding::{Binding, Order};
use sharelet_core::keystream::{Domain, Keystream, Kind};
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::session::SessionError;
use sharelet_core::session::wire::control::{self, Answer, DeviceId, Grant, Request};
use sharelet_core::session::wire::frame;
use sharelet_host::dealer::client::{Client, ClientError};
use sharelet_host::dealer::masked;
use sharelet_host::dealer::wire::{self, Deal, Description, Ordered, Refusal, Serve, Train};
use sharelet_host::dealer::{Dealer, MODELS};
use sharelet_host::device::DeviceError;
use sharelet_host::host::model::HostModel;
use sharelet_host::host::provider::Source;
use sharelet_host::host::{Host, Patience};
use sharelet_host::store::StoreError;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::dealer::DealerStore;
use sharelet_host::store::embedded::Embedded;
use sharelet_host::store::host::{HostStore, RECORD};
use sharelet_host::store::key::DeviceKey;
use sharelet_link::monitor::Watched as _;
use sharelet_link::{LinkError, Party, Role, Route};
use sharelet_testkit::room::{
    self, Log, Running, SOON, Scenario, limits, random_readings, rogue, run, twin, when_unlocked,
};
use sharelet_testkit::sealed::{party, posing, route};
use sharelet_testkit::training::{Room, STALL, config};
use sharelet_train::config::{Arithmetic, Truncation};
use sharelet_train::course::{Course, Sizes};
use sharelet_train::network::{Layer, Loss, Network, Shape, Window};
use sharelet_train::serving::Serving;
use sharelet_train::tensor::offline::Plan;

/// An image of one channel.
const SIDE: usize = 6;

/// A filter of one pixel that moves `padding` pixels beyond the image.
fn network(padding: usize) -> Network {
    let window = Window { kernel: (1, 1), stride: (1, 1), padding: (padding, padding) };
    let input = Shape { channels: 1, height: SIDE, width: SIDE };
    let layers = vec![Layer::Convolution { filters: 1, window }];
    Network { input, layers, loss: Loss::SquaredError }
}

/// Server 0's words of a session: masks of what it sends, then its shares of products.
fn words(binding: &Binding, session: u64, plan: &Plan) -> Vec<u64> {
    let mut words = vec![0; plan.mask_elems + plan.product_elems];
    binding.session(session).fill_long(
        Domain { session, layer: 0, kind: Kind::Tensor },
        0,
        &mut words,
    );
    words
}

/// Server 1 asks the dealer for a program with products that are zero whatever the masks are: what
/// is dealt for them is server 0's keystream in the clear. It must be that of no other program.
#[tokio::test]
async fn another_program_shows_no_keystream_of_the_agreed_one() {
    const PADDING: usize = 2;
    let room = Room::new();
    let dealing = room.dealer().await;
    let client =
        Client::new(dealing.address.clone(), Route::insecure_plaintext(None), STALL, STALL);
    let arithmetic = Arithmetic { truncation: Truncation::Exact, ..Arithmetic::default() };
    let device = DeviceId::new("server-0").unwrap();
    let request = |padding| Serve {
        device,
        first: 0,
        count: 2,
        network: network(padding),
        arithmetic,
        standardised: 0,
    };
    let [agreed, asked] = [0, PADDING].map(request);
    let serving = Serving::new(asked.network.clone(), arithmetic, 0).unwrap();
    // Rule 2 would refuse it: here server 0 has ordered what it does not execute.
    let mut sessions = client.sessions(&room.ordered(asked.clone(), None)).await.unwrap();
    sessions.next(serving.opening()).await.unwrap();
    let plan = serving.evaluation();
    let dealt = sessions.next(plan).await.unwrap().product_bytes();

    let side = SIDE + 2 * PADDING;
    let within = |at: usize| (PADDING..PADDING + SIDE).contains(&at);
    let shown: Vec<u64> = dealt
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()).wrapping_neg())
        .take(side * side)
        .enumerate()
        .filter(|(place, _)| !(within(place / side) && within(place % side)))
        .map(|(_, word)| word)
        .collect();
    assert_eq!(shown.len(), side * side - SIDE * SIDE);

    let key = DeviceKey::load(&room.path("server-0.key")).unwrap();
    let read = |program: &Serve| {
        let server_0 = words(&program.bind(&Keystream::new(&key.key)).unwrap(), 1, plan);
        shown.iter().filter(|word| server_0.contains(word)).count()
    };
    assert_eq!(read(&asked), shown.len(), "the attack reads the keystream of what it asked for");
    assert_eq!(read(&agreed), 0, "and nothing of what server 0 executes");
    // As little as a number elsewhere in the course changes it.
    for other in [Serve { first: 1, ..asked.clone() }, Serve { count: 3, ..asked.clone() }] {
        assert_eq!(read(&other), 0);
    }
}

/// A room whose dealer lets in those who prove who they are.
struct Sealed {
    room: room::Room,
    dealer: Running<Dealer>,
    rng: rand_chacha::ChaCha12Rng,
}

fn hall(number: u8) -> Party {
    party(Role::Host, &format!("hall-{number}"))
}

async fn sealed_dealer(store: &std::path::Path) -> Running<Dealer> {
    let dealer = Dealer::new(DealerStore::open(store).unwrap(), MODELS);
    let dealers = route(party(Role::Dealer, "dealer"));
    Running::start_over(dealers, "127.0.0.1:0", dealer, limits(SOON)).await
}

/// Why the dealer refused; `None` if it did not.
fn refusal<T>(asked: Result<T, ClientError>) -> Option<Refusal> {
    match asked {
        Ok(_) => None,
        Err(error) => Some(error.refusal().unwrap_or_else(|| panic!("{error}"))),
    }
}

impl Sealed {
    async fn new() -> Self {
        let (room, rng) = Scenario::room(&[5, 20, 3, 3]);
        let dealer = sealed_dealer(&room.path("dealer")).await;
        Self { room, dealer, rng }
    }

    /// The dealer, as `own` sees it.
    fn client(&self, own: Party) -> Client {
        Client::new(self.dealer.address.clone(), route(own), SOON, SOON)
    }

    fn store(&self, host: Party) -> HostStore {
        HostStore::open(&self.room.path(host.name.as_str())).unwrap()
    }

    /// The room's model, masked by a host.
    fn model(&self, host: Party) -> HostModel {
        let store = self.store(host);
        HostModel::load(&self.room.path("model.slt"), &store, &mut |_| ()).unwrap()
    }

    /// Sessions of `model` from `first` on, with the device's order for `fetcher`.
    fn deal(&self, model: &HostModel, fetcher: Party, first: u64, count: u32) -> Deal {
        let Request { order, .. } = self.room.request("pump", model, Some(fetcher.name), first);
        let ordered = wire::Window { first, count: ORDER_SESSIONS, order };
        let device = DeviceId::new("pump").unwrap();
        Deal { device, model: model.masked_id, first, count, ordered }
    }

    /// What the dealer says to a host that asks for sessions of a model, and fetches them.
    async fn asks(&self, host: Party, model: &HostModel, deal: Deal) -> Option<Refusal> {
        let client = self.client(host);
        let dealt = client.deal(deal, model.correction_bytes).await;
        if let Ok(mut dealt) = dealt {
            while dealt.next().await.unwrap().is_some() {}
            return None;
        }
        refusal(dealt)
    }

    /// The lowest number that was not dealt to the device.
    async fn next(&self) -> u64 {
        self.client(hall(1)).status(DeviceId::new("pump").unwrap()).await.unwrap().next_session
    }

    async fn host(&self, host: Party) -> Running<Host> {
        self.host_of(host, false).await
    }

    /// A host, whose store others use, too, or do not.
    async fn host_of(&self, host: Party, shared: bool) -> Running<Host> {
        let folder = self.room.path(host.name.as_str());
        let store = when_unlocked(|| match shared {
            true => Ok(HostStore::shared(Arc::new(Embedded::open(&folder, RECORD)?))),
            false => HostStore::open(&folder),
        });
        let source = self.room.source(store.await, "", 3);
        let source = Source { client: self.client(host), ..source };
        let service = Host::new(source, Answer::Device, Box::new(|_| ()), Patience::default());
        Running::start_over(route(host), "127.0.0.1:0", service, limits(SOON)).await
    }

    /// The device infers two readings at a host.
    async fn infers(&mut self, host: Party, address: &str) -> Log {
        self.tries(host, address).await.unwrap()
    }

    async fn tries(&mut self, host: Party, address: &str) -> Result<Log, DeviceError> {
        let readings = random_readings(&self.room.model, 2, &mut self.rng);
        let mut device = self.room.device("pump", "", &readings);
        device.settings.host = format!("{}@{address}", host.name);
        device.settings.route = route(party(Role::Device, "pump"));
        run(&mut device).await?;
        assert_eq!(device.events.answers, twin(&self.room.model, &readings));
        Ok(device.events)
    }

    /// The device is refused: its counter went back.
    async fn is_behind(&mut self, address: &str) {
        let refused = self.tries(hall(1), address).await.err().expect("is refused");
        let expected = SessionError::Refused(control::Refusal::SessionNumber);
        assert_eq!(refused.to_string(), DeviceError::from(expected).to_string());
    }
}

/// Whoever holds the device's key can order everything. What it must not get are corrections `A r`
/// of a host's masked model for an `r` that it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_alone_gets_no_corrections_of_a_hosts_model() {
    let sealed = Sealed::new().await;
    let model = sealed.model(hall(1));
    model.offer_to(&sealed.client(hall(1)), &mut |_| ()).await.unwrap();
    // As itself it is not let in.
    let device = sealed.client(party(Role::Device, "pump"));
    let asked = device.deal(sealed.deal(&model, hall(1), 0, 1), model.correction_bytes).await;
    assert!(matches!(asked, Err(ClientError::Link(LinkError::Channel { .. }))), "{asked:?}");
    // With a host that helps it: the model is another's, whoever it was ordered for.
    for fetcher in [hall(1), hall(2)] {
        let deal = sealed.deal(&model, fetcher, 0, 1);
        assert_eq!(sealed.asks(hall(2), &model, deal).await, Some(Refusal::UnknownModel));
    }
    // It becomes that host's when it shows `A`, not when it names it.
    let matrices = vec![0; masked::check(&model.model.network).unwrap()];
    let named = sealed
        .client(hall(2))
        .offer(model.masked_id, &model.model.network, &matrices, &mut |_| ())
        .await;
    assert_eq!(refusal(named), Some(Refusal::Digest));
    // A server 1 of the host's name is another party.
    let server_1 = party(Role::Server1, "hall-1");
    let deal = sealed.deal(&model, server_1, 0, 1);
    assert_eq!(sealed.asks(server_1, &model, deal).await, Some(Refusal::UnknownModel));
    assert_eq!(sealed.next().await, 0, "no number was used");
    let deal = sealed.deal(&model, hall(1), 0, 1);
    assert_eq!(sealed.asks(hall(1), &model, deal).await, None, "its owner is dealt for");
}

/// A host that has seen a device's order for another host, another model or other sessions.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_of_no_use_to_others_or_for_anything_else() {
    let sealed = Sealed::new().await;
    let [model, other] = [1, 2].map(|number| sealed.model(hall(number)));
    assert_ne!(model.masked_id, other.masked_id);
    model.offer_to(&sealed.client(hall(1)), &mut |_| ()).await.unwrap();
    // The other host knows the first one's masked model, too.
    for model in [&model, &other] {
        model.offer_to(&sealed.client(hall(2)), &mut |_| ()).await.unwrap();
    }
    let good = sealed.deal(&model, hall(1), 10, 2);
    let ordered = good.ordered;
    let no_order = async |host, deal| {
        assert_eq!(sealed.asks(host, &model, deal).await, Some(Refusal::NoOrder), "{deal:?}");
    };
    no_order(hall(2), good).await;
    no_order(hall(2), Deal { model: other.masked_id, ..good }).await;
    for ordered in [
        wire::Window { order: Order::from_bytes([0; 16]), ..ordered },
        wire::Window { first: 9, ..ordered },
        wire::Window { first: 1 << 40, ..ordered },
        wire::Window { count: u32::MAX, ..ordered },
    ] {
        no_order(hall(1), Deal { first: ordered.first, ordered, ..good }).await;
    }
    let beyond = 10 + u64::from(ORDER_SESSIONS);
    for first in [0, 9, beyond - 1, beyond, 1 << 40, u64::MAX] {
        no_order(hall(1), Deal { first, ..good }).await;
    }
    assert_eq!(sealed.next().await, 0, "no number was used");
    assert_eq!(sealed.asks(hall(1), &model, good).await, None);
    assert_eq!(sealed.next().await, 12, "what lies before is skipped for ever");
    let again = sealed.asks(hall(1), &model, good).await;
    assert_eq!(again, Some(Refusal::SessionUsed { next: 12 }));
}

/// What a host has seen of a device's counter it knows after a start, and whoever else uses its
/// store.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_goes_back_is_refused() {
    for shared in [false, true] {
        let mut sealed = Sealed::new().await;
        let mut host = sealed.host_of(hall(1), shared).await;
        assert_eq!(sealed.infers(hall(1), &host.address).await.sessions, [0, 1]);
        assert_eq!(sealed.infers(hall(1), &host.address).await.sessions, [2, 3]);
        let counter = std::fs::read(sealed.room.counter_path("pump")).unwrap();
        for (stands, restarts) in [(3, false), (3, true), (1, true)] {
            if restarts {
                host.kill().await;
                host = sealed.host_of(hall(1), shared).await;
            }
            sealed.room.count_from("pump", stands);
            sealed.is_behind(&host.address).await;
        }
        // The newest one is at its place again.
        std::fs::write(sealed.room.counter_path("pump"), counter).unwrap();
        assert_eq!(sealed.infers(hall(1), &host.address).await.sessions, [4, 5]);
    }
}

/// A second run without its counter: what opens it for a device refuses, and begins none anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_is_lost_is_not_begun_anew() {
    let mut sealed = Sealed::new().await;
    let host = sealed.host(hall(1)).await;
    sealed.infers(hall(1), &host.address).await;
    let [counter, key] = [sealed.room.counter_path("pump"), sealed.room.key_path("pump")];
    std::fs::remove_file(&counter).unwrap();
    let opened = |makes| FileCounter::open(&counter, &key, makes).map(|_| ());
    assert!(matches!(opened(false), Err(StoreError::NoCounter { .. })));
    assert!(matches!(opened(true), Err(StoreError::KeyUsed { .. })));
    assert!(!counter.exists(), "a counter was made anew");
}

/// Two devices with one key come in turn, as they would if neither knew of the other: at one host,
/// at two that share a store, and at one that was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_devices_with_one_key_the_one_behind_is_refused() {
    for (shared, restarts) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut sealed = Sealed::new().await;
        let file = sealed.room.counter_path("pump");
        let mut host = sealed.host_of(hall(1), shared).await;
        let mut used = sealed.infers(hall(1), &host.address).await.sessions;
        let mut counters = [0, 1].map(|_| std::fs::read(&file).unwrap());
        // The original is ahead, and stays so; then the copy is told the number of its last backup.
        for turn in 0..4 {
            std::fs::write(&file, &counters[0]).unwrap();
            used.extend(sealed.infers(hall(1), &host.address).await.sessions);
            counters[0] = std::fs::read(&file).unwrap();
            if restarts {
                host.stop().await;
                host = sealed.host_of(hall(1), shared).await;
            }
            std::fs::write(&file, &counters[1]).unwrap();
            sealed.is_behind(&host.address).await;
            counters[1] = std::fs::read(&file).unwrap();
            if turn == 2 {
                counters[1] = counters[0].clone();
                std::fs::write(&file, &counters[1]).unwrap();
                used.extend(sealed.infers(hall(1), &host.address).await.sessions);
                // Now the original is behind.
                std::fs::write(&file, &counters[0]).unwrap();
                sealed.is_behind(&host.address).await;
                break;
            }
        }
        assert!(used.windows(2).all(|pair| pair[0] < pair[1]), "{used:?}");
    }
}

/// The dealer has the key of a device's sessions. It says the device's name to the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_dealer_does_not_pass_for_its_device() {
    let mut sealed = Sealed::new().await;
    let host = sealed.host(hall(1)).await;
    assert_eq!(sealed.infers(hall(1), &host.address).await.sessions, [0, 1]);
    let pump = party(Role::Device, "pump");
    let dealer = party(Role::Dealer, "dealer");
    let stands = |host: &Running<Host>| {
        let service = host.service();
        let entry = service.source().store.standing(pump.name).unwrap();
        let devices = service.devices();
        (entry, devices.iter().map(|of| of.evaluated).collect::<Vec<_>>())
    };
    // The device's connection has ended: what was seen of its counter is kept.
    let key = sealed.room.key_id("pump");
    while stands(&host).0.is_some_and(|entry| entry.spent.seen(key) < 2) {
        tokio::time::sleep(core::time::Duration::from_millis(5)).await;
    }
    let before = stands(&host);
    let readings = random_readings(&sealed.room.model, 1, &mut sealed.rng);
    // With its own key; as itself; and as whoever has no key that anybody knows.
    for (says, is) in [(pump, dealer), (dealer, dealer), (pump, party(Role::Device, "pomp"))] {
        let mut device = sealed.room.device("pump", "", &readings);
        device.settings.host = format!("hall-1@{}", host.address);
        device.settings.route = posing(says, is);
        device.settings.retries = 0;
        let error = run(&mut device).await.expect_err("is not the device");
        assert!(matches!(error, DeviceError::Link(LinkError::Channel { .. })), "{error}");
        // No seed of a model, which comes with the welcome.
        assert_eq!((device.events.welcomes, device.events.sessions.len()), (0, 0));
        assert_eq!(stands(&host), before, "the host has a record of it");
    }
    assert_eq!(sealed.infers(hall(1), &host.address).await.sessions, [2, 3]);
}

/// Another host fetches all that a device has ordered of it, and is never seen again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fetches_all_that_was_ordered_does_not_push_the_device_out() {
    let mut sealed = Sealed::new().await;
    let host = sealed.host(hall(1)).await;
    let log = sealed.infers(hall(1), &host.address).await;
    assert_eq!((log.sessions, log.failures.len()), (vec![0, 1], 0));
    let other = sealed.model(hall(2));
    other.offer_to(&sealed.client(hall(2)), &mut |_| ()).await.unwrap();
    let last = 2 + u64::from(ORDER_SESSIONS) - 1;
    let ordered = sealed.deal(&other, hall(2), 2, 1);
    let deal = Deal { first: last, ..ordered };
    assert_eq!(sealed.asks(hall(2), &other, deal).await, None);
    assert_eq!(sealed.next().await, last + 1);
    // The host has sessions in its spool; without them one grant takes the device past the others'.
    host.stop().await;
    std::fs::remove_dir_all(sealed.room.path("hall-1").join("spool")).unwrap();
    let host = sealed.host(hall(1)).await;
    let log = sealed.infers(hall(1), &host.address).await;
    assert_eq!(log.failures.len(), 1, "{:?}", log.failures);
    // The first of them died.
    assert_eq!(log.sessions, [last + 1, last + 2, last + 3]);
}

/// An impostor that the device takes for its host grants the last number that it may.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_grants_the_last_number_does_not_push_the_device_out() {
    let mut scenario = Scenario::start(1).await;
    scenario.infers().await;
    let honest = scenario.device.settings.host.clone();
    let next = scenario.device.events.sessions[0] + 1;
    for (beyond, used) in [(1, false), (0, true)] {
        let session = next + u64::from(ORDER_SESSIONS) + beyond;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        scenario.device.settings.host = listener.local_addr().unwrap().to_string();
        scenario.device.settings.retries = 0;
        let network = scenario.room.model.network.clone();
        let impostor = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            rogue::read_frame(&mut stream).await.unwrap();
            rogue::write(&mut stream, &rogue::welcome(&network, &[7; 32])).await;
            rogue::read_frame(&mut stream).await.unwrap();
            let grant = rogue::control(frame::Kind::Grant, &Grant { session });
            rogue::write(&mut stream, &grant).await;
            rogue::read_frame(&mut stream).await.unwrap();
        };
        let (ended, ()) = tokio::join!(run(&mut scenario.device), impostor);
        assert!(ended.is_err());
        assert_eq!(scenario.room.counter("pump") > session, used, "{ended:?}");
    }
    scenario.device.settings.host = honest;
    scenario.infers().await;
    // The impostor's session, and the next.
    let last = next + u64::from(ORDER_SESSIONS);
    assert_eq!(scenario.device.events.sessions[1..], [last, last + 1]);
    scenario.stop().await;
}

const TEXT: &str = "[data]\ntrain = \"train\"\n[model]\nkind = \"linear-regression\"\n[training]\n\
                    epochs = 2\nbatch = 8\nlearning_rate = 0.1\n[arithmetic]\ntruncation = \
                    \"exact\"\n";

/// Server 1 has server 0's order for a run, and wants something else dealt with it.
#[tokio::test(flavor = "multi_thread")]
async fn server_1_gets_no_other_program_than_server_0_has_ordered() {
    let room = Room::new();
    let dealer = sealed_dealer(&room.path("dealer")).await;
    let client = |own| Client::new(dealer.address.clone(), route(own), STALL, STALL);
    let server_1 = party(Role::Server1, "hall-1");
    let device = DeviceId::new("server-0").unwrap();
    let sizes = Sizes { rows: 24, features: 3, targets: 1, test_rows: 0, ..Default::default() };
    let train = |text: &str, first| {
        let course = Course::new(config(text), sizes).unwrap();
        let count = u32::try_from(course.sessions(0).count()).unwrap();
        let config = course.config().text().unwrap();
        Train { device, first, count, steps: 0, sizes, config }
    };
    let agreed = room.ordered(train(TEXT, 0), Some(server_1.name));
    async fn asks<D: Description>(client: &Client, request: Ordered<D>) -> Option<Refusal> {
        refusal(client.sessions(&request).await)
    }
    let as_ordered = |description| Ordered { description, ..agreed.clone() };
    let one_unit = TEXT.replace("exact", "one-unit");
    for other in [
        train(&one_unit, 0),
        train(&TEXT.replace("epochs = 2", "epochs = 3"), 0),
        train(&TEXT.replace("0.1", "0.2"), 0),
        train(TEXT, 1),
        Train { count: agreed.description.count - 1, ..train(TEXT, 0) },
        Train { steps: 1, ..train(TEXT, 0) },
        Train { sizes: Sizes { rows: 25, ..sizes }, ..train(TEXT, 0) },
        Train { sizes: Sizes { test_rows: 1, ..sizes }, ..train(TEXT, 0) },
    ] {
        assert_eq!(asks(&client(server_1), as_ordered(other)).await, Some(Refusal::NoOrder));
    }
    // A shared model in place of the run; and one with a truncation that fails at times.
    let Ordered { key, order, .. } = agreed;
    let arithmetic = Arithmetic { truncation: Truncation::Exact, ..Arithmetic::default() };
    let serve =
        Serve { device, first: 0, count: 9, network: network(0), arithmetic, standardised: 0 };
    let request = Ordered { key, order, description: serve.clone() };
    assert_eq!(asks(&client(server_1), request).await, Some(Refusal::NoOrder));
    let shared = room.ordered(serve, Some(server_1.name));
    let one_unit = Arithmetic { truncation: Truncation::OneUnit, ..arithmetic };
    for other in [
        Serve { arithmetic: one_unit, ..shared.description.clone() },
        Serve { network: network(1), ..shared.description.clone() },
        Serve { count: 10, ..shared.description.clone() },
    ] {
        let request = Ordered { description: other, ..shared.clone() };
        assert_eq!(asks(&client(server_1), request).await, Some(Refusal::NoOrder));
    }
    // Another server 1 that has seen the order; one that proves nothing; a host.
    let other = party(Role::Server1, "hall-2");
    assert_eq!(asks(&client(other), agreed.clone()).await, Some(Refusal::NoOrder));
    assert_eq!(asks(&client(hall(1)), agreed.clone()).await, Some(Refusal::WrongRole));
    let plain = room.ordered(train(TEXT, 0), None);
    assert_eq!(asks(&client(server_1), plain).await, Some(Refusal::NoOrder));
    // A key that server 0 has no more.
    let stale = Ordered { key: [0; 8], ..agreed.clone() };
    assert_eq!(asks(&client(server_1), stale).await, Some(Refusal::OtherKey));

    let status = client(server_1).status(device).await.unwrap();
    assert_eq!(status.next_session, 0, "no number was used");
    let next = u64::from(agreed.description.count);
    assert_eq!(asks(&client(server_1), agreed.clone()).await, None);
    let again = asks(&client(server_1), agreed).await;
    assert_eq!(again, Some(Refusal::SessionUsed { next }), "an order is good for one run");
}
