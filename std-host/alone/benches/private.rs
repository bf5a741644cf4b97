//! Private inference without a dealer, both parties on one machine, a thread each: from kept base
//! transfers on, and from a store.
//!
//! `cargo bench -p sharelet-alone --bench private -- [--json FILE]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

use core::time::Duration;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use embedded_io_adapters::tokio_1::FromTokio;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_alone::{FillingP0, FillingP1, Half, P0, P1, SLOTS, Task, online};
use sharelet_core::functions::engine::Link as _;
use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::shape::{Shape, Window};
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::tcp;
use sharelet_link::wan::{Deliveries, Wan};
use sharelet_model::Model;
use sharelet_prepare::{FieldBits, Kept};
use sharelet_rlwe::{Public, Secret, Words64, matrix};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedReadHalf;

const RUNS: usize = 7;

type Wire = Exchange<FromTokio<OwnedReadHalf>, FromTokio<Box<dyn AsyncWrite + Send + Unpin>>>;

#[derive(Default)]
struct Figures(Vec<(String, f64, &'static str)>);

impl Figures {
    fn add(&mut self, name: &str, value: f64, unit: &'static str) {
        println!("{name} {value:.3} {unit}");
        self.0.push((name.to_owned(), value, unit));
    }

    fn write(&self, path: Option<PathBuf>) {
        let rows = self.0.iter().map(|(name, value, unit)| {
            format!("{{\"name\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}")
        });
        if let Some(path) = path {
            std::fs::write(path, format!("[{}]\n", rows.collect::<Vec<_>>().join(",\n"))).unwrap();
        }
    }
}

/// The seeds of one run follow from the system.
fn rng() -> ChaCha20Rng {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system's randomness");
    ChaCha20Rng::from_seed(seed)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Processor time of this process so far, in seconds, where the system says so.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Network A: 784-128-128-10, weights of 16 bits with 14 fraction bits.
fn network_a(gate_bits: u8) -> Model {
    let layers = [
        Layer::dense(784, 128, 14, 12, Activation::Relu).narrow(gate_bits),
        Layer::dense(128, 128, 14, 12, Activation::Relu).narrow(gate_bits),
        Layer::dense(128, 10, 14, 0, Activation::Identity),
    ];
    random(&layers)
}

/// Network B: two convolutions of 16 filters of 5x5, each with a max-pool of 2x2, and 256-100-10.
fn network_b() -> Model {
    let window =
        |channels: u16, size: u16, filters: u16, kernel: (u8, u8), stride: (u8, u8)| Window {
            channels,
            height: size,
            width: size,
            filters,
            groups: 1,
            kernel,
            stride,
            before: (0, 0),
            after: (0, 0),
        };
    let convolution = |channels, size| Layer {
        shape: Shape::Convolution(window(channels, size, 16, (5, 5), (1, 1))),
        ..Layer::dense(1, 1, 14, 12, Activation::Relu)
    };
    let pools = |size: u16| {
        let across = Window { groups: 16, ..window(16, size, 16, (1, 2), (1, 2)) };
        let down = Window { kernel: (2, 1), stride: (2, 1), width: size / 2, ..across };
        [Layer::larger(across), Layer::larger(down)]
    };
    let [first, second] = [pools(24), pools(8)];
    random(&[
        convolution(1, 28),
        first[0],
        first[1],
        convolution(16, 12),
        second[0],
        second[1],
        Layer::dense(256, 100, 14, 12, Activation::Relu),
        Layer::dense(100, 10, 14, 0, Activation::Identity),
    ])
}

/// The widths of MLPerf Tiny's anomaly detection.
fn ad01() -> Model {
    let widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640];
    let mut layers: Vec<Layer> = widths
        .windows(2)
        .map(|pair| Layer::dense(pair[0], pair[1], 14, 14, Activation::Relu))
        .collect();
    if let Some(last) = layers.last_mut() {
        *last = Layer::dense(128, 640, 14, 0, Activation::Identity);
    }
    random(&layers)
}

fn random(layers: &[Layer]) -> Model {
    let mut rng = rng();
    let network = Network::new(8, 1 << 16, layers).unwrap();
    let mut words = |count: usize| -> Vec<u32> {
        (0..count).map(|_| (rng.next_u32().cast_signed() >> 16).cast_unsigned()).collect()
    };
    let weights = (0..layers.len()).map(|layer| words(network.weight_elems(layer))).collect();
    let biases = layers.iter().map(|layer| words(layer.outputs().into())).collect();
    Model {
        network,
        weights,
        biases,
        labels: Vec::new(),
        scores: None,
        name: "of a benchmark".to_owned(),
    }
}

fn kept() -> [Kept; 2] {
    let (message_0, beginning_0) = Kept::begin(&mut rng());
    let (message_1, beginning_1) = Kept::begin(&mut rng());
    [beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap()]
}

/// A party's time until its halves were there, what it sent, and the halves.
struct Made {
    took: Duration,
    sent: Sent,
    halves: Vec<Half>,
}

/// An end of a connection, and what is still on an emulated line.
struct Wired {
    link: Wire,
    line: Option<Wan>,
    deliveries: Deliveries,
}

fn wire(end: TcpStream, line: Option<Wan>) -> Wired {
    let (reader, writer) = tokio::net::TcpStream::from_std(end).unwrap().into_split();
    let deliveries = Deliveries::default();
    let writer: Box<dyn AsyncWrite + Send + Unpin> = match line {
        Some(line) => Box::new(line.wrap(writer, &deliveries)),
        None => Box::new(writer),
    };
    let link = Exchange::new(FromTokio::new(reader), FromTokio::new(writer));
    Wired { link, line, deliveries }
}

impl Wired {
    /// What the peer sends is read before an end is closed, and what was sent has arrived.
    async fn close(mut self) {
        self.link.exchange([&[1], &[]], [&mut [0], &mut []]).await.unwrap();
        let (line, deliveries) = (self.line, self.deliveries);
        drop(self.link);
        if let Some(line) = line {
            deliveries.done(line).await;
        }
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

/// Both parties' work, each on a thread and with a core of its own.
fn both<A: Send, B: Send>(
    first: impl FnOnce(TcpStream) -> A + Send,
    second: impl FnOnce(TcpStream) -> B + Send,
) -> (A, B) {
    let [end_0, end_1] = tcp::loopback().unwrap();
    let alone = || rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(move || alone().install(|| second(end_1)));
        let own = alone().install(|| first(end_0));
        (own, other.join().unwrap())
    })
}

/// What is prepared.
#[derive(Clone, Copy)]
enum Wanted {
    Sessions(usize),
    Batch,
    SilentBatch,
}

fn prepare(
    (task, model): (&Task, &Model),
    kept: &[Kept; 2],
    wanted: Wanted,
    line: Option<Wan>,
) -> [Made; 2] {
    let field =
        if matches!(wanted, Wanted::Sessions(_)) { FieldBits::Two } else { FieldBits::Four };
    let silent = matches!(wanted, Wanted::SilentBatch);
    let [kept_0, kept_1] = kept;
    let (made_0, made_1) = both(
        |end| {
            wait(async {
                let (mut wired, mut rng, begin) = (wire(end, line), rng(), Instant::now());
                let link = &mut wired.link;
                let mut p0 = P0::begin(task, (kept_0, field), &mut rng, link).await.unwrap();
                if silent {
                    p0 = p0.silently();
                }
                let halves = if let Wanted::Sessions(count) = wanted {
                    p0.prepare(task, count, &mut rng, link).await.unwrap()
                } else {
                    let mut batch = FillingP0::new();
                    while !batch.is_complete() {
                        batch.step(&mut p0, task, &mut rng, link).await.unwrap();
                    }
                    batch.into_halves()
                };
                let made = Made { took: begin.elapsed(), sent: link.take(), halves };
                wired.close().await;
                made
            })
        },
        |end| {
            wait(async {
                let (mut wired, mut rng, begin) = (wire(end, line), rng(), Instant::now());
                let link = &mut wired.link;
                let mut p1 = P1::begin(task, (kept_1, field), &mut rng, link).await.unwrap();
                if silent {
                    p1 = p1.silently();
                }
                let halves = if let Wanted::Sessions(count) = wanted {
                    p1.prepare(task, model, count, &mut rng, link).await.unwrap()
                } else {
                    let mut batch = FillingP1::new();
                    while !batch.is_complete() {
                        batch.step(&mut p1, (task, model), &mut rng, link).await.unwrap();
                    }
                    batch.into_halves()
                };
                let made = Made { took: begin.elapsed(), sent: link.take(), halves };
                wired.close().await;
                made
            })
        },
    );
    [made_0, made_1]
}

/// An inference with halves that are there: its time, and what both sent. The answer is checked.
fn infer(
    (task, model): (&Task, &Model),
    [half_0, half_1]: [Half; 2],
    line: Option<Wan>,
) -> (Duration, Sent) {
    let mut rng = rng();
    let input: Vec<u32> = (0..task.network.inputs()).map(|_| rng.next_u32() >> 18).collect();
    let expected = model.infer(&input).unwrap();
    let ((values, took, sent), more) = both(
        |end| {
            wait(async {
                let (mut wired, begin) = (wire(end, line), Instant::now());
                let link = &mut wired.link;
                let share = online::infer_p0(task, half_0, &input, link).await.unwrap();
                let mut others = vec![0; 4 * share.len()];
                link.exchange([&[], &[]], [&mut others, &mut []]).await.unwrap();
                let others = others.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word));
                let values: Vec<u32> =
                    share.iter().zip(others).map(|(own, other)| own.wrapping_add(other)).collect();
                let found = (values, begin.elapsed(), link.take());
                wired.close().await;
                found
            })
        },
        |end| {
            wait(async {
                let mut wired = wire(end, line);
                let link = &mut wired.link;
                let share = online::infer_p1(task, half_1, model, None, link).await.unwrap();
                let own: Vec<u8> = share.iter().flat_map(|word| word.to_le_bytes()).collect();
                link.exchange([&own, &[]], [&mut [], &mut []]).await.unwrap();
                let sent = link.take();
                wired.close().await;
                sent
            })
        },
    );
    assert_eq!(values, expected);
    (took, Sent { messages: sent.messages, bytes: sent.bytes + more.bytes })
}

