//! A device and a host without a dealer, as programs.

use std::fs;

use super::fleet::monitor;
use sharelet_testkit::processes::{Programs, Server, until};
use sharelet_testkit::room::{random_model, random_readings};
use sharelet_testkit::{printed_seed, rng};

const TWIN: &str = "twin model.slt --inputs readings.npy";

/// A folder with a model, whose weights have 16 bits, and readings.
fn room() -> Programs {
    let (room, mut rng) = (Programs::new(env!("CARGO_BIN_EXE_sharelet")), rng(printed_seed()));
    let mut model = random_model(&[6, 40, 5], &mut rng);
    for weight in model.weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> 16).cast_unsigned();
    }
    model.save(&room.path("model.slt")).unwrap();
    random_readings(&model, 5, &mut rng).save_npy(&room.path("readings.npy")).unwrap();
    room
}

fn host(room: &Programs, more: &str) -> Server {
    room.serve(&format!("host model.slt --state host --prepare ot {more}"))
}

fn device(host: &Server, more: &str) -> String {
    let address = &host.address;
    format!("device --prepare ot --state pump --inputs readings.npy --host {address} {more}")
}

fn prepare(host: &Server, count: u32) -> String {
    format!("prepare --state pump --host {} --count {count}", host.address)
}

#[test]
fn a_device_and_a_host_agree_with_the_twin() {
    let room = room();
    let twin = room.works(TWIN).out;
    let server = host(&room, "--answer both");
    let line = device(&server, "--report report --answer both");
    assert_eq!(room.works(&line).out, twin);
    let report = room.read("report");
    assert!(report.contains("session number=4 prepare_us="), "{report}");
    assert!(report.ends_with("done count=5\n"), "{report}");
    let values = |line: &str| line.trim().split_once("values=").expect("values").1.to_owned();
    for line in twin.lines() {
        let of_host = server.program.next_line().expect("a line");
        assert!(of_host.starts_with("device=pump session="), "{of_host}");
        assert_eq!(values(&of_host), values(line));
    }
    // What they keep of each other serves again; what one of them has lost is made anew.
    let kept = room.path("host/alone-pump/kept");
    let before = fs::read(&kept).unwrap();
    assert_eq!(room.works(&line).out, twin);
    assert_eq!(fs::read(&kept).unwrap(), before);
    fs::remove_file(room.path("pump/host-host/kept")).unwrap();
    assert_eq!(room.works(&line).out, twin);
    assert_ne!(fs::read(&kept).unwrap(), before);

    room.refuses(&device(&server, ""), 1, "start both sides with the same `--answer`");
    room.refuses(&device(&server, "--store --answer both"), 1, "start a host with --keep");
    server.program.stop("INT").expect(0, "stopped");

    // Whoever proves no name is answered, and leaves nothing on the host's disk.
    let open = room.serve("host model.slt --state open --prepare ot --keep --insecure-plaintext");
    let line = device(&open, "--insecure-plaintext --name pump");
    assert_eq!(room.works(&line).out, twin);
    room.refuses(&format!("{line} --store"), 1, "seal the connections");
    assert!(!room.path("open/alone-pump").exists());
}

