//! Training as programs: provision, dealer, collect, share, train, crashes, open.

#![cfg(feature = "import")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod servers;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use servers::table;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::{Options, Table, shares};
use sharelet_import::write;
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::plain;
use sharelet_train::state::Data;

fn sharelet(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharelet"));
    command.current_dir(folder).args(arguments).env_remove("RUST_LOG");
    command
}

fn works(folder: &Path, arguments: &[&str]) {
    let done = sharelet(folder, arguments).output().expect("runs");
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that listens, killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = sharelet(folder, arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let (mut line, mut reader) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        reader.read_line(&mut line).expect("reads");
        let Some(address) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{arguments:?}: {line:?} {said}");
        };
        // Nobody reads on: what it prints must not stop it.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Self { child, address }
    }

    /// Waits for its end.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIG: &str = "[data]\ntrain = \"people\"\n[model]\nkind = \
                      \"logistic-regression\"\n[training]\nepochs = 20\nbatch = 4\nlearning_rate \
                      = 0.5\nseed = 5\n[arithmetic]\ntruncation = \"exact\"\n[checkpoint]\nevery \
                      = 10\n[open]\nloss = true\naccuracy = true\nmodel = { to = \"clinic\" }\n";

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The step of the newest checkpoint.
fn newest(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder.join("training-config")).into_iter().flatten().flatten();
    let step =
        |name: String| name.strip_prefix("step-")?.strip_suffix(".share")?.parse::<u64>().ok();
    entries.filter_map(|entry| step(entry.file_name().into_string().unwrap())).max()
}

struct Room {
    folder: tempfile::TempDir,
    dealer: Server,
}

impl Room {
    fn dealer(folder: &Path) -> Server {
        Server::start(folder, &["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"])
    }

    fn one(&self, more: &[&str]) -> Server {
        let dealer = self.dealer.address.as_str();
        let fixed = [
            "train",
            "config.toml",
            "--party",
            "1",
            "--state",
            "s1",
            "--dealer",
            dealer,
            "--listen",
            "127.0.0.1:0",
        ];
        Server::start(self.folder.path(), &[&fixed[..], more].concat())
    }

    fn zero(&self, peer: &str, more: &[&str]) -> Command {
        let fixed = [
            "train",
            "config.toml",
            "--party",
            "0",
            "--state",
            "s0",
            "--key",
            "server-0.key",
            "--counter",
            "server-0.counter",
        ];
        sharelet(self.folder.path(), &[&fixed[..], &["--peer", peer], more].concat())
    }

    fn begin(&self, more: &[&str]) -> (Child, Server) {
        let one = self.one(more);
        let zero = self
            .zero(&one.address, more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (zero, one)
    }
}

fn ended(mut child: Child) -> Output {
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: child.wait().unwrap(), stdout: Vec::new(), stderr }
}