/// One inference, from kept base transfers on.
fn single(figures: &mut Figures, name: &str, model: &Model, line: Option<Wan>) {
    let (task, kept) = (Task::new(model.network.clone()).unwrap(), kept());
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let [made_0, made_1] = prepare((&task, model), &kept, Wanted::Sessions(1), line);
        let bytes = made_0.sent.bytes + made_1.sent.bytes;
        let messages = made_0.sent.messages;
        let took = made_0.took.max(made_1.took);
        let halves = [made_0, made_1].map(|mut made| made.halves.pop().unwrap());
        let (online, sent) = infer((&task, model), halves, line);
        runs.push((took, online, bytes, messages, sent));
    }
    runs.sort_by_key(|run| run.0 + run.1);
    let (preparing, online, bytes, messages, sent) = runs[RUNS / 2];
    let mut add = |what: &str, value, unit| figures.add(&format!("{name}/{what}"), value, unit);
    add("total_ms", milliseconds(preparing + online), "ms");
    add("prepare_ms", milliseconds(preparing), "ms");
    add("online_ms", milliseconds(online), "ms");
    add("bytes", (bytes + sent.bytes) as f64, "bytes of both parties");
    add("online_bytes", sent.bytes as f64, "bytes of both parties");
    add("prepare_messages", messages as f64, "messages");
    add("online_messages", sent.messages as f64, "messages");
}

