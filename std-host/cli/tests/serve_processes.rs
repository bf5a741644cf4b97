//! From an owner's table to answers, as programs: shared, trained, and served without anybody
//! having the model.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use sharelet_core::fixed::encode;
use sharelet_host::server::shared::model::SharedModel;
use sharelet_host::store::training::Share;
use sharelet_train::step::OpenModel;
use sharelet_train::tensor::{self, offline};

const CONFIG: &str = r#"
[data]
train = "study"
[model]
kind = "logistic-regression"
[training]
epochs = 1
batch = 100
learning_rate = 0.5
"#;

fn sharelet(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharelet"));
    command.current_dir(folder).args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs a program to its end; what it printed.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = sharelet(folder, arguments).output().expect("runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A program that listens, killed when dropped.
struct Listening {
    child: Child,
    address: String,
    /// Open as long as the program prints.
    _printed: BufReader<ChildStdout>,
}

impl Listening {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut child = sharelet(folder, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut line).expect("reads");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{arguments:?}: {line:?}"))
            .to_owned();
        Self { child, address, _printed: printed }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the twin answers with the opened model.
fn twin(folder: &Path, rows: &[Vec<f32>]) -> Vec<String> {
    let share = |party: u8| {
        Share::load(&folder.join(format!("server-{party}/training-config/model.share")))
            .expect("loads")
    };
    let (mut whole, other) = (share(0), share(1));
    assert_eq!((whole.header.run, whole.header.step), (other.header.run, other.header.step));
    whole
        .words
        .iter_mut()
        .zip(other.words)
        .for_each(|(word, share)| *word = word.wrapping_add(share));
    let model = SharedModel::new(&whole, Path::new("whole")).expect("valid");
    let machine = || tensor::twin(model.serving.truncation());
    let weights = offline::run(&mut OpenModel(&model.model), machine()).expect("runs").0;
    let answer = |row: &Vec<f32>| {
        let mut input = vec![0_u64; row.len()];
        encode(row, 20, u32::MAX, &mut input).expect("in range");
        let mut evaluate = model.serving.evaluate(&model.model, &weights, input).expect("fits");
        let output = offline::run(&mut evaluate, machine()).expect("runs").0;
        format!("frac_bits=20 values={}", output.words[0].cast_signed() >> 20)
    };
    rows.iter().map(answer).collect()
}

#[test]
fn what_was_trained_is_served_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/classes.csv"),
    )
    .expect("reads");
    std::fs::write(folder.join("classes.csv"), &table).unwrap();
    std::fs::write(folder.join("config.toml"), CONFIG).unwrap();
    let rows: Vec<Vec<f32>> = table
        .lines()
        .skip(1)
        .take(5)
        .map(|line| line.split(',').take(8).map(|value| value.parse().unwrap()).collect())
        .collect();
    let lines = rows.iter().map(|row| row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    std::fs::write(folder.join("rows.csv"), lines.collect::<Vec<_>>().join("\n")).unwrap();

    let collect = [0, 1].map(|party| {
        Listening::start(
            folder,
            &["collect", "--party", &party.to_string(), "--state", &format!("server-{party}")],
        )
    });
    let to = format!("{},{}", collect[0].address, collect[1].address);
    let data =
        ["--label", "label", "--binary", "--dataset", "study", "--owner", "clinic-a", "--to", &to];
    run(folder, &[&["share", "classes.csv"], &data[..]].concat());
    drop(collect);
    run(folder, &["provision", "server-0", "--state", "dealer-state", "-o", "server-0.key"]);
    let dealer = Listening::start(folder, &["dealer", "--state", "dealer-state"]);
    let key = ["--key", "server-0.key", "--counter", "server-0.counter"];

    let train = [
        "train",
        "config.toml",
        "--party",
        "1",
        "--state",
        "server-1",
        "--dealer",
        &dealer.address,
    ];
    let mut server_1 = Listening::start(folder, &train);
    let train = [
        "train",
        "config.toml",
        "--party",
        "0",
        "--state",
        "server-0",
        "--peer",
        &server_1.address,
    ];
    run(folder, &[&train[..], &key].concat());
    assert!(server_1.child.wait().expect("ends").success());

    // Either share gives the same task.
    let shares = [0, 1].map(|party| format!("server-{party}/training-config/model.share"));
    run(folder, &["task", "--shared", &shares[0], "-o", "study.task"]);
    run(folder, &["task", "--shared", &shares[1], "-o", "other.task"]);
    assert_eq!(
        std::fs::read(folder.join("study.task")).unwrap(),
        std::fs::read(folder.join("other.task")).unwrap()
    );

    let wrong = sharelet(
        folder,
        &[
            "server",
            "--party",
            "0",
            "--shared",
            &shares[1],
            "--peer",
            "127.0.0.1:1",
            key[0],
            key[1],
            key[2],
            key[3],
        ],
    )
    .output()
    .expect("runs");
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("a share of party 1"),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
    let missing = sharelet(folder, &["server", "--party", "1"]).output().expect("runs");
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));

    let server_1 = Listening::start(
        folder,
        &["server", "--party", "1", "--shared", &shares[1], "--dealer", &dealer.address],
    );
    let server = [
        "server",
        "--party",
        "0",
        "--shared",
        &shares[0],
        "--peer",
        &server_1.address,
        "--pool",
        "2",
    ];
    let server_0 = Listening::start(folder, &[&server[..], &key].concat());
    run(folder, &["provision", "pump-07", "--outsource", "-o", "pump-07.key"]);
    let servers = format!("{},{}", server_0.address, server_1.address);
    let device =
        ["device", "--key", "pump-07.key", "--counter", "pump-07.counter", "--outsource", &servers];
    let printed =
        run(folder, &[&device[..], &["--task", "study.task", "--inputs", "rows.csv"]].concat());
    let found: Vec<&str> =
        printed.lines().map(|line| line.split_once(' ').expect("an index").1).collect();
    assert!(
        found.iter().zip(twin(folder, &rows)).all(|(found, expected)| found.starts_with(&expected)),
        "{printed}"
    );
    assert_eq!(found.len(), rows.len());
}
