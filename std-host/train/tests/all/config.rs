//! CONFIG.toml: what it may say, what is refused and how, and how two servers compare theirs.
use std::collections::HashMap;
use std::path::Path;

use sharelet_train::config::{Config, HeldOut, ModelFormat, Schedule, Truncation};
use sharelet_train::course::{Course, Sizes};
use sharelet_train::network::{Layer, Loss, Network, NetworkName, Shape, Window};

const SMALL: &str = r#"
[data]
train = "mnist"
[model]
kind = "network"
name = "a"
[training]
epochs = 5
batch = 128
learning_rate = 0.1
"#;

const DRAWN: &str = r#"
[data]
train = "images"
held_out = 0.125

[model]
kind = "network"
input = [3, 8, 10]
loss = "squared-error"

[[model.layer]]
kind = "convolution"
filters = 4
kernel = [3, 2]
padding = 1

[[model.layer]]
kind = "average-pool"
kernel = 2
stride = [1, 2]

[[model.layer]]
kind = "relu"

[[model.layer]]
kind = "max-pool"
kernel = 2

[[model.layer]]
kind = "dense"
outputs = 7

[training]
epochs = 3
batch = 10
learning_rate = 0.5
momentum = 0.9
weight_decay = 0.001
seed = 9
schedule = { kind = "step", epochs = 2, factor = 0.5 }

[arithmetic]
frac_bits = 18
truncation = "exact"

[checkpoint]
every = 7
keep = 3

[open]
loss = true
model = { to = "hospital" }

[stop]
largest_weight = 50
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("CONFIG.toml")).map_err(|error| error.to_string())
}

/// The text with one part replaced, which must be there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn refused(text: &str, from: &str, to: &str) -> String {
    parse(&changed(text, from, to)).expect_err(to)
}

#[test]
fn a_small_file_has_the_documented_defaults() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.network(784).unwrap(), Network::named(NetworkName::A));
    let Config { data, training, arithmetic, checkpoint, open, stop, .. } = config;
    assert_eq!((training.momentum, training.weight_decay, training.seed), (0.0, 0.0, 0));
    assert_eq!(training.schedule, Schedule::Constant {});
    assert_eq!((arithmetic.frac_bits, arithmetic.truncation), (20, Truncation::OneUnit));
    assert_eq!((checkpoint.every, checkpoint.keep), (50, 2));
    assert_eq!((open.loss, open.accuracy, open.model.is_none()), (false, false, true));
    assert_eq!(open.least_rows, 10);
    assert_eq!((stop.check, stop.largest_weight), (true, 1024.0));
    assert_eq!((data.test, data.held_out), (None, None));
}

#[test]
fn every_field_is_read() {
    let config = parse(DRAWN).unwrap();
    let window = |kernel, stride, padding| Window { kernel, stride, padding };
    let layers = vec![
        Layer::Convolution { filters: 4, window: window((3, 2), (1, 1), (1, 1)) },
        Layer::AveragePool(window((2, 2), (1, 2), (0, 0))),
        Layer::Relu,
        Layer::MaxPool(window((2, 2), (2, 2), (0, 0))),
        Layer::Dense { outputs: 7 },
    ];
    let input = Shape { channels: 3, height: 8, width: 10 };
    assert_eq!(config.network(240).unwrap(), Network { input, layers, loss: Loss::SquaredError });
    let Config { data, training, arithmetic, checkpoint, open, stop, .. } = config;
    assert_eq!(data.held_out, Some(HeldOut::Fraction(0.125)));
    assert_eq!(training.schedule, Schedule::Step { epochs: 2, factor: 0.5 });
    assert_eq!((training.momentum, training.weight_decay, training.seed), (0.9, 0.001, 9));
    assert_eq!((arithmetic.frac_bits, arithmetic.truncation), (18, Truncation::Exact));
    assert_eq!((checkpoint.every, checkpoint.keep), (7, 3));
    let model = open.model.unwrap();
    assert_eq!((model.to.as_str(), model.format), ("hospital", ModelFormat::Onnx));
    assert_eq!((open.loss, stop.largest_weight), (true, 50.0));
}

#[test]
fn linear_models_take_their_width_from_the_data() {
    for (kind, loss) in [
        ("linear-regression", Loss::SquaredError),
        ("logistic-regression", Loss::Logistic),
        ("svm", Loss::Hinge),
    ] {
        let text =
            changed(SMALL, "kind = \"network\"\nname = \"a\"", &format!("kind = \"{kind}\""));
        let network = parse(&text).unwrap().network(13).unwrap();
        let layers = vec![Layer::Dense { outputs: 1 }];
        assert_eq!(network, Network { input: Shape::vector(13), layers, loss });
    }
    let error = parse(SMALL).unwrap().network(20).unwrap_err().to_string();
    assert_eq!(error, "`model.name`: takes 784 values, and rows of the data set `mnist` have 20");
}

/// What stands in the example of the documentation is a file that is read.
#[test]
fn the_documented_file_is_read() {
    let source = include_str!("../../src/config.rs");
    let text: String = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .skip_while(|line| *line != "```toml")
        .skip(1)
        .take_while(|line| *line != "```")
        .map(|line| format!("{line}\n"))
        .collect();
    let mut named = parse(&text).unwrap();
    // All that it calls a default is one.
    let more = "batch = 128\nmomentum = 0.9\nweight_decay = 0.0001\nseed = 1";
    let plain = changed(SMALL, "batch = 128", more);
    let data = "train = \"mnist-train\"\ntest = \"mnist-test\"";
    assert_eq!(named, parse(&changed(&plain, "train = \"mnist\"", data)).unwrap());
    // And what it has as a comment may be said as well.
    let (model, rest) = text.split_once("[training]").unwrap();
    let model: String = model
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
        .collect();
    let drawn = changed(&format!("{model}[training]{rest}"), "name = \"a\"", "");
    named.model = parse(&drawn).unwrap().model;
    assert_eq!(named.network(784).unwrap().layers.len(), 4);
}

