//! Both parties' steps and the dealer's, on secret keys, readings, models and corrections.

use core::hint::black_box;

use embassy_futures::block_on;
use embassy_futures::join::join;
use sharelet_core::binding::Binding;
use sharelet_core::correlation::SessionToken;
use sharelet_core::keystream::{ChaCha12, Domain, Keystream, Kind};
use sharelet_core::session::linear::{self, mask_weights};
use sharelet_core::session::network::{Activation, Layer, PlainModel, Skip};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::phases::{Follows, Offline};
use sharelet_core::session::wire::control::{emit, max_welcome_bytes};
use sharelet_core::session::{CounterError, deal};
use sharelet_core::shape::{Shape, TILE_ELEMS, Window};
use sharelet_core::{
    Answer, DeviceId, Identity, Key, Network, Policy, SessionCounter, SessionError, connect,
};

use crate::line::Line;
use crate::secret::{Secrets, public};

const LAYERS: usize = 8;
const SESSION: u64 = 7;
const MASKED_ID: [u8; 32] = [4; 32];

/// A convolution, a max-pool, a residual layer with a truncation, a mean, a dense layer.
fn network() -> Network<LAYERS> {
    let plain = Window {
        channels: 1,
        height: 4,
        width: 4,
        filters: 2,
        groups: 1,
        kernel: (3, 3),
        stride: (1, 1),
        before: (1, 1),
        after: (1, 1),
    };
    let (none, relu) = ((0, 0), Activation::Relu);
    let per_channel = Window { channels: 2, groups: 2, before: none, after: none, ..plain };
    let pairs = Window { kernel: (1, 2), stride: (1, 2), ..per_channel };
    let mean = Window { width: 2, kernel: (4, 2), ..per_channel };
    let layer = |shape, skip, activation| Layer {
        shape,
        weight_frac_bits: 8,
        skip,
        shift: 8,
        gate_bits: 21,
        activation,
    };
    let itself = Skip { from: 2, shape: Shape::Identity { width: 16 }, weight_frac_bits: 8 };
    let layers = [
        layer(Shape::Convolution(plain), None, relu),
        Layer::larger(pairs),
        layer(Shape::Dense { inputs: 16, outputs: 16 }, Some(itself), Activation::Identity),
        layer(Shape::Mean(mean), None, relu),
        Layer::dense(2, 3, 8, 0, Activation::Identity),
    ];
    Network::new(8, 1 << 12, &layers).expect("valid")
}

/// Weights and biases.
type Rows = [Vec<Vec<u32>>; 2];

fn model(network: &Network<LAYERS>, secrets: &mut Secrets) -> Rows {
    let layers = network.layers().iter().enumerate();
    let rows = layers.map(|(index, layer)| {
        let weights = secrets.words(network.weight_elems(index));
        (weights, secrets.words(usize::from(layer.outputs())))
    });
    let (weights, biases) = rows.unzip();
    [weights, biases]
}

fn binding_of(network: &Network<LAYERS>, key: &Key) -> Binding {
    let mut description = [0; 512];
    let used = emit(network, &mut description).expect("has room");
    Binding::of_network(&Keystream::new(key), &description[..used], &MASKED_ID)
}

/// What the dealer makes of a masked model: secret, as what it is made of.
fn corrections(network: &Network<LAYERS>, key: &Key, seed: &Key, weights: &[Vec<u32>]) -> Vec<u8> {
    let mask = Keystream::<ChaCha12>::new(seed);
    let mut masked = weights.to_vec();
    for ((index, layer), weights) in (0_u16..).zip(0..).zip(&mut masked) {
        mask_weights(&mask, index, &network.parts(layer), weights);
    }
    let mut scratch = vec![0; deal::scratch_elems(network)];
    let mut out = vec![0; deal::correction_bytes(network)];
    let (rng, binding) = (&mut Secrets::new(3), binding_of(network, key));
    deal::session(network, &binding, SESSION, &masked, rng, &mut scratch, &mut out)
        .expect("fitting lengths");
    out
}

pub fn binding() {
    let key = Key::from_bytes(Secrets::new(1).key());
    let binding = binding_of(&network(), &key);
    let [order, again] = [(); 2].map(|()| binding.order(&[7; 16], SESSION, 20));
    let keystream = binding.session(SESSION);
    let domain = Domain { session: SESSION, layer: 1, kind: Kind::Record };
    let mut words = [0_u64; 40];
    keystream.fill_long(domain, 0, &mut words);
    black_box((keystream.key_id(), words, order == again));
}

pub fn dealing() {
    let (network, mut secrets) = (network(), Secrets::new(2));
    let [weights, _] = model(&network, &mut secrets);
    let [key, seed] = [secrets.key(), secrets.key()].map(Key::from_bytes);
    black_box(corrections(&network, &key, &seed, &weights));
}

