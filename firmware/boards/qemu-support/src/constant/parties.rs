//! A device and its host in one program, with a dealer that has gone when they meet.

use core::cell::Cell;
use core::hint::black_box;
use core::pin::pin;

use armv7m::ChaCha12;
use embedded_io_async::{Read, Write};
use sharelet_channel::{
    Accepted, Channel, Connected, Error, Identity as Own, NotStored, Party, Pin, Pins, Ratchet,
    Resumption, ResumptionId, Role, StaticKey, accept, connect as connect_channel, connect_psk,
};
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{self, Keystream};
use sharelet_core::session::linear::mask_weights;
use sharelet_core::session::network::{Activation, Layer, PlainModel};
use sharelet_core::session::p1::{self, P1, Scratch};
use sharelet_core::session::wire::control::{emit, max_welcome_bytes};
use sharelet_core::session::{CounterError, SessionError, deal};
use sharelet_core::{
    Answer, DeviceId, Identity, Key, Network, Policy, SessionCounter, connect, encode_or_zero,
};

use super::counts::{Counts, Part};
use super::line::{End, Line};
use super::secrets::{FRAC_BITS, INPUTS, LIMIT, Secrets};
use crate::memory::stack_below;

/// A full record.
pub const RECORD_BYTES: usize = 512;
const LAYERS: usize = 5;
const HIDDEN: usize = 4;
const OUTPUTS: usize = 2;
const SESSION: u64 = 7;
const MASKED_ID: [u8; 32] = [4; 32];
const CORRECTION_BYTES: usize = 12 * 1024;

/// What the host and the dealer work in.
pub struct Memory {
    corrections: [u8; CORRECTION_BYTES],
    scratch: [u32; 64],
    line: Line,
}

impl Memory {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { corrections: [0; CORRECTION_BYTES], scratch: [0; 64], line: Line::new() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// How two parties meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// By static keys.
    KkPsk0,
    /// By what a session left.
    NnPsk0,
    /// By a provisioned key.
    Psk,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KkPsk0, Self::NnPsk0, Self::Psk];

    /// As in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::KkPsk0 => "KKpsk0",
            Self::NnPsk0 => "NNpsk0",
            Self::Psk => "psk",
        }
    }
}

/// What an initiator's handshake takes besides instructions.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes that it sends.
    pub up_bytes: usize,
    /// Bytes that it receives.
    pub down_bytes: usize,
    /// The deepest that the stack gets below whoever polls it.
    pub stack_bytes: usize,
    /// What it keeps while it waits.
    pub state_bytes: usize,
}

fn party(role: Role, name: &str) -> Result<Party, &'static str> {
    Party::new(role, name).ok_or("a name is none")
}

/// The device, and its host.
fn both() -> Result<[Party; 2], &'static str> {
    Ok([party(Role::Device, "pump-07")?, party(Role::Host, "hall-2")?])
}

/// What the host knows of the device.
struct Known {
    pin: Option<Pin>,
    left: Option<Resumption>,
    ratchet: [u8; 32],
}

impl Pins for Known {
    fn pin(&mut self, _: &Party) -> Option<Pin> {
        self.pin.take()
    }

    fn resumption(&mut self, _: &Party, _: &ResumptionId) -> Option<Resumption> {
        self.left.take()
    }

    fn keep(&mut self, _: &Party, left: Resumption) {
        self.left = Some(left);
    }

    fn ratchet(&mut self, _: &Party) -> Option<Ratchet> {
        Some(Ratchet::new(Key::from_bytes(self.ratchet)))
    }

    fn advanced(&mut self, _: &Party, _: Ratchet) -> Result<(), NotStored> {
        Ok(())
    }
}

/// Every number is unused: what is dealt is dealt once.
struct Counter;

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(SESSION)
    }

    async fn consume(&mut self, _: u64) -> Result<(), CounterError> {
        Ok(())
    }
}

/// Secrets of one session.
struct Setup {
    device_key: [u8; 32],
    model_seed: [u8; 32],
    ratchet: [u8; 32],
    weights: [[u32; INPUTS * HIDDEN]; 2],
    biases: [[u32; HIDDEN]; 2],
    reading: [f32; INPUTS],
}

