//! A device and a host that know one another, a small model, and what the dealer sent for one
//! session.

use embedded_io_async::{Read, Write};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_channel::{
    Error, Identity as Own, NotStored, PairingKey, Party, Pin, Pins, PublicKey, RESUMPTION_BYTES,
    Ratchet, Resumption, ResumptionId, Role, StaticKey, accept, connect as connect_channel,
    connect_psk,
};
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::session::linear::mask_weights;
use sharelet_core::session::network::{Activation, Layer, PlainModel};
use sharelet_core::session::p1::{self, P1, Scratch, ScratchSizes};
use sharelet_core::session::wire::control::{emit, max_welcome_bytes};
use sharelet_core::session::{CounterError, SessionError, deal};
use sharelet_core::{Answer, DeviceId, Identity, Key, Network, Policy, SessionCounter, connect};

const LAYERS: usize = 8;
const SESSION: u64 = 7;
const MASKED_ID: [u8; 32] = [4; 32];

/// How a side of a session ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// While the channel was made, or closed.
    Channel(Error),
    /// In the session; over a channel, its errors are the transport's.
    Session(SessionError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Channel(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl Failure {
    /// Its name, as a report has it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Channel(error) => format!("channel: {}", error.name()),
            Self::Session(error) => format!("session: {}", error.name()),
        }
    }
}

/// How the two connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Without a channel.
    Plain,
    /// With static keys.
    Static,
    /// With what an earlier session left.
    Resumed,
    /// With a provisioned key.
    Psk,
}

/// All of them.
pub const WAYS: [Way; 4] = [Way::Plain, Way::Static, Way::Resumed, Way::Psk];

/// What a side learned, and what a channel left to the next session.
pub type Side = Result<(Vec<u32>, Option<[u8; RESUMPTION_BYTES]>), Failure>;

/// Both parties. All sessions are one, of other inputs: what is dealt for it is dealt once.
#[derive(Debug)]
pub struct Parties {
    network: Network<LAYERS>,
    weights: [Vec<u32>; 2],
    biases: [Vec<u32>; 2],
    corrections: Vec<u8>,
    device_key: [u8; 32],
    model_seed: [u8; 32],
    static_keys: [[u8; 32]; 2],
    ratchet: [u8; 32],
    /// What the device and the host kept of an earlier session.
    left: [[u8; RESUMPTION_BYTES]; 2],
}

fn device_party() -> Party {
    Party::new(Role::Device, "pump-07").expect("a name")
}

fn host_party() -> Party {
    Party::new(Role::Host, "hall-2").expect("a name")
}

fn slices(rows: &[Vec<u32>; 2]) -> [&[u32]; 2] {
    rows.each_ref().map(Vec::as_slice)
}

