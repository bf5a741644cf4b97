//! Owners share with two servers: what the servers hold opens to the table, and nothing is ever
//! half registered.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sharelet_core::share::{self, Party};
use sharelet_host::data::description::Description;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::shares;
use sharelet_host::data::{Options, Table};
use sharelet_host::store::datasets::{DatasetError, Datasets, Disagreement};
use sharelet_host::upload::owner::{self, Outcome, OwnerError, Upload};
use sharelet_host::upload::server::MOST_ELEMS;
use sharelet_host::upload::wire::{self, Kind, Refusal, WireError};
use sharelet_link::fault::Fault;
use sharelet_link::frame::Header;
use sharelet_link::{Connection, frame};
use sharelet_testkit::owners::{self, Data, PARTIES, csv, name};
use sharelet_testkit::{Rng, assert_matches, begins, says};
use sharelet_train::labels::Labels;
use tempfile::TempDir;
use tokio::task::JoinHandle;

const STALL: Duration = Duration::from_millis(300);

/// Two servers' states.
struct Pair {
    folder: TempDir,
    datasets: [Arc<Datasets>; 2],
    most: [u64; 2],
}

impl Pair {
    fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    fn of(folder: TempDir) -> Self {
        let open = |party| Datasets::open(&Self::state(folder.path(), party), party).unwrap();
        Self { datasets: PARTIES.map(open), most: [MOST_ELEMS; 2], folder }
    }

    fn state(folder: &Path, party: Party) -> PathBuf {
        folder.join(format!("{party:?}"))
    }

    /// As after a crash of both.
    fn restart(self) -> Self {
        drop(self.datasets);
        Self::of(self.folder)
    }

    /// A connection to a server, with a fault in what the owner sends and in what the server
    /// answers.
    fn connect(&self, server: usize, up: Fault, down: Fault) -> (Connection, JoinHandle<()>) {
        owners::connect(&self.datasets[server], self.most[server], [up, down], STALL)
    }

    async fn share(&self, data: &Data) -> Result<Outcome, OwnerError> {
        self.share_with(data, [Fault::None; 2], [Fault::None; 2]).await
    }

    async fn share_with(
        &self,
        data: &Data,
        up: [Fault; 2],
        down: [Fault; 2],
    ) -> Result<Outcome, OwnerError> {
        let servers = [0, 1].map(|server| self.connect(server, up[server], down[server]));
        owners::share_over(data, servers).await
    }

    /// Both have registered the data, which opens.
    fn holds(&self, data: &Data, what: &str) {
        assert_eq!(self.registered("d"), [1, 1], "{what}");
        let (features, targets) = self.open("d");
        let words = [features, targets, self.scaling("d")].concat();
        assert_eq!(words, data.encoded.words(), "{what}");
    }

    /// What standardises the columns, opened.
    fn scaling(&self, dataset: &str) -> Vec<u64> {
        let [mut zero, one] = [0, 1]
            .map(|server| self.datasets[server].dataset(&name(dataset)).unwrap().scaling.concat());
        share::open(&mut zero, &one);
        zero
    }

    fn registered(&self, dataset: &str) -> [usize; 2] {
        [0, 1].map(|server| self.datasets[server].uploads(&name(dataset)).unwrap().len())
    }

    /// Features and labels, opened, after the two descriptors were held against each other.
    fn open(&self, dataset: &str) -> (Vec<u64>, Vec<u64>) {
        let [zero, one] =
            [0, 1].map(|server| self.datasets[server].dataset(&name(dataset)).unwrap());
        assert_eq!(zero.descriptor().difference(one.descriptor()), None);
        assert_eq!(zero.descriptor().hash(), one.descriptor().hash());
        assert_eq!(
            (zero.rows * zero.columns, zero.rows * zero.targets_per_row),
            (zero.features.len(), zero.targets.len())
        );
        let (mut features, mut targets) = (zero.features, zero.targets);
        share::open(&mut features, &one.features);
        share::open(&mut targets, &one.targets);
        (features, targets)
    }
}

