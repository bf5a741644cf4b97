//! Two servers on one machine, a core each, over loopback: inference and training steps of the
//! networks that the field compares with, single protocols, and whole runs.
//!
//! `cargo bench -p sharelet-host --bench servers -- [--json FILE] [--train FOLDER] [NAME...]`:
//! names are `a`, `b`, `c`, `d`, `alexnet`, `vgg16`, rows of them as `a/train128`, and `gates`;
//! without one, all.
//! `--train` only trains, `a` and `b` for five epochs on the images in FOLDER, `alexnet` for four
//! on some of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs
)]

use core::hint::black_box;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::correlation::LengthError;
use sharelet_core::functions::engine::{Engine, Truncation};
use sharelet_core::functions::program::{Scratch, scaling};
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::{Options, Table, shares};
use sharelet_link::wan::Wan;
use sharelet_train::config::{Arithmetic, Config};
use sharelet_train::course::{Course, Session, Sizes};
use sharelet_train::curve::means;
use sharelet_train::initial::initial;
use sharelet_train::kernel::{Bilinear, Form, Product};
use sharelet_train::labels::Labels;
use sharelet_train::loss::Wanted;
use sharelet_train::model::Model;
use sharelet_train::network::{Network, NetworkName};
use sharelet_train::parameters::LayerParameters;
use sharelet_train::plain;
use sharelet_train::serving::Serving;
use sharelet_train::state::{Data, Seen, State};
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::local::{Local, Outputs, Parts, Taken};
use sharelet_train::tensor::{Machine, Program, Tensors};
use sharelet_train::update::Rates;

/// As in the program: large vectors are made and dropped in every step.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FRAC_BITS: u32 = 20;
const RUNS: usize = 5;
const LINE: Wan = Wan { delay: Duration::from_millis(40), bandwidth_bits: Some(100_000_000) };

type Servers = Local<ChaCha20Rng>;

