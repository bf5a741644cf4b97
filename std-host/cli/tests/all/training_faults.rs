//! Tables that once trained to something else, or said something else: right answers, or a refusal.

use core::fmt::Write as _;
use std::path::Path;

use sharelet_testkit::processes::Programs;
use sharelet_testkit::shared_data;

const BINARY: &str = env!("CARGO_BIN_EXE_sharelet");

/// The last line of an epoch that the twin prints, and the last of the float baseline.
fn last_epochs(said: &str) -> [String; 2] {
    let (float, twin) = said.split_once("\ntwin\n").expect("both are trained");
    [float, twin].map(|part| {
        let mut epochs = part.lines().filter(|line| line.starts_with("epoch "));
        epochs.next_back().expect("an epoch").to_owned()
    })
}

/// The number behind a word.
fn number(line: &str, word: &str) -> f64 {
    let (_, behind) = line.split_once(&format!("{word} ")).expect("it is said");
    behind.split_whitespace().next().unwrap().parse().expect("a number")
}

fn folder(name: &str) -> Option<String> {
    let folder = shared_data()?.join("faults").join(name);
    Some(folder.canonicalize().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn momentum_over_a_short_last_batch_learns_what_floating_point_learns() {
    let Some(folder) = folder("train-01-momentum-short-last-batch") else { return };
    let room = Programs::new(BINARY);
    let said = room.works(&format!(
        "train-plain {folder}/config.toml {folder}/bc513.csv --label y --binary --test \
         {folder}/rest.csv"
    ));
    let [float, twin] = last_epochs(&said.out);
    for line in [&float, &twin] {
        assert!((number(line, "loss") - 0.137).abs() < 0.001, "{line}");
    }
    assert!((number(&float, "test loss") - number(&twin, "test loss")).abs() < 0.002, "{twin}");
}

#[test]
fn test_sets_are_compared_by_the_names_of_columns() {
    let Some(folder) = folder("train-02-test-set-columns") else { return };
    let room = Programs::new(BINARY);
    let line = |test: &str| {
        format!(
            "train-plain {folder}/right.toml {folder}/tr.csv --label y --binary --test \
             {folder}/{test}"
        )
    };
    let right = last_epochs(&room.works(&line("te.csv")).out);
    assert!(number(&right[1], "test accuracy") > 95.0, "{right:?}");
    assert_eq!(last_epochs(&room.works(&line("te_swapped.csv")).out), right);
    room.refuses(&line("te_other.csv"), 1, "`height`, `weight` instead of `a`, `b`");
}

#[test]
fn regression_learns_targets_as_they_come() {
    for (name, config) in [
        ("train-03-mean-gradient-above-32", "config.toml"),
        ("train-06-loss-of-regression", "batch16.toml"),
        ("train-06-loss-of-regression", "batch442.toml"),
    ] {
        let Some(folder) = folder(name) else { return };
        let room = Programs::new(BINARY);
        let text = std::fs::read_to_string(Path::new(&folder).join(config)).unwrap();
        let text = if text.contains("loss = true") { text } else { text + "loss = true\n" };
        room.write("config.toml", text);
        let line = format!("train-plain config.toml {folder}/diabetes.csv --label y");
        let [float, twin] = last_epochs(&room.works(&line).out);
        // The loss is half the mean square that is left, in variances: 1 - R2 is twice as much.
        for line in [float, twin] {
            let explained = 1.0 - 2.0 * number(&line, "loss");
            assert!((0.49..0.53).contains(&explained), "{config}: {line}");
        }
        // As they are, the loss is that of floating point, or training stops.
        let raw = room.run(&format!("{line} --no-standardise"));
        if raw.code == Some(0) {
            let [float, twin] = last_epochs(&raw.out).map(|line| number(&line, "loss"));
            assert!((float - twin).abs() < 0.01 * float, "{config}: {float} and {twin}");
        } else {
            assert!(raw.err.contains("training diverges"), "{}", raw.err);
        }
    }
}

#[test]
fn numbers_are_neither_right_nor_wrong() {
    let Some(folder) = folder("train-04-accuracy-of-several-numbers") else { return };
    let room = Programs::new(BINARY);
    let line = format!("train-plain {folder}/config.toml {folder}/linnerud.csv --label w,v,p");
    room.refuses(&line, 1, "take `open.accuracy` out");
    let text = std::fs::read_to_string(Path::new(&folder).join("config.toml")).unwrap();
    room.write("config.toml", text.replace("accuracy=true", ""));
    let said = room.works(&line.replace(&format!("{folder}/config.toml"), "config.toml"));
    assert!(!said.out.contains("accuracy"), "{}", said.out);
}

/// Values as large as `share` takes: every run ends as floating point does, or stops and says so.
#[test]
fn nothing_wraps_without_a_word() {
    let room = Programs::new(BINARY);
    let mut stopped = 0;
    for (kind, binary, most) in
        [("linear-regression", "", 4000.0), ("logistic-regression", "--binary", 4000.0)]
    {
        for (rate, size) in [(1e-8, 1.0), (0.01, 1.0), (0.1, 0.01), (1.0, 1.0), (100.0, 0.001)] {
            let mut rng = sharelet_testkit::Rng(3);
            let mut csv = "a,b,y\n".to_owned();
            for _ in 0..60 {
                let [a, b] = [0, 1].map(|_| most * size * rng.fine_real());
                let y = if binary.is_empty() { (a - b) / 2.0 } else { f64::from(u8::from(a > b)) };
                writeln!(csv, "{a:.4},{b:.4},{y:.4}").unwrap();
            }
            room.write("wide.csv", csv);
            room.write(
                "config.toml",
                format!(
                    "[data]\ntrain = \"wide\"\n[model]\nkind = \"{kind}\"\n[training]\nepochs = \
                     20\nbatch = 16\nlearning_rate = {rate:e}\n[arithmetic]\ntruncation = \
                     \"exact\"\n[open]\nloss = true\n"
                ),
            );
            let line =
                format!("train-plain config.toml wide.csv --label y {binary} --no-standardise");
            let ended = room.run(&line);
            if ended.code == Some(0) {
                let [float, twin] = last_epochs(&ended.out).map(|line| number(&line, "loss"));
                let what = format!("{kind}, rate {rate}, size {size}: {float} and {twin}");
                assert!((float - twin).abs() <= 0.02 * float.abs().max(0.1), "{what}");
            } else {
                stopped += 1;
                let said = &ended.err;
                let named = said.contains("diverge") || said.contains("no room in a word");
                assert!(named, "{kind}, {rate}, {size}: {said}");
            }
        }
    }
    assert!(stopped > 0, "some of them diverge");
}
