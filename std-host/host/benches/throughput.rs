//! How many evaluations a host does, and how many sessions a dealer deals, per second on one core.
//!
//! ```text
//! cargo bench -p sharelet-host --bench throughput -- MODEL.slt [--json FILE]
//! ```
//!
//! The host's clock runs while it parses the corrections, takes the device's messages, multiplies,
//! and passes the gates, all in memory; the device's messages were recorded before. The dealer's
//! runs from a session number to its corrections. Each figure stands beside a fixed product in the
//! clear, measured in the same run on the same core, so that machines can be compared: 128 inputs
//! through 784-128-128-10, `u32`, the host's own kernel.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

use core::convert::Infallible;
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use embedded_io_async::{ErrorType, Write};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, max_welcome_bytes};
use sharelet_core::session::{CounterError, SessionCounter};
use sharelet_host::dealer::deal_session;
use sharelet_host::dealer::masked::{self, MaskedModel};
use sharelet_host::host::kernel::{self, Vectorised};
use sharelet_link::Connection;
use sharelet_model::{MAX_LAYERS, Model};
use tokio::io::{AsyncRead, ReadBuf};

const SESSIONS: u64 = 8;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);
const STALL: Duration = Duration::from_secs(60);

struct Options {
    model: PathBuf,
    json: Option<PathBuf>,
}

fn options() -> Options {
    let mut arguments = std::env::args().skip(1);
    let (mut model, mut json) = (None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--json" => json = arguments.next().map(PathBuf::from),
            path => model = Some(PathBuf::from(path)),
        }
    }
    let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../demo/vibration.slt");
    Options { model: model.unwrap_or(built_in), json }
}

/// Keeps what is read.
struct Recorder<R> {
    inner: R,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Recorder<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.bytes.lock().unwrap().extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

struct Sink;

impl ErrorType for Sink {
    type Error = Infallible;
}

impl Write for Sink {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        black_box(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Counter(u64);

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(self.0)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.0 = session + 1;
        Ok(())
    }
}

struct Buffers {
    words: [Vec<u32>; 3],
    bits: [Vec<u8>; 2],
}

impl Buffers {
    fn new(model: &Model) -> Self {
        let sizes = ScratchSizes::of(&model.network);
        let words =
            [sizes.masked_elems, sizes.vectors_elems, sizes.width_elems].map(|len| vec![0; len]);
        Self { words, bits: [vec![0; sizes.bits_bytes], vec![0; sizes.bits_bytes]] }
    }

    fn scratch(&mut self) -> Scratch<'_> {
        let ([masked, vectors, output], [own_bits, peer_bits]) = (&mut self.words, &mut self.bits);
        Scratch { masked, vectors, output, own_bits, peer_bits }
    }
}

/// What the device says in one session from its first prepared word on, and that the answer is
/// right.
async fn record(
    model: &Model,
    (seed, masked_id): (&Key, &[u8; 32]),
    key: &Key,
    session: u64,
    corrections: &[u8],
    input: &[u32],
) -> Vec<u8> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let device = async {
        let identity = Identity::<ChaCha12>::new(DeviceId::new("device").unwrap(), key);
        let policy = Policy {
            host: None,
            answer: Answer::Device,
            inputs: None,
            max_outputs: usize::MAX,
            max_blocks: u64::MAX,
        };
        let mut network = Network::<MAX_LAYERS>::default();
        let connected = p0::connect(Connection::over(near, STALL), &identity, policy, &mut network)
            .await
            .unwrap();
        let mut answer = vec![0; model.network.outputs()];
        let prepared = connected.prepare(&mut Counter(session), &mut answer).await.unwrap();
        prepared.infer(input).await.unwrap().1.to_vec()
    };
    let host = async {
        let (reader, writer) = tokio::io::split(far);
        let Connection { mut reader, mut writer, .. } =
            Connection::new(Recorder { inner: reader, bytes: bytes.clone() }, writer, STALL);
        p1::receive_hello(&mut reader).await.unwrap();
        p1::welcome(
            &mut writer,
            &model.network,
            seed.expose(),
            masked_id,
            &mut [0; max_welcome_bytes(MAX_LAYERS)],
        )
        .await
        .unwrap();
        p1::receive_request(&mut reader).await.unwrap();
        // Nothing of the session has been read yet: the device waits for the grant.
        bytes.lock().unwrap().clear();
        p1::grant(&mut writer, session).await.unwrap();
        let mut buffers = Buffers::new(model);
        let prepared = P1::new(&model.network, model, Answer::Device)
            .prepare(&mut reader, buffers.scratch())
            .await
            .unwrap();
        let ready = prepared.input(&mut reader).await.unwrap();
        ready.infer(&mut reader, &mut writer, corrections).await.unwrap();
    };
    let (answer, ()) = tokio::join!(device, host);
    assert_eq!(answer, model.infer(input).unwrap(), "the private answer is the answer");
    Arc::into_inner(bytes).map_or_else(Vec::new, |bytes| bytes.into_inner().unwrap())
}