#[test]
fn a_store_is_spent_once_and_a_copy_of_it_is_refused() {
    let room = room();
    let twin = room.works(TWIN).out;
    let server = host(&room, "--keep");
    room.refuses(&device(&server, "--store"), 1, "nothing is prepared; run `sharelet prepare`");
    let said = room.works(&prepare(&server, 12)).out;
    assert!(said.ends_with("12 inferences prepared, 12 ready\n"), "{said}");
    // As many are there: nothing is done.
    let said = room.works(&prepare(&server, 12)).out;
    assert!(said.ends_with("0 inferences prepared, 12 ready\n"), "{said}");
    let store = store(&room, "pump/host-host");
    let files = |folder: &std::path::Path| -> Vec<_> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    };
    let copy = files(&store);
    assert_eq!(room.works(&device(&server, "--store")).out, twin);
    let said = room.works(&prepare(&server, 8)).out;
    assert!(said.ends_with("1 inferences prepared, 8 ready\n"), "{said}");

    // A copy from before would spend indices again.
    for (path, bytes) in copy {
        fs::write(path, bytes).unwrap();
    }
    let refused = "older than the other";
    room.refuses(&device(&server, "--store"), 1, refused);
    room.refuses(&prepare(&server, 20), 1, refused);
    // The other side's store alone is of no use, and both begin anew.
    fs::remove_dir_all(&store).unwrap();
    room.refuses(&prepare(&server, 3), 1, refused);
    fs::remove_dir_all(self::store(&room, "host/alone-pump")).unwrap();
    let said = room.works(&prepare(&server, 3)).out;
    assert!(said.ends_with("3 inferences prepared, 3 ready\n"), "{said}");
    let line = device(&server, "--store --count 3");
    assert_eq!(room.works(&line).out.lines().count(), 3);

    // Damage is named, and the answer is none.
    room.works(&prepare(&server, 3));
    let store = self::store(&room, "pump/host-host");
    let (batch, bytes) =
        files(&store).into_iter().find(|(path, _)| path.extension().is_some()).unwrap();
    fs::write(&batch, &bytes[..bytes.len() - 1]).unwrap();
    room.refuses(&line, 1, "it is cut; delete the file");
    fs::remove_file(&batch).unwrap();
    room.refuses(&line, 1, "nothing is prepared");
    // The host has dropped its half.
    let said = room.works(&prepare(&server, 2)).out;
    assert!(said.ends_with("2 inferences prepared, 2 ready\n"), "{said}");
}

#[test]
fn a_store_is_filled_while_it_is_spent() {
    let room = room();
    let twin = room.works(TWIN).out;
    let server = host(&room, "--keep");
    let line = device(&server, "--store --fill 4");
    let done = room.works(&line);
    assert_eq!(done.out, twin);
    // 4 to begin with, and 2 more when 2 are left: one of them is left at the end.
    assert!(done.err.contains("4 inferences prepared, 4 ready"), "{}", done.err);
    assert!(done.err.contains("2 inferences prepared, 4 ready"), "{}", done.err);
    // Whole batches go on in parts: all of the first before there is a half, and then none.
    fs::remove_dir_all(store(&room, "pump/host-host")).unwrap();
    fs::remove_dir_all(store(&room, "host/alone-pump")).unwrap();
    room.works(&prepare(&server, 300));
    let done = room.works(&device(&server, "--store --fill 1000"));
    assert_eq!(done.out, twin);
    assert!(done.err.contains("4096 inferences prepared, 4391 ready"), "{}", done.err);
    room.refuses(&device(&server, "--fill 5"), 2, "--store");
}

