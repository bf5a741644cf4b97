//! What goes wrong in a fleet: a model that does not fit, a data party that is revoked, two hosts
//! of one name, a host that cannot serve; and who is served all the same.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use sharelet_host::store::counter::FileCounter;
use sharelet_testkit::processes::{Programs, Server, until};
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{printed_seed, rng};

use super::fleet::monitor;

const READINGS: usize = 400;
/// So slow that a run of all readings does not end by itself.
const SLOW: &str = "--link 20ms,10mbit";

/// A folder with a model, readings, and a model of wider ones.
fn room() -> Programs {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    for (name, inputs) in [("model", 6), ("wide", 7)] {
        let model = random_model(&[inputs, 40, 5], &mut rng);
        model.save(&room.path(&format!("{name}.slt"))).unwrap();
        let readings = random_readings(&model, READINGS, &mut rng);
        readings.save_npy(&room.path(&format!("{name}.npy"))).unwrap();
    }
    room
}

fn device(name: &str, host: &Server, more: &str) -> String {
    format!("device --key {name}.key --inputs model.npy --host {} {more}", host.address)
}

/// The status and the text of a page.
fn page(monitor: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(monitor).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("{text}")), body.to_owned())
}

/// The folder of models is watched: nobody tells the host to look.
#[test]
fn a_model_that_does_not_fit_stops_its_devices_alone() {
    let room = room();
    room.works("models models add old model.slt");
    room.works("models models add new model.slt");
    room.works("models models default old");
    room.works("models models assign new pump");
    for name in ["pump", "fan"] {
        room.works(&format!("provision {name} --state dealer"));
    }
    let dealer = room.serve("dealer --state dealer");
    let line = format!("host --models models --state host --dealer {}", dealer.address);
    let host = room.serve(&line);
    let [pump, fan] = ["pump", "fan"].map(|name| room.start(&device(name, &host, SLOW)));
    assert!(pump.next_line().is_some() && fan.next_line().is_some());
    room.works("models models add new wide.slt --force");
    let ended = pump.end();
    ended.expect(1, "the network takes 7 v");
    // The other one infers on, from then, too.
    for _ in 0..20 {
        assert!(fan.next_line().is_some(), "{}", fan.said());
    }
    let wide = device("pump", &host, "--count 2").replace("model.npy", "wide.npy");
    let twin = room.works("twin wide.slt --inputs wide.npy --count 2").out;
    assert_eq!(room.works(&wide).out, twin);
    fan.stop("INT");
}

#[test]
fn a_data_party_that_is_revoked_is_refused_and_others_are_served() {
    let room = room();
    for line in [
        "provision server-0 --role server-0 --state dealer",
        "provision pump fan --role data-party",
        "task model.slt -o task.bin",
    ] {
        room.works(line);
    }
    let dealer = room.serve("dealer --state dealer");
    let server_1 = room.serve(&format!(
        "server --party 1 --model model.slt --dealer {} --state s1",
        dealer.address
    ));
    let server_0 = room.serve(&format!(
        "server --party 0 --task task.bin --key server-0.key --peer {}",
        server_1.address
    ));
    let party = |name: &str, more: &str| {
        format!(
            "device --key {name}.key --outsource {},{} --task task.bin --inputs model.npy {more}",
            server_0.address, server_1.address
        )
    };
    let twin = room.works("twin model.slt --inputs model.npy --count 3").out;
    // A dealer's device of that name is another matter.
    let wrong = "a dealer has no keys of a server's peers";
    room.refuses("devices --id server-0.id --dealer-state dealer revoke pump", 1, wrong);
    // Each server lets in whom it knows itself.
    for (server, program) in [("server-0", &server_0), ("server-1", &server_1)] {
        let inferring = room.start(&party("pump", &format!("--retries 0 {SLOW}")));
        assert!(inferring.next_line().is_some());
        let peer = room.path(&format!("{server}.peers/data-party-pump"));
        let kept = fs::read(&peer).unwrap_or_else(|error| panic!("{}: {error}", peer.display()));
        let said = room.works(&format!("devices --id {server}.id revoke pump")).out;
        assert_eq!(said.trim(), "pump is revoked");
        let ended = inferring.end();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.out.lines().count() < READINGS - 1);
        // Each reading is a connection of its own: the next one is refused; or, in the middle of
        // one, the server that is left has waited for the other half in vain.
        let told = ["it has no key for this role and name", "the other half did not reach"];
        assert!(told.iter().any(|text| ended.err.contains(text)), "{}", ended.err);
        let said = program.program.said();
        assert!(said.contains("there is no key for data-party pump"), "{said}");
        room.refuses(&party("pump", "--retries 0 --count 1"), 1, "");
        assert_eq!(room.works(&party("fan", "--count 3")).out, twin);
        // With this one it is paired again.
        fs::write(&peer, kept).unwrap();
    }
    assert_eq!(room.works(&party("pump", "--count 3")).out, twin);
}

