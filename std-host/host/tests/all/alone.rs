//! A device or a host without a dealer that cheats in the transfers: it is caught, and nothing of
//! what was made with it is left.

use core::time::Duration;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sharelet_alone::{Half, P0, P1, Task};
use sharelet_core::DeviceId;
use sharelet_core::functions::engine::Link;
use sharelet_core::session::wire::control::Answer;
use sharelet_core::share::Party;
use sharelet_host::alone::AloneError;
use sharelet_host::alone::client::{Client, Settings};
use sharelet_host::alone::host::Host;
use sharelet_host::alone::served::Served as AloneModel;
use sharelet_host::alone::taken::{self, Taken};
use sharelet_host::alone::wire::{Hello, Message, Refusal, Want, Welcome};
use sharelet_host::host::Patience;
use sharelet_host::host::models::{Models, Served};
use sharelet_host::store::host::HostStore;
use sharelet_link::exchange::Exchange;
use sharelet_link::frame::{self, FrameError};
use sharelet_link::service::{Limits, Service, Visit};
use sharelet_link::{Connection, Reader, Role, Route, Writer, tcp};
use sharelet_model::Model;
use sharelet_prepare::{FieldBits, Kept, link};
use sharelet_testkit::room::{Running, random_model};
use sharelet_testkit::{printed_seed, rng};

/// Messages of a preparation before that with the proofs.
const BEFORE_PROOFS: u32 = 2;
const STALL: Duration = Duration::from_secs(20);

/// A model with weights of 16 bits.
fn model(seed: u64) -> Model {
    let mut model = random_model(&[6, 5, 4], &mut rng(seed));
    for weight in model.weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> 16).cast_unsigned();
    }
    model
}

/// Changes a bit of one of the messages of a party that else follows the protocol.
struct Cheating<'c> {
    exchange: Exchange<&'c mut Reader, &'c mut Writer>,
    /// Messages before that one; none if it is honest.
    before: Option<u32>,
}

impl<'c> Cheating<'c> {
    fn new(reader: &'c mut Reader, writer: &'c mut Writer, before: Option<u32>) -> Self {
        Self { exchange: Exchange::new(reader, writer), before }
    }
}

impl Link for Cheating<'_> {
    type Error = io::Error;

    async fn exchange(
        &mut self,
        [first, second]: [&[u8]; 2],
        peer: [&mut [u8]; 2],
    ) -> io::Result<()> {
        let mut first = first.to_vec();
        if self.before == Some(0) {
            first[3] ^= 4;
        }
        self.before = self.before.and_then(|before| before.checked_sub(1));
        self.exchange.exchange([&first, second], peer).await
    }
}

/// A host that proves something else than it has sent.
struct Rogue(Model);

impl Service for Rogue {
    type Error = String;

    fn roles(&self) -> &[Role] {
        &[Role::Device]
    }

    async fn converse(self: Arc<Self>, connection: Connection, _: Visit) -> Result<(), String> {
        let Connection { mut reader, mut writer, .. } = connection;
        let (model, mut rng) = (&self.0, rng(1));
        let task = Task::new(model.network.clone()).unwrap();
        frame::read_greeting(&mut reader, Message::Hello).await.unwrap();
        let network = model.network.clone();
        let welcome = Welcome { model: [1; 32], network, kept: None, stores: false };
        let welcome = frame::encode(Message::Welcome, &welcome).unwrap();
        frame::greet(&mut writer, Message::Welcome, &welcome).await.unwrap();
        let kept = {
            let mut link = Cheating::new(&mut reader, &mut writer, None);
            Box::new(Box::pin(link::meet(&mut rng, &mut link)).await.unwrap())
        };
        let _: Want = frame::receive(&mut reader, Message::Want).await.unwrap();
        frame::send_bytes(&mut writer, Message::Go, &[]).await.unwrap();
        let mut p1 = {
            let mut link = Cheating::new(&mut reader, &mut writer, None);
            let begun = P1::begin(&task, (&kept, FieldBits::Two), &mut rng, &mut link);
            Box::pin(begun).await.unwrap()
        };
        let mut link = Cheating::new(&mut reader, &mut writer, Some(BEFORE_PROOFS));
        let made = p1.prepare(&task, model, 1, &mut rng, &mut link).await;
        made.map(drop).map_err(|error| error.to_string())
    }
}

