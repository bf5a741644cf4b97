//! A model that two servers share, served to data parties: the private answer is the twin's, and
//! every refusal has its name.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use rand_core::Rng as _;
use sharelet_core::fixed::encode;
use sharelet_core::session::SessionError;
use sharelet_core::session::wire::query::{Half, Reason, Recipient};
use sharelet_core::session::wire::task::Task;
use sharelet_host::dealer::Dealer;
use sharelet_host::device::DeviceError;
use sharelet_host::server::shared::model::{ModelError, SharedModel};
use sharelet_host::server::shared::party0::Party0;
use sharelet_host::server::shared::party1::Party1;
use sharelet_host::store::training::{Header, Share, TrainingError};
use sharelet_model::readings::Readings;
use sharelet_model::readings::columns::{Columns, unnamed};
use sharelet_testkit::assert_matches;
use sharelet_testkit::room::servers::{
    One, Party, Printed, ask, console, half, instance, refused, send, stop,
};
use sharelet_testkit::room::wire::Wire;
use sharelet_testkit::room::{Log, Room, Running, STALL, random_model};
use sharelet_testkit::{printed_seed, rng, says};
use sharelet_train::course::Sizes;
use sharelet_train::float::{self, Samples};
use sharelet_train::model::Model;
use sharelet_train::plain;
use sharelet_train::scaling;
use sharelet_train::tensor::{self, offline};

const F: u32 = 20;
const PERCEPTRON: &str = r#"
input = 9
[[model.layer]]
kind = "dense"
outputs = 7
[[model.layer]]
kind = "relu"
[[model.layer]]
kind = "dense"
outputs = 3
"#;
const POOLS: &str = r#"
input = [1, 6, 6]
[[model.layer]]
kind = "convolution"
filters = 2
kernel = 3
[[model.layer]]
kind = "max-pool"
kernel = 2
[[model.layer]]
kind = "relu"
[[model.layer]]
kind = "dense"
outputs = 3
"#;

/// A trained model, its shares, and the room of its servers.
struct Shared {
    room: Room,
    whole: SharedModel,
    shares: [Share; 2],
    /// Whether the two servers prepare together.
    alone: bool,
}

fn config(layers: &str, truncation: &str, seed: u64) -> String {
    format!(
        "[data]\ntrain = \"study\"\n[model]\nkind = \"network\"\n{layers}\n[training]\nepochs = \
         1\nbatch = 4\nlearning_rate = 0.1\nmomentum = 0.9\nseed = \
         {seed}\n[arithmetic]\ntruncation = \"{truncation}\"\n"
    )
}

fn copy(share: &Share) -> Share {
    Share { header: share.header.clone(), words: share.words.clone() }
}

impl Shared {
    /// Random weights of up to one half.
    fn new(layers: &str, truncation: &str, sizes: (usize, usize)) -> Self {
        Self::standardised(layers, truncation, sizes, 0)
    }

    /// As [`Shared::new`], trained on columns of which so many are standardised.
    fn standardised(
        layers: &str,
        truncation: &str,
        sizes: (usize, usize),
        standardised: usize,
    ) -> Self {
        // Means about 0, deviations of a twentieth and more.
        let column = |column: usize| (column as f64 / 4.0 - 1.0, 0.05 * (1.0 + column as f64));
        Self::of(layers, truncation, sizes, &(0..standardised).map(column).collect::<Vec<_>>())
    }