/// Figures, printed as they come.
#[derive(Default)]
struct Figures(Vec<(String, f64, &'static str)>);

impl Figures {
    fn add(&mut self, name: String, value: f64, unit: &'static str) {
        println!("{name} {value:.3} {unit}");
        self.0.push((name, value, unit));
    }

    fn write(&self, path: Option<PathBuf>) {
        let rows = self.0.iter().map(|(name, value, unit)| {
            format!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}")
        });
        if let Some(path) = path {
            std::fs::write(path, format!("[{}]\n", rows.collect::<Vec<_>>().join(",\n"))).unwrap();
        }
    }

    fn taken(&mut self, name: &str, taken: &[Taken]) {
        let sorted = |of: &dyn Fn(&Taken) -> Duration| {
            let mut times: Vec<f64> = taken.iter().map(|run| of(run).as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let least = |of: &dyn Fn(&Taken) -> Duration| sorted(of)[0];
        let first = &taken[0];
        assert_eq!(first.sent.bytes, first.plan.usage.online_bytes);
        assert_eq!(first.sent.messages, first.plan.usage.messages);
        let online = sorted(&|taken| taken.online);
        self.add(format!("{name}/online_ms"), online[0], "ms");
        self.add(format!("{name}/online_median_ms"), online[online.len() / 2], "ms");
        let whole = sorted(&|taken| taken.dealing + taken.preparing + taken.online);
        self.add(format!("{name}/whole_ms"), whole[0], "ms");
        self.add(format!("{name}/whole_median_ms"), whole[whole.len() / 2], "ms");
        if let Some(busy) = taken.iter().filter_map(|taken| taken.busy).min() {
            self.add(format!("{name}/busy_ms"), busy.as_secs_f64() * 1e3, "ms");
        }
        self.add(format!("{name}/dealing_ms"), least(&|taken| taken.dealing), "ms");
        self.add(format!("{name}/preparing_ms"), least(&|taken| taken.preparing), "ms");
        self.add(format!("{name}/bytes_per_party"), first.sent.bytes as f64, "bytes");
        self.add(format!("{name}/messages"), first.sent.messages as f64, "messages");
        self.add(format!("{name}/dealt_bytes"), first.plan.dealt_bytes() as f64, "bytes");
        self.add(
            format!("{name}/products_per_party"),
            2.0 * first.plan.multiply_adds as f64,
            "multiply-adds",
        );
    }
}

fn servers(line: Option<Wan>) -> Servers {
    Local::new(ChaCha20Rng::from_seed([1; 32]), Truncation::OneUnit).over(line)
}

fn words(rng: &mut ChaCha20Rng, elems: usize, bits: u32) -> Vec<u64> {
    (0..elems).map(|_| rng.next_u64() >> (64 - bits)).collect()
}

fn small(rng: &mut ChaCha20Rng, elems: usize, bits: u32) -> Vec<u64> {
    words(rng, elems, bits + 1).into_iter().map(|word| word.wrapping_sub(1 << bits)).collect()
}

fn model(network: &Network) -> Model {
    let mut model = Model::zeros(network, false).unwrap();
    let words = initial(network, FRAC_BITS, 1).unwrap();
    let words = words.layers.iter().flat_map(LayerParameters::words);
    model.words_mut().zip(words).for_each(|(place, word)| *place = word.cast_unsigned());
    model
}

fn split(words: &[u64], rng: &mut ChaCha20Rng) -> [Vec<u64>; 2] {
    let share: Vec<u64> = words.iter().map(|_| rng.next_u64()).collect();
    [share.clone(), words.iter().zip(share).map(|(word, share)| word.wrapping_sub(share)).collect()]
}

/// Inference with a model that server 1 owns or both share: its weights are opened once, before.
fn forward(network: &Network, batch: usize, servers: &mut Servers, runs: usize) -> Vec<Taken> {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let models = [Model::zeros(network, false).unwrap(), model(network)];
    let zeros = Model::zeros(network, false).unwrap();
    let arithmetic = Arithmetic { frac_bits: FRAC_BITS, ..Arithmetic::default() };
    let serving = Serving::new(network.clone(), arithmetic, 0).unwrap();
    let [open_0, open_1, sizes, dealer] =
        [&models[0], &models[1], &zeros, &zeros].map(|model| serving.open(model, &[]));
    let opened = servers.run(Parts { sizes, dealer, parties: [open_0, open_1] }).unwrap().0;
    let run = |_| {
        let inputs = split(&words(&mut rng, batch * network.input.elems(), FRAC_BITS), &mut rng);
        let nothing = vec![0; inputs[0].len()];
        let without_data = |opened| serving.evaluate(opened, nothing.clone()).unwrap();
        let [sizes, dealer] = [(); 2].map(|()| without_data(&opened.dealer));
        let ahead = opened.parties.each_ref().map(without_data);
        let [inputs_0, inputs_1] = inputs;
        let parties = [
            serving.evaluate(&opened.parties[0], inputs_0).unwrap(),
            serving.evaluate(&opened.parties[1], inputs_1).unwrap(),
        ];
        servers.run_foreseen(Parts { sizes, dealer, parties }, Some(ahead)).unwrap().1
    };
    (0..runs).map(run).collect()
}

/// Training steps: the rows are opened once, before.
fn train(network: &Network, batch: usize, servers: &mut Servers, runs: usize) -> Vec<Taken> {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let rates = Rates { rate: 1, rate_bits: 12, momentum: 0, decay: 0, ..Rates::default() };
    let mut models = [Model::zeros(network, false).unwrap(), model(network)];
    let run = |_| {
        let inputs = split(&words(&mut rng, batch * network.input.elems(), FRAC_BITS), &mut rng);
        let nothing = vec![0; batch * outputs];
        let mut targets = nothing.clone();
        targets.chunks_mut(outputs).for_each(|row| {
            row[usize::try_from(rng.next_u32()).unwrap() % outputs] = 1 << FRAC_BITS
        });
        let [sizes, dealer] = [(); 2].map(|()| OpenData { inputs: vec![0; inputs[0].len()] });
        let parts = Parts { sizes, dealer, parties: inputs.map(|inputs| OpenData { inputs }) };
        let Outputs { parties: [opened_0, opened_1], dealer: masks } =
            servers.run(parts).unwrap().0;
        let unopened = masks.rows(network.input.elems(), &(0..batch).collect::<Vec<_>>());
        let mut zeros = [(); 2].map(|()| Model::zeros(network, false).unwrap());
        let ([zeros_0, zeros_1], [model_0, model_1]) = (&mut zeros, &mut models);
        let step = |model, inputs, targets| {
            Step::new(network, FRAC_BITS, model, (inputs, targets), rates, Wanted::default())
                .unwrap()
        };
        let [targets_0, targets_1] = split(&targets, &mut rng);
        let parties = [step(model_0, opened_0, targets_0), step(model_1, opened_1, targets_1)];
        let (sizes, dealer) =
            (step(zeros_0, unopened, nothing.clone()), step(zeros_1, masks, nothing));
        servers.run(Parts { sizes, dealer, parties }).unwrap().1
    };
    (0..runs).map(run).collect()
}

/// A single protocol on words.
enum Single {
    /// `max(x >> 20, 0)` of 64-bit words.
    Relu(Vec<u64>),
    /// `max(x, 0)` of 32-bit values.
    ReluExact(Vec<u64>),
    /// `x / y`.
    Division(Vec<u64>, Vec<u64>),
}

impl Program for Single {
    type Output = ();

    async fn run<E, T>(&mut self, machine: &mut Machine<E, T>) -> Result<(), E::Error>
    where
        E: Engine<Error: From<LengthError>>,
        T: Tensors,
    {
        match self {
            Self::Relu(x) => drop(machine.activate(core::mem::take(x), FRAC_BITS, false).await?),
            Self::ReluExact(x) => drop(machine.activate(core::mem::take(x), 0, false).await?),
            Self::Division(x, y) => {
                let need = scaling::divide_need::<u64>(x.len());
                let (mut own, mut narrow, mut wide) =
                    (vec![0; need.own_elems], vec![0; need.narrow_elems], vec![0; need.wide_elems]);
                let mut scratch = Scratch { own: &mut own, narrow: &mut narrow, wide: &mut wide };
                let mut out = vec![0; x.len()];
                scaling::divide(machine.engine(), FRAC_BITS, x, y, &mut out, &mut scratch).await?;
            }
        }
        Ok(())
    }
}

fn single(
    servers: &mut Servers,
    make: &dyn Fn(&mut ChaCha20Rng) -> [Single; 4],
    runs: usize,
) -> Vec<Taken> {
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let run = |_| {
        let [sizes, dealer, party_0, party_1] = make(&mut rng);
        servers.run(Parts { sizes, dealer, parties: [party_0, party_1] }).unwrap().1
    };
    (0..runs).map(run).collect()
}

fn gates(figures: &mut Figures) {
    let relu = |rng: &mut ChaCha20Rng| {
        let [a, b] = split(&small(rng, 16_384, 40), rng);
        [
            Single::Relu(vec![0; 16_384]),
            Single::Relu(vec![0; 16_384]),
            Single::Relu(a),
            Single::Relu(b),
        ]
    };
    figures.taken("gates/relu16384_k64", &single(&mut servers(None), &relu, RUNS));
    let exact = |rng: &mut ChaCha20Rng| {
        let [a, b] = split(&small(rng, 16_384, 30), rng);
        [
            Single::ReluExact(vec![0; 16_384]),
            Single::ReluExact(vec![0; 16_384]),
            Single::ReluExact(a),
            Single::ReluExact(b),
        ]
    };
    figures.taken("gates/relu16384_k32", &single(&mut servers(None), &exact, RUNS));
    let division = |rng: &mut ChaCha20Rng| {
        let ([a, b], [c, d]) = (split(&small(rng, 10, 22), rng), split(&words(rng, 10, 22), rng));
        let nothing = || Single::Division(vec![0; 10], vec![0; 10]);
        [nothing(), nothing(), Single::Division(a, c), Single::Division(b, d)]
    };
    figures.taken("gates/division10", &single(&mut servers(None), &division, RUNS));
}

/// The plaintext network A on one core, 128 inputs: what other systems' figures are normalised by.
fn calibration(figures: &mut Figures) {
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let layers = [(784, 128), (128, 128), (128, 10)];
    let weights = layers
        .map(|(inner, columns)| (0..inner * columns).map(|_| rng.next_u32()).collect::<Vec<u32>>());
    let input: Vec<u32> = (0..128 * 784).map(|_| rng.next_u32()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let mut x = input.clone();
        pool.install(|| {
            for ((inner, columns), weights) in layers.into_iter().zip(&weights) {
                let mut out = vec![0; 128 * columns];
                let map = Bilinear::Product(Product {
                    form: Form::SecondTransposed,
                    rows: 128,
                    inner,
                    columns,
                });
                map.add(&x, weights, &mut out).unwrap();
                out.iter_mut().for_each(|word| *word = word.cast_signed().max(0).cast_unsigned());
                x = out;
            }
        });
        black_box(x);
        best = best.min(start.elapsed());
    }
    figures.add("calibration/plain_a128_us".to_owned(), best.as_secs_f64() * 1e6, "us");
}

/// What a network for colour images is trained and tested on: so many images.
const COLOUR_ROWS: [usize; 2] = [640, 200];

/// The first rows as colour images of 32 x 32: three times the same, with two pixels of nothing
/// around.
fn colour(data: &Data, rows: usize) -> Data {
    let image = |image: &[u64]| {
        let mut plane = vec![0; 32 * 32];
        for (row, line) in image.chunks(28).enumerate() {
            plane[(row + 2) * 32 + 2..][..28].copy_from_slice(line);
        }
        plane.repeat(3)
    };
    Data {
        inputs: data.inputs.chunks(28 * 28).take(rows).flat_map(image).collect(),
        targets: data.targets[..rows * 10].to_vec(),
        ..Data::default()
    }
}

/// Epochs on 7,000 images, or on 640 where they are in colour, between two servers and in floating
/// point: accuracy on 1,000 or 200 others.
fn epochs(name: &str, folder: &Path, figures: &mut Figures) {
    let is_colour = name == "alexnet";
    let file = if is_colour { name.to_owned() } else { format!("mnist-{name}") };
    let config =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../train/examples/{file}.toml"));
    let mut config = Config::load(&config).unwrap();
    let row = format!("{name}/train{}", config.training.epochs);
    config.open.accuracy = true;
    let load = |part: &str| {
        let labels_file = Some(folder.join(format!("{part}-labels-idx1-ubyte.gz")));
        let options = Options { labels_file, kind: LabelKind::Classes(10), ..Options::default() };
        Table::load(&folder.join(format!("{part}-images-idx3-ubyte.gz")), &options).unwrap()
    };
    let data = |part: &str, rows: usize| {
        let table = load(part);
        let encoded = shares::encode(&table, u8::try_from(FRAC_BITS).unwrap()).unwrap();
        let (inputs, targets) = encoded.words().split_at(table.features.len());
        let data = Data { inputs: inputs.to_vec(), targets: targets.to_vec(), ..Data::default() };
        if is_colour { colour(&data, rows) } else { data }
    };
    let (train, test) = (data("train", COLOUR_ROWS[0]), data("test", COLOUR_ROWS[1]));
    let sizes = Sizes {
        rows: train.targets.len() / 10,
        features: train.inputs.len() / (train.targets.len() / 10),
        targets: 10,
        test_rows: test.targets.len() / 10,
        ..Sizes::default()
    };
    let course = Arc::new(Course::new(config, sizes).unwrap());
    let float =
        plain::baseline(&course, (&train, &test), Labels::Classes { classes: 10 }, &mut |_| {})
            .unwrap()
            .1;
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut shares = |data: &Data| {
        let ([inputs_0, inputs_1], [targets_0, targets_1]) =
            (split(&data.inputs, &mut rng), split(&data.targets, &mut rng));
        [
            Data { inputs: inputs_0, targets: targets_0, ..Data::default() },
            Data { inputs: inputs_1, targets: targets_1, ..Data::default() },
        ]
    };
    let ([train_0, train_1], [test_0, test_1]) = (shares(&train), shares(&test));
    let mut parties = [
        State::new(course.clone(), train_0, test_0).unwrap(),
        State::new(course.clone(), train_1, test_1).unwrap(),
    ];
    parties[0].begin(false).unwrap();
    parties[1].begin(true).unwrap();
    let mut nobody = [State::empty(course.clone()).unwrap(), State::empty(course.clone()).unwrap()];
    let (mut servers, mut online, mut dealing, mut private) =
        (servers(None), Duration::ZERO, Duration::ZERO, None);
    for session in course.sessions(0) {
        let ([party_0, party_1], [sizes, dealer]) = (&mut parties, &mut nobody);
        let parts = Parts {
            sizes: sizes.turn(session),
            dealer: dealer.turn(session),
            parties: [party_0.turn(session), party_1.turn(session)],
        };
        let (outputs, taken) = servers.run(parts).unwrap();
        (online, dealing) = (online + taken.online, dealing + taken.dealing);
        if let (Session::Report(_), Seen::Epoch { test, .. }) = (session, outputs.parties[0]) {
            private =
                means(test, course.test_rows().len(), FRAC_BITS).map(|(_, accuracy)| accuracy);
        }
    }
    let percent = |part: Option<f64>| 100.0 * part.unwrap();
    figures.add(format!("{row}/accuracy_private"), percent(private), "%");
    figures.add(
        format!("{row}/accuracy_float"),
        percent(float.0.last().and_then(|epoch| epoch.test_accuracy)),
        "%",
    );
    figures.add(format!("{row}/online_s"), online.as_secs_f64(), "s");
    figures.add(format!("{row}/dealing_s"), dealing.as_secs_f64(), "s");
}

/// A row of a network.
#[derive(Clone, Copy)]
enum What {
    /// An inference.
    One,
    /// Those of a batch.
    Batch,
    /// A training step.
    Step,
}

fn main() {
    let (mut chosen, mut json, mut folder) = (Vec::new(), None::<PathBuf>, None::<PathBuf>);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = arguments.next().map(PathBuf::from),
            "--train" => folder = arguments.next().map(PathBuf::from),
            // Cargo's own.
            argument if argument.starts_with('-') => {}
            name => chosen.push(name.to_owned()),
        }
    }
    let wanted = |name: &str| {
        let all = |chosen: &String| name == chosen || name.starts_with(&format!("{chosen}/"));
        chosen.is_empty() || chosen.iter().any(all)
    };
    let mut figures = Figures::default();
    if let Some(folder) = &folder {
        ["a", "b", "alexnet"]
            .into_iter()
            .filter(|name| wanted(name))
            .for_each(|name| epochs(name, folder, &mut figures));
        return figures.write(json);
    }
    calibration(&mut figures);
    if wanted("gates") {
        gates(&mut figures);
    }
    let named = [
        ("a", NetworkName::A, 128),
        ("b", NetworkName::B, 128),
        ("c", NetworkName::C, 128),
        ("d", NetworkName::D, 128),
        ("alexnet", NetworkName::AlexNet, 32),
        ("vgg16", NetworkName::Vgg16, 32),
    ];
    for (name, network, batch) in named {
        let runs = if network == NetworkName::Vgg16 { 3 } else { RUNS };
        let network = Network::named(network);
        let row = |what: What, line, runs| {
            let mut servers = servers(line);
            match what {
                What::One => forward(&network, 1, &mut servers, runs),
                What::Batch => forward(&network, batch, &mut servers, runs),
                What::Step => train(&network, batch, &mut servers, runs),
            }
        };
        for (what, of_row) in [
            (What::One, "fwd1".to_owned()),
            (What::Batch, format!("fwd{batch}")),
            (What::Step, format!("train{batch}")),
        ] {
            let name = format!("{name}/{of_row}");
            if wanted(&name) {
                figures.taken(&name, &row(what, None, runs));
                let far = row(what, Some(LINE), 1);
                figures.add(format!("{name}/wan_ms"), far[0].online.as_secs_f64() * 1e3, "ms");
            }
        }
    }
    figures.write(json);
}
