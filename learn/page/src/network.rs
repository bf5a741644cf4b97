//! A whole network between a device and a host: a session on a line in memory, every message
//! counted.

use embassy_futures::block_on;
use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use serde::Serialize;
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::session::linear::mask_weights;
use sharelet_core::session::network::{self, Activation};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{emit, max_welcome_bytes};
use sharelet_core::session::wire::frame::{HEADER_BYTES, Header, Kind};
use sharelet_core::session::{CounterError, deal};
use sharelet_core::transport::{Counting, Counts};
use sharelet_core::{
    Answer as Learns, DeviceId, Identity, Network, Policy, SessionCounter, SessionError, connect,
    decode, fixed,
};

use crate::fields::Fields;
use crate::line::{Line, Message};
use crate::model::{self, LAYERS, Model};
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed, unhex};

/// The question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The built-in reading.
    pub reading: usize,
    /// What one of its values is replaced by: its number, and the value in thousandths.
    pub change: Option<(usize, i64)>,
    /// Another model's file, as hexadecimal digits; the reading is then all zeros but the change.
    pub model: Option<String>,
    /// Randomness.
    pub seed: Seed,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let change = match fields.find("place") {
            Some(_) => Some((fields.number("place")?, fields.number("value")?)),
            None => None,
        };
        let model = fields.find("model").map(str::to_owned);
        Ok(Self { reading: fields.number("reading")?, change, model, seed: Seed::read(fields)? })
    }
}

/// What happens between device and host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    name: String,
    layers: Vec<Layer>,
    reading: Vec<f32>,
    /// What the machine did, where that is known.
    truth: String,
    messages: Vec<Passed>,
    /// Bytes from device to host and back, and round trips: greeting, preparing, and with a
    /// reading.
    phases: [Phase; 3],
    dealer_bytes: usize,
    key_bytes: usize,
    outputs: Vec<Output>,
    /// The number of the largest output.
    largest: usize,
    /// Whether every word is the twin's.
    exact: bool,
}

/// A layer's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Layer {
    inputs: u16,
    outputs: u16,
    weights: usize,
    relu: bool,
    gate_bits: u8,
    shift: u8,
}

/// Bytes and round trips of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Phase {
    up: u64,
    down: u64,
    rounds: u32,
}

impl From<Counts> for Phase {
    fn from(counts: Counts) -> Self {
        let Counts { sent_bytes, received_bytes, round_trips } = counts;
        Self { up: sent_bytes, down: received_bytes, rounds: round_trips }
    }
}

/// A message that has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Passed {
    from: usize,
    bytes: usize,
    /// What it consists of: kinds and layers.
    frames: Vec<(String, u8)>,
    /// What hides it from the other side.
    hides: &'static str,
}

/// An output, private and in the clear.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Output {
    label: String,
    word: i32,
    twin: i32,
    value: f32,
}

/// A counter that forgets: the page makes a new key every time.
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

/// What the device ends with: the answer, and what passed in each phase.
type Done = (Vec<u32>, [Counts; 3]);

async fn device(
    line: Line,
    identity: &Identity,
    input: &[u32],
    network: &mut Network<LAYERS>,
    answer: &mut [u32],
) -> Result<Done, SessionError> {
    let policy = Policy {
        host: None,
        answer: Learns::Device,
        inputs: Some(input.len()),
        max_outputs: answer.len(),
        max_blocks: 1 << 18,
    };
    let mut connected = connect(Counting::new(line), identity, policy, network).await?;
    let greeting = connected.io_mut().take();
    let mut prepared = connected.prepare(&mut Counter(0), answer).await?;
    let preparing = prepared.io_mut().take();
    let (mut connected, answer) = prepared.infer(input).await?;
    let online = connected.io_mut().take();
    Ok((answer.to_vec(), [greeting, preparing, online]))
}

/// What the host has.
struct Host<'h> {
    model: &'h Model,
    seed: [u8; 32],
    masked_id: [u8; 32],
    corrections: &'h [u8],
}

