//! The programs themselves: what they print, how they stop, what they refuse.

use core::time::Duration;
use std::time::Instant;

use sharelet_testkit::processes::{Programs, until};
use sharelet_testkit::room::{damage, random_model, random_readings};
use sharelet_testkit::{printed_seed, rng};

const PROVISION: &str = "provision pump --state dealer";
const DEALER: &str = "dealer --state dealer";
const TWIN: &str = "twin model.slt --inputs readings.npy";

/// A folder with a model and readings.
pub fn room() -> Programs {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    let model = random_model(&[6, 40, 5], &mut rng);
    model.save(&room.path("model.slt")).unwrap();
    random_readings(&model, 5, &mut rng).save_npy(&room.path("readings.npy")).unwrap();
    room
}

fn host(dealer: &str) -> String {
    format!("host model.slt --dealer {dealer} --state host")
}

fn device(host: &str) -> String {
    format!("device --key pump.key --inputs readings.npy --host {host}")
}

#[test]
fn three_processes_agree_with_the_twin_and_stop_when_told() {
    let room = room();
    room.works(PROVISION);
    room.refuses("provision pump --state dealer", 1, "exists already");
    std::fs::create_dir(room.path("other")).unwrap();
    let again = "provision pump --state dealer -o other --peer dealer.id";
    room.refuses(again, 1, "have nothing to say to each other");
    let again = "provision pump --role server-0 --state dealer -o other";
    room.refuses(again, 1, "has a key already");

    let dealer = room.serve(DEALER);
    let host = room.serve(&(host(&dealer.address) + " --answer both"));
    let device = device(&host.address) + " --report report";
    let run = room.works(&format!("{device} --answer both"));
    let twin = room.works(TWIN);
    assert_eq!(run.out, twin.out);
    assert_eq!(run.out.lines().count(), 5);

    // What the host learns is on its standard output, and nothing else is.
    let values = |line: &str| line.trim().split_once("values=").expect("values").1.to_owned();
    for line in twin.out.lines() {
        let of_host = host.program.next_line().expect("a line");
        assert!(of_host.starts_with("device=pump session="), "{of_host}");
        assert_eq!(values(&of_host), values(line));
    }
    let report = room.read("report");
    assert!(report.starts_with("boot board=native\nsession number=0 prepare_us="), "{report}");
    assert!(report.ends_with("done count=5\n"), "{report}");

    // Another answer policy is refused by name, with its exit code.
    room.refuses(&device, 1, "start both sides with the same `--answer`");
    let report = room.read("report");
    assert!(report.contains("error Refused: "), "{report}");

    for (server, signal) in [(host, "INT"), (dealer, "TERM")] {
        server.program.stop(signal).expect(0, "stopped");
    }
}

/// One round trip per layer: what either end sends is late, and so are the answers, which stay the
/// same.
#[test]
fn an_emulated_link_changes_nothing_but_the_time() {
    let room = room();
    room.works(PROVISION);
    let link = " --link 30ms,20mbit";
    let dealer = room.serve(&format!("{DEALER}{link}"));
    let host = room.serve(&(host(&dealer.address) + link));
    let device = device(&host.address);
    let twin = room.works(TWIN).out;
    // Two round trips for each of five answers, not to speak of handshake and preparation.
    for (options, ways) in [("", 10), (link, 20)] {
        let start = Instant::now();
        let run = room.works(&format!("{device}{options}"));
        assert_eq!(run.out, twin, "{options}");
        let (took, least) = (start.elapsed(), Duration::from_millis(30) * ways);
        assert!(took >= least, "{took:?} for {least:?} on the way");
    }
    host.program.stop("INT").expect(0, "30ms one way, 20 Mbit/s");

    for command in
        [&device, "dealer --state other", "host model.slt --dealer 127.0.0.1:1 --state other"]
    {
        room.refuses(&format!("{command} --link 40,100"), 2, "such as 40ms,100mbit");
    }
}

