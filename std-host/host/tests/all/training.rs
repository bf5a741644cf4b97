//! Whole training runs between two servers and a dealer, held against the plaintext twin; crashes,
//! and going on after them.

use std::path::Path;
use std::sync::Arc;

use sharelet_core::share::Party;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::{Options, Table, shares};
use sharelet_host::server::training::run::RunError;
use sharelet_host::store::training::TrainingError;
use sharelet_testkit::training::{Crash, PARTIES, RUN, Room, both_say, config, said, table};
use sharelet_testkit::{Rng, assert_matches, says};
use sharelet_train::config::Config;
use sharelet_train::course::{Course, Sizes};
use sharelet_train::labels::Labels;
use sharelet_train::plain;
use sharelet_train::plans::Plans;
use sharelet_train::state::Data;

/// Rows, columns, classes (0 for numbers), and the rest of a configuration.
struct Case {
    name: &'static str,
    rows: usize,
    columns: usize,
    classes: usize,
    text: &'static str,
    frac_bits: u8,
    /// A bound of the mean gradient's Lipschitz constant, by the largest magnitude: of features in
    /// -1..1 and weights of at most 1.
    lipschitz: f64,
}

/// Small runs that have every loss, kind of layer, schedule and kind of test between them.
const CASES: [Case; 6] = [
    Case {
        name: "linear regression",
        rows: 37,
        columns: 4,
        classes: 0,
        text: "[model]\nkind = \"linear-regression\"\n[training]\nepochs = 3\nbatch = \
               8\nlearning_rate = 0.1\nweight_decay = 0.01\nschedule = { kind = \"step\", epochs \
               = 1, factor = 0.3 }\n",
        frac_bits: 20,
        lipschitz: 5.0,
    },
    Case {
        name: "logistic regression",
        rows: 40,
        columns: 3,
        classes: 2,
        text: "held_out = 10\n[model]\nkind = \"logistic-regression\"\n[training]\nepochs = \
               3\nbatch = 7\nlearning_rate = 0.1\nmomentum = 0.5\n",
        frac_bits: 16,
        lipschitz: 1.0,
    },
    Case {
        name: "support vectors",
        rows: 30,
        columns: 3,
        classes: 2,
        text: "held_out = 0.2\n[model]\nkind = \"svm\"\n[training]\nepochs = 2\nbatch = \
               5\nlearning_rate = 0.2\nweight_decay = 0.02\nschedule = { kind = \"linear\", last \
               = 0 }\n",
        frac_bits: 22,
        lipschitz: 0.0,
    },
    Case {
        name: "perceptron",
        rows: 32,
        columns: 5,
        classes: 3,
        text: "test = \"test\"\n[model]\nkind = \"network\"\ninput = 5\n[[model.layer]]\nkind = \
               \"dense\"\noutputs = 6\n[[model.layer]]\nkind = \"relu\"\n[[model.layer]]\nkind = \
               \"dense\"\noutputs = 3\n[training]\nepochs = 2\nbatch = 8\nlearning_rate = \
               0.2\nmomentum = 0.9\nschedule = { kind = \"cosine\", last = 0.001 }\n",
        frac_bits: 20,
        lipschitz: 2.0,
    },
    Case {
        name: "pools",
        rows: 12,
        columns: 36,
        classes: 3,
        text: "[model]\nkind = \"network\"\ninput = [1, 6, 6]\n[[model.layer]]\nkind = \
               \"convolution\"\nfilters = 2\nkernel = 3\npadding = 1\n[[model.layer]]\nkind = \
               \"max-pool\"\nkernel = 2\n[[model.layer]]\nkind = \"relu\"\n[[model.layer]]\nkind \
               = \"average-pool\"\nkernel = [1, 2]\nstride = 1\n[[model.layer]]\nkind = \
               \"dense\"\noutputs = 3\n[training]\nepochs = 2\nbatch = 4\nlearning_rate = \
               0.1\nseed = 3\n",
        frac_bits: 20,
        lipschitz: 2.0,
    },
    Case {
        name: "numbers, 24 bits",
        rows: 20,
        columns: 4,
        classes: 0,
        text: "[model]\nkind = \"network\"\nloss = \"squared-error\"\ninput = \
               4\n[[model.layer]]\nkind = \"dense\"\noutputs = 3\n[[model.layer]]\nkind = \
               \"relu\"\n[[model.layer]]\nkind = \"dense\"\noutputs = 1\n[training]\nepochs = \
               2\nbatch = 6\nlearning_rate = 0.1\n[stop]\nlargest_weight = \
               100\n",
        frac_bits: 24,
        lipschitz: 2.0,
    },
];

