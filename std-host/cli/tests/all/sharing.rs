//! `sharelet share` and `sharelet collect` as programs.

use sharelet_core::share::{self, Party};
use sharelet_host::store::datasets::Datasets;
use sharelet_testkit::processes::{Programs, Server};
use sharelet_testkit::says;

/// Two servers, and a folder for everything.
fn servers() -> (Programs, [Server; 2], String) {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let (servers, to) = room.collectors();
    (room, servers, to)
}

/// Features and labels as reals, opened from both states, also while the servers run.
fn open(room: &Programs, dataset: &str) -> (Vec<f64>, Vec<f64>) {
    let [zero, one] = [("server-0", Party::P0), ("server-1", Party::P1)].map(|(state, party)| {
        Datasets::read(&room.path(state), party).dataset(&dataset.parse().unwrap()).unwrap()
    });
    assert_eq!(zero.descriptor().hash(), one.descriptor().hash());
    let opened = |mut zero: Vec<u64>, one: Vec<u64>| {
        share::open(&mut zero, &one);
        zero.iter().map(|&word| word.cast_signed() as f64 / f64::from(1 << 20)).collect()
    };
    (opened(zero.features, one.features), opened(zero.targets, one.targets))
}

#[test]
fn owners_of_rows_and_of_columns_share() {
    let (room, servers, to) = servers();
    let works = |line: &str| {
        let done = room.works(&format!("share {line} --to {to}"));
        assert_eq!(done.out, "");
        done.err
    };
    room.write("a.csv", "x,y\n0.5,1\n");
    room.write("b.csv", "y,x\n0,-2\n1,300\n");
    let rows = |owner| format!("{owner}.csv --owner {owner} --label y --binary --dataset rows");
    let said = works(&rows("b"));
    says(&said, "both servers have registered 2 rows in dataset rows");
    works(&rows("a"));
    assert_eq!(open(&room, "rows"), (vec![0.5, -2.0, 300.0], vec![1.0, 0.0, 1.0]));

    // A test set may hardly change.
    room.write("still.csv", "x,y\n3,1\n3.000001,0\n");
    let said = works("still.csv --owner c --label y --binary --dataset still");
    says(&said, "still.csv: column `x`: its values differ by too little to be told apart with 20");

    room.write("secret", [7; 32]);
    room.write("bank.csv", "id,age\np,30\nq,40\n");
    room.write("shop.csv", "customer,orders,price\np,1,2000\nq,2,3000\n");
    let columns = "--key-secret secret --dataset columns";
    works(&format!("bank.csv --key id --no-label --owner bank {columns}"));
    works(&format!(
        "shop.csv --key customer --label price --label-scale 1/1000 --owner shop {columns}"
    ));
    assert_eq!(open(&room, "columns"), (vec![30.0, 1.0, 40.0, 2.0], vec![2.0, 3.0]));

    // The id of an upload ends it, however often.
    let again = format!("share {} --to {to}", rows("a"));
    let error = room.refuses(&again, 1, "--upload-id ").err;
    let (_, rest) = error.split_once("--upload-id ").expect("an id");
    let said = works(&format!("{} --upload-id {}", rows("a"), &rest[..32]));
    assert!(said.contains("already"), "{said}");

    // Servers that were killed have what they registered.
    drop(servers);
    assert_eq!(open(&room, "rows").0.len(), 3);
    room.refuses(&again, 1, "cannot connect");
}

/// Whoever is paired uploads in its own name alone.
#[test]
fn an_owner_uploads_in_no_other_name() {
    let (room, servers, to) = servers();
    room.write("a.csv", "x,y\n0.5,1\n");
    // Both are known to both servers.
    for owner in ["alice", "mallory"] {
        room.works(&format!("share a.csv --label y --dataset own --owner {owner} --to {to}"));
    }
    let line = format!("share a.csv --label y --dataset theirs --owner alice --to {to}");
    room.refuses(&format!("{line} --id mallory.id"), 1, "in another owner's name");
    drop(servers);
    assert_eq!(open(&room, "own").1.len(), 2);
    let states = [("server-0", Party::P0), ("server-1", Party::P1)];
    for (state, party) in states {
        let name = "theirs".parse().unwrap();
        assert!(Datasets::read(&room.path(state), party).dataset(&name).is_err(), "{state}");
    }
}

#[test]
fn wrong_use_is_named() {
    let (room, servers, to) = servers();
    room.write("a.csv", "x,y\n0.5,1\n,2\n");
    room.write("b.csv", "x,y\n0.5,1\n");
    room.write("short", "0123456789");
    let second = room.serve("collect --party 0 --state other");
    let twice = format!("{},{}", servers[0].address, second.address);
    for (file, to, says) in [
        ("a.csv --no-label", &*to, "error: a.csv: row 2 (line 3), column `x`: the cell is empty"),
        (
            "b.csv --no-label --key x --key-secret short",
            &to,
            "10 bytes, a secret for keys has at least 16",
        ),
        ("b.csv --label y", &twice, "server-1 server-1: the peer refused: it has no key"),
    ] {
        room.refuses(&format!("share {file} --dataset d --owner o --to {to}"), 1, says);
    }
    let line = "collect --party 1 --state server-1 --listen 127.0.0.1:0";
    room.refuses(line, 1, "is in use by another process");
    for wrong in [
        "--dataset d",
        "--dataset d --label y --no-label",
        "--dataset d --classes 3",
        "--dataset d --label y --classes 3 --binary",
        "--dataset d --label y --labels f",
        "--dataset d --key x",
        "--dataset d --label y --classes 1",
        "--dataset d --frac-bits 29",
        "--dataset d --scale 0",
        "--dataset d --upload-id xyz",
        "--dataset a/b",
        "--dataset d --allow weights",
        "--dataset d --allow model=a,model=b",
        "--dataset d --least-rows 3",
    ] {
        room.refuses(&format!("share b.csv --owner o --to {to} {wrong}"), 2, "");
    }
}

#[test]
fn mnist_is_shared() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let (room, _servers, to) = servers();
    for (part, name) in [("images-idx3", "images-ubyte.gz"), ("labels-idx1", "labels-ubyte.gz")] {
        std::fs::copy(data.join(format!("mnist/test-{part}-ubyte.gz")), room.path(name)).unwrap();
    }
    room.works(&format!(
        "share images-ubyte.gz --labels labels-ubyte.gz --classes 10 --dataset mnist --owner o \
         --to {to}"
    ));
    let (features, targets) = open(&room, "mnist");
    assert_eq!(features.len() / 784, targets.len() / 10);
    assert!(features.iter().all(|pixel| (0.0..=1.0).contains(pixel)) && features.contains(&1.0));
}
