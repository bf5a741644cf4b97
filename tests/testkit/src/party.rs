//! The parties of a session: honest ones over a pipe, and either one alone against a script of any
//! bytes.

use std::cell::RefCell;
use std::rc::Rc;

use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{Key, Keystream, Rounds};
use sharelet_core::session::linear::mask_weights;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, emit, max_welcome_bytes};
use sharelet_core::session::{CounterError, SessionCounter, SessionError, deal};
use sharelet_core::transport::{Counting, Counts};

use crate::frames::MASKED_ID;
use crate::model::{LAYERS, Model};
use crate::pipe::{End, Pipe, Script, run};

/// The most outputs that the device here has room for.
pub const MAX_OUTPUTS: usize = 2048;

/// Everything that a session depends on, but for the input.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The host's network.
    pub model: Model,
    /// The key that device and dealer share.
    pub device_key: [u8; 32],
    /// The seed of `E`, which device and host share.
    pub model_seed: [u8; 32],
    /// The dealer's own randomness.
    pub dealer_seed: [u8; 32],
    /// The lowest session number that the device did not use.
    pub next: u64,
    /// The session number that the host grants.
    pub session: u64,
    /// Who learns the answer.
    pub answer: Answer,
}

impl Setup {
    /// A session of `model` under random keys.
    pub fn random(model: Model, answer: Answer, rng: &mut impl Rng) -> Self {
        let (device_key, model_seed, dealer_seed) = ([0; 32], [0; 32], [0; 32]);
        let (next, session) = (5, 7);
        let mut setup = Self { model, device_key, model_seed, dealer_seed, next, session, answer };
        setup.rekey(rng);
        setup
    }

    /// Draws new keys and the dealer's randomness.
    pub fn rekey(&mut self, rng: &mut impl Rng) {
        rng.fill_bytes(&mut self.device_key);
        rng.fill_bytes(&mut self.model_seed);
        rng.fill_bytes(&mut self.dealer_seed);
    }

    /// The device's keystream.
    pub fn keystream<C: Rounds>(&self) -> Keystream<C> {
        Keystream::new(&Key::from_bytes(self.device_key))
    }

    /// The same, bound to the network and its masked model.
    pub fn binding<C: Rounds>(&self) -> Binding<C> {
        let mut description = [0; max_welcome_bytes(LAYERS)];
        let used = emit(&self.model.network, &mut description).expect("fits");
        Binding::of_network(&self.keystream(), &description[..used], &MASKED_ID)
    }

    /// What the device is provisioned with.
    pub fn identity<C: Rounds>(&self) -> Identity<C> {
        Identity::new(DeviceId::new("pump-07").expect("valid"), &Key::from_bytes(self.device_key))
    }

    /// The matrices `A` that the dealer has.
    pub fn masked_weights<C: Rounds>(&self) -> Vec<Vec<u32>> {
        let model_stream = Keystream::<C>::new(&Key::from_bytes(self.model_seed));
        let mut masked_weights = self.model.weights.clone();
        for (index, weights) in (0_u16..).zip(&mut masked_weights) {
            let parts = self.model.network.parts(usize::from(index));
            mask_weights(&model_stream, index, &parts, weights);
        }
        masked_weights
    }

    /// What the dealer sends the host.
    pub fn corrections<C: Rounds>(&self) -> Vec<u8> {
        let network = &self.model.network;
        let mut out = vec![0; deal::correction_bytes(network)];
        let mut scratch = vec![0; deal::scratch_elems(network)];
        let mut rng = ChaCha12Rng::from_seed(self.dealer_seed);
        let binding = self.binding::<C>();
        deal::session(
            network,
            &binding,
            self.session,
            &self.masked_weights::<C>(),
            &mut rng,
            &mut scratch,
            &mut out,
        )
        .expect("sized");
        out
    }

