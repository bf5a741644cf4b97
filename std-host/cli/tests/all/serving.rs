//! From an owner's table to answers, as programs: shared, trained, and served without anybody
//! having the model.

use std::path::Path;

use sharelet_cli::answers::decimal;
use sharelet_core::fixed::encode;
use sharelet_host::server::shared::model::SharedModel;
use sharelet_host::store::training::Share;
use sharelet_testkit::processes::{Programs, Server};
use sharelet_train::tensor::{self, offline};

const CONFIG: &str = r#"
[data]
train = "study"
[model]
kind = "logistic-regression"
[training]
epochs = 1
batch = 100
learning_rate = 0.5
[arithmetic]
truncation = "exact"
"#;

/// What the twin answers with the opened model.
fn twin(folder: &Path, rows: &[Vec<f32>]) -> Vec<String> {
    let share = |party: u8| {
        Share::load(&folder.join(format!("server-{party}/training-config/model.share")))
            .expect("loads")
    };
    let (mut whole, other) = (share(0), share(1));
    assert_eq!((whole.header.run, whole.header.step), (other.header.run, other.header.step));
    whole
        .words
        .iter_mut()
        .zip(other.words)
        .for_each(|(word, share)| *word = word.wrapping_add(share));
    let model = SharedModel::new(&whole, Path::new("whole")).expect("valid");
    let machine = || tensor::twin(model.serving.truncation());
    let weights = offline::run(&mut model.serving.open(&model.model, &model.scaling), machine())
        .expect("runs")
        .0;
    let answer = |row: &Vec<f32>| {
        let mut input = vec![0_u64; row.len()];
        encode(row, 20, model.task.input_units(), &mut input).expect("in range");
        let mut evaluate = model.serving.evaluate(&weights, input).expect("fits");
        let output = offline::run(&mut evaluate, machine()).expect("runs").0;
        format!("values={}", decimal(output.words[0].cast_signed() >> 20, 20))
    };
    rows.iter().map(answer).collect()
}

#[test]
fn what_was_trained_is_served_at_once() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let table = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/classes.csv"),
    )
    .expect("reads");
    room.write("classes.csv", &table);
    room.write("config.toml", CONFIG);
    let rows: Vec<Vec<f32>> = table
        .lines()
        .skip(1)
        .take(5)
        .map(|line| line.split(',').take(8).map(|value| value.parse().unwrap()).collect())
        .collect();
    let lines = rows.iter().map(|row| row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    room.write("rows.csv", lines.collect::<Vec<_>>().join("\n"));
    // The same rows with a header, in another order, and with labels.
    let turned: Vec<String> = table
        .lines()
        .take(6)
        .map(|line| line.split(',').rev().collect::<Vec<_>>().join(";"))
        .collect();
    room.write("turned.csv", turned.join("\n"));
    room.write("other.csv", turned.join("\n").replacen("x3", "garden", 1));

    let (collect, to) = room.collectors();
    room.works(&format!(
        "share classes.csv --label label --binary --dataset study --owner clinic-a --to {to}"
    ));
    drop(collect);
    room.works("provision server-0 --role server-0 --state dealer-state");
    let dealer = room.serve("dealer --state dealer-state");
    let dealer_at = &dealer.address;
    let key = "--key server-0.key";

    let train = "train config.toml --party";
    let Server { program, address } =
        room.serve(&format!("{train} 1 --state server-1 --dealer {dealer_at}"));
    room.works(&format!("{train} 0 --state server-0 --peer {address} {key}"));
    program.end().expect(0, "");

    // Either share gives the same task.
    let shares = [0, 1].map(|party| format!("server-{party}/training-config/model.share"));
    let tasks = [0, 1].map(|party| {
        room.works(&format!("task --shared {} -o {party}.task", shares[party]));
        std::fs::read(room.path(&format!("{party}.task"))).unwrap()
    });
    assert_eq!(tasks[0], tasks[1]);

    let wrong = format!("server --party 0 --shared {} --peer 127.0.0.1:1 {key}", shares[1]);
    room.refuses(&wrong, 1, "a share of party 1");
    room.refuses("server --party 1", 2, "");

    let server_1 =
        room.serve(&format!("server --party 1 --shared {} --dealer {dealer_at}", shares[1]));
    let server_0 = room.serve(&format!(
        "server --party 0 --shared {} --peer {} --pool 2 {key}",
        shares[0], server_1.address
    ));
    room.works("provision pump-07 --role data-party");
    let ask = format!(
        "device --key pump-07.key --outsource {},{} --task 0.task --inputs",
        server_0.address, server_1.address
    );
    let expected = twin(room.folder(), &rows);
    for inputs in ["rows.csv", "turned.csv"] {
        let printed = room.works(&format!("{ask} {inputs}"));
        let found: Vec<&str> =
            printed.out.lines().map(|line| line.split_once(' ').expect("an index").1).collect();
        assert_eq!(found, expected, "{inputs}");
    }
    let other = "other.csv: it has other columns: `garden` instead of `x3`; give the columns that";
    room.refuses(&format!("{ask} other.csv"), 1, other);
}