/// Batches that are normalised. Their last one has two rows, and a unit of the one-unit truncation
/// over the deviation of two values has no useful bound: it runs exactly.
const NORMALISED: Case = Case {
    name: "batch normalisations",
    rows: 14,
    columns: 36,
    classes: 3,
    text: "[model]\nkind = \"network\"\ninput = [1, 6, 6]\n[[model.layer]]\nkind = \
           \"convolution\"\nfilters = 2\nkernel = 3\npadding = 1\n[[model.layer]]\nkind = \
           \"batch-norm\"\n[[model.layer]]\nkind = \"relu\"\n[[model.layer]]\nkind = \
           \"max-pool\"\nkernel = 2\n[[model.layer]]\nkind = \"dense\"\noutputs = \
           4\n[[model.layer]]\nkind = \"batch-norm\"\n[[model.layer]]\nkind = \
           \"relu\"\n[[model.layer]]\nkind = \"dense\"\noutputs = 3\n[training]\nepochs = \
           2\nbatch = 4\nlearning_rate = 0.1\nmomentum = 0.5\nseed = 3\n",
    frac_bits: 20,
    lipschitz: f64::NAN,
};

impl Case {
    fn config(&self, truncation: &str, more: &str) -> Config {
        let Self { text, frac_bits, .. } = self;
        let arithmetic =
            format!("[arithmetic]\nfrac_bits = {frac_bits}\ntruncation = \"{truncation}\"\n");
        // Numbers are neither right nor wrong.
        let more = if self.classes == 0 { &more.replace("accuracy = true\n", "") } else { more };
        config(&format!("[data]\ntrain = \"train\"\n{text}{arithmetic}{more}"))
    }

    fn kind(&self) -> LabelKind {
        match self.classes {
            0 => LabelKind::Numbers,
            2 => LabelKind::Binary,
            classes => LabelKind::Classes(u32::try_from(classes).unwrap()),
        }
    }

    async fn room(&self) -> Room {
        let room = Room::new();
        let kind = (self.kind(), self.frac_bits);
        room.share("train", "o", &table(self.rows, self.columns, self.classes, 1), kind).await;
        room.share("test", "o", &table(9, self.columns, self.classes, 1), kind).await;
        room
    }
}

const OPEN: &str = "[open]\nloss = true\naccuracy = true\nleast_rows = 1\n";

#[tokio::test(flavor = "multi_thread")]
async fn exact_runs_end_with_the_twins_model() {
    for case in CASES.iter().chain([&NORMALISED]) {
        let (room, config) = (case.room().await, case.config("exact", OPEN));
        let reports = room.train(&config, false).await;
        let (model, curve) = room.twin(&config);
        assert!(room.model() == model, "{}", case.name);
        let steps = room.course(&config).plan().steps();
        for (report, party) in reports.iter().zip(PARTIES) {
            assert_eq!((report.steps, &report.curve), (steps, &curve), "{}", case.name);
            assert_eq!(room.steps(party), [0; 0], "a finished run has no checkpoints");
        }
        assert!(model.iter().any(|&word| word != 0), "{}", case.name);
        let lost = curve.0.iter().all(|epoch| epoch.train_loss.is_some_and(|loss| loss > 0.0));
        assert!(lost, "{}", case.name);
    }
}