fn network() -> Result<Network<LAYERS>, &'static str> {
    let (inputs, hidden, outputs) = (INPUTS as u16, HIDDEN as u16, OUTPUTS as u16);
    let layers = [
        Layer::dense(inputs, hidden, 8, 8, Activation::Relu),
        Layer::dense(hidden, hidden, 8, 8, Activation::Relu),
        Layer::dense(hidden, outputs, 8, 0, Activation::Identity),
    ];
    Network::new(FRAC_BITS, LIMIT, &layers).map_err(|_| "the network is none")
}

impl Setup {
    fn new(secrets: &mut Secrets, trial: u32) -> Self {
        let mut key = || secrets.bytes(trial);
        let (device_key, model_seed, ratchet) = (key(), key(), key());
        let mut words = |_| secrets.weight(trial);
        let weights = [(); 2].map(|()| core::array::from_fn(&mut words));
        let biases = [(); 2].map(|()| core::array::from_fn(&mut words));
        let reading = secrets.reading(trial);
        Self { device_key, model_seed, ratchet, weights, biases, reading }
    }

    /// The weights and biases of the three layers. The second's are a part of the first's.
    fn model(&self) -> ([&[u32]; 3], [&[u32]; 3]) {
        let [first, last] = &self.weights;
        let [first_biases, last_biases] = &self.biases;
        (
            [first, &last[..HIDDEN * HIDDEN], &first[..HIDDEN * OUTPUTS]],
            [first_biases, last_biases, &first_biases[..OUTPUTS]],
        )
    }

    fn deal<'m>(
        &self,
        network: &Network<LAYERS>,
        memory: &'m mut [u8],
        scratch: &mut [u32],
        secrets: &mut Secrets,
    ) -> Result<&'m [u8], &'static str> {
        let mask = Keystream::<keystream::ChaCha12>::new(&Key::from_bytes(self.model_seed));
        let mut masked = [[0; INPUTS * HIDDEN]; 3];
        let (weights, _) = self.model();
        for ((layer, masked), weights) in (0_u16..).zip(&mut masked).zip(weights) {
            masked[..weights.len()].copy_from_slice(weights);
            let parts = network.parts(layer.into());
            mask_weights(&mask, layer, &parts, &mut masked[..weights.len()]);
        }
        let masked = [0, 1, 2].map(|layer| &masked[layer][..weights[layer].len()]);
        let mut description = [0; max_welcome_bytes(LAYERS)];
        let used = emit(network, &mut description).ok_or("no room for the description")?;
        let key = Keystream::<keystream::ChaCha12>::new(&Key::from_bytes(self.device_key));
        let binding = Binding::of_network(&key, &description[..used], &MASKED_ID);
        let scratch = scratch.get_mut(..deal::scratch_elems(network)).ok_or("no scratch")?;
        let out = memory.get_mut(..deal::correction_bytes(network)).ok_or("no room to deal")?;
        deal::session(network, &binding, SESSION, &masked, secrets, scratch, out)
            .map_err(|_| "dealing failed")?;
        Ok(out)
    }

    async fn device(
        &self,
        counts: &Counts,
        mut end: End<'_>,
        secrets: &mut Secrets,
    ) -> Result<[u32; OUTPUTS], &'static str> {
        let [own, host] = both()?;
        counts.begin(Part::Ratchet);
        let (key, _) = Ratchet::new(Key::from_bytes(self.ratchet)).advance();
        counts.end();
        counts.begin(Part::Handshake);
        let connected = connect_psk(&mut end, &own, &host, key, secrets).await.map_err(name)?;
        counts.end();
        let identity: Identity<ChaCha12> =
            Identity::new(own.name, &Key::from_bytes(self.device_key));
        let mut network = Network::<LAYERS>::default();
        counts.begin(Part::Connect);
        let channel = connected.keys.channel(end);
        let connected =
            connect(channel, &identity, policy(host.name), &mut network).await.map_err(named)?;
        counts.end();
        let mut words = [0; OUTPUTS];
        counts.begin(Part::Prepare);
        let prepared = connected.prepare(&mut Counter, &mut words).await.map_err(named)?;
        counts.end();
        counts.begin(Part::Infer);
        let mut input = [0; INPUTS];
        // Whether it fits, the device alone is told, after the session.
        let _ = black_box(encode_or_zero(&self.reading, FRAC_BITS, LIMIT, &mut input));
        let (_, answer) = prepared.infer(&input).await.map_err(named)?;
        counts.end();
        Ok(core::array::from_fn(|at| answer[at]))
    }

    async fn host(
        &self,
        network: &Network<LAYERS>,
        end: End<'_>,
        corrections: &[u8],
        secrets: &mut Secrets,
    ) -> Result<(), &'static str> {
        let [_, host] = both()?;
        let own = Own::without_static_key(host);
        let mut known = Known { pin: None, left: None, ratchet: self.ratchet };
        let mut transport = end;
        let accepted = accept(&mut transport, &own, &mut known, secrets).await.map_err(name)?;
        let (mut reader, mut writer) = accepted.keys.halves(end, end);
        p1::receive_hello(&mut reader).await.map_err(named)?;
        let buffer = &mut [0; max_welcome_bytes(LAYERS)];
        p1::welcome(&mut writer, network, &self.model_seed, &MASKED_ID, buffer)
            .await
            .map_err(named)?;
        let asked = p1::receive_request(&mut reader).await.map_err(named)?;
        asked.ok_or("the device asked for nothing")?;
        p1::grant(&mut writer, SESSION).await.map_err(named)?;
        let (mut masked, mut vectors, mut output) = ([0; 2 * HIDDEN], [0; 32], [0; INPUTS]);
        let (mut own_bits, mut peer_bits) = ([0; 128], [0; 128]);
        let scratch = Scratch {
            masked: &mut masked,
            vectors: &mut vectors,
            output: &mut output,
            own_bits: &mut own_bits,
            peer_bits: &mut peer_bits,
        };
        let (weights, biases) = self.model();
        let model = PlainModel { weights: &weights, biases: &biases };
        let session = P1::new(network, &model, Answer::Device);
        let prepared = session.prepare(&mut reader, scratch).await.map_err(named)?;
        let ready = prepared.input(&mut reader).await.map_err(named)?;
        ready.infer(&mut reader, &mut writer, corrections).await.map_err(named)?;
        Ok(())
    }

    fn twin(&self, network: &Network<LAYERS>) -> Result<[u32; OUTPUTS], &'static str> {
        let mut vectors = [0; 32];
        let _ = encode_or_zero(&self.reading, FRAC_BITS, LIMIT, &mut vectors[..INPUTS]);
        let (weights, biases) = self.model();
        let model = PlainModel { weights: &weights, biases: &biases };
        let answer = network.twin(&model, &mut vectors).ok_or("no room for the twin")?;
        answer.first_chunk().copied().ok_or("the twin has no answer")
    }
}

