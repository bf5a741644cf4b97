//! `sharelet doctor`: what is right is said so, and what is wrong is found, named and counted.

use std::fs;

use sharelet_testkit::processes::Programs;
use sharelet_testkit::room::random_model;
use sharelet_testkit::{printed_seed, rng};

use super::fleet::monitor;

fn room() -> Programs {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    random_model(&[6, 40, 5], &mut rng).save(&room.path("model.slt")).unwrap();
    room.works("provision pump --state dealer");
    room
}

/// The lines of a deployment of which something is wrong.
fn wrong(room: &Programs, line: &str, number: usize) -> Vec<String> {
    let said = match number {
        1 => "one thing is wrong".to_owned(),
        more => format!("{more} things are wrong"),
    };
    let ended = room.refuses(line, 1, &said);
    let wrong = ended.out.lines().filter(|line| line.starts_with("WRONG"));
    let wrong: Vec<_> = wrong.map(str::to_owned).collect();
    assert_eq!(wrong.len(), number, "{}", ended.out);
    wrong
}

#[test]
fn what_is_right_is_said_so() {
    let room = room();
    room.refuses("doctor", 1, "nothing to look at");
    let dealer = room.serve("dealer --state dealer --monitor 0");
    let line = format!("host model.slt --state host --dealer {} --monitor 0", dealer.address);
    let host = room.serve(&line);
    let (of_dealer, of_host) = (monitor(&dealer), monitor(&host));
    let out = room
        .works(&format!(
            "doctor --id pump.id --key pump.key --state dealer --state host --monitor {of_dealer} \
             --monitor {of_host} --models model.slt --reach host={}",
            host.address
        ))
        .out;
    assert!(out.lines().all(|line| line.starts_with("ok ")), "{out}");
    for found in [
        concat!("sharelet ", env!("CARGO_PKG_VERSION"), ": channels of version "),
        "key of pump, next session 0",
        "dealer: in use by a program that runs",
        "host: in use by a program that runs",
        "ready; 0 devices",
        "model.slt: a model of 6 inputs, 5 outputs",
        "is there, ",
    ] {
        assert!(out.contains(found), "{found}: {out}");
    }
    // Its peer's fingerprint is the one that the peer shows.
    let of_peer = room.works("doctor --id host.id").out;
    let own = of_peer.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).unwrap();
    assert!(own.len() > 20 && out.contains(own), "{own}: {out}");
    host.program.stop("INT").expect(0, "stopped");
    dealer.program.stop("INT").expect(0, "stopped");
    let out = room.works("doctor --state dealer --state host").out;
    assert!(out.contains("keys of 1 devices and 1 masked models"), "{out}");
    assert!(out.contains("a host with 0 sessions ready"), "{out}");
}

/// What two who prepare with each other keep is looked at as a program would.
#[test]
fn stores_without_a_dealer_are_looked_into() {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    let mut model = random_model(&[4, 5, 3], &mut rng);
    for weight in model.weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> 16).cast_unsigned();
    }
    model.save(&room.path("model.slt")).unwrap();
    let host = room.serve("host model.slt --state host --prepare ot --keep");
    room.works(&format!("prepare --state pump --host {} --count 3", host.address));
    let line = "doctor --state host --state pump";
    let out = room.works(line).out;
    assert!(out.contains("3 inferences ready, the next is 0"), "{out}");
    host.program.stop("INT").expect(0, "stopped");
    assert_eq!(room.works(line).out.matches("3 inferences ready, the next is 0").count(), 2);
    let folders = |path: &std::path::Path| {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let store = folders(&folders(&room.path("pump"))[0]).remove(0);
    let batch = |path: &std::path::Path| path.extension().is_some_and(|end| end == "halves");
    let entries = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let batch = entries.into_iter().find(|path| batch(path)).unwrap();
    let whole = fs::read(&batch).unwrap();
    fs::write(&batch, &whole[..whole.len() - 1]).unwrap();
    assert!(wrong(&room, line, 1)[0].contains("it is cut"));
    fs::write(&batch, &whole[..9]).unwrap();
    assert!(wrong(&room, line, 1)[0].contains("it is cut"));
    fs::write(&batch, &whole).unwrap();
    fs::write(store.join("spent"), "none").unwrap();
    let said = wrong(&room, line, 1).remove(0);
    assert!(said.contains("spent"), "{said}");
}

/// A program of another version, or none, at the address of a monitor.
#[test]
fn another_version_that_runs_is_found() {
    use std::io::{Read as _, Write as _};
    let room = room();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), [0; 1024]);
            let read = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = match request.split_whitespace().nth(1) {
                Some("/versions") => "sharelet 0.0.9: sessions 4\n",
                Some("/devices") => "[]",
                _ => "ready\n",
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let said = wrong(&room, &format!("doctor --monitor {address}"), 1).remove(0);
    assert!(said.contains("runs sharelet 0.0.9: sessions 4, and not as this program"), "{said}");
}

#[test]
fn what_is_wrong_is_found() {
    let room = room();
    let found = |line: &str, said: &str| {
        let wrong = wrong(&room, line, 1);
        assert!(wrong[0].contains(said), "{wrong:?}");
    };
    found("doctor --id nobody.id", "nobody.id");
    found("doctor --state nowhere", "no state of a dealer, host or server 1");
    found("doctor --monitor 1", "127.0.0.1:1");
    found("doctor --models nowhere", "nowhere: ");
    fs::create_dir(room.path("models")).unwrap();
    found("doctor --models models", "no model");
    fs::write(room.path("models/a.slt"), "no model").unwrap();
    found("doctor --models models", "a.slt");
    found("doctor --id pump.id --reach host=127.0.0.1:1", "127.0.0.1:1");
    room.works("keygen device alone");
    found("doctor --id alone.id", "nobody is paired");
    fs::rename(room.path("pump.counter"), room.path("away")).unwrap();
    found("doctor --key pump.key", "there is no counter");
    let mut counter = fs::read(room.path("away")).unwrap();
    *counter.last_mut().unwrap() ^= 1;
    fs::write(room.path("pump.counter"), counter).unwrap();
    found("doctor --key pump.key", "the counter of another key");
    fs::rename(room.path("away"), room.path("pump.counter")).unwrap();
    let peer = room.path("pump.peers/host-host");
    fs::write(&peer, "no peer").unwrap();
    found("doctor --id pump.id", "its file is damaged");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = |name: &str| {
            fs::set_permissions(room.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        };
        open("pump.key");
        found("doctor --key pump.key", "others may read it");
        open("pump.id");
        let all = wrong(&room, "doctor --id pump.id --key pump.key --state nowhere", 3);
        assert!(all.iter().filter(|line| line.contains("others may read")).count() == 2, "{all:?}");
    }
    // Both ends are right, and do not know each other.
    let dealer = room.serve("dealer --state dealer");
    room.works("keygen host hall-9");
    room.works("keygen dealer deal-9");
    room.works("pair hall-9.id deal-9.id");
    let line = format!("doctor --id hall-9.id --reach dealer={}", dealer.address);
    assert!(wrong(&room, &line, 1)[0].contains(&dealer.address));
}
