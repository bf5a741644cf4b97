//! What runs in the image. Everything that a transport, a counter or a caller gives goes through
//! `black_box`: the compiler must take it for anything.

use core::convert::Infallible;
use core::hint::black_box;
use core::panic::PanicInfo;

use embassy_futures::block_on;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use rand_core::{TryCryptoRng, TryRng};
use sharelet_core::binding::Binding;
use sharelet_core::fixed;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;
use sharelet_core::session::data_party::Query;
use sharelet_core::session::network::{Network, PlainModel};
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::p1::{self, Scratch, P1};
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::session::wire::query::Recipient;
use sharelet_core::session::wire::task::{Task, TASK_BYTES};
use sharelet_core::session::{deal, CounterError, SessionCounter, SessionError};

const LAYERS: usize = 16;
const WIDTH: usize = 640;
const ROOM_WORDS: usize = 4096;

/// Only here to be found: an image without a panic has no call of it, and so not the function.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        black_box(());
    }
}

/// Where a processor would begin.
#[no_mangle]
pub extern "C" fn _start() -> ! {
    loop {
        black_box(block_on(device()).is_ok());
        black_box(block_on(data_party::<u32>()).is_ok());
        black_box(block_on(data_party::<u64>()).is_ok());
        black_box(block_on(host()).is_ok());
        black_box(dealer());
        #[cfg(feature = "panics")]
        black_box([1_u8, 2, 3][black_box(1_usize)]);
    }
}

/// A peer that sends anything.
struct Line;

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl Read for Line {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        bytes.iter_mut().for_each(|byte| *byte = black_box(0));
        black_box(Ok(bytes.len()))
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let taken = black_box(bytes).len();
        black_box(Ok(taken))
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        black_box(Ok(()))
    }
}

struct Counter;

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        black_box(Ok(0))
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        black_box(session);
        black_box(Ok(()))
    }
}

/// The dealer's randomness, as far as a compiler knows.
struct Randomness;

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(0))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = black_box(0));
        Ok(())
    }
}

impl TryCryptoRng for Randomness {}

fn key() -> Key {
    Key::from_bytes(black_box([0; 32]))
}

fn identity() -> Option<Identity<ChaCha12>> {
    Some(Identity::new(DeviceId::new(black_box("pump-07"))?, &key()))
}

/// The device of a session, from a reading to its answer.
async fn device() -> Result<(), SessionError> {
    let Some(identity) = identity() else { return Ok(()) };
    let policy = black_box(Policy {
        host: None,
        answer: Answer::Device,
        inputs: None,
        max_outputs: WIDTH,
        max_blocks: 1 << 18,
    });
    let mut network = Network::<LAYERS>::default();
    let mut room = black_box([0_u32; ROOM_WORDS]);
    let mut connected = p0::connect(Line, &identity, policy, &mut network).await?;
    black_box(connected.keep(&mut room[..]).await);
    let (reals, mut input, mut answer) = ([0.0_f32; WIDTH], [0_u32; WIDTH], [0_u32; WIDTH]);
    let network = connected.network();
    let width = network.inputs().min(WIDTH);
    let (scale, frac_bits) = (network.input_scale(), network.output_frac_bits());
    let limit = network.input_limit();
    let reals = black_box(&reals[..]).get(..width).unwrap_or(&[]);
    let input = input.get_mut(..width).unwrap_or(&mut []);
    let encoded = fixed::encode_or_zero(reals, scale, limit, input);
    let prepared = connected.prepare(&mut Counter, &mut answer).await?;
    let (_connected, values) = prepared.infer(input).await?;
    for value in black_box(values) {
        black_box(fixed::decode(*value, frac_bits));
    }
    black_box(encoded.is_ok());
    Ok(())
}

/// The data party of two servers.
async fn data_party<R: Ring>() -> Result<(), SessionError> {
    let (Some(identity), Ok(task)) =
        (identity(), Task::of_either_ring(&black_box([0; TASK_BYTES])))
    else {
        return Ok(());
    };
    let query = Query::begin(&identity, &mut Counter, task, Recipient::DataParty).await?;
    let (mut input, mut answer) = ([R::ZERO; WIDTH], [R::ZERO; WIDTH]);
    let input = black_box(&mut input[..]);
    query.send_seed(&mut Line).await?;
    query.send_masked(&mut Line, input).await?;
    let answers = query.receive_both(&mut Line, &mut Line, black_box(&mut answer[..])).await;
    answers.map_err(|(_, error)| error)
}

/// The host of a session, on slices of any length.
async fn host() -> Result<(), SessionError> {
    let hello = p1::receive_hello(&mut Line).await?;
    black_box(hello);
    let network = black_box(Network::<LAYERS>::default());
    p1::welcome(&mut Line, &network, &black_box([0; 32]), &black_box([0; 32]), &mut [0; 1024])
        .await?;
    if p1::receive_request(&mut Line).await?.is_none() {
        return Ok(());
    }
    p1::grant(&mut Line, black_box(0)).await?;
    let (mut masked, mut vectors, mut output) = ([0; WIDTH], [0; WIDTH], [0; WIDTH]);
    let (mut own_bits, mut peer_bits) = ([0; WIDTH], [0; WIDTH]);
    let scratch = Scratch {
        masked: black_box(&mut masked[..]),
        vectors: black_box(&mut vectors[..]),
        output: black_box(&mut output[..]),
        own_bits: black_box(&mut own_bits[..]),
        peer_bits: black_box(&mut peer_bits[..]),
    };
    let model = black_box(PlainModel { weights: &[&[0]], biases: &[&[0]] });
    let host = P1::new(&network, &model, black_box(Answer::Device));
    let prepared = host.prepare(&mut Line, scratch).await?;
    let ready = prepared.input(&mut Line).await?;
    let corrections = black_box(&[0_u8; WIDTH][..]);
    let answer = ready.infer(&mut Line, &mut Line, corrections).await?;
    black_box(answer.is_some());
    Ok(())
}

/// The dealer's arithmetic of a session.
fn dealer() -> bool {
    let network = black_box(Network::<LAYERS>::default());
    let description: &[u8] = black_box(&[0]);
    let binding = Binding::of_network(&Keystream::<ChaCha12>::new(&key()), description, &[0; 32]);
    let (mut scratch, mut out) = ([0; WIDTH], [0; WIDTH]);
    let weights: &[&[u32]] = black_box(&[&[0]]);
    let (scratch, out) = (black_box(&mut scratch[..]), black_box(&mut out[..]));
    deal::session(&network, &binding, black_box(0), weights, &mut Randomness, scratch, out).is_ok()
}