/// A whole batch, written to a disk and read back, and inferences with it.
fn store(figures: &mut Figures, name: &str, (model, wanted): (&Model, Wanted), folder: &Path) {
    let (task, kept) = (Task::new(model.network.clone()).unwrap(), kept());
    let before = processor();
    let [made_0, made_1] = prepare((&task, model), &kept, wanted, None);
    let mut kept_halves = Vec::new();
    for (side, halves) in [&made_0.halves, &made_1.halves].into_iter().enumerate() {
        let path = folder.join(format!("halves-{side}"));
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_bytes().to_vec()).collect();
        std::fs::write(&path, bytes).unwrap();
        kept_halves.push(std::fs::read(path).unwrap());
    }
    let each = 1e3 * (processor() - before) / SLOTS as f64;
    let mut add = |what: &str, value, unit| figures.add(&format!("{name}/{what}"), value, unit);
    add("cpu_ms", each, "ms of processor, both parties, preparing");
    let took = made_0.took.max(made_1.took);
    add("wall_ms", milliseconds(took) / SLOTS as f64, "ms, two cores");
    let bytes = (made_0.sent.bytes + made_1.sent.bytes) as f64 / SLOTS as f64;
    let mut online = Vec::new();
    for (half_0, half_1) in made_0.halves.into_iter().zip(made_1.halves).take(5 * RUNS) {
        online.push(infer((&task, model), [half_0, half_1], None));
    }
    online.sort_by_key(|run| run.0);
    let (took, sent) = online[online.len() / 2];
    add("prepare_bytes", bytes, "bytes of both parties");
    add("bytes", bytes + sent.bytes as f64, "bytes of both parties");
    add("online_ms", milliseconds(took), "ms");
    add("online_messages", sent.messages as f64, "messages");
    add("half_bytes", kept_halves[0].len() as f64 / SLOTS as f64, "bytes on P0's disk");
}