fn policy(host: DeviceId) -> Policy {
    Policy {
        host: Some(host),
        answer: Answer::Device,
        inputs: Some(INPUTS),
        max_outputs: OUTPUTS,
        max_blocks: 1 << 12,
    }
}

fn name(error: Error) -> &'static str {
    error.name()
}

fn named(error: SessionError) -> &'static str {
    error.name()
}

/// A whole session of a device and its host over a channel, of which the device's side is counted;
/// the answer must be right.
pub fn session(
    counts: &Counts,
    memory: &mut Memory,
    secrets: &mut Secrets,
    trial: u32,
) -> Result<(), &'static str> {
    let setup = Setup::new(secrets, trial);
    let network = network()?;
    let Memory { corrections, scratch, line } = memory;
    *line = Line::new();
    let dealt = setup.deal(&network, corrections, scratch, secrets)?;
    let (near, far) = line.ends();
    let mut others = Secrets::new(u64::from(trial) << 32);
    let device = setup.device(counts, near, secrets);
    let host = setup.host(&network, far, dealt, &mut others);
    let (answer, served) = counts.run(device, host).ok_or("both wait for the other")?;
    served?;
    if answer? == setup.twin(&network)? { Ok(()) } else { Err("an answer is wrong") }
}

/// A channel between two parties by a provisioned key.
fn channel<'l>(line: &'l Line, secrets: &mut Secrets) -> Result<Ends<'l>, &'static str> {
    let ratchet = secrets.bytes(2);
    let (near, far) = line.ends();
    let [own, host] = both()?;
    let (key, _) = Ratchet::new(Key::from_bytes(ratchet)).advance();
    let (mut there, mut here) = (far, near);
    let mut known = Known { pin: None, left: None, ratchet };
    let identity = Own::without_static_key(host);
    let mut others = Secrets::new(1 << 33);
    let connecting = connect_psk(&mut here, &own, &host, key, secrets);
    let accepting = accept(&mut there, &identity, &mut known, &mut others);
    let met = Counts::new().run(connecting, accepting).ok_or("both wait for the other")?;
    let (connected, accepted): (Result<Connected, _>, Result<Accepted, _>) = met;
    let (connected, accepted) = (connected.map_err(name)?, accepted.map_err(name)?);
    Ok((connected.keys.channel(near), accepted.keys.channel(far)))
}