#[test]
fn two_servers_a_data_party_and_a_console_agree_with_the_twin() {
    let room = room();
    for line in [
        "provision server-0 --role server-0 --state dealer",
        "provision pump --role data-party",
        "task model.slt -o task.bin",
    ] {
        room.works(line);
    }
    let dealer = room.serve(DEALER);
    let server_1 = room.serve(&format!(
        "server --party 1 --model model.slt --dealer {} --state s1 --console control-room",
        dealer.address
    ));
    let server_0 = room.serve(&format!(
        "server --party 0 --task task.bin --key server-0.key --peer {} --console \
         control-room",
        server_1.address
    ));
    let both = format!("{},{}", server_0.address, server_1.address);

    let twin = room.works(TWIN).out;
    let device = format!(
        "device --key pump.key --outsource {both} --task task.bin --inputs \
         readings.npy"
    );
    assert_eq!(room.works(&device).out, twin);

    let run = room.works(&format!("{device} --to-console"));
    assert_eq!(run.out, "");
    assert!(
        run.err.contains("5 readings are inferred; the console has the answers"),
        "{}",
        run.err
    );
    let console = room.works(&format!("console --from {both} --count 5")).out;
    let values = |text: &str| {
        let values =
            text.lines().map(|line| line.split_once("values=").expect("values").1.to_owned());
        let mut values: Vec<_> = values.collect();
        values.sort();
        values
    };
    assert_eq!(values(&console), values(&twin));
    assert!(console.starts_with("query="), "{console}");
    room.works(&format!("{device} --to-console --from-reading 4"));
    let console = room.works(&format!("console --from {both} --count 1 --json")).out;
    let json: serde_json::Value = serde_json::from_str(&console).expect("JSON");
    assert!(json["query"].is_string() && json["class"].is_u64(), "{console}");
    assert_eq!(json["values"].as_array().map(Vec::len), Some(5), "{console}");

    // A second server 0 is nobody that the first one expects, and tries on.
    room.works("provision other --role server-0 --state dealer");
    let second = format!(
        "server --party 0 --task task.bin --key other.key --peer {} --listen \
         127.0.0.1:0",
        server_0.address
    );
    let second = room.serve(&second);
    until("server 0 is refused", || second.program.said().contains("the peer refused"));

    for (server, signal) in [(server_0, "INT"), (server_1, "TERM"), (dealer, "TERM")] {
        server.program.stop(signal).expect(0, "");
    }
}

#[test]
fn state_belongs_to_one_process() {
    let room = room();
    let dealer = room.serve(DEALER);
    let host = host(&dealer.address);
    let _host = room.serve(&host);
    for line in [DEALER, &host] {
        let line = format!("{line} --listen 127.0.0.1:0");
        room.refuses(&line, 1, "is in use by another process");
    }
}

/// Whoever has no keys, or those of another role, is told so before anything is opened.
#[test]
fn nothing_is_connected_without_keys_or_the_flag() {
    let room = room();
    room.works("keygen host hall-2");
    room.works("keygen dealer deal-1");
    for (line, says) in [
        (format!("{DEALER} --id hall-2.id"), "hall-2.id is the identity of host hall-2"),
        (format!("{DEALER} --id deal-1.card"), "a card, which is for peers"),
        (format!("{DEALER} --id missing.id"), "missing.id: "),
        (host("127.0.0.1:1") + " --id hall-2.id", "host hall-2 is paired with no dealer"),
    ] {
        let ended = room.run(&line);
        assert!(ended.code != Some(0) && ended.err.contains(says), "{line}: {ended:?}");
    }
    let bare = std::process::Command::new(env!("CARGO_BIN_EXE_sharelet"))
        .current_dir(room.folder())
        .args(DEALER.split_whitespace())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&bare.stderr);
    assert!(bare.status.code() == Some(2) && said.contains("--id is missing"), "{said}");
}

/// Without the channel every line of every log says so.
#[test]
fn plaintext_is_said_in_every_line() {
    let room = room();
    room.works(PROVISION);
    let dealer = room.serve(&format!("{DEALER} --insecure-plaintext"));
    let host = room.serve(&(host(&dealer.address) + " --insecure-plaintext"));
    let run = room.works(&(device(&host.address) + " --insecure-plaintext"));
    assert_eq!(run.out, room.works(TWIN).out);
    let said = [run.err, host.program.stop("INT").err, dealer.program.stop("INT").err];
    for line in said.iter().flat_map(|said| said.lines()) {
        assert!(line.starts_with("INSECURE "), "{line}");
    }
    assert!(said.iter().all(|said| said.contains("anyone on the way can read")), "{said:?}");
}