/// Private training with the one-unit truncation ends within a distance of the twin that follows
/// from the configuration.
///
/// In a step of rate `r` on features of magnitude at most 1, with `d` the largest distance of a
/// weight and `v` that of a velocity over the batch: the mean gradient is off by at most `UNITS`
/// (outputs, gates, tables and the gradients of each layer, each by a unit or a few) and by `L d`,
/// `L` its Lipschitz constant; `v' = mu v + L d + UNITS`, and `d' = d + r v' + 1`, the unit of the
/// weight's own truncation. No gate of these data is so near its kink that the distance turns it:
/// that would show as a distance that is a thousand times larger.
#[tokio::test(flavor = "multi_thread")]
async fn one_unit_runs_end_near_the_twins_model() {
    const UNITS: f64 = 16.0;
    for case in &CASES {
        let (room, config) = (case.room().await, case.config("one-unit", OPEN));
        room.train(&config, false).await;
        let (twin, course) = (room.twin(&config).0, room.course(&config));
        let (mut weight, mut velocity) = (0.0, 0.0);
        for step in 0..course.plan().steps() {
            velocity = config.training.momentum * velocity + case.lipschitz * weight + UNITS;
            weight += course.plan().step(step).unwrap().rate.to_f64() * velocity + 1.0;
        }
        let distance =
            |(a, b): (&u64, &u64)| a.wrapping_sub(*b).cast_signed().unsigned_abs() as f64;
        let distances: Vec<f64> = room.model().iter().zip(&twin).map(distance).collect();
        let weights = if course.has_momentum() { distances.len() / 2 } else { distances.len() };
        let largest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        let found = (largest(&distances[..weights]), largest(&distances[weights..]));
        // Velocities are sums over the batch.
        let bound = (weight, velocity * config.training.batch as f64);
        println!("{}: {found:?} units, at most {bound:.0?}", case.name);
        let near = found.0 <= bound.0 && found.1 <= bound.1;
        assert!(near, "{}: {found:?} units, at most {bound:?}", case.name);
    }
}

/// Nothing is opened but what the configuration says: without checks and curves the run has only
/// data, steps and the end.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_opened_is_not_seen() {
    use sharelet_train::course::Session;
    let case = &CASES[1];
    let room = case.room().await;
    let silent = case.config("exact", "[stop]\ncheck = false\n");
    let sessions: Vec<Session> = room.course(&silent).sessions(0).collect();
    let opens = |session: &&Session| {
        matches!(
            session,
            Session::Report(_) | Session::Check(_) | Session::Test(_) | Session::OpenTest
        )
    };
    assert_eq!(sessions.iter().filter(opens).count(), 0);
    let reports = room.train(&silent, false).await;
    assert!(reports.iter().all(|report| report.curve.0.is_empty()));
    assert!(room.model() == room.twin(&silent).0);
    for (more, seen) in
        [("[open]\nloss = true\n", [true, false]), ("[open]\naccuracy = true\n", [false, true])]
    {
        let room = case.room().await;
        let config = case.config("exact", more);
        for report in room.train(&config, false).await {
            for epoch in report.curve.0 {
                assert_eq!([epoch.train_loss.is_some(), epoch.train_accuracy.is_some()], seen);
                assert_eq!([epoch.test_loss.is_some(), epoch.test_accuracy.is_some()], seen);
            }
        }
        // What is opened of the sum that is not asked for is zero: it was never computed.
        assert!(room.model() == room.twin(&config).0);
    }
}

