//! Training as programs: provision, dealer, collect, share, train, crashes, open.

use std::path::Path;
use std::sync::Arc;

use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::{Options, Table, shares};
use sharelet_import::write;
use sharelet_testkit::processes::{Program, Programs, Server, until};
use sharelet_testkit::training::table;
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::curve::Curve;
use sharelet_train::plain;
use sharelet_train::scaling::{self, COLUMN_WORDS};
use sharelet_train::state::Data;

const CONFIG: &str = r#"
[data]
train = "people"
[model]
kind = "logistic-regression"
[training]
epochs = 20
batch = 4
learning_rate = 0.5
seed = 5
[arithmetic]
truncation = "exact"
[checkpoint]
every = 10
[open]
loss = true
accuracy = true
model = { to = "clinic" }
"#;
const DEALER: &str = "dealer --state dealer";
const PARTY_0: &str = "train config.toml --party 0 --state server-0 --key server-0.key";

/// The step of the newest checkpoint.
fn newest(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder.join("training-config")).into_iter().flatten().flatten();
    let step =
        |name: String| name.strip_prefix("step-")?.strip_suffix(".share")?.parse::<u64>().ok();
    entries.filter_map(|entry| step(entry.file_name().into_string().unwrap())).max()
}

/// Both servers begin.
fn begin(room: &Programs, dealer: &str, more: &str) -> (Program, Program) {
    let Server { program, address } = room
        .serve(&format!("train config.toml --party 1 --state server-1 --dealer {dealer} {more}"));
    (room.start(&format!("{PARTY_0} --peer {address} {more}")), program)
}

#[test]
fn programs_train_and_are_killed_and_the_owner_opens_the_model() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let csv = table(40, 3, 2, 1);
    room.write("people.csv", &csv);
    room.write("config.toml", CONFIG);
    room.works("provision server-0 --role server-0 --state dealer");
    let (collectors, to) = room.collectors();
    let data = "people.csv --label y --binary --dataset people --owner lab \
                --allow loss,accuracy,model=clinic";
    room.works(&format!("share {data} --to {to}"));
    drop(collectors);
    let mut dealer = room.serve(DEALER);
    let beyond = |step| {
        until("a checkpoint", || {
            newest(&room.path("server-0")).is_some_and(|newest| newest >= step)
        });
    };

    // Server 0 is killed.
    let (zero, one) = begin(&room, &dealer.address, "");
    beyond(20);
    drop(zero);
    one.end().expect(1, "the other server is gone").expect(1, "--resume");
    // Without --resume nothing is lost by mistake.
    room.refuses(&format!("{PARTY_0} --peer 127.0.0.1:9"), 1, "go on with --resume");

    // Server 1 is killed.
    let (zero, one) = begin(&room, &dealer.address, "--resume");
    beyond(60);
    drop(one);
    zero.end().expect(1, "--resume");

    // The dealer is killed, and starts again.
    let (zero, one) = begin(&room, &dealer.address, "--resume");
    beyond(100);
    drop(dealer);
    one.end().expect(1, "dealer").expect(1, "--resume");
    zero.end().expect(1, "--resume");
    dealer = room.serve(DEALER);

    // Ctrl-C at server 1.
    #[cfg(unix)]
    {
        let (zero, one) = begin(&room, &dealer.address, "--resume");
        beyond(130);
        one.signal("INT");
        one.end().expect(130, "go on from the last checkpoint, both servers with --resume");
        zero.end().expect(1, "");
    }

    // To the end, and as the twin.
    let drawn = "--resume --curve curve.csv --plot curve.svg";
    let (zero, one) = begin(&room, &dealer.address, drawn);
    zero.end().expect(0, "");
    one.end().expect(0, "");
    let curve = room.read("curve.csv");
    assert_eq!(curve.lines().count(), 21, "{curve}");
    assert!(room.path("curve-loss.svg").exists() && room.path("curve-accuracy.svg").exists());

    // Once more: both have their share, and say so. Server 0 waits for a server that starts later.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let zero = room.start(&format!("{PARTY_0} --peer {free} --resume"));
    std::thread::sleep(core::time::Duration::from_millis(300));
    let one = room.start(&format!(
        "train config.toml --party 1 --state server-1 --dealer {} --listen {free} --resume",
        dealer.address
    ));
    for end in [zero.end(), one.end()] {
        assert!(end.expect(0, "").out.contains("the run was finished before"));
    }
    // A server that does not come is waited for, and named.
    let line = format!("{PARTY_0} --peer 127.0.0.1:9 --resume --wait 1s");
    room.refuses(&line, 1, "cannot connect to 127.0.0.1:9");

    let shares = [0, 1].map(|party| format!("server-{party}/training-config/model.share"));
    let open = |[a, b]: [usize; 2], owner: &str| {
        format!("open {} {} --owner {owner} -o m.onnx", shares[a], shares[b])
    };
    room.refuses(&open([0, 1], "lab"), 2, "gives the model to clinic, not to lab");
    assert!(!room.path("m.onnx").exists());
    room.refuses(&open([0, 0], "clinic"), 2, "both files are shares of party 0");
    room.works(&open([0, 1], "clinic"));
    room.refuses(&open([1, 0], "clinic"), 1, "--force");

    // A new run does not write over a finished model unasked: refused before anything is connected.
    room.refuses(&format!("{PARTY_0} --peer 127.0.0.1:1"), 1, "--fresh");

    let (onnx, expected) = twin(&csv, CONFIG);
    assert!(
        std::fs::read(room.path("m.onnx")).unwrap() == onnx,
        "the file is that of the twin's model, bit for bit"
    );
    expected.save(&room.path("expected.csv")).unwrap();
    assert_eq!(curve, room.read("expected.csv"));
}

