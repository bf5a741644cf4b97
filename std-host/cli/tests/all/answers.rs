//! What is printed of answers, and where nobody reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};
use sharelet_testkit::processes::Programs;

const TWIN: &str = "twin model.slt --inputs readings.npy";

/// The program on its own, with what it is given on standard input.
fn fed(room: &Programs, line: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sharelet"))
        .current_dir(room.folder())
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("is read");
    child.wait_with_output().expect("ends")
}

#[test]
fn every_form_says_the_same() {
    let room = super::sessions::room();
    room.write("labels.txt", "idle\nnormal\nworn, slightly\nfault\nbearing fault\n");
    let model = Model::load(&room.path("model.slt")).unwrap();
    let readings = Readings::load(&room.path("readings.npy"), ReadOptions::default()).unwrap();
    let words: Vec<Vec<u32>> =
        readings.rows().map(|row| model.infer(&model.encode(row).unwrap()).unwrap()).collect();
    let frac_bits = u64::from(model.network.output_frac_bits());

    let printed = |options: &str| room.works(&format!("{TWIN} --labels labels.txt {options}")).out;
    let (json, raw) = (printed("--json"), printed("--raw --json"));
    for (index, (line, raw)) in json.lines().zip(raw.lines()).enumerate() {
        let [line, raw] = [line, raw].map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!((&line["index"], &line["frac_bits"]), (&index.into(), &frac_bits.into()));
        let back = |value: &Value| (value.as_f64().unwrap() * 2_f64.powi(frac_bits as i32)).round();
        let numbers: Vec<f64> = line["values"].as_array().unwrap().iter().map(back).collect();
        let expected: Vec<i32> = words[index].iter().map(|word| word.cast_signed()).collect();
        assert_eq!(numbers, expected.iter().copied().map(f64::from).collect::<Vec<_>>());
        assert_eq!(raw["values"], Value::from(expected));
        assert_eq!((&line["class"], &line["label"]), (&raw["class"], &raw["label"]));
        assert!(line["label"].is_string());
    }
    assert_eq!(json.lines().count(), words.len());

    let csv = printed("--csv");
    assert!(csv.starts_with("index,class,label,frac_bits,value_0,value_1,"), "{csv}");
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    for (record, line) in table.records().zip(json.lines()) {
        let (record, line) = (record.unwrap(), serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(record[2], *line["label"].as_str().unwrap());
        assert_eq!(record[4].parse().ok(), line["values"][0].as_f64());
    }
    let text = printed("");
    assert!(text.starts_with("index=0 values="), "{text}");
    assert!(text.lines().all(|line| line.contains(" class=") && line.contains(" label=")));
    let some = printed("--from-reading 3 --count 1");
    assert_eq!(some.lines().collect::<Vec<_>>(), [text.lines().nth(3).unwrap()]);

    room.refuses(&format!("{TWIN} --labels a,b"), 2, "2 labels for 5 outputs");
    room.refuses(&format!("{TWIN} --labels missing.txt"), 2, "there is no such file");
    room.refuses(&format!("{TWIN} --from-reading 5"), 2, "there are 5 readings, counted from 0");
    room.refuses(&format!("{TWIN} --json --csv"), 2, "cannot be used with");
}

#[test]
fn a_device_answers_from_a_reading_on() {
    let room = super::sessions::room();
    room.works("provision pump --state dealer");
    let dealer = room.serve("dealer --state dealer");
    let host = room.serve(&format!(
        "host model.slt --dealer {} --state host --answer both --json --labels a,b,c,d,e",
        dealer.address
    ));
    let device = format!(
        "device --key pump.key --inputs readings.npy --host {} --answer both --labels a,b,c,d,e",
        host.address
    );
    for options in ["--from-reading 2 --csv", "--from-reading 3 --count 1 --json --quiet"] {
        let run = room.works(&format!("{device} {options}"));
        assert_eq!(run.out, room.works(&format!("{TWIN} --labels a,b,c,d,e {options}")).out);
        assert_eq!(options.contains("quiet"), run.err.is_empty(), "{}", run.err);
    }
    room.refuses(
        &format!("{device} --from-reading 4 --count 2"),
        1,
        "5 readings where 6 are needed",
    );
    for _ in 0..4 {
        let line = host.program.next_line().expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["device"], "pump");
        assert!(line["session"].is_u64() && line["label"].is_string(), "{line}");
    }
}

#[test]
fn readings_come_on_standard_input() {
    let room = super::sessions::room();
    let readings = Readings::load(&room.path("readings.npy"), ReadOptions::default()).unwrap();
    let rows = readings.rows().map(|row| row.iter().map(f32::to_string).collect::<Vec<_>>());
    let text: String = rows.map(|row| row.join(";").replace('.', ",") + "\n").collect();
    let run = fed(&room, "twin model.slt --inputs -", &text);
    assert_eq!(String::from_utf8_lossy(&run.stdout), room.works(TWIN).out);
    let says = "standard input: columns are separated by semicolons, numbers have decimal commas";
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(says), "{said}");
    let run = fed(&room, "twin model.slt --inputs -", "1;2\n");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("standard input: line 1 has 2 values where 6"), "{said}");
}

/// As behind `| head -1`.
#[test]
fn a_closed_pipe_ends_a_program_quietly() {
    let room = super::sessions::room();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::copy(root.join("demo/classes.csv"), room.path("classes.csv")).expect("copies");
    let example = root.join("std-host/train/examples/logistic.toml");
    std::fs::copy(example, room.path("config.toml")).expect("copies");
    let plain = "train-plain config.toml classes.csv --label label --binary --float-only";
    for line in [TWIN, "inspect model.slt", "inspect model.slt --json", plain] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let run = Command::new(env!("CARGO_BIN_EXE_sharelet"))
            .current_dir(room.folder())
            .args(line.split_whitespace())
            .stdout(writer)
            .output()
            .expect("runs");
        assert_eq!(
            (run.status.code(), String::from_utf8_lossy(&run.stderr)),
            (Some(141), "".into())
        );
    }
    // Lines of epochs and charts, of which the first is read.
    let mut child = Command::new(env!("CARGO_BIN_EXE_sharelet"))
        .current_dir(room.folder())
        .args(plain.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("piped");
    BufReader::with_capacity(1, out).read_line(&mut line).expect("reads");
    let run = child.wait_with_output().expect("ends");
    assert_eq!(line, "float, 25 steps\n");
    assert_eq!((run.status.code(), String::from_utf8_lossy(&run.stderr)), (Some(141), "".into()));
}
