//! Two parties that prepare alone, on one machine, a thread each: random oblivious transfers, and
//! programs from nothing.
//!
//! `cargo bench -p sharelet-host --bench prepare -- [--json FILE] [--link MILLISECONDS,MEGABITS]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs
)]

use core::hint::black_box;
use core::time::Duration;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use embedded_io_adapters::tokio_1::FromTokio;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::functions::engine::offline::{Count, Offline};
use sharelet_core::functions::engine::party::{Party, Received};
use sharelet_core::functions::engine::{Comparison, Truncation};
use sharelet_core::functions::program::choice;
use sharelet_core::functions::record::Layout;
use sharelet_core::functions::transfer::Transfer;
use sharelet_core::share::Party as Side;
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::tcp;
use sharelet_link::wan::{Deliveries, Wan};
use sharelet_prepare::link::{meet, prepare};
use sharelet_prepare::{FieldBits, Kept, Pair, Plan, Strings};
use sharelet_train::config::Arithmetic;
use sharelet_train::kernel::{Bilinear, Form, Product};
use sharelet_train::loss::Wanted;
use sharelet_train::model::Model;
use sharelet_train::network::{Network, NetworkName};
use sharelet_train::serving::Serving;
use sharelet_train::step::{OpenData, Step};
use sharelet_train::tensor::together::{Together, Took as Ran};
use sharelet_train::update::Rates;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedReadHalf;

const RUNS: usize = 7;

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

fn kept() -> [Kept; 2] {
    let (mut rng_0, mut rng_1) = (rng(), rng());
    let (message_0, beginning_0) = Kept::begin(&mut rng_0);
    let (message_1, beginning_1) = Kept::begin(&mut rng_1);
    [beginning_0.finish(&message_1).unwrap(), beginning_1.finish(&message_0).unwrap()]
}

/// The next message.
fn next(from: &Receiver<Vec<u8>>) -> Vec<u8> {
    from.recv().unwrap()
}

/// Random transfers of one call after the other, in one direction: the best of some, in a second.
fn transfers(figures: &mut Figures, name: &str, field: FieldBits) {
    use sharelet_ot::{base, extension};
    const COUNT: usize = 1 << 20;
    let (mut rng_0, mut rng_1) = (rng(), rng());
    let (sender, from_sender) = base::Sender::new(&mut rng_0);
    let (receiver, from_receiver) = base::Receiver::new(&mut rng_1);
    let (pairs, chosen) =
        (sender.finish(&from_receiver).unwrap(), receiver.finish(&from_sender).unwrap());
    let (to_sender, from_receiver): (Sender<Vec<u8>>, _) = channel();
    let (to_receiver, from_sender) = channel::<Vec<u8>>();
    let (mut best, mut bytes) = (Duration::MAX, 0);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut sender = extension::Sender::new(&chosen, [1; 32], field);
            let mut blocks = [[0; 2]; 1024];
            for _ in 0..RUNS {
                let message = next(&from_receiver);
                let (challenge, pending) = sender.accept(COUNT, &message).unwrap();
                to_receiver.send(challenge.to_vec()).unwrap();
                let sent = pending.verify(&next(&from_receiver)).unwrap();
                for first in (0..COUNT).step_by(blocks.len()) {
                    sent.pairs(first, &mut blocks).unwrap();
                    black_box(&blocks);
                }
                to_receiver.send(Vec::new()).unwrap();
            }
        });
        let mut receiver = extension::Receiver::new(&pairs, [1; 32], field);
        let mut blocks = [0; 1024];
        for _ in 0..RUNS {
            let begin = Instant::now();
            let (message, pending) = receiver.extend(COUNT).unwrap();
            bytes = message.len();
            to_sender.send(message).unwrap();
            let (proof, received) = pending.answer(&next(&from_sender)).unwrap();
            to_sender.send(proof).unwrap();
            for first in (0..COUNT).step_by(blocks.len()) {
                received.blocks(first, &mut blocks).unwrap();
                black_box(&blocks);
            }
            next(&from_sender);
            best = best.min(begin.elapsed());
        }
    });
    figures.add(&format!("{name}/random_per_second"), COUNT as f64 / best.as_secs_f64(), "1/s");
    figures.add(&format!("{name}/bytes_each"), bytes as f64 / COUNT as f64, "bytes");
}

