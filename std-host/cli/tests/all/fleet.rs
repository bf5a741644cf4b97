//! A host with several models and many devices: models change, devices are revoked, and who watches
//! sees it.

use std::fs;
use std::path::Path;

use sharelet_cli::Cli;
use sharelet_testkit::processes::{Programs, Server, until};
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{printed_seed, rng};

const READINGS: usize = 400;
const SWAPS: usize = 20;

/// A folder with two models of one shape, and readings for both.
fn room() -> Programs {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    for name in ["one", "other"] {
        let model = random_model(&[6, 40, 5], &mut rng);
        model.save(&room.path(&format!("{name}.slt"))).unwrap();
        random_readings(&model, READINGS, &mut rng).save_npy(&room.path("readings.npy")).unwrap();
    }
    room
}

fn dealer_and_host(room: &Programs) -> [Server; 2] {
    let dealer = room.serve("dealer --state dealer --monitor 0");
    let host = room.serve(&format!(
        "host --log json --models models --state host --dealer {} --monitor 0 --ahead 8",
        dealer.address
    ));
    [dealer, host]
}

/// The same two, started anew.
fn restarted(room: &Programs, dealer: Server) -> [Server; 2] {
    dealer.program.stop("INT").expect(0, "stopped");
    dealer_and_host(room)
}

fn device(host: &Server, more: &str) -> String {
    format!("device --key pump.key --inputs readings.npy --host {} {more}", host.address)
}

/// Where a service tells its figures.
pub fn monitor(server: &Server) -> String {
    let said = server.program.said();
    let at = said.split("http://").nth(1).unwrap_or_else(|| panic!("{said}"));
    at.split("/metrics").next().unwrap().to_owned()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn models_are_swapped_under_a_device_that_infers() {
    let room = room();
    room.refuses("host --models models --state host --dealer a:1", 1, "models");
    room.works("models models add pump one.slt");
    room.refuses("models models add pump other.slt", 1, "--force");
    room.refuses("models models add ../pump one.slt", 1, "no name of a model");
    room.refuses("models models add broken readings.npy", 1, "readings.npy");
    room.refuses("models models default fan", 1, "no model `fan`");
    room.works("provision pump --state dealer");
    let twins = ["one", "other"]
        .map(|name| lines(&room.works(&format!("twin {name}.slt --inputs readings.npy")).out));
    let [_dealer, mut host] = dealer_and_host(&room);

    let inferring = room.start(&device(&host, "--retries 0"));
    let mut answers = Vec::new();
    for swap in 0..SWAPS {
        answers.extend((0..READINGS / SWAPS / 2).filter_map(|_| inferring.next_line()));
        let name = if swap % 2 == 0 { "other" } else { "one" };
        room.works(&format!("models models add pump {name}.slt --force"));
        host.program.signal("HUP");
        let taken = "default: pump; 0 devices";
        until("a model is taken over", || host.program.said().matches(taken).count() == swap + 2);
    }
    answers.extend(core::iter::from_fn(|| inferring.next_line()));
    let ended = inferring.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(answers.len(), READINGS);
    // Each is an answer of one of the two models, whole; and both have answered.
    let of = |twin: &Vec<String>| -> Vec<bool> {
        answers.iter().zip(twin).map(|(answer, twin)| answer == twin).collect()
    };
    let [one, other] = [of(&twins[0]), of(&twins[1])];
    let neither = one.iter().zip(&other).position(|(one, other)| !one && !other);
    assert_eq!(neither, None, "{answers:?}");
    for of in [&one, &other] {
        assert!(of.iter().filter(|is| **is).count() > READINGS / 10, "{one:?}");
    }
    assert!(host.program.runs(), "{}", host.program.said());

    // More models than a dealer keeps of a host: the oldest go, and nobody is left without one.
    let mut rng = rng(printed_seed());
    for number in 0..SWAPS {
        random_model(&[6, 4, 5], &mut rng).save(&room.path("new.slt")).unwrap();
        room.works("models models add pump new.slt --force");
        host.program.signal("HUP");
        let taken = "default: pump; 0 devices";
        until("a model is taken over", || {
            host.program.said().matches(taken).count() == SWAPS + 2 + number
        });
    }
    let twin = room.works("twin new.slt --inputs readings.npy --count 3").out;
    assert_eq!(room.works(&device(&host, "--count 3")).out, twin);
    room.works("models models add pump one.slt --force");

    // A device of its own model, one of none, and a model of which something is wrong.
    room.works("models models add fan other.slt");
    room.works("models models default pump");
    room.works("models models assign fan pump");
    host.program.signal("HUP");
    until("it is assigned", || host.program.said().contains("1 devices have one"));
    let first = room.works(&device(&host, "--count 2"));
    assert_eq!(lines(&first.out), twins[1][..2]);
    room.write("models/fan.slt", "no model");
    host.program.signal("HUP");
    until("it is refused", || host.program.said().contains("the one before it is served on"));
    assert_eq!(lines(&room.works(&device(&host, "--count 2")).out), twins[1][..2]);
    room.works("models models remove fan");
    host.program.signal("HUP");
    until("it is withdrawn", || host.program.said().contains("there is no model `fan`"));
    room.refuses(&device(&host, "--count 1 --retries 0"), 1, "has no model for this device");
    room.works("models models unassign pump");
    room.write("models/devices.toml", "default = \n");
    host.program.signal("HUP");
    until("it is named", || host.program.said().contains("devices.toml"));
    room.refuses(&device(&host, "--count 1 --retries 0"), 1, "has no model for this device");

    let said = host.program.stop("TERM").expect(0, "").err;
    for line in said.lines() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line["level"].is_string()), "{line}");
    }
    // A line for a connection, and none for an inference.
    assert!(!said.contains("\"message\":\"evaluated\"") && said.contains("\"evaluated\":2"));
}