/// A configuration of 15 steps with a checkpoint after every second one.
fn crashing() -> (&'static Case, Config) {
    let case = &CASES[1];
    (case, case.config("exact", "[checkpoint]\nevery = 2\n[open]\nloss = true\naccuracy = true\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_crash_a_run_goes_on_to_the_same_model() {
    let (case, config) = crashing();
    let crashes = [
        [Crash::Step(1), Crash::Never],
        [Crash::Never, Crash::Step(4)],
        [Crash::Checkpoint(4), Crash::Never],
        [Crash::Never, Crash::Checkpoint(6)],
        [Crash::Never, Crash::Dealer(5)],
        [Crash::Dealer(1), Crash::Never],
        [Crash::Stop(3), Crash::Never],
        [Crash::Never, Crash::Stop(10)],
        [Crash::Step(15), Crash::Never],
        [Crash::Never, Crash::Checkpoint(15)],
        [Crash::Checkpoint(15), Crash::Never],
        [Crash::Step(7), Crash::Step(8)],
    ];
    let mut expected = None;
    for crash in crashes {
        let room = case.room().await;
        let (model, curve) = expected.get_or_insert_with(|| room.twin(&config)).clone();
        let ends = room.both(&config, false, crash).await;
        if ends.iter().all(|end| matches!(end, Some(Ok(_)))) {
            // Nothing was left to wait for when the last checkpoint had been written.
            assert!(crash.contains(&Crash::Checkpoint(15)) && room.model() == model, "{crash:?}");
            continue;
        }
        for end in ends.iter().flatten() {
            let error = end.as_ref().expect_err("is told").to_string();
            assert!(error.contains("--resume"), "{crash:?}: {error}");
        }
        let (held, used) = (PARTIES.map(|party| room.steps(party)), room.counter());
        let begun = held[0].iter().rev().find(|step| held[1].contains(step)).copied();
        let Some(begun) = begun else {
            // Before the first checkpoint there is nothing to go on from.
            room.refused(&config, true, &["start without --resume"]).await;
            room.train(&config, false).await;
            assert!(room.model() == model, "{crash:?}");
            continue;
        };
        let reports = room.train(&config, true).await;
        assert!(room.model() == model, "{crash:?}");
        let finished = reports.iter().all(|report| report.finished_before);
        for report in reports {
            assert_eq!(report.curve, curve, "{crash:?}");
            assert_eq!(report.steps as u64, 15 - begun, "{crash:?}: from {held:?}");
        }
        assert!(finished || room.counter() > used, "numbers of sessions are fresh");
    }
}

/// Running statistics are in a checkpoint like everything else that a step changes.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_statistics_go_on_as_well() {
    let every = format!("[checkpoint]\nevery = 2\n{OPEN}");
    let (room, config) = (NORMALISED.room().await, NORMALISED.config("exact", &every));
    let (model, _) = room.twin(&config);
    room.both(&config, false, [Crash::Never, Crash::Step(5)]).await;
    assert!(PARTIES.iter().all(|party| room.steps(*party).contains(&4)));
    room.train(&config, true).await;
    assert!(room.model() == model);
}

/// A model that an earlier run left, with another rate, is not the end of the run that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_run_that_goes_on_was_finished_before() {
    let case = &CASES[0];
    let (room, config) = (case.room().await, case.config("exact", OPEN));
    let first = room.train(&config, false).await;
    assert!(first.iter().all(|report| !report.finished_before));
    let again = room.train(&config, true).await;
    for (report, first) in again.iter().zip(&first) {
        assert!(report.finished_before);
        assert_eq!((report.steps, &report.curve), (0, &first.curve));
    }
    let mut slower = config.clone();
    slower.training.learning_rate /= 2.0;
    room.refused(&slower, true, &["start without --resume"]).await;
}

/// A connection that is cut anywhere, again and again, until the run comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_anywhere_costs_nothing_but_time() {
    let (case, config) = crashing();
    let whole = case.room().await;
    let setups = PARTIES.map(|party| whole.setup(party, &config, false));
    let (_, tapes) = whole.run(setups, [Crash::Never; 2]).await;
    let bytes = tapes[0].lock().unwrap().len() as u64;
    let model = whole.model();
    let mut rng = Rng(7);
    for round in 0..4 {
        let room = case.room().await;
        let mut ended = false;
        for attempt in 0..40 {
            let resume = PARTIES.map(|party| room.steps(party));
            let resume = resume[0].iter().any(|step| resume[1].contains(step));
            if !resume {
                for party in PARTIES {
                    room.checkpoints(party, 2).drop_after(None).unwrap();
                }
            }
            let cut = |server: usize, rng: &mut Rng| {
                if (rng.next() & 1) as usize == server {
                    Crash::Bytes(rng.next() % (bytes * 3 / 4))
                } else {
                    Crash::Never
                }
            };
            let crash = [cut(0, &mut rng), cut(1, &mut rng)];
            let ends = room.both(&config, resume, crash).await;
            let finished = PARTIES.map(|party| {
                room.state(party).join(format!("training-{RUN}/model.share")).exists()
            });
            if finished == [true; 2] && ends.iter().any(|end| matches!(end, Some(Ok(_)))) {
                println!("round {round}: {} attempts", attempt + 1);
                ended = true;
                break;
            }
        }
        assert!(ended, "round {round}");
        assert!(room.model() == model, "round {round}");
    }
}