fn data(dataset: &str, owner: &str, text: &str, options: &Options) -> Data {
    Data::new(dataset, owner, csv(text, options), 20, b"a secret that the owners share")
}

fn rows() -> Options {
    Options { labels: vec!["y".into()], kind: LabelKind::Classes(3), ..Options::default() }
}

fn keyed(label: &[&str]) -> Options {
    let labels = label.iter().map(|&name| name.into()).collect();
    Options { labels, kind: LabelKind::Binary, key: Some("id".into()), ..Options::default() }
}

fn reals(words: &[u64]) -> Vec<f64> {
    words.iter().map(|&word| word.cast_signed() as f64 / f64::from(1 << 20)).collect()
}

fn refusal(result: Result<Outcome, OwnerError>) -> Refusal {
    match result {
        Err(OwnerError::Server { source: WireError::Refused(refusal), .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn shares_open_to_the_table() {
    let mut rng = Rng(sharelet_testkit::seed());
    // One word, one piece to the word, and several pieces of which the last is short.
    for (count, width) in [(1, 1), (shares::PIECE_ELEMS / 8, 8), (1000, 300)] {
        let pair = Pair::new();
        let features = (0..count * width).map(|_| f64::from(rng.real()) * 4000.0).collect();
        let columns = (0..width).map(|column| format!("c{column}")).collect();
        let (labels, targets) = (Labels::None, Vec::new());
        let table = Table {
            path: "random".into(),
            rows: count,
            columns,
            features,
            labels,
            label_columns: Vec::new(),
            targets,
            keys: None,
            standardised: false,
        };
        let data = Data::new("d", "o", table, 20, &[0; 16]);
        assert_eq!(pair.share(&data).await.unwrap(), Outcome::Sent);
        let (features, targets) = pair.restart().open("d");
        assert!(features == data.encoded.words() && targets.is_empty());
    }
}

#[tokio::test]
async fn rows_of_owners_follow_one_another_in_the_order_of_their_names() {
    let pair = Pair::new();
    let b = data("d", "b", "x,z,y\n3,4,1\n", &rows());
    let named = Options { columns: Some(vec!["x".into(), "z".into()]), ..rows() };
    let a = data("d", "a", "z,y,x\n2,0,1\n-2,2,-1\n", &named);
    pair.share(&b).await.unwrap();
    pair.share(&a).await.unwrap();
    let (features, targets) = pair.open("d");
    assert_eq!(reals(&features), [1.0, 2.0, -1.0, -2.0, 3.0, 4.0]);
    assert_eq!(reals(&targets), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let dataset = pair.datasets[1].dataset(&name("d")).unwrap();
    let descriptor = dataset.descriptor().clone();
    assert_eq!(
        (descriptor.rows, descriptor.columns.join(","), dataset.targets_per_row),
        (3, "x,z".into(), 3)
    );
    let owners: Vec<_> =
        descriptor.uploads.iter().map(|part| (part.owner.as_str(), part.rows)).collect();
    assert_eq!(owners, [("a", 2), ("b", 1)]);
    assert!(format!("{dataset:?}").ends_with("<redacted>)"));

    // A server that lacks one owner's upload has another descriptor.
    let lacking = Pair::new();
    lacking.share(&b).await.unwrap();
    let other = lacking.datasets[0].dataset(&name("d")).unwrap();
    assert_eq!(descriptor.difference(other.descriptor()), Some("uploads"));
    assert_ne!(descriptor.hash(), other.descriptor().hash());
    // A dataset of another name has nothing to do with it.
    assert_eq!(pair.datasets[0].names().unwrap(), [name("d")]);
    let missing = pair.datasets[0].dataset(&name("e")).expect_err("missing").to_string();
    assert!(missing.starts_with("no dataset `e`; there are: d."), "{missing}");
}

#[tokio::test]
async fn columns_of_owners_are_joined_by_hashed_keys() {
    let pair = Pair::new();
    let bank = data("d", "bank", "id,age,y\nk1,30,1\nk2,40,0\n", &keyed(&["y"]));
    let shop = data("d", "a-shop", "id,orders,returns\nk1,5,6\nk2,7,8\n", &keyed(&[]));
    pair.share(&bank).await.unwrap();
    pair.share(&shop).await.unwrap();
    let (features, targets) = pair.open("d");
    assert_eq!(reals(&features), [5.0, 6.0, 30.0, 7.0, 8.0, 40.0]);
    assert_eq!(reals(&targets), [1.0, 0.0]);
    let dataset = pair.datasets[0].dataset(&name("d")).unwrap();
    assert_eq!((dataset.rows, dataset.columns, dataset.labels), (2, 3, Labels::Binary));
    assert_eq!(dataset.descriptor().columns.join(","), "orders,returns,age");

    // Keys are not on the servers' disks.
    for party in PARTIES {
        for entry in
            std::fs::read_dir(Pair::state(pair.folder.path(), party).join("dataset-d")).unwrap()
        {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(2).any(|window| window == b"k1" || window == b"k2"));
        }
    }

    let refused = async |data: Data| refusal(pair.share(&data).await);
    let swapped = data("d", "c", "id,x\nk2,1\nk1,2\n", &keyed(&[]));
    let key = |row| Refusal::Disagree { other: name("a-shop"), what: Disagreement::Key { row } };
    assert_eq!(refused(swapped).await, key(1));
    assert_eq!(refused(data("d", "c", "id,x\nk1,1\nk3,2\n", &keyed(&[]))).await, key(2));
    let table = csv("id,x\nk1,1\nk2,2\n", &keyed(&[]));
    let other = Data::new("d", "c", table, 20, b"another secret, also long enough");
    assert_eq!(refused(other).await, key(1));
    let disagree = |other: &str, what| Refusal::Disagree { other: name(other), what };
    let short = data("d", "c", "id,x\nk1,1\n", &keyed(&[]));
    let rows = Disagreement::Rows { expected: 2, found: 1 };
    assert_eq!(refused(short).await, disagree("a-shop", rows));
    let twice = data("d", "c", "id,age\nk1,1\nk2,2\n", &keyed(&[]));
    let age = Disagreement::ColumnTwice { name: "age".into() };
    assert_eq!(refused(twice).await, disagree("bank", age));
    let labelled = data("d", "c", "id,x,y\nk1,1,1\nk2,2,1\n", &keyed(&["y"]));
    assert_eq!(refused(labelled).await, disagree("bank", Disagreement::LabelsTwice));
    let unkeyed = data("d", "c", "x\n1\n2\n", &Options::default());
    assert_eq!(refused(unkeyed).await, disagree("a-shop", Disagreement::Keys));
    assert_eq!(pair.registered("d"), [2, 2]);
    begins(&key(2), "it does not fit the data of a-shop: row 2 has another key");
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_by_name() {
    let pair = Pair::new();
    pair.share(&data("d", "first", "x,z,y\n1,2,1\n", &rows())).await.unwrap();
    let table = csv("x,z,y\n1,2,1\n", &rows());
    let cases = [
        (data("d", "o", "x,w,y\n1,2,1\n", &rows()), "column 2 is `w` where `z` is due"),
        (data("d", "o", "z,x,y\n1,2,1\n", &rows()), "column 1 is `z` where `x` is due"),
        (data("d", "o", "x,y\n1,2\n", &rows()), "1 columns where 2 are due"),
        (
            data("d", "o", "x,z,y\n1,2,1\n", &Options { kind: LabelKind::Binary, ..rows() }),
            "binary labels where 3 classes are due",
        ),
        (
            data("d", "o", "x,z,w\n1,2,1\n", &Options { labels: vec!["w".into()], ..rows() }),
            "labels are from column `w` where `y` is due; give the same one with --label",
        ),
        (
            Data::new("d", "o", table, 19, &[0; 16]),
            "19 fraction bits where 20 are due; share with --frac-bits 20",
        ),
    ];
    for (data, expected) in cases {
        let error = pair.share(&data).await.expect_err("refused").to_string();
        says(&error, &format!("it does not fit the data of first: {expected}"));
        assert!(error.ends_with("nothing was registered"), "{error}");
    }
    assert_eq!(pair.registered("d"), [1, 1]);
    // Labels of a file have no names.
    let features = Options { labels: Vec::new(), ..rows() };
    let file = (Path::new("y.idx"), &[0, 0, 8, 1, 0, 0, 0, 1, 2][..]);
    let table = Table::from_bytes(b"x,z\n1,2\n", Path::new("a.csv"), Some(file), &features);
    let table = table.unwrap();
    pair.share(&Data::new("d", "o", table, 20, &[0; 16])).await.unwrap();
}

/// Where each frame ends in what one side of a conversation sends.
fn boundaries(frames: &[usize]) -> Vec<u64> {
    let ends = frames.iter().scan(0, |at, body| {
        *at += 5 + *body as u64;
        Some(*at)
    });
    core::iter::once(0).chain(ends).collect()
}

/// The lengths of the frames of [`interrupted`] uploads: one piece, one frame of keys.
fn lengths(data: &Data, server: usize) -> Vec<usize> {
    let begin = postcard::to_allocvec(&data.description).unwrap().len();
    let share = if server == 0 { 32 } else { data.encoded.words().len() * 8 };
    // Hello, Begin, Send, Keys, Seed or Piece, Finish, Commit.
    vec![6, begin, 0, data.keys.len() * 16, share, 32, 0]
}

#[tokio::test]
async fn an_interruption_at_any_frame_registers_nothing_and_can_be_repeated() {
    let text = "id,x,y\nk1,1.5,1\nk2,-2.5,0\n";
    let whole = data("d", "o", text, &keyed(&["y"]));
    let commit = lengths(&whole, 0).len() - 1;
    for server in [0, 1] {
        for (frame, &at) in boundaries(&lengths(&whole, server)).iter().enumerate() {
            // At the boundary, within the header that follows, and within the body.
            for at in [at, at + 2, at + 6] {
                for fault in [Fault::Cut(at), Fault::Stall(at)] {
                    let pair = Pair::new();
                    let mut up = [Fault::None; 2];
                    up[server] = fault;
                    let data = data("d", "o", text, &keyed(&["y"]));
                    let result = pair.share_with(&data, up, [Fault::None; 2]).await;
                    let registered = pair.registered("d");
                    let what = format!(
                        "server {server}, frame {frame}, {fault:?}: {result:?}, {registered:?}"
                    );
                    let total: u64 = *boundaries(&lengths(&data, server)).last().unwrap();
                    if at >= total {
                        assert!(result.is_ok() && registered == [1, 1], "{what}");
                        continue;
                    }
                    // Only when both hold everything may one be ahead of the other.
                    let committing = server == 1 && frame >= commit || at >= total - 5;
                    let expected = if server == 1 && committing { [1, 0] } else { [0, 0] };
                    assert_eq!(registered, expected, "{what}");
                    match result {
                        Err(OwnerError::Unfinished { upload, .. }) => {
                            assert!(committing && upload == data.description.id, "{what}")
                        }
                        Err(OwnerError::Server { .. }) => assert!(!committing, "{what}"),
                        _ => panic!("{what}"),
                    }
                    // The same id ends it, whatever is there; also after both were restarted.
                    let pair = pair.restart();
                    assert_eq!(pair.registered("d"), expected, "{what}");
                    let again = pair.share(&data).await.expect(&what);
                    let due = if committing { Outcome::Completed } else { Outcome::Sent };
                    assert_eq!(again, due, "{what}");
                    assert_eq!(pair.share(&data).await.expect(&what), Outcome::AlreadyRegistered);
                    pair.holds(&data, &what);
                }
            }
        }
    }
}

#[tokio::test]
async fn answers_that_are_lost_leave_nothing_half_registered() {
    let welcome = 6 + postcard::to_allocvec(&wire::Welcome::of(Party::P1, 1 << 31)).unwrap().len();
    // Welcome, Standing, Stored, Registered.
    for server in [0, 1] {
        for (frame, at) in boundaries(&[welcome, 1, 0, 0]).into_iter().enumerate().take(4) {
            let pair = Pair::new();
            let mut down = [Fault::None; 2];
            down[server] = Fault::Cut(at);
            let data = data("d", "o", "x,y\n1,1\n", &rows());
            let result = pair.share_with(&data, [Fault::None; 2], down).await;
            let what = format!("server {server}, frame {frame}: {result:?}");
            assert!(result.is_err(), "{what}");
            // Server 0 registers when it is told to, whether or not its answer arrives; server 1 is
            // told afterwards.
            let expected = match (server, frame) {
                (0, 3) => [1, 0],
                (1, 3) => [1, 1],
                _ => [0, 0],
            };
            assert_eq!(pair.registered("d"), expected, "{what}");
            let pair = pair.restart();
            pair.share(&data).await.expect(&what);
            pair.holds(&data, &what);
        }
    }
}

#[tokio::test]
async fn random_faults_leave_nothing_half_registered() {
    let seed = sharelet_testkit::seed();
    for round in 0..120 {
        let pair = Pair::new();
        let data = data("d", "o", "x,y\n1,1\n2,0\n", &rows());
        // In what the owner sends to both, or in what one server answers.
        let fault = |salt: u64| Fault::random(seed.wrapping_mul(1000) + round * 4 + salt, 300);
        let (mut up, mut down) = ([fault(0), fault(1)], [Fault::None; 2]);
        if round % 3 == 0 {
            up = down;
            down[usize::from(round % 2 == 0)] =
                Fault::random(seed.wrapping_mul(1000) + round * 4 + 2, 40);
        }
        let result = pair.share_with(&data, up, down).await;
        let registered = pair.registered("d");
        assert!(registered[0] >= registered[1], "round {round}: {registered:?}");
        assert!(result.is_err() || registered == [1, 1], "round {round}: {result:?}");
        let pair = pair.restart();
        let again = pair.share(&data).await;
        assert!(again.is_ok(), "round {round}: {result:?}, {again:?}");
        pair.holds(&data, &format!("round {round}"));
    }
}

#[tokio::test]
async fn two_servers_of_one_party_or_with_other_options_are_refused() {
    let data = data("d", "o", "x,y\n1,1\n", &rows());
    for server in [0, 1] {
        let pair = Pair::new();
        let twice = [server; 2].map(|server| pair.connect(server, Fault::None, Fault::None));
        let error = owners::share_over(&data, twice).await.expect_err("refused");
        let expected =
            format!("servers s0 and s1 both say that they are party {server}; start one");
        begins(&error, &expected);
        assert_eq!(pair.registered("d"), [0, 0]);
    }
    let mut pair = Pair::new();
    pair.most[1] = 77;
    let expected = "the servers differ in most_elems: 2147483648 at party 0, 77 at party 1; start \
                    both with the same options";
    begins(&pair.share(&data).await.expect_err("refused"), expected);
    // In the other order of addresses all is well.
    let pair = Pair::new();
    let servers = [1, 0].map(|server| pair.connect(server, Fault::None, Fault::None));
    owners::share_over(&data, servers).await.unwrap();
    assert_eq!(reals(&pair.open("d").0), [1.0]);
    // And a state directory does not change sides.
    let state = Pair::state(pair.folder.path(), Party::P0);
    drop(pair.datasets);
    let error = Datasets::open(&state, Party::P1).expect_err("refused");
    says(&error, "a share of party 0, and this server is party 1");
}

#[tokio::test]
async fn an_owner_gives_one_upload_to_a_dataset() {
    let pair = Pair::new();
    let first = data("d", "o", "x,y\n1,1\n", &rows());
    pair.share(&first).await.unwrap();
    let second = data("d", "o", "x,y\n2,1\n", &rows());
    let refused = refusal(pair.share(&second).await);
    assert_eq!(refused, Refusal::Registered { upload: first.description.id });
    says(&refused, &format!("end it with --upload-id {}", first.description.id));
    // The same id for another table is refused, too.
    let mut other = data("d", "o", "x,y\n2,1\n3,1\n", &rows());
    other.description.id = first.description.id;
    assert_eq!(refusal(pair.share(&other).await), Refusal::OtherUpload);
    // To another dataset the owner gives what it likes.
    pair.share(&data("e", "o", "w\n1\n", &Options::default())).await.unwrap();
    assert_eq!((pair.registered("d"), pair.registered("e")), ([1, 1], [1, 1]));

    // Two connections of one owner at a time would get into each other's way.
    let another = || data("f", "o", "w\n1\n", &Options::default());
    let claim = pair.datasets[1].claim(&another().description).unwrap();
    assert_eq!(refusal(pair.share(&another()).await), Refusal::UnderWay);
    drop(claim);
    pair.share(&another()).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_was_never_registered_gives_way_to_the_next() {
    let pair = Pair::new();
    let first = data("d", "o", "x,y\n1,1\n", &rows());
    let total = *boundaries(&lengths(&first, 0)[..]).last().unwrap();
    let keys_frame = 5;
    // Cut before `Commit` reaches anybody: both have stored it.
    let cut = [Fault::Cut(total - keys_frame - 5), Fault::None];
    pair.share_with(&first, cut, [Fault::None; 2]).await.expect_err("cut");
    assert_eq!(pair.registered("d"), [0, 0]);
    let pending = |pair: &Pair| {
        PARTIES.map(|party| {
            let folder = Pair::state(pair.folder.path(), party).join("dataset-d");
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
            files.filter(|file| file.extension().is_some_and(|it| it == "pending")).count()
        })
    };
    assert_eq!(pending(&pair), [1, 1]);
    let second = data("d", "o", "x,y\n2,1\n", &rows());
    assert_eq!(pair.share(&second).await.unwrap(), Outcome::Sent);
    assert_eq!((pending(&pair), pair.registered("d")), ([0, 0], [1, 1]));
    assert_eq!(reals(&pair.open("d").0), [2.0]);
}

#[tokio::test]
async fn limits_and_hostile_bytes() {
    let mut pair = Pair::new();
    pair.most = [3; 2];
    let error = refusal(pair.share(&data("d", "o", "x,y\n1,1\n", &rows())).await);
    assert_eq!(error, Refusal::TooLarge { found: 10, most: 3 });

    // Descriptions that contradict themselves.
    let pair = Pair::new();
    let valid = data("d", "o", "x,z,y\n1,2,1\n", &rows());
    let changes: [fn(&mut Description); 7] = [
        |it| it.rows = 0,
        |it| it.rows = u64::MAX,
        |it| it.columns.clear(),
        |it| it.columns[1] = "x".into(),
        |it| it.columns[1] = "\n".into(),
        |it| it.labels = Labels::Classes { classes: 1 },
        |it| it.frac_bits = 60,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut description = valid.description.clone();
        change(&mut description);
        let upload = Upload { description: &description, ..valid.upload() };
        let servers = [0, 1].map(|server| pair.connect(server, Fault::None, Fault::None).0);
        let servers = servers.map(|server| ("a server".into(), server));
        let result = owner::share(upload, servers, &mut |_| ()).await;
        assert_eq!(refusal(result), Refusal::Description, "change {number}");
    }

    // Any bytes: an answer or a closed connection, and nothing on the disk.
    let mut rng = Rng(sharelet_testkit::seed());
    for _ in 0..300 {
        let (Connection { mut reader, mut writer, .. }, task) =
            pair.connect(rng.below(2), Fault::None, Fault::None);
        if rng.below(4) > 0 {
            frame::greet(&mut writer, Kind::Hello, &[]).await.unwrap();
        }
        if rng.below(2) > 0 {
            frame::send(&mut writer, Kind::Begin, &valid.description).await.unwrap();
            let _ = frame::send_bytes(&mut writer, Kind::Send, &[]).await;
        }
        let bytes: Vec<u8> = (0..rng.below(64))
            .map(|_| if rng.below(2) == 0 { rng.byte() } else { rng.byte() % 20 })
            .collect();
        let _ = embedded_io_async::Write::write_all(&mut writer, &bytes).await;
        let _ = embedded_io_async::Write::flush(&mut writer).await;
        drop(writer);
        while let Ok(Some(header)) = Header::<Kind>::read_or_end(&mut reader).await {
            let _ = header.body(&mut reader).await;
        }
        drop(reader);
        task.await.expect("does not panic");
    }
    assert_eq!(pair.registered("d"), [0, 0]);
    let left = PARTIES.map(|party| {
        let folder = Pair::state(pair.folder.path(), party).join("dataset-d");
        std::fs::read_dir(folder).map_or(0, |files| files.count())
    });
    assert_eq!(left, [0, 0], "temporary files are gone");
}

#[tokio::test]
async fn other_versions_and_other_programs_are_named() {
    let pair = Pair::new();
    let (Connection { mut reader, mut writer, .. }, _task) =
        pair.connect(0, Fault::None, Fault::None);
    frame::send_bytes(&mut writer, Kind::Hello, b"SLTU\x09\x00").await.unwrap();
    let error = wire::read_welcome(&mut reader).await.expect_err("refused").to_string();
    assert_eq!(
        error,
        "refused: the server speaks version 4, this program 4; install matching versions"
    );

    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x02\x06\0\0\0SLTD\x01\x00",
        b"\x02\x06\0\0\0SLTU\x09\x00",
    ] {
        let data = data("d", "o", "x,y\n1,1\n", &rows());
        let (near, mut far) = tokio::io::duplex(1024);
        tokio::io::AsyncWriteExt::write_all(&mut far, answer).await.unwrap();
        let (other, _task) = pair.connect(1, Fault::None, Fault::None);
        let servers = [("a:1".into(), Connection::over(near, STALL)), ("b:2".into(), other)];
        let error = owner::share(data.upload(), servers, &mut |_| ()).await.expect_err("refused");
        let expected = if answer.ends_with(b"\x09\x00") {
            "the peer speaks version 9"
        } else {
            "the peer is not a sharelet server"
        };
        begins(&error, &format!("server a:1: {expected}"));
    }
}

#[tokio::test]
async fn damaged_files_are_named() {
    let pair = Pair::new();
    let whole = data("d", "o", "id,x,y\nk1,1.5,1\nk2,-2.5,0\n", &keyed(&["y"]));
    pair.share(&whole).await.unwrap();
    assert_eq!(whole.table.rows, 2);
    for (server, party) in PARTIES.into_iter().enumerate() {
        let path = Pair::state(pair.folder.path(), party)
            .join(format!("dataset-d/{}.share", whole.description.id));
        let bytes = std::fs::read(&path).unwrap();
        let damaged = || pair.datasets[server].dataset(&name("d"));
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let found = damaged();
            assert_matches!(found, Err(DatasetError::Damaged { path: at }) if *at == path, "{cut}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            std::fs::write(&path, &flipped).unwrap();
            let refused = damaged();
            let named = matches!(
                refused,
                Err(DatasetError::Damaged { .. }
                    | DatasetError::FileVersion { .. }
                    | DatasetError::OtherParty { .. })
            );
            assert!(named, "flipped at {at}: {refused:?}");
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    pair.open("d");
    // A second process may read, but not take uploads.
    let state = Pair::state(pair.folder.path(), Party::P0);
    let locked = Datasets::open(&state, Party::P0).expect_err("locked");
    says(&locked, "is in use by another process");
    assert!(Datasets::read(&state, Party::P0).dataset(&name("d")).is_ok());
}
