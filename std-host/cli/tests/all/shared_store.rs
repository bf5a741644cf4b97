//! Hosts and dealers on several machines, which are folders here: one store, any host, any dealer,
//! and kills between them.

use sharelet_host::store::counter::FileCounter;
use sharelet_testkit::nats::NatsServer;
use sharelet_testkit::processes::{Programs, Server, until};
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{printed_seed, seed::Rng};

const READINGS: usize = 60;

/// A folder with a model, readings, identities, and the stores of a host and a dealer; and what the
/// twin answers.
fn room(nats: &NatsServer) -> (Programs, Vec<String>) {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let mut rng = sharelet_testkit::rng(printed_seed());
    let model = random_model(&[6, 40, 5], &mut rng);
    model.save(&room.path("model.slt")).unwrap();
    random_readings(&model, READINGS, &mut rng).save_npy(&room.path("readings.npy")).unwrap();
    let twin = room.works("twin model.slt --inputs readings.npy").out;
    // Who they are is made with them.
    room.works("twin model.slt --inputs readings.npy --count 1");
    room.works("provision nobody --state of-nobody");
    for id in ["dealer.id", "host.id"] {
        room.refuses(&format!("store show {} --id {id}", nats.url()), 1, "store make");
        let made = room.works(&format!("store make {} --id {id}", nats.url())).out;
        assert!(made.contains("made"), "{made}");
        room.refuses(&format!("store make {} --id {id}", nats.url()), 1, "already");
    }
    (room, twin.lines().map(str::to_owned).collect())
}

fn dealer(nats: &NatsServer, at: usize) -> String {
    format!("dealer --state dealer-{at} --store {}", nats.url())
}

fn host(nats: &NatsServer, at: usize, dealer: &Server) -> String {
    format!(
        "host model.slt --state host-{at} --store {} --dealer {} --ahead 4",
        nats.url(),
        dealer.address
    )
}

fn registry(nats: &NatsServer) -> String {
    format!("--dealer-store {} --dealer-id dealer.id", nats.url())
}

fn device(host: &Server, from: usize, count: usize) -> String {
    format!(
        "device --key pump.key --inputs readings.npy --from-reading {from} --count {count} \
         --retries 200 --host {}",
        host.address
    )
}