fn settings(host: &str, state: &Path) -> Settings {
    Settings {
        host: host.to_owned(),
        route: Route::insecure_plaintext(None),
        device: DeviceId::new("pump").unwrap(),
        answer: Answer::Device,
        state: state.to_owned(),
        model: None,
        stores: false,
        silent: false,
        connect: STALL,
        stall: STALL,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cheats_is_caught_and_what_was_made_with_it_is_deleted() {
    let rogue = Arc::new(Rogue(model(printed_seed())));
    let host = Running::start("127.0.0.1:0", rogue, Limits::default()).await;
    let state = tempfile::tempdir().unwrap();
    let mut client = Client::connect(&settings(&host.address, state.path())).await.unwrap();
    let mut folders = fs::read_dir(state.path()).unwrap();
    let folder = folders.next().expect("one of the host").unwrap().path();
    assert!(folder.join("kept").exists());
    fs::create_dir(folder.join("store-of-a-model")).unwrap();
    fs::write(folder.join("store-of-a-model").join("0.halves"), [7; 99]).unwrap();
    let error = client.prepare(1).await.unwrap_err();
    assert!(error.is_cheat() && !error.is_passing(), "{error}");
    assert_eq!(client.ready(), 0);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
    host.stop().await;
}

/// A device that has met the host, and says then what it likes.
async fn rogue(honest: &Settings) -> (Reader, Writer, Task, Box<Kept>) {
    let connection = tcp::connect(&honest.host, Role::Host, &honest.route, STALL, STALL).await;
    let Connection { mut reader, mut writer, .. } = connection.unwrap();
    let hello = Hello {
        device: DeviceId::new("rogue").unwrap(),
        answer: Answer::Device,
        kept: None,
        stores: false,
        silent: false,
        model: None,
    };
    let hello = frame::encode(Message::Hello, &hello).unwrap();
    frame::greet(&mut writer, Message::Hello, &hello).await.unwrap();
    let welcome = frame::read_greeting(&mut reader, Message::Welcome).await.unwrap();
    let welcome: Welcome = frame::decode(Message::Welcome, &welcome).unwrap();
    let kept = {
        let mut link = Cheating::new(&mut reader, &mut writer, None);
        Box::new(Box::pin(link::meet(&mut rng(1), &mut link)).await.unwrap())
    };
    (reader, writer, Task::new(welcome.network).unwrap(), kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_cheats_is_caught_and_the_next_one_is_served() {
    let (state, seed) = (tempfile::tempdir().unwrap(), printed_seed());
    let served = AloneModel::new(model(seed), b"its file").unwrap();
    let store = HostStore::open(state.path()).unwrap();
    let service = Host::new(
        (Models::one(Arc::new(served)), None),
        (store, state.path().to_owned(), false),
        Answer::Device,
        Box::new(|_| ()),
        Patience::default(),
    );
    let host = Running::start("127.0.0.1:0", service, Limits::default()).await;
    let own = tempfile::tempdir().unwrap();
    let honest = settings(&host.address, own.path());
    let (mut reader, mut writer, task, kept) = rogue(&honest).await;
    let mut rng = rng(seed);
    let prepare = frame::encode(Message::Want, &Want::Prepare { sessions: 1 }).unwrap();
    frame::send_bytes(&mut writer, Message::Want, &prepare).await.unwrap();
    frame::receive_bytes(&mut reader, Message::Go, 0).await.unwrap();
    let mut p0 = {
        let mut link = Cheating::new(&mut reader, &mut writer, None);
        let begun = P0::begin(&task, (&kept, FieldBits::Two), &mut rng, &mut link);
        Box::pin(begun).await.unwrap()
    };
    {
        let mut link = Cheating::new(&mut reader, &mut writer, Some(BEFORE_PROOFS));
        // Its own side has nothing to complain of.
        let _ = p0.prepare(&task, 1, &mut rng, &mut link).await;
    }
    let refused = frame::receive_bytes(&mut reader, Message::Go, 0).await.unwrap_err();
    assert!(matches!(refused, FrameError::Refused(Refusal::Protocol)), "{refused}");

    let mut client = Client::connect(&honest).await.unwrap();
    client.prepare(2).await.unwrap();
    assert_eq!(client.ready(), 2);
    host.stop().await;
}

/// What a peer wants that it may not have.
async fn refused(host: &str, own: &Path, want: Want) {
    let (mut reader, mut writer, ..) = rogue(&settings(host, own)).await;
    frame::send(&mut writer, Message::Want, &want).await.unwrap();
    let refused = frame::receive_bytes(&mut reader, Message::Go, 0).await.unwrap_err();
    assert!(matches!(refused, FrameError::Refused(Refusal::Protocol)), "{want:?}: {refused}");
}

/// A device takes nothing out of a store that it does not spend, and a server 0 that fills stores
/// chooses no inputs.
#[tokio::test(flavor = "multi_thread")]
async fn devices_and_servers_do_not_have_what_the_other_may() {
    let (state, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let served = Arc::new(AloneModel::new(model(printed_seed()), b"its file").unwrap());
    let store = |name: &str| HostStore::open(&state.path().join(name)).unwrap();
    let of_devices = Host::new(
        (Models::one(served.clone()), None),
        (store("a"), state.path().join("a"), true),
        Answer::Device,
        Box::new(|_| ()),
        Patience::default(),
    );
    let (name, storage) = (DeviceId::new("b").unwrap(), (store("b"), state.path().join("b")));
    let of_lanes = Host::of_lanes((served, name), storage, 8, Patience::default());
    let (index, ticket) = (0, [7; 16]);
    let host = Running::start("127.0.0.1:0", of_devices, Limits::default()).await;
    for want in [Want::Take { index, ticket }, Want::Taken(ticket)] {
        refused(&host.address, own.path(), want).await;
    }
    host.stop().await;
    let host = Running::start("127.0.0.1:0", of_lanes, Limits::default()).await;
    for want in [Want::Infer { index: None }, Want::Prepare { sessions: 1 }, Want::Taken(ticket)] {
        refused(&host.address, own.path(), want).await;
    }
    host.stop().await;
}

#[test]
fn what_was_taken_is_spent_once_and_the_oldest_goes() {
    let task = Task::new(model(1).network).unwrap();
    let bytes = vec![0; Half::bytes(Party::P1, &task)];
    let half = || Half::from_bytes(Party::P1, &task, &bytes).unwrap();
    let ticket = |number: usize| (number as u128).to_le_bytes();
    let taken = Taken::default();
    taken.put(ticket(1), half());
    assert!(taken.spend(&ticket(1)).is_some() && taken.spend(&ticket(1)).is_none());
    for number in 0..=taken::MOST {
        taken.put(ticket(number), half());
    }
    assert_eq!(taken.len(), taken::MOST);
    assert!(taken.spend(&ticket(0)).is_none(), "the oldest has gone");
    assert_eq!(taken.pop().map(|(ticket, _)| ticket), Some(ticket(1)));
    // A cheat: who holds one hears of it, and what is put afterwards is another matter.
    let held = taken.spend(&ticket(2)).unwrap();
    taken.spoil();
    assert!(held.spoilt.is_cancelled() && taken.is_empty());
    taken.put(ticket(9), half());
    assert!(!taken.spend(&ticket(9)).unwrap().spoilt.is_cancelled());
}

/// A device whose model is replaced while it is connected hears of it, and meets the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_replaced_ends_connections_of_the_old_one() {
    let (state, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seed = printed_seed();
    let one = |seed, name: &str| {
        let served = Arc::new(AloneModel::new(model(seed), name.as_bytes()).unwrap());
        Served::one(name.to_owned(), served)
    };
    let host = Host::new(
        (Models::new(one(seed, "old")), None),
        (HostStore::open(state.path()).unwrap(), state.path().to_owned(), false),
        Answer::Device,
        Box::new(|_| ()),
        Patience::default(),
    );
    let running = Running::start("127.0.0.1:0", host.clone(), Limits::default()).await;
    let mut settings = settings(&running.address, own.path());
    settings.model = Some("old".to_owned());
    let mut client = Client::connect(&settings).await.unwrap();
    client.prepare(1).await.unwrap();
    host.replace(one(seed + 1, "new"));
    let error = client.infer(&[0; 6]).await.unwrap_err();
    assert!(matches!(error, AloneError::Wire(FrameError::Refused(Refusal::ModelReplaced))));
    assert!(error.is_passing(), "{error}");
    drop(client);
    let error = Client::connect(&settings).await.unwrap_err();
    assert!(matches!(error, AloneError::Wire(FrameError::Refused(Refusal::OtherModel))));
    settings.model = Some("new".to_owned());
    let mut client = Client::connect(&settings).await.unwrap();
    client.prepare(1).await.unwrap();
    client.infer(&[0; 6]).await.unwrap();
    running.stop().await;
}
