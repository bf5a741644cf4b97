//! `sharelet share` and `sharelet collect` as programs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use sharelet_core::share::{self, Party};
use sharelet_host::store::datasets::Datasets;
use tempfile::TempDir;

fn sharelet(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharelet"));
    command.current_dir(folder).args(arguments).env_remove("RUST_LOG");
    command
}

/// A server, killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, party: &str, state: &str) -> Self {
        let arguments = ["collect", "--party", party, "--state", state, "--listen", "127.0.0.1:0"];
        let mut child = sharelet(folder, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).expect("reads");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two servers, and a folder for everything.
fn servers() -> (TempDir, [Server; 2], String) {
    let folder = tempfile::tempdir().unwrap();
    let servers =
        [Server::start(folder.path(), "0", "s0"), Server::start(folder.path(), "1", "s1")];
    let to = format!("{},{}", servers[0].address, servers[1].address);
    (folder, servers, to)
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    sharelet(folder, arguments).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn works(folder: &Path, arguments: &[&str]) -> String {
    let done = run(folder, arguments);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(done.stdout.is_empty());
    text(&done.stderr)
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let done = run(folder, arguments);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    text(&done.stderr)
}

/// Features and labels as reals, opened from both states, also while the servers run.
fn open(folder: &Path, dataset: &str) -> (Vec<f64>, Vec<f64>) {
    let [zero, one] = [("s0", Party::P0), ("s1", Party::P1)].map(|(state, party)| {
        Datasets::read(&folder.join(state), party).dataset(&dataset.parse().unwrap()).unwrap()
    });
    assert_eq!(zero.descriptor().hash(), one.descriptor().hash());
    let opened = |mut zero: Vec<u64>, one: Vec<u64>| {
        share::open(&mut zero, &one);
        zero.iter().map(|&word| word.cast_signed() as f64 / f64::from(1 << 20)).collect()
    };
    (opened(zero.features, one.features), opened(zero.targets, one.targets))
}

#[test]
fn owners_of_rows_and_of_columns_share() {
    let (folder, servers, to) = servers();
    let folder = folder.path();
    std::fs::write(folder.join("a.csv"), "x,y\n0.5,1\n").unwrap();
    std::fs::write(folder.join("b.csv"), "y,x\n0,-2\n1,300\n").unwrap();
    let rows = ["--label", "y", "--binary", "--dataset", "rows", "--to", &to, "--owner"];
    let said = works(folder, &[&["share", "b.csv"], &rows[..], &["b"]].concat());
    assert!(
        said.contains("both servers have registered 2 rows in dataset rows")
            && said.contains("plaintext"),
        "{said}"
    );
    works(folder, &[&["share", "a.csv"], &rows[..], &["a"]].concat());
    assert_eq!(open(folder, "rows"), (vec![0.5, -2.0, 300.0], vec![1.0, 0.0, 1.0]));

    std::fs::write(folder.join("secret"), [7; 32]).unwrap();
    std::fs::write(folder.join("bank.csv"), "id,age\np,30\nq,40\n").unwrap();
    std::fs::write(folder.join("shop.csv"), "customer,orders,price\np,1,2000\nq,2,3000\n").unwrap();
    let columns = ["--key-secret", "secret", "--dataset", "columns", "--to", &to];
    works(
        folder,
        &[&["share", "bank.csv", "--key", "id", "--owner", "bank"], &columns[..]].concat(),
    );
    let shop = [
        "share",
        "shop.csv",
        "--key",
        "customer",
        "--label",
        "price",
        "--label-scale",
        "1/1000",
        "--owner",
        "shop",
    ];
    works(folder, &[&shop[..], &columns].concat());
    assert_eq!(open(folder, "columns"), (vec![30.0, 1.0, 40.0, 2.0], vec![2.0, 3.0]));

    // The id of an upload ends it, however often.
    let again = [&["share", "a.csv"], &rows[..], &["a"]].concat();
    let error = refused(folder, &again);
    let id = error
        .split("--upload-id ")
        .nth(1)
        .and_then(|rest| rest.get(..32))
        .expect("an id")
        .to_owned();
    assert!(works(folder, &[&again[..], &["--upload-id", &id]].concat()).contains("already"));

    // Servers that were killed have what they registered.
    drop(servers);
    assert_eq!(open(folder, "rows").0.len(), 3);
    let error = refused(folder, &again);
    assert!(error.contains("cannot connect"), "{error}");
}

#[test]
fn wrong_use_is_named() {
    let (folder, servers, to) = servers();
    let folder = folder.path();
    std::fs::write(folder.join("a.csv"), "x,y\n0.5,1\n,2\n").unwrap();
    std::fs::write(folder.join("b.csv"), "x,y\n0.5,1\n").unwrap();
    std::fs::write(folder.join("short"), "0123456789").unwrap();
    let names = ["--dataset", "d", "--owner", "o", "--to"];
    let share = |file, more: &[&'static str], to: &str| {
        refused(folder, &[&["share", file], more, &names[..], &[to]].concat())
    };
    let error = share("a.csv", &[], &to);
    assert!(
        error.starts_with("error: a.csv: row 2 (line 3), column `x`: the cell is empty"),
        "{error}"
    );
    let error = share("b.csv", &["--key", "x", "--key-secret", "short"], &to);
    assert!(error.contains("10 bytes, a secret for keys has at least 16"), "{error}");
    let second = Server::start(folder, "0", "other");
    let error = share("b.csv", &[], &format!("{},{}", servers[0].address, second.address));
    assert!(error.contains("both say that they are party 0"), "{error}");
    let error = share("b.csv", &[], "192.0.2.1:7200,192.0.2.2:7200");
    assert!(error.contains("--insecure-plaintext"), "{error}");
    let error =
        refused(folder, &["collect", "--party", "1", "--state", "s1", "--listen", "127.0.0.1:0"]);
    assert!(error.contains("is in use by another process"), "{error}");
    let error =
        refused(folder, &["collect", "--party", "1", "--state", "s9", "--listen", "0.0.0.0:0"]);
    assert!(error.contains("--insecure-plaintext"), "{error}");

    for wrong in [
        &["share", "b.csv", "--classes", "3"][..],
        &["share", "b.csv", "--label", "y", "--classes", "3", "--binary"],
        &["share", "b.csv", "--label", "y", "--labels", "f"],
        &["share", "b.csv", "--key", "x"],
        &["share", "b.csv", "--label", "y", "--classes", "1"],
        &["share", "b.csv", "--frac-bits", "29"],
        &["share", "b.csv", "--scale", "0"],
        &["share", "b.csv", "--upload-id", "xyz"],
        &["share", "b.csv", "--dataset", "a/b"],
    ] {
        let names = if wrong.contains(&"--dataset") { &names[2..] } else { &names[..] };
        let done = run(folder, &[wrong, names, &[&to]].concat());
        assert_eq!(done.status.code(), Some(2), "{wrong:?}: {}", text(&done.stderr));
    }
    for command in ["share", "collect"] {
        let help = run(folder, &[command, "--help"]);
        assert!(help.status.success() && text(&help.stdout).contains("Examples:"), "{command}");
    }
}

#[test]
fn mnist_is_shared() {
    let Some(data) = support::shared_data() else { return };
    let (folder, _servers, to) = servers();
    let [images, labels] =
        ["images-idx3", "labels-idx1"].map(|part| data.join(format!("mnist/test-{part}-ubyte.gz")));
    let [images, labels] = [&images, &labels].map(|path| path.to_str().unwrap());
    works(
        folder.path(),
        &[
            "share",
            images,
            "--labels",
            labels,
            "--classes",
            "10",
            "--dataset",
            "mnist",
            "--owner",
            "o",
            "--to",
            &to,
        ],
    );
    let (features, targets) = open(folder.path(), "mnist");
    assert_eq!(features.len() / 784, targets.len() / 10);
    assert!(features.iter().all(|pixel| (0.0..=1.0).contains(pixel)) && features.contains(&1.0));
}