#[test]
fn programs_train_and_are_killed_and_the_owner_opens_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let csv = table(40, 3, 2, 1);
    std::fs::write(path.join("people.csv"), &csv).unwrap();
    std::fs::write(path.join("config.toml"), CONFIG).unwrap();
    works(path, &["provision", "server-0", "--state", "dealer", "-o", "server-0.key"]);
    {
        let collect = |party: &str, state: &str| {
            Server::start(
                path,
                &["collect", "--party", party, "--state", state, "--listen", "127.0.0.1:0"],
            )
        };
        let servers = [collect("0", "s0"), collect("1", "s1")];
        let to = format!("{},{}", servers[0].address, servers[1].address);
        works(
            path,
            &[
                "share",
                "people.csv",
                "--label",
                "y",
                "--binary",
                "--dataset",
                "people",
                "--owner",
                "lab",
                "--to",
                &to,
            ],
        );
    }
    let dealer = Room::dealer(path);
    let mut room = Room { folder, dealer };
    let path = room.folder.path().to_owned();
    let beyond = |step| newest(&path.join("s0")).is_some_and(|newest| newest >= step);

    // Server 0 is killed.
    let (mut zero, one) = room.begin(&[]);
    until("a checkpoint", || beyond(20));
    zero.kill().unwrap();
    zero.wait().unwrap();
    let (code, said) = one.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the other server is gone") && said.contains("--resume"), "{said}");
    // Without --resume nothing is lost by mistake.
    let refused = room.zero("127.0.0.1:9", &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));

    // Server 1 is killed.
    let (zero, mut one) = room.begin(&["--resume"]);
    until("a later checkpoint", || beyond(60));
    one.child.kill().unwrap();
    let zero = ended(zero);
    assert_eq!(zero.status.code(), Some(1));
    assert!(text(&zero.stderr).contains("--resume"), "{}", text(&zero.stderr));
    drop(one);

    // The dealer is killed, and starts again.
    let (zero, one) = room.begin(&["--resume"]);
    until("a later checkpoint", || beyond(100));
    room.dealer.child.kill().unwrap();
    let (code, said) = one.end();
    assert_eq!(code, Some(1));
    assert!(said.contains("dealer") && said.contains("--resume"), "{said}");
    assert!(text(&ended(zero).stderr).contains("--resume"));
    room.dealer = Room::dealer(&path);

    // Ctrl-C at server 1.
    #[cfg(unix)]
    {
        let (zero, one) = room.begin(&["--resume"]);
        until("a later checkpoint", || beyond(130));
        let done =
            Command::new("kill").args(["-INT", &one.child.id().to_string()]).status().unwrap();
        assert!(done.success());
        let (code, said) = one.end();
        assert_eq!(code, Some(130), "{said}");
        assert!(
            said.contains("go on from the last checkpoint, both servers with --resume"),
            "{said}"
        );
        assert_eq!(ended(zero).status.code(), Some(1));
    }

    // To the end, and as the twin.
    let (zero, one) = room.begin(&["--resume", "--curve", "curve.csv", "--plot", "curve.svg"]);
    let zero = ended(zero);
    assert!(zero.status.success(), "{}", text(&zero.stderr));
    assert_eq!(one.end().0, Some(0));
    let curve = std::fs::read_to_string(path.join("curve.csv")).unwrap();
    assert_eq!(curve.lines().count(), 21, "{curve}");
    assert!(path.join("curve-loss.svg").exists() && path.join("curve-accuracy.svg").exists());

    let shares = ["s0/training-config/model.share", "s1/training-config/model.share"];
    let wrong = sharelet(&path, &["open", shares[0], shares[1], "--owner", "lab", "-o", "m.onnx"])
        .output()
        .unwrap();
    assert!(
        text(&wrong.stderr).contains("gives the model to clinic, not to lab")
            && !path.join("m.onnx").exists()
    );
    let twice =
        sharelet(&path, &["open", shares[0], shares[0], "--owner", "clinic", "-o", "m.onnx"])
            .output()
            .unwrap();
    assert!(
        text(&twice.stderr).contains("both files are shares of party 0"),
        "{}",
        text(&twice.stderr)
    );
    works(&path, &["open", shares[0], shares[1], "--owner", "clinic", "-o", "m.onnx"]);
    let exists =
        sharelet(&path, &["open", shares[1], shares[0], "--owner", "clinic", "-o", "m.onnx"])
            .output()
            .unwrap();
    assert!(text(&exists.stderr).contains("--force"), "{}", text(&exists.stderr));

    // A new run does not write over a finished model unasked: refused before anything is connected.
    let again = room.zero("127.0.0.1:1", &[]).output().unwrap();
    assert!(text(&again.stderr).contains("--fresh"), "{}", text(&again.stderr));

    let options =
        Options { labels: vec!["y".into()], kind: LabelKind::Binary, ..Options::default() };
    let table = Table::from_bytes(csv.as_bytes(), Path::new("a.csv"), None, &options).unwrap();
    let encoded = shares::encode(&table, 20).unwrap();
    let (inputs, targets) = encoded.words().split_at(40 * 3);
    let config = Config::parse(CONFIG, Path::new("config.toml")).unwrap();
    let course = Arc::new(
        Course::new(config, Sizes { rows: 40, features: 3, targets: 1, test_rows: 0 }).unwrap(),
    );
    let data = Data { inputs: inputs.to_vec(), targets: targets.to_vec() };
    let (model, expected) = plain::twin(&course, data, Data::default(), &mut |_| ()).unwrap();
    let onnx =
        write::onnx(course.network(), &plain::numbers(&model, 20).to_f32(), "sharelet").unwrap();
    assert!(
        std::fs::read(path.join("m.onnx")).unwrap() == onnx,
        "the file is that of the twin's model, bit for bit"
    );
    expected.save(&path.join("expected.csv")).unwrap();
    assert_eq!(curve, std::fs::read_to_string(path.join("expected.csv")).unwrap());
}
