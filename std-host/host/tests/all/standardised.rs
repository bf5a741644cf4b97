//! Tables as they come, with columns of any size: standardised under sharing, held against the
//! plaintext twin; columns by name; rows that are far from what the scaling was computed from.

use core::fmt::Write as _;

use sharelet_host::data::Options;
use sharelet_host::server::training::run::RunError;
use sharelet_host::store::training::Share;
use sharelet_testkit::owners::{Data, csv};
use sharelet_testkit::training::{Crash, PARTIES, RUN, Room, config};
use sharelet_testkit::{Rng, assert_matches, says};
use sharelet_train::scaling::{self, COLUMN_WORDS};

/// Price, by area in square feet, rooms, and distance in a thousandth of a mile.
fn houses(seed: u64, rows: usize, header: [&str; 3]) -> String {
    let mut rng = Rng(seed);
    let mut text = format!("{},price\n", header.join(","));
    for _ in 0..rows {
        let area = 2000.0 + 700.0 * rng.fine_real();
        let rooms = 5.0 + 2.0 * rng.fine_real();
        let distance = 0.03 + 0.01 * rng.fine_real();
        let price =
            90_000.0 + 150.0 * area + 9000.0 * rooms - 3e6 * distance + 4000.0 * rng.fine_real();
        let cell = |name: &str| match name {
            "area" => area,
            "rooms" => rooms,
            _ => distance,
        };
        let cells = header.map(|name| format!("{:.6}", cell(name))).join(",");
        writeln!(text, "{cells},{price:.2}").unwrap();
    }
    text
}

const NAMES: [&str; 3] = ["area", "rooms", "distance"];
const TEXT: &str = "[model]\nkind = \"linear-regression\"\n[training]\nepochs = 30\nbatch = \
                    16\nlearning_rate = 0.1\nmomentum = 0.5\n[arithmetic]\ntruncation = \
                    \"exact\"\n[open]\nloss = true\n";

fn options() -> Options {
    Options { labels: vec!["price".into()], ..Options::default() }
}

async fn give(room: &Room, dataset: &str, owner: &str, text: &str, options: &Options) {
    room.give(&Data::new(dataset, owner, csv(text, options), 20, &[0; 16])).await;
}