impl Parties {
    /// Two parties with keys of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut key = || {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            key
        };
        let (device_key, model_seed, ratchet) = (key(), key(), key());
        let static_keys = [key(), key()];
        let layers = [
            Layer::dense(3, 4, 8, 8, Activation::Relu),
            Layer::dense(4, 2, 8, 0, Activation::Identity),
        ];
        let network = Network::new(8, 1 << 12, &layers).expect("valid");
        // Both signs, up to 2 with 8 fraction bits.
        let mut words = |count| {
            let word = |_| (rng.next_u32() % 1024).wrapping_sub(512);
            (0..count).map(word).collect::<Vec<u32>>()
        };
        let (weights, biases) = ([words(12), words(8)], [words(4), words(2)]);
        let mut parties = Self {
            network,
            weights,
            biases,
            corrections: Vec::new(),
            device_key,
            model_seed,
            static_keys,
            ratchet,
            left: [[0; RESUMPTION_BYTES]; 2],
        };
        parties.corrections = parties.deal();
        parties
    }

    fn deal(&self) -> Vec<u8> {
        let mask = Keystream::<ChaCha12>::new(&Key::from_bytes(self.model_seed));
        let mut masked = self.weights.clone();
        for ((index, layer), weights) in (0_u16..).zip(0..).zip(&mut masked) {
            mask_weights(&mask, index, &self.network.parts(layer), weights);
        }
        let mut description = [0; 256];
        let used = emit(&self.network, &mut description).expect("has room");
        let key = Keystream::<ChaCha12>::new(&Key::from_bytes(self.device_key));
        let binding = Binding::of_network(&key, &description[..used], &MASKED_ID);
        let mut scratch = vec![0; deal::scratch_elems(&self.network)];
        let mut out = vec![0; deal::correction_bytes(&self.network)];
        let mut rng = rand_chacha::ChaCha12Rng::from_seed(self.device_key);
        deal::session(&self.network, &binding, SESSION, &masked, &mut rng, &mut scratch, &mut out)
            .expect("fitting lengths");
        out
    }

    /// Keeps what a session leaves on either side.
    pub fn keep(&mut self, left: [[u8; RESUMPTION_BYTES]; 2]) {
        self.left = left;
    }

    /// The answer in the clear.
    #[must_use]
    pub fn twin(&self, input: &[u32; 3]) -> Vec<u32> {
        let mut vectors = vec![0; self.network.vectors_elems()];
        vectors.iter_mut().zip(input).for_each(|(word, &input)| *word = input);
        let [weights, biases] = [&self.weights, &self.biases].map(slices);
        let model = PlainModel { weights: &weights, biases: &biases };
        self.network.twin(&model, &mut vectors).expect("has room").to_vec()
    }

    /// The device's side, from its first byte to its last, and what a channel leaves to the next.
    ///
    /// # Errors
    /// Any error that a device may have.
    pub async fn device<T: Read + Write>(
        &self,
        way: Way,
        mut end: T,
        (answer, input): (Answer, &[u32; 3]),
        rng: &mut rand_chacha::ChaCha12Rng,
    ) -> Side {
        let own = Own::new(device_party(), StaticKey::from_bytes(self.static_keys[0]));
        let (party, host) = (device_party(), host_party());
        let connected = match way {
            Way::Plain => {
                return Ok((self.ask(&mut end, answer, input).await?, None));
            }
            Way::Psk => {
                let (key, _) = Ratchet::new(Key::from_bytes(self.ratchet)).advance();
                connect_psk(&mut end, &party, &host, key, rng).await?
            }
            Way::Static | Way::Resumed => {
                let left = (way == Way::Resumed).then(|| Resumption::from_bytes(&self.left[0]));
                let pin = self.pin(1);
                connect_channel(&mut end, &own, &host, &pin, left, rng).await?
            }
        };
        let left = connected.resumption.as_ref().map(Resumption::expose);
        let mut channel = connected.keys.channel(end);
        let learned = self.ask(&mut channel, answer, input).await?;
        // The answer is there: that the host has gone takes it from nobody.
        let _ = channel.close().await;
        Ok((learned, left))
    }

    async fn ask(
        &self,
        io: impl Read + Write,
        answer: Answer,
        input: &[u32; 3],
    ) -> Result<Vec<u32>, SessionError> {
        let id = DeviceId::new("pump-07").expect("a name");
        let identity: Identity = Identity::new(id, &Key::from_bytes(self.device_key));
        let host = DeviceId::new("hall-2");
        let policy =
            Policy { answer, inputs: Some(input.len()), max_outputs: 2, max_blocks: 1 << 12, host };
        let mut network = Network::<LAYERS>::default();
        let connected = connect(io, &identity, policy, &mut network).await?;
        let mut words = [0; 2];
        let prepared = connected.prepare(&mut Counter, &mut words).await?;
        Ok(prepared.infer(input).await?.1.to_vec())
    }

    /// The host's side, and what a channel leaves to the next. What the host learns is empty if
    /// that is for the device alone.
    ///
    /// # Errors
    /// Any error that a host may have.
    pub async fn host<T: Read + Write + Clone>(
        &self,
        way: Way,
        mut end: T,
        answer: Answer,
        rng: &mut rand_chacha::ChaCha12Rng,
    ) -> Side {
        if way == Way::Plain {
            return Ok((self.serve(end.clone(), end, answer).await?, None));
        }
        let own = Own::new(host_party(), StaticKey::from_bytes(self.static_keys[1]));
        let mut known = Known { parties: self, left: None };
        let accepted = accept(&mut end, &own, &mut known, rng).await?;
        let (reader, writer) = accepted.keys.halves(end.clone(), end);
        Ok((self.serve(reader, writer, answer).await?, known.left))
    }

    async fn serve(
        &self,
        mut reader: impl Read,
        mut writer: impl Write,
        answer: Answer,
    ) -> Result<Vec<u32>, SessionError> {
        p1::receive_hello(&mut reader).await?;
        let buffer = &mut [0; max_welcome_bytes(LAYERS)];
        p1::welcome(&mut writer, &self.network, &self.model_seed, &MASKED_ID, buffer).await?;
        if p1::receive_request(&mut reader).await?.is_none() {
            return Err(SessionError::Closed);
        }
        p1::grant(&mut writer, SESSION).await?;
        let sizes = ScratchSizes::of(&self.network);
        let scratch = Scratch {
            masked: &mut vec![0; sizes.masked_elems],
            vectors: &mut vec![0; sizes.vectors_elems],
            output: &mut vec![0; sizes.width_elems],
            own_bits: &mut vec![0; sizes.bits_bytes],
            peer_bits: &mut vec![0; sizes.bits_bytes],
        };
        let [weights, biases] = [&self.weights, &self.biases].map(slices);
        let model = PlainModel { weights: &weights, biases: &biases };
        let prepared = P1::new(&self.network, &model, answer).prepare(&mut reader, scratch).await?;
        let ready = prepared.input(&mut reader).await?;
        let learned = ready.infer(&mut reader, &mut writer, &self.corrections).await?;
        Ok(learned.map_or_else(Vec::new, |words| words.to_vec()))
    }

    /// What a side holds of the other: 0 is the device, 1 the host.
    fn pin(&self, of: usize) -> Pin {
        let public: PublicKey = StaticKey::from_bytes(self.static_keys[of]).public();
        Pin { public, pairing: PairingKey::from_bytes(self.model_seed) }
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

struct Known<'p> {
    parties: &'p Parties,
    left: Option<[u8; RESUMPTION_BYTES]>,
}

impl Pins for Known<'_> {
    fn pin(&mut self, peer: &Party) -> Option<Pin> {
        (*peer == device_party()).then(|| self.parties.pin(0))
    }

    fn resumption(&mut self, peer: &Party, id: &ResumptionId) -> Option<Resumption> {
        let left = Resumption::from_bytes(&self.parties.left[1]);
        (*peer == device_party() && left.id() == id).then_some(left)
    }

    fn keep(&mut self, _: &Party, resumption: Resumption) {
        self.left = Some(resumption.expose());
    }

    fn ratchet(&mut self, peer: &Party) -> Option<Ratchet> {
        let ratchet = Ratchet::new(Key::from_bytes(self.parties.ratchet));
        (*peer == device_party()).then_some(ratchet)
    }

    fn advanced(&mut self, _: &Party, _: Ratchet) -> Result<(), NotStored> {
        Ok(())
    }
}