#[test]
fn a_device_meets_any_host_and_any_dealer() {
    let Some(nats) = NatsServer::start(true) else { return };
    let (room, twin) = room(&nats);
    room.works(&format!("provision pump {}", registry(&nats)));
    let again = format!("provision pump --force {} --state dealer-0", registry(&nats));
    room.refuses(&again, 2, "a dealer has one of the two");
    let dealers = [0, 1].map(|at| room.serve(&dealer(&nats, at)));
    let hosts = [0, 1].map(|at| room.serve(&host(&nats, at, &dealers[at])));
    for (at, expected) in twin.iter().take(12).enumerate() {
        let host = &hosts[at % 2];
        assert_eq!(room.works(&device(host, at, 1)).out.lines().collect::<Vec<_>>(), [expected]);
    }
    // What one has kept, the other has used: few numbers are skipped where they cross.
    let (path, key) = (room.path("pump.counter"), room.path("pump.key"));
    let (_, counter) = FileCounter::open(&path, &key, false).unwrap();
    let next = counter.unused().unwrap();
    assert!((12..=36).contains(&next), "{next}");
    drop(counter);
    let shown = room.works(&format!("store show {} --id host.id", nats.url())).out;
    assert!(shown.contains("devices with spent numbers: 1\n"), "{shown}");
    assert!(shown.contains("pump") && shown.contains("sessions ready"), "{shown}");
    let shown = room.works(&format!("store show {} --id dealer.id", nats.url())).out;
    assert!(shown.contains("masked models: 1\n") && shown.contains("has key"), "{shown}");
    for (id, kept) in [("host", "sessions ready for 1 devices"), ("dealer", "keys of 1 devices")] {
        let looked = room.works(&format!("doctor --id {id}.id --store {}", nats.url())).out;
        assert!(looked.contains(kept) && looked.contains("have spent numbers"), "{looked}");
    }
    let away = room.refuses("doctor --id host.id --store nats://127.0.0.1:1", 1, "one thing");
    assert!(away.out.contains("WRONG  "), "{}", away.out);
    let listed = room.works(&format!("devices --id host.id {}", registry(&nats))).out;
    assert!(listed.contains("pump") && listed.contains("has key"), "{listed}");
    // A state directory belongs to one program, and a store to who made it.
    room.refuses(&format!("{} --listen 127.0.0.1:0", dealer(&nats, 0)), 1, "another process");
    room.refuses(&format!("store show {} --id server-1.id", nats.url()), 2, "not server-1");
    let wrong = "host model.slt --state h --keep --dealer 127.0.0.1:1";
    room.refuses(wrong, 2, "add --prepare ot");
    let wrong = "host model.slt --state h --prepare ot --store nats://127.0.0.1:1";
    room.refuses(wrong, 2, "does not go with --prepare ot");
    let wrong = "dealer --state h --store nats://elsewhere.example:4222";
    room.refuses(wrong, 1, "tls://");
    let wrong = "dealer --state h --store nats://u:secret@127.0.0.1:1";
    assert!(!room.refuses(wrong, 1, "is it running").err.contains("secret"));
    room.refuses(
        &format!("dealer --state h --insecure-plaintext --store {}", nats.url()),
        2,
        "give --id",
    );
    // Who is revoked at the store is let in by no machine, whatever its own folder says.
    let peer = room.path("host.peers/device-pump");
    let kept = std::fs::read(&peer).unwrap();
    let at_store = format!("devices --id host.id --store {} {}", nats.url(), registry(&nats));
    room.refuses(&format!("{at_store} revoke stranger"), 1, "is not known here");
    let revoke = format!("devices --id host.id --store {} revoke pump", nats.url());
    room.works(&revoke);
    std::fs::write(&peer, kept).unwrap();
    for host in &hosts {
        let refused = device(host, 0, 1).replace("--retries 200", "--retries 0");
        room.refuses(&refused, 1, "or it was revoked");
    }
    // With other keys it is let in again.
    room.works(&format!("{at_store} rotate pump"));
    for (at, expected) in twin.iter().take(2).enumerate() {
        let out = room.works(&device(&hosts[at], at, 1)).out;
        assert_eq!(out.lines().collect::<Vec<_>>(), [expected]);
    }
    // Whose key is forgotten is dealt for by nobody.
    let revoke = format!("devices --id host.id {} revoke pump", registry(&nats));
    assert_eq!(room.works(&revoke).out, "pump is revoked\n");
    for host in &hosts {
        let refused = room.run(&device(host, 0, 1).replace("--retries 200", "--retries 0"));
        assert_eq!(refused.code, Some(1), "{}", refused.err);
    }
    for server in dealers.into_iter().chain(hosts) {
        server.program.stop("INT").expect(0, "stopped");
    }
}

#[test]
fn what_is_killed_loses_nothing_that_a_device_needs() {
    const POINTS: usize = 10;
    const EACH: usize = 5;
    let Some(mut nats) = NatsServer::start(false) else { return };
    let (room, twin) = room(&nats);
    room.works(&format!("provision pump {}", registry(&nats)));
    let mut rng = Rng(printed_seed());
    let mut dealers = [0, 1].map(|at| room.serve(&dealer(&nats, at)));
    let mut hosts = [0, 1].map(|at| room.serve(&host(&nats, at, &dealers[at])));
    for point in 0..POINTS {
        let (at, from) = (point % 2, point * EACH);
        let inferring = room.start(&device(&hosts[at], from, EACH));
        let mut answers: Vec<String> = Vec::new();
        let before = rng.next() as usize % EACH;
        answers.extend((0..before).filter_map(|_| inferring.next_line()));
        std::thread::sleep(core::time::Duration::from_millis(rng.next() % 20));
        match rng.next() % 3 {
            0 => {
                nats.kill();
                nats.begin();
            }
            1 => {
                let listen = format!(" --listen {}", dealers[at].address);
                dealers[at].program.kill();
                dealers[at] = room.serve(&(dealer(&nats, at) + &listen));
            }
            _ => {
                let listen = format!(" --listen {}", hosts[at].address);
                hosts[at].program.kill();
                hosts[at] = room.serve(&(host(&nats, at, &dealers[at]) + &listen));
            }
        }
        answers.extend(core::iter::from_fn(|| inferring.next_line()));
        let ended = inferring.end();
        assert_eq!(ended.code, Some(0), "point {point}: {}", ended.err);
        assert_eq!(answers, twin[from..from + EACH], "point {point}");
    }
    for server in &mut hosts {
        until("it runs", || server.program.runs());
    }
}