/// How much of the variance the opened model explains, on the rows of a table as they are.
fn explained(room: &Room, text: &str) -> f64 {
    let [zero, one] = PARTIES.map(|party| {
        let path = room.state(party).join(format!("training-{RUN}/model.share"));
        Share::load(&path).unwrap()
    });
    let words: Vec<u64> =
        zero.words.iter().zip(&one.words).map(|(a, b)| a.wrapping_add(*b)).collect();
    let columns = words[words.len() - 4 * COLUMN_WORDS..].as_chunks::<COLUMN_WORDS>().0;
    let columns: Vec<_> = columns.iter().map(|words| scaling::numbers(*words, 20)).collect();
    let [weights @ .., bias] = &words[..4] else { panic!("three weights and a bias") };
    let number = |word: &u64| word.cast_signed() as f64 / f64::from(1 << 20);
    let table = csv(text, &options());
    let answers = table.features.chunks(3).map(|row| {
        let cells = row.iter().zip(&columns).zip(weights);
        let z = cells.map(|((x, (mean, factor)), weight)| (x - mean) * factor * number(weight));
        let (mean, factor) = columns[3];
        (z.sum::<f64>() + number(bias)) / factor + mean
    });
    let mean = table.targets.iter().sum::<f64>() / table.targets.len() as f64;
    let (mut left, mut all) = (0.0, 0.0);
    for (answer, target) in answers.zip(&table.targets) {
        left += (answer - target) * (answer - target);
        all += (target - mean) * (target - mean);
    }
    1.0 - left / all
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_learned_as_they_come_from_two_owners_and_tested_with_columns_turned() {
    let room = Room::new();
    let text = houses(1, 60, NAMES);
    give(&room, "train", "a", &text, &options()).await;
    give(&room, "train", "b", &houses(2, 20, NAMES), &options()).await;
    let turned = houses(3, 24, ["distance", "area", "rooms"]);
    give(&room, "test", "a", &turned, &options()).await;
    let config = config(&format!("[data]\ntrain = \"train\"\ntest = \"test\"\n{TEXT}"));
    let reports = room.train(&config, false).await;
    let (model, curve) = room.twin(&config);
    assert!(room.model() == model);
    for report in &reports {
        assert_eq!(report.curve, curve);
    }
    let last = curve.0.last().unwrap();
    assert!(last.test_loss.unwrap() < 0.02, "{last:?}");
    let explained = explained(&room, &text);
    assert!(explained > 0.98, "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_other_units_are_told_and_nothing_is_trained() {
    let room = Room::new();
    give(&room, "train", "a", &houses(1, 40, NAMES), &options()).await;
    // Thousandths of a mile.
    let far: String = houses(3, 12, NAMES)
        .lines()
        .enumerate()
        .map(|(number, line)| match line.split(',').collect::<Vec<_>>().as_slice() {
            [area, rooms, distance, price] if number > 0 => {
                let distance: f64 = distance.parse().unwrap();
                format!("{area},{rooms},{},{price}\n", 1000.0 * distance)
            }
            _ => format!("{line}\n"),
        })
        .collect();
    give(&room, "test", "a", &far, &options()).await;
    let config = config(&format!("[data]\ntrain = \"train\"\ntest = \"test\"\n{TEXT}"));
    for end in room.both(&config, false, [Crash::Never; 2]).await {
        assert_matches!(end, Some(Err(RunError::Beyond)));
    }
}

/// Their own columns say nothing of the scale: it is the one of most rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_owner_and_a_test_set_may_have_columns_that_hardly_change() {
    let room = Room::new();
    let still = |seed: u64, rows: usize, rooms: fn(usize) -> f64| -> String {
        let houses = houses(seed, rows, NAMES);
        let line = |(row, line): (usize, &str)| match line.split(',').collect::<Vec<_>>()[..] {
            [area, _, distance, price] if row > 0 => {
                format!("{area},{:.7},{distance},{price}\n", rooms(row))
            }
            _ => format!("{line}\n"),
        };
        houses.lines().enumerate().map(line).collect()
    };
    let text = houses(1, 60, NAMES);
    give(&room, "train", "a", &text, &options()).await;
    give(&room, "train", "b", &still(2, 20, |row| 3.0 + 1e-6 * row as f64), &options()).await;
    give(&room, "test", "a", &still(3, 24, |row| 6.0 + 1e-6 * row as f64), &options()).await;
    let config = config(&format!("[data]\ntrain = \"train\"\ntest = \"test\"\n{TEXT}"));
    let reports = room.train(&config, false).await;
    let (model, curve) = room.twin(&config);
    assert!(room.model() == model);
    assert!(reports.iter().all(|report| report.curve == curve));
    let explained = explained(&room, &houses(4, 60, NAMES));
    assert!(explained > 0.9, "{explained}");
}

/// A reach of less than what a cheap truncation may be off by is kept as well as any.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_few_units_are_within_reach_of_their_scaling() {
    let room = Room::new();
    // A deviation of 100 units: a reach of a fortieth.
    let level = |seed: u64, rows: usize, far: f64| {
        let mut rng = Rng(seed);
        let mut text = "level,price\n".to_owned();
        for row in 0..rows {
            let level = 1e-4 * 1.7 * rng.fine_real() + if row == 3 { far } else { 0.0 };
            writeln!(text, "{:.7},{:.4}", 5.0 + level, 1e4 * level).unwrap();
        }
        text
    };
    give(&room, "train", "a", &level(1, 60, 0.0), &options()).await;
    give(&room, "near", "a", &level(2, 200, 0.005), &options()).await;
    give(&room, "far", "a", &level(2, 200, 0.03), &options()).await;
    for (test, beyond) in [("near", false), ("far", true)] {
        let text = TEXT.replace("exact", "one-unit");
        let config = config(&format!("[data]\ntrain = \"train\"\ntest = \"{test}\"\n{text}"));
        for end in room.both(&config, false, [Crash::Never; 2]).await {
            let found = matches!(end, Some(Err(RunError::Beyond)));
            assert_eq!(found, beyond, "{test}: {end:?}");
            assert!(beyond || matches!(end, Some(Ok(_))), "{test}: {end:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_standardised_is_compared_and_columns_are_by_name() {
    let room = Room::new();
    give(&room, "train", "a", &houses(1, 40, NAMES), &options()).await;
    give(&room, "other", "a", &houses(1, 40, ["area", "rooms", "garden"]), &options()).await;
    let plain = Options { standardise: Some(false), label_scale: 1e-3, ..options() };
    give(&room, "plain", "a", &houses(1, 40, NAMES), &plain).await;
    let rent = houses(1, 40, NAMES).replacen("price", "rent", 1);
    give(&room, "rent", "a", &rent, &Options { labels: vec!["rent".into()], ..options() }).await;
    for (test, expected) in [
        ("rent", "its labels are from `rent`, and those of `train` from `price`; share it with"),
        ("other", "`garden` instead of `distance`"),
        ("plain", "one is to be standardised and the other is not"),
    ] {
        let config = config(&format!("[data]\ntrain = \"train\"\ntest = \"{test}\"\n{TEXT}"));
        for end in room.both(&config, false, [Crash::Never; 2]).await {
            says(&end.unwrap().expect_err("refused"), expected);
        }
    }
}

#[test]
fn scaling_is_near_and_narrow_columns_are_only_shifted() {
    let mut rng = Rng(7);
    for (mean, deviation) in
        [(0.0, 1.0), (1e6, 1e5), (-5.0, 1e-3), (3000.0, 0.01), (4e6, 1.9e6), (0.0, 300.0)]
    {
        let values: Vec<f64> = (0..500).map(|_| mean + deviation * 1.7 * rng.fine_real()).collect();
        let words = scaling::of_column(values.iter().copied(), 20);
        assert!(!words.narrow);
        let (found, factor) = scaling::numbers(words.words, 20);
        let standardised = values.iter().map(|value| (value - found) * factor);
        let square = standardised.clone().map(|z| z * z).sum::<f64>() / 500.0;
        let off = standardised.sum::<f64>() / 500.0;
        assert!((square - 1.0).abs() < 2e-3 && off.abs() < 2e-3, "{mean} {square} {off}");
    }
    let constant = scaling::of_column([7.25; 9].into_iter(), 20);
    assert_eq!((scaling::numbers(constant.words, 20), constant.narrow), ((7.25, 1.0), false));
    let values: Vec<f64> = (0..9).map(|row| 1.0 + 1e-6 * f64::from(row)).collect();
    let narrow = scaling::of_column(values.iter().copied(), 20);
    let (mean, factor) = scaling::numbers(narrow.words, 20);
    assert!((mean - 1.000_004).abs() < 1e-6 && factor == 1.0 && narrow.narrow, "{mean} {factor}");
    // A flag of one row in many is within reach, however many there are.
    for rows in [100, 1_000_000_u32] {
        let flags: Vec<f64> = (0..rows).map(|row| f64::from(u8::from(row == 7))).collect();
        let [mean, _, _, reach, ..] = scaling::of_column(flags.iter().copied(), 20).words;
        assert!((1 << 20) - mean < reach && reach < 64 << 20, "{rows}: {mean} {reach}");
    }
}
