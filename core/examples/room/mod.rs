//! What both examples stand in: a line in memory, a counter, a small model, and a dealer.
#![allow(dead_code, reason = "either example needs a part")]

use core::cell::RefCell;
use core::error::Error;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::session::linear::mask_weights;
use sharelet_core::session::network::{Activation, Layer, NetworkError, PlainModel};
use sharelet_core::session::p1::{Scratch, ScratchSizes};
use sharelet_core::session::wire::control::emit;
use sharelet_core::session::{CounterError, deal};
use sharelet_core::{Key, Network, SessionCounter};

/// What the dealer and the device share, from the day on which the device is provisioned.
pub const DEVICE_KEY: [u8; 32] = [1; 32];
/// The host's own: it hides the weights from the dealer.
pub const MODEL_SEED: [u8; 32] = [2; 32];
/// Names the masked model between the host and its dealer: a digest of it.
pub const MASKED_ID: [u8; 32] = [4; 32];
/// The session that is dealt. A host grants the numbers one after the other.
pub const SESSION: u64 = 7;

/// Fraction bits of inputs, of weights, and of answers.
pub const FRAC_BITS: u8 = 8;
/// Row-major, with 8 fraction bits: 3 inputs to 4 values, and these to 2.
const WEIGHTS: [&[i32]; 2] = [
    &[256, -128, 64, 0, 300, -20, -256, 256, 128, 77, -7, 256],
    &[128, -64, 256, 32, -256, 128, 64, 200],
];
/// With 16 fraction bits, as products have.
const BIASES: [&[i32]; 2] = [&[6554, -6554, 0, 65536], &[0, 32768]];

/// The public description: a ReLU between two dense layers, answers with 8 fraction bits.
pub fn network() -> Result<Network<8>, NetworkError> {
    let limit = 16 << FRAC_BITS;
    let layers = [
        Layer::dense(3, 4, FRAC_BITS, FRAC_BITS, Activation::Relu),
        Layer::dense(4, 2, FRAC_BITS, FRAC_BITS, Activation::Identity),
    ];
    Network::new(FRAC_BITS, limit, &layers)
}

/// The private part, as words.
pub struct Model {
    weights: Vec<Vec<u32>>,
    biases: Vec<Vec<u32>>,
}

impl Model {
    pub fn new() -> Self {
        let words = |rows: [&[i32]; 2]| {
            rows.map(|row| row.iter().map(|value| value.cast_unsigned()).collect()).to_vec()
        };
        Self { weights: words(WEIGHTS), biases: words(BIASES) }
    }

    /// Weights and biases, layer by layer: what a `PlainModel` is made of.
    pub fn rows(&self) -> [Vec<&[u32]>; 2] {
        [&self.weights, &self.biases].map(|rows| rows.iter().map(Vec::as_slice).collect())
    }

    /// The answer in the clear, for comparison.
    pub fn twin(&self, network: &Network<8>, input: &[u32]) -> Option<Vec<u32>> {
        let mut vectors = vec![0; network.vectors_elems()];
        vectors.iter_mut().zip(input).for_each(|(word, &input)| *word = input);
        let [weights, biases] = self.rows();
        let model = PlainModel { weights: &weights, biases: &biases };
        network.twin(&model, &mut vectors).map(|answer| answer.to_vec())
    }

    /// What a dealer sends the host for [`SESSION`]. It sees the weights under a mask.
    pub fn corrections(&self, network: &Network<8>) -> Result<Vec<u8>, Box<dyn Error>> {
        let mask = Keystream::<ChaCha12>::new(&Key::from_bytes(MODEL_SEED));
        let mut masked = self.weights.clone();
        for ((index, layer), weights) in (0_u16..).zip(0..).zip(&mut masked) {
            mask_weights(&mask, index, &network.parts(layer), weights);
        }
        let device = Keystream::<ChaCha12>::new(&Key::from_bytes(DEVICE_KEY));
        let mut scratch = vec![0; deal::scratch_elems(network)];
        let mut corrections = vec![0; deal::correction_bytes(network)];
        // A dealer takes the operating system's randomness.
        let mut rng = ChaCha12Rng::from_seed([3; 32]);
        let out = &mut corrections;
        // The device's keystream is bound to the network and the masked model.
        let mut description = [0; 256];
        let used = emit(network, &mut description).ok_or("the network is too large")?;
        let binding = Binding::of_network(&device, &description[..used], &MASKED_ID);
        deal::session(network, &binding, SESSION, &masked, &mut rng, &mut scratch, out)?;
        Ok(corrections)
    }
}

/// Memory that a host's session works in.
pub struct Memory {
    words: [Vec<u32>; 3],
    bits: [Vec<u8>; 2],
}

impl Memory {
    pub fn new(network: &Network<8>) -> Self {
        let sizes = ScratchSizes::of(network);
        let words =
            [sizes.masked_elems, sizes.vectors_elems, sizes.width_elems].map(|size| vec![0; size]);
        Self { words, bits: [vec![0; sizes.bits_bytes], vec![0; sizes.bits_bytes]] }
    }

    pub fn scratch(&mut self) -> Scratch<'_> {
        let ([masked, vectors, output], [own_bits, peer_bits]) = (&mut self.words, &mut self.bits);
        Scratch { masked, vectors, output, own_bits, peer_bits }
    }
}

/// A counter that forgets: a device writes it where it survives a power cut.
pub struct Counter(pub u64);

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(self.0)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        self.0 = session + 1;
        Ok(())
    }
}

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// One end of a line in memory; in its place any transport of `embedded-io-async` will do.
#[derive(Clone)]
pub struct Line {
    incoming: Bytes,
    outgoing: Bytes,
}

impl Line {
    pub fn pair() -> (Self, Self) {
        let (there, back) = (Bytes::default(), Bytes::default());
        let end = Self { incoming: there.clone(), outgoing: back.clone() };
        (end, Self { incoming: back, outgoing: there })
    }
}

impl ErrorType for Line {
    type Error = core::convert::Infallible;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        while self.incoming.borrow().is_empty() && !buffer.is_empty() {
            yield_now().await;
        }
        let mut incoming = self.incoming.borrow_mut();
        let len = buffer.len().min(incoming.len());
        buffer.iter_mut().zip(incoming.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.outgoing.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