/// Each host has a state of its own, and a copy of the other's identity: no number and no
/// corrections are used twice, whichever a device meets.
#[test]
fn two_hosts_of_one_name_share_no_number() {
    let room = room();
    room.works("provision pump --state dealer");
    let twin = room.works("twin model.slt --inputs model.npy --count 12").out;
    let twin: Vec<_> = twin.lines().collect();
    let dealer = room.serve("dealer --state dealer");
    let line = |state: &str| {
        format!("host model.slt --state {state} --ahead 4 --dealer {}", dealer.address)
    };
    let hosts = ["one", "other"].map(|state| room.serve(&line(state)));
    room.refuses(&format!("{} --listen 127.0.0.1:0", line("one")), 1, "in use by another process");
    let mut used = Vec::new();
    for (at, expected) in twin.iter().enumerate() {
        let host = &hosts[at % 2];
        let more = format!("--from-reading {at} --count 1 --report report");
        let out = room.works(&device("pump", host, &more)).out;
        assert_eq!(out.lines().collect::<Vec<_>>(), [*expected], "reading {at}");
        let report = room.read("report");
        let number = report.lines().find_map(|line| line.strip_prefix("session number="));
        let number = number.and_then(|line| line.split(' ').next()).unwrap().parse::<u64>();
        used.push(number.unwrap());
    }
    assert!(used.windows(2).all(|pair| pair[0] < pair[1]), "{used:?}");
    // What the other has been dealt is gone past, a few numbers at a time.
    let (_, counter) =
        FileCounter::open(&room.path("pump.counter"), &room.path("pump.key"), false).unwrap();
    assert!(counter.unused().unwrap() < 100, "{used:?}");
}

#[test]
fn a_host_that_cannot_serve_is_not_ready() {
    let room = room();
    room.works("provision pump --state dealer");
    let dealer = room.serve("dealer --state dealer --monitor 0");
    let line =
        format!("host model.slt --state host --ahead 2 --monitor 0 --dealer {}", dealer.address);
    let host = room.serve(&line);
    let [of_dealer, of_host] = [&dealer, &host].map(monitor);
    for at in [&of_dealer, &of_host] {
        assert_eq!(page(at, "/healthz").0, 200);
        until("it is ready", || page(at, "/readyz").0 == 200);
    }
    room.works(&device("pump", &host, "--count 1"));
    let stock = || page(&of_host, "/metrics").1.contains("sharelet_sessions_ready 2");
    until("corrections are in the spool", stock);
    let address = dealer.address.clone();
    dealer.program.stop("INT").expect(0, "stopped");
    // As long as some are there, a device is served.
    assert_eq!(page(&of_host, "/readyz").0, 200);
    room.works(&device("pump", &host, "--count 2 --retries 0"));
    let mut said = String::new();
    until("none is left, and no dealer", || {
        let (status, text) = page(&of_host, "/readyz");
        said = text;
        status == 503
    });
    assert!(said.contains(&address) && said.contains("no corrections are in the spool"), "{said}");
    assert_eq!(page(&of_host, "/healthz").0, 200);
    room.refuses(&format!("top {of_host} --once"), 1, "is not ready");
    room.refuses(&format!("doctor --monitor {of_host}"), 1, "one thing is wrong");
    let _dealer = room.serve(&format!("dealer --state dealer --listen {address}"));
    until("it is ready again", || page(&of_host, "/readyz").0 == 200);
}
