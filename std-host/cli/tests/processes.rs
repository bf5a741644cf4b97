//! The programs themselves: what they print, how they stop, what they refuse.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod parties;

use core::time::Duration;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Instant;

use parties::{Room, random_model, random_readings, random_seed, rng};

fn sharelet(room: &Room, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharelet"));
    command.current_dir(room.folder.path()).args(arguments).env_remove("RUST_LOG");
    command
}

fn output(room: &Room, arguments: &[&str]) -> Output {
    sharelet(room, arguments).output().expect("runs")
}

/// A server, killed when dropped.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(room: &Room, arguments: &[&str]) -> Self {
        // Two servers have a log each.
        let name = if arguments[0] == "server" {
            format!("server-{}", arguments[2])
        } else {
            arguments[0].to_owned()
        };
        let log = std::fs::File::create(room.path(&format!("{name}.log"))).unwrap();
        let mut child =
            sharelet(room, arguments).stdout(Stdio::piped()).stderr(log).spawn().expect("starts");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).expect("reads");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self { child, out, address }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// The exit code, in time.
    fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn room() -> Room {
    let mut rng = rng(random_seed());
    let room = Room::new(random_model(&[6, 40, 5], &mut rng));
    random_readings(&room.model, 5, &mut rng).save_npy(&room.path("readings.npy")).expect("saves");
    room
}

fn log(room: &Room, name: &str) -> String {
    std::fs::read_to_string(room.path(&format!("{name}.log"))).expect("a log")
}