    /// As [`Shared::new`], trained on columns of which some have these means and deviations.
    fn of(
        layers: &str,
        truncation: &str,
        (features, targets): (usize, usize),
        columns: &[(f64, f64)],
    ) -> Self {
        let standardised = columns.len();
        let seed = printed_seed();
        let mut rng = rng(seed);
        let room = Room::new(random_model(&[2, 2], &mut rng));
        room.provision("server-0");
        let sizes = Sizes { rows: 8, features, targets, standardised, ..Default::default() };
        let header = |party| Header {
            party,
            run: [5; 16],
            step: 2,
            sizes,
            columns: Columns { features: unnamed(features), labels: vec!["y".to_owned()] },
            train: [1; 32],
            test: None,
            config: config(layers, truncation, 1),
            curve: Vec::new(),
        };
        let parsed =
            sharelet_train::config::Config::parse(&header(0).config, Path::new("config.toml"))
                .expect("valid");
        let words = Model::zeros(&parsed.network(features).expect("fits"), true)
            .expect("fits")
            .words()
            .count()
            + 2;
        let mut whole: Vec<u64> =
            (0..words).map(|_| (rng.next_u64() >> (64 - F)).wrapping_sub(1 << (F - 1))).collect();
        for (mean, deviation) in columns {
            let values = [mean - deviation, mean + deviation].into_iter();
            whole.extend(scaling::of_column(values, F).words);
        }
        let words = whole.len();
        let first: Vec<u64> = (0..words).map(|_| rng.next_u64()).collect();
        let second =
            whole.iter().zip(&first).map(|(word, share)| word.wrapping_sub(*share)).collect();
        let shares =
            [Share { header: header(0), words: first }, Share { header: header(1), words: second }];
        for (share, name) in shares.iter().zip(["model-0.share", "model-1.share"]) {
            share.save(&room.path(name)).expect("saves");
        }
        let whole =
            SharedModel::new(&Share { header: header(0), words: whole }, Path::new("whole"))
                .expect("valid");
        Self { room, whole, shares, alone: false }
    }

    fn task(&self) -> Task {
        self.whole.task
    }