#[test]
fn a_device_that_is_revoked_is_cut_off_and_others_are_served() {
    let room = room();
    room.works("models models add pump one.slt");
    room.works("provision pump --state dealer");
    room.works("provision fan --state dealer");
    let [dealer, host] = dealer_and_host(&room);
    let of_host = monitor(&host);
    let listed = "devices --id host.id --dealer-state dealer";
    let out = room.works(listed).out;
    assert!(out.contains("fan") && out.contains("pump") && out.contains("has key"), "{out}");

    // Slow enough for hours of readings.
    let inferring = room.start(&device(&host, "--retries 1 --link 20ms,10mbit"));
    assert!(inferring.next_line().is_some());
    let live = format!("{listed} --monitor {of_host}");
    let shown = room.works(&live).out;
    assert!(shown.contains("yes") && shown.contains("/10000"), "{shown}");
    room.refuses(&format!("{listed} revoke nobody"), 1, "nobody: is not known here");
    // Keys are no option of a device: what it has open ends with the old ones.
    let slow = room.start(&format!(
        "device --key fan.key --inputs readings.npy --retries 0 --link 20ms,10mbit --host {}",
        host.address
    ));
    assert!(slow.next_line().is_some());
    room.refuses(&format!("{listed} rotate bell"), 1, "bell is not known here");
    room.refuses(&format!("{listed} provision fan"), 1, "fan.key exists already");
    room.works(&format!("{listed} rotate fan"));
    let ended = slow.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.lines().count() < READINGS - 1);
    // The dealer would let it run dry; the host cuts it off.
    let said = room.works("devices --id host.id revoke pump").out;
    assert!(said.contains("the dealer still has its key"), "{said}");
    let ended = inferring.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.lines().count() < READINGS - 1);
    until("it is cut", || host.program.said().contains("paired no more"));
    assert_eq!(room.works(&format!("{listed} revoke pump")).out, "pump is revoked\n");
    let out = room.works(&live).out;
    assert!(!out.contains("pump") && out.contains("fan"), "{out}");
    let fan = format!("device --key fan.key --inputs readings.npy --host {}", host.address);
    assert_eq!(room.works(&format!("{fan} --count 3")).out.lines().count(), 3);
    // A host that was started anew knows how its devices stand.
    host.program.stop("INT").expect(0, "stopped");
    let [dealer, host] = restarted(&room, dealer);
    let (of_dealer, of_host) = (monitor(&dealer), monitor(&host));
    let out = room.works(&format!("{listed} --monitor {of_host}")).out;
    let row = out.lines().find(|line| line.starts_with("fan")).unwrap_or_else(|| panic!("{out}"));
    let columns: Vec<_> = row.split_whitespace().collect();
    let [_, "device", "has", "key", "no", "0", "0", today, in_all, next, seen, ..] = columns[..]
    else {
        panic!("{out}")
    };
    assert!(today.ends_with("/10000") && seen != "never", "{out}");
    // Three under its new key, and those of before.
    assert!(next.parse::<u32>().unwrap() >= 3 && in_all.parse::<u32>().unwrap() > 3, "{out}");
    room.works(&format!("{listed} provision bell horn"));
    let bell = format!("device --key bell.key --inputs readings.npy --host {}", host.address);
    assert_eq!(room.works(&format!("{bell} --count 2")).out.lines().count(), 2);

    for (at, figures) in [
        (&of_host, ["99 of 100 within", "infer", "bell"]),
        (&of_dealer, ["deal", "connections", "memory"]),
    ] {
        let top = room.works(&format!("top {at} --once")).out;
        assert!(figures.iter().all(|figure| top.contains(figure)), "{top}");
    }
    dealer.program.stop("INT").expect(0, "stopped");
    room.refuses(&format!("top {of_dealer} --once"), 1, &of_dealer);
    host.program.stop("INT").expect(0, "stopped");
}