/// Calls per second: best and median of some rounds.
fn rate(mut work: impl FnMut(usize)) -> (f64, f64) {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut done = 0;
            while start.elapsed() < ROUND {
                work(done);
                done += 1;
            }
            done as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    (rates[ROUNDS - 1], rates[ROUNDS / 2])
}

/// 128 inputs through 784-128-128-10 in the clear.
fn plain_product(rng: &mut ChaCha8Rng) -> impl FnMut(usize) {
    const WIDTHS: [usize; 4] = [784, 128, 128, 10];
    const BATCH: usize = 128;
    let mut words = |count: usize| (0..count).map(|_| rng.next_u32()).collect::<Vec<_>>();
    let layers: Vec<_> =
        WIDTHS.windows(2).map(|pair| (words(pair[0] * pair[1]), words(pair[1]))).collect();
    let inputs = words(WIDTHS[0] * BATCH);
    move |_| {
        for input in inputs.chunks_exact(WIDTHS[0]) {
            let mut hidden = input.to_vec();
            for (weights, biases) in &layers {
                let mut out = biases.clone();
                kernel::add_matrix_vector(weights, &hidden, &mut out);
                hidden = out;
            }
            black_box(hidden);
        }
    }
}

fn main() {
    let options = options();
    let model = Model::load(&options.model).expect("a model");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (seed, key) = (Key::from_bytes([1; 32]), Key::from_bytes([2; 32]));
    let matrices = masked::mask(&model, &Keystream::new(&seed), &mut |_| ());
    let id = masked::id(&masked::description(&model.network), &matrices);
    let masked = MaskedModel::new(id, model.network.clone(), &matrices);
    let binding = masked.bind(&Keystream::<ChaCha12>::new(&key));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();

    let limit = model.network.input_limit();
    let sessions: Vec<(Vec<u8>, Vec<u8>)> = (0..SESSIONS)
        .map(|session| {
            let corrections = deal_session(&masked, &binding, session).expect("dealt");
            let input: Vec<u32> =
                (0..model.network.inputs()).map(|_| rng.next_u32() % limit).collect();
            let said =
                runtime.block_on(record(&model, (&seed, &id), &key, session, &corrections, &input));
            (corrections, said)
        })
        .collect();

    let (_, product) = rate(plain_product(&mut rng));
    let mut buffers = Buffers::new(&model);
    let owner = Vectorised(&model);
    let host = rate(|turn| {
        let (corrections, said) = &sessions[turn % sessions.len()];
        let mut reader = &said[..];
        runtime.block_on(async {
            let session = P1::new(&model.network, &owner, Answer::Device);
            let prepared = session.prepare(&mut reader, buffers.scratch()).await.unwrap();
            let ready = prepared.input(&mut reader).await.unwrap();
            ready.infer(&mut reader, &mut Sink, corrections).await.unwrap();
        });
    });
    let dealer =
        rate(|turn| drop(black_box(deal_session(&masked, &binding, SESSIONS + turn as u64))));
    let vectors = vec![0; model.network.vectors_elems()];
    let mut out = vec![0; model.network.max_width()];
    let products = rate(|_| {
        for (index, layer) in model.network.layers().iter().enumerate() {
            let (vectors, out) = (black_box(&vectors), &mut out[..usize::from(layer.outputs())]);
            let input = |source: u16| &vectors[model.network.vector(usize::from(source))];
            sharelet_core::session::network::Affine::affine(
                &owner,
                index,
                &model.network.parts(index),
                input,
                out,
            );
        }
        black_box(&mut out);
    });

    let name = &model.name;
    let figures = [
        (format!("host/{name}/evaluations_per_second_core"), host.1, "1/s", host.0),
        (
            format!("host/{name}/products_in_the_clear_per_second_core"),
            products.1,
            "1/s",
            products.0,
        ),
        (format!("host/{name}/plain_product_microseconds"), 1e6 / product, "us", 0.0),
        (format!("dealer/{name}/deals_per_second_core"), dealer.1, "1/s", dealer.0),
        (
            format!("dealer/{name}/megabytes_per_second_core"),
            dealer.1 * sessions[0].0.len() as f64 / 1e6,
            "MB/s",
            0.0,
        ),
        (format!("dealer/{name}/plain_product_microseconds"), 1e6 / product, "us", 0.0),
    ];
    println!("{:<55} {:>12} {:>6} {:>14}", "on one core, median of rounds", "median", "", "best");
    for (name, value, unit, best) in &figures {
        let best = if *best > 0.0 { format!("{best:14.1}") } else { String::new() };
        println!("{name:<55} {value:>12.1} {unit:>6} {best}");
    }
    if let Some(path) = options.json {
        let rows = figures.iter().map(|(name, value, unit, _)| {
            format!("  {{\"name\": \"{name}\", \"value\": {value:.1}, \"unit\": \"{unit}\"}}")
        });
        let text = format!("[\n{}\n]\n", rows.collect::<Vec<_>>().join(",\n"));
        std::fs::write(&path, text).expect("writes");
    }
}