    /// An honest session over pipes of `capacity` bytes.
    pub fn honest<C: Rounds>(&self, input: &[u32], capacity: usize) -> Transcript {
        let (device_end, host_end) = Pipe::pair(capacity);
        let identity = self.identity::<C>();
        let mut counter = Counter { next: self.next, ..Counter::default() };
        let mut traffic = Traffic::default();
        let io = Counting::new(device_end.clone());
        let device = self.device::<_, C, LAYERS>(io, &identity, &mut counter, input, &mut traffic);
        let corrections = self.corrections::<C>();
        let host = self.host(host_end.clone(), host_end.clone(), &corrections);
        // An error ends the test at once: the other side would wait for ever.
        let device = async { device.await.expect("device") };
        let host = async { host.await.expect("host") };
        let (device_answer, host_answer) = run(join(device, host));
        Transcript {
            device: device_end.sent(),
            host: host_end.sent(),
            device_answer,
            host_answer: match host_answer {
                HostEnd::Done(answer) => answer,
                HostEnd::NotAsked => panic!("the device asked for a session"),
            },
            traffic,
        }
    }

    /// The device alone, against a peer that sends `script`.
    pub fn device_against<C: Rounds>(&self, script: &[u8], end: End, input: &[u32]) -> DeviceRun {
        let io = Script::new(script, end);
        let sent = io.sent();
        let mut counter =
            Counter { next: self.next, witness: Some(Rc::clone(&sent)), ..Counter::default() };
        let identity = self.identity::<C>();
        let (io, mut traffic) = (Counting::new(io), Traffic::default());
        // A device has room for few.
        let device = self.device::<_, C, 8>(io, &identity, &mut counter, input, &mut traffic);
        let result = run(device);
        let (sent, Counter { next, sent_before_consumed, .. }) = (sent.take(), counter);
        DeviceRun { result, sent, next, sent_before_consumed }
    }

    /// The host alone, against a peer that sends `script`.
    pub fn host_against(&self, script: &[u8], end: End, corrections: &[u8]) -> HostRun {
        let reader = Script::new(script, end);
        let writer = reader.writer();
        let sent = reader.sent();
        let result = run(self.host(reader, writer, corrections));
        HostRun { result, sent: sent.take() }
    }

    /// The side of a device that has room for `L` layers, of one session.
    async fn device<T: Read + Write, C: Rounds, const L: usize>(
        &self,
        io: Counting<T>,
        identity: &Identity<C>,
        counter: &mut Counter,
        input: &[u32],
        traffic: &mut Traffic,
    ) -> Result<Vec<u32>, SessionError> {
        let policy = Policy { inputs: Some(self.model.network.inputs()), ..policy(self.answer) };
        let mut network = Network::<L>::default();
        let mut connected = p0::connect(io, identity, policy, &mut network).await?;
        traffic.handshake = connected.io_mut().take();
        let mut answer = [0; MAX_OUTPUTS];
        let mut prepared = connected.prepare(counter, &mut answer).await?;
        traffic.prepare = prepared.io_mut().take();
        let (mut connected, answer) = prepared.infer(input).await?;
        traffic.online = connected.io_mut().take();
        Ok(answer.to_vec())
    }

    /// The host's side of one session.
    ///
    /// # Errors
    /// As the session itself.
    pub async fn host(
        &self,
        mut reader: impl Read,
        mut writer: impl Write,
        corrections: &[u8],
    ) -> Result<HostEnd, SessionError> {
        let mut buffers = Buffers::new(&self.model.network);
        let prepared = self.prepare(&mut reader, &mut writer, buffers.scratch()).await?;
        let Some(prepared) = prepared else { return Ok(HostEnd::NotAsked) };
        let ready = prepared.input(&mut reader).await?;
        let answer = ready.infer(&mut reader, &mut writer, corrections).await?;
        Ok(HostEnd::Done(answer.map(|answer| answer.to_vec())))
    }