/// A triple of matrices modulo `2^64`, as training takes them: both parties one after the other.
fn triple(figures: &mut Figures) {
    const SIZES: [usize; 3] = [128, 784, 128];
    let [rows, inner, columns] = SIZES;
    let (mut rng, shape) = (rng(), matrix::Shape::new(rows, inner, columns).unwrap());
    let mut words = |count: usize| -> Vec<u64> { (0..count).map(|_| rng.next_u64()).collect() };
    let [a, b, more_a, more_b] =
        [rows * inner, inner * columns, rows * inner, inner * columns].map(&mut words);
    let secret = Secret::<Words64>::new(&mut rng);
    let public = Public::read(&secret.public(&mut rng)).unwrap();
    let begin = Instant::now();
    let request = matrix::request(&secret, &shape, &a, &b, &mut rng).unwrap();
    let (reply, _) =
        matrix::respond(&public, &shape, &more_a, &more_b, &request, &mut rng).unwrap();
    matrix::finish(&secret, &shape, &reply).unwrap();
    figures.add("kind/triple_128_784_128/per_second", 1.0 / begin.elapsed().as_secs_f64(), "1/s");
    let bytes = (request.len() + reply.len()) as f64;
    figures.add("kind/triple_128_784_128/bytes_each", bytes, "bytes of both parties");
    figures.add("kind/triple_128_784_128/messages", 2.0, "messages");
}

fn main() {
    let (mut json, mut arguments) = (None, std::env::args().skip(1));
    let mut models = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = arguments.next().map(PathBuf::from),
            "--model" => models.extend(arguments.next().map(PathBuf::from)),
            _ => {}
        }
    }
    let mut figures = Figures::default();
    triple(&mut figures);
    let (whole, narrow) = (network_a(32), network_a(24));
    let line = Wan { delay: Duration::from_millis(40), bandwidth_bits: Some(100_000_000) };
    single(&mut figures, "ot/network_a", &whole, None);
    single(&mut figures, "ot/network_a_24_bits", &narrow, None);
    single(&mut figures, "ot/network_a_40ms_100mbit", &whole, Some(line));
    single(&mut figures, "ot/network_b", &network_b(), None);
    single(&mut figures, "ot/ad01", &ad01(), None);
    for path in models {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        single(&mut figures, &format!("ot/{name}"), &Model::load(&path).unwrap(), None);
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, wanted) in [
        ("store/network_a", (&whole, Wanted::Batch)),
        ("store/network_a_24_bits", (&narrow, Wanted::Batch)),
        ("store/network_a_silent", (&whole, Wanted::SilentBatch)),
        ("store/ad01", (&ad01(), Wanted::Batch)),
    ] {
        store(&mut figures, name, wanted, folder.path());
    }
    figures.write(json);
}