/// Two machines: cards travel, fingerprints are compared, and both sides say yes.
#[test]
fn two_sides_pair_by_their_cards() {
    let room = room();
    let printed = |line: &str| room.works(line).out;
    let fingerprint = |out: &str| out.split_whitespace().next().expect("letters").to_owned();
    let host_says = fingerprint(&printed("keygen host hall-2"));
    let dealer_says = fingerprint(&printed("keygen dealer deal-1"));
    let pair =
        |own: &str, card: &str, said: &str| format!("pair {own} {card} --fingerprint {said}");
    room.refuses("pair hall-2.id deal-1.card", 2, "--fingerprint is missing");
    room.refuses(&pair("hall-2.id", "deal-1.card", &host_says), 1, "the card is another one");
    assert_eq!(printed("pair hall-2.id --list"), "");
    for (own, card, said) in
        [("hall-2.id", "deal-1.card", &dealer_says), ("deal-1.id", "hall-2.card", &host_says)]
    {
        let shown = printed(&pair(own, card, said));
        assert!(shown.contains(&host_says) && shown.contains(&dealer_says), "{shown}");
        room.refuses(&pair(own, card, said), 1, "is paired with");
    }
    assert_eq!(printed("pair hall-2.id --list"), "dealer deal-1\n");
    let dealer = room.serve(&format!("{DEALER} --id deal-1.id"));
    let host = room.serve(&(host(&format!("deal-1@{}", dealer.address)) + " --id hall-2.id"));
    host.program.stop("INT").expect(0, "the dealer was sent the masked model");

    // From now on the dealer does not know the host, though it was not started again.
    room.works("pair deal-1.id --forget host:hall-2");
    // It goes on without, and says so.
    let host = room.serve(&host_line(&dealer.address));
    host.program.stop("INT").expect(0, "pair the two again");
    // One that has the dealer's name and another key is not the dealer.
    drop(dealer);
    room.works("keygen dealer deal-1 -o other.id");
    room.works(&pair("other.id", "hall-2.card", &host_says));
    let posing = room.serve(&format!("{DEALER} --id other.id"));
    let host = room.serve(&host_line(&posing.address));
    host.program.stop("INT").expect(0, "WARN dealer: dealer deal-1: ");
}

fn host_line(dealer: &str) -> String {
    host(dealer) + " --id hall-2.id --listen 127.0.0.1:0"
}

#[test]
fn a_device_that_is_interrupted_says_so() {
    let room = room();
    room.works(PROVISION);
    // A host that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let device = room.start(&device(&silent.local_addr().unwrap().to_string()));
    let _connection = silent.accept().expect("connects");
    let says =
        "stopped before reading 0, counted from 0; a new start takes the next session number";
    device.stop("INT").expect(130, says);
}

#[test]
fn damaged_files_are_named() {
    let room = room();
    room.works(PROVISION);
    damage(&room.path("pump.key"), 30);
    let device = device("127.0.0.1:1") + " --report report";
    room.refuses(&device, 1, "the key is damaged");
    assert!(room.read("report").contains("error Key: "));
    damage(&room.path("model.slt"), 100);
    for line in ["inspect model.slt", &host("127.0.0.1:1")] {
        room.refuses(line, 1, "checksum does not match");
    }
    assert!(!room.path("counter.tmp").exists());
}

#[test]
fn every_command_has_help_with_examples() {
    let room = room();
    for command in [
        "keygen",
        "pair",
        "provision",
        "dealer",
        "host",
        "device",
        "server",
        "console",
        "task",
        "twin",
        "inspect",
        "share",
        "collect",
        "completions",
        "man",
    ] {
        let help = room.works(&format!("{command} --help")).out;
        assert!(help.contains("Examples:"), "{command}");
    }
    for wrong in ["host", "server --party 0", "server --party 2", "provision"] {
        room.refuses(wrong, 2, "");
    }
    let inspected = room.works("inspect model.slt --rtt 50ms --bandwidth 1mbit").out;
    assert!(inspected.contains("round trips"), "{inspected}");
    let json = room.works("inspect model.slt --json").out;
    assert!(
        json.starts_with("{\"name\":\"random\"") && json.contains("\"round_trips\":2"),
        "{json}"
    );
}

#[test]
fn shells_and_man_know_every_command() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = room.works(&format!("completions {shell}")).out;
        for known in ["provision", "from-reading"] {
            assert!(script.contains(known), "{shell}: {known}");
        }
    }
    room.works("man pages/man1");
    let page = room.read("pages/man1/sharelet-device.1");
    assert!(page.starts_with(".ie") && page.contains("\\-\\-from\\-reading"), "{page}");
    assert!(room.path("pages/man1/sharelet.1").exists());
}

#[test]
fn costs_are_drawn_as_bars() {
    let room = room();
    let plain = room.works("inspect model.slt").out;
    let drawn = room.works("inspect model.slt --plot").out;
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
    let drawn = |line: &&str| line.contains("0: 6 -> 40") && line.contains('█');
    assert!(bars.lines().filter(drawn).count() >= 5, "{bars}");

    let filed = room.works("inspect model.slt --json --plot cost.svg").out;
    assert!(filed.starts_with("{\"name\""), "{filed}");
    let file = room.read("cost.svg");
    let document = roxmltree::Document::parse(&file).expect("well-formed");
    // The page, and a bar per layer in each of six panels.
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("rect")).count(), 1 + 6 * 2);

    for (options, code, says) in [
        ("--json --plot", 2, "give --plot a file"),
        ("--plot model.slt", 2, "ends in .svg"),
        ("--plot nowhere/cost.svg", 1, "nowhere/cost.svg: "),
    ] {
        let refused = room.refuses(&format!("inspect model.slt {options}"), code, says);
        assert_eq!(refused.out, "", "{options}");
    }
}