async fn host(
    mut reader: impl Read,
    mut writer: impl Write,
    host: &Host<'_>,
) -> Result<(), SessionError> {
    let network = &host.model.network;
    p1::receive_hello(&mut reader).await?;
    let mut buffer = vec![0; max_welcome_bytes(LAYERS)];
    p1::welcome(&mut writer, network, &host.seed, &host.masked_id, &mut buffer).await?;
    let request = p1::receive_request(&mut reader).await?.ok_or(SessionError::Closed)?;
    p1::grant(&mut writer, request.next_session).await?;
    let sizes = ScratchSizes::of(network);
    let [mut masked, mut vectors, mut output] =
        [sizes.masked_elems, sizes.vectors_elems, sizes.width_elems].map(|size| vec![0; size]);
    let [mut own_bits, mut peer_bits] = [(); 2].map(|()| vec![0; sizes.bits_bytes]);
    let scratch = Scratch {
        masked: &mut masked,
        vectors: &mut vectors,
        output: &mut output,
        own_bits: &mut own_bits,
        peer_bits: &mut peer_bits,
    };
    let session = P1::new(network, host.model, Learns::Device);
    let ready = session.prepare(&mut reader, scratch).await?.input(&mut reader).await?;
    ready.infer(&mut reader, &mut writer, host.corrections).await?;
    Ok(())
}

/// What the dealer sends the host, for session 0.
fn corrections(
    model: &Model,
    seed: &[u8; 32],
    masked_id: &[u8; 32],
    device: &Keystream<ChaCha12>,
    rng: &mut impl rand_core::CryptoRng,
) -> Result<Vec<u8>, Refusal> {
    let network = &model.network;
    let mask = Keystream::<ChaCha12>::new(&Key::from_bytes(*seed));
    let mut masked = model.weights.clone();
    for ((index, layer), weights) in (0_u16..).zip(0..).zip(&mut masked) {
        mask_weights(&mask, index, &network.parts(layer), weights);
    }
    let mut description = [0; 1024];
    let used = emit(network, &mut description)
        .ok_or_else(|| Refusal::new("The network's description is too long for this page."))?;
    let description = description.get(..used).unwrap_or_default();
    let binding = Binding::of_network(device, description, masked_id);
    let mut scratch = vec![0; deal::scratch_elems(network)];
    let mut out = vec![0; deal::correction_bytes(network)];
    deal::session(network, &binding, 0, &masked, rng, &mut scratch, &mut out)?;
    Ok(out)
}

/// The reading that is asked for, and what is known about it.
fn reading(ask: &Ask, model: &Model) -> Result<(Vec<f32>, String), Refusal> {
    let (mut reading, mut truth) = match ask.model {
        None => {
            let (reading, truth) = model::reading(ask.reading)?;
            (reading, truth.to_owned())
        }
        Some(_) => (vec![0.0; model.network.inputs()], String::new()),
    };
    if let Some((place, thousandths)) = ask.change {
        let inputs = reading.len();
        let value = reading.get_mut(place).ok_or_else(|| {
            Refusal::new(format!(
                "A reading has {inputs} values, from 0 on: none has number {place}."
            ))
        })?;
        // A fixed-point number with three digits, as the page has it.
        #[allow(clippy::cast_precision_loss)]
        let changed = thousandths as f32 / 1000.0;
        *value = changed;
        truth.clear();
    }
    Ok((reading, truth))
}

/// Runs a session.
///
/// # Errors
/// A reading or a model that cannot be used.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    let model = match &ask.model {
        None => Model::built_in()?,
        Some(file) => Model::read(&unhex(file).unwrap_or_default())?,
    };
    let network = &model.network;
    let (reading, truth) = reading(ask, &model)?;
    let mut input = vec![0; reading.len()];
    fixed::encode(&reading, network.input_scale(), network.input_limit().into(), &mut input)
        .map_err(Refusal::of)?;

    let key = Key::generate(&mut ask.seed.of(Drawer::P0, 0));
    let mut hosts = ask.seed.of(Drawer::P1, 0);
    let [seed, masked_id] = [(); 2].map(|()| *Key::generate(&mut hosts).expose());
    let device_keystream = Keystream::<ChaCha12>::new(&key);
    let dealer = &mut ask.seed.of(Drawer::Dealer, 0);
    let corrections = corrections(&model, &seed, &masked_id, &device_keystream, dealer)?;

    let id = DeviceId::new("page").ok_or_else(|| Refusal::new("The device has no name."))?;
    let identity = Identity::new(id, &key);
    let ([device_end, host_end], tally) = Line::pair();
    let mut described = Network::<LAYERS>::default();
    let mut room = vec![0; network.outputs()];
    let has = Host { model: &model, seed, masked_id, corrections: &corrections };
    let (answered, hosted) = block_on(join(
        device(device_end, &identity, &input, &mut described, &mut room),
        host(host_end.clone(), host_end, &has),
    ));
    let (words, phases) = answered?;
    hosted?;

    let mut vectors = vec![0; network.vectors_elems()];
    vectors.iter_mut().zip(&input).for_each(|(word, &input)| *word = input);
    let twin = network.twin(&model, &mut vectors).map(|twin| twin.to_vec()).unwrap_or_default();
    let outputs = outputs(&model, &words, &twin);
    let largest = (0..words.len()).max_by_key(|&index| words.get(index).map(|w| w.cast_signed()));
    Ok(Answer {
        name: model.name.clone(),
        layers: layers(&model),
        reading,
        truth,
        messages: tally.borrow().iter().map(passed).collect(),
        phases: phases.map(Phase::from),
        dealer_bytes: corrections.len(),
        key_bytes: key.expose().len(),
        outputs,
        largest: largest.unwrap_or(0),
        exact: words == twin,
    })
}