/// The only store in a folder.
fn store(room: &Programs, folder: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(room.path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut stores = entries.filter(|path| path.is_dir());
    stores.next().expect("a store")
}

#[test]
fn what_is_killed_goes_on_from_the_last_whole_batch() {
    let room = room();
    let twin = room.works(TWIN).out;
    let mut server = host(&room, "-v --keep");
    room.works(&prepare(&server, 5));
    // A batch of thousands is under way: there is no file of it yet.
    let mut filling = room.start(&prepare(&server, 5000));
    let connections = || server.program.said().matches(" connected").count();
    until("the second connection is there", || connections() == 2);
    room.refuses(&prepare(&server, 5), 1, "is in use by another process");
    assert!(filling.runs(), "{}", filling.said());
    filling.kill();
    server.program.kill();
    let server = host(&room, "--keep");
    assert_eq!(room.works(&device(&server, "--store")).out, twin);
    room.refuses(&device(&server, "--store"), 1, "nothing is prepared");
    // A whole batch where many are asked for; silent transfers for a change.
    let said = room.works(&format!("{} --silent", prepare(&server, 600))).out;
    assert!(said.ends_with("4096 inferences prepared, 4096 ready\n"), "{said}");
    assert_eq!(room.works(&device(&server, "--store")).out, twin);
}

#[test]
fn arguments_of_the_other_source_are_refused() {
    let room = room();
    let device = "device --inputs readings.npy --host 127.0.0.1:1 --insecure-plaintext";
    let alone = format!("{device} --prepare ot");
    let host = "host model.slt --state host";
    let (not_ot, not_dealt) = ("does not go with --prepare ot", "does not go with a dealer");
    for (line, says) in [
        (host.to_owned(), "--dealer is missing"),
        (format!("{host} --prepare ot --dealer 127.0.0.1:1"), not_ot),
        (format!("{host} --keep --dealer 127.0.0.1:1"), not_dealt),
        (format!("{alone} --key k"), not_ot),
        (alone.clone(), "--name is missing"),
        (format!("{alone} --name a"), "--state is missing"),
        (format!("{device} --state pump"), not_dealt),
    ] {
        room.refuses(&line, 2, says);
    }
}

#[test]
fn two_servers_of_whom_one_owns_the_model_agree_with_the_twin() {
    let room = room();
    let twin = room.works(TWIN).out;
    room.works("provision phone --role data-party");
    room.works("task model.slt -o task.bin");
    let server_1 = room.serve("server --party 1 --model model.slt --prepare ot");
    let line = format!("server --party 0 --task task.bin --prepare ot --peer {}", server_1.address);
    let server_0 = room.serve(&line);
    let device = format!(
        "device --key phone.key --task task.bin --inputs readings.npy --outsource {},{}",
        server_0.address, server_1.address
    );
    assert_eq!(room.works(&device).out, twin);
    // Server 1 is started again, and found.
    let address = server_1.address.clone();
    server_1.program.stop("INT").expect(0, "stopped");
    let line = format!("server --party 1 --model model.slt --prepare ot --listen {address}");
    let server_1 = room.serve(&line);
    assert_eq!(room.works(&device).out, twin);
    // Without the other half there is no answer, and the lane comes back.
    for server in [server_0, server_1] {
        server.program.stop("INT").expect(0, "stopped");
    }
}

#[test]
fn two_servers_take_what_they_have_prepared_ahead_of_time() {
    let room = room();
    let twin = room.works(TWIN).out;
    room.works("provision phone --role data-party");
    room.works("task model.slt -o task.bin");
    let line_1 = "server --party 1 --model model.slt --prepare ot --state of-1";
    let line_0 = "server --party 0 --task task.bin --prepare ot --state of-0 --pool 2 --fill 8 \
                  --monitor 0";
    let serve = || {
        let server_1 = room.serve(line_1);
        let server_0 = room.serve(&format!("{line_0} --peer {}", server_1.address));
        (server_0, server_1)
    };
    let device = |server_0: &Server, server_1: &Server| {
        format!(
            "device --key phone.key --task task.bin --inputs readings.npy --outsource {},{}",
            server_0.address, server_1.address
        )
    };
    let (server_0, server_1) = serve();
    let filled = |server: &Server| server.program.said().matches(" inferences prepared, ").count();
    until("the stores are filled", || filled(&server_0) == 1);
    for _ in 0..2 {
        assert_eq!(room.works(&device(&server_0, &server_1)).out, twin);
    }
    // Ten readings, of which the lanes had prepared two or four: the stores were filled again.
    until("the stores are filled again", || filled(&server_0) > 1);
    let page = room.works(&format!("top {} --once", monitor(&server_0))).out;
    assert!(page.lines().any(|line| line.starts_with("infer ")), "{page}");
    assert!(page.lines().any(|line| line.starts_with("phone ")), "{page}");
    // Server 1 is started again, and knows nothing of what was taken out of the stores.
    let address = server_1.address.clone();
    server_1.program.stop("INT").expect(0, "stopped");
    let server_1 = room.serve(&format!("{line_1} --listen {address}"));
    assert_eq!(room.works(&device(&server_0, &server_1)).out, twin);
    for server in [server_0, server_1] {
        server.program.stop("INT").expect(0, "stopped");
    }
    // What is left is matched, and serves again.
    let copy = room.path("copy");
    let of_0 = store(&room, "of-0/host-server-1");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&of_0).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let (server_0, server_1) = serve();
    until("the stores are matched", || server_0.program.said().contains("are in the store"));
    assert_eq!(room.works(&device(&server_0, &server_1)).out, twin);
    until("the stores are filled again", || filled(&server_0) > 0);
    for server in [server_0, server_1] {
        server.program.stop("INT").expect(0, "stopped");
    }
    // A copy is refused, and lanes prepare for themselves.
    for file in fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), of_0.join(file.file_name())).unwrap();
    }
    let (server_0, server_1) = serve();
    until("the copy is refused", || server_0.program.said().contains("older than the other"));
    assert_eq!(room.works(&device(&server_0, &server_1)).out, twin);
    for server in [server_0, server_1] {
        server.program.stop("INT").expect(0, "stopped");
    }
    // Server 1 has no store: both answer all the same, and server 0 says what is missing.
    let server_1 = room.serve("server --party 1 --model model.slt --prepare ot");
    let server_0 = room.serve(&format!("{line_0} --peer {}", server_1.address));
    until("it says so", || server_0.program.said().contains("server 1 with --state"));
    assert_eq!(room.works(&device(&server_0, &server_1)).out, twin);

    let no_state = "server --party 0 --task task.bin --prepare ot --fill 8 --peer a:1";
    room.refuses(no_state, 2, "--state");
    let open = format!("{line_1} --insecure-plaintext");
    room.refuses(&open, 2, "a store belongs to two servers that are paired");
}