/// What a program took one of the parties.
#[derive(Clone, Copy)]
struct Took {
    preparing: Duration,
    online: Duration,
    prepared: Sent,
    sent: Sent,
}

/// `max(x, 0) >> 12` of 16,384 shared numbers of 32 bits, from kept base transfers on.
fn relu(figures: &mut Figures, line: Option<Wan>) {
    const ELEMENTS: usize = 16_384;
    let kept = kept();
    let (mut session, mut runs) = ([0; 32], Vec::new());
    for run in 0..RUNS {
        rng().fill_bytes(&mut session);
        let x: Vec<u32> = (0..ELEMENTS).map(|_| rng_word()).collect();
        let x_0: Vec<u32> = (0..ELEMENTS).map(|_| rng_word()).collect();
        let x_1: Vec<u32> = x.iter().zip(&x_0).map(|(x, x_0)| x.wrapping_sub(*x_0)).collect();
        let [end_0, end_1] = tcp::loopback().unwrap();
        let [kept_0, kept_1] = &kept;
        let (out_0, out_1, took) = thread::scope(|scope| {
            let other =
                scope.spawn(move || relu_party(Side::P1, kept_1, session, x_1, end_1, line));
            let (out_0, took) = relu_party(Side::P0, kept_0, session, x_0, end_0, line);
            let (out_1, _) = other.join().unwrap();
            (out_0, out_1, took)
        });
        for ((x, out_0), out_1) in x.iter().zip(&out_0).zip(&out_1) {
            let expected = (x.cast_signed() >> 12).max(0).cast_unsigned();
            assert_eq!(out_0.wrapping_add(*out_1), expected, "run {run}");
        }
        runs.push(took);
    }
    runs.sort_by_key(|took| took.preparing + took.online);
    let median = runs[RUNS / 2];
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let of = |what: &str| match line {
        Some(_) => format!("ot/relu16384_40ms_100mbit/{what}"),
        None => format!("ot/relu16384/{what}"),
    };
    figures.add(&of("total_ms"), milliseconds(median.preparing + median.online), "ms");
    figures.add(&of("prepare_ms"), milliseconds(median.preparing), "ms");
    figures.add(&of("online_ms"), milliseconds(median.online), "ms");
    if line.is_none() {
        let bytes = median.prepared.bytes + median.sent.bytes;
        figures.add(&of("bytes"), 2.0 * bytes as f64, "bytes of both parties");
        figures.add(&of("online_bytes"), 2.0 * median.sent.bytes as f64, "bytes of both parties");
        figures.add(&of("prepare_messages"), median.prepared.messages as f64, "messages");
        figures.add(&of("online_messages"), median.sent.messages as f64, "messages");
    }
}