fn outputs(model: &Model, words: &[u32], twin: &[u32]) -> Vec<Output> {
    let frac_bits = model.network.output_frac_bits();
    let pairs = words.iter().zip(twin).enumerate();
    let output = |(index, (&word, &twin)): (usize, (&u32, &u32))| Output {
        label: model.label(index),
        word: word.cast_signed(),
        twin: twin.cast_signed(),
        value: decode(word, frac_bits),
    };
    pairs.map(output).collect()
}

fn layers(model: &Model) -> Vec<Layer> {
    let layers = model.network.layers().iter().enumerate();
    let layer = |(index, layer): (usize, &network::Layer)| Layer {
        inputs: layer.inputs(),
        outputs: layer.outputs(),
        weights: model.network.weight_elems(index),
        relu: layer.activation == Activation::Relu,
        gate_bits: layer.gate_bits,
        shift: layer.shift,
    };
    layers.map(layer).collect()
}

/// A message's frames, by their headers.
fn passed(message: &Message) -> Passed {
    let mut frames = Vec::new();
    let mut hides = "";
    let mut rest = message.bytes.as_slice();
    while let Some((header, body)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let Ok(header) = Header::parse(*header) else { break };
        let (name, why) = frame(header.kind);
        frames.push((name.to_owned(), header.layer));
        hides = why;
        let bytes = usize::try_from(header.body_bytes).unwrap_or(usize::MAX);
        rest = body.get(bytes..).unwrap_or_default();
    }
    Passed { from: message.from, bytes: message.bytes.len(), frames, hides }
}

/// What a frame is called, and what hides what it says.
fn frame(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Hello => ("Hello", "nothing: who is there, and who learns the answer"),
        Kind::Welcome => ("Welcome", "nothing: shapes of the layers, and a seed that is no weight"),
        Kind::Request => ("Request", "nothing: a session number that was not used"),
        Kind::Grant => ("Grant", "nothing: the number that is used now"),
        Kind::Prepared => {
            ("Prepared", "made before there is a reading: u + r, under the gates' masks")
        }
        Kind::Input => {
            ("Input", "the layer's input under its mask r, and the last gates' bits under rho")
        }
        Kind::Gate => ("Gate", "z, which is y + r, and the host's bits under rho"),
        Kind::Output => ("Output", "the device's bits of the last gates under rho"),
        Kind::Answer => {
            ("Answer", "the host's share, which only the device's share makes a number")
        }
        _ => ("other", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(reading: usize) -> Ask {
        Ask { reading, change: None, model: None, seed: Seed::test(0x5a) }
    }

    #[test]
    fn answers_are_the_twins_and_mostly_right() {
        let mut right = 0;
        for reading in 0..12 {
            let answer = answer(&ask(reading)).expect("runs");
            assert!(answer.exact, "reading {reading}");
            right += usize::from(answer.outputs[answer.largest].label == answer.truth);
            let passed: usize = answer.messages.iter().map(|message| message.bytes).sum();
            let counted: u64 = answer.phases.iter().map(|phase| phase.up + phase.down).sum();
            assert_eq!(passed as u64, counted, "every byte belongs to a message");
        }
        assert!(right >= 10, "{right} of 12");
    }

    #[test]
    fn what_cannot_be_run_is_said() {
        let said = |ask: Ask| answer(&ask).expect_err("refused").0;
        assert!(said(ask(12)).contains("12 readings"));
        assert!(said(Ask { change: Some((27, 0)), ..ask(0) }).contains("27 values"));
        assert!(said(Ask { change: Some((0, 1 << 40)), ..ask(0) }).contains("The core refuses"));
        assert!(said(Ask { model: Some(String::new()), ..ask(0) }).contains("empty"));
    }
}