    /// The host's side until it waits for the input; `None` if the device leaves without asking for
    /// a session.
    ///
    /// # Errors
    /// As the session itself.
    pub async fn prepare<'s>(
        &self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        scratch: Scratch<'s>,
    ) -> Result<Option<p1::Prepared<'_, 's, Model, LAYERS>>, SessionError> {
        let network = &self.model.network;
        p1::receive_hello(reader).await?;
        let buffer = &mut [0; max_welcome_bytes(LAYERS)];
        p1::welcome(writer, network, &self.model_seed, &MASKED_ID, buffer).await?;
        if p1::receive_request(reader).await?.is_none() {
            return Ok(None);
        }
        p1::grant(writer, self.session).await?;
        P1::new(network, &self.model, self.answer).prepare(reader, scratch).await.map(Some)
    }
}

/// A device's policy that takes every network which fits [`MAX_OUTPUTS`].
pub fn policy(answer: Answer) -> Policy {
    Policy { host: None, answer, inputs: None, max_outputs: MAX_OUTPUTS, max_blocks: u64::MAX }
}

/// A host's memory for one session.
#[derive(Clone, Debug)]
pub struct Buffers {
    words: [Vec<u32>; 3],
    bits: [Vec<u8>; 2],
}

impl Buffers {
    /// As much as the network takes.
    pub fn new<const L: usize>(network: &Network<L>) -> Self {
        let sizes = ScratchSizes::of(network);
        let words = [sizes.masked_elems, sizes.vectors_elems, sizes.width_elems];
        Self {
            words: words.map(|elems| vec![0; elems]),
            bits: [vec![0; sizes.bits_bytes], vec![0; sizes.bits_bytes]],
        }
    }

    /// To be lent to the session.
    pub fn scratch(&mut self) -> Scratch<'_> {
        let [masked, vectors, output] = &mut self.words;
        let [own_bits, peer_bits] = &mut self.bits;
        Scratch { masked, vectors, output, own_bits, peer_bits }
    }
}

/// What passed in the phases of a session, as the device counted it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Hello and welcome.
    pub handshake: Counts,
    /// Request, grant, and the first messages of the gates.
    pub prepare: Counts,
    /// The rest.
    pub online: Counts,
}

/// An honest session, recorded.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// What the device sent.
    pub device: Vec<u8>,
    /// What the host sent.
    pub host: Vec<u8>,
    /// What the device learned.
    pub device_answer: Vec<u32>,
    /// What the host learned.
    pub host_answer: Option<Vec<u32>>,
    /// What the device counted.
    pub traffic: Traffic,
}

/// What became of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRun {
    /// Its answer.
    pub result: Result<Vec<u32>, SessionError>,
    /// What it sent.
    pub sent: Vec<u8>,
    /// Its session counter afterwards.
    pub next: u64,
    /// Bytes that it had sent when it recorded the session as used.
    pub sent_before_consumed: Option<usize>,
}

/// What became of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRun {
    /// How it ended.
    pub result: Result<HostEnd, SessionError>,
    /// What it sent.
    pub sent: Vec<u8>,
}

/// How a host's session ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEnd {
    /// The device left without asking for a session.
    NotAsked,
    /// The session is done; the answer, if the host learns it.
    Done(Option<Vec<u32>>),
}

/// A session counter in memory, which notes what had been sent when a number was used.
#[derive(Debug, Default)]
pub struct Counter {
    /// The lowest number that was not used.
    pub next: u64,
    /// Whether recording fails.
    pub broken: bool,
    /// What the device sends.
    pub witness: Option<Rc<RefCell<Vec<u8>>>>,
    /// Bytes that it had sent when the last number was used.
    pub sent_before_consumed: Option<usize>,
}

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(self.next)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        if self.broken {
            return Err(CounterError);
        }
        self.next = session + 1;
        self.sent_before_consumed = self.witness.as_ref().map(|sent| sent.borrow().len());
        Ok(())
    }
}