/// Plans of one kind of correlations each.
fn kinds() -> Vec<(&'static str, Plan)> {
    const ELEMENTS: usize = 1 << 14;
    let plan = |build: &dyn Fn(&mut Layout) -> Transfer| {
        let (mut layout, mut plan) = (Layout::default(), Plan::default());
        let transfer = build(&mut layout);
        plan.records(ELEMENTS, layout, vec![transfer]);
        plan
    };
    let (sender, ring_bits) = (Side::P0, 64);
    let strings = |words, labels| {
        let mut plan = Plan::default();
        plan.strings(Strings { words, labels });
        plan
    };
    vec![
        ("leaf", plan(&|l| Transfer::Leaf { sender, width_bits: 4, place: l.bits(32) })),
        ("and", plan(&|l| Transfer::And { place: l.bits(5) })),
        (
            "dual_bit",
            plan(&|l| {
                let (place, words) = (l.bits(1), l.words::<u64>(3));
                Transfer::Dual { sender, place, words, values: 1, ring_bits }
            }),
        ),
        (
            "product",
            plan(&|l| Transfer::Product { square: false, place: l.words::<u64>(3), ring_bits }),
        ),
        (
            "square",
            plan(&|l| Transfer::Product { square: true, place: l.words::<u64>(2), ring_bits }),
        ),
        (
            "table_of_16",
            plan(&|l| {
                let (place, words) = (l.bits(4), l.words::<u64>(3 << 4));
                Transfer::Table { sender, index_bits: 4, place, words }
            }),
        ),
        ("word", strings(ELEMENTS, 0)),
        ("label", strings(0, ELEMENTS)),
    ]
}

/// Every kind by itself, from kept base transfers on.
fn each_kind(figures: &mut Figures, line: Option<Wan>) {
    const ELEMENTS: f64 = (1 << 14) as f64;
    let suffix = if line.is_some() { "_40ms_100mbit" } else { "" };
    let [kept_0, kept_1] = kept();
    for (name, plan) in kinds() {
        let runs = if line.is_some() { 1 } else { RUNS };
        let ran = (0..runs).map(|_| {
            let mut session = [0; 32];
            rng().fill_bytes(&mut session);
            let [end_0, end_1] = tcp::loopback().unwrap();
            let party = |side, kept: &Kept, end| prepared(side, kept, session, &plan, end, line);
            thread::scope(|scope| {
                let other = scope.spawn(|| party(Side::P1, &kept_1, end_1));
                let (own, other) = (party(Side::P0, &kept_0, end_0), other.join().unwrap());
                (own.0.max(other.0), own.1.bytes + other.1.bytes, own.1.messages)
            })
        });
        let (took, bytes, messages) = ran.min_by_key(|run| run.0).unwrap();
        let mut add = |what: &str, value, unit| {
            figures.add(&format!("kind/{name}{suffix}/{what}"), value, unit)
        };
        add("per_second", ELEMENTS / took.as_secs_f64(), "1/s");
        add("bytes_each", bytes as f64 / ELEMENTS, "bytes of both parties");
        add("messages", messages as f64, "messages");
    }
}

type Wire = Exchange<FromTokio<OwnedReadHalf>, FromTokio<Box<dyn AsyncWrite + Send + Unpin>>>;

/// An end of a connection, and what is on an emulated line.
fn wire(end: TcpStream, line: Option<Wan>) -> (Wire, Deliveries) {
    let (reader, writer) = tokio::net::TcpStream::from_std(end).unwrap().into_split();
    let deliveries = Deliveries::default();
    let writer: Box<dyn AsyncWrite + Send + Unpin> = match line {
        Some(line) => Box::new(line.wrap(writer, &deliveries)),
        None => Box::new(writer),
    };
    (Exchange::new(FromTokio::new(reader), FromTokio::new(writer)), deliveries)
}

/// A party's time for a plan, and what it sent.
fn prepared(
    side: Side,
    kept: &Kept,
    session: [u8; 32],
    plan: &Plan,
    end: TcpStream,
    line: Option<Wan>,
) -> (Duration, Sent) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut link, deliveries) = wire(end, line);
        let begin = Instant::now();
        let mut pair = Pair::new(side, kept, session, FieldBits::Two);
        black_box(prepare(&mut pair, plan, &mut rng(), &mut link).await.unwrap());
        let found = (begin.elapsed(), link.take());
        drop(link);
        if let Some(line) = line {
            deliveries.done(line).await;
        }
        found
    })
}

fn rng_word() -> u32 {
    thread_local! {
        static WORDS: core::cell::RefCell<ChaCha20Rng> = core::cell::RefCell::new(rng());
    }
    WORDS.with_borrow_mut(rand_core::Rng::next_u32)
}