type Ends<'l> = (Channel<End<'l>>, Channel<End<'l>>);

/// Full records that are sealed and opened, of any bytes.
pub fn records(counts: &Counts, secrets: &mut Secrets) -> Result<(), &'static str> {
    let line = Line::new();
    let (mut near, mut far) = channel(&line, secrets)?;
    let plain = RECORDS.map(|trial| secrets.bytes::<RECORD_BYTES>(trial));
    for plain in plain {
        let sent = counts.run(
            async {
                counts.begin(Part::Seal);
                near.write_all(&plain).await?;
                near.flush().await?;
                counts.end();
                Ok::<_, Error>(())
            },
            async {},
        );
        sent.ok_or("a writer waits")?.0.map_err(name)?;
        let mut got = [0; RECORD_BYTES];
        let received = counts.run(
            async {
                counts.begin(Part::Open);
                let read = far.read(&mut got).await?;
                counts.end();
                Ok::<_, Error>(read)
            },
            async {},
        );
        let read = received.ok_or("a reader waits")?.0.map_err(name)?;
        if read != RECORD_BYTES || got != plain {
            return Err("a record was opened to something else");
        }
    }
    Ok(())
}

/// Zeros, ones, anything.
const RECORDS: [u32; 3] = [0, 1, 2];

/// Bytes of an open channel.
pub fn channel_bytes() -> usize {
    size_of::<Channel<()>>()
}

/// A handshake, of which the initiator's side is counted. If its stack is to be weighed, what is
/// counted is no figure.
pub fn handshake(
    counts: &Counts,
    handshake: Handshake,
    secrets: &mut Secrets,
    weigh: bool,
) -> Result<Sizes, &'static str> {
    let line = Line::new();
    let [own, host] = both()?;
    let ratchet = secrets.bytes(2);
    if handshake == Handshake::Psk {
        let (key, _) = Ratchet::new(Key::from_bytes(ratchet)).advance();
        let identity = Own::without_static_key(host);
        let mut known = Known { pin: None, left: None, ratchet };
        let (mut near, mut far) = line.ends();
        let mut others = Secrets::new(1 << 33);
        let connecting = connect_psk(&mut near, &own, &host, key, secrets);
        let accepting = accept(&mut far, &identity, &mut known, &mut others);
        return meet(counts, connecting, accepting, &line, weigh);
    }
    let (near, far) = (StaticKey::generate(secrets), StaticKey::generate(secrets));
    let pin = Pin::paired(&near, &own, &host, far.public()).map_err(|_| "no pin")?;
    let back = Pin::paired(&far, &host, &own, near.public()).map_err(|_| "no pin")?;
    let (device, server) = (Own::new(own, near), Own::new(host, far));
    let left = secrets.bytes(2);
    let mut known =
        Known { pin: Some(back), left: Some(Resumption::from_bytes(&left)), ratchet: [0; 32] };
    let left = (handshake == Handshake::NnPsk0).then(|| Resumption::from_bytes(&left));
    let (mut near, mut far) = line.ends();
    let mut others = Secrets::new(1 << 33);
    let connecting = connect_channel(&mut near, &device, &host, &pin, left, secrets);
    let accepting = accept(&mut far, &server, &mut known, &mut others);
    meet(counts, connecting, accepting, &line, weigh)
}

fn meet(
    counts: &Counts,
    connecting: impl Future<Output = Result<Connected, Error>>,
    accepting: impl Future<Output = Result<Accepted, Error>>,
    line: &Line,
    weigh: bool,
) -> Result<Sizes, &'static str> {
    let (state_bytes, deepest) = (size_of_val(&connecting), Cell::new(0));
    let counted = async {
        counts.begin(Part::Handshake);
        let connected = connecting.await;
        counts.end();
        connected
    };
    let met = if weigh {
        counts.run(stack_below(pin!(counted), &deepest), accepting)
    } else {
        counts.run(counted, accepting)
    };
    let (connected, accepted) = met.ok_or("both wait for the other")?;
    connected.map_err(name)?;
    accepted.map_err(name)?;
    let (up_bytes, down_bytes) = line.totals();
    Ok(Sizes { up_bytes, down_bytes, stack_bytes: deepest.get(), state_bytes })
}