#[test]
fn three_processes_agree_with_the_twin_and_stop_when_told() {
    let room = room();
    let made = output(&room, &["provision", "pump", "--state", "dealer", "-o", "pump.key"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let again = output(&room, &["provision", "pump", "--state", "dealer", "-o", "other.key"]);
    assert!(
        !again.status.success() && text(&again.stderr).contains("has a key already"),
        "{}",
        text(&again.stderr)
    );

    let mut dealer =
        Server::start(&room, &["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"]);
    let host = [
        "host",
        "model.slt",
        "--dealer",
        &dealer.address.clone(),
        "--state",
        "host",
        "--listen",
        "127.0.0.1:0",
        "--answer",
        "both",
    ];
    let mut host = Server::start(&room, &host);
    let address = host.address.clone();
    let device = [
        "device",
        "--key",
        "pump.key",
        "--counter",
        "counter",
        "--host",
        &address,
        "--inputs",
        "readings.npy",
    ];
    let run = output(&room, &[&device[..], &["--answer", "both", "--report", "report"]].concat());
    assert!(run.status.success(), "{}", text(&run.stderr));
    let twin = output(&room, &["twin", "model.slt", "--inputs", "readings.npy"]);
    assert!(twin.status.success(), "{}", text(&twin.stderr));
    assert_eq!(text(&run.stdout), text(&twin.stdout));
    assert_eq!(text(&run.stdout).lines().count(), 5);

    // What the host learns is on its standard output, and nothing else is.
    for line in text(&twin.stdout).lines() {
        let mut of_host = String::new();
        host.out.read_line(&mut of_host).expect("reads");
        let values =
            |line: &str| line.trim().split_once("frac_bits=").expect("values").1.to_owned();
        assert!(of_host.starts_with("device=pump session="), "{of_host}");
        assert_eq!(values(&of_host), values(line));
    }
    let report = std::fs::read_to_string(room.path("report")).unwrap();
    assert!(report.starts_with("boot board=native\nsession number=0 prepare_us="), "{report}");
    assert!(report.ends_with("done count=5\n"), "{report}");

    // Another answer policy is refused by name, with its exit code.
    let refused = output(&room, &[&device[..], &["--report", "report"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("start both sides with the same `--answer`"),
        "{}",
        text(&refused.stderr)
    );
    let report = std::fs::read_to_string(room.path("report")).unwrap();
    assert!(report.contains("error Refused: "), "{report}");

    host.signal("-INT");
    assert_eq!(host.wait(), Some(0));
    dealer.signal("-TERM");
    assert_eq!(dealer.wait(), Some(0));
    for name in ["dealer", "host"] {
        assert!(log(&room, name).contains("links are plaintext"), "every start says so");
    }
}

/// One round trip per layer: what either end sends is late, and so are the answers, which stay the
/// same.
#[test]
fn an_emulated_link_changes_nothing_but_the_time() {
    let room = room();
    assert!(
        output(&room, &["provision", "pump", "--state", "dealer", "-o", "pump.key"])
            .status
            .success()
    );
    let link = ["--link", "30ms,20mbit"];
    let dealer = Server::start(
        &room,
        &[&["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"][..], &link].concat(),
    );
    let host = [
        "host",
        "model.slt",
        "--dealer",
        &dealer.address,
        "--state",
        "host",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut host = Server::start(&room, &[&host[..], &link].concat());
    let address = host.address.clone();
    let device = [
        "device",
        "--key",
        "pump.key",
        "--counter",
        "counter",
        "--host",
        &address,
        "--inputs",
        "readings.npy",
    ];
    let twin = output(&room, &["twin", "model.slt", "--inputs", "readings.npy"]);
    // Two round trips for each of five answers, not to speak of handshake and preparation.
    for (options, ways) in [(&[][..], 10), (&link, 20)] {
        let start = Instant::now();
        let run = output(&room, &[&device[..], options].concat());
        assert!(run.status.success(), "{}", text(&run.stderr));
        assert_eq!(text(&run.stdout), text(&twin.stdout), "--link {options:?}");
        let (took, least) = (start.elapsed(), Duration::from_millis(30) * ways);
        assert!(took >= least, "{took:?} for {least:?} on the way");
    }
    assert!(log(&room, "host").contains("30ms one way, 20 Mbit/s"), "{}", log(&room, "host"));
    host.signal("-INT");
    assert_eq!(host.wait(), Some(0));

    for command in [
        &device[..],
        &["dealer", "--state", "other"],
        &["host", "model.slt", "--dealer", "127.0.0.1:1", "--state", "other"],
    ] {
        let refused = output(&room, &[command, &["--link", "40,100"]].concat());
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            text(&refused.stderr).contains("such as 40ms,100mbit"),
            "{}",
            text(&refused.stderr)
        );
    }
}

#[test]
fn two_servers_a_data_party_and_a_console_agree_with_the_twin() {
    let room = room();
    for arguments in [
        &["provision", "server-0", "--state", "dealer", "-o", "server-0.key"][..],
        &["provision", "pump", "--outsource", "-o", "pump.key"],
        &["provision", "control-room", "--console", "-o", "operator"],
        &["task", "model.slt", "-o", "task.bin"],
    ] {
        let made = output(&room, arguments);
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let mut dealer =
        Server::start(&room, &["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"]);
    let address = dealer.address.clone();
    let server_1 =
        ["server", "--party", "1", "--model", "model.slt", "--dealer", &address, "--state", "s1"];
    let mut server_1 = Server::start(
        &room,
        &[&server_1[..], &["--console", "operator.1", "--listen", "127.0.0.1:0"]].concat(),
    );
    let peer = server_1.address.clone();
    let server_0 = [
        "server",
        "--party",
        "0",
        "--task",
        "task.bin",
        "--key",
        "server-0.key",
        "--counter",
        "s0",
        "--peer",
    ];
    let rest = ["--console", "operator.0", "--listen", "127.0.0.1:0"];
    let mut server_0 = Server::start(&room, &[&server_0[..], &[&peer], &rest].concat());
    let both = format!("{},{}", server_0.address, server_1.address);

    let twin = text(&output(&room, &["twin", "model.slt", "--inputs", "readings.npy"]).stdout);
    let device = [
        "device",
        "--key",
        "pump.key",
        "--counter",
        "counter",
        "--outsource",
        &both,
        "--task",
        "task.bin",
    ];
    let device = [&device[..], &["--inputs", "readings.npy"]].concat();
    let run = output(&room, &device);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(text(&run.stdout), twin);

    let run = output(&room, &[&device[..], &["--to-console"]].concat());
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(
        text(&run.stdout).lines().all(|line| line.ends_with("values=")),
        "{}",
        text(&run.stdout)
    );
    let console = output(&room, &["console", "--from", &both, "--key", "operator", "--count", "5"]);
    assert!(console.status.success(), "{}", text(&console.stderr));
    let values = |text: &str| {
        let values =
            text.lines().map(|line| line.split_once("frac_bits=").expect("values").1.to_owned());
        let mut values: Vec<_> = values.collect();
        values.sort();
        values
    };
    assert_eq!(values(&text(&console.stdout)), values(&twin));
    assert!(text(&console.stdout).starts_with("query="), "{}", text(&console.stdout));

    // A second server 0 is told so, names the field, and ends.
    let first = server_0.address.clone();
    assert!(
        output(&room, &["provision", "other", "--state", "dealer", "-o", "other.key"])
            .status
            .success()
    );
    let arguments = [
        "server",
        "--party",
        "0",
        "--task",
        "task.bin",
        "--key",
        "other.key",
        "--counter",
        "other",
        "--peer",
    ];
    let second = output(&room, &[&arguments[..], &[&first, "--listen", "127.0.0.1:0"]].concat());
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("party: both servers were started as --party 0"),
        "{}",
        text(&second.stderr)
    );

    for (server, signal) in
        [(&mut server_0, "-INT"), (&mut server_1, "-TERM"), (&mut dealer, "-TERM")]
    {
        server.signal(signal);
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn state_belongs_to_one_process() {
    let room = room();
    let dealer = Server::start(&room, &["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"]);
    let second = output(&room, &["dealer", "--state", "dealer", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("is in use by another process"),
        "{}",
        text(&second.stderr)
    );
    let host = [
        "host",
        "model.slt",
        "--dealer",
        &dealer.address,
        "--state",
        "host",
        "--listen",
        "127.0.0.1:0",
    ];
    let _host = Server::start(&room, &host);
    let second = output(&room, &host);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("is in use by another process"),
        "{}",
        text(&second.stderr)
    );
}

#[test]
fn other_machines_need_the_flag() {
    let room = room();
    let open = ["dealer", "--state", "dealer", "--listen", "0.0.0.0:0"];
    let refused = output(&room, &open);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--insecure-plaintext"), "{}", text(&refused.stderr));
    let refused = output(
        &room,
        &[
            "host",
            "model.slt",
            "--dealer",
            "192.0.2.1:7100",
            "--state",
            "host",
            "--listen",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--insecure-plaintext"), "{}", text(&refused.stderr));
    let server = Server::start(&room, &[&open[..], &["--insecure-plaintext"]].concat());
    assert!(server.address.starts_with("0.0.0.0:"));
    assert!(log(&room, "dealer").contains("open to other machines"));
}

#[test]
fn a_device_that_is_interrupted_says_so() {
    let room = room();
    assert!(
        output(&room, &["provision", "pump", "--state", "dealer", "-o", "pump.key"])
            .status
            .success()
    );
    // A host that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let device = [
        "device",
        "--key",
        "pump.key",
        "--counter",
        "counter",
        "--host",
        &address,
        "--inputs",
        "readings.npy",
    ];
    let mut child = sharelet(&room, &device).stderr(Stdio::null()).spawn().expect("starts");
    let _connection = silent.accept().expect("connects");
    let kill =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(kill.success());
    assert_eq!(child.wait().expect("ends").code(), Some(130));
}

#[test]
fn damaged_files_are_named() {
    let room = room();
    let damaged = |name: &str, at: usize| parties::damage(&room.path(name), at);
    assert!(
        output(&room, &["provision", "pump", "--state", "dealer", "-o", "pump.key"])
            .status
            .success()
    );
    damaged("pump.key", 30);
    let device = [
        "device",
        "--key",
        "pump.key",
        "--counter",
        "counter",
        "--host",
        "127.0.0.1:1",
        "--inputs",
        "readings.npy",
        "--report",
        "report",
    ];
    let refused = output(&room, &device);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the key is damaged"), "{}", text(&refused.stderr));
    assert!(std::fs::read_to_string(room.path("report")).unwrap().contains("error Key: "));
    damaged("model.slt", 100);
    for command in [
        &["inspect", "model.slt"][..],
        &["host", "model.slt", "--dealer", "127.0.0.1:1", "--state", "host"],
    ] {
        let refused = output(&room, command);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            text(&refused.stderr).contains("checksum does not match"),
            "{}",
            text(&refused.stderr)
        );
    }
    assert!(!Path::new(&room.path("counter.tmp")).exists());
}

#[test]
fn every_command_has_help_with_examples() {
    let room = room();
    for command in
        ["provision", "dealer", "host", "device", "server", "console", "task", "twin", "inspect"]
    {
        let help = output(&room, &[command, "--help"]);
        assert!(help.status.success() && text(&help.stdout).contains("Examples:"), "{command}");
    }
    assert_eq!(output(&room, &["host"]).status.code(), Some(2), "wrong arguments");
    assert_eq!(
        output(&room, &["server", "--party", "0"]).status.code(),
        Some(2),
        "wrong arguments"
    );
    assert_eq!(
        output(&room, &["server", "--party", "2"]).status.code(),
        Some(2),
        "wrong arguments"
    );
    assert_eq!(
        output(&room, &["provision", "pump", "-o", "pump.key"]).status.code(),
        Some(2),
        "wrong arguments"
    );
    let inspected =
        output(&room, &["inspect", "model.slt", "--rtt", "50ms", "--bandwidth", "1mbit"]);
    assert!(text(&inspected.stdout).contains("round trips"), "{}", text(&inspected.stdout));
    let json = text(&output(&room, &["inspect", "model.slt", "--json"]).stdout);
    assert!(
        json.starts_with("{\"name\":\"random\"") && json.contains("\"round_trips\":2"),
        "{json}"
    );
}

#[test]
fn costs_are_drawn_as_bars() {
    let room = room();
    let plain = text(&output(&room, &["inspect", "model.slt"]).stdout);
    let drawn = output(&room, &["inspect", "model.slt", "--plot"]);
    assert!(drawn.status.success(), "{}", text(&drawn.stderr));
    let drawn = text(&drawn.stdout);
    let bars = drawn.strip_prefix(&plain).expect("the table comes first");
    for panel in [
        "preparation: bytes up",
        "online: bytes up",
        "online: bytes down",
        "dealer to host: bytes",
        "keystream blocks",
    ] {
        assert!(bars.contains(panel), "{panel}: {bars}");
    }
    assert!(
        bars.lines().filter(|line| line.contains("0: 6 -> 40") && line.contains('█')).count() >= 5,
        "{bars}"
    );

    let filed = output(&room, &["inspect", "model.slt", "--json", "--plot", "cost.svg"]);
    assert!(
        filed.status.success() && text(&filed.stdout).starts_with("{\"name\""),
        "{}",
        text(&filed.stderr)
    );
    let file = std::fs::read_to_string(room.path("cost.svg")).expect("a file");
    let document = roxmltree::Document::parse(&file).expect("well-formed");
    // The page, and a bar per layer in each of six panels.
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("rect")).count(), 1 + 6 * 2);

    for (options, code, says) in [
        (&["--json", "--plot"][..], 2, "give --plot a file"),
        (&["--plot", "model.slt"], 2, "ends in .svg"),
        (&["--plot", "nowhere/cost.svg"], 1, "nowhere/cost.svg: "),
    ] {
        let refused = output(&room, &[&["inspect", "model.slt"], options].concat());
        assert_eq!(refused.status.code(), Some(code), "{options:?}");
        assert!(
            text(&refused.stderr).contains(says) && refused.stdout.is_empty(),
            "{}",
            text(&refused.stderr)
        );
    }
}