fn relu_party(
    party: Side,
    kept: &Kept,
    session: [u8; 32],
    mut x: Vec<u32>,
    end: TcpStream,
    line: Option<Wan>,
) -> (Vec<u32>, Took) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let (mut link, deliveries) = wire(end, line);
        let begin = Instant::now();
        let mut engine = Offline::new(Plan::default(), Comparison::Ot);
        choice::relu_shift(&mut engine, 12, &mut x.clone()).await.unwrap();
        let plan = engine.into_task();
        let mut engine = Offline::new(Count::default(), Comparison::Ot);
        choice::relu_shift(&mut engine, 12, &mut x.clone()).await.unwrap();
        let mut work = vec![0; engine.into_task().0.work_bytes];
        let mut pair = Pair::new(party, kept, session, FieldBits::Two);
        let made = prepare(&mut pair, &plan, &mut rng(), &mut link).await.unwrap();
        let (side, records) = made.into_records();
        let (preparing, prepared) = (begin.elapsed(), link.take());
        let begin = Instant::now();
        let mut engine =
            Party::new(Received::made(side, &records), link, &mut work, Comparison::Ot);
        choice::relu_shift(&mut engine, 12, &mut x).await.unwrap();
        let online = begin.elapsed();
        let mut link = engine.into_parts().1;
        let sent = link.take();
        drop(link);
        if let Some(line) = line {
            deliveries.done(line).await;
        }
        (x, Took { preparing, online, prepared, sent })
    })
}

