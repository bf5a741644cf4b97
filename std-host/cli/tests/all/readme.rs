//! The README is run: its commands, in their order, as somebody would type them.
//!
//! Ports are free ones, and a command behind `&` has time to listen. What builds the project or
//! takes minutes (`cargo ...`) is left out.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::docs::{blocks, repository};
use sharelet_testkit::processes::Programs;

/// The longest that all of it may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Where services listen if they are not told.
const USUAL: [(&str, u16); 4] = [
    ("sharelet dealer ", 7100),
    ("sharelet host ", 7101),
    ("sharelet server --party 0 ", 7110),
    ("sharelet server --party 1 ", 7111),
];
/// Stops what was started, whatever happens; jobs are numbered as at a prompt.
const BEGIN: &str = r#"
set -em
sharelet() { "$SHARELET" "$@"; }
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
listening() { until [ "$(grep -c 'listening on' out)" -ge "$1" ]; do sleep 0.05; done; }
"#;

/// Commands of a block, each on one line.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    joined.lines().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect()
}

/// A free port for each that the page names.
#[derive(Default)]
struct Ports(BTreeMap<u16, (u16, Option<TcpListener>)>);

impl Ports {
    fn of(&mut self, port: u16) -> u16 {
        let (free, _) = self.0.entry(port).or_insert_with(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            (listener.local_addr().expect("a port").port(), Some(listener))
        });
        *free
    }

    /// The command with these ports.
    fn moved(&mut self, command: &str) -> String {
        let mut parts = command.split("127.0.0.1:");
        let mut moved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let port = self.of(part[..end].parse().expect("a port"));
            write!(moved, "127.0.0.1:{port}{}", &part[end..]).expect("writes");
        }
        let usual = USUAL.iter().find(|(service, _)| moved.starts_with(service));
        match (usual, moved.strip_suffix('&')) {
            (Some((_, port)), Some(service)) if !moved.contains("--listen") => {
                format!("{service} --listen 127.0.0.1:{} &", self.of(*port))
            }
            _ => moved,
        }
    }
}

#[test]
fn the_commands_of_the_readme_work_in_their_order() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    std::os::unix::fs::symlink(repository().join("demo"), room.path("demo")).expect("links");
    room.write("config.toml", blocks("README.md", "toml").concat());
    let (mut script, mut ports) = (BEGIN.to_owned(), Ports::default());
    let (mut started, mut ran) = (0, 0);
    let blocks = blocks("README.md", "console");
    for command in blocks.iter().flat_map(|block| commands(block)) {
        if command.starts_with("cargo ") {
            continue;
        }
        ran += 1;
        let command = ports.moved(&command);
        writeln!(script, "cat >&2 <<'END'\n$ {command}\nEND\n{command}").expect("writes");
        if command.ends_with('&') {
            started += 1;
            writeln!(script, "listening {started}").expect("writes");
        } else if command.starts_with("kill ") {
            // At a prompt they have gone when the next command is typed.
            script.push_str("wait || true\n");
        }
    }
    assert!(ran > 40 && started > 8, "{ran} commands, {started} behind &");
    drop(ports);
    room.write("script", &script);

    let file = |name: &str| std::fs::File::create(room.path(name)).expect("creates");
    let mut shell = Command::new("bash")
        .arg("script")
        .current_dir(room.folder())
        .env("SHARELET", env!("CARGO_BIN_EXE_sharelet"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .expect("starts");
    let begin = Instant::now();
    let ended = loop {
        match shell.try_wait().expect("waits") {
            Some(ended) => break Some(ended),
            None if begin.elapsed() > LIMIT => break None,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    if ended.is_none() {
        let id = shell.id().to_string();
        Command::new("kill").arg(id).status().expect("kill runs");
        shell.wait().expect("ends");
    }
    let (out, err) = (room.read("out"), room.read("err"));
    assert!(ended.is_some_and(|ended| ended.success()), "{ended:?}\n{err}\n{out}");

    // Twelve windows: of the device, the data party, the console, and the model that was trained.
    let answers = |first: &str| out.lines().filter(|line| line.starts_with(first)).count();
    assert_eq!((answers("index="), answers("query=")), (36, 12), "{out}");
    for file in ["model.onnx", "study-loss.svg", "study-accuracy.svg"] {
        assert!(room.path(file).exists(), "{file}");
    }
}
