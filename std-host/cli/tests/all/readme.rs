//! The README and the page on operations are run: their commands, in their order, as somebody would
//! type them.
//!
//! Ports are free ones, and a command behind `&` has time to listen. What builds the project or
//! takes minutes (`cargo ...`) is left out.

use core::fmt::Write as _;
use core::sync::atomic::{AtomicU16, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::docs::{blocks, repository};
use sharelet_testkit::nats::{NatsServer, PROGRAM as NATS_SERVER};
use sharelet_testkit::processes::Programs;

/// The longest that all of it may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Where services listen if they are not told.
const USUAL: [(&str, u16); 4] = [
    ("sharelet dealer ", 7100),
    ("sharelet host ", 7101),
    ("sharelet server --party 0 ", 7110),
    ("sharelet server --party 1 ", 7111),
];
/// Stops what was started, whatever happens. `%1` is the first of `jobs`, as at a prompt where
/// nothing else runs.
const BEGIN: &str = r#"
set -e
jobs=()
started=()
stop() { kill "${started[@]}" 2>/dev/null || true; }
trap stop EXIT
trap 'exit 1' TERM
listening() {
    jobs+=($!)
    started+=($!)
    until [ "$(grep -c 'listening on' out)" -ge ${#started[@]} ]; do
        kill -0 $! || exit 1
        sleep 0.05
    done
}
ended() {
    wait "${jobs[@]}" || true
    jobs=()
}
"#;

/// Commands of a block, each on one line, but for what the shell asks for with `>`.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in block.replace("\\\n", " ").lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (Some(more), Some(last)) = (line.strip_prefix('>'), commands.last_mut()) {
            last.push('\n');
            last.push_str(more.strip_prefix(' ').unwrap_or(more));
        }
    }
    commands
}

/// Ports that were given to pages: two of them are run side by side, and what one has found free
/// the other must not find free as well.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A free port for each that the page names. They are below those that the system gives away, as it
/// does to the tests beside this one.
struct Ports {
    moved: BTreeMap<u16, u16>,
}

impl Ports {
    fn new() -> Self {
        Self { moved: BTreeMap::new() }
    }

    fn of(&mut self, port: u16) -> u16 {
        let first = 12_000 + (std::process::id() % 400) as u16 * 40;
        *self.moved.entry(port).or_insert_with(|| {
            loop {
                let next = first + GIVEN.fetch_add(1, Ordering::Relaxed);
                if TcpListener::bind(("127.0.0.1", next)).is_ok() {
                    return next;
                }
            }
        })
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
        let usual = USUAL.iter().find(|(service, _)| {
            let before = moved.split(service).next().unwrap_or_default();
            // Variables may stand before it.
            before.len() < moved.len()
                && before.split(' ').all(|word| word.is_empty() || word.contains('='))
        });
        match (usual, moved.strip_suffix('&')) {
            (Some((_, port)), Some(service)) if !moved.contains("--listen") => {
                format!("{service} --listen 127.0.0.1:{} &", self.of(*port))
            }
            _ => moved,
        }
    }
}

/// Runs the commands of a page in a room; how many there are, and how many services.
fn run(page: &str, room: &Programs) -> [usize; 2] {
    run_with(page, room, None)
}

/// The same, for a page on which a server of NATS listens on this port.
fn run_with(page: &str, room: &Programs, nats: Option<u16>) -> [usize; 2] {
    std::os::unix::fs::symlink(repository().join("demo"), room.path("demo")).expect("links");
    let (mut script, mut ports) = (BEGIN.to_owned(), Ports::new());
    let (mut started, mut ran) = (0, 0);
    let blocks = blocks(page, "console");
    for command in blocks.iter().flat_map(|block| commands(block)) {
        if command.starts_with("cargo ") {
            continue;
        }
        ran += 1;
        let command = ports.moved(&command);
        writeln!(script, "cat >&2 <<'SHOWN'\n$ {command}\nSHOWN").expect("writes");
        if let Some(jobs) = command.strip_prefix("kill ") {
            let pid = |job: &str| format!("${{jobs[{}]}}", job[1..].parse::<usize>().unwrap() - 1);
            let pids: Vec<String> = jobs.split(' ').map(pid).collect();
            // At a prompt they have gone when the next command is typed.
            writeln!(script, "kill {}\nended", pids.join(" ")).expect("writes");
            continue;
        }
        writeln!(script, "{command}").expect("writes");
        if command.ends_with('&') {
            started += 1;
            // No program of ours: its port tells.
            if let Some(store) = nats.filter(|_| command.starts_with("nats-server ")) {
                writeln!(script, "until (: > /dev/tcp/127.0.0.1/{}); do", ports.of(store))
                    .expect("writes");
                script.push_str("sleep 0.05\ndone 2>/dev/null\necho listening on its port\n");
            }
            script.push_str("listening\n");
        }
    }
    room.write("script", &script);

    let file = |name: &str| std::fs::File::create(room.path(name)).expect("creates");
    let folder = Path::new(env!("CARGO_BIN_EXE_sharelet")).parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let server = std::env::var(NATS_SERVER).ok().map(PathBuf::from);
    let beside = server.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let path = format!("{path}:{}", beside.display());
    let mut shell = Command::new("bash")
        .arg("script")
        .current_dir(room.folder())
        .env("PATH", path)
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
    [ran, started]
}

#[test]
fn the_commands_of_the_readme_work_in_their_order() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    room.write("config.toml", blocks("README.md", "toml").concat());
    let [ran, started] = run("README.md", &room);
    assert!(ran > 40 && started > 8, "{ran} commands, {started} behind &");
    let out = room.read("out");
    // Twelve windows: of the device, the data party, the console, and the model that was trained;
    // and twice without a dealer.
    let answers = |first: &str| out.lines().filter(|line| line.starts_with(first)).count();
    assert_eq!((answers("index="), answers("query=")), (60, 12), "{out}");
    for file in ["model.onnx", "study-loss.svg", "study-accuracy.svg"] {
        assert!(room.path(file).exists(), "{file}");
    }
}

#[test]
fn the_commands_of_the_page_on_operations_work_in_their_order() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let [ran, started] = run("docs/operations.md", &room);
    assert!(ran > 20 && started == 2, "{ran} commands, {started} behind &");
    let (out, err) = (room.read("out"), room.read("err"));
    assert_eq!(out.lines().filter(|line| line.starts_with("index=")).count(), 6, "{out}");
    for said in ["pump-03", "vibration  (default)", "ready", "pump-02 is revoked", "has key"] {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    assert!(err.contains("\"evaluated\":3"), "{err}");
}

#[test]
fn the_commands_of_the_page_on_several_machines_work_in_their_order() {
    if NatsServer::start(false).is_none() {
        return;
    }
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let [ran, started] = run_with("docs/machines.md", &room, Some(4222));
    assert!(ran > 15 && started == 5, "{ran} commands, {started} behind &");
    let out = room.read("out");
    assert_eq!(out.lines().filter(|line| line.starts_with("index=")).count(), 6, "{out}");
    for said in ["sessions ready", "masked models: 1", "pump-01 is revoked", "pump-02"] {
        assert!(out.contains(said), "{said} is not in {out}");
    }
}