/// The plaintext network A on one core, 128 inputs: what other systems' figures are normalised by.
fn calibration(figures: &mut Figures) {
    let mut rng = rng();
    let layers = [(784, 128), (128, 128), (128, 10)];
    let weights = layers
        .map(|(inner, columns)| (0..inner * columns).map(|_| rng.next_u32()).collect::<Vec<u32>>());
    let input: Vec<u32> = (0..128 * 784).map(|_| rng.next_u32()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let plain = || {
        let (begin, mut x) = (Instant::now(), input.clone());
        for ((inner, columns), weights) in layers.into_iter().zip(&weights) {
            let mut out = vec![0_u32; 128 * columns];
            let form = Form::SecondTransposed;
            let map = Bilinear::Product(Product { form, rows: 128, inner, columns });
            map.add(&x, weights, &mut out).unwrap();
            out.iter_mut().for_each(|word| *word = word.cast_signed().max(0).cast_unsigned());
            x = out;
        }
        black_box(x);
        begin.elapsed()
    };
    let best = (0..20).map(|_| pool.install(plain)).min().unwrap();
    figures.add("calibration/plain_a128_us", best.as_secs_f64() * 1e6, "us");
}

const FRAC_BITS: u32 = 20;

fn words(rng: &mut ChaCha20Rng, elems: usize, bits: u32) -> Vec<u64> {
    (0..elems).map(|_| rng.next_u64() >> (64 - bits)).collect()
}

fn split(words: &[u64], rng: &mut ChaCha20Rng) -> [Vec<u64>; 2] {
    let share: Vec<u64> = words.iter().map(|_| rng.next_u64()).collect();
    [share.clone(), words.iter().zip(share).map(|(word, share)| word.wrapping_sub(share)).collect()]
}

fn model(network: &Network, rng: &mut ChaCha20Rng) -> Model {
    let mut model = Model::zeros(network, false).unwrap();
    model.words_mut().for_each(|word| {
        *word = (rng.next_u64() >> (64 - FRAC_BITS + 3)).wrapping_sub(1 << (FRAC_BITS - 4));
    });
    model
}

/// The median of runs.
fn took(figures: &mut Figures, name: &str, mut runs: Vec<Ran>) {
    runs.sort_by_key(|took| took.preparing + took.online);
    let median = runs[runs.len() / 2];
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let mut add =
        |what: &str, value: f64, unit| figures.add(&format!("{name}/{what}"), value, unit);
    add("total_ms", milliseconds(median.preparing + median.online), "ms");
    add("prepare_ms", milliseconds(median.preparing), "ms");
    add("online_ms", milliseconds(median.online), "ms");
    let bytes = median.prepared.bytes + median.sent.bytes;
    add("bytes", bytes as f64, "bytes of both parties");
    add("online_bytes", median.sent.bytes as f64, "bytes of both parties");
    add("prepare_messages", median.prepared.messages as f64, "messages");
    add("online_messages", median.sent.messages as f64, "messages");
}

/// One answer of network A, which both share and have opened before; and a step of training on 128
/// rows: everything else from nothing.
fn network_a(figures: &mut Figures) {
    let network = Network::named(NetworkName::A);
    let mut rng = rng();
    let mut servers = Together::new(
        ChaCha20Rng::from_seed(*b"the seed of a benchmark's servers"[..32].first_chunk().unwrap()),
        Truncation::OneUnit,
        FieldBits::Two,
    )
    .unwrap();
    let arithmetic = Arithmetic { frac_bits: FRAC_BITS, ..Arithmetic::default() };
    let serving = Serving::new(network.clone(), arithmetic, 0).unwrap();
    let (zeros, weights) = (Model::zeros(&network, false).unwrap(), model(&network, &mut rng));
    let ahead = [serving.open(&zeros, &[]), serving.open(&zeros, &[])];
    let parties = [serving.open(&zeros, &[]), serving.open(&weights, &[])];
    let opened = servers.run(parties, ahead).unwrap().0;
    let answers = (0..RUNS).map(|_| {
        let inputs = split(&words(&mut rng, 784, FRAC_BITS), &mut rng);
        let ahead = opened.each_ref().map(|opened| serving.evaluate(opened, vec![0; 784]).unwrap());
        let [inputs_0, inputs_1] = inputs;
        let parties = [
            serving.evaluate(&opened[0], inputs_0).unwrap(),
            serving.evaluate(&opened[1], inputs_1).unwrap(),
        ];
        servers.run(parties, ahead).unwrap().1
    });
    took(figures, "ot/shared_a", answers.collect());

    const BATCH: usize = 128;
    let rates = Rates { rate: 1, rate_bits: 12, momentum: 0, decay: 0, ..Rates::default() };
    let steps = (0..3).map(|_| {
        let inputs = split(&words(&mut rng, BATCH * 784, FRAC_BITS), &mut rng);
        let mut targets = vec![0; BATCH * 10];
        targets.chunks_mut(10).for_each(|row| row[3] = 1 << FRAC_BITS);
        let ahead = [(); 2].map(|()| OpenData { inputs: vec![0; BATCH * 784] });
        let parties = inputs.map(|inputs| OpenData { inputs });
        let [opened_0, opened_1] = servers.run(parties, ahead).unwrap().0;
        let rows: Vec<usize> = (0..BATCH).collect();
        let [again_0, again_1] = [&opened_0, &opened_1].map(|opened| opened.rows(784, &rows));
        let mut models = [(); 4].map(|()| weights.clone());
        let [model_0, model_1, model_2, model_3] = &mut models;
        let step = |model, inputs, targets| {
            let wanted = Wanted::default();
            Step::new(&network, FRAC_BITS, model, (inputs, targets), rates, wanted).unwrap()
        };
        let [targets_0, targets_1] = split(&targets, &mut rng);
        let nothing = || vec![0; BATCH * 10];
        let ahead = [step(model_0, again_0, nothing()), step(model_1, again_1, nothing())];
        let parties = [step(model_2, opened_0, targets_0), step(model_3, opened_1, targets_1)];
        servers.run(parties, ahead).unwrap().1
    });
    took(figures, "ot/train_a128", steps.collect());
}

/// Silent transfers, from a seed that the extension makes: one call after the other.
fn silent(figures: &mut Figures) {
    use sharelet_ot::{base, extension, silent};
    let (mut rng_0, mut rng_1) = (rng(), rng());
    let (sender, from_sender) = base::Sender::new(&mut rng_0);
    let (receiver, from_receiver) = base::Receiver::new(&mut rng_1);
    let (pairs, chosen) =
        (sender.finish(&from_receiver).unwrap(), receiver.finish(&from_sender).unwrap());
    let mut receiver = extension::Receiver::new(&pairs, [2; 32], FieldBits::Two);
    let mut sender = extension::Sender::new(&chosen, [2; 32], FieldBits::Two);
    let (message, received) = receiver.extend(silent::SEED_OTS).unwrap();
    let (challenge, sent) = sender.accept(silent::SEED_OTS, &message).unwrap();
    let (proof, received) = received.answer(&challenge).unwrap();
    let sent = sent.verify(&proof).unwrap();
    let mut sender = silent::Sender::new(sent).unwrap();
    let mut receiver = silent::Receiver::new(received).unwrap();
    let (mut best, mut bytes) = (Duration::MAX, 0);
    let (mut pairs, mut blocks) = ([[0; 2]; 1024], [0; 1024]);
    for _ in 0..3 {
        // In turns, on one thread: the slower party's time would be the pair's.
        let begin = Instant::now();
        let (first, pending_sent) = sender.extend();
        let (second, pending_received) = receiver.accept(&first).unwrap();
        let (third, next_sender, sent) = pending_sent.answer(&second).unwrap();
        let (next_receiver, received) = pending_received.verify(&third).unwrap();
        (sender, receiver) = (next_sender, next_receiver);
        for place in (0..silent::OTS - blocks.len()).step_by(blocks.len()) {
            sent.pairs(place, &mut pairs).unwrap();
            received.blocks(place, &mut blocks).unwrap();
            black_box((&pairs, &blocks));
        }
        best = best.min(begin.elapsed());
        bytes = first.len() + second.len() + third.len();
    }
    let each_second = silent::OTS as f64 / best.as_secs_f64();
    figures.add("silent/random_per_second_one_core", each_second, "1/s, both parties on one core");
    figures.add("silent/bytes_each", bytes as f64 / silent::OTS as f64, "bytes");
}

fn main() {
    let (mut json, mut arguments) = (None, std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            json = arguments.next().map(PathBuf::from);
        }
    }
    let mut figures = Figures::default();
    calibration(&mut figures);
    let begin = Instant::now();
    let [end_0, end_1] = tcp::loopback().unwrap();
    let met = |end: TcpStream| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (reader, writer) = tokio::net::TcpStream::from_std(end).unwrap().into_split();
            let mut link = Exchange::new(FromTokio::new(reader), FromTokio::new(writer));
            black_box(meet(&mut rng(), &mut link).await.unwrap());
            link.take().bytes
        })
    };
    let bytes = thread::scope(|scope| {
        scope.spawn(|| met(end_1));
        met(end_0)
    });
    figures.add("ot/base_ms", begin.elapsed().as_secs_f64() * 1e3, "ms");
    figures.add("ot/base_bytes", 2.0 * bytes as f64, "bytes of both parties");
    transfers(&mut figures, "ot", FieldBits::Two);
    transfers(&mut figures, "ot_field1", FieldBits::One);
    transfers(&mut figures, "ot_field4", FieldBits::Four);
    relu(&mut figures, None);
    let line = Wan { delay: Duration::from_millis(40), bandwidth_bits: Some(100_000_000) };
    relu(&mut figures, Some(line));
    each_kind(&mut figures, None);
    each_kind(&mut figures, Some(line));
    silent(&mut figures);
    network_a(&mut figures);
    figures.write(json);
}