#[test]
fn settings_come_from_a_file_and_the_environment() {
    let room = room();
    room.works("models models add pump one.slt");
    room.write("pumps.txt", "pump # the first\n\nfan\npump-7\n");
    room.works("provision --from pumps.txt --state dealer");
    for name in ["pump", "fan", "pump-7"] {
        assert!(room.path(&format!("{name}.key")).exists(), "{name}");
    }
    room.write("pumps.txt", "bell\nno name\n");
    room.refuses("provision --from pumps.txt --state dealer", 1, "pumps.txt, line 2");
    assert!(!room.path("bell.key").exists());
    let dealer = room.serve("dealer --state dealer");
    let text = format!(
        "[host]\nmodels = \"models\"\nstate = \"host\"\nid = \"host.id\"\ndealer = \"{}\"\n",
        dealer.address
    );
    room.write("sharelet.toml", &text);
    let host = room.serve("host --settings sharelet.toml");
    assert_eq!(room.works(&device(&host, "--count 2")).out.lines().count(), 2);
    host.program.stop("INT").expect(0, "stopped");
    room.write("sharelet.toml", text + "ahead = 0\n");
    room.refuses("host --settings sharelet.toml", 2, "sharelet.toml, line 6");
    room.write("sharelet.toml", "[host]\nmodel = \"a\"\nport = 3\n");
    room.refuses(
        "host --settings sharelet.toml",
        2,
        "sharelet.toml, line 3: `sharelet host` has no",
    );
}

/// A service takes the socket that its unit has opened, and says so where there is none.
#[cfg(unix)]
#[test]
fn a_service_takes_the_socket_of_its_unit() {
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    let room = room();
    room.refuses("dealer --state dealer --listen systemd", 1, "by a unit that has a .socket");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    // As systemd hands sockets over: from the third file on, and to this process alone.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let line = "dealer --state dealer --listen systemd --insecure-plaintext";
    let mut dealer = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_sharelet")])
        .args(line.split(' '))
        .current_dir(room.path(""))
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(dealer.stdout.take().unwrap());
    use std::io::BufRead as _;
    while !said.contains("listening on") && lines.read_line(&mut said).unwrap() > 0 {}
    assert!(said.contains(&format!("listening on 127.0.0.1:{port}")), "{said}");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    dealer.kill().unwrap();
    dealer.wait().unwrap();
}

/// What units and containers call is what the program takes.
#[test]
fn commands_of_units_and_containers_are_valid() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let mut commands = Vec::new();
    for unit in ["sharelet-dealer.service", "sharelet-host.service", "sharelet-server.service"] {
        let text = fs::read_to_string(deploy.join(unit)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/"));
        let line = line.unwrap().replace("/etc", deploy.to_str().unwrap());
        commands.push(line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    }
    let compose = fs::read_to_string(deploy.join("compose.yaml")).unwrap();
    for line in compose.lines() {
        let command = line.trim().strip_prefix("command: [");
        let command = command.or_else(|| line.split("\"/sharelet\", ").nth(1));
        let Some(command) = command else { continue };
        let words = command.split(']').next().unwrap().split(',');
        let words = words.map(|word| word.trim().trim_matches('"').to_owned());
        commands.push(["sharelet".to_owned()].into_iter().chain(words).collect());
    }
    assert_eq!(commands.len(), 14);
    for command in commands {
        let arguments = command.iter().map(Into::into);
        let parsed = sharelet_cli::settings::parse::<Cli>(arguments, []);
        assert!(parsed.is_ok(), "{command:?}: {:?}", parsed.err());
    }
}