#[test]
fn a_host_without_a_dealer_serves_several_models() {
    let room = room();
    let mut rng = rng(printed_seed());
    let mut other = random_model(&[6, 40, 5], &mut rng);
    for weight in other.weights.iter_mut().flatten() {
        *weight = (weight.cast_signed() >> 16).cast_unsigned();
    }
    other.save(&room.path("other.slt")).unwrap();
    let twins = ["model", "other"]
        .map(|name| room.works(&format!("twin {name}.slt --inputs readings.npy")).out);
    room.works("models hall add plain model.slt");
    let server = room.serve("host --models hall --state host --prepare ot --keep");
    let prepared = |model: &str| room.works(&format!("{} --model {model}", prepare(&server, 5)));
    assert_eq!(room.works(&device(&server, "")).out, twins[0]);
    prepared("plain");
    room.refuses(&format!("{} --model fan", prepare(&server, 5)), 1, "another model");
    room.works("models hall add fan other.slt");
    room.works("models hall default plain");
    room.works("models hall assign fan pump");
    until("the device has another model", || {
        server.program.said().contains("1 devices have one of their own")
    });
    room.refuses(&device(&server, "--model plain"), 1, "another model");
    assert_eq!(room.works(&device(&server, "--model fan")).out, twins[1]);
    // Each model has a store of its own.
    room.refuses(&device(&server, "--store"), 1, "nothing is prepared");
    prepared("fan");
    assert_eq!(room.works(&device(&server, "--store")).out, twins[1]);
    room.works("models hall assign plain pump");
    until("the device has the first model", || {
        let line = device(&server, "--store --model plain");
        room.run(&line).out == twins[0]
    });
    room.works("models hall remove plain");
    room.works("models hall default fan");
    until("the device has no model", || {
        room.run(&device(&server, "")).err.contains("no model for this device")
    });
    room.refuses("host --models none --state x --prepare ot", 1, "none");
}