/// A run that was killed at both servers after a step: both have the same two newest checkpoints.
async fn interrupted(config: &Config, case: &Case, step: usize) -> Room {
    let room = case.room().await;
    let ends = room.both(config, false, [Crash::Step(step), Crash::Never]).await;
    assert!(ends.iter().all(|end| !matches!(end, Some(Ok(_)))));
    room
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_other_checkpoints_take_the_latest_common_one() {
    let (case, config) = crashing();
    let room = interrupted(&config, case, 9).await;
    assert_eq!(PARTIES.map(|party| room.steps(party)), [[6, 8], [6, 8]]);
    std::fs::remove_file(room.checkpoints(Party::P1, 2).path(8)).unwrap();
    assert_eq!(room.train(&config, true).await.map(|report| report.steps), [9, 9]);
    assert!(room.model() == room.twin(&config).0);

    // A damaged one is as good as none; the other server need not know.
    let room = interrupted(&config, case, 9).await;
    let newest = room.checkpoints(Party::P0, 2).path(8);
    let mut bytes = std::fs::read(&newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last / 2] ^= 1;
    std::fs::write(&newest, &bytes[..last]).unwrap();
    assert_eq!(room.train(&config, true).await.map(|report| report.steps), [9, 9]);
    assert!(room.model() == room.twin(&config).0);

    // All are damaged: named, before anything is sent.
    let room = interrupted(&config, case, 9).await;
    for step in [6, 8] {
        std::fs::write(room.checkpoints(Party::P1, 2).path(step), b"SLTM").unwrap();
    }
    let ends = room.both(&config, true, [Crash::Never; 2]).await;
    says(&said(&ends[1]), "step-0000000008.share: the file is cut or damaged");
    says(&said(&ends[0]), "closed the connection");

    // Nothing in common: both are told.
    let room = interrupted(&config, case, 9).await;
    std::fs::remove_file(room.checkpoints(Party::P0, 2).path(8)).unwrap();
    std::fs::remove_file(room.checkpoints(Party::P1, 2).path(6)).unwrap();
    for end in room.both(&config, true, [Crash::Never; 2]).await {
        assert_matches!(end, Some(Err(RunError::NothingInCommon)));
    }
    // Of two runs the same steps are not the same.
    let room = interrupted(&config, case, 9).await;
    let file = |step| room.checkpoints(Party::P0, 2).path(step);
    let earlier = [6, 8].map(|step| std::fs::read(file(step)).unwrap());
    for party in PARTIES {
        room.checkpoints(party, 2).drop_after(None).unwrap();
    }
    room.both(&config, false, [Crash::Step(9), Crash::Never]).await;
    for (step, bytes) in [6, 8].into_iter().zip(earlier) {
        std::fs::write(file(step), bytes).unwrap();
    }
    for end in room.both(&config, true, [Crash::Never; 2]).await {
        assert_matches!(end, Some(Err(RunError::NothingInCommon)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_is_for_both_and_with_the_same_things() {
    let (case, config) = crashing();
    let room = interrupted(&config, case, 5).await;
    // One server goes on, the other begins: it has checkpoints, and says so.
    let setups = [room.setup(Party::P0, &config, true), room.setup(Party::P1, &config, false)];
    let (ends, _) = room.run(setups, [Crash::Never; 2]).await;
    assert_matches!(ends[1], Some(Err(RunError::Training(TrainingError::Begun { .. }))));
    // It has none: both are told.
    for step in room.steps(Party::P1) {
        std::fs::remove_file(room.checkpoints(Party::P1, 2).path(step)).unwrap();
    }
    let setups = [room.setup(Party::P0, &config, true), room.setup(Party::P1, &config, false)];
    let (ends, _) = room.run(setups, [Crash::Never; 2]).await;
    both_say(&ends, &["give --resume to both or to none"]);

    // Another configuration: named. What may change may.
    let room = interrupted(&config, case, 5).await;
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 5] = [
        (|config| config.training.batch = 6, "`training.batch` is 6 now and was 7 then"),
        (|config| config.training.seed = 9, "`training.seed` is 9 now and was 0 then"),
        (|config| config.training.epochs = 9, "`training.epochs`"),
        (|config| config.training.momentum = 0.0, "`training.momentum`"),
        (|config| config.open.loss = false, "`open.loss`"),
    ];
    for (change, field) in changes {
        let mut other = config.clone();
        change(&mut other);
        let file = "step-0000000004.share: the checkpoint does not fit this run";
        room.refused(&other, true, &[file, field]).await;
    }
    let mut slower = config.clone();
    slower.training.learning_rate = 0.25;
    slower.checkpoint.every = 3;
    assert_eq!(room.train(&slower, true).await.map(|report| report.steps), [11, 11]);

    // Other data of the same sizes, and more of it.
    let room = interrupted(&config, case, 5).await;
    let kind = (case.kind(), case.frac_bits);
    for party in PARTIES {
        std::fs::remove_dir_all(room.state(party).join("dataset-train")).unwrap();
    }
    room.share("train", "o", &table(case.rows, case.columns, 2, 8), kind).await;
    room.refused(&config, true, &["data set `train` has changed since"]).await;
}

/// Sums over a large batch times a rate fit into a word: the twin learns what floating point
/// learns, without momentum as with it.
#[test]
fn large_batches_and_small_rates_are_learned_from() {
    let csv = table(8192, 3, 0, 4);
    let options =
        Options { labels: vec!["y".into()], standardise: Some(false), ..Options::default() };
    let table = Table::from_bytes(csv.as_bytes(), Path::new("a.csv"), None, &options).unwrap();
    for (bits, batch, rate, momentum) in [
        (20, 8192, 0.7, 0.0),
        (20, 2048, 0.5, 0.0),
        (24, 2048, 0.5, 0.0),
        (24, 64, 0.3, 0.0),
        (24, 1024, 0.5, 0.5),
        (16, 8192, 0.7, 0.0),
    ] {
        let (scale, mut scaled) = (if bits > 20 { 1.0 } else { 12.0 }, table.clone());
        scaled.features.iter_mut().chain(&mut scaled.targets).for_each(|value| *value *= scale);
        let rate = rate / (scale * scale);
        let text = format!(
            "[data]\ntrain = \"d\"\n[model]\nkind = \"linear-regression\"\n[training]\nepochs = \
             3\nbatch = {batch}\nlearning_rate = {rate}\nmomentum = \
             {momentum}\n[arithmetic]\nfrac_bits = {bits}\ntruncation = \"exact\"\n[open]\nloss = \
             true\n[stop]\nlargest_weight = 100\n"
        );
        let sizes =
            Sizes { rows: 8192, features: 3, targets: 1, test_rows: 0, ..Default::default() };
        let course = Arc::new(Course::new(config(&text), sizes).unwrap());
        let encoded = shares::encode(&scaled, u8::try_from(bits).unwrap()).unwrap();
        let (inputs, targets) = encoded.words().split_at(scaled.features.len());
        let data =
            || Data { inputs: inputs.to_vec(), targets: targets.to_vec(), ..Data::default() };
        let (float, _) = plain::baseline(
            &course,
            (&data(), &Data::default()),
            Labels::Numbers { per_row: 1 },
            &mut |_| (),
        )
        .unwrap();
        let (twin, _) = plain::twin(&course, data(), Data::default(), &mut |_| ()).unwrap();
        let twin = plain::numbers(&twin, bits);
        for (float, twin) in float.layers[0].words().zip(twin.layers[0].words()) {
            // The rate has at least eight significant bits.
            assert!((float - twin).abs() < 0.01, "{bits} bits, batch {batch}: {float} and {twin}");
        }
        assert!(float.layers[0].words().any(|weight| weight.abs() > 0.1));
    }
    // Rates that are hardly there: nothing is learned, and nothing breaks.
    for truncation in ["exact", "one-unit"] {
        for momentum in [0.0, 0.5] {
            let text = format!(
                "[data]\ntrain = \"d\"\n[model]\nkind = \"svm\"\n[training]\nepochs = 1\nbatch = \
                 64\nlearning_rate = 1e-9\nmomentum = {momentum}\n[arithmetic]\ntruncation = \
                 \"{truncation}\"\n"
            );
            let sizes =
                Sizes { rows: 100, features: 3, targets: 1, test_rows: 0, ..Default::default() };
            Plans::new(&Arc::new(Course::new(config(&text), sizes).unwrap())).unwrap();
        }
    }
}