#[test]
fn errors_name_line_and_field_and_what_is_allowed() {
    let cases: HashMap<String, Vec<[String; 4]>> =
        toml::from_str(include_str!("config_refusals.toml")).unwrap();
    let mut wrong = String::new();
    for [text, from, to, expected] in &cases["cases"] {
        let error = refused(if text == "small" { SMALL } else { DRAWN }, from, to);
        if !error.contains(expected) {
            wrong += &format!("{to}:\n  {error}\n  {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let missing = Config::load(Path::new("no/such/CONFIG.toml")).unwrap_err().to_string();
    assert!(missing.contains("CONFIG.toml") && missing.contains("check the path"), "{missing}");
}

#[test]
fn two_servers_name_the_first_field_that_differs() {
    let ours = parse(DRAWN).unwrap();
    assert_eq!(ours.difference(&parse(DRAWN).unwrap().fields().unwrap()).unwrap(), None);
    let changes = [
        ("seed = 9", "seed = 10", "`training.seed` is 9 here and 10 at the other server"),
        ("held_out = 0.125", "", "`data.held_out` is 0.125 here and not set at the other server"),
        ("\"exact\"", "\"one-unit\"", "`arithmetic.truncation` is \"exact\" here and \"one-unit\""),
        ("filters = 4", "filters = 5", "`model.layer[1].filters` is 4 here and 5"),
        (
            "0.001",
            "0.0010000000000000002",
            "`training.weight_decay` is 0.001 here and 0.0010000000000000002",
        ),
        ("keep = 3", "", "`checkpoint.keep` is 3 here and 2"),
        (
            "to = \"hospital\"",
            "to = \"clinic\"",
            "`open.model.to` is \"hospital\" here and \"clinic\"",
        ),
    ];
    for (from, to, expected) in changes {
        let theirs = parse(&changed(DRAWN, from, to)).unwrap();
        let difference = ours.difference(&theirs.fields().unwrap()).unwrap().expect(to).to_string();
        assert!(difference.starts_with(expected), "{difference}");
        assert_ne!(ours.fingerprint().unwrap(), theirs.fingerprint().unwrap(), "{to}");
        assert!(theirs.difference(&ours.fields().unwrap()).unwrap().is_some());
    }
    // A default that is written out, and another order of tables, are the same configuration.
    let same =
        parse(&(DRAWN.replacen("stride = [1, 2]", "stride = [1, 2]\n", 1) + "check = true\n"))
            .unwrap();
    assert_eq!(ours.fingerprint().unwrap(), same.fingerprint().unwrap());
}

/// What a peer sends is text of any kind.
#[test]
fn a_peer_cannot_hide_a_difference_or_move_the_cursor() {
    let ours = parse(SMALL).unwrap();
    let mut theirs = ours.fields().unwrap();
    theirs.insert(0, ("training.seed".to_owned(), "\u{1b}[2J7".to_owned()));
    let difference = ours.difference(&theirs).unwrap().expect("a name twice").to_string();
    assert!(difference.contains("is 0 here and [2J7 at"), "{difference}");
    theirs = ours.fields().unwrap();
    theirs.push(("zebra".to_owned(), "x".repeat(1000)));
    let difference = ours.difference(&theirs).unwrap().expect("one more").to_string();
    assert!(
        difference.starts_with("`zebra` is not set here and xxx") && difference.len() < 250,
        "{difference}"
    );
    assert!(ours.difference(&[]).unwrap().is_some());
}

#[test]
fn a_configuration_is_the_same_after_writing_and_reading() {
    for text in [SMALL, DRAWN] {
        let config = parse(text).unwrap();
        let written = toml::to_string(&config).unwrap();
        assert_eq!(parse(&written).unwrap(), config, "{written}");
    }
}

/// A mean over few rows, in training or in the test, is opened to nobody.
#[test]
fn means_over_few_rows_are_refused() {
    let text = "[data]\ntrain = \"t\"\n[model]\nkind = \"linear-regression\"\n[training]\nepochs = \
                1\nbatch = 2\nlearning_rate = 0.5\n";
    let course = |open: &str, rows, test_rows| {
        let sizes = Sizes { rows, features: 1, targets: 1, test_rows, ..Default::default() };
        Course::new(parse(&format!("{text}{open}")).unwrap(), sizes)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let loss = "[open]\nloss = true\n";
    for (open, rows, test_rows, refused) in [
        ("", 2, 0, false),
        (loss, 10, 0, false),
        (loss, 9, 0, true),
        (loss, 100, 9, true),
        ("[open]\naccuracy = true\n", 9, 0, true),
        ("[open]\nloss = true\nleast_rows = 3\n", 9, 0, false),
    ] {
        let found = course(open, rows, test_rows);
        assert_eq!(found.is_err(), refused, "{open}: {rows}, {test_rows}");
        let said = found.err().is_none_or(|error| error.contains("open.least_rows"));
        assert!(said, "{open}");
    }
}