/// `E r + a_0`, with the seed of `E` secret: in a session the host sends it to the device, over
/// what is a public line here.
pub fn products() {
    let (network, mut secrets) = (network(), Secrets::new(5));
    let [key, seed] = [secrets.key(), secrets.key()].map(|key| Keystream::new(&key_of(key)));
    let (model, keystream): (Keystream, Keystream) = (seed, key);
    let mut offline = Offline::new(&keystream, SessionToken::consumed(SESSION));
    for index in 0..network.layers().len() {
        let (rows, _) = offline.layer(&model, network.parts(index), Follows::Answer);
        for rows in rows {
            let mut words = vec![0_u32; rows.len()];
            linear::prepare(rows, &mut [0; TILE_ELEMS], &mut words).expect("fitting lengths");
            black_box(words);
        }
    }
}

fn key_of(bytes: [u8; 32]) -> Key {
    Key::from_bytes(bytes)
}

struct Counter;

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(SESSION)
    }

    async fn consume(&mut self, _: u64) -> Result<(), CounterError> {
        Ok(())
    }
}

pub fn to_device() {
    session(Answer::Device);
}

pub fn to_host() {
    session(Answer::Host);
}

fn session(answer: Answer) {
    let (network, mut secrets) = (network(), Secrets::new(4));
    let model = model(&network, &mut secrets);
    let (key, seed) = (Key::from_bytes(secrets.key()), Key::from_bytes(secrets.key()));
    let corrections = corrections(&network, &key, &seed, &model[0]);
    let mut input = secrets.words(network.inputs());
    // Small enough for every layer to make something of it.
    input.iter_mut().for_each(|word| *word %= 1 << 12);
    let id = DeviceId::new("pump-07").expect("a name");
    let identity = Identity::new(id, &key);
    let (device_end, host_end) = Line::pair();
    let (shown, learned) = block_on(join(
        device(device_end, &identity, answer, &input),
        host(host_end, answer, (&network, &model, &seed), &corrections),
    ));
    let learned = [shown.expect("the device"), learned.expect("the host")];
    // The answer, whoever it is for, is compared with the twin's.
    let learned = learned.map(public::<u32, Vec<u32>>);
    let mut vectors = vec![0; network.vectors_elems()];
    vectors[..input.len()].copy_from_slice(&public(input));
    let [weights, biases] = model.map(|rows| rows.into_iter().map(public::<u32, Vec<u32>>));
    let (weights, biases): (Vec<_>, Vec<_>) = (weights.collect(), biases.collect());
    let [weights, biases] = [&weights, &biases].map(|rows| rows_of(rows));
    let twin = network.twin(&PlainModel { weights: &weights, biases: &biases }, &mut vectors);
    let twin = twin.expect("has room").to_vec();
    let expected = match answer {
        Answer::Host => [vec![], twin],
        _ => [twin, vec![]],
    };
    assert_eq!(learned, expected);
}

fn rows_of(rows: &[Vec<u32>]) -> Vec<&[u32]> {
    rows.iter().map(Vec::as_slice).collect()
}

async fn device(
    io: Line,
    identity: &Identity,
    answer: Answer,
    input: &[u32],
) -> Result<Vec<u32>, SessionError> {
    let host = DeviceId::new("hall-2");
    let policy =
        Policy { answer, inputs: Some(input.len()), max_outputs: 3, max_blocks: 1 << 18, host };
    let mut network = Network::<LAYERS>::default();
    let connected = connect(io, identity, policy, &mut network).await?;
    let mut words = [0; 3];
    let prepared = connected.prepare(&mut Counter, &mut words).await?;
    Ok(prepared.infer(input).await?.1.to_vec())
}

async fn host(
    io: Line,
    answer: Answer,
    (network, model, seed): (&Network<LAYERS>, &Rows, &Key),
    corrections: &[u8],
) -> Result<Vec<u32>, SessionError> {
    let (mut reader, mut writer) = (io.clone(), io);
    p1::receive_hello(&mut reader).await?;
    let buffer = &mut [0; max_welcome_bytes(LAYERS)];
    p1::welcome(&mut writer, network, seed.expose(), &MASKED_ID, buffer).await?;
    p1::receive_request(&mut reader).await?;
    p1::grant(&mut writer, SESSION).await?;
    let sizes = ScratchSizes::of(network);
    let scratch = Scratch {
        masked: &mut vec![0; sizes.masked_elems],
        vectors: &mut vec![0; sizes.vectors_elems],
        output: &mut vec![0; sizes.width_elems],
        own_bits: &mut vec![0; sizes.bits_bytes],
        peer_bits: &mut vec![0; sizes.bits_bytes],
    };
    let [weights, biases] = model.each_ref().map(|rows| rows_of(rows));
    let model = PlainModel { weights: &weights, biases: &biases };
    let prepared = P1::new(network, &model, answer).prepare(&mut reader, scratch).await?;
    let ready = prepared.input(&mut reader).await?;
    let learned = ready.infer(&mut reader, &mut writer, corrections).await?;
    Ok(learned.map_or_else(Vec::new, |words| words.to_vec()))
}