    fn readings(&self, count: usize) -> Readings {
        let mut rng = rng(printed_seed());
        let inputs = self.whole.serving.inputs();
        let values = (0..count * inputs)
            .map(|_| (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .collect();
        Readings::new(inputs, values).expect("finite")
    }

    /// The twin's answers, as data parties see them.
    fn twin(&self, readings: &Readings) -> Vec<Vec<u64>> {
        let (serving, model) = (&self.whole.serving, &self.whole.model);
        let machine = || tensor::twin(serving.truncation());
        let weights =
            offline::run(&mut serving.open(model, &self.whole.scaling), machine()).expect("runs").0;
        let answer = |reading: &[f32]| {
            let mut input = vec![0_u64; reading.len()];
            encode(reading, F as u8, self.task().input_units(), &mut input).expect("in range");
            let mut evaluate = serving.evaluate(&weights, input).expect("fits");
            let output = offline::run(&mut evaluate, machine()).expect("runs").0;
            let dropped = output.frac_bits - F;
            output
                .words
                .iter()
                .map(|word| (word.cast_signed() >> dropped).cast_unsigned())
                .collect()
        };
        readings.rows().map(answer).collect()
    }

    async fn server_1(&self, address: &str, dealer: &str, share: &Share) -> One {
        let model = SharedModel::new(share, Path::new("model-1.share")).expect("valid");
        let client = (!dealer.is_empty()).then(|| self.room.client(dealer));
        let party = Party1::new(model, client, self.room.patience(), instance());
        self.room.serve(address, party, self.room.queue(64)).await
    }

    async fn party_0(
        &self,
        peer: &str,
        share: &Share,
        (lanes, chunk): (usize, u32),
    ) -> Arc<Party0> {
        let model = SharedModel::new(share, Path::new("model-0.share")).expect("valid");
        let key = match self.alone {
            true => None,
            false => Some(self.room.key_and_counter("server-0").await),
        };
        Party0::new(self.room.lanes(peer, lanes), chunk, model, key, instance())
    }

    /// A dealer and both servers, of which server 0 has so many lanes and asks for so many sessions
    /// at a time.
    async fn start(&self, sizes: (usize, u32)) -> (Running<Dealer>, One, One) {
        let dealer = self.room.dealer().await;
        let server_1 = self.server_1("127.0.0.1:0", &dealer.address, &self.shares[1]).await;
        let server_0 = self.server_0("127.0.0.1:0", &server_1.address, sizes).await;
        (dealer, server_0, server_1)
    }

    async fn server_0(&self, address: &str, peer: &str, sizes: (usize, u32)) -> One {
        let party = self.party_0(peer, &self.shares[0], sizes).await;
        self.room.serve(address, party, self.room.queue(64)).await
    }

    /// Asks until it is answered.
    fn data_party(&self, name: &str, (server_0, server_1): (&One, &One), count: usize) -> Asking {
        let readings = self.readings(count);
        let mut party = self.room.data_party(name, server_0, server_1, &readings);
        party.task = self.task();
        party.settings.retries = 30;
        Asking { party, expected: self.twin(&readings) }
    }
}

/// A data party, and the twin's answers for its readings.
struct Asking {
    party: Party,
    expected: Vec<Vec<u64>>,
}

impl Asking {
    /// All answers are the twin's.
    async fn is_answered(&mut self) {
        self.party.events.wide.clear();
        ask(&mut self.party).await.expect("works");
        assert_eq!(self.party.events.wide, self.expected);
    }

    /// Is told why there is no answer.
    async fn fails(&mut self) -> DeviceError {
        self.party.settings.retries = 0;
        let error = ask(&mut self.party).await.expect_err("no answer");
        self.party.settings.retries = 30;
        error
    }
}

/// Data parties that ask at once; what they heard.
async fn all_are_answered(asking: Vec<Asking>) -> Vec<Log> {
    let mut asked = tokio::task::JoinSet::new();
    for mut asking in asking {
        asked.spawn(async move {
            asking.is_answered().await;
            asking.party.events
        });
    }
    asked.join_all().await
}

/// Exact truncation: bit for bit, by several data parties at once, over several chunks of sessions;
/// and the traffic is as promised.
#[tokio::test(flavor = "multi_thread")]
async fn exact_answers_are_those_of_the_twin() {
    for (layers, sizes, standardised) in
        [(PERCEPTRON, (9, 3), 0), (POOLS, (36, 3), 0), (PERCEPTRON, (9, 3), 12)]
    {
        let shared = Shared::standardised(layers, "exact", sizes, standardised);
        let (dealer, server_0, server_1) = shared.start((3, 4)).await;
        let asking = (0..4)
            .map(|number| shared.data_party(&format!("pump-{number}"), (&server_0, &server_1), 5));
        for heard in all_are_answered(asking.collect()).await {
            let (inputs, outputs) = (sizes.0 as u64, sizes.1 as u64);
            assert_eq!(heard.wide.len(), 5);
            let promised = (8 * inputs + 64, 16 * outputs);
            assert!(heard.traffic.iter().all(|it| *it == promised), "{:?}", heard.traffic);
        }
        stop(server_0, server_1, dealer).await;
    }
}

/// The same without a dealer: the servers prepare each session together.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_alone_answer_as_the_twin() {
    for (layers, sizes, standardised) in
        [(PERCEPTRON, (9, 3), 0), (POOLS, (36, 3), 0), (PERCEPTRON, (9, 3), 12)]
    {
        let mut shared = Shared::standardised(layers, "exact", sizes, standardised);
        shared.alone = true;
        let server_1 = shared.server_1("127.0.0.1:0", "", &shared.shares[1]).await;
        let server_0 = shared.server_0("127.0.0.1:0", &server_1.address, (2, 4)).await;
        let asking = (0..3)
            .map(|number| shared.data_party(&format!("pump-{number}"), (&server_0, &server_1), 4));
        for heard in all_are_answered(asking.collect()).await {
            assert_eq!(heard.wide.len(), 4);
        }
        // A server that is started again is found, and prepares anew.
        let address = server_1.address.clone();
        server_1.stop().await.expect("stops");
        let server_1 = shared.server_1(&address, "", &shared.shares[1]).await;
        shared.data_party("pump-9", (&server_0, &server_1), 2).is_answered().await;
        server_0.stop().await.expect("stops");
        server_1.stop().await.expect("stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_other_sources_of_correlations_are_refused() {
    let mut shared = Shared::new(PERCEPTRON, "exact", (9, 3));
    let dealer = shared.room.dealer().await;
    for (alone, address) in [(true, dealer.address.as_str()), (false, "")] {
        shared.alone = alone;
        let server_1 = shared.server_1("127.0.0.1:0", address, &shared.shares[1]).await;
        let server_0 = shared.server_0("127.0.0.1:0", &server_1.address, (1, 4)).await;
        says(&server_0.ended().await.expect_err("differs"), "start both with the same");
    }
}

/// What was trained on standardised columns takes values as they are, and answers in the units of
/// its targets.
#[test]
fn a_folded_model_answers_as_its_scaling_in_floating_point() {
    for standardised in [9, 12] {
        let shared = Shared::standardised(PERCEPTRON, "exact", (9, 3), standardised);
        let network = shared.whole.serving.network();
        let columns: Vec<_> =
            shared.whole.scaling.iter().map(|column| scaling::numbers(*column, F)).collect();
        let (features, targets) = columns.split_at(9);
        let numbers = plain::numbers(&shared.whole.model, F);
        let folded = scaling::fold(network, &numbers, features, targets).expect("dense");
        let readings = shared.readings(20);
        let values = readings.rows().flatten().copied().collect();
        let samples = Samples::new(9, values, 3, vec![0.0; 60]).expect("rows");
        let expected = float::outputs(network, &folded, &samples).expect("fits");
        for (word, expected) in shared.twin(&readings).iter().flatten().zip(expected) {
            let found = word.cast_signed() as f64 / f64::from(1 << F);
            assert!((found - expected).abs() < 1e-3, "{found} and {expected}");
        }
    }
}

/// Columns of any size: values of hundreds of thousands, which training takes, are answered as
/// exactly as small ones, by the servers, too.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_any_size_are_answered() {
    const COLUMNS: [(f64, f64); 4] =
        [(300_000.0, 100_000.0), (3_000_000.0, 1_500_000.0), (0.03, 0.002), (5.0, 2.0)];
    // Two labels: prices and shares of them.
    for targets in [&[][..], &[(200_000.0, 50_000.0), (0.3, 0.1)]] {
        let columns = [&COLUMNS, targets].concat();
        let layers = PERCEPTRON.replace("input = 9", "input = 4").replace("= 3", "= 2");
        let shared = Shared::of(&layers, "exact", (4, 2), &columns);
        let network = shared.whole.serving.network();
        let mut rng = rng(printed_seed());
        let mut real = || 3.0 * f64::from(rng.next_u32()) / f64::from(u32::MAX) - 1.5;
        let rows: Vec<f32> = (0..20)
            .flat_map(|_| COLUMNS.map(|(mean, deviation)| (mean + deviation * real()) as f32))
            .collect();
        let readings = Readings::new(4, rows.clone()).expect("finite");
        let scaling: Vec<_> =
            shared.whole.scaling.iter().map(|column| scaling::numbers(*column, F)).collect();
        let (features, of_targets) = scaling.split_at(4);
        let numbers = plain::numbers(&shared.whole.model, F);
        let folded = scaling::fold(network, &numbers, features, of_targets).expect("dense");
        let values = rows.clone();
        let samples = Samples::new(4, values, 2, vec![0.0; 40]).expect("rows");
        let expected = float::outputs(network, &folded, &samples).expect("fits");
        let answers = shared.twin(&readings);
        for (index, (word, expected)) in answers.iter().flatten().zip(expected).enumerate() {
            let found = word.cast_signed() as f64 / f64::from(1 << F);
            let deviation = targets.get(index % 2).map_or(1.0, |(_, deviation)| *deviation);
            let off = (found - expected).abs() / deviation;
            assert!(off < 2e-4, "{index}: {found} and {expected}");
        }
        let (dealer, server_0, server_1) = shared.start((1, 64)).await;
        let mut party = shared.room.data_party("pump", &server_0, &server_1, &readings);
        (party.task, party.settings.retries) = (shared.task(), 30);
        ask(&mut party).await.expect("works");
        assert_eq!(party.events.wide, answers);
        // What no data to train on may have is no question either.
        let wide = vec![9e6, 3e6, 0.03, 5.0];
        party.sensor.0 = Readings::new(4, wide).expect("finite");
        assert_matches!(ask(&mut party).await, Err(DeviceError::ReadingsRefused { .. }));
        stop(server_0, server_1, dealer).await;
    }
}

/// The largest distance of answers in units of the last place.
fn distance(found: &[Vec<u64>], expected: &[Vec<u64>]) -> u64 {
    let words = found.iter().flatten().zip(expected.iter().flatten());
    words.map(|(a, b)| a.wrapping_sub(*b).cast_signed().unsigned_abs()).max().expect("answers")
}

/// With the one-unit truncation a hidden value is at most a unit too high; a layer of weights below
/// one half makes at most half as many units of that as it has inputs, and what is dropped at the
/// end may be one more.
#[tokio::test(flavor = "multi_thread")]
async fn network_a_takes_seven_messages_and_is_within_its_bound() {
    let shared = Shared::new("name = \"a\"", "one-unit", (784, 10));
    let dealer = shared.room.dealer().await;
    let server_1 = shared.server_1("127.0.0.1:0", &dealer.address, &shared.shares[1]).await;
    let party_0 = shared.party_0(&server_1.address, &shared.shares[0], (1, 16)).await;
    let server_0 = shared.room.serve("127.0.0.1:0", party_0.clone(), None).await;
    let Asking { mut party, expected } = shared.data_party("pump", (&server_0, &server_1), 3);
    ask(&mut party).await.expect("works");
    let bound = 128 / 2 * (128 / 2 + 1) + 1;
    let units = distance(&party.events.wide, &expected);
    assert!(units <= bound, "{units} units");
    let sent = party_0.latest();
    println!("network A: {} messages, {} bytes, {units} units", sent.messages, sent.bytes);
    assert_eq!(sent.messages, 7);
    // In front of the first goes which query it is.
    assert_eq!(sent.bytes, shared.whole.serving.evaluation().usage.online_bytes + 9);
    stop(server_0, server_1, dealer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_the_operator_reach_the_console() {
    let shared = Shared::new(PERCEPTRON, "exact", (9, 3));
    let key = shared.room.provision_console("operator");
    let (_dealer, server_0, server_1) = shared.start((1, 16)).await;
    let Asking { mut party, expected } = shared.data_party("pump", (&server_0, &server_1), 4);
    party.settings.recipient = Recipient::Console;
    ask(&mut party).await.expect("works");
    assert!(party.events.wide.iter().all(Vec::is_empty), "the data party learns nothing");
    let printed = Printed::default();
    assert_eq!(console(key, [&server_0, &server_1], 4, &printed).await.expect("works"), 4);
    let expected: Vec<Vec<u32>> =
        expected.iter().map(|answer| answer.iter().map(|&value| value as u32).collect()).collect();
    let values: Vec<_> = printed.lock().unwrap().iter().map(|(_, values)| values.clone()).collect();
    assert_eq!(values, expected);
}

/// Shares that do not belong together: the field is named, at whichever server.
#[tokio::test(flavor = "multi_thread")]
async fn shares_of_other_models_are_refused_with_their_field() {
    let shared = Shared::new(PERCEPTRON, "exact", (9, 3));
    let dealer = shared.room.dealer().await;
    let server_1 = shared.server_1("127.0.0.1:0", &dealer.address, &shared.shares[1]).await;
    let changed = |change: &dyn Fn(&mut Header)| {
        let mut share = copy(&shared.shares[0]);
        change(&mut share.header);
        share
    };
    let others = [
        (changed(&|header| header.run = [6; 16]), "run: "),
        (changed(&|header| header.step = 3), "step: 3 here and 2 at the other server"),
        (
            changed(&|header| header.columns.features[4] = "area\u{1b}[2J".to_owned()),
            "column 5: `area[2J` here and `c4` at the other server; give both servers their",
        ),
        (
            changed(&|header| header.columns.labels.clear()),
            "label 1: none here and `y` at the other server; give both servers their shares",
        ),
        (
            changed(&|header| header.config = config(PERCEPTRON, "exact", 7)),
            "`training.seed` is 7 here and 1 at the other server",
        ),
        (
            changed(&|header| header.config = config(PERCEPTRON, "one-unit", 1)),
            "`arithmetic.truncation` is \"one-unit\" here",
        ),
    ];
    for (share, expected) in &others {
        let party = shared.party_0(&server_1.address, share, (1, 16)).await;
        let server_0 = shared.room.serve("127.0.0.1:0", party, None).await;
        says(&server_0.ended().await.expect_err("differs"), expected);
    }
    // The wrong party's file, a file that is cut, and one with too few words.
    let (path, cut) = (shared.room.path("model-1.share"), shared.room.path("cut.share"));
    let error = SharedModel::load_of(&path, 0).expect_err("of the other party");
    assert_matches!(
        error,
        ModelError::Share(TrainingError::OtherParty { found: 1, expected: 0, .. })
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    assert_matches!(SharedModel::load(&cut), Err(ModelError::Share(TrainingError::Damaged { .. })));
    let mut nameless = copy(&shared.shares[1]);
    nameless.header.columns.features.pop();
    assert_matches!(
        SharedModel::new(&nameless, &cut),
        Err(ModelError::Share(TrainingError::Damaged { .. }))
    );
    let mut few = copy(&shared.shares[1]);
    few.words.pop();
    assert_matches!(
        SharedModel::new(&few, &cut),
        Err(ModelError::Share(TrainingError::Damaged { .. }))
    );
    // A server with a model of its own.
    let owner = &shared.room;
    let other = owner.server_0_at("127.0.0.1:0", &server_1.address, owner.task(), 1).await;
    says(&other.ended().await.expect_err("another ring"), "ring bits");
}

/// A half alone, halves that disagree, a replay: refused with their reasons, and the lane goes on.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_queries_cost_a_session_and_no_lane() {
    // The first message of a session is another where columns are standardised.
    for standardised in [0, 12] {
        let shared = Shared::standardised(PERCEPTRON, "exact", (9, 3), standardised);
        shared.room.provision_console("operator");
        let (dealer, server_0, server_1) = shared.start((1, 64)).await;
        let task = shared.task();
        let (seed, masked, device) = (Half::Seed, Half::Masked, Recipient::DataParty);
        assert_eq!(
            send(&server_1, &half(&task, 1, masked, device)).await,
            refused(Reason::NoPartner)
        );
        for id in 2..5 {
            let alone = half(&task, id, seed, device);
            assert_eq!(send(&server_0, &alone).await, refused(Reason::NoPartner));
        }
        assert_eq!(send(&server_0, &half(&task, 2, seed, device)).await, refused(Reason::Replay));
        let (to_device, to_console) =
            (half(&task, 9, seed, device), half(&task, 9, masked, Recipient::Console));
        let (first, second) =
            tokio::join!(send(&server_0, &to_device), send(&server_1, &to_console));
        assert_eq!((first, second), (refused(Reason::HalvesDiffer), refused(Reason::HalvesDiffer)));
        shared.data_party("pump", (&server_0, &server_1), 2).is_answered().await;
        stop(server_0, server_1, dealer).await;
    }
}

/// Either server, or the dealer, goes away in the middle: a named refusal, and everything works
/// when it is back, under fresh masks.
#[tokio::test(flavor = "multi_thread")]
async fn what_disappears_is_named_and_found_again() {
    let shared = Shared::new(PERCEPTRON, "exact", (9, 3));
    let (dealer, server_0, server_1) = shared.start((2, 16)).await;
    let addresses = (server_0.address.clone(), server_1.address.clone(), dealer.address.clone());
    let mut asking = shared.data_party("pump", (&server_0, &server_1), 3);
    asking.is_answered().await;

    server_1.kill().await;
    let error = asking.fails().await;
    assert!(error.is_passing(), "{error}");
    let seed = half(&shared.task(), 77, Half::Seed, Recipient::DataParty);
    assert_eq!(send(&server_0, &seed).await, refused(Reason::PeerLost));
    let server_1 = shared.server_1(&addresses.1, &dealer.address, &shared.shares[1]).await;
    asking.is_answered().await;

    server_0.kill().await;
    let server_0 = shared.server_0(&addresses.0, &addresses.1, (2, 16)).await;
    asking.is_answered().await;

    dealer.kill().await;
    asking.party.settings.retries = 0;
    let reason = loop {
        match ask(&mut asking.party).await {
            Ok(_) => {}
            Err(DeviceError::Server {
                source: SessionError::Query(Reason::NoPartner | Reason::PeerLost),
                ..
            }) => {}
            Err(DeviceError::Server { source: SessionError::Query(reason), .. }) => break reason,
            // A busy machine may let a connection wait for too long.
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
    };
    assert_eq!(reason, Reason::NoCorrelations);
    let dealer = shared.room.dealer_at(&addresses.2).await;
    asking.party.settings.retries = 30;
    asking.is_answered().await;
    stop(server_0, server_1, dealer).await;
}

/// Far apart: as many one-way delays as there are messages, although server 0 says which query it
/// is.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_network_a_takes_seven_delays() {
    const DELAY: Duration = Duration::from_millis(80);
    let mut shared = Shared::new("name = \"a\"", "one-unit", (784, 10));
    shared.room.unit = 20 * DELAY;
    let dealer = shared.room.dealer().await;
    let server_1 = shared.server_1("127.0.0.1:0", &dealer.address, &shared.shares[1]).await;
    let far = Wire::new(&server_1.address, DELAY).await;
    let server_0 = shared.server_0("127.0.0.1:0", &far.address, (2, 16)).await;
    let Asking { mut party, .. } = shared.data_party("pump", (&server_0, &server_1), 1);
    ask(&mut party).await.expect("works");
    let mut delays = Vec::new();
    for _ in 0..4 {
        // Both lanes are ready again.
        tokio::time::sleep(8 * DELAY).await;
        let start = std::time::Instant::now();
        ask(&mut party).await.expect("works");
        delays.push(start.elapsed().as_secs_f64() / DELAY.as_secs_f64());
    }
    println!("one-way delays: {delays:.2?}");
    let least = delays.iter().copied().fold(f64::INFINITY, f64::min);
    assert!((6.9..7.7).contains(&least), "{delays:?}");
}

/// Many at once: server 1's guesses may be wrong, and no answer is.
#[tokio::test(flavor = "multi_thread")]
async fn queries_at_once_are_told_apart() {
    let mut shared = Shared::new(PERCEPTRON, "exact", (9, 3));
    shared.room.unit = 5 * STALL;
    let dealer = shared.room.dealer().await;
    let server_1 = shared.server_1("127.0.0.1:0", &dealer.address, &shared.shares[1]).await;
    let far = Wire::new(&server_1.address, Duration::from_millis(5)).await;
    let server_0 = shared.server_0("127.0.0.1:0", &far.address, (3, 32)).await;
    let asking = (0..6)
        .map(|number| shared.data_party(&format!("pump-{number}"), (&server_0, &server_1), 12));
    let heard = all_are_answered(asking.collect()).await;
    let failures: usize = heard.iter().map(|heard| heard.failures.len()).sum();
    println!("{failures} queries were asked again");
    stop(server_0, server_1, dealer).await;
}