/// Two servers without a dealer, and without a key that anybody else has: the same model, bit for
/// bit, also where both go on after a crash.
#[test]
fn programs_train_alone() {
    let config = CONFIG.replace("epochs = 20", "epochs = 3").replace("every = 10", "every = 5");
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let csv = table(40, 3, 2, 1);
    room.write("people.csv", &csv);
    room.write("config.toml", &config);
    let (collectors, to) = room.collectors();
    let data = "people.csv --label y --binary --dataset people --owner lab \
                --allow loss,accuracy,model=clinic";
    room.works(&format!("share {data} --to {to}"));
    drop(collectors);
    let line = |party: u8, more: &str| {
        format!("train config.toml --party {party} --state server-{party} {more}")
    };
    room.refuses(&line(0, "--prepare ot --key k --peer 127.0.0.1:9"), 2, "cannot be used with");
    room.refuses(&line(1, "--listen 127.0.0.1:0"), 2, "--dealer is missing");
    let begin = |more: &str| {
        let Server { program, address } = room.serve(&line(1, &format!("--prepare ot {more}")));
        (room.start(&line(0, &format!("--prepare ot --peer {address} {more}"))), program)
    };

    // Server 0 is killed in the middle.
    let (zero, one) = begin("");
    until("a checkpoint", || newest(&room.path("server-0")).is_some());
    drop(zero);
    one.end().expect(1, "--resume");
    let (zero, one) = begin("--resume");
    assert!(zero.end().expect(0, "").out.contains("prepared with the other server in"));
    one.end().expect(0, "");
    let shares = [0, 1].map(|party| format!("server-{party}/training-config/model.share"));
    room.works(&format!("open {} {} --owner clinic -o m.onnx", shares[0], shares[1]));
    let (onnx, _) = twin(&csv, &config);
    assert!(
        std::fs::read(room.path("m.onnx")).unwrap() == onnx,
        "the file is that of the twin's model, bit for bit"
    );
}

/// The twin's model as a file, and its curve.
fn twin(csv: &str, config: &str) -> (Vec<u8>, Curve) {
    let options =
        Options { labels: vec!["y".into()], kind: LabelKind::Binary, ..Options::default() };
    let table = Table::from_bytes(csv.as_bytes(), Path::new("a.csv"), None, &options).unwrap();
    let encoded = shares::encode(&table, 20).unwrap();
    let (inputs, behind) = encoded.words().split_at(40 * 3);
    let (targets, scaling) = behind.split_at(40);
    let scaling = scaling.as_chunks::<COLUMN_WORDS>().0.to_vec();
    let columns: Vec<_> = scaling.iter().map(|words| scaling::numbers(*words, 20)).collect();
    let config = Config::parse(config, Path::new("config.toml")).unwrap();
    let course = Arc::new(
        Course::new(
            config,
            Sizes { rows: 40, features: 3, targets: 1, standardised: 3, ..Default::default() },
        )
        .unwrap(),
    );
    let data = Data { inputs: inputs.to_vec(), targets: targets.to_vec(), scaling };
    let (model, expected) = plain::twin(&course, data, Data::default(), &mut |_| ()).unwrap();
    let numbers = plain::numbers(&model, 20);
    let folded = scaling::fold(course.network(), &numbers, &columns, &[]).unwrap();
    (write::onnx(course.network(), &folded.to_f32(), "sharelet").unwrap(), expected)
}
